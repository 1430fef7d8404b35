"""Calls of ``scaae-bids`` that end before anything runs: impossible ones, in one line each, and dry runs."""

import gzip
import json
import os
import re
import shutil
import signal
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from scaae_nipype.bids_app.cli import main
from scaae_nipype.grid import Grid, load_grid

pytestmark = pytest.mark.xdist_group("main_job")


@pytest.fixture
def call(tmp_path, monkeypatch, capsys, main_dataset):
    """Give a caller of the program in this process: exit code and its last line."""
    environment, handler = dict(os.environ), signal.getsignal(signal.SIGTERM)
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str) -> tuple[int, str]:
        code = main([str(argument) for argument in (main_dataset.root, *arguments)])
        printed = capsys.readouterr()
        assert "Traceback" not in printed.out + printed.err
        assert len(printed.err.splitlines()) <= 1
        call.said = printed.out
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
        (
            ["--participant-label", "good2"],
            64,
            r"holds no model yet, and one fitted to 1 participant of 14 .*`.* train`.*--model.*--fit-selection",
        ),
        (["--participant-label", "good1", "good2", "--dry-run"], 64, r"fitted to 2 participants of 14"),
        (["--bids-filter-file", "good2.json"], 64, r"fitted to 1 participant of 14"),
        (["--model", "missing"], 70, r"missing: is not a model folder"),
        (["--model", "missing", "--dry-run"], 70, r"missing: is not a model folder"),
    ],
)
def test_impossible_calls(call, options, code, words):
    Path("good2.json").write_text('{"bold": {"subject": "good2"}}')
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


@pytest.mark.parametrize(
    "options",
    [["--participant-label", "good2", "--fit-selection"], ["--task-id", "rest"]],
    ids=["asked for", "no participant named"],
)
def test_a_model_is_fitted_to_a_selection_that_was_asked_for(call, options):
    assert call("out", "participant", "--dry-run", *options)[0] == 0
    assert call("out", "train", "--dry-run", "--participant-label", "good2")[0] == 0


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


def test_a_dry_run_says_what_is_taken_as_templates_and_atlas(call):
    grid = load_grid()
    labels = np.zeros(grid.shape, np.float32)
    labels[20:25, 20:25, 20:25], labels[25:30, 20:25, 20:24] = 1.0000001, 2.0000002
    labels[:, :, :5] -= 1
    nib.save(nib.Nifti1Image(labels, grid.affine), "image.nii.gz")
    Path("names.csv").write_text("Index,ROI\n1,left\n2,right\n")
    options = ["--templates", "image.nii.gz", "--atlas", "image.nii.gz", "--atlas-labels", "names.csv"]
    code, line = call("out", "participant", "--dry-run", *options)
    assert (code, line) == (0, "This was a dry run: nothing was written.")
    (templates,) = (text for text in call.said.splitlines() if text.startswith("Templates: "))
    assert re.search(r"image\.nii\.gz: 2 labels of one image \(.*2 different whole numbers.*--template-kind", templates)
    (atlas,) = (text for text in call.said.splitlines() if text.startswith("Atlas: "))
    assert "--atlas-kind says otherwise" in atlas
    assert "label1 125 (100 %), label2 100 (100 %)" in call.said
    assert "left 125 (100 %), right 100 (100 %)" in call.said


@pytest.mark.parametrize("option", ["--templates", "--atlas"])
def test_an_image_beside_the_brain_is_one_line(call, option):
    far = load_grid().affine.copy()
    far[:3, 3] += 900
    nib.save(nib.Nifti1Image(np.ones((5, 5, 5), np.int16), far), "far.nii.gz")
    code, line = call("out", "participant", "--dry-run", option, "far.nii.gz")
    assert code == 70
    assert re.search(rf"{option}: .*far\.nii\.gz: no template has a voxel in the model's brain mask", line)


@pytest.fixture
def model(main_job, tmp_path):
    """Give a copy of the main job's model to spoil."""
    return Path(shutil.copytree(main_job.model, tmp_path / "model"))


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


def test_another_configuration_in_the_same_folder(call, main_job):
    code, line = call(main_job.out, "participant", *main_job.OPTIONS, "--smoothing", "4")
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


@pytest.mark.parametrize("work", [(), ("--work-dir", "a/b/c")])
def test_a_refused_call_at_a_fresh_place_leaves_nothing(call, work):
    code, said = call("out", "participant", "--templates", "missing.nii.gz", "--fit-selection", *work)
    assert (code, "neither a file nor" in said) == (64, True)
    assert list(Path().iterdir()) == []


def test_a_refused_call_leaves_what_was_there(call):
    Path("work").mkdir()
    Path("work", "mine").touch()
    assert call("out", "participant", "--templates", "missing.nii.gz", "--fit-selection")[0] == 64
    assert list(Path().rglob("*")) == [Path("work"), Path("work", "mine")]
