import numpy as np
import pandas as pd
import pytest

from scaae_nipype.errors import UsageError
from scaae_nipype.evaluation import BASELINES, choose_on_other_runs, make_baselines, scale
from scaae_nipype.grid import Grid


@pytest.fixture(scope="module")
def made():
    """Every baseline of one small run."""
    rng = np.random.default_rng(0)
    region = Grid(np.diag([4.0, 4, 4, 1]), np.ones((9, 9, 9), bool))
    networks = np.zeros((4, 9, 9, 9))
    networks[0, :3, :4], networks[1, 3:6, 2:7], networks[2, 6:, 4:], networks[3, 4:, :2] = 1, 1, 1, 1
    volumes = 3 * rng.standard_normal((50, 4)) @ region.vectors(networks) + rng.standard_normal((50, 729))
    volumes = ((volumes - volumes.mean(axis=0)) / volumes.std(axis=0)).astype("f4")
    candidates = make_baselines(
        list(BASELINES),
        volumes,
        region,
        repetition_time=2.0,
        features=rng.standard_normal((50, 6)),
        context=lambda run: run @ np.ones((729, 729), "f4") + run,
        group_pca=lambda run: 2 * run,
        untrained=lambda run: np.stack([np.maximum(run, 0), np.maximum(-run, 0)]),
        n_components=4,
    )
    return volumes, {one.method: one for one in candidates}


def test_every_baseline_is_there_under_its_own_name(made):
    filters = [f"{kind}_{sigma}mm" for sigma in (4, 8, 12, 16, 20) for kind in ("smoothed", "smoothed_squared")]
    assert list(made[1]) == [
        *("volume", "volume_negated", *filters, "context", "context_negated"),
        *("group_pca", "group_pca_negated", "pca_projection", "cap_centroid"),
        *("canica", "ica_projection", "dictionary_learning", "sliding_window_ica", "encoder_lasso"),
        *("untrained_fbn1", "untrained_fbn2"),
    ]


def test_maps_of_volumes_go_through_equation_9_and_components_do_not(made):
    volumes, candidates = made
    for name, one in candidates.items():
        assert one.signed.shape == one.display.shape
        if one.per_volume:
            assert len(one.signed) == len(volumes)
        else:
            assert one.display is one.signed
        if one.per_volume and not name.startswith("smoothed_squared"):
            np.testing.assert_array_equal(one.display, scale(one.signed))
    np.testing.assert_array_equal(candidates["volume_negated"].signed, -volumes)
    squared, smoothed = candidates["smoothed_squared_8mm"], candidates["smoothed_8mm"]
    np.testing.assert_allclose(squared.display, np.maximum(smoothed.signed, 0) ** 2)


def test_components_are_turned_to_their_longer_tail(made):
    for name in ("canica", "dictionary_learning", "sliding_window_ica", "encoder_lasso"):
        maps = made[1][name].signed
        assert (maps.max(axis=1) >= -maps.min(axis=1)).all()


def test_projection_on_sparse_components_is_not_just_pca(made):
    ica, pca = made[1]["ica_projection"].signed, made[1]["pca_projection"].signed
    assert not np.allclose(ica, pca, atol=0.1)
    assert np.linalg.matrix_rank(ica, tol=1e-2) == np.linalg.matrix_rank(pca, tol=1e-2) == 4


def test_a_filter_is_chosen_by_the_other_runs():
    scores = pd.DataFrame({4.0: [1.0, 0.0, 0.0], 8.0: [0.3, 0.3, 0.3]}, index=["a", "b", "c"])
    assert choose_on_other_runs(scores).to_dict() == {"a": 8.0, "b": 4.0, "c": 4.0}
    with pytest.raises(UsageError, match="at least two runs"):
        choose_on_other_runs(scores.iloc[:1])


def test_what_cannot_be_made_is_said():
    region = Grid(np.eye(4), np.ones((2, 2, 2), bool))
    with pytest.raises(UsageError, match="Baseline 'melodic' is unknown; choose from volume, smoothed"):
        list(make_baselines(["volume", "melodic"], np.ones((3, 8)), region, repetition_time=2.0))
    with pytest.raises(UsageError, match="needs the network's codes"):
        list(make_baselines(["encoder_lasso"], np.ones((3, 8)), region, repetition_time=2.0))
    with pytest.raises(UsageError, match="'context' needs a model that has one"):
        list(make_baselines(["context"], np.ones((3, 8)), region, repetition_time=2.0))
    with pytest.raises(UsageError, match="'untrained' needs the model"):
        list(make_baselines(["untrained"], np.ones((3, 8)), region, repetition_time=2.0))
