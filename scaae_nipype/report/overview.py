"""What the report says about all runs of a participant together: facts, a table, the model, the files."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pandas as pd

from ..derivatives.names import outputs
from ..derivatives.reading import Run
from ..errors import InputError
from ..files import read_json
from ..maps import BRANCHES, NO_NETWORK
from ..words import first_few, number, percent
from .findings import channel_limits
from .page import Block, Cell, Link, Links, Table, Text

__all__ = ["cards_of", "facts", "files_of", "glance", "methods_text", "model_blocks"]


def _joined(values: Iterable[object]) -> str:
    known = [str(value) for value in values if value not in (None, "")]
    return ", ".join(dict.fromkeys(known)) or "not recorded"


def facts(root: Path, participant: str, runs: Sequence[Run], cards: Mapping[str, Mapping[str, Any]]) -> list:
    """Give what stands at the head of the report: (name, value)."""

    def told(key: str) -> list[object]:
        return [run.model.get(key) or cards.get(str(run.model.get("ModelName")), {}).get(key) for run in runs]

    checksums = [str(value)[:10] for value in (run.model.get("ModelChecksum") for run in runs) if value]
    return [
        ("Participant", participant),
        ("Runs", str(len(runs))),
        ("Made with", _tool(root)),
        ("Mode", _joined(told("Mode"))),
        ("Preset", _joined(told("Preset"))),
        ("Model", _joined(told("ModelName"))),
        ("Model checksum", _joined(checksums)),
        ("Precision, device", f"{_joined(told('Precision'))}; {_joined(told('Device'))}"),
        ("Templates", _joined(run.sidecar("overlap").get("Templates") for run in runs)),
    ]


def _tool(root: Path) -> str:
    try:
        entries = read_json(root / "dataset_description.json").get("GeneratedBy")
    except InputError:
        entries = None
    first = entries[0] if isinstance(entries, list) and entries and isinstance(entries[0], dict) else {}
    return " ".join(str(first[key]) for key in ("Name", "Version") if first.get(key)) or "not recorded"


def glance(runs: Sequence[Run]) -> Table:
    """Compare the runs in one table; what a run does not tell is ``n/a``."""
    columns = ["Run", "kept", "TR (s)", "FD (mm)", "marked (%)", *("network", "volume") * 2, "(chance)", "weights"]
    groups = [("", 1), ("Volumes", 1), ("", 1), ("Mean", 1), ("Region", 1), ("Average precision", 2)]
    groups += [("Size-matched IoU", 2), ("Consecutive IoU", 1), ("Channel", 1)]
    rows = []
    for run in runs:
        low, high = channel_limits(run) or (None, None)
        densities = [percent(branch.get("MeanDensity")).removesuffix(" %") for branch in run.branches]
        rows.append(
            [
                run.title,
                _kept(run),
                number(run.repetition_time, 3).rstrip("0").rstrip("."),
                number(_mean_displacement(run)),
                " · ".join(densities) or "n/a",
                *_scores(run, "average_precision"),
                *_scores(run, "size_matched_iou"),
                _consecutive(run),
                f"{number(low)}–{number(high)}" if low is not None else "n/a",
            ]
        )
    caption = (
        "Where two numbers stand, branch 1 · branch 2. AP and size-matched IoU: mean over templates of the best of 20 "
        "volumes; volume: the volume itself, the better of its two signs. Higher is better; chance differs per "
        "template."
    )
    return Table("The runs at a glance", columns, [[Cell(text) for text in row] for row in rows], caption, groups, True)


def _table(run: Run, meaning: str, columns: Iterable[str]) -> pd.DataFrame | None:
    try:
        return run.table(meaning, columns)
    except InputError:
        return None


def _kept(run: Run) -> str:
    try:
        return f"{int(run.kept.sum())} of {len(run.kept)}"
    except InputError:
        return "n/a"


def _mean_displacement(run: Run) -> float:
    table = _table(run, "samples", ["framewise_displacement"])
    return (
        float(pd.to_numeric(table["framewise_displacement"], errors="coerce").mean()) if table is not None else np.nan
    )


def _scores(run: Run, score: str) -> tuple[str, str]:
    column = f"best_of_20_{score}"
    table = _table(run, "overlap", ["method", column])
    if table is None:
        return "n/a", "n/a"
    means = pd.to_numeric(table[column], errors="coerce").groupby(table["method"]).mean()
    volume = means.reindex(list(NO_NETWORK)).max()
    return " · ".join(number(means.get(branch)) for branch in BRANCHES), number(volume)


def _consecutive(run: Run) -> str:
    table = _table(run, "gradualchange", ["method", "lag", "mean_iou", "chance_iou"])
    if table is None:
        return "n/a"
    first = table[table["lag"] == 1].drop_duplicates("method").set_index("method").reindex(list(BRANCHES))
    values = pd.to_numeric(first["mean_iou"], errors="coerce"), pd.to_numeric(first["chance_iou"], errors="coerce")
    return " · ".join(f"{number(iou)} ({number(chance)})" for iou, chance in zip(*values, strict=True))


def cards_of(runs: Sequence[Run]) -> dict[str, dict[str, Any]]:
    """Give the card of every model that made the runs' networks, by its name."""
    return {str(run.model["ModelName"]): run.card for run in runs if run.model.get("ModelName")}


_CARD = {
    "Preset": "Preset",
    "Mode": "Mode",
    "Parameters": "Parameters",
    "Precision": "Precision",
    "Seed": "Random seed",
    "WeightsSHA256": "Checksum of the weights (SHA-256)",
    "RepetitionTimeRange": "Repetition times of the training runs (s)",
    "Licence": "Licence",
}
_TRAINING = {
    "Volumes": "Distinct training volumes",
    "VolumesSeen": "Volumes seen (with repetition)",
    "Steps": "Steps",
    "BatchSize": "Batch size",
    "LearningRate": "Learning rate",
    "FinalLoss": "Loss at the end",
    "Seconds": "Duration (s)",
    "Undertrained": "Undertrained",
    "Runs": "Training runs",
}


def model_blocks(name: str, card: Mapping[str, Any], runs: Sequence[Run]) -> list[Block]:
    """Summarise a model card, and say whether the model was fitted to the runs it is applied to."""
    if not card:
        return [Text([f"This dataset does not keep the card of model {name}."], "missing")]
    training = card["Training"]
    rows = [(label, _value(card[key])) for key, label in _CARD.items() if key in card]
    rows += [(label, _value(training[key])) for key, label in _TRAINING.items() if key in training]
    for index, branch in enumerate(card["Branches"], start=1):
        rows.append((f"Sign of branch {index}", _sign(branch)))
    blocks: list[Block] = []
    own = [run.title for run in runs if run.stem in map(str, _listed(training.get("Runs")))]
    if own:
        text = f"This model was fitted to data that includes {', '.join(own)}: scores on those runs are in-sample."
        blocks.append(Text([text]))
    table = Table(f"Model {name}", ["Property", "Value"], [[Cell(label), Cell(value)] for label, value in rows])
    return [*blocks, table]


def _sign(branch: Mapping[str, Any]) -> str:
    if "Marks" in branch:
        return f"marks what is {branch['Marks']}; {percent(branch.get('SignAgreement'))} of the probe volumes agree"
    applied, measured = branch.get("Sign"), branch.get("MeasuredSign", branch.get("Sign"))
    text = "turned to follow the input" if applied == -1 else "as the network gives it"
    if applied != measured:
        text += ", although it runs against the input"
    return f"{text}; {percent(branch.get('SignAgreement'))} of the probe volumes agree"


def _listed(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return first_few(value, 12, end=f" … ({len(value)} in all)")
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def methods_text(root: Path) -> Text:
    """Give the Methods text that the workflow wrote."""
    try:
        text = (root / "logs" / "CITATION.md").read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        text = ""
    if not text:
        return Text(["logs/CITATION.md is missing: there is no Methods text."], "missing")
    return Text([re.sub(r"^#+\s*", "", text, flags=re.MULTILINE)], "verbatim")


def files_of(root: Path, runs: Sequence[Run]) -> list[Links]:
    """List what was written, with addresses relative to the dataset's root, where the report belongs."""
    found = []
    for run in runs:
        links = []
        for meaning, entry in outputs().items():
            if run.has(meaning):
                links.append(_link(root, run.path(meaning), entry["description"]))
        record = root / f"sub-{run.entities['sub']}" / "log" / f"{run.stem}.json"
        if record.is_file():
            links.append(_link(root, record, "Record of the run: settings, versions, time and memory"))
        found.append(Links(run.title, links))
    shared = {
        "dataset_description.json": "What this dataset is and what made it",
        "logs/CITATION.md": "Methods text",
        "logs/CITATION.bib": "References",
        "logs/configuration.json": "Settings",
        "logs/status.json": "Verdict on the last call",
    }
    links = [_link(root, root / name, text) for name, text in shared.items() if (root / name).is_file()]
    for folder in dict.fromkeys(run.model_folder for run in runs if run.model_folder):
        links.append(_link(root, folder / "card.json", f"Card of the model in {folder.name}"))
    return [*found, Links("The whole dataset", links)] if links else found


def _link(root: Path, path: Path, description: str) -> Link:
    relative = os.path.relpath(path, root).replace(os.sep, "/")
    return Link(f"./{quote(relative)}", path.name, description)
