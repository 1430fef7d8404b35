"""Something is added to an output dataset: scores of the maps that are there, no new maps, as if made in one go."""

import filecmp
import json
import re
import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from scaae_nipype.bids_app.cli import main
from scaae_nipype.bids_app.settings.configuration import configuration_hash
from scaae_nipype.grid import load_grid

pytestmark = pytest.mark.xdist_group("main_job")

ONE = ("--participant-label", "good2")
STEM = "sub-good2_task-rest_space-MNI152NLin2009cAsym"


class Added:
    """A copy of the finished dataset to which something is added, with a work folder that knows nothing of it."""

    def __init__(self, job, program, name: str):
        self.job, self.program = job, program
        self.out, self.work = job.folder / name, job.folder / f"work-{name}"

    def copy(self) -> "Added":
        shutil.copytree(self.job.out, self.out)
        return self

    def call(self, *options: str):
        command = ["data", self.out, "participant", *self.job.OPTIONS, *ONE, "--nprocs", "1", *options]
        return self.program(*command, "--resource-monitor", "--work-dir", self.work, folder=self.job.folder)

    def dry(self, *options: str, participant: str = "good2") -> int:
        """Make the plan of a call, in this process; its exit code."""
        command = [str(self.job.folder / "data"), str(self.out), "participant", *self.job.OPTIONS]
        command += ["--participant-label", participant, "--work-dir", str(self.work), "--dry-run", *options]
        return main(command)

    def steps(self) -> set[str]:
        """Give the steps that the last call computed."""
        return set(pd.read_csv(self.out / "logs" / "resources.tsv", sep="\t")["step"])

    def record(self) -> Path:
        return self.out / "sub-good2" / "log" / f"{STEM}.json"

    def maps(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in self.out.glob("sub-good2/func/*_desc-fbn?_boldmap.nii.gz")}


@pytest.fixture(scope="module")
def added(main_job, scaae_bids_here) -> Added:
    """Give the dataset after two calls that add to it: what maps after equation 9 are enough for, then the rest."""
    halves = np.broadcast_to(1 + (np.arange(49) > 24)[:, None, None], load_grid().shape).astype("i2")
    nib.save(nib.Nifti1Image(halves, load_grid().affine), main_job.folder / "two.nii.gz")
    dataset = Added(main_job, scaae_bids_here, "added").copy()
    dataset.before = dataset.maps()
    dataset.first = dataset.call("--baselines", "cap", "--atlas", "two.nii.gz")
    dataset.first_steps = dataset.steps()
    dataset.second = dataset.call("--surrogate-templates", "19", "--templates", "two.nii.gz")
    dataset.second_steps = dataset.steps()
    return dataset


def test_what_the_maps_are_enough_for_is_computed_without_extraction_or_training(added):
    assert added.first.returncode == 0, added.first.stdout + added.first.stderr
    assert "scores to be added: baselines cap, atlas two.nii.gz" in added.first.stdout
    assert added.first_steps == {"prepare", "baselines", "regions", "save", "report"}


def test_what_needs_maps_that_were_not_kept_says_so_and_leaves_the_maps_that_are_there(added):
    said = added.second.stdout
    assert added.second.returncode == 0, said + added.second.stderr
    assert "other templates (default there, two.nii.gz now): scores to be computed again" in said
    assert "scores to be added: 19 surrogate templates" in said
    assert "the maps before equation 9 were not kept: networks are extracted again, with the same model" in said
    assert "baselines cap, atlas two.nii.gz." in next(line for line in said.splitlines() if line.startswith("Kept as "))
    assert {"extract", "confirm", "check_matches", "states", "baselines"} <= added.second_steps
    assert not {"train", "regions"} & added.second_steps
    assert added.maps() == added.before


def test_the_result_is_that_of_one_call_byte_for_byte(added, main_job, scaae_bids_here):
    once = Added(main_job, scaae_bids_here, "once")
    shutil.copytree(main_job.out / "models", once.out / "models")
    said = once.call(
        *("--baselines", "cap", "smoothed", "group_pca", "pca", "--atlas", "two.nii.gz"),
        *("--surrogate-templates", "19", "--templates", "two.nii.gz"),
    )
    assert said.returncode == 0, said.stdout + said.stderr
    names = {path.relative_to(once.out) for path in (once.out / "sub-good2" / "func").iterdir()}
    assert names == {path.relative_to(added.out) for path in (added.out / "sub-good2" / "func").iterdir()}
    assert len(names) > 40
    names |= {Path("dataset_description.json"), Path("logs/CITATION.md"), Path("logs/CITATION.bib")}
    assert [str(name) for name in sorted(names) if not filecmp.cmp(added.out / name, once.out / name, False)] == []
    one, other = (json.loads(dataset.record().read_text()) for dataset in (added, once))
    for key in ("configuration", "scores", "pending", "model", "inputs", "warnings"):
        assert one[key] == other[key], key
    assert set(one["outputs"]) == set(other["outputs"])


def test_the_report_shows_what_was_added(added):
    html = (added.out / "sub-good2.html").read_text()
    assert "CAP centroid" in html and "surrogate templates" in html


def test_nothing_is_due_afterwards_and_asking_for_less_or_nothing_keeps_what_is_there(added, capsys):
    for options in (
        (),
        ("--baselines", "none"),
        ("--baselines", "pca", "--templates", str(added.out / "../two.nii.gz")),
    ):
        assert added.dry(*options) == 0
        said = capsys.readouterr().out
        assert "Will run: 0 runs" in said and "Finished before: 1 run" in said
        assert re.search(r"Kept as .*: .*baselines.*atlas two.nii.gz", said) or not options


def test_runs_that_lack_what_was_added_are_due_and_the_group_level_names_them(added, main_job, capsys):
    assert added.dry(participant="good1") == 0
    said = capsys.readouterr().out
    assert "scores to be added: baselines cap, 19 surrogate templates, atlas two.nii.gz" in said
    assert "other templates (default there, two.nii.gz now)" in said
    main([str(main_job.folder / "data"), str(added.out), "group", "--dry-run"])
    (line,) = [line for line in capsys.readouterr().out.splitlines() if "left out" in line and "good1" in line]
    assert "its scores were computed with other settings (templates: default, the others two.nii.gz" in line


def test_other_maps_are_refused_and_the_settings_named(added, capsys):
    assert added.dry("--smoothing", "4", "--random-seed", "3", "--baselines", "all") == 64
    said = capsys.readouterr().err
    assert "(SmoothingFWHM: 6.0 there, 4.0 now; Seed: 0 there, 3 now)" in said
    assert "Baselines" not in said


def test_templates_that_are_gone_are_asked_for(added, capsys):
    image = added.job.folder / "two.nii.gz"
    hidden = image.rename(image.with_name("hidden.nii.gz"))
    try:
        assert added.dry() == 64
    finally:
        hidden.rename(image)
    said = capsys.readouterr().err
    assert "two.nii.gz sha256:" in said and "is not where it was" in said


def test_scores_that_a_call_did_not_finish_are_computed_again_whatever_is_asked_for(added, capsys):
    whole = added.record().read_text()
    added.record().write_text(json.dumps(json.loads(whole) | {"pending": ["baselines"]}))
    try:
        assert added.dry() == 0
        said = capsys.readouterr().out
        assert "an earlier call ended while it computed scores" in said
        main([str(added.job.folder / "data"), str(added.out), "group", "--participant-label", "good2", "--dry-run"])
        assert "a call ended while its scores were computed (baselines)" in "".join(capsys.readouterr())
    finally:
        added.record().write_text(whole)


def test_outputs_of_earlier_versions_are_understood(main_job, scaae_bids_here, capsys):
    """They name the model by all settings, and their records have one hash."""
    old = Added(main_job, scaae_bids_here, "old").copy()
    content = json.loads((old.out / "logs" / "configuration.json").read_text())
    digest = configuration_hash(content)
    model = next((old.out / "models").glob("*/card.json")).parent
    model.rename(model.with_name(f"tiny-calibrated-{digest[:8]}"))
    for path in old.out.glob("sub-good*/log/*.json"):
        record = json.loads(path.read_text()) | {"configuration": digest}
        path.write_text(json.dumps({key: record[key] for key in record if key not in ("scores", "pending")}))
    assert old.dry() == 0
    assert "Will run: 0 runs" in capsys.readouterr().out
    assert old.dry("--atlas", "default") == 0
    said = capsys.readouterr().out
    assert f"{STEM} (desc-preproc, TR 2 s, confounds, mask): scores to be added: atlas default\n" in said
