"""An output dataset as the participant level leaves it, written by hand: the values are known."""

from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd

from scaae_nipype.bids_app.output.records import RunRecord
from scaae_nipype.bids_app.settings.configuration import configuration_hash
from scaae_nipype.derivatives.names import output_path, run_stem
from scaae_nipype.files import read_table, write_json, write_table
from scaae_nipype.grid import load_grid
from scaae_nipype.maps import DECIDING

CONFIGURATION = {"Mode": "calibrated", "Seed": 0}
DIGEST = configuration_hash(CONFIGURATION)
METHODS, TEMPLATES = ("fbn1", "fbn2", "volume", "volume_negated"), ("Visual", "DefaultMode", "NA")
SCORES = ("iou", "dice", "size_matched_iou", "average_precision", "r")


def write_dataset(root: Path) -> Path:
    write_json(CONFIGURATION, root / "logs" / "configuration.json")
    write_json({"Name": "x", "BIDSVersion": "1.10.0", "DatasetType": "derivative"}, root / "dataset_description.json")
    return root


def write_run(
    root: Path,
    participant: str,
    *,
    run: str | None = None,
    session: str | None = None,
    repetition_time: float = 2.0,
    n_volumes: int = 30,
    n_numbers: int = 6,
    iou: float = 0.3,
    consecutive: float = 0.5,
    code_shift: float = 0.0,
    displacement: float = 0.1,
    configuration: str = DIGEST,
    model: str = "0123456789",
    seed: int = 0,
) -> str:
    """Write one run; its stem."""
    rng = np.random.default_rng(seed)
    entities = {"sub": participant, "ses": session, "task": "rest", "run": run, "space": "MNI152NLin6Asym"}
    entities = {key: label for key, label in entities.items() if label is not None}

    def target(meaning, extension=None):
        return root / output_path(entities, meaning, extension)

    kept = np.arange(n_volumes) >= 2
    samples = pd.DataFrame({"volume": range(n_volumes), "kept": kept.astype(int), "dummy": (~kept).astype(int)})
    write_table(samples.assign(censored=0, framewise_displacement=displacement), target("samples"))
    write_json({"Preparation": {"RepetitionTime": repetition_time}}, target("samples", ".json"))
    names = [f"code{number:02d}" for number in range(1, n_numbers + 1)]
    code = pd.DataFrame(rng.standard_normal((n_volumes, n_numbers)) + code_shift, columns=names)
    write_table(code[kept].reindex(code.index).assign(kept=kept.astype(int)), target("code"))
    rows = []
    for method in METHODS:
        for number, template in enumerate(TEMPLATES):
            row = {"method": method, "template": template, "template_density": 0.05, "template_coverage": 0.9}
            value = iou if method == "fbn1" and number == 0 else 0.2 + 0.01 * rng.standard_normal()
            row |= {f"{kind}_{score}": value for score in SCORES for kind in ("best", "best_of_20", "mean")}
            names = [f"{kind}_{score}" for score in DECIDING for kind in ("best_of_20", "mean")]
            rows.append(
                row | {f"chance_{name}": 0.1 for name in names} | {f"above_{name}": value - 0.1 for name in names}
            )
    write_table(pd.DataFrame(rows), target("overlap"))
    lags = [
        {"method": method, "lag": lag, "lag_seconds": lag * repetition_time, "mean_iou": consecutive / lag}
        | {"sd_iou": 0.1, "n_pairs": 20, "density": 0.3, "chance_iou": 0.3 / 1.7}
        for method in METHODS[:3]
        for lag in (1, 2)
    ]
    write_table(pd.DataFrame(lags), target("gradual_change"))
    stem = run_stem(entities)
    RunRecord(stem, participant, "finished", "", configuration, model, {}).write(root)
    return stem


def write_states(root: Path, stem: str, occupancy: float) -> None:
    """Write a run's tables of states beside its others."""
    folder = next(root.glob(f"sub-*/**/{stem}_desc-overlap_metrics.tsv")).parent
    metrics = [
        {"method": method, "state": state, "occupancy": share, "mean_dwell_seconds": 4.0, "n_visits": 3}
        for method in METHODS[:3]
        for state, share in (("Visual", occupancy), ("DefaultMode", occupancy / 2))
    ]
    write_table(pd.DataFrame(metrics), folder / f"{stem}_desc-states_metrics.tsv")
    counts = [
        {"method": "fbn1", "from": one, "to": other, "count": 3 if one == other else 1, "probability": 0.5}
        for one in ("Visual", "DefaultMode")
        for other in ("Visual", "DefaultMode")
    ]
    write_table(pd.DataFrame(counts), folder / f"{stem}_desc-transitions_relmat.tsv")


def write_baselines(root: Path, stem: str, best: str) -> None:
    """Write a run's scores of two smoothed volumes, of which `best` has the higher ones."""
    path = next(root.glob(f"sub-*/**/{stem}_desc-overlap_metrics.tsv"))
    overlap = read_table(path)
    own = overlap[overlap["method"] == "volume"]
    scores = [name for name in own if name.startswith(("best", "mean"))]
    made = [
        own.assign(method=method, **dict.fromkeys(scores, 0.6 if method == best else 0.4))
        for method in ("smoothed_4mm", "smoothed_8mm")
    ]
    write_table(pd.concat(made), path.with_name(f"{stem}_desc-baselines_metrics.tsv"))


def write_state_maps(root: Path, stem: str, *values: float) -> None:
    """Write a map per state that has one value everywhere in the brain, 0 for a state that was never visited."""
    folder = next(root.glob(f"sub-*/**/{stem}_desc-states_metrics.tsv")).parent
    grid = load_grid()
    maps = grid.image(np.repeat(np.array(values, "f4")[:, None], grid.n_voxels, axis=1))
    for branch in ("fbn1", "fbn2"):
        nib.save(maps, folder / f"{stem}_res-4_desc-{branch}states_boldmap.nii.gz")
    write_json({"TemplateLabels": ["Visual", "DefaultMode"]}, folder / f"{stem}_desc-states_metrics.json")


def write_participants(root, rows, header="participant_id\tsite\tdx\tage"):
    (root / "participants.tsv").write_text("\n".join([header, *("\t".join(row) for row in rows)]) + "\n")


def write_study(folders: tuple[Path, Path], n_participants: int, n_volumes: int = 30, n_numbers: int = 6) -> None:
    """Write participants with everything that a run can leave, and who they are."""
    rng = np.random.default_rng(0)
    for number in range(n_participants):
        run = {"repetition_time": 2.5 if number % 4 == 3 else 2.0, "consecutive": rng.random(), "iou": rng.random()}
        stem = write_run(folders[1], f"{number:04d}", **run, n_volumes=n_volumes, n_numbers=n_numbers, seed=number)
        write_states(folders[1], stem, occupancy=rng.random() / 2)
        write_baselines(folders[1], stem, "smoothed_4mm")
        write_state_maps(folders[1], stem, *rng.random(2))
    rows = [
        (f"sub-{n:04d}", f"site{n % 8}", "ab"[rng.integers(2)], f"{8 + 10 * rng.random():.2f}")
        for n in range(n_participants)
    ]
    write_participants(folders[1], rows)
