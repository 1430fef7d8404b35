"""``scaae-bids`` from end to end on a tiny dataset in which most runs are bad, each in its own way."""

import gzip
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from nibabel.processing import resample_from_to
from scaae_nipype.bids_app.cli import main

from scaae_nipype.grid import Grid, load_grid

pytestmark = pytest.mark.xdist_group("main_job")

SCAAE_BIDS = Path(sys.executable).with_name("scaae-bids")
SHAPE, N_VOLUMES, SPACE = (24, 30, 24), 24, "MNI152NLin2009cAsym"
AFFINE = np.array([[8.0, 0, 0, -92], [0, 8, 0, -128], [0, 0, 8, -72], [0, 0, 0, 1]])
OPTIONS = ("--preset", "tiny", "--train-volumes", "8", "--nprocs", "2", "--mem", "4G")
HEALTHY = {"sub-good1_ses-a_task-rest_run-01", "sub-good2_task-rest"}


class Dataset:
    """An fMRIPrep-style dataset of smooth noise on a coarse grid."""

    def __init__(self, root: Path):
        self.root = root
        self.random = np.random.default_rng(0)
        grid = load_grid()
        mask = nib.Nifti1Image(grid.mask.astype("u1"), grid.affine)
        self.mask = resample_from_to(mask, (SHAPE, AFFINE), order=0).get_fdata() > 0
        root.mkdir(parents=True)
        description = {"Name": "tiny", "BIDSVersion": "1.10.0", "DatasetType": "derivative"}
        description["GeneratedBy"] = [{"Name": "fMRIPrep", "Version": "24.0.0"}]
        (root / "dataset_description.json").write_text(json.dumps(description))

    def volumes(self) -> np.ndarray:
        from scipy.ndimage import gaussian_filter

        noise = gaussian_filter(self.random.standard_normal((*SHAPE, N_VOLUMES)), (1, 1, 1, 0.7))
        return (100 * noise + 1000 * self.mask[..., None]).astype("f4")

    def add(
        self,
        stem: str,
        *,
        space: str = SPACE,
        volumes: np.ndarray | None = None,
        mask: nib.Nifti1Image | None = None,
        sidecar_tr: float | None = 2.0,
        header_tr: float = 2.0,
        n_rows: int = N_VOLUMES,
        displacement: float = 0.1,
    ) -> Path:
        """Write one run; the path of its BOLD image."""
        sub, *rest = stem.split("_")
        func = self.root.joinpath(sub, *(part for part in rest if part.startswith("ses-")), "func")
        func.mkdir(parents=True, exist_ok=True)
        image = nib.Nifti1Image(self.volumes() if volumes is None else volumes, AFFINE)
        if len(image.shape) == 4:
            image.header.set_zooms((8, 8, 8, header_tr))
        image.header.set_xyzt_units("mm", "sec")
        bold = func / f"{stem}_space-{space}_desc-preproc_bold.nii.gz"
        nib.save(image, bold)
        sidecar = {} if sidecar_tr is None else {"RepetitionTime": sidecar_tr}
        Path(str(bold).replace(".nii.gz", ".json")).write_text(json.dumps(sidecar))
        nib.save(
            mask or nib.Nifti1Image(self.mask.astype("u1"), AFFINE),
            func / f"{stem}_space-{space}_desc-brain_mask.nii.gz",
        )
        confounds = pd.DataFrame({name: self.random.standard_normal(n_rows) for name in ("white_matter", "csf")})
        confounds["framewise_displacement"] = np.r_[np.nan, np.full(n_rows - 1, displacement)]
        confounds.to_csv(func / f"{stem}_desc-confounds_timeseries.tsv", sep="\t", index=False, na_rep="n/a")
        return bold


def add_bad_runs(data: Dataset) -> dict[str, str]:
    """Write one run for every kind of bad input; participant to what the message has to say."""
    path = data.add("sub-truncated_task-rest")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    data.add("sub-noimage_task-rest").write_bytes(b"this is no image")
    data.add("sub-flat_task-rest", volumes=np.ones(SHAPE, "f4"))
    data.add("sub-notr_task-rest", sidecar_tr=None, header_tr=0.0)
    data.add("sub-zerotr_task-rest", sidecar_tr=0, header_tr=0.0)
    data.add("sub-zeros_task-rest", volumes=np.zeros((*SHAPE, N_VOLUMES), "f4"))
    spoilt = data.volumes()
    spoilt[..., 5] = np.nan
    data.add("sub-nans_task-rest", volumes=spoilt)
    data.add("sub-emptymask_task-rest", mask=nib.Nifti1Image(np.zeros(SHAPE, "u1"), AFFINE))
    data.add("sub-othermask_task-rest", mask=nib.Nifti1Image(np.ones((9, 9, 9), "u1"), np.diag([4.0, 4, 4, 1])))
    data.add("sub-rows_task-rest", n_rows=N_VOLUMES - 3)
    data.add("sub-motion_task-rest", displacement=2.0)
    data.add("sub-native_task-rest", space="T1w")
    return {
        "truncated": "truncated or damaged",
        "noimage": "cannot be read as a NIfTI image",
        "flat": "4D image",
        "notr": "repetition time",
        "zerotr": "RepetitionTime is 0",
        "zeros": "no values but 0",
        "nans": "volume 5 has values that are not finite",
        "emptymask": "the brain mask is empty",
        "othermask": "lies on another grid",
        "rows": "has 21 rows, but the run has 24 volumes",
        "motion": "Only 1 of 24 volumes are left",
        "native": "not in MNI space",
    }


def scaae_bids(folder: Path, *arguments: str) -> subprocess.CompletedProcess:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [SCAAE_BIDS, *arguments, "--work-dir", folder / "work"]
    return subprocess.run(command, env=environment, capture_output=True, text=True, cwd=folder, timeout=900)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    data = Dataset(tmp_path_factory.mktemp("tiny") / "data")
    data.add("sub-good1_ses-a_task-rest_run-01")
    data.add("sub-good2_task-rest")
    data.words = add_bad_runs(data)
    return data


@pytest.fixture(scope="module")
def job(dataset):
    """Give the folder of a finished job and what it said."""
    folder = dataset.root.parent
    return folder, scaae_bids(folder, "data", "out", "participant", *OPTIONS)


def test_bad_runs_are_one_line_each_and_the_others_unharmed(job, dataset):
    folder, said = job
    assert said.returncode == 1, said.stderr
    status = json.loads((folder / "out" / "logs" / "status.json").read_text())
    assert {name.partition(f"_space-{SPACE}")[0] for name in status["Finished"]} == HEALTHY
    assert status["Verdict"] in said.stdout.splitlines()[-1]
    assert status["ExitCode"] == 1
    lines = [line for line in said.stdout.splitlines() if "FAILED: " in line or line.startswith("Cannot run: ")]
    for label, words in dataset.words.items():
        (line,) = [line for line in lines if f"sub-{label}_" in line]
        assert words in line
        assert "Traceback" not in line
    assert len(lines) == len(dataset.words)
    assert "Traceback" not in said.stdout + said.stderr
    assert "nipype" not in (said.stdout + said.stderr).replace("scaae_nipype", "")
    assert not list(folder.glob("crash-*"))
    assert not list((folder / "out").rglob("crash-*"))


def test_healthy_runs_are_complete(job):
    folder, _ = job
    for stem in HEALTHY:
        sub, *rest = stem.split("_")
        func = (folder / "out").joinpath(sub, *(part for part in rest if part.startswith("ses-")), "func")
        maps = nib.load(func / f"{stem}_space-{SPACE}_res-4_desc-fbn1_boldmap.nii.gz")
        assert maps.shape == (49, 58, 47, N_VOLUMES)
        assert maps.get_data_dtype() == np.int16
        assert 0 <= maps.get_fdata().min() < maps.get_fdata().max() <= 1.001
        table = pd.read_csv(func / f"{stem}_space-{SPACE}_desc-templateiou_timeseries.tsv", sep="\t")
        assert len(table) == N_VOLUMES
        record = json.loads((folder / "out" / sub / "log" / f"{stem}_space-{SPACE}.json").read_text())
        assert record["status"] == "finished"
        assert all((folder / "out" / name).is_file() for name in record["outputs"])
        assert {step["step"] for step in record["steps"]} >= {"prepare", "extract", "match_templates", "save"}
        assert (folder / "out" / f"{sub}.html").is_file()
    assert (folder / "work" / "scaae_nipype").stat().st_mode & 0o777 == 0o700
    assert not list((folder / "out").rglob(".writing-*"))


def test_the_model_is_kept_with_its_card_and_called_undertrained(job):
    folder, said = job
    (card,) = (folder / "out" / "models").glob("*/card.json")
    content = json.loads(card.read_text())
    assert {name.partition("_space")[0] for name in content["Training"]["Runs"]} == HEALTHY
    assert content["Training"]["Undertrained"] is True
    assert "undertrained" in said.stdout
    assert "undertrained" in (folder / "out" / "sub-good2.html").read_text().lower()
    assert (card.parent / "training_log.csv").stat().st_size > 0
    assert not list((folder / "work").rglob("*.ckpt"))


def test_the_validator_finds_no_error(job):
    folder, _ = job
    validator = Path(sys.executable).with_name("bids-validator-deno")
    report = subprocess.run(
        [validator, folder / "out", "--format", "json"], capture_output=True, text=True, timeout=120
    )
    issues = json.loads(report.stdout)["issues"]["issues"]
    assert [issue for issue in issues if issue["severity"] == "error"] == []


def test_the_methods_text_names_what_was_done(job):
    folder, _ = job
    text = (folder / "out" / "logs" / "CITATION.md").read_text()
    for words in (
        "6 mm FWHM",
        "*auto*",
        "preset *tiny*",
        "undertrained",
        "Seitzman et al., 2020",
        "10.1016/j.neuroimage",
    ):
        assert words in text
    assert "@" not in text
    assert "@article{seitzman2020," in (folder / "out" / "logs" / "CITATION.bib").read_text()


def test_a_second_call_does_nothing_and_says_so(job):
    folder, _ = job
    out = folder / "out"
    before = {path: path.stat().st_mtime_ns for path in out.glob("sub-good*/**/*") if path.is_file()}
    started = time.monotonic()
    said = scaae_bids(folder, "data", "out", "participant", *OPTIONS, "--participant-label", "good1", "good2")
    assert said.returncode == 0, said.stderr
    assert time.monotonic() - started < 20
    assert "Nothing to do: 2 runs were finished before." in said.stdout.splitlines()[-1]
    assert {path: path.stat().st_mtime_ns for path in out.glob("sub-good*/**/*") if path.is_file()} == before


def test_what_is_missing_is_made_again_with_the_same_model(job):
    folder, _ = job
    gone = next((folder / "out" / "sub-good2" / "func").glob("*_desc-fbn2_boldmap.nii.gz"))
    whole = np.asarray(nib.load(gone).dataobj)
    gone.unlink()
    report = folder / "out" / "sub-good1.html"
    report.unlink()
    said = scaae_bids(folder, "data", "out", "participant", *OPTIONS, "--participant-label", "good1", "good2")
    assert said.returncode == 0, said.stderr
    assert "1 run finished now, 1 before" in said.stdout
    assert "Training" not in said.stdout + said.stderr
    np.testing.assert_array_equal(np.asarray(nib.load(gone).dataobj), whole)
    assert report.is_file()


def test_reports_alone(job):
    folder, _ = job
    report = folder / "out" / "sub-good1.html"
    report.write_text("old")
    said = scaae_bids(folder, "data", "out", "participant", *OPTIONS, "--reports-only", "--participant-label", "good1")
    assert said.returncode == 0, said.stderr
    assert "All done: 1 report finished now." in said.stdout
    assert report.stat().st_size > 10_000


def check_null_models(out: Path, said: subprocess.CompletedProcess) -> None:
    """See that null models ran, what they said before, and that tables, sidecars and report have what they gave."""
    assert "every run goes through the network 19 times more" in said.stdout
    assert re.search(r"Temporal null: 19 surrogates of \d+ volumes at .* s per volume", said.stderr)
    assert "note: The model was fitted to this run" in said.stdout
    (func,) = out.glob("sub-good1/ses-a/func")

    def read(ending: str) -> tuple[pd.DataFrame, dict]:
        (path,) = func.glob(f"*_desc-{ending}.tsv")
        return pd.read_csv(path, sep="\t"), json.loads(path.with_suffix(".json").read_text())

    matches, about = read("matches_metrics")
    assert set(matches["method"]) == {"fbn1", "fbn2", "volume"} and matches["p_best"].between(0.01, 1).all()
    assert (about["NumberOfSurrogates"], about["Seed"], about["Description"][:12]) == (99, 0, "Spatial null")
    volumes, described = read("matchp_timeseries")
    assert len(volumes) == N_VOLUMES and "surrogate" in described["fbn1_label1"]["Description"]
    _, states = read("states_metrics")
    assert states["CutOff"] == pytest.approx(about["CutOff"])
    dynamics, about = read("dynamicsnull_metrics")
    assert (about["NumberOfSurrogates"], about["Seed"], about["InSample"]) == (19, 0, "yes")
    assert about["P"] == pytest.approx(dynamics["p_corrected"].min()) and "no more" in about["Meaning"]
    html = (out / "sub-good1.html").read_text()
    assert "Null models" in html and "In-sample: the model was fitted to this run" in html
    assert "not stationary, linear and Gaussian" in (out / "logs" / "CITATION.md").read_text()
    assert len(list(out.parent.glob("work/scaae_nipype/surrogates-*"))) == 1


def test_a_given_model_is_applied_and_kept(job):
    folder, _ = job
    (model,) = (path for path in (folder / "out" / "models").iterdir() if not path.name.startswith("."))
    halves = np.broadcast_to(1 + (np.arange(49) > 24)[:, None, None], load_grid().shape).astype("i2")
    nib.save(nib.Nifti1Image(halves, load_grid().affine), folder / "halves.nii.gz")
    said = scaae_bids(
        folder,
        *("data", "out2", "participant", "--model", str(model), "--participant-label", "good1", "--nprocs", "1"),
        *("--signed-maps", "--resource-monitor", "--write-graph", "-v", "--baselines", "none"),
        *("--surrogates", "19", "--templates", "halves.nii.gz"),
    )
    assert said.returncode == 0, said.stderr
    assert "Training" not in said.stdout + said.stderr
    out = folder / "out2"
    (kept,) = (path for path in (out / "models").iterdir() if not path.name.startswith("."))
    assert (kept / "weights.safetensors").read_bytes() == (model / "weights.safetensors").read_bytes()
    assert len(list(out.rglob("*signed_boldmap.nii.gz"))) == 2
    assert {"prepare", "extract"} <= set(pd.read_csv(out / "logs" / "resources.tsv", sep="\t")["step"])
    check_null_models(out, said)
    assert list((out / "logs").glob("preparation_wf*.dot")) + list((out / "logs").glob("preparation_wf*.svg"))


def test_training_alone_makes_the_models_of_all_folds_and_one_participant_then_takes_its_own(job):
    """As on a cluster: train with everybody, then one participant at a time; folds follow from who trained."""
    folder, _ = job
    options = [*OPTIONS, "--nprocs", "1", "--surrogates", "19", "--cross-fit", "2", "--baselines", "none"]
    everybody = ["--participant-label", "good1", "good2"]
    said = scaae_bids(folder, "data", "out3", "train", *options, *everybody)
    assert said.returncode == 0, said.stderr
    assert "Then 2 more for --cross-fit" in said.stdout and "Cross-fitting: 2 further models" in said.stdout
    assert "All done: 3 models finished now." in said.stdout
    out = folder / "out3"
    cards = {path.parent.name[-8:]: json.loads(path.read_text()) for path in (out / "models").glob("*/card.json")}
    assert cards["fold2of2"]["CrossFit"]["LeftOut"] == ["good2"]
    (trained,) = cards["fold2of2"]["Training"]["Runs"]
    assert trained.startswith("sub-good1_")
    assert len({card["WeightsSHA256"] for card in cards.values()}) == 3
    assert not list(out.glob("sub-*/**/func"))
    again = scaae_bids(folder, "data", "out3", "train", *options, *everybody)
    assert "Nothing to do: 3 models were finished before." in again.stdout

    said = scaae_bids(folder, "data", "out3", "participant", *options, "--participant-label", "good2")
    assert said.returncode == 0, said.stdout + said.stderr
    assert "Fitting" not in said.stdout and "Cross-fitting" not in said.stdout
    assert "fitted to this run" not in said.stdout
    (path,) = out.glob("sub-good2/func/*_desc-dynamicsnull_metrics.json")
    about = json.loads(path.read_text())
    assert about["InSample"] == "no" and about["ModelOfTest"]["Fold"] == 2
    assert (
        about["ModelOfTest"]["ModelChecksum"] == cards["fold2of2"]["WeightsSHA256"] != about["Model"]["ModelChecksum"]
    )
    assert about["ModelOfTest"]["NumberOfTrainingParticipants"] == 1
    assert about["Sources"][-1].endswith("-fold2of2/weights.safetensors")
    (beside,) = out.glob("sub-good2/func/*_desc-fbn1_boldmap.json")
    assert "fold" not in beside.read_text()  # maps are the main model's
    assert (
        "It is that of fold 2 of 2, fitted to 1 other participant (cross-fitting)"
        in (out / "sub-good2.html").read_text()
    )
    assert "2-fold cross-fitting over participants" in (out / "logs" / "CITATION.md").read_text()

    shutil.rmtree(next((out / "models").glob("*-fold2of2")))
    path.with_suffix(".tsv").unlink()
    said = scaae_bids(folder, "data", "out3", "participant", *options, "--participant-label", "good2")
    assert said.returncode == 1
    (line,) = [line for line in said.stdout.splitlines() if "FAILED: " in line]
    assert line.startswith(
        "model of fold 2 of 2: FAILED: 1 of the 1 runs that train it are not among those of this call"
    )
    assert "Without it there is no temporal null of sub-good2." in line
    assert "1 run finished, 1 failed (model of fold 2 of 2)" in said.stdout.splitlines()[-1]
    assert not path.exists() and beside.is_file()
    assert next(out.glob("sub-good2/func/*_desc-matches_metrics.tsv")).is_file()


def test_two_jobs_at_once_train_one_model_and_both_succeed(dataset, tmp_path):
    command = [SCAAE_BIDS, dataset.root, "out", "participant", *OPTIONS, "--participant-label", "good2"]
    jobs = [
        subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for _ in range(2)
    ]
    said = [job.communicate(timeout=600)[0] for job in jobs]
    assert [job.returncode for job in jobs] == [0, 0], said
    assert sum("Fitting a model to 1 run." in text for text in said) == 1
    assert sum("Nothing to do" in text or "1 before" in text for text in said) >= 1


# ---- calls that end before anything runs ------------------------------------------------------------------------


@pytest.fixture
def call(tmp_path, monkeypatch, capsys, dataset):
    """Give a caller of the program in this process: exit code and its last line."""
    environment, handler = dict(os.environ), signal.getsignal(signal.SIGTERM)
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str) -> tuple[int, str]:
        code = main([str(argument) for argument in (dataset.root, *arguments)])
        printed = capsys.readouterr()
        assert "Traceback" not in printed.out + printed.err
        assert len(printed.err.splitlines()) <= 1
        return code, (printed.err or printed.out).splitlines()[-1]

    yield call
    os.environ.clear()
    os.environ.update(environment)
    signal.signal(signal.SIGTERM, handler)


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (["--task-id", "nback"], 64, r"No BOLD run matches in .*task.*nback.*rest"),
        (["--participant-label", "nobody"], 64, r"--participant-label nobody: no such participant"),
        (["--participant-label", "native"], 70, r"No BOLD run can be used: .*sub-native.*not in MNI space"),
        (["--preset", "huge"], 64, r"no preset 'huge'"),
        (["--templates", "missing.nii.gz"], 64, r"Templates 'missing.nii.gz': neither a file nor"),
        (["--atlas", "missing.nii.gz"], 64, r"--atlas: Templates 'missing.nii.gz': neither a file nor"),
        (["--baselines", "svm"], 64, r"--baselines svm: unknown"),
        (
            ["--surrogates", "19", "--cross-fit", "2", "--participant-label", "good2"],
            64,
            r"--cross-fit 2: usable runs are of one participant only \(sub-good2\)",
        ),
        (
            ["--surrogates", "19", "--cross-fit", "9", "--participant-label", "good1", "good2", "--dry-run"],
            64,
            r"--cross-fit 9: usable runs are of 2 participants only",
        ),
        (["--model", "missing"], 70, r"missing: is not a model folder"),
        (["--model", "missing", "--dry-run"], 70, r"missing: is not a model folder"),
    ],
)
def test_impossible_calls(call, options, code, words):
    found, line = call("out", "participant", *options)
    assert (found, bool(re.search(words, line))) == (code, True), line
    assert not Path("out").exists()


def test_unwritable_output(call, monkeypatch):
    Path("out").mkdir()
    monkeypatch.setattr(Path, "touch", _refuse)  # permissions do not stop the superuser, who runs many test machines
    code, line = call("out", "participant", "--preset", "tiny")
    assert code == 64
    assert re.search(r"out: cannot be written to \(Permission denied\); choose another output_dir", line)


def _refuse(*_, **__):
    raise PermissionError(13, "Permission denied")


def test_a_dry_run_writes_nothing(call):
    code, line = call("out", "participant", "--dry-run")
    assert (code, line) == (0, "This was a dry run: nothing was written.")
    assert not list(Path().iterdir())


def test_a_dry_run_says_what_would_stop_every_run(call):
    grid = load_grid()
    labels = np.zeros(grid.shape, np.int16)
    nib.save(nib.Nifti1Image(labels, grid.affine), "image.nii.gz")
    code, line = call("out", "participant", "--dry-run", "--templates", "image.nii.gz")
    assert (code, "--templates: " in line) == (70, True)
    labels[20:25, 20:25, 20:25] = 7
    nib.save(nib.Nifti1Image(labels, grid.affine), "image.nii.gz")
    code, line = call("out", "participant", "--dry-run", "--templates", "image.nii.gz")
    assert (code, line) == (0, "This was a dry run: nothing was written.")
    assert [path.name for path in Path().iterdir()] == ["image.nii.gz"]


@pytest.fixture
def model(job, tmp_path):
    (source,) = (path for path in (job[0] / "out" / "models").iterdir() if not path.name.startswith("."))
    return Path(shutil.copytree(source, tmp_path / "model"))


def test_a_damaged_model(call, model):
    weights = bytearray((model / "weights.safetensors").read_bytes())
    weights[-8] ^= 1
    (model / "weights.safetensors").write_bytes(weights)
    code, line = call("out", "participant", "--model", model)
    assert code == 70
    assert "damaged" in line


def test_a_model_without_its_weights(call, model):
    (model / "weights.safetensors").unlink()
    code, line = call("out", "participant", "--model", model)
    assert (code, "weights.safetensors missing" in line) == (70, True)


def test_a_model_with_another_mask(call, model):
    grid = load_grid()
    Grid(grid.affine, np.roll(grid.mask, 1, axis=0)).save(model / "mask.nii.gz")
    code, line = call("out", "participant", "--model", model)
    assert (code, "is not the mask that the card describes" in line) == (70, True)


def test_a_model_made_for_another_grid(call, model):
    grid = load_grid()
    affine = grid.affine @ np.diag([0.5, 0.5, 0.5, 1])
    other = Grid(affine, grid.mask)
    other.save(model / "mask.nii.gz")
    card = json.loads((model / "card.json").read_text())
    card["Grid"] |= {"Affine": affine.tolist(), "MaskChecksum": other.checksum}
    (model / "card.json").write_text(json.dumps(card))
    code, line = call("out", "participant", "--model", model)
    assert (code, "is made for another grid" in line) == (70, True)


def test_another_configuration_in_the_same_folder(call, job):
    out = job[0] / "out"
    code, line = call(out, "participant", *OPTIONS, "--smoothing", "4")
    assert code == 64
    assert "SmoothingFWHM: 6.0 there, 4.0 now" in line
    assert "Seed" not in line


def test_training_with_a_finished_model(call, model):
    code, line = call("out", "train", "--model", model)
    assert (code, "there is nothing to train" in line) == (64, True)


def test_an_image_that_is_no_template(call, tmp_path):
    with gzip.open(tmp_path / "templates.nii.gz", "wb") as file:
        file.write(b"no image")
    code, line = call("out", "participant", "--templates", "templates.nii.gz")
    assert (code, "templates.nii.gz: cannot be read" in line) == (70, True)


@pytest.mark.parametrize("option", ["templates", "template", "atlas"])
def test_an_image_outside_the_brain_or_a_table_that_does_not_fit(call, option):
    grid = load_grid()
    labels = np.zeros(grid.shape, np.int16)
    if option == "templates":
        labels[:3, :3, :3] = 1  # a corner of the box
        words = "no template has a voxel in the model's brain mask"
    else:
        labels[20:25, 20:25, 20:25] = 7
        words = "has no row for label 7"
    nib.save(nib.Nifti1Image(labels, grid.affine), "image.nii.gz")
    Path("names.tsv").write_text("index\tname\n1\tone\n")
    image = "--atlas" if option == "atlas" else "--templates"
    table = "--atlas-labels" if option == "atlas" else "--template-labels"
    code, line = call("out", "participant", image, "image.nii.gz", table, "names.tsv")
    assert code == 70
    assert words in line and f"{image}: " in line
