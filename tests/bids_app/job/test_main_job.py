"""``scaae-bids`` from end to end on a tiny dataset in which most runs are bad, each in its own way."""

import json
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

pytestmark = pytest.mark.xdist_group("main_job")

HALF_WRITTEN = """
import os, signal, sys
from scaae_nipype.files import replacing
with replacing(sys.argv[1]):
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_bad_runs_are_one_line_each_and_the_others_unharmed(main_job, main_dataset):
    said = main_job.said
    assert said.returncode == 1, said.stderr
    status = main_job.status
    finished = {name.partition(f"_space-{main_dataset.SPACE}")[0] for name in status["Finished"]}
    assert finished == set(main_dataset.HEALTHY)
    assert status["Verdict"] in said.stdout.splitlines()[-1]
    assert status["ExitCode"] == 1
    lines = [line for line in said.stdout.splitlines() if "FAILED: " in line or line.startswith("Cannot run: ")]
    for label, words in main_dataset.words.items():
        (line,) = [line for line in lines if f"sub-{label}_" in line]
        assert words in line
        assert "Traceback" not in line
    assert len(lines) == len(main_dataset.words)
    assert "Traceback" not in said.stdout + said.stderr
    assert "nipype" not in (said.stdout + said.stderr).replace("scaae_nipype", "")
    assert not list(main_job.folder.glob("crash-*"))
    assert not list(main_job.out.rglob("crash-*"))


def test_healthy_runs_are_complete(main_job, main_dataset):
    for stem in main_dataset.HEALTHY:
        sub, *rest = stem.split("_")
        func = main_job.out.joinpath(sub, *(part for part in rest if part.startswith("ses-")), "func")
        maps = nib.load(func / f"{stem}_space-{main_dataset.SPACE}_res-4_desc-fbn1_boldmap.nii.gz")
        assert maps.shape == (49, 58, 47, main_dataset.N_VOLUMES)
        assert maps.get_data_dtype() == np.int16
        assert 0 <= maps.get_fdata().min() < maps.get_fdata().max() <= 1.001
        table = pd.read_csv(func / f"{stem}_space-{main_dataset.SPACE}_desc-templateiou_timeseries.tsv", sep="\t")
        assert len(table) == main_dataset.N_VOLUMES
        record = json.loads((main_job.out / sub / "log" / f"{stem}_space-{main_dataset.SPACE}.json").read_text())
        assert record["status"] == "finished"
        assert all((main_job.out / name).is_file() for name in record["outputs"])
        assert {step["step"] for step in record["steps"]} >= {"prepare", "extract", "match_templates", "save"}
        assert (main_job.out / f"{sub}.html").is_file()
    assert (main_job.work / "scaae_nipype").stat().st_mode & 0o777 == 0o700
    assert not list(main_job.out.rglob(".writing-*"))


def test_the_model_is_kept_with_its_card_and_called_undertrained(main_job, main_dataset):
    said = main_job.said
    content = json.loads((main_job.model / "card.json").read_text())
    assert {name.partition("_space")[0] for name in content["Training"]["Runs"]} == set(main_dataset.HEALTHY)
    assert content["Training"]["Undertrained"] is True
    assert "undertrained" in said.stdout
    assert "undertrained" in (main_job.out / "sub-good2.html").read_text().lower()
    assert (main_job.model / "training_log.csv").stat().st_size > 0
    assert not list(main_job.work.rglob("*.ckpt"))


def test_the_validator_finds_no_error(main_job, validator_errors):
    assert validator_errors(main_job.out) == []


def test_the_methods_text_names_what_was_done(main_job):
    text = (main_job.out / "logs" / "CITATION.md").read_text()
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
    assert "@article{seitzman2020," in (main_job.out / "logs" / "CITATION.bib").read_text()


def test_a_second_call_does_nothing_and_says_so(main_job):
    out = main_job.out
    results = {path: path.stat().st_mtime_ns for path in out.glob("sub-good*/**/*") if path.is_file()}
    killed = subprocess.run([sys.executable, "-c", HALF_WRITTEN, out / "sub-good1" / "func" / "table.tsv"])
    assert killed.returncode == -signal.SIGKILL and list(out.rglob(".writing-*"))
    steps = {path: path.stat().st_mtime_ns for path in main_job.work.rglob("*") if path.suffix in (".pklz", ".json")}
    assert results and steps
    said = main_job.again("--participant-label", "good1", "good2")
    assert said.returncode == 0, said.stderr
    assert "Nothing to do: 2 runs were finished before." in said.stdout.splitlines()[-1]
    assert {path: path.stat().st_mtime_ns for path in results} == results
    assert {path: path.stat().st_mtime_ns for path in steps} == steps
    assert not list(out.rglob(".writing-*")), "also of participants for whom nothing is left to do"


def test_what_is_missing_is_made_again_with_the_same_model(main_job):
    gone = next((main_job.out / "sub-good2" / "func").glob("*_desc-fbn2_boldmap.nii.gz"))
    whole = np.asarray(nib.load(gone).dataobj)
    gone.unlink()
    report = main_job.out / "sub-good1.html"
    report.unlink()
    said = main_job.again("--participant-label", "good1", "good2")
    assert said.returncode == 0, said.stderr
    assert "1 run finished now, 1 before" in said.stdout
    assert "Training" not in said.stdout + said.stderr
    np.testing.assert_array_equal(np.asarray(nib.load(gone).dataobj), whole)
    assert report.is_file()


def test_reports_alone(main_job):
    report = main_job.out / "sub-good1.html"
    report.write_text("old")
    said = main_job.again("--reports-only", "--participant-label", "good1")
    assert said.returncode == 0, said.stderr
    assert "All done: 1 report finished now." in said.stdout
    assert report.stat().st_size > 10_000


def check_null_models(out: Path, said: subprocess.CompletedProcess, n_volumes: int) -> None:
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
    assert (about["NumberOfSurrogates"], about["Seed"], about["Description"][:12]) == (39, 0, "Spatial null")
    volumes, described = read("matchp_timeseries")
    assert len(volumes) == n_volumes and "surrogate" in described["fbn1_label1"]["Description"]
    _, states = read("states_metrics")
    assert states["CutOff"] == pytest.approx(about["CutOff"])
    dynamics, about = read("dynamicsnull_metrics")
    assert (about["NumberOfSurrogates"], about["Seed"], about["InSample"]) == (19, 0, "yes")
    assert about["P"] == pytest.approx(dynamics["p_corrected"].min()) and "no more" in about["Meaning"]
    html = (out / "sub-good1.html").read_text()
    assert "Null models" in html and "In-sample: the model was fitted to this run" in html
    assert "not stationary, linear and Gaussian" in (out / "logs" / "CITATION.md").read_text()
    scores, _ = read("overlap_metrics")
    assert scores["chance_mean_average_precision"].notna().all()
    # that of the main job, whose scores have chance beside them, and one for both of this call's
    assert len(list(out.parent.glob("work/scaae_nipype/surrogates-*"))) == 2


def test_a_given_model_is_applied_and_kept(main_job, main_dataset):
    said = main_job.call(
        *("data", "out2", "participant", "--model", main_job.model, "--participant-label", "good1", "--nprocs", "1"),
        *("--signed-maps", "--resource-monitor", "--write-graph", "-v", "--baselines", "none"),
        *("--surrogates", "19", "--surrogate-templates", "39", "--templates", "halves.nii.gz"),
    )
    assert said.returncode == 0, said.stderr
    assert "Training" not in said.stdout + said.stderr
    out = main_job.folder / "out2"
    (kept,) = (path for path in (out / "models").iterdir() if not path.name.startswith("."))
    assert (kept / "weights.safetensors").read_bytes() == (main_job.model / "weights.safetensors").read_bytes()
    assert len(list(out.rglob("*signed_boldmap.nii.gz"))) == 2
    assert {"prepare", "extract"} <= set(pd.read_csv(out / "logs" / "resources.tsv", sep="\t")["step"])
    check_null_models(out, said, main_dataset.N_VOLUMES)
    assert list((out / "logs").glob("preparation_wf*.dot")) + list((out / "logs").glob("preparation_wf*.svg"))


def test_training_alone_makes_the_models_of_all_folds_and_one_participant_then_takes_its_own(main_job):
    """As on a cluster: train with everybody, then one participant at a time; folds follow from who trained."""
    options = [*main_job.OPTIONS, "--nprocs", "1", "--surrogates", "19", "--cross-fit", "2", "--baselines", "none"]
    options += ["--surrogate-templates", "19", "--templates", "halves.nii.gz"]
    everybody = ["--participant-label", "good1", "good2"]
    said = main_job.call("data", "out3", "train", *options, *everybody)
    assert said.returncode == 0, said.stderr
    assert "Then 2 more for --cross-fit" in said.stdout and "Cross-fitting: 2 further models" in said.stdout
    assert "All done: 3 models finished now." in said.stdout
    out = main_job.folder / "out3"
    cards = {path.parent.name[-8:]: json.loads(path.read_text()) for path in (out / "models").glob("*/card.json")}
    assert cards["fold2of2"]["CrossFit"]["LeftOut"] == ["good2"]
    (trained,) = cards["fold2of2"]["Training"]["Runs"]
    assert trained.startswith("sub-good1_")
    assert len({card["WeightsSHA256"] for card in cards.values()}) == 3
    assert not list(out.glob("sub-*/**/func"))
    again = main_job.call("data", "out3", "train", *options, *everybody)
    assert "Nothing to do: 3 models were finished before." in again.stdout

    said = main_job.call("data", "out3", "participant", *options, "--participant-label", "good2")
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
    said = main_job.call("data", "out3", "participant", *options, "--participant-label", "good2")
    assert said.returncode == 1
    (line,) = [line for line in said.stdout.splitlines() if "FAILED: " in line]
    assert line.startswith(
        "model of fold 2 of 2: FAILED: 1 of the 1 runs that train it are not among those of this call"
    )
    assert "Without it there is no temporal null of sub-good2." in line
    assert "1 run finished, 1 failed (model of fold 2 of 2)" in said.stdout.splitlines()[-1]
    assert not path.exists() and beside.is_file()
    assert next(out.glob("sub-good2/func/*_desc-matches_metrics.tsv")).is_file()


def test_two_jobs_at_once_train_one_model_and_both_succeed(main_job, main_dataset, tmp_path):
    command = [main_job.program, main_dataset.root, "out", "participant", *main_job.OPTIONS]
    command += ["--nprocs", "1", "--participant-label", "good2", "--fit-selection"]
    command += ["--baselines", "none", "--templates", main_job.folder / "halves.nii.gz"]
    jobs = [
        subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for _ in range(2)
    ]
    said = [job.communicate(timeout=600)[0] for job in jobs]
    assert [job.returncode for job in jobs] == [0, 0], said
    assert sum("Fitting a model to 1 run." in text for text in said) == 1
    assert sum("Nothing to do" in text or "1 before" in text for text in said) >= 1


def test_data_that_were_copied_elsewhere_are_known_by_their_content(main_job):
    elsewhere = main_job.folder / "scratch" / "node 7" / "copy"
    shutil.copytree(main_job.folder / "data", elsewhere, copy_function=shutil.copyfile, dirs_exist_ok=True)
    said = main_job.call(elsewhere, "out", "participant", *main_job.OPTIONS, "--dry-run").stdout
    assert "Finished before: 2 runs" in said, said
    said = main_job.call(elsewhere, "out", "participant", *main_job.OPTIONS, "--dry-run", "--inputs-by", "time").stdout
    assert said.count("networks to be extracted (its input has changed)") == 2, said


def test_outputs_that_were_truncated_or_altered_are_said_in_the_plan(main_job, tmp_path):
    shutil.copytree(main_job.out, tmp_path / "out")
    (image,) = (tmp_path / "out").glob("sub-good2/func/*_desc-fbn1_boldmap.nii.gz")
    (table,) = (tmp_path / "out").glob("sub-good1/**/func/*_desc-overlap_metrics.tsv")
    (weights,) = (tmp_path / "out").glob("models/*/weights.safetensors")
    image.write_bytes(image.read_bytes()[:-100])
    table.write_text(table.read_text().replace("1", "2"))
    ask = ("data", tmp_path / "out", "participant", *main_job.OPTIONS, "--dry-run")
    said = main_job.call(*ask).stdout
    assert f"{image.name} is not as it was written" in said and table.name not in said, said
    said = main_job.call(*ask, "--verify").stdout
    assert f"{image.name} is not as it was written" in said, said
    assert f"{table.name} is not as it was written (another checksum)" in said, said
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    refused = main_job.call(*ask, "--verify")
    assert refused.returncode == 70 and "--retrain" in refused.stderr, refused.stderr
