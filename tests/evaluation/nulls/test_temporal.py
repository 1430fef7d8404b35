from dataclasses import replace

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from scipy.stats import skew

from scaae_nipype.errors import InputError, UsageError
from scaae_nipype.evaluation import RULES
from scaae_nipype.evaluation.nulls.run_statistics import average_in_time, clarity, run_statistics
from scaae_nipype.evaluation.nulls.significance import deviations, group_p, maximum_p, own_p, share_as_large
from scaae_nipype.evaluation.nulls.surrogate_runs import PhaseSurrogates, fill_gaps, standardise
from scaae_nipype.evaluation.nulls.temporal import check_dynamics, temporal_null
from scaae_nipype.evaluation.templates.template_set import TemplateSet
from scaae_nipype.files import read_json, read_table
from scaae_nipype.grid import Grid

N_TEMPLATES = 4


@pytest.fixture(scope="module")
def templates():
    """Four slabs of a box that fill it."""
    grid = Grid(np.diag([4.0, 4, 4, 1]), np.ones((8, 8, 8), bool))
    volume = np.arange(8)[:, None, None] // 2 == np.arange(N_TEMPLATES)[:, None, None, None]
    binary = np.broadcast_to(volume, (N_TEMPLATES, 8, 8, 8)).reshape(N_TEMPLATES, -1).copy()
    return TemplateSet(("a", "b", "c", "d"), None, binary, "slabs", "labels", grid)


def coloured_noise(n_volumes, n_voxels, seed=0, ar1=0.5):
    rng = np.random.default_rng(seed)
    series = rng.standard_normal((n_volumes + 50, n_voxels))
    for t in range(1, len(series)):
        series[t] = ar1 * series[t - 1] + np.sqrt(1 - ar1**2) * series[t]
    return standardise(series[50:])


def identity(volumes):
    return volumes[None]


@pytest.mark.parametrize("n_volumes", [60, 61, 97])
def test_surrogates_keep_every_spectrum_and_cross_covariance(n_volumes):
    run = coloured_noise(n_volumes, 7) @ np.random.default_rng(1).standard_normal((7, 7))
    run = standardise(run)
    made = PhaseSurrogates(run, np.ones(n_volumes, bool)).draw(np.random.default_rng(2)).astype(float)
    assert np.abs(np.corrcoef(made[:, 0], run[:, 0])[0, 1]) < 0.5  # it is another series
    ours, theirs = np.fft.rfft(made, axis=0), np.fft.rfft(run, axis=0)
    scale = np.abs(theirs).max()
    np.testing.assert_allclose(np.abs(ours) / scale, np.abs(theirs) / scale, atol=1e-6)
    cross = np.einsum("fi,fj->fij", ours, ours.conj()) / scale**2
    np.testing.assert_allclose(cross, np.einsum("fi,fj->fij", theirs, theirs.conj()) / scale**2, atol=1e-6)
    for lag in (0, 1, 5):  # circular: that is what a Fourier transform keeps
        np.testing.assert_allclose(
            np.roll(made, lag, 0).T @ made / n_volumes, np.roll(run, lag, 0).T @ run / n_volumes, atol=1e-6
        )


def test_surrogates_lose_what_is_not_gaussian():
    run = np.zeros((200, 600))
    run[::10] = 5
    run = standardise(run + 0.1 * np.random.default_rng(0).standard_normal(run.shape))
    made = PhaseSurrogates(run, np.ones(200, bool)).draw(np.random.default_rng(1))
    skewness = [float(((x - x.mean()) ** 3).mean() / x.std() ** 3) for x in (run.mean(1), made.mean(1))]
    assert skewness[0] > 2
    assert abs(skewness[1]) < 0.6


def test_dummies_are_dropped_gaps_are_interpolated_and_left_out_again():
    kept = np.ones(60, bool)
    kept[[0, 1, 2, 20, 21, 40]] = False
    run = coloured_noise(60, 5)[kept]
    surrogates = PhaseSurrogates(run, kept)
    made = surrogates.draw(np.random.default_rng(0))
    assert made.shape == run.shape
    assert surrogates._span == 57
    np.testing.assert_allclose(made.mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(made.std(axis=0, ddof=1), 1, atol=1e-6)
    filled = fill_gaps(run, kept)
    np.testing.assert_allclose(filled[kept[3:]], run)
    before, after = run[16], run[17]  # volumes 19 and 22
    np.testing.assert_allclose(filled[17], before + (after - before) / 3)


def test_the_seed_decides():
    run = coloured_noise(40, 3)
    surrogates = PhaseSurrogates(run, np.ones(40, bool))
    first, again, other = (surrogates.draw(np.random.default_rng(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 0.5


def test_surrogates_of_a_censored_run_have_its_power():
    kept = np.ones(80, bool)
    kept[5:75:4] = False
    run = coloured_noise(80, 400)[kept]

    def power(series):
        return (np.abs(np.fft.rfft(fill_gaps(series, kept), axis=0)) ** 2).mean(axis=1)

    def off(surrogates, n):
        made = [power(surrogates.draw(np.random.default_rng(seed))) for seed in range(n)]
        return np.abs(np.mean(made, axis=0) - power(run)).sum() / power(run).sum()

    surrogates = PhaseSurrogates(run, kept)
    with_gain = off(surrogates, 300)
    surrogates._gain[:] = 1  # interpolation takes fast changes out twice
    assert with_gain < 0.04 < 0.08 < off(surrogates, 300)


def test_the_gain_is_one_where_nothing_was_censored():
    run = coloured_noise(61, 200)
    np.testing.assert_array_equal(PhaseSurrogates(run, np.ones(61, bool))._gain, 1)


@pytest.mark.parametrize(
    ("kept", "message"),
    [
        (np.arange(60) < 15, "only 15 volumes are kept and it needs 20"),
        (np.arange(80) % 3 == 0, "53 of 79 volumes were censored|52 of 79 volumes were censored"),
    ],
)
def test_runs_without_enough_volumes_are_refused(kept, message):
    with pytest.raises(InputError, match=message):
        PhaseSurrogates(np.zeros((kept.sum(), 3)), kept)


def test_a_running_mean_never_crosses_a_gap():
    kept = np.array([1, 1, 1, 0, 1, 1, 1], bool)
    maps = np.array([0.0, 0, 0, 1, 1, 1])[:, None]
    np.testing.assert_array_equal(average_in_time(maps, kept, 3), maps)


def test_statistics_are_blind_to_the_scale_of_a_volume(templates):
    run = coloured_noise(40, templates.grid.n_voxels)
    kept = np.ones(40, bool)
    factors = np.random.default_rng(0).uniform(0.2, 5, (40, 1))
    options = {"rule": RULES["calibrated"], "repetition_time": 2.0}
    plain, scaled = (run_statistics(maps, kept, templates, **options) for maps in (run, factors * run))
    assert plain.keys() == scaled.keys()
    for key, value in plain.items():
        np.testing.assert_allclose(scaled[key], value, rtol=1e-4, err_msg=str(key))


def test_clarity_is_the_lead_of_the_best_template_and_how_rarely_each_is_high():
    kept = np.ones(8, bool)
    rare = np.array([1.0, 0, 0, 0, 0, 0, 0, 0])
    found = clarity(np.stack([rare, np.full(8, 0.25)], axis=1), kept, repetition_time=20.0)
    assert found["margin"] == found["margin_averaged"] == pytest.approx((0.75 + 7 * 0.25) / 8)  # nothing is averaged
    assert found["skewness"] == pytest.approx(skew(rare))  # the other is constant and has none
    turned = clarity(-rare[:, None], kept, repetition_time=20.0)
    assert turned == {"skewness": pytest.approx(-skew(rare)), "skewness_averaged": pytest.approx(-skew(rare))}
    averaged = clarity(rare[:, None], kept, repetition_time=2.0)["skewness_averaged"]
    assert averaged == pytest.approx(skew([3 / 5, 2 / 5, 1 / 5, 0, 0, 0, 0, 0]))


def test_clarity_knows_no_constant_map_and_no_template_without_an_edge(templates):
    maps = coloured_noise(40, templates.grid.n_voxels)
    maps[7] = 3.0
    options = {"rule": RULES["calibrated"], "repetition_time": 2.0}
    plain = run_statistics(maps, np.ones(40, bool), templates, **options)
    more = np.stack([*templates.binary, np.ones(512, bool), np.zeros(512, bool)])
    names = (*templates.names, "all", "none")
    found = run_statistics(maps, np.ones(40, bool), replace(templates, names=names, binary=more), **options)
    own = [key for key in plain if key[0] == "clarity"]
    assert len(own) == 4 and all(np.isfinite(plain[key]) and found[key] == plain[key] for key in own)


def test_p_values_are_exact_shares():
    assert share_as_large(np.array([5.0]), np.array([5.0, *range(5), *[0.0] * 14]))[0] == 0.05  # 1 of 20
    values = np.array([[3.0, 0.0], [0, 3], [0, 0], [0, 0]])
    deviated = deviations(values)
    np.testing.assert_array_equal(own_p(deviated), [0.25, 1.0])
    np.testing.assert_array_equal(maximum_p(deviated), [0.5, 1.0])  # the other column has a value as extreme


def test_the_maximum_statistic_keeps_the_familys_level():
    rng = np.random.default_rng(0)
    rejected = [(maximum_p(deviations(rng.standard_normal((20, 12)) ** 3)) <= 0.05).any() for _ in range(2000)]
    assert np.mean(rejected) == pytest.approx(0.05, abs=0.012)


def test_the_mean_of_a_group_keeps_its_level_and_looks_upward_only():
    rng = np.random.default_rng(1)
    groups = np.repeat(["fbn1", "fbn2"], 4)
    together = np.repeat(rng.standard_normal((2000, 20, 2)), 4, axis=2)
    rows = together + rng.standard_normal((2000, 20, 8)) ** 3
    rejected = [(group_p(deviations(row), groups) <= 0.05).any() for row in rows]
    assert np.mean(rejected) == pytest.approx(0.05, abs=0.012)
    rows[0, 0] = -100
    assert group_p(deviations(rows[0]), groups).min() == 1


def exclusive_run(templates, n_volumes, seed, gain=1.0):
    rng = np.random.default_rng(seed)
    states = np.repeat(rng.integers(N_TEMPLATES, size=n_volumes // 6 + 1), 6)[:n_volumes]
    noise = coloured_noise(n_volumes, templates.grid.n_voxels, seed)
    return standardise(gain * templates.binary[states] + noise)


def test_white_noise_is_rarely_rejected(templates):
    kept = np.ones(60, bool)
    p = [
        temporal_null(
            coloured_noise(60, templates.grid.n_voxels, seed, ar1=0.3),
            kept,
            identity,
            templates,
            repetition_time=2.0,
            n_surrogates=19,
            seed=seed,
        ).p
        for seed in range(20)
    ]
    assert sum(value <= 0.05 for value in p) <= 4  # more happens once in 400 times at a level of 5 %
    assert len(set(p)) > 5


def test_planted_states_are_found_and_the_table_says_where(templates):
    kept = np.ones(120, bool)
    kept[[30, 31, 70]] = False
    volumes = exclusive_run(templates, 120, seed=3)[kept]
    null = temporal_null(volumes, kept, identity, templates, repetition_time=2.0, n_surrogates=39)
    assert null.p == 1 / 40
    table = null.table.set_index(["family", "statistic"])
    assert table.loc[("clarity", "margin_averaged"), "z"] > 3
    assert table.loc[("clarity", "skewness_averaged"), "z"] > 2
    assert (table["p_corrected"].dropna() >= null.p).all()
    assert (table["p_corrected"].dropna() >= table["p_family"].dropna()).all()
    assert set(table.loc["transitions"].index) == {f"{i} > {j}" for i in "abcd" for j in "abcd" if i != j}
    assert table.loc["gradual_change", "z"].abs().max() < 4  # the spectrum is kept


@pytest.mark.parametrize("seed", [3, 4, 5])
def test_planted_states_are_found_through_a_network_that_makes_every_map_clear(templates, seed):
    """Its maps are close to one template in any mixture: how closely, tells a run from its surrogates poorly."""

    def sharpened(volumes):
        strength = volumes @ templates.binary.T / np.sqrt(templates.binary.sum(axis=1))
        share = np.exp(3 * (strength - strength.max(axis=1, keepdims=True)))
        return (share @ templates.binary + 0.05 * volumes / np.abs(volumes).max())[None]

    volumes, kept = exclusive_run(templates, 120, seed, gain=0.3), np.ones(120, bool)
    null = temporal_null(volumes, kept, sharpened, templates, repetition_time=2.0, n_surrogates=39, seed=seed)
    table = null.table.set_index(["family", "statistic"])
    assert null.p == 1 / 40
    assert table.loc["clarity", "z"].mean() > 3


def test_nothing_found_in_the_tested_family_means_nothing_corrected_below_it(templates):
    kept = np.ones(60, bool)
    null = temporal_null(
        coloured_noise(60, templates.grid.n_voxels, 5), kept, identity, templates, repetition_time=2.0, n_surrogates=19
    )
    assert (null.table["p_corrected"].dropna() >= null.p).all()


def test_too_few_surrogates_and_no_templates_are_refused(templates):
    run, kept = coloured_noise(40, templates.grid.n_voxels), np.ones(40, bool)
    with pytest.raises(UsageError, match="18 surrogates cannot give p <= 0"):
        temporal_null(run, kept, identity, templates, repetition_time=2.0, n_surrogates=18)
    empty = TemplateSet(("a",), None, np.zeros((1, 512), bool), "none", "labels", templates.grid)
    with pytest.raises(UsageError, match="No template has a voxel"):
        temporal_null(run, kept, identity, empty, repetition_time=2.0, n_surrogates=19)


@pytest.fixture
def files(templates, tmp_path):
    kept = np.ones(60, int)
    kept[[0, 1, 30]] = 0
    grid = templates.grid
    run = coloured_noise(60, grid.n_voxels).astype("f4") * kept[:, None]
    labels = grid.volumes((np.arange(N_TEMPLATES)[:, None] * templates.binary).sum(0) + 1).astype("i2")
    nib.save(grid.image(run, 2.0), tmp_path / "run.nii.gz")
    nib.save(nib.Nifti1Image(labels, grid.affine), tmp_path / "templates.nii.gz")
    grid.save(tmp_path / "mask.nii.gz")
    pd.DataFrame({"kept": kept}).to_csv(tmp_path / "samples.tsv", sep="\t", index=False)
    return {
        "in_file": tmp_path / "run.nii.gz",
        "in_mask": tmp_path / "mask.nii.gz",
        "in_samples": tmp_path / "samples.tsv",
        "grid_mask": tmp_path / "mask.nii.gz",
        "templates": tmp_path / "templates.nii.gz",
    }


def test_the_step_says_its_cost_first_and_marks_runs_the_model_knows(files, tmp_path):
    said = []
    table, metadata = check_dynamics(
        network=lambda volumes: np.stack([volumes, -volumes]),
        **files,
        n_surrogates=19,
        seed=4,
        in_sample=True,
        report=said.append,
        out_dir=tmp_path,
    )
    assert said[0].startswith("Temporal null: 19 surrogates of 57 volumes at ")
    rows, about = read_table(table), read_json(metadata)
    assert set(rows["method"]) == {"fbn1", "fbn2"}
    assert set(rows["in_sample"]) == {"yes"}
    assert (about["Seed"], about["NumberOfSurrogates"], about["InSample"]) == (4, 19, "yes")
    assert about["NumberOfCensoredVolumesInterpolated"] == 1
    assert "not stationary, linear and Gaussian" in about["Meaning"].replace("is not", "not")
    assert "fitted to this run" in about["Warnings"][-1]
    assert about["P"] == pytest.approx(rows.loc[rows["family"] == "clarity", "p_family"].min())


def test_a_run_whose_noise_changes_is_said_to_beside_its_p(files, tmp_path):
    def stationarity(**more):
        options = {"network": lambda volumes: volumes[None], "n_surrogates": 19, "out_dir": tmp_path}
        about = read_json(check_dynamics(**files, **more, **options).metadata)
        return about["Stationarity"], [text for text in about["Warnings"] if "noise of this run changes" in text]

    found, said = stationarity()
    assert found["P"] > 0.05 and found["Motion"] is None and not said
    image = nib.load(files["in_file"])
    louder = np.where(np.arange(60) < 35, 1.0, 1.7)
    nib.save(nib.Nifti1Image((image.get_fdata() * louder).astype("f4"), image.affine, image.header), files["in_file"])
    samples = read_table(files["in_samples"]).assign(framewise_displacement=0.1 * louder)
    samples.loc[0, "framewise_displacement"] = np.nan
    samples.to_csv(files["in_samples"], sep="\t", index=False, na_rep="n/a")
    found, said = stationarity()
    assert found["P"] <= 0.05 and len(said) == 1
    assert abs(found["Variance"]["Volume"] - 35) <= 2 and found["Variance"]["After"] > 2 * found["Variance"]["Before"]
    assert (found["Motion"]["Before"], found["Motion"]["After"]) == (0.1, 0.17)


@pytest.mark.parametrize(
    ("dropped", "reason"),
    [
        (slice(15, None), "only 13 volumes are kept and it needs 20"),
        (np.arange(60) % 3 > 0, "of 58 volumes were censored"),
    ],
)
def test_a_run_with_too_few_volumes_goes_without_its_temporal_null(files, tmp_path, dropped, reason):
    table = read_table(files["in_samples"])
    table.loc[dropped, "kept"] = 0
    if isinstance(dropped, np.ndarray):
        table.loc[:1, "kept"] = 1
    table.to_csv(files["in_samples"], sep="\t", index=False)

    def network(volumes):
        raise AssertionError("nothing is computed")

    made, metadata = check_dynamics(network=network, **files, n_surrogates=19, in_sample=True, out_dir=tmp_path)
    rows, about = read_table(made), read_json(metadata)
    assert rows.empty and {"method", "family", "z", "p_corrected", "in_sample"} <= set(rows)
    (warning,) = about["Warnings"]
    assert warning.startswith("The temporal null of this run was left out: ") and reason in warning
    assert "`fd_threshold`" in warning
    assert (about["P"], about["Rejected"], about["InSample"]) == (None, None, "yes")
