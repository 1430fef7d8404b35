"""An output dataset as the program writes it, from simulated smooth maps."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from scipy.ndimage import gaussian_filter

from scaae_nipype.derivatives.names import output_path
from scaae_nipype.evaluation.assignment import Assignment, state_table
from scaae_nipype.evaluation.transitions import transition_counts
from scaae_nipype.files import write_json, write_table, write_text
from scaae_nipype.grid import Grid, load_grid
from scaae_nipype.maps import DECIDING

TEMPLATES = ["Auditory", "DefaultMode", "SomatomotorDorsal", "Visual", "NA"]
METHODS = ["fbn1", "fbn2", "volume", "volume_negated"]
SCORES = ["iou", "dice", "size_matched_iou", "average_precision", "r"]


def smooth_volumes(rng: np.random.Generator, grid: Grid, n: int) -> np.ndarray:
    """Slowly changing smooth maps: (n, n_voxels), zero mean, unit variance."""
    anchors = [gaussian_filter(rng.standard_normal(grid.shape), 2.5)[grid.mask] for _ in range(max(2, n // 6))]
    where = np.linspace(0, len(anchors) - 1, n)
    low = np.minimum(where.astype(int), len(anchors) - 2)
    part = (where - low)[:, None]
    maps = (1 - part) * np.stack(anchors)[low] + part * np.stack(anchors)[low + 1]
    return (maps - maps.mean(1, keepdims=True)) / maps.std(1, keepdims=True)


def scaled(maps: np.ndarray) -> np.ndarray:
    """Equation 9."""
    low, high = maps.min(1, keepdims=True), maps.max(1, keepdims=True)
    return ((maps - low) / (high - low)) ** 2


def preparation(n: int, kept: np.ndarray, repetition_time: float) -> dict:
    return {
        "RepetitionTime": repetition_time,
        "NumberOfVolumes": n,
        "NumberOfVolumesKept": int(kept.sum()),
        "NumberOfDummyScans": 2,
        "NumberOfVolumesCensored": int((~kept).sum()) - 2,
        "SmoothingFWHM": 6.0,
        "NuisanceStrategy": "auto: 24P + WM + CSF",
        "NuisanceRegressors": [f"trans_{axis}{power}" for axis in "xyz" for power in ("", "_derivative1")] + ["csf"],
        "HighPass": 0.008,
        "LowPass": None,
        "Detrend": True,
        "FramewiseDisplacementThreshold": 0.5,
        "MaskCoverage": 0.934,
        "Warnings": ["The run covers only 71 % of the template Visual."],
        "Description": "Volumes were resampled to 4 mm, smoothed and z-scored per voxel.",
    }


def model_metadata(**changes) -> dict:
    return {
        "ModelName": "abc123",
        "ModelChecksum": "0123456789abcdef" * 4,
        "Preset": "light",
        "Mode": "calibrated",
        "Precision": "bf16",
        "Device": "cpu",
        "Undertrained": False,
        "Branches": [
            {"Sign": 1, "SignAgreement": 1.0, "Flagged": False, "MeanDensity": 0.21},
            {"Sign": -1, "SignAgreement": 0.97, "Flagged": False, "MeanDensity": 0.35},
        ],
        "ChannelWeightRange": [0.37, 0.61],
        **changes,
    }


def write_run(root: Path, entities: dict, *, n: int, seed: int, model: dict, repetition_time: float = 2.0) -> None:
    rng = np.random.default_rng(seed)
    grid = load_grid()
    region = grid.mask.copy()
    region[:, :, :9] = False  # the field of view ends above the cerebellum
    region = Grid(grid.affine, region)
    displacement = np.abs(rng.normal(0.12, 0.06, n))
    displacement[n // 2] = 1.3
    dummy, censored = np.arange(n) < 2, displacement > 0.5
    kept = ~dummy & ~censored

    def target(meaning: str, extension: str | None = None) -> Path:
        path = root / output_path(entities, meaning, extension)
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    sidecar = {
        "RepetitionTime": repetition_time,
        "Preparation": preparation(n, kept, repetition_time),
        "Model": model,
        "Sources": ["bids::x"],
    }
    region.save(target("region"))
    volumes = smooth_volumes(rng, region, n)
    iou = {"kept": kept.astype(int)}
    for branch, sign in (("fbn1", 1), ("fbn2", -1)):
        maps = scaled(sign * volumes + 0.4 * smooth_volumes(rng, region, n)) * kept[:, None]
        nib.save(region.image(maps.astype(np.float32), repetition_time), target(branch))
        write_json(sidecar, target(branch, ".json"))
        for template in TEMPLATES:
            iou[f"{branch}_{template}"] = np.where(kept, gaussian_filter(rng.uniform(0, 0.5, n), 2), np.nan)
    write_table(pd.DataFrame(iou), target("template_iou"))
    write_table(pd.DataFrame(iou), target("template_scores"))
    samples = {"volume": range(n), "kept": kept, "dummy": dummy, "censored": censored}
    displacement[0] = np.nan
    samples = pd.DataFrame(samples).astype(int).assign(framewise_displacement=displacement)
    write_table(samples, target("samples"))
    for meaning, prefix, width, values in (
        ("channel_weights", "channel", 32, 0.49 + 0.1 * np.tanh(rng.standard_normal((n, 32)) * 0.3)),
        ("code", "code", 64, rng.standard_normal((n, 64)).cumsum(0)),
    ):
        columns = {f"{prefix}{i + 1:02d}": np.where(kept, values[:, i], np.nan) for i in range(width)}
        write_table(pd.DataFrame({"kept": kept.astype(int), **columns}), target(meaning))
    write_table(overlap_table(rng, kept), target("overlap"))
    about = {"Templates": "Seitzman 2018, 4 mm", "Threshold": 0.3, "Warnings": [], "TemplateKind": "labels"}
    about |= {"TemplateVoxels": {template: 100 + place for place, template in enumerate(TEMPLATES)}}
    write_json(about, target("overlap", ".json"))
    write_table(threshold_table(), target("threshold_curve"))
    write_table(gradual_table(repetition_time), target("gradual_change"))
    write_states(target, rng, region, kept, repetition_time)
    write_baselines(target, rng, kept)
    write_task(target, rng)
    write_nulls(target, rng)
    write_planted(target, region)
    for branch in ("fbn1", "fbn2"):
        means = np.where(kept[:, None], rng.uniform(0.1, 0.4, (n, 3)), np.nan)
        table = pd.DataFrame(means, columns=["Left", "Right", "Middle"])
        table.insert(0, "kept", kept.astype(int))
        write_table(table, target(f"regions_{branch}"))
    write_text("{}", root / f"sub-{entities['sub']}" / "log" / f"{target('samples').name.split('_desc-')[0]}.json")


def write_states(target, rng, region, kept: np.ndarray, repetition_time: float) -> None:
    """Write states as the evaluation does: "NA" never appears, branch 2 has two states."""
    sequence, metrics, transitions = {"kept": kept.astype(int)}, [], []
    methods = {}
    for method, choices in (("fbn1", [-1, 0, 1, 2, 3]), ("fbn2", [-1, 0, 3]), ("volume", [-1, 1, 2])):
        states = np.repeat(rng.choice(choices, size=len(kept)), rng.integers(1, 4, len(kept)))[: len(kept)]
        states[:3] = choices[-1]
        found = Assignment(states, states, np.where(kept, 0.3, np.nan), np.where(kept, 0.1, np.nan), kept)
        found = replace(found, states=np.where(kept, states, -1))
        names = np.array([*TEMPLATES, "unassigned"], dtype=object)
        sequence[f"{method}_state"] = pd.Series(names[found.states]).where(kept)
        table = state_table(found, TEMPLATES, repetition_time).assign(split_half_r=0.5)
        table.insert(0, "method", method)
        metrics.append(table)
        counts = transition_counts(found.states, kept, len(TEMPLATES))
        transitions += [(method, TEMPLATES[i], TEMPLATES[j], counts[i, j]) for i, j in np.ndindex(counts.shape)]
        methods[method] = {"OccupancyEntropyBits": 1.5, "EntropyRateBits": 0.7}
    write_table(pd.DataFrame(sequence), target("states"))
    write_table(pd.concat(metrics), target("state_metrics"))
    write_table(pd.DataFrame(transitions, columns=["method", "from", "to", "count"]), target("transitions"))
    about = {"Score": "size_matched_iou", "CutOff": 0.2, "TemplateLabels": TEMPLATES, "Methods": methods}
    write_json(about, target("state_metrics", ".json"))
    for branch in ("fbn1", "fbn2"):
        maps = smooth_volumes(rng, region, len(TEMPLATES)).astype(np.float32)
        maps[-1] = 0
        nib.save(region.image(maps), target(f"{branch}_states"))
        write_json(about, target(f"{branch}_states", ".json"))


def write_baselines(target, rng, kept: np.ndarray) -> None:
    """Write a filter that is better than the network, and a decomposition that is not."""
    made = overlap_table(rng, kept)
    filtered = made[made["method"] == "fbn1"].copy()
    numbers = [column for column in filtered if column.startswith(("best_of", "mean_"))]
    better = filtered.assign(method="smoothed_12mm", **{name: filtered[name] + 0.1 for name in numbers})
    worse = filtered.assign(method="canica", n_volumes=20, **{name: filtered[name] - 0.1 for name in numbers})
    write_table(pd.concat([better, worse]), target("baselines"))
    write_json(
        {"Warnings": ["Sliding-window ICA: no window of 60 s keeps 20 volumes; leave this baseline out."]},
        (target("baselines", ".json")),
    )


def write_task(target, rng) -> None:
    rows = [
        (method, measure, condition, template, 5, 8, 0.4, 0.2, float(r), 0.01 if r > 0.7 else 0.5)
        for method in ("fbn1", "fbn2", "volume")
        for measure in ("score", "occupancy")
        for condition in ("faces", "houses")
        for template in TEMPLATES
        for r in [0.8 if (method, condition, template) == ("fbn1", "faces", "Visual") else rng.uniform(-0.3, 0.3)]
    ]
    columns = ["method", "measure", "condition", "template", "n_events", "n_volumes_locked", "mean_locked"]
    table = pd.DataFrame(rows, columns=[*columns, "mean_elsewhere", "r", "p"])
    write_table(table.assign(p_corrected=table["p"], least_p=0.01), target("events"))
    write_json({"Events": "x_events.tsv", "Warnings": []}, target("events", ".json"))


def write_planted(target, region: Grid) -> None:
    """Write what a simulated run has beside it: who finds how much of what was planted, and examples."""
    r = {"fbn1": 0.6, "fbn2": -0.5, "group_pca": 0.55, "smoothed_8mm": 0.4, "volume": 0.2}
    table = pd.DataFrame({"method": [*r], "n_volumes": 20, "r": [*r.values()]})
    table = table.assign(average_precision=table["r"] / 2, size_matched_iou=table["r"] / 3, networks_named=0.5)
    write_table(table, target("planted"))
    shown = ["planted", "fbn1", "group_pca", "smoothed_8mm", "volume"]
    maps = np.zeros((2 * len(shown), region.n_voxels), dtype=np.float32)
    maps[:, 5000:9000] = 1
    nib.save(region.image(maps), target("planted_maps"))
    about = {"ExampleVolumes": [3, 17], "ExampleNetworks": ["visual", "default"], "ExampleMethods": shown}
    for meaning in ("planted", "planted_maps"):
        write_json(about, target(meaning, ".json"))


def write_nulls(target, rng) -> None:
    """Write null models: branch 1 matches Visual, the run is told from its surrogates, and the model knew it."""
    rows = [
        (method, template, 0.3, 7, 0.01 if (method, template) == ("fbn1", "Visual") else 0.4, 0.04, 0.22, 99)
        for method in ("fbn1", "fbn2", "volume")
        for template in TEMPLATES
    ]
    columns = ["method", "template", "best_score", "best_volume", "p_best", "share_matched", "cutoff", "n_surrogates"]
    write_table(pd.DataFrame(rows, columns=columns), target("matches"))
    about = {"NumberOfSurrogates": 99, "Seed": 3, "Meaning": "A small p says where the map lies.", "Warnings": []}
    write_json(about, target("matches", ".json"))
    families = {
        "clarity": ["margin", "skewness"],
        "gradual_change": ["iou_lag1", "iou_lag2"],
        "sequence": ["n_changes"],
    }
    rows = [
        (method, family, name, 0.5, 0.4, 0.05, {"clarity": 4.0, "gradual_change": 0.3}.get(family, -1.0), 0.02, 0.02)
        for method in ("fbn1", "fbn2")
        for family, names in families.items()
        for name in names
    ]
    columns = ["method", "family", "statistic", "observed", "surrogate_mean", "surrogate_sd", "z", "p_family"]
    table = pd.DataFrame(rows, columns=[*columns, "p_corrected"]).assign(p=0.02, in_sample="yes")
    write_table(table, target("dynamics_null"))
    about |= {"InSample": "yes", "Meaning": "A rejection means that the run is not stationary, linear and Gaussian."}
    write_json(about | {"Warnings": ["The model was fitted to this run."]}, target("dynamics_null", ".json"))


def overlap_table(rng: np.random.Generator, kept: np.ndarray) -> pd.DataFrame:
    rows = []
    for number, method in enumerate(METHODS):
        for index, template in enumerate(TEMPLATES):
            density = 0.02 + 0.02 * index
            row = {"method": method, "template": template, "template_density": density, "template_coverage": 0.95}
            row |= {"method_density": [0.21, 0.35, 0.37, 0.37][number], "n_volumes": int(kept.sum())}
            for score in SCORES:
                best = float(rng.uniform(0.2, 0.5)) - 0.05 * number
                row |= {f"best_{score}": best + 0.05, f"best_volume_{score}": int(rng.choice(np.flatnonzero(kept)))}
                row |= {f"best_of_20_{score}": best, f"mean_{score}": best / 2}
                for kind in ("best_of_20", "mean") if score in DECIDING else ():
                    row |= {f"chance_{kind}_{score}": 0.1, f"above_{kind}_{score}": row[f"{kind}_{score}"] - 0.1}
                    row[f"chance_p_{kind}_{score}"] = 0.05 if best > 0.3 else 0.4
            rows.append(row)
    return pd.DataFrame(rows)


def threshold_table() -> pd.DataFrame:
    rows = []
    for number, method in enumerate(METHODS):
        for template in TEMPLATES:
            for threshold in (0.1, 0.3, 0.5, 0.7):
                mean = 0.2 - (threshold - 0.3 - 0.1 * number) ** 2
                row = {"method": method, "template": template, "threshold": threshold, "best_of_20_iou": mean + 0.1}
                rows.append(row | {"mean_iou": mean, "best_iou": mean + 0.2, "method_density": 1 - threshold})
    return pd.DataFrame(rows)


def gradual_table(repetition_time: float) -> pd.DataFrame:
    lags = np.arange(1, 13)
    rows = []
    for method, density in (("fbn1", 0.21), ("fbn2", 0.35), ("volume", 0.37)):
        chance = density / (2 - density)
        mean = chance + (0.75 - chance) * np.exp(-lags * repetition_time / 6)
        for lag, value in zip(lags, mean, strict=True):
            row = {"method": method, "lag": lag, "lag_seconds": lag * repetition_time, "mean_iou": value}
            rows.append(row | {"sd_iou": 0.05, "n_pairs": 100 - lag, "density": density, "chance_iou": chance})
    return pd.DataFrame(rows)


def write_model(root: Path, **training) -> None:
    folder = root / "models" / "abc123"
    load_grid().save(folder / "mask.nii.gz")
    card = {
        "Name": "abc123",
        "Preset": "light",
        "Mode": "calibrated",
        "WeightsSHA256": "0123456789abcdef" * 4,
        "Parameters": 1_480_112,
        "Precision": "bf16",
        "Seed": 0,
        "Branches": [{"Sign": 1, "SignAgreement": 1.0, "Flagged": False}, {"Sign": -1, "SignAgreement": 0.97}],
        "Training": {
            "Runs": ["sub-01_task-rest_run-01_space-MNI152NLin6Asym"],
            "Volumes": 292,
            "VolumesSeen": 4800,
            "Steps": 600,
            "BatchSize": 8,
            "LearningRate": 0.001,
            "FinalLoss": 0.4123,
            "Undertrained": False,
            "Seconds": 512.3,
            **training,
        },
        "RepetitionTimeRange": [2.0, 2.5],
    }
    write_json(card, folder / "card.json")


def write_dataset(
    root: Path, *, n: int = 20, participant: str = "01", runs: int = 1, training: dict | None = None, **model
) -> Path:
    """Write an output dataset with one participant."""
    for run in range(1, runs + 1):
        entities = {"sub": participant, "task": "rest", "run": f"{run:02d}", "space": "MNI152NLin6Asym"}
        write_run(root, entities, n=n, seed=run, model=model_metadata(**model))
    write_model(root, **(training or {}))
    generated = {"GeneratedBy": [{"Name": "scaae-nipype", "Version": "0.1.0"}, {"Name": "fMRIPrep"}]}
    write_json(generated, root / "dataset_description.json")
    write_text("# Methods\n\nVolumes were smoothed (6 mm) & z-scored; FBNs where > 0.3.\n", root / "logs/CITATION.md")
    return root


@pytest.fixture
def make_dataset(tmp_path) -> Callable[..., Path]:
    """Write an output dataset into the test's folder: ``make_dataset(n=…, runs=…, <model metadata>=…)``."""

    def make(**options) -> Path:
        return write_dataset(tmp_path / "out", **options)

    return make


@pytest.fixture
def undrawn(monkeypatch) -> None:
    """Make figures and their places on the page, and leave out what takes longest: turning them into images."""
    monkeypatch.setattr("scaae_nipype.report.items.data_uri", lambda figure, *, vector: "data:image/png;base64,")


@pytest.fixture(scope="session")
def dataset(tmp_path_factory) -> Path:
    """An output dataset with two short runs, to be read only."""
    return write_dataset(tmp_path_factory.mktemp("report") / "out", runs=2)
