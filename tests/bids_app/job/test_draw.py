"""Which runs train a model: drawn before anything is prepared, spread over sites and participants."""

from collections import Counter
from pathlib import Path
from types import MappingProxyType, SimpleNamespace

import nibabel as nib
import numpy as np
import pytest

from scaae_nipype.bids_app.inputs.plan import Inputs, RunInput
from scaae_nipype.bids_app.job.draw import TRAINING_RUNS, draw_runs
from scaae_nipype.options import Training


@pytest.fixture
def study(tmp_path):
    """Give a maker of inputs: participants, runs of each and volumes of each; three in four are of the first site."""

    def make(n_participants: int, n_runs: int = 2, n_volumes: int = 60) -> Inputs:
        bold = tmp_path / "bold.nii.gz"
        nib.save(nib.Nifti1Image(np.zeros((2, 2, 2, n_volumes), np.int16), np.eye(4)), bold)
        rows = [f"sub-{n:03d}\t{'small' if n % 4 == 3 else 'large'}" for n in range(n_participants)]
        (tmp_path / "participants.tsv").write_text("\n".join(["participant_id\tsite", *rows]) + "\n")
        for number in range(n_participants):
            (tmp_path / f"sub-{number:03d}").mkdir(exist_ok=True)
        runs = [
            RunInput(
                MappingProxyType({"sub": f"{number:03d}", "task": "rest", "run": str(run)}),
                *(bold, None, None, None, (), 2.0, False, tmp_path, "study", None),
            )
            for number in range(n_participants)
            for run in range(1, n_runs + 1)
        ]
        return Inputs(tuple(runs), (), {"study": tmp_path}, ())

    return make


def settings(train_runs="auto", **training):
    return SimpleNamespace(train_runs=train_runs, training=Training(**training))


def people(draw) -> Counter:
    return Counter(run.entities["sub"] for run in draw.runs)


def test_few_runs_are_all_taken(study):
    inputs = study(20)
    draw = draw_runs(inputs, settings())
    assert draw.is_all and draw.runs == inputs.runs and str(draw) == "40 runs"


def test_many_runs_are_drawn_from_all_sites_and_different_participants(study):
    inputs = study(200)
    draw = draw_runs(inputs, settings())
    assert len(draw.runs) == len(people(draw)) == TRAINING_RUNS
    assert Counter(int(label) % 4 == 3 for label in people(draw)) == {True: 50, False: 50}
    assert str(draw) == "100 runs of 100 participants, drawn from 400 (seed 0, spread over 2 sites and participants)"
    assert draw.account == {"Runs": 400, "Sites": 2, "Seed": 0}
    assert {run.entities["run"] for run in draw.runs} == {"1", "2"}
    assert [*draw.runs] == sorted(draw.runs, key=inputs.runs.index)


def test_the_seed_decides(study):
    inputs = study(200)
    first, again, other = (draw_runs(inputs, settings(seed=seed)).runs for seed in (0, 0, 1))
    assert first == again != other


def test_second_runs_come_after_the_first_ones_of_all(study):
    assert set(people(draw_runs(study(80, n_runs=3), settings())).values()) == {1, 2}


def test_short_runs_are_more(study):
    draw = draw_runs(study(400, n_volumes=10), settings())
    assert len(draw.runs) == 300  # 3,000 volumes


def test_more_volumes_or_runs_that_were_asked_for(study):
    inputs = study(200)
    assert len(draw_runs(inputs, settings(preset="autoencoder", train_volumes=9000)).runs) == 150
    assert len(draw_runs(inputs, settings(train_runs=7)).runs) == 7
    assert draw_runs(inputs, settings(train_runs=1000)).is_all


def test_paper_mode_takes_everything(study):
    assert draw_runs(study(200), settings(preset="published", mode="paper")).is_all


def test_without_a_table_of_sites_participants_are_drawn_alike(study, tmp_path):
    inputs = study(200)
    Path(tmp_path, "participants.tsv").unlink()
    draw = draw_runs(inputs, settings())
    assert len(people(draw)) == TRAINING_RUNS and draw.n_sites == 0
    assert "spread over participants" in str(draw)
