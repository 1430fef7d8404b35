"""Real data: networks of people that the model has not seen, against the ten Smith templates and every baseline.

``python -m benchmarks.recovery_real`` (a few minutes; needs the reference material beside the checkout). The model is
fitted to three people and applied to the other three, and the other way round. The best filter is given twice for each
score: chosen on the people that the model is fitted to, and the best of all on the people who are scored. Results:
``benchmarks/results/recovery_real.json``; with the argument ``report`` their table is only printed.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.recovery import context_maps, fitted_model
from scaae_nipype.evaluation.baselines.candidates import BASELINES, make_baselines
from scaae_nipype.evaluation.scores.scoring import every_score, overlap_table
from scaae_nipype.evaluation.templates.loading import load_templates
from scaae_nipype.evaluation.templates.template_set import TemplateSet, coverage
from scaae_nipype.files import write_json
from scaae_nipype.grid import Grid, load_grid
from scaae_nipype.maps import scale
from scaae_nipype.model import Model, extract_networks
from scaae_nipype.model.extraction.functions import context_function, group_pca_function, untrained_function
from scaae_nipype.preparation import PreparedRun, prepare_run

SHARED = Path(__file__).resolve().parents[2] / "shared"
RESULTS = Path(__file__).parent / "results" / "recovery_real.json"
PEOPLE = (("007", "018", "067"), ("107", "112", "133"))
SCORES = ("average_precision", "size_matched_iou", "iou", "r")
SUMMARIES = ("best", "best_of_20", "mean")
HEADING = """# All scores on real people

Made by `python -m benchmarks.recovery_real report`; [evidence.md](evidence.md) says how it was done and what it means.
Mean over the ten templates and three people; the model was fitted to the other three. The paper reports a mean best IoU
of 0.370 on other data; that is context, nothing here was tuned for it.
"""
COLUMNS = [f"{summary}_{score}" for score in SCORES for summary in SUMMARIES]


def prepared(folder: Path, label: str, grid: Grid) -> PreparedRun:
    stem = folder / f"sub-{label}" / "func" / f"sub-{label}_task-rest"
    space = f"{stem}_space-MNI152NLin6Asym_desc"
    return prepare_run(
        f"{space}-preproc_bold.nii.gz",
        grid=grid,
        mask=f"{space}-brain_mask.nii.gz",
        confounds=f"{stem}_desc-confounds_timeseries.tsv",
    )


def methods_of(run: PreparedRun, model: Model) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Yield name, maps for thresholding and signed maps, over the run's region."""
    data, region = np.asarray(run.data)[run.kept], run.region
    inside = Grid(model.grid.affine, model.grid.volumes(region))
    networks = extract_networks(model, data)
    for branch, maps in enumerate(networks.signed, start=1):
        yield f"fbn{branch}", scale(maps[:, region]), maps[:, region]
    first_guess = context_maps(model, data)[1][:, region]
    yield "first_guess", scale(first_guess), first_guess
    for made in make_baselines(
        tuple(BASELINES),
        data[:, region],
        inside,
        repetition_time=run.repetition_time,
        features=networks.codes,
        context=context_function(model, inside),
        group_pca=group_pca_function(model, inside),
        untrained=untrained_function(model, inside),
    ):
        yield made.method, made.display, made.signed
        if made.method.startswith("smoothed") and "squared" not in made.method:
            yield f"{made.method}_negated", scale(-made.signed), -made.signed


def score_person(run: PreparedRun, model: Model, templates: TemplateSet) -> pd.DataFrame:
    inside = Grid(templates.grid.affine, templates.grid.volumes(run.region))
    local, covered = templates.inside(inside), coverage(templates, inside)
    tables = []
    for name, display, signed in methods_of(run, model):
        scores = every_score(display, local, signed=signed)
        tables.append(overlap_table(scores, display, local, method=name, volumes=None, template_coverage=covered))
    return pd.concat(tables).groupby("method")[COLUMNS].mean()


def with_best_filters(mean: pd.DataFrame, others: pd.DataFrame) -> pd.DataFrame:
    """Put one row for all filters, chosen for each score on `others`, and one of the best on these people."""
    filters = [method for method in mean.index if method.startswith("smoothed")]
    chosen = {column: mean.loc[others.loc[filters, column].idxmax(), column] for column in COLUMNS}
    best = mean.loc[filters].max()
    shown = mean.drop(index=filters)
    shown.loc["best filter, chosen on the others"], shown.loc["best filter of all"] = pd.Series(chosen), best
    return shown


def scored() -> dict[str, pd.DataFrame]:
    """Fit both models, apply each to the people that it has not seen, and score them; by label."""
    source = SHARED / "tools" / "make_real_dataset.py"
    if not source.exists():
        sys.exit(f"The real data is not at {SHARED}; this benchmark needs the reference material.")
    grid = load_grid()
    templates = load_templates(SHARED / "data" / "templates" / "smith2009_rsn10_2mm.nii.gz", grid=grid)
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, str(source), folder], check=True, stdout=subprocess.DEVNULL)
        runs = {label: prepared(Path(folder), label, grid) for label in sum(PEOPLE, ())}
    results = {}
    for fitted_on, applied_to in (PEOPLE, PEOPLE[::-1]):
        model = fitted_model([np.asarray(runs[label].data) for label in fitted_on])
        for label in applied_to:
            results[label] = score_person(runs[label], model, templates)
            print(f"sub-{label}", file=sys.stderr, flush=True)
    return results


def report(results: dict[str, pd.DataFrame]) -> Iterator[str]:
    """Give the lines of the page: every score of every method, for each half of the people."""
    yield from HEADING.splitlines()
    means = [sum(results[label] for label in people) / len(people) for people in PEOPLE]
    for people, mean, others in zip(PEOPLE, means, means[::-1], strict=True):
        yield f"\n## People {', '.join(people)}\n"
        yield f"| method | {' | '.join(COLUMNS)} |\n| --- |{' --- |' * len(COLUMNS)}"
        shown = with_best_filters(mean, others).sort_values("best_of_20_average_precision", ascending=False)
        for method, row in shown.iterrows():
            yield f"| {method} | {' | '.join(f'{row[column]:.3f}' for column in COLUMNS)} |"


def main() -> None:
    if sys.argv[1:] != ["report"]:
        write_json({label: table.to_dict("index") for label, table in scored().items()}, RESULTS)
    known = json.loads(RESULTS.read_text())
    print("\n".join(report({label: pd.DataFrame.from_dict(table, "index") for label, table in known.items()})))


if __name__ == "__main__":
    main()
