"""Each figure by itself: it shows what it is given, and survives what real runs give it."""

import base64

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from scaae_nipype.grid import AFFINE, Grid, load_grid
from scaae_nipype.report import brains
from scaae_nipype.report.figures import MOST_TEMPLATES, courses
from scaae_nipype.report.sections.channels import channel_weights, code_over_time
from scaae_nipype.report.sections.data import motion
from scaae_nipype.report.sections.gradual import lag_curve
from scaae_nipype.report.sections.networks import density_over_time
from scaae_nipype.report.sections.templates import overlap_scores, threshold_curves
from scaae_nipype.report.style import data_uri

NAN = np.nan


def texts(figure: Figure) -> str:
    return " | ".join(text.get_text() for text in figure.findobj(matplotlib.text.Text) if text.get_text())


def overlap(methods=("fbn1", "fbn2", "volume", "volume_negated"), templates=("A", "B"), value=0.3) -> pd.DataFrame:
    scores = {
        f"{k}_{s}": value for k in ("best_of_20", "mean") for s in ("iou", "size_matched_iou", "average_precision")
    }
    rows = [{"method": m, "template": t, "template_density": 0.1, **scores} for m in methods for t in templates]
    return pd.DataFrame(rows)


def lags(value=0.5, n=3) -> pd.DataFrame:
    lag = np.arange(1, n + 1)
    row = {"method": "fbn1", "lag": lag, "lag_seconds": 2.0 * lag, "mean_iou": value, "sd_iou": 0.1, "chance_iou": 0.2}
    return pd.DataFrame(row)


def curve(value=0.3, thresholds=(0.1, 0.3, 0.5)) -> pd.DataFrame:
    columns = {"best_of_20_iou": value, "mean_iou": value, "method_density": 0.2}
    return pd.DataFrame(
        [
            {"method": m, "template": t, "threshold": x, **columns}
            for m in ("fbn1", "volume")
            for t in "AB"
            for x in thresholds
        ]
    )


def samples(n: int, displacement=0.1) -> pd.DataFrame:
    zeros = np.zeros(n, int)
    columns = {"kept": zeros + 1, "dummy": zeros, "censored": zeros, "framewise_displacement": displacement}
    return pd.DataFrame(columns, index=range(n))


def one(value: float, n: int = 1) -> dict[str, pd.DataFrame]:
    return {"fbn1": pd.DataFrame({"A": [value] * n}), "fbn2": pd.DataFrame({"A": [value] * n})}


EDGES = {
    "iou of one volume": lambda: courses(one(0.2), 2.0),
    "iou all n/a": lambda: courses(one(NAN, 4), 2.0),
    "iou all 0": lambda: courses(one(0.0, 4)),
    "iou without branches": lambda: courses({}),
    "overlap of one template": lambda: overlap_scores(overlap(templates=["A"])),
    "overlap of one method": lambda: overlap_scores(overlap(methods=["fbn1"])),
    "overlap all n/a": lambda: overlap_scores(overlap(value=NAN)),
    "overlap empty": lambda: overlap_scores(overlap().iloc[:0]),
    "overlap of volumes alone": lambda: overlap_scores(overlap(methods=["volume"])),
    "overlap of 300 templates": lambda: overlap_scores(overlap(templates=[f"T{i}" for i in range(300)])),
    "one lag": lambda: lag_curve(lags(n=1)),
    "lags all n/a": lambda: lag_curve(lags(NAN)),
    "lags empty": lambda: lag_curve(lags().iloc[:0]),
    "curve of one threshold": lambda: threshold_curves(curve(thresholds=[0.3])),
    "curve all n/a": lambda: threshold_curves(curve(NAN)),
    "curve as words": lambda: threshold_curves(curve("n/a")),
    "curve empty": lambda: threshold_curves(curve().iloc[:0]),
    "weights of one volume": lambda: channel_weights(np.full((1, 32), 0.5), 2.0),
    "weights all n/a": lambda: channel_weights(np.full((5, 32), NAN), 2.0),
    "weights empty": lambda: channel_weights(np.zeros((0, 32))),
    "one channel": lambda: channel_weights(np.full((5, 1), 0.5)),
    "code of one volume": lambda: code_over_time(np.ones((1, 64)), 2.0),
    "code all n/a": lambda: code_over_time(np.full((5, 64), NAN)),
    "code empty": lambda: code_over_time(np.zeros((0, 0))),
    "density of one volume": lambda: density_over_time({"fbn1": np.array([0.2])}, 2.0),
    "density all n/a": lambda: density_over_time({"fbn1": np.array([NAN, NAN])}, 2.0),
    "motion of one volume": lambda: motion(samples(1), 2.0, 0.5),
    "motion unknown": lambda: motion(samples(5, NAN), 2.0, 0.5),
    "motion as words": lambda: motion(samples(5, "n/a"), None, None),
    "motion empty": lambda: motion(samples(0), 2.0),
    "mosaic without volumes": lambda: brains.fbn_mosaic([], AFFINE),
    "mosaic of an empty map": lambda: brains.fbn_mosaic([("x", [np.zeros((49, 58, 47)), None])], AFFINE),
    "region of one voxel": lambda: brains.region_outline(
        Grid(AFFINE, np.eye(1, 49 * 58 * 47, 70000).reshape(49, 58, 47))
    ),
}


@pytest.mark.parametrize("draw", EDGES.values(), ids=EDGES.keys())
@pytest.mark.filterwarnings("error")
def test_edge_cases_draw_without_a_warning(draw):
    figure = draw()
    assert isinstance(figure, Figure)
    assert data_uri(figure).startswith("data:image/svg+xml;base64,")


def test_figures_without_anything_to_show_say_so():
    assert "No kept volume overlaps any template" in texts(courses(one(NAN)))
    assert "No volume was kept" in texts(channel_weights(np.full((5, 32), NAN)))
    assert "no framewise displacement known" in texts(motion(samples(5, NAN)))


def test_heat_maps_share_one_scale_and_keep_gaps():
    table = one(0.1, 4)
    table["fbn2"].iloc[1, 0] = 0.6
    table["fbn1"].iloc[2, 0] = NAN
    figure = courses(table, 2.0)
    first, second = (axes.images[0] for axes in figure.axes[:2])
    assert first.get_clim() == second.get_clim() == (0, 0.6)
    assert first.get_array().mask.tolist() == [[False, False, True, False]]


def test_volumes_and_seconds_stand_on_the_axes():
    figure = courses(one(0.2, 10), 2.5)
    FigureCanvasAgg(figure).draw()
    seconds = figure.axes[0].child_axes[0]
    assert seconds.get_xlabel() == "time (s)"
    assert seconds.get_xlim() == pytest.approx((-1.25, 23.75))
    assert figure.axes[1].get_xlabel() == "volume"


def test_a_threshold_curve_is_the_mean_over_templates_with_the_papers_threshold_marked():
    table = curve(0.2)
    table.loc[(table["template"] == "B") & (table["method"] == "fbn1"), "best_of_20_iou"] = [0.4, NAN, 0.6]
    scores, density = threshold_curves(table).axes
    np.testing.assert_allclose(scores.lines[0].get_ydata(), [0.3, 0.2, 0.4])
    np.testing.assert_allclose(scores.lines[1].get_ydata(), 0.2)
    np.testing.assert_allclose(density.lines[0].get_ydata(), 20)
    assert all(list(axes.lines[-1].get_xdata()) == [0.3, 0.3] for axes in (scores, density))


def test_overlap_is_ordered_by_the_average_precision_of_the_network():
    table = overlap(templates=["low", "high", "middle"])
    for template, value in (("low", 0.1), ("high", 0.5), ("middle", 0.3)):
        table.loc[(table["template"] == template) & (table["method"] == "fbn2"), "best_of_20_average_precision"] = value
        table.loc[(table["template"] == template) & (table["method"] == "fbn1"), "best_of_20_average_precision"] = 0.01
    figure = overlap_scores(table)
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["high", "middle", "low"]


def test_chance_of_the_better_branch_is_marked():
    table = overlap(templates=["A"])
    for score, value in (("average_precision", 0.16), ("size_matched_iou", 0.08)):
        table[f"chance_best_of_20_{score}"] = np.where(table["method"].str.startswith("fbn"), value, 0.9)
    figure = overlap_scores(table)
    marks = [
        [collection.get_segments()[0][0][0] for collection in axes.collections if collection.get_linestyles()[0][1]]
        for axes in figure.axes
    ]
    assert marks == [[], [pytest.approx(0.08)], [pytest.approx(0.16)]]


def test_too_many_templates_are_cut_to_the_best():
    figure = overlap_scores(overlap(templates=[f"T{i}" for i in range(300)]))
    assert len(figure.axes[0].get_yticklabels()) == MOST_TEMPLATES
    assert figure.get_figheight() < 25


def test_dropped_volumes_are_shaded_and_counted():
    table = samples(10)
    table.loc[[0, 1], ["kept", "dummy"]] = [0, 1]
    table.loc[5, ["kept", "censored"]] = [0, 1]
    table.loc[9, "kept"] = 0
    shown = texts(motion(table, 2.0, 0.5))
    for text in ("dummy scan: 2", "censored for motion: 1", "dropped for another reason: 1", "threshold 0.5 mm"):
        assert text in shown


def test_right_is_on_the_right():
    """A blob in the right hemisphere, whichever way the image's first axis runs."""
    grid = load_grid()
    world = (
        np.stack(np.meshgrid(*(np.arange(n) for n in grid.shape), indexing="ij"), -1) @ AFFINE[:3, :3].T + AFFINE[:3, 3]
    )
    blob = (np.linalg.norm(world - [40, -20, 22], axis=-1) < 12).astype("f4")
    turned = AFFINE @ np.diag([-1, 1, 1, 1]) + np.outer([1, 0, 0, 0], [0, 0, 0, 0])
    turned[:3, 3] = AFFINE[:3, 3] + AFFINE[:3, 0] * (grid.shape[0] - 1)
    for volume, affine in ((blob, AFFINE), (blob[::-1], turned)):
        slices = brains.axial_slices(volume, affine, brains.HEIGHTS)
        height, back_to_front, left_to_right = np.argwhere(slices > 0.5).mean(axis=0)
        assert brains.HEIGHTS[round(height)] == 22
        assert brains._X[round(left_to_right)] == pytest.approx(40, abs=2)
        assert brains._Y[round(back_to_front)] == pytest.approx(-20, abs=2)


def test_mosaic_colours_the_right_half_of_each_slice():
    grid = load_grid()
    volume = np.zeros(grid.shape, "f4")
    volume[:20] = 1  # x = 96 to 20 mm: the right hemisphere
    figure = brains.fbn_mosaic([("volume 3", [volume, None])], AFFINE)
    overlay = figure.axes[0].images[1].get_array()
    coloured = ~np.ma.getmaskarray(overlay)
    width = overlay.shape[1] // len(brains.HEIGHTS)
    for index in range(len(brains.HEIGHTS)):
        part = coloured[:, index * width : (index + 1) * width]
        assert not part[:, : width // 2].any()
        assert part[:, width // 2 :].any()
    sides = {t.get_text(): t.get_position()[0] for t in figure.axes[0].texts if t.get_text() in ("L", "R")}
    assert sides["L"] < sides["R"] < width
    assert "volume 3" in texts(figure)


def test_mosaic_shows_only_what_exceeds_the_threshold():
    volume = np.full((49, 58, 47), 0.29, "f4")
    volume[20:30, 25:35, 20:30] = 0.4
    figure = brains.fbn_mosaic([("x", [volume])], AFFINE, branches=["one"])
    shown = figure.axes[0].images[1]
    assert shown.get_clim() == (0.3, 1)
    assert shown.get_array().min() > 0.3
    assert 0 < shown.get_array().count() < 0.1 * shown.get_array().size


def test_region_shows_what_the_models_mask_has_beyond_it():
    grid = load_grid()
    part = grid.mask.copy()
    part[:, :, :12] = False
    assert "without data in this run" in texts(brains.region_outline(Grid(AFFINE, part), grid))
    assert "without data in this run" not in texts(brains.region_outline(grid, grid))
    elsewhere = Grid(np.diag([2.0, 2, 2, 1]), grid.mask)
    assert "without data in this run" not in texts(brains.region_outline(Grid(AFFINE, part), elsewhere))


def test_users_matplotlib_settings_neither_matter_nor_change():
    with matplotlib.rc_context({"font.size": 30, "axes.facecolor": "red", "backend": "svg"}):
        before = dict(matplotlib.rcParams)
        ours = data_uri(lag_curve(lags()))
        assert dict(matplotlib.rcParams) == before
    assert ours == data_uri(lag_curve(lags()))


def test_dollar_signs_are_letters():
    table = {"fbn1": pd.DataFrame({"$\\frac{": [0.1, 0.2]})}
    svg = base64.b64decode(data_uri(courses(table)).partition(",")[2])
    assert svg.startswith(b"<?xml")
