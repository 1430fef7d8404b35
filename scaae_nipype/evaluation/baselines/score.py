"""Baselines as a pipeline scores them: files in, files out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from ...errors import InputError
from ...files import PathLike, read_table, write_json, write_table
from ...options import Evaluation
from ..run_maps import read_run_maps, run_templates
from ..scores.chance import about_chance, hold_against, templates_elsewhere, with_chance
from ..scores.match import about_templates
from ..scores.scoring import every_score, overlap_table
from .candidates import Candidates, make_baselines

__all__ = ["RunBaselines", "score_baselines"]


class RunBaselines(NamedTuple):
    """Files with the baselines of a run: see `score_baselines`."""

    baselines: Path
    metadata: Path


def score_baselines(
    *,
    in_file: PathLike,
    in_mask: PathLike,
    in_samples: PathLike,
    baselines: Sequence[str],
    code: PathLike | None = None,
    context: Callable[[np.ndarray], np.ndarray] | None = None,
    group_pca: Callable[[np.ndarray], np.ndarray] | None = None,
    untrained: Callable[[np.ndarray], np.ndarray] | None = None,
    templates: PathLike = Evaluation.templates,
    template_labels: PathLike | None = None,
    template_kind: str = Evaluation.template_kind,
    grid_mask: PathLike | None = None,
    n_components: int = 20,
    surrogates: PathLike | None = None,
    n_chance_templates: int = Evaluation.n_chance_templates,
    seed: int = Evaluation.seed,
    out_dir: PathLike = ".",
) -> RunBaselines:
    """Score what needs no trained network on the same prepared run, in the same way.

    Parameters
    ----------
    in_file, in_mask, in_samples, templates, template_labels, template_kind, grid_mask
        As for `score_run`.
    baselines, context, group_pca, untrained, n_components, seed
        As for `make_baselines`.
    code : path, optional
        Table with the encoder's features, a row per volume of the run; ``encoder_lasso`` needs it.
    surrogates, n_chance_templates
        As for `score_run`.
    out_dir : path

    Returns
    -------
    baselines : Path
        Table with the columns of `overlap_table`, so that it can be put below that of `score_run`.
    metadata : Path
        JSON: templates and warnings; a baseline that this run does not allow is named there. Where it allows none the
        table has no rows.

    Raises
    ------
    InputError, UsageError
    """
    run = read_run_maps([], in_file, in_mask, in_samples)
    local, covered = run_templates(
        run, templates, labels=template_labels, kind=template_kind, grid_mask=grid_mask, in_mask=in_mask
    )
    moved = templates_elsewhere(
        local,
        templates,
        labels=template_labels,
        kind=template_kind,
        grid_mask=grid_mask,
        surrogates=surrogates,
        n_chance_templates=n_chance_templates,
        seed=seed,
    )
    volumes = np.flatnonzero(run.kept)
    features = None if code is None else _features(code, run.kept)
    tables: list[pd.DataFrame] = []
    held: dict[str, dict[str, np.ndarray]] = {}
    about = about_templates(local) | about_chance(len(moved), seed)

    def scored(made: Candidates) -> pd.DataFrame:
        held[made.method] = hold_against(made.signed, local, moved) if len(moved) else {}
        return overlap_table(
            every_score(made.display, local, signed=made.signed),
            made.display,
            local,
            method=made.method,
            volumes=volumes if made.per_volume else None,
            template_coverage=covered,
        )

    for name in baselines:
        try:
            made = make_baselines(
                [name],
                run.volume[run.kept],
                run.region,
                repetition_time=run.repetition_time,
                numbers=volumes,
                features=features,
                context=context,
                group_pca=group_pca,
                untrained=untrained,
                n_components=n_components,
                seed=seed,
            )
            tables += map(scored, made)
        except InputError as error:
            about["Warnings"].append(str(error))
    if tables:
        table = with_chance(pd.concat(tables, ignore_index=True), held)
    else:
        about["Warnings"].append("The run allows none of the baselines that were asked for.")
        none = np.zeros((1, run.region.n_voxels), dtype=np.float32)
        table = with_chance(scored(Candidates("", none, none, per_volume=False)), held).iloc[:0]  # columns without rows
    out_dir = Path(out_dir).absolute()
    return RunBaselines(write_table(table, out_dir / "baselines.tsv"), write_json(about, out_dir / "baselines.json"))


def _features(path: PathLike, kept: np.ndarray) -> np.ndarray:
    table = read_table(path)
    if len(table) != len(kept):
        raise InputError(f"{path}: has {len(table)} rows for {len(kept)} volumes.")
    features = table.drop(columns="kept", errors="ignore").to_numpy(dtype=float)[kept]
    if not np.isfinite(features).all():
        raise InputError(f"{path}: lacks the features of a kept volume.")
    return features
