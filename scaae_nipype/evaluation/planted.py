"""What was planted in a simulated run, volume by volume, beside what networks, the group's PCA and filters find."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from ..errors import InputError
from ..files import PathLike, read_table, write_json, write_table
from ..images import write_image
from ..maps import BRANCHES, binarise, scale
from ..options import Evaluation
from .baselines.candidates import make_baselines
from .run_maps import RunMaps, read_run_maps, read_volumes
from .scores.overlap import rank_scores
from .templates.template_images import on_grid, read_templates

__all__ = ["N_EXAMPLES", "PLANTED_COLUMNS", "RunPlanted", "compare_with_planted", "planted_volumes", "recovery"]

N_EXAMPLES = 4
"""Volumes that are shown: those in which four of the networks are strongest."""

PLANTED_COLUMNS = ("method", "n_volumes", "average_precision", "size_matched_iou", "r", "networks_named")
"""Columns of the table of a run."""


class RunPlanted(NamedTuple):
    """Files that hold a run against what was planted in it: see `compare_with_planted`."""

    planted: Path
    planted_maps: Path
    metadata: Path


def planted_volumes(maps: np.ndarray, courses: np.ndarray) -> np.ndarray:
    """Give the noise-free planted volumes.

    Parameters
    ----------
    maps : float array, (n_networks, n_voxels)
    courses : float array, (n_volumes, n_networks)
        Time courses after the haemodynamic response.

    Returns
    -------
    float32 array, (n_volumes, n_voxels)
    """
    planted: np.ndarray = np.asarray(courses, dtype=np.float32) @ np.asarray(maps, dtype=np.float32)
    return planted


def recovery(found: np.ndarray, planted: np.ndarray, networks: np.ndarray, strongest: np.ndarray) -> dict[str, float]:
    """Score maps of volumes against the planted volumes.

    Parameters
    ----------
    found, planted : float arrays, (n_volumes, n_voxels)
    networks : bool array, (n_networks, n_voxels)
        Planted networks, above the threshold.
    strongest : int array, (n_volumes,)
        The network that is strongest in each volume.

    Returns
    -------
    dict
        Means over volumes of ``average_precision``, ``size_matched_iou`` (against the planted volume above 0.3 of its
        maximum) and ``r``; ``networks_named``: share of volumes whose map resembles the strongest network most
        (size-matched IoU). NaN where no volume shows anything.
    """
    above = binarise(planted)
    shown = above.any(axis=1)
    ranked = [rank_scores(a[None], b[None]) for a, b in zip(found[shown], above[shown], strict=True)]
    centred = [x[shown] - x[shown].mean(axis=1, keepdims=True) for x in (found, planted)]
    lengths = np.prod([np.linalg.norm(x, axis=1) for x in centred], axis=0)
    r = np.divide((centred[0] * centred[1]).sum(axis=1), lengths, out=np.zeros(len(lengths)), where=lengths > 0)
    named = rank_scores(found[shown], networks)[1].argmax(axis=1) == strongest[shown] if shown.any() else np.empty(0)

    def mean(values: Sequence[float] | np.ndarray) -> float:
        return float(np.mean(values)) if len(values) else float("nan")

    return {
        "average_precision": mean([precision[0, 0] for precision, _ in ranked]),
        "size_matched_iou": mean([matched[0, 0] for _, matched in ranked]),
        "r": mean(r),
        "networks_named": mean(named),
    }


def compare_with_planted(
    *,
    fbn_maps: Sequence[PathLike],
    in_file: PathLike,
    in_mask: PathLike,
    in_samples: PathLike,
    planted_networks: PathLike,
    planted_courses: PathLike,
    signed_maps: Sequence[PathLike] | None = None,
    context: Callable[[np.ndarray], np.ndarray] | None = None,
    group_pca: Callable[[np.ndarray], np.ndarray] | None = None,
    out_dir: PathLike = ".",
) -> RunPlanted:
    """Hold the networks of a simulated run, and what needs none, against what was planted in each volume.

    Parameters
    ----------
    fbn_maps, in_file, in_mask, in_samples
        As for `score_run`.
    planted_networks : path
        4D image of the planted networks (``scaae-simulate``).
    planted_courses : path
        Table of their time courses, a row per volume and a column per network, in the order of the image.
    signed_maps : paths, optional
        Maps before equation 9, in the order of `fbn_maps`; they are correlated in place of these.
    context, group_pca : callable, optional
        As for `make_baselines`.
    out_dir : path

    Returns
    -------
    planted : Path
        Table, a row per method, with `PLANTED_COLUMNS`.
    planted_maps : Path
        4D image of examples: `N_EXAMPLES` planted volumes, then those of every method that the metadata names.
    metadata : Path
        JSON: which volumes and methods the examples are.

    Raises
    ------
    InputError
        If the truth cannot be read, or is that of another run.
    """
    run = read_run_maps(fbn_maps, in_file, in_mask, in_samples)
    names, maps, courses = _truth(run, planted_networks, planted_courses)
    kept = np.flatnonzero(run.kept)
    planted = planted_volumes(maps, courses)[kept]
    strongest, networks = courses[kept].argmax(axis=1), binarise(maps)
    examples = _examples(courses[kept])
    rows, shown = [], {}
    for method, found in _methods(run, signed_maps, context, group_pca):
        rows.append({"method": method, "n_volumes": len(kept), **recovery(found, planted, networks, strongest)})
        shown[method] = scale(found[examples])
    table = pd.DataFrame(rows, columns=list(PLANTED_COLUMNS))
    chosen = _columns(table, shown)
    out_dir = Path(out_dir).absolute()
    stacked = np.concatenate([scale(planted[examples]), *(shown[method] for method in chosen)])
    about = {
        "ExampleVolumes": [int(kept[index]) for index in examples],
        "ExampleNetworks": [names[strongest[index]] for index in examples],
        "ExampleMethods": ["planted", *chosen],
        "PlantedNetworks": names,
        "Warnings": [],
    }
    return RunPlanted(
        write_table(table, out_dir / "planted.tsv"),
        write_image(run.region.image(stacked), out_dir / "planted_maps.nii.gz"),
        write_json(about, out_dir / "planted.json"),
    )


def _truth(run: RunMaps, networks: PathLike, courses: PathLike) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Read planted networks on the run's region, and their courses in its volumes."""
    table = read_table(courses).drop(columns="volume", errors="ignore")
    values = table.apply(pd.to_numeric, errors="coerce").to_numpy(dtype=float)
    image, _ = read_templates(networks)
    if values.shape != (len(run.kept), image.shape[3]) or not np.isfinite(values).all():
        raise InputError(
            f"{courses}: has {values.shape[0]} rows and {values.shape[1]} time courses of numbers; the run has "
            f"{len(run.kept)} volumes and {networks} has {image.shape[3]} networks."
        )
    return [str(name) for name in table.columns], on_grid(image, run.region, "continuous"), values


def _examples(courses: np.ndarray) -> list[int]:
    """Choose volumes that show different networks, each where it is strongest, in the order of the run."""
    by_strength = np.argsort(-courses.max(axis=0), kind="stable")
    volumes = dict.fromkeys(int(volume) for volume in courses.argmax(axis=0)[by_strength])
    return sorted([*volumes][:N_EXAMPLES])


def _methods(
    run: RunMaps,
    signed_maps: Sequence[PathLike] | None,
    context: Callable[[np.ndarray], np.ndarray] | None,
    group_pca: Callable[[np.ndarray], np.ndarray] | None,
) -> Iterator[tuple[str, np.ndarray]]:
    """Give each method's maps of the kept volumes, (n_volumes, n_voxels)."""
    for number, (branch, maps) in enumerate(run.fbn.items()):
        of_branch = maps if not signed_maps else read_volumes(signed_maps[number], run.region, len(run.kept))
        yield branch, of_branch[run.kept]
    names = ["volume", "smoothed", *(["context"] if context else []), *(["group_pca"] if group_pca else [])]
    made = make_baselines(
        names,
        run.volume[run.kept],
        run.region,
        repetition_time=run.repetition_time,
        context=context,
        group_pca=group_pca,
        seed=Evaluation.seed,
    )
    for candidates in made:
        if not candidates.method.endswith("_negated") and "squared" not in candidates.method:
            yield candidates.method, candidates.signed


def _columns(table: pd.DataFrame, shown: dict[str, np.ndarray]) -> list[str]:
    """Choose what stands beside the truth: the better branch, the group's PCA, the best filter, the volume."""
    best = table.set_index("method")["r"].fillna(-1)
    filters = [method for method in shown if method.startswith("smoothed")]
    branches = [method for method in shown if method in BRANCHES]
    chosen = [max(branches, key=best.__getitem__), "group_pca", max(filters, key=best.__getitem__), "volume"]
    return [method for method in chosen if method in shown]
