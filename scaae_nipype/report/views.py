"""From a run of the output dataset to what a figure, a table or a sentence needs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from ..derivatives.reading import Run
from ..errors import InputError
from ..grid import load_grid
from ..maps import BRANCHES, LABELS, SCORE_LABELS, THRESHOLD
from ..words import capitalised, number, percent
from . import brains, figures, findings
from .page import Cell, Table
from .style import methods_of, shorten

__all__ = [
    "best_mosaic",
    "branch_sentences",
    "channel_sentences",
    "channel_weights",
    "code",
    "density",
    "gradual_change",
    "gradual_sentences",
    "motion",
    "overlap_scores",
    "overlap_sentences",
    "overlap_table",
    "region",
    "region_sentences",
    "settings_table",
    "spread_mosaic",
    "spread_volumes",
    "template_iou",
    "template_sentences",
    "threshold_curves",
    "warnings",
]

N_SPREAD = 6
N_BEST = 4

_SCORES = {score: capitalised(label) for score, label in SCORE_LABELS.items()}
_STEPS = ("gradualchange", "statemetrics", "baselines", "fbn1regions", "events", "matches", "dynamicsnull")
_GRADUAL = ("method", "lag", "lag_seconds", "mean_iou", "sd_iou", "chance_iou")


def spread_volumes(kept: np.ndarray, n: int = N_SPREAD) -> list[int]:
    """Choose kept volumes spread evenly over the run.

    >>> spread_volumes(np.array([0, 1, 1, 1, 1, 1], bool), 3)
    [1, 3, 5]
    """
    numbers = np.flatnonzero(kept)
    if not len(numbers):
        return []
    chosen = np.linspace(0, len(numbers) - 1, min(n, len(numbers))).round().astype(int)
    return [int(volume) for volume in numbers[chosen]]


def _volume_title(run: Run, volume: int) -> str:
    seconds = f" · {volume * run.repetition_time:.1f} s" if run.repetition_time else ""
    return f"volume {volume}{seconds}"


def _mosaic(run: Run, titles: Mapping[int, str]) -> Figure:
    wanted = {*spread_volumes(run.kept), *_best_titles(run)}  # of both mosaics, so that images are read once
    networks = [run.networks(branch, wanted) for branch in BRANCHES]
    rows = [brains.MosaicRow(title, [n.volumes.get(volume) for n in networks]) for volume, title in titles.items()]
    return brains.fbn_mosaic(rows, networks[0].affine, threshold=THRESHOLD, branches=run.branch_titles)


def spread_mosaic(run: Run) -> Figure:
    """Draw networks at volumes spread over the run."""
    return _mosaic(run, {volume: _volume_title(run, volume) for volume in spread_volumes(run.kept)})


def best_mosaic(run: Run) -> Figure:
    """Draw networks at the best-matching volume of the templates that are matched best."""
    return _mosaic(run, _best_titles(run))


def _best_titles(run: Run) -> dict[int, str]:
    if not run.has("overlap"):
        return {}
    score, where = "best_average_precision", "best_volume_average_precision"
    overlap = run.table("overlap", ["method", "template", score, where])
    candidates = overlap[overlap["method"].isin(BRANCHES)].dropna(subset=[score, where])
    candidates = candidates.sort_values(score, ascending=False, kind="stable").drop_duplicates("template")
    titles: dict[int, str] = {}
    for _, row in candidates.head(N_BEST).iterrows():
        volume = int(row[where])
        note = f"{shorten(row['template'])} AP {number(row[score])}, {LABELS[row['method']].removeprefix('FBN ')}"
        titles[volume] = f"{titles[volume]}; {note}" if volume in titles else f"{_volume_title(run, volume)} · {note}"
    return titles


def branch_sentences(run: Run) -> list[str]:
    """Say what each branch marks, where that is known by design."""
    return findings.branch_sentences(run.branches)


def density(run: Run) -> Figure:
    """Draw how much each branch marks, per volume."""
    return figures.density_over_time({b: run.networks(b).density for b in BRANCHES}, run.repetition_time)


def template_iou(run: Run) -> Figure:
    """Draw IoU with every template over time, per branch."""
    table = run.table("templateiou")
    branches = {}
    for branch in BRANCHES:
        columns = [column for column in map(str, table) if column.startswith(f"{branch}_")]
        part = table[columns].apply(pd.to_numeric, errors="coerce")
        if columns:
            branches[branch] = part.rename(columns=lambda column, b=branch: column.removeprefix(f"{b}_"))
    return figures.template_iou(branches, run.repetition_time)


def overlap_scores(run: Run) -> Figure:
    """Draw scores per template and method."""
    return figures.overlap_scores(run.table("overlap", ["method", "template"]))


def threshold_curves(run: Run) -> Figure:
    """Draw IoU against the threshold."""
    needed = ["method", "template", "threshold", "method_density", "best_of_20_iou", "mean_iou"]
    return figures.threshold_curves(run.table("thresholdcurve", needed), THRESHOLD)


def overlap_sentences(run: Run) -> list[str]:
    """Say for how many templates the network beats the volume."""
    return findings.overlap_sentences(run.table("overlap", ["method", "template"]))


def template_sentences(run: Run) -> list[str]:
    """Say what the networks were compared with, how its kind was told, and how many voxels each template has."""
    return findings.template_sentences(run.sidecar("overlap"))


def region_sentences(run: Run) -> list[str]:
    """Say what the regions are, how their kind was told, and how many voxels each has."""
    return findings.region_sentences(run.sidecar("fbn1regions"))


def overlap_table(run: Run) -> Table:
    """Tabulate all scores per template: best of 20, the mean below it, the best method in bold."""
    overlap = run.table("overlap", ["method", "template"]).drop_duplicates(["method", "template"])
    methods = methods_of(overlap)
    scores = [score for score in _SCORES if f"best_of_20_{score}" in overlap]
    cells = overlap.set_index(["template", "method"])
    rows = []
    for template in dict.fromkeys(overlap["template"]):
        of_template = cells.loc[template]
        row = [Cell(str(template)), Cell(_first(of_template, "template_density", 1), _coverage(of_template))]
        for score in scores:
            values = pd.to_numeric(of_template[f"best_of_20_{score}"], errors="coerce").reindex(methods)
            means = of_template.get(f"mean_{score}", pd.Series(dtype=float)).reindex(methods)
            row += [Cell(number(values[m]), number(means[m]), bool(values[m] == values.max())) for m in methods]
        rows.append(row)
    short = {"fbn1": "FBN 1", "fbn2": "FBN 2", "volume": "vol.", "volume_negated": "−vol."}
    return Table(
        "Overlap with every template",
        ["Template", "Size", *([short[method] for method in methods] * len(scores))],
        rows,
        caption="Large: best of 20 volumes, bold for the best method; small: mean over volumes. Size: share of the "
        "evaluation region; small: how much of the template the run covers. vol.: the volume itself; −vol.: with its "
        "sign turned.",
        groups=[("", 2), *((_SCORES[score], len(methods)) for score in scores)],
        narrow=True,
    )


def _first(table: pd.DataFrame, column: str, digits: int = 0) -> str:
    return percent(float(table[column].iloc[0]), digits) if column in table else "n/a"


def _coverage(table: pd.DataFrame) -> str:
    return _first(table, "template_coverage")


def gradual_change(run: Run) -> Figure:
    """Draw the lag curve."""
    return figures.gradual_change(run.table("gradualchange", _GRADUAL))


def gradual_sentences(run: Run) -> list[str]:
    """Say how much consecutive volumes overlap."""
    return findings.gradual_sentences(run.table("gradualchange", _GRADUAL))


def _numbered(run: Run, meaning: str, prefix: str) -> np.ndarray:
    table = run.table(meaning)
    columns = [
        column for column in map(str, table) if column.startswith(prefix) and column.removeprefix(prefix).isdigit()
    ]
    if not columns:
        raise InputError(f"{run.path(meaning).name}: has no columns {prefix}01, {prefix}02 …")
    return table[columns].apply(pd.to_numeric, errors="coerce").to_numpy(dtype=float)


def channel_weights(run: Run) -> Figure:
    """Draw channel weights over time."""
    return figures.channel_weights(_numbered(run, "channelweights", "channel"), run.repetition_time)


def channel_sentences(run: Run) -> list[str]:
    """Say how far the channel weights spread."""
    return [findings.channel_sentence(_numbered(run, "channelweights", "channel"))]


def code(run: Run) -> Figure:
    """Draw the code over time."""
    return figures.code_over_time(_numbered(run, "code", "code"), run.repetition_time)


def warnings(run: Run) -> list[str]:
    """List what preparation and evaluation warned of."""
    sources = [
        run.preparation,
        run.sidecar("overlap"),
        run.sidecar("templateiou"),
        *(run.sidecar(meaning) for meaning in _STEPS),
    ]
    found = [str(text) for source in sources for text in _as_list(source.get("Warnings"))]
    if not any(sources):
        return ["The sidecars do not tell whether a step had anything to warn of."]
    return [f"Warning: {text}" for text in dict.fromkeys(found)] or ["No step had anything to warn of."]


def _as_list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def motion(run: Run) -> Figure:
    """Draw framewise displacement and dropped volumes."""
    samples = run.table("samples", ["kept", "dummy", "censored", "framewise_displacement"])
    threshold = run.preparation.get("FramewiseDisplacementThreshold")
    known = isinstance(threshold, int | float) and not isinstance(threshold, bool)
    return figures.motion(samples, run.repetition_time, float(threshold) if known else None)  # type: ignore[arg-type]


def region(run: Run) -> Figure:
    """Draw the evaluation region, with the model's mask where the dataset keeps it."""
    mask = run.model_folder / "mask.nii.gz" if run.model_folder else None
    return brains.region_outline(run.region, load_grid(mask) if mask and mask.is_file() else None)


_SETTINGS = {
    "RepetitionTime": ("Repetition time", "s"),
    "RepetitionTimeSource": ("Repetition time taken from", ""),
    "NumberOfVolumes": ("Volumes in the file", ""),
    "NumberOfVolumesKept": ("Volumes kept", ""),
    "NumberOfDummyScans": ("Dummy scans dropped", ""),
    "NumberOfVolumesCensored": ("Volumes censored for motion", ""),
    "FramewiseDisplacementThreshold": ("Censored above a framewise displacement of", "mm"),
    "SmoothingFWHM": ("Smoothing (FWHM)", "mm"),
    "NuisanceStrategy": ("Nuisance strategy", ""),
    "NuisanceRegressors": ("Nuisance regressors", ""),
    "HighPass": ("High-pass", "Hz"),
    "LowPass": ("Low-pass", "Hz"),
    "Detrend": ("Linear trend removed", ""),
    "ResidualDegreesOfFreedom": ("Degrees of freedom left per time series", ""),
    "NumberOfMaskVoxels": ("Voxels in the run's brain mask", ""),
    "NumberOfMaskVoxelsConstant": ("Of these, constant over time (no data)", ""),
    "NumberOfMaskVoxelsNotFinite": ("Of these, not finite in some volume", ""),
    "NumberOfMaskVoxelsWithGaps": ("Of these, 0 in some volumes", ""),
    "MaskCentreOffset": ("Centre of that mask from the model's (x, y, z)", "mm"),
}


def settings_table(run: Run) -> Table:
    """Tabulate how the run was prepared."""
    known = {key: value for key, value in run.preparation.items() if key not in ("Warnings", "Description")}
    rows = [[Cell(label), Cell(_setting(known[key], unit))] for key, (label, unit) in _SETTINGS.items() if key in known]
    if "MaskCoverage" in known:
        rows.append([Cell("Coverage of the model's mask"), Cell(percent(known["MaskCoverage"], 1))])
    if "MaskOutsideModel" in known:
        rows.append([Cell("Part of that mask outside of the model's"), Cell(percent(known["MaskOutsideModel"], 1))])
    rest = [key for key in known if key not in (*_SETTINGS, "MaskCoverage", "MaskOutsideModel")]
    rows += [[Cell(key), Cell(_setting(known[key], ""))] for key in rest]
    if not rows:
        raise InputError("The sidecars of this run do not say how it was prepared.")
    return Table("Preparation", ["Setting", "Value"], rows, str(run.preparation.get("Description") or ""))


def _setting(value: object, unit: str) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None or value == []:
        return "none"
    if isinstance(value, list):
        listed = f"{', '.join(map(str, value))} {unit}".strip()
        return f"{len(value)}: {listed}" if len(value) > 3 else listed
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return f"{text} {unit}".strip()
