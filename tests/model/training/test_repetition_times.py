"""The default preset is fitted in seconds: runs of any repetition time, of several, and with gaps."""

import numpy as np
import pandas as pd
import pytest
import torch

from scaae_nipype.model import Training
from scaae_nipype.model.network.parts import ASSUMED_SECONDS, calm, fit_parts
from scaae_nipype.model.runs import Volumes
from scaae_nipype.model.training.train import train_model, train_on_caches
from scaae_nipype.model.training.volumes import write_cache
from scaae_nipype.preparation import PreparedRun

N_VOXELS = 300


@pytest.fixture(scope="module")
def every_second():
    """Give three runs of two networks that come and go, sampled once a second: (240, N_VOXELS) each."""
    random = np.random.default_rng(0)
    networks = np.zeros((2, N_VOXELS))
    networks[0, :70], networks[1, 120:180] = 1, 1
    runs = []
    for _ in range(3):
        courses = np.zeros((240, 2))
        for second in range(1, 240):
            courses[second] = 0.85 * courses[second - 1] + random.standard_normal(2)
        noisy = courses @ networks + 2 * random.standard_normal((240, N_VOXELS))
        runs.append(((noisy - noisy.mean(axis=0)) / noisy.std(axis=0)).astype(np.float32))
    return runs


def fit(runs, seconds):
    tensors = [torch.from_numpy(np.ascontiguousarray(run)) for run in runs]
    return fit_parts(tensors, seconds, smooth=lambda rows: rows, adjoint=lambda rows: rows)


def test_neighbours_are_those_of_so_many_seconds():
    """A slow course, smoothed, is the same whether it is sampled at 1 or at 2 s; a gap leaves what is there."""
    seconds = np.arange(101.0)
    course = torch.from_numpy(np.sin(seconds / 9)[:, None]).float()
    found, coarse = calm(course, seconds), calm(course[::2], seconds[::2])
    assert found[30:71:2] == pytest.approx(coarse[15:36], abs=1e-3)
    kept = (seconds < 40) | (seconds > 70)
    with_gap = calm(course[kept], seconds[kept])
    assert float(with_gap[39]) == pytest.approx(float(calm(course[:40], seconds[:40])[39]), abs=1e-6)
    constant = torch.full((3, 1), 2.0)
    assert calm(constant, np.array([0.0, 0.7, 5.6])) == pytest.approx(constant)


def test_a_run_at_one_second_says_what_it_says_at_two(every_second):
    """Noise is fresh in every volume, so that a second is worth the more volumes the more it has of them."""
    fine = fit(every_second, [np.arange(240.0)] * 3)
    coarse = fit([run[::2] for run in every_second], [2.0 * np.arange(120)] * 3)
    as_if_two = fit(every_second, [2.0 * np.arange(240)] * 3)
    alike = (fine.maps[:2] @ coarse.maps[:2].T).det().abs()
    assert float(alike) > 0.9
    # three seconds later and four seconds later: 0.85 to the power of them
    assert float((fine.persistence[:2] / coarse.persistence[:2]).mean()) == pytest.approx(1 / 0.85, abs=0.1)
    assert float((as_if_two.persistence[:2] / coarse.persistence[:2]).mean()) == pytest.approx(1 / 0.85**2, abs=0.15)
    assert (fine.repetition_time, coarse.repetition_time) == (1.0, 2.0)
    assert float(coarse.about[9 + 1] - fine.about[9 + 1]) == pytest.approx(np.log(2), abs=1e-6)


def test_every_run_has_its_own_repetition_time(every_second):
    runs = [every_second[0], every_second[1][::2], every_second[2][::3]]
    seconds = [np.arange(240.0), 2.0 * np.arange(120), 3.0 * np.arange(80)]
    fitted = fit(runs, seconds)
    alike = (fitted.maps[:2] @ fit(every_second, [np.arange(240.0)] * 3).maps[:2].T).det().abs()
    assert float(alike) > 0.9
    expected = np.exp((120 * np.log(2) + 80 * np.log(3)) / 440)  # the mean over volumes
    assert fitted.repetition_time == pytest.approx(expected)


def test_a_gap_is_no_neighbourhood(every_second):
    """Left out in pieces, a run gives much of what it gives whole; closed up, its ends would be neighbours."""
    kept = np.arange(240) % 40 < 31
    whole = fit(every_second, [np.arange(240.0)] * 3)
    some = fit([run[kept] for run in every_second], [np.flatnonzero(kept) * 1.0] * 3)
    assert float((some.maps[:2] @ whole.maps[:2].T).det().abs()) > 0.95
    assert some.persistence[:2].numpy() == pytest.approx(whole.persistence[:2].numpy(), abs=0.1)
    assert some.repetition_time == 1.0


def test_what_is_not_known_is_taken_as_two_seconds_and_the_card_says_so(vectors, grid, tmp_path):
    known = write_cache(vectors, tmp_path / "known.npy", ASSUMED_SECONDS * np.arange(len(vectors)))
    unknown = write_cache(vectors, tmp_path / "unknown.npy")
    models = [
        train_on_caches([path], grid, training=Training(), work_dir=tmp_path / path.stem)[0]
        for path in (known, unknown)
    ]
    for name, tensor in models[0].network.state_dict().items():
        assert torch.equal(tensor, models[1].network.state_dict()[name]), name
    contexts = [model.card["Context"] for model in models]
    assert [context["RepetitionTime"] for context in contexts] == [2.0, 2.0]
    assert [context.get("RunsOfAssumedRepetitionTime") for context in contexts] == [None, 1]


def test_the_repetition_time_of_a_run_reaches_the_fit_whatever_it_comes_as(vectors, grid):
    everything = np.ones(len(vectors), dtype=bool), np.ones(grid.n_voxels, dtype=bool)
    kept = everything[0].copy()
    kept[4] = False
    prepared = PreparedRun(vectors, everything[1], pd.DataFrame({"kept": kept.astype(int)}), 0.8, {}, grid)
    image = grid.image(vectors, 0.8)
    ways = (prepared, Volumes(vectors[kept], kept, everything[1], 0.8), image)
    times = [train_model([run], grid=grid).card["Context"]["RepetitionTime"] for run in ways]
    assert times == [0.8, 0.8, 0.8]
    assert train_model([vectors, prepared], grid=grid).card["Context"]["RunsOfAssumedRepetitionTime"] == 1
