"""Scores by chance, and cut-offs that noise as smooth does not reach."""

import numpy as np
import pandas as pd
import pytest
from scipy.ndimage import gaussian_filter

from scaae_nipype.errors import UsageError
from scaae_nipype.evaluation.scores.chance import chance_scores, hold_against, moved_templates, with_chance
from scaae_nipype.evaluation.scores.noise_cutoff import noise_cutoff
from scaae_nipype.evaluation.scores.overlap import best_of_n, rank_scores
from scaae_nipype.evaluation.scores.scoring import every_score, overlap_table
from scaae_nipype.evaluation.scores.smoothness import volume_smoothness
from scaae_nipype.evaluation.templates.surrogates import give_values, surrogate_ranks
from scaae_nipype.evaluation.templates.template_set import TemplateSet
from scaae_nipype.grid import Grid


@pytest.fixture(scope="module")
def grid():
    x, y, z = np.meshgrid(*(np.arange(20) - 9.5,) * 3, indexing="ij")
    return Grid(np.diag([6.0, 6, 6, 1]), x**2 + y**2 + z**2 < 80)


def fields(grid, sigma, n, seed):
    """Smooth noise with a margin, so that it is the same everywhere; sigma in voxels."""
    rng = np.random.default_rng(seed)
    noise = [gaussian_filter(rng.standard_normal([s + 20 for s in grid.shape]), sigma) for _ in range(n)]
    return np.stack([grid.vectors(one[10:-10, 10:-10, 10:-10]) for one in noise]).astype("f4")


@pytest.fixture(scope="module")
def templates(grid):
    maps = fields(grid, 1.5, 4, seed=100)
    binary = maps > np.quantile(maps, 0.9, axis=1, keepdims=True)
    return TemplateSet(tuple("abcd"), None, binary, "made", "labels", grid)


@pytest.fixture(scope="module")
def ranks(grid, templates):
    return np.stack(list(surrogate_ranks(templates.binary, grid, n_surrogates=12)))


@pytest.mark.parametrize("both_signs", [False, True])
@pytest.mark.parametrize("best_of", [5, None])
def test_surrogates_are_scored_under_the_same_choices(grid, templates, ranks, best_of, both_signs):
    maps = np.stack([fields(grid, 1.0, 12, 1), fields(grid, 2.0, 12, 2)])
    found = chance_scores(
        maps, templates, ranks, grid, score="size_matched_iou", best_of=best_of, both_signs=both_signs
    )
    offered = [*maps, *-maps] if both_signs else maps
    moved = np.stack([give_values(rank, own) for rank, own in zip(ranks[7], templates.binary, strict=True)])
    for binary, ours in ((templates.binary, found.score), (moved, found.drawn[7])):
        each = [rank_scores(own, binary)[1] for own in offered]
        one = [own.mean(axis=0) if best_of is None else best_of_n(own, best_of) for own in each]
        np.testing.assert_allclose(ours, np.max(one, axis=0))
    np.testing.assert_allclose(found.above, found.score - found.drawn.mean(axis=0))


def test_noise_is_at_chance_however_smooth_and_a_template_above_it(grid, templates, ranks):
    chance = []
    for sigma in (0.7, 2.5):
        found = chance_scores(np.stack([fields(grid, sigma, 30, (3, b)) for b in range(2)]), templates, ranks, grid)
        chance.append(found.chance.mean())
        assert abs(found.above.mean()) < 0.05
    assert chance[1] > 1.3 * chance[0]  # smoothness alone
    shown = fields(grid, 1.0, 30, 4)
    shown[5:15] += shown.std() * 4 * templates.binary[1]
    found = chance_scores(shown[None], templates, ranks, grid)
    assert found.above[1] > 0.5 and found.above[[0, 2, 3]].max() < 0.2


@pytest.mark.parametrize("sigma", [0.7, 2.0])
def test_smooth_noise_lies_above_chance_with_about_one_template_in_twenty(grid, templates, sigma):
    ranks = np.stack(list(surrogate_ranks(templates.binary, grid, n_surrogates=19)))
    moved = moved_templates(templates, ranks, grid)
    about = {"volumes": None, "template_coverage": np.ones(4)}
    above, above_density = [], []
    for run in range(8):
        branches = {f"fbn{b}": fields(grid, sigma, 25, (run, b)) for b in (1, 2)}
        tables = [
            overlap_table(every_score(m - m.min(), templates), m, templates, method=name, **about)
            for name, m in branches.items()
        ]
        held = {name: hold_against(maps, templates, moved) for name, maps in branches.items()}
        table = with_chance(pd.concat(tables, ignore_index=True), held)
        better = table.groupby("template")["best_of_20_average_precision"].max()
        own = table[table["method"] == "fbn1"].set_index("template")
        above_density += (better > own["template_density"]).tolist()
        above += (own.filter(regex="^chance_p") <= 0.05).to_numpy().ravel().tolist()
    assert np.mean(above_density) > 0.9  # the share of the region that a template takes is no chance level
    assert np.mean(above) < 0.12


@pytest.mark.parametrize("score", ["size_matched_iou", "average_precision", "iou"])
def test_noise_as_smooth_reaches_the_cutoff_in_one_volume_of_twenty(grid, templates, score):
    if score == "iou":
        from scaae_nipype.evaluation.scores.overlap import iou
        from scaae_nipype.maps import binarise, scale
    cutoffs = []
    for sigma in (0.8, 2.0):
        maps = fields(grid, sigma, 400, seed=5)
        found = noise_cutoff(maps[:40], templates, score=score)
        if score == "iou":
            best = iou(binarise(scale(maps)), templates.binary).max(axis=1)
        else:
            best = rank_scores(maps, templates.binary)[score == "size_matched_iou"].max(axis=1)
        assert 0.015 <= np.mean(best >= found.cutoff) <= 0.1
        assert found.smoothness == pytest.approx(np.median(volume_smoothness(maps[:40], grid)))
        cutoffs.append(found.cutoff)
    assert cutoffs[1] > cutoffs[0]


def test_a_template_without_voxels_is_left_out(grid, templates, ranks):
    binary = templates.binary.copy()
    binary[2] = False
    lacking = TemplateSet(templates.names, None, binary, "made", "labels", grid)
    found = chance_scores(fields(grid, 1.0, 5, 6)[None], lacking, ranks, grid)
    assert np.isnan(found.above).tolist() == [False, False, True, False]
    assert 0 < noise_cutoff(fields(grid, 1.0, 5, 6), lacking, n_noise=40).cutoff < 1


def test_what_has_no_chance_level_is_refused(grid, templates, ranks):
    maps = fields(grid, 1.0, 3, 7)
    with pytest.raises(UsageError, match="Score 'r' has no chance level"):
        chance_scores(maps[None], templates, ranks, grid, score="r")
    with pytest.raises(UsageError, match="Without surrogate templates"):
        chance_scores(maps[None], templates, ranks[:0], grid)
    with pytest.raises(UsageError, match="ask for 20"):
        noise_cutoff(maps, templates, n_noise=10)
    with pytest.raises(UsageError, match="has no cut-off"):
        noise_cutoff(maps, templates, score="r")
    nothing = TemplateSet(templates.names, None, np.zeros_like(templates.binary), "made", "labels", grid)
    with pytest.raises(UsageError, match="nothing to cut"):
        noise_cutoff(maps, nothing)
