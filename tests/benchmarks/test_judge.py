"""Bounds, planted data, chance, scores and the guard of the seeds: each against what is known beforehand."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from benchmarks.judge.bounds import BOUNDS, amplitudes
from benchmarks.judge.chance import elsewhere, kept_ranks
from benchmarks.judge.plants import (
    LEVELS,
    Plant,
    haemodynamic_response,
    harder,
    other_noise,
    person,
    planted,
    population,
)
from benchmarks.judge.runs import Run, smooth_space
from benchmarks.judge.scores import SCORES, Target, above_chance, judge_maps
from benchmarks.judge.seeds import SeedError, choose_settings, others_of, summarise
from benchmarks.planted import PlantedRun, grid_of_model
from benchmarks.recovery_scores import score_maps
from scaae_nipype.grid import Grid
from scaae_nipype.simulation import PlantedNetworks, simulate_run

pytestmark = pytest.mark.xdist_group("judge")  # networks of the second generator are made once in a process


@pytest.fixture(scope="module")
def grid() -> Grid:
    """Make an ellipsoid of some 2,000 voxels of 10 mm."""
    shape = np.array([16, 18, 14])
    away = (np.indices(shape).T - (shape - 1) / 2) / (shape / 2)
    return Grid(np.diag([10.0, 10, 10, 1]), (away**2).sum(axis=-1).T < 1)


@pytest.fixture(scope="module")
def run(grid) -> PlantedRun:
    """Plant four smooth patches, one at a time; the data is noise-free."""
    rng = np.random.default_rng(0)
    maps = np.maximum(smooth_space(rng.standard_normal((4, grid.n_voxels)), grid, 15.0), 0)
    maps = np.where(maps > np.quantile(maps, 0.9, axis=1, keepdims=True), maps, 0)
    maps /= maps.max(axis=1, keepdims=True)
    states = np.repeat(rng.permutation(np.arange(40) % 4), 3)
    bold = np.eye(4)[states] + 0.1 * rng.random((120, 4))
    truth = bold.astype("f4") @ maps
    networks = PlantedNetworks(grid, maps, ("a", "b", "c", "d"))
    return PlantedRun(truth, truth, networks, bold, states)


@pytest.mark.parametrize("name", ["linear", "non-negative"])
def test_bounds_reach_one_without_noise(name, run, grid):
    given = BOUNDS[name][""](Run(run.data, grid, 2.0), run.networks.maps)
    assert np.allclose(given, run.truth, atol=1e-4)
    scores = judge_maps(given, Target(run))
    assert scores["r"] == pytest.approx(1)
    assert scores["state_accuracy"] == pytest.approx(1)
    assert scores["transition_error"] == pytest.approx(0)
    # the planted networks are what is above 0.3 of each volume's own maximum: the truth itself ranks them perfectly
    assert scores["average_precision"] == pytest.approx(1, abs=1e-3)
    assert scores["size_matched_iou"] == pytest.approx(1, abs=2e-3)


def test_bound_with_time_smooths_the_known_amplitudes(run, grid):
    plain = amplitudes(Run(run.data, grid, 2.0), run.networks.maps, non_negative=False)
    smooth = amplitudes(Run(run.data, grid, 2.0), run.networks.maps, non_negative=True, sigma_time=3.0)
    assert np.allclose(plain, run.bold, atol=1e-4)
    assert smooth.min() >= 0
    assert np.abs(np.diff(smooth, axis=0)).max() < 0.5 * np.abs(np.diff(plain, axis=0)).max()


def test_non_negative_bound_gives_nothing_where_a_network_is_below_its_mean(run, grid):
    given = amplitudes(Run(-run.data, grid, 2.0), run.networks.maps, non_negative=True)
    assert np.abs(given).max() < 1e-6


def test_scores_are_those_of_the_recovery_benchmark(run, grid):
    rng = np.random.default_rng(1)
    noisy = run.data + rng.standard_normal(run.data.shape, dtype="f4")
    branches = np.stack([noisy, -smooth_space(noisy, grid, 8.0)])
    for maps in (branches, np.round(np.maximum(branches[:1], 0) * 2)):  # with many ties too
        expected = score_maps(maps, run)
        found = judge_maps(maps, Target(run))
        for name in SCORES:
            if not name.startswith("below"):
                assert found[name] == pytest.approx(expected[name], abs=1e-5), name
        assert (found["branch"], found["sign"]) == (expected["branch"], expected["sign"])


def test_both_poles_are_scored_as_in_the_recovery_benchmark(run):
    signed = replace(run, truth=run.truth - np.roll(run.truth, 30, axis=0))
    maps = signed.truth + np.random.default_rng(2).standard_normal(signed.truth.shape, dtype="f4")
    expected = score_maps(maps[None], signed, both_poles=True)
    found = judge_maps(maps, Target(signed), both_poles=True)
    for name in ("below_r", "below_average_precision", "below_size_matched_iou"):
        assert found[name] == pytest.approx(expected[name], abs=1e-5), name


def test_smoothing_alone_raises_a_score_and_chance_takes_it_back(run, grid):
    """Noise that has nothing to do with the planted networks: smoother maps score higher, not higher above chance."""
    ranks = kept_ranks(run.networks.maps, grid, n_surrogates=20)
    surrogates = [Target(moved) for moved in elsewhere(run, ranks)]
    raw, above = {}, {}
    for sigma in (4.0, 25.0):
        found = []
        for seed in range(3):
            noise = np.random.default_rng(seed).standard_normal(run.data.shape, dtype="f4")
            found.append(judge_maps(smooth_space(noise, grid, sigma), Target(run), surrogates))
        raw[sigma] = np.mean([scores["average_precision"] for scores in found])
        above[sigma] = np.mean([above_chance(scores, "average_precision") for scores in found])
    assert raw[25.0] > raw[4.0] + 0.01
    assert abs(above[4.0]) < 0.01
    assert abs(above[25.0]) < 0.025


def test_surrogates_are_as_large_and_as_strong_as_the_networks(run, grid):
    moved = elsewhere(run, kept_ranks(run.networks.maps, grid, n_surrogates=3))
    for one in moved:
        assert np.array_equal(np.sort(one.networks.maps, axis=1), np.sort(run.networks.maps, axis=1))
        assert np.allclose(one.truth, run.bold.astype("f4") @ one.networks.maps, atol=1e-4)
        assert not np.array_equal(one.networks.maps, run.networks.maps)


def test_a_map_that_says_nothing_counts_as_nothing(run):
    half = run.truth.copy()
    half[::4] = 0  # every second of the scored volumes
    assert judge_maps(half, Target(run))["r"] == pytest.approx(0.5, abs=0.01)


def test_truth_itself_is_far_above_chance(run, grid):
    surrogates = [Target(moved) for moved in elsewhere(run, kept_ranks(run.networks.maps, grid, n_surrogates=5))]
    scores = judge_maps(run.truth, Target(run), surrogates)
    assert above_chance(scores, "average_precision") > 0.7
    assert above_chance(scores, "state_accuracy") > 0.4
    assert above_chance(scores, "transition_error") > 0.05


def table(seeds: list[int]) -> pd.DataFrame:
    rows = [("a", "x", 0.2), ("a", "y", 0.6), ("b", "z", 0.1)]
    return pd.DataFrame([{"seed": s, "family": f, "setting": n, "r": v} for s in seeds for f, n, v in rows])


def test_settings_are_chosen_on_tuning_seeds_only():
    assert choose_settings(table([0, 9]), "r") == {"a": "y", "b": "z"}
    assert choose_settings(table([0, 9]), "r", lowest=True) == {"a": "x", "b": "z"}
    for seed in (10, 19, 20, 100):
        with pytest.raises(SeedError, match=str(seed)):
            choose_settings(table([0, seed]), "r")


def test_only_seeds_from_twenty_on_are_reported():
    assert summarise(table([20, 21]), ["family"], ["r"]).loc["b", ("r", "mean")] == pytest.approx(0.1)
    for seed in (0, 9, 10, 19, 100):
        with pytest.raises(SeedError, match=str(seed)):
            summarise(table([20, seed]), ["family"], ["r"])


def test_small_studies_differ_between_seeds_and_never_hold_the_scored_run():
    assert len({others_of(seed, 3) for seed in range(20, 28)}) == 8
    assert all(other >= 100 for seed in range(30) for n in (1, 3, 24) for other in others_of(seed, n))
    with pytest.raises(SeedError, match="24 other runs"):
        others_of(0, 25)


def test_both_generators_are_in_every_level():
    for plants in LEVELS.values():
        assert {plant.generator for plant in plants} == {"regions", "parcels"}
        assert len({plant.key for plant in plants}) == len(plants)


def test_networks_of_the_second_generator_are_not_bilateral():
    networks = population("parcels")
    volumes = networks.grid.volumes(networks.maps)
    x = 96 - 4 * np.arange(volumes.shape[1])
    mirrored = np.zeros_like(volumes)
    there = [int((96 + value) / 4) for value in x]
    inside = [n for n, place in enumerate(there) if 0 <= place < volumes.shape[1]]
    mirrored[:, inside] = volumes[:, [there[n] for n in inside]]
    mask = networks.grid.mask
    for own, mirror in zip(volumes, mirrored, strict=True):
        assert np.corrcoef(own[mask], mirror[mask])[0, 1] < 0.1
    assert (networks.densities > 0.02).all()
    assert (networks.densities < 0.13).all()


@pytest.mark.parametrize("generator", ["regions", "parcels"])
def test_networks_lie_elsewhere_in_another_person(generator):
    moved, shared = person(Plant(generator, place=6.0), 20), population(generator)
    assert np.allclose(moved.maps.max(axis=1), 1)
    near = [np.corrcoef(a, b)[0, 1] for a, b in zip(moved.maps, shared.maps, strict=True)]
    assert 0.3 < np.mean(near) < 0.97


def test_people_differ_in_extent_and_strength_as_asked():
    shared = population("parcels")
    wide, other = (person(Plant("parcels", spread=0.3), seed) for seed in (20, 21))
    assert ((wide.maps.max(axis=1) >= 0.7) & (wide.maps.max(axis=1) <= 1.3)).all()
    assert np.abs(wide.densities / shared.densities - 1).max() > 0.2
    assert not np.array_equal(other.maps, wide.maps)
    assert np.array_equal(person(Plant("parcels"), 20).maps, shared.maps)


def test_planted_runs_of_people_who_differ_are_what_they_say():
    plant = harder("parcels")
    run = planted(plant, 20)
    assert 0.7 <= run.repetition_time <= 3
    assert np.allclose(run.truth, plant.snr * run.bold.astype("f4") @ run.networks.maps, atol=1e-5)
    assert np.allclose(run.data.std(axis=0, ddof=1), 1, atol=1e-3)
    assert np.array_equal(run.states, run.bold.argmax(axis=1))
    # what is planted is in the data
    maps = run.networks.maps - run.networks.maps.mean(axis=1, keepdims=True)
    found = run.data @ np.linalg.pinv(maps)
    assert np.mean([np.corrcoef(a, b)[0, 1] for a, b in zip(found.T, run.bold.T, strict=True)]) > 0.2


def test_default_haemodynamic_response_is_the_simulators():
    from nilearn.glm.first_level.hemodynamic_models import spm_hrf

    theirs = spm_hrf(0.5, oversampling=1)[1:]  # which starts one step late
    ours = haemodynamic_response(0.5)[: len(theirs)]
    assert np.corrcoef(ours, theirs)[0, 1] > 0.999


def test_full_level_crosses_signal_people_and_regimes():
    plants = LEVELS["full"]
    assert {plant.snr for plant in plants} == {0.25, 0.5, 1.0}
    assert {plant.place for plant in plants} == {0.0, 3.0, 6.0}
    assert {plant.regime for plant in plants} == {"exclusive", "mixture", "stationary", "deactivations"}
    assert grid_of_model().n_voxels > 25_000


@pytest.mark.reference
def test_residuals_of_people_are_noise_as_strong_and_as_slow_as_asked(shared):
    plant = replace(harder("parcels"), noise="residuals")
    run = simulate_run(grid=grid_of_model(), seed=20, n_volumes=60, snr=0)
    noise = other_noise(plant.noise, run, np.random.default_rng(0))
    assert noise.std() == pytest.approx(1, abs=0.01)
    lagged = (noise[1:] * noise[:-1]).mean() / (noise**2).mean()
    assert 0.15 < lagged < 0.35  # 0.3 of nine tenths, less what removing the mean takes
