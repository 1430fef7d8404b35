"""The model that made the networks, and the Methods text."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ...derivatives.reading import Run
from ...errors import InputError
from ...files import read_text
from ...words import first_few, percent
from ..page import Block, Cell, Table, Text

__all__ = ["cards_of", "methods_text", "model_blocks", "models"]


def cards_of(runs: Sequence[Run]) -> dict[str, dict[str, Any]]:
    """Give the card of every model that made the runs' networks, by its name."""
    return {str(run.model["ModelName"]): run.card for run in runs if run.model.get("ModelName")}


def models(runs: Sequence[Run], cards: Mapping[str, Mapping[str, Any]]) -> list[Block]:
    """Summarise the cards of all models."""
    if not cards:
        return [Text(["The sidecars do not say which model made the networks."], "missing")]
    return [block for name, card in cards.items() for block in model_blocks(name, card, runs)]


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
    if "TimeWidth" in card:
        width = card["TimeWidth"]
        seen = f"seen, as a Gaussian average (σ {width:g} s)" if width else "not seen: every volume alone"
        rows.append(("Neighbours of a volume in time", seen))
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
        text = read_text(root / "logs" / "CITATION.md").strip()
    except InputError:
        text = ""
    if not text:
        return Text(["logs/CITATION.md is missing: there is no Methods text."], "missing")
    return Text([re.sub(r"^#+\s*", "", text, flags=re.MULTILINE)], "verbatim")
