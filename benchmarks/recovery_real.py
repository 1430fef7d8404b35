"""Real data: networks of people that the model has not seen, against the ten Smith templates and every baseline.

``python -m benchmarks.recovery_real`` (a few minutes; needs the reference material beside the checkout). The model is
fitted to three people and applied to the other three, and the other way round; filters are chosen on the people that
the model is fitted to. Results: ``benchmarks/results/recovery_real.json``.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.recovery import context_maps, fitted_model
from scaae_nipype.evaluation.baselines import baselines
from scaae_nipype.evaluation.overlap import scale
from scaae_nipype.evaluation.scoring import overlap_table, score_maps
from scaae_nipype.evaluation.templates import TemplateSet, coverage, load_templates
from scaae_nipype.files import write_json
from scaae_nipype.grid import Grid, load_grid
from scaae_nipype.model import extract_networks
from scaae_nipype.preparation import prepare_run

SHARED = Path(__file__).resolve().parents[2] / "shared"
RESULTS = Path(__file__).parent / "results" / "recovery_real.json"
PEOPLE = (("007", "018", "067"), ("107", "112", "133"))
SCORES = ("average_precision", "size_matched_iou", "iou", "r")
SUMMARIES = ("best", "best_of_20", "mean")


def prepared(folder: Path, label: str, grid: Grid) -> tuple[np.ndarray, np.ndarray]:
    """Give a person's z-scored volumes and the region that they cover."""
    stem = folder / f"sub-{label}" / "func" / f"sub-{label}_task-rest"
    space = f"{stem}_space-MNI152NLin6Asym_desc"
    run = prepare_run(
        f"{space}-preproc_bold.nii.gz",
        grid=grid,
        mask_file=f"{space}-brain_mask.nii.gz",
        confounds_file=f"{stem}_desc-confounds_timeseries.tsv",
    )
    return np.asarray(run.data), run.region


def methods_of(data: np.ndarray, region: np.ndarray, model, grid: Grid):
    """Yield name, maps for thresholding and signed maps, over the region's voxels."""
    inside = Grid(grid.affine, grid.volumes(region))
    for made in baselines(
        ("volume", "smoothed", "pca", "cap", "ica", "dictionary"), data[:, region], inside, repetition_time=1.0
    ):
        yield made.method, made.display, made.signed
        if made.method.startswith("smoothed") and "squared" not in made.method:
            yield f"{made.method}_negated", scale(-made.signed), -made.signed
    for name, maps in zip(("context", "first_guess"), context_maps(model, data), strict=True):
        yield name, scale(maps[:, region]), maps[:, region]
    for branch, maps in enumerate(extract_networks(data, model).signed, start=1):
        yield f"fbn{branch}", scale(maps[:, region]), maps[:, region]


def score_person(data: np.ndarray, region: np.ndarray, model, templates: TemplateSet) -> pd.DataFrame:
    inside = Grid(templates.grid.affine, templates.grid.volumes(region))
    local, covered = templates.inside(inside), coverage(templates, inside)
    tables = []
    for name, display, signed in methods_of(data, region, model, templates.grid):
        scores = score_maps(display, local, signed=signed)
        tables.append(overlap_table(scores, display, local, method=name, volumes=None, template_coverage=covered))
    columns = [f"{summary}_{score}" for score in SCORES for summary in SUMMARIES]
    return pd.concat(tables).groupby("method")[columns].mean()


def main() -> None:
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
        model = fitted_model([runs[label][0] for label in fitted_on])
        for label in applied_to:
            results[label] = score_person(*runs[label], model, templates)
            print(f"sub-{label}", file=sys.stderr, flush=True)
    write_json({label: table.to_dict("index") for label, table in results.items()}, RESULTS)
    for people in PEOPLE:
        mean = sum(results[label] for label in people) / len(people)
        print(f"\nMean over templates and people ({', '.join(people)}; the model was fitted to the others)\n")
        columns = [f"{summary}_{score}" for score in SCORES[:3] for summary in SUMMARIES]
        print(f"| method | {' | '.join(columns)} |\n| --- |{' --- |' * len(columns)}")
        for method, row in mean.sort_values("best_of_20_average_precision", ascending=False).iterrows():
            print(f"| {method} | {' | '.join(f'{row[column]:.3f}' for column in columns)} |")


if __name__ == "__main__":
    main()
