"""What a page says of all its runs together: facts at its head, a table of them, the files."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pandas as pd

from ...derivatives.names import group_outputs, group_path, outputs
from ...derivatives.reading import Group, Run
from ...errors import InputError
from ...files import read_json
from ...maps import BRANCHES, DECIDING, NO_NETWORK
from ...words import number, percent
from ..cells import level_of, line_by_line, shown
from ..items import Item, Section
from ..labels import numbers, seconds
from ..page import Cell, Link, Links, Table

__all__ = ["GROUP_SECTION", "facts", "files_of", "glance", "group_facts", "group_files", "participants"]


def facts(root: Path, runs: Sequence[Run], cards: Mapping[str, Mapping[str, Any]]) -> list[tuple[str, str]]:
    """Give what stands at the head of the report: (name, value)."""

    def told(key: str) -> list[object]:
        return [run.model.get(key) or cards.get(str(run.model.get("ModelName")), {}).get(key) for run in runs]

    checksums = [str(value)[:10] for value in (run.model.get("ModelChecksum") for run in runs) if value]
    return [
        ("Participant", f"sub-{runs[0].entities['sub']}"),
        ("Runs", str(len(runs))),
        ("Made with", _tool(root)),
        ("Mode", _joined(told("Mode"))),
        ("Preset", _joined(told("Preset"))),
        ("Model", _joined(told("ModelName"))),
        ("Model checksum", _joined(checksums)),
        ("Precision, device", f"{_joined(told('Precision'))}; {_joined(told('Device'))}"),
        ("Templates", _joined(run.sidecar("overlap").get("Templates") for run in runs)),
    ]


def _joined(values: Iterable[object]) -> str:
    known = [str(value) for value in values if value not in (None, "")]
    return ", ".join(dict.fromkeys(known)) or "not recorded"


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
        limits = run.channel_limits
        densities = [percent(branch.get("MeanDensity")).removesuffix(" %") for branch in run.branches]
        line = [run.title, _or_not(_kept, run), seconds(run.repetition_time), _or_not(_mean_displacement, run)]
        line.append(" · ".join(densities) or "n/a")
        for score in DECIDING:
            line += [_or_not(_of_networks, run, score), _or_not(_of_volume, run, score)]
        line += [_or_not(_consecutive, run), f"{number(limits[0])}–{number(limits[1])}" if limits else "n/a"]
        rows.append([Cell(text) for text in line])
    caption = (
        "Where two numbers stand, branch 1 · branch 2. AP and size-matched IoU: mean over templates of the best of 20 "
        "volumes, raw (what lies above chance is said with the templates); volume: the volume itself, the better of "
        "its two signs. Higher is better."
    )
    return Table("The runs at a glance", columns, rows, caption, groups, narrow=True)


def _or_not(tell: Callable[..., str], *what: Any) -> str:
    try:
        return tell(*what)
    except InputError:
        return "n/a"


def _kept(run: Run) -> str:
    return f"{int(run.kept.sum())} of {len(run.kept)}"


def _mean_displacement(run: Run) -> str:
    return number(numbers(run.table("samples", ["framewise_displacement"])["framewise_displacement"]).mean())


def _mean_scores(run: Run, score: str) -> pd.Series:
    table = run.table("overlap", ["method", f"best_of_20_{score}"])
    return numbers(table[f"best_of_20_{score}"]).groupby(table["method"]).mean()


def _of_networks(run: Run, score: str) -> str:
    return " · ".join(number(mean) for mean in _mean_scores(run, score).reindex(list(BRANCHES)))


def _of_volume(run: Run, score: str) -> str:
    return number(_mean_scores(run, score).reindex(list(NO_NETWORK)).max())


def _consecutive(run: Run) -> str:
    table = run.table("gradual_change", ["method", "lag", "mean_iou", "chance_iou"])
    first = table[table["lag"] == 1].drop_duplicates("method").set_index("method").reindex(list(BRANCHES))
    values = numbers(first["mean_iou"]), numbers(first["chance_iou"])
    return " · ".join(f"{number(iou)} ({number(chance)})" for iou, chance in zip(*values, strict=True))


def files_of(root: Path, runs: Sequence[Run]) -> list[Links]:
    """List what was written, with addresses relative to the dataset's root, where the report belongs."""
    found = []
    for run in runs:
        named = {run.path(name): entry["description"] for name, entry in outputs().items()}
        record = root / f"sub-{run.entities['sub']}" / "log" / f"{run.stem}.json"
        named[record] = "Record of the run: settings, versions, time and memory"
        found.append(_links(run.title, root, named))
    shared = {
        "dataset_description.json": "What this dataset is and what made it",
        "logs/CITATION.md": "Methods text",
        "logs/CITATION.bib": "References",
        "logs/configuration.json": "Settings",
        "logs/status.json": "Verdict on the last call",
    }
    named = {root / name: text for name, text in shared.items()}
    for folder in dict.fromkeys(run.model_folder for run in runs if run.model_folder):
        named[folder / "card.json"] = f"Card of the model in {folder.name}"
    whole = _links("The whole dataset", root, named)
    return [*found, whole] if whole.links else found


def _links(title: str, root: Path, named: Mapping[Path, str]) -> Links:
    """Link the files that exist."""
    links = []
    for path, description in named.items():
        if path.is_file():
            address = quote(os.path.relpath(path, root).replace(os.sep, "/"))
            links.append(Link(f"./{address}", path.name, description))
    return Links(title, links)


def group_facts(group: Group) -> list[tuple[str, str]]:
    """Give what stands at the head of the group's report: (name, value)."""
    account = group.account
    participants = runs = times = "not recorded"
    if group.has("runs"):
        table = group.table("runs", ["participant_id", "repetition_time"])
        participants, runs = str(table["participant_id"].nunique()), str(len(table))
        times = ", ".join(f"{time:g} s" for time in sorted(set(table["repetition_time"])))
    return [
        ("Participants", participants),
        ("Runs", runs),
        ("Repetition times", times),
        ("Compared by", str(account.get("GroupBy") or "nothing")),
        ("Site column", str(account.get("SiteColumn") or "none")),
        ("Covariates", ", ".join(map(str, account.get("Covariates") or ())) or "none"),
        ("Permutations, seed", f"{account.get('Permutations', 'n/a')}, {account.get('Seed', 'n/a')}"),
        ("Model checksum", str(account.get("ModelChecksum") or "not recorded")[:10]),
        ("Configuration", str(account.get("ConfigurationHash") or "not recorded")),
    ]


def participants(group: Group) -> Table:
    """Tabulate who is in the group (the paper's Table 1)."""
    counts = {
        "Participants": "n_participants",
        "Runs": "n_runs",
        "Volumes": "n_volumes",
        "of these used": "n_volumes_kept",
    }
    return line_by_line(
        "Participants",
        group.table("participants", ["column", "level", "repetition_time", *counts.values(), "mean_fd", "sd_fd"]),
        {
            "": lambda row: Cell(level_of(row)),
            "TR (s)": lambda row: Cell(seconds(row["repetition_time"])),
            **{heading: shown(column, 0) for heading, column in counts.items()},
            "FD (mm)": lambda row: Cell(number(row["mean_fd"]), f"± {number(row['sd_fd'])}"),
        },
        "FD: framewise displacement, mean and SD over participants.",
    )


def group_files(group: Group) -> Links:
    """List the group level's files, with addresses relative to the dataset's root."""
    links = [
        Link(quote(str(group_path(name))), group.path(name).name, entry["description"])
        for name, entry in group_outputs().items()
        if group.has(name)
    ]
    return Links("Tables and maps of the group", links)


GROUP_SECTION: Section[Group] = Section(
    "participants", "Participants", (Item(participants, ("participants",)),), otherwise="There is no such table."
)
