"""One run: SNR as defined, seeds, additivity, and confounds that belong to the volumes."""

import numpy as np
import pandas as pd
import pytest

from scaae_nipype.errors import UsageError
from scaae_nipype.simulation import NOISE_SD, REGIMES, RunSettings, fit_tissues, simulate_run, source_grid
from scaae_nipype.simulation.confounds_table import confounds_table
from scaae_nipype.simulation.motion import MOTION_PARAMETERS

QUIET = {"drift": 0, "global_signal": 0, "head_motion": 0}


@pytest.mark.parametrize("snr", [0.25, 0.5, 1.0])
def test_snr_is_the_plateau_at_the_peak_over_the_noise(head, networks, snr):
    run = simulate_run(grid=head, networks=networks, seed=0, snr=snr, mean_dwell=60, n_volumes=200, **QUIET)
    unsmoothed = run.bold() - run.baseline
    planted = NOISE_SD * run.planted()
    assert (unsmoothed - planted).std() == pytest.approx(NOISE_SD, rel=0.02)
    for network in range(len(networks)):
        settled = np.abs(run.time_courses.bold[:, network] - 1) < 0.01
        if settled.any():
            peak = networks.maps[network].argmax()
            assert planted[settled, peak] == pytest.approx(snr * NOISE_SD, rel=0.05)


def test_snr_zero_plants_nothing(head, networks):
    run = simulate_run(grid=head, networks=networks, seed=0, snr=0, n_volumes=10)
    assert (run.planted() == 0).all()


@pytest.mark.parametrize("regime", REGIMES)
def test_a_run_is_the_sum_of_its_parts(head, networks, regime):
    run = simulate_run(grid=head, networks=networks, seed=3, regime=regime, n_volumes=30, motion_spikes=2, n_dummies=2)
    parts = run.baseline + NOISE_SD * (run.planted() + run.nuisance() + run.noise)
    np.testing.assert_allclose(run.bold(), parts, rtol=1e-5)
    np.testing.assert_allclose(run.bold(slice(7, 9)), parts[7:9], rtol=1e-5)
    assert run.bold().min() > 3000  # positive, as intensities are
    assert 8500 < run.bold().mean() < 11_000
    assert len(run.nuisance_names) == run.nuisance_maps.shape[0] == run.nuisance_time_courses.shape[1]


def test_same_seed_same_run(head, networks):
    one, again, other = (
        simulate_run(grid=head, networks=networks, seed=seed, n_volumes=12, motion_spikes=1) for seed in (5, 5, 6)
    )
    np.testing.assert_array_equal(one.bold(), again.bold())
    pd.testing.assert_frame_equal(one.confounds, again.confounds)
    assert not np.allclose(one.noise, other.noise)
    assert not np.allclose(one.motion, other.motion)


def test_settings_change_only_their_own_part(head, networks):
    one = simulate_run(grid=head, networks=networks, seed=5, n_volumes=40)
    two = simulate_run(grid=head, networks=networks, seed=5, n_volumes=40, snr=1.0, drift=0, motion_spikes=1, ar1=0)
    np.testing.assert_array_equal(one.time_courses.bold, two.time_courses.bold)
    np.testing.assert_allclose(2 * one.planted(), two.planted(), rtol=1e-5)


def test_settings_and_changes_combine(head, networks):
    base = RunSettings(n_volumes=15, snr=0.25)
    run = simulate_run(grid=head, networks=networks, seed=0, settings=base, regime="mixture")
    assert run.settings == RunSettings(n_volumes=15, snr=0.25, regime="mixture")
    assert run.parameters()["regime"] == "mixture"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"regime": "chaos"}, "regime 'chaos' is unknown"),
        ({"n_volumes": 3}, "n_volumes is 3; it has to be 4 or more"),
        ({"repetition_time": 0}, "repetition_time is 0 s; it has to be above 0"),
        ({"snr": float("nan")}, "snr is nan"),
        ({"ar1": 1.0}, "ar1 is 1.0; it has to be below 1"),
        ({"drift": -1}, "drift is -1; it has to be 0 or more"),
        ({"n_dummies": 150}, "150 dummies in 150 volumes"),
        ({"motion_spikes": 100}, "150 volumes are too few for 100 motion spikes"),
        ({"transition_preference": 2}, "preference in 0-1"),
        ({"occupancy": (1, 2)}, "9 positive numbers"),
    ],
)
def test_impossible_settings_are_refused(head, networks, changes, message):
    with pytest.raises(UsageError, match=message):
        simulate_run(grid=head, networks=networks, seed=0, **changes)


def test_networks_of_another_grid_are_refused(networks):
    with pytest.raises(UsageError, match="another grid"):
        simulate_run(grid=source_grid(10), networks=networks, seed=0)


@pytest.fixture(scope="module")
def moving(head, networks):
    return simulate_run(
        grid=head, networks=networks, seed=2, n_volumes=120, motion_spikes=3, n_dummies=2, global_signal=0.6
    )


def test_confounds_have_fmripreps_columns(moving):
    columns = list(moving.confounds.columns)
    for name in (*MOTION_PARAMETERS, "global_signal", "white_matter", "csf"):
        for suffix in ("", "_derivative1", "_power2", "_derivative1_power2"):
            assert name + suffix in columns
    for name in ("framewise_displacement", "std_dvars", "dvars", "cosine00", "a_comp_cor_00", "c_comp_cor_02"):
        assert name in columns
    assert len(moving.confounds) == 120
    first_row = moving.confounds.iloc[0]
    missing = set(first_row.index[first_row.isna()])
    assert missing == {c for c in columns if "derivative1" in c} | {"framewise_displacement", "std_dvars", "dvars"}
    assert not moving.confounds.iloc[1:].isna().to_numpy().any()


def test_confounds_report_the_spikes_that_were_planted(moving):
    displacement = moving.confounds.framewise_displacement
    assert set(np.flatnonzero(displacement > 0.5)) == {*moving.spikes, *(moving.spikes + 1)}
    dvars = moving.confounds.std_dvars
    quiet = dvars.drop(index=[0, 1, 2, *moving.spikes, *(moving.spikes + 1), *(moving.spikes + 2)])
    assert quiet.max() < 1.3  # the global signal jumps a little
    assert (dvars[moving.spikes] > 1.2 * quiet.max()).all()
    outliers = moving.confounds.filter(like="motion_outlier")
    marked = np.flatnonzero(outliers.to_numpy().sum(axis=1))
    assert {*moving.spikes, *(moving.spikes + 1)} <= set(marked)
    assert (outliers.sum() == 1).all()


def test_confounds_are_the_means_of_the_volumes(moving, head):
    bold, tissues = moving.bold(), fit_tissues(head)
    np.testing.assert_allclose(moving.confounds.global_signal, bold.mean(axis=1), rtol=1e-5)
    np.testing.assert_allclose(moving.confounds.csf, bold[:, tissues.csf_mask].mean(axis=1), rtol=1e-5)
    np.testing.assert_allclose(
        moving.confounds.white_matter_derivative1[1:],
        np.diff(bold[:, tissues.white_mask].mean(axis=1, dtype=float)),
        atol=0.01,
    )
    expected = np.sqrt(((bold[9] - bold[8]) ** 2).mean())
    assert moving.confounds.dvars[9] == pytest.approx(expected, rel=1e-4)


def test_std_dvars_of_pure_noise_is_one(head, networks):
    run = simulate_run(grid=head, networks=networks, seed=0, snr=0, n_volumes=200, **QUIET)
    assert run.confounds.std_dvars[1:].mean() == pytest.approx(1, abs=0.03)


def test_cosines_are_orthogonal_and_slow(moving):
    cosines = moving.confounds.filter(like="cosine").to_numpy()
    assert cosines.shape[1] == int(2 * 240 * 0.008)
    gram = cosines.T @ cosines
    np.testing.assert_allclose(gram, np.diag(np.diag(gram)), atol=1e-8)
    np.testing.assert_allclose(cosines.sum(axis=0), 0, atol=1e-8)


def test_a_very_short_run_has_no_cosines(head, networks):
    run = simulate_run(grid=head, networks=networks, seed=0, n_volumes=10)
    assert run.confounds.filter(like="cosine").shape[1] == 0


def test_acompcor_finds_what_white_matter_and_csf_share(head):
    tissues = fit_tissues(head)
    rng = np.random.default_rng(0)
    shared = rng.standard_normal(80)
    bold = 10_000 + rng.standard_normal((80, head.n_voxels))
    bold[:, tissues.white_mask | tissues.csf_mask] += 3 * shared[:, None]
    still = pd.DataFrame(np.zeros((80, 6)), columns=list(MOTION_PARAMETERS))
    table, metadata = confounds_table(bold, tissues=tissues, motion=still, repetition_time=1.0)
    for name in ("a_comp_cor_00", "w_comp_cor_00"):
        assert abs(np.corrcoef(table[name], shared)[0, 1]) > 0.95
    assert metadata["a_comp_cor_00"]["Mask"] == "combined"
    assert metadata["w_comp_cor_00"]["Mask"] == "WM"
    assert metadata["a_comp_cor_00"]["VarianceExplained"] > 0.8
    shares = [metadata[f"a_comp_cor_0{n}"]["VarianceExplained"] for n in range(5)]
    assert shares == sorted(shares, reverse=True)
    assert metadata["a_comp_cor_04"]["CumulativeVarianceExplained"] == pytest.approx(sum(shares))


def test_dummies_are_brighter_and_marked(moving):
    mean = moving.bold().mean(axis=1)
    assert mean[0] > 1.15 * mean[5:].mean()
    assert mean[0] > mean[1] > mean[5:].mean()
    marks = moving.confounds.filter(like="non_steady_state_outlier")
    assert marks.shape[1] == 2
    np.testing.assert_array_equal(np.flatnonzero(marks.sum(axis=1)), [0, 1])


def test_the_24_motion_columns_explain_what_motion_did(head, networks):
    run = simulate_run(grid=head, networks=networks, seed=4, n_volumes=120, motion_spikes=2, snr=0, drift=0)
    motion = [index for index, name in enumerate(run.nuisance_names) if name == "motion"]
    damage = run.nuisance_time_courses[:, motion] @ run.nuisance_maps[motion]
    names = [name + s for name in MOTION_PARAMETERS for s in ("", "_derivative1", "_power2", "_derivative1_power2")]
    design = np.column_stack([np.ones(120), run.confounds[names].fillna(0)])
    left = damage - design @ np.linalg.lstsq(design, damage, rcond=None)[0]
    assert left.var() < 1e-4 * damage.var()
    assert damage.std(axis=0).max() > 0.1
