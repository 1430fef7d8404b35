"""Write the figures of ``docs/scale.md`` from what ``make bench-scale`` measured: ``python -m tools.scale_page``."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scaae_nipype.bids_app.job.draw import TRAINING_RUNS
from scaae_nipype.words import counted

__all__ = ["DOCUMENT", "RESULTS", "figures", "page"]

DOCUMENT = Path(__file__).parents[1] / "docs" / "scale.md"
RESULTS = Path(__file__).parents[1] / "benchmarks" / "results" / "scale.json"

STUDIES = {
    "904 participants (ABIDE, 300 volumes)": (904, 300),
    "50,000 participants (UK Biobank, 490 volumes)": (50_000, 490),
}
"""Participants, and volumes of the one run that each has."""


@dataclass(frozen=True)
class _Costs:
    """What was measured, as a fixed part and one in proportion."""

    run: tuple[float, float]  # s of processor: of a run, and of each of its volumes that `train` has prepared
    memory: tuple[float, float]  # MB
    output: float  # MB a volume
    work: float  # MB a volume
    report: float  # MB a participant
    files: int
    train: tuple[float, float]  # s
    plan: tuple[float, float]  # s: of a call, and of each run
    plan_mb: tuple[float, float]
    group: tuple[float, float]  # s
    group_mb: tuple[float, float]


def _line(x: tuple[float, float], y: tuple[float, float]) -> tuple[float, float]:
    """Give intercept and slope of the line through two points, at least 0 each: a small slope drowns in noise."""
    slope = max(0.0, (y[1] - y[0]) / (x[1] - x[0]))
    return max(0.0, y[0] - x[0] * slope), slope


def _costs(found: Mapping[str, Any]) -> _Costs:
    calls = found["runs"]
    short, long = (fit["volumes"] for fit in calls["train"])
    one, other = calls[f"{short} volumes"], calls[f"{long} volumes"]

    def of_volumes(key: str) -> tuple[float, float]:
        return _line((short, long), (one[key], other[key]))

    plan, few, many = found["plan"], found["group"][0], found["group"][-1]
    runs = (4.0, 4.0 * plan["participants"])  # two sessions of two runs each
    if few is many:  # one size was measured: in proportion
        few = dict.fromkeys(many, 0)
    people = (few["participants"], many["participants"])
    fits = (calls["train"][0]["processor_seconds"], calls["train"][1]["processor_seconds"])
    return _Costs(
        run=of_volumes("processor_seconds"),
        memory=of_volumes("peak_mb"),
        output=of_volumes("output_mb")[1],
        work=of_volumes("work_mb")[1],
        report=other["report_mb"],
        files=other["files"],
        train=_line((short, long), fits),
        plan=_line(runs, (plan["one"]["processor_seconds"], plan["everybody"]["processor_seconds"])),
        plan_mb=_line(runs, (plan["one"]["peak_mb"], plan["everybody"]["peak_mb"])),
        group=_line(people, (few["processor_seconds"], many["processor_seconds"])),
        group_mb=_line(people, (few["peak_mb"], many["peak_mb"])),
    )


def figures(found: Mapping[str, Any]) -> dict[str, str]:
    """Give the parts of the page that are figures, by their names.

    Parameters
    ----------
    found : mapping
        ``benchmarks/results/scale.json``.
    """
    cost = _costs(found)
    return {"measured": _measured(found, cost), "one participant": _one(cost), "studies": _studies(cost)}


def _measured(found: Mapping[str, Any], cost: _Costs) -> str:
    plan, machine = found["plan"], found["machine"]
    lengths = " and ".join(str(fit["volumes"]) for fit in found["runs"]["train"])
    units, load = ", ".join(machine["units"]), machine["load_before"]
    most = max(fit["peak_mb"] for fit in found["runs"]["train"])
    lines = [
        f"Processor: {machine['processor']} ({units}), {counted(machine['threads'], 'thread')}; load {load:.1f}. "
        f"Runs of {lengths} volumes.",
        "",
        "| what | processor | memory at most | disk | files |",
        "| --- | --- | --- | --- | --- |",
        f"| a volume of 2 mm (networks and scores) | {cost.run[1]:.2f} s | {cost.memory[1]:.1f} MB more in "
        f"the run's process | {cost.output:.2f} MB output; {cost.work:.2f} MB work folder, until the run is done | – |",
        f"| a run besides (start of the program and report included) | {cost.run[0]:.0f} s | "
        f"{cost.memory[0] / 1000:.1f} GB | – | {cost.files - 1} |",
        f"| a participant besides | (within the run's {cost.run[0]:.0f} s) | – | {cost.report:.1f} MB report | 1 |",
        f"| `train`: a volume, prepared and fitted to | {cost.train[1]:.2f} s | – | – | – |",
        f"| `train` besides | {cost.train[0]:.0f} s | {most / 1000:.1f} GB | 19 MB model | 6 |",
        f"| plan of {plan['participants']:,} participants × 2 sessions × 2 runs, {56 * plan['participants']:,} files | "
        f"{plan['everybody']['processor_seconds']:.1f} s | {plan['everybody']['peak_mb']} MB | – | – |",
        f"| plan of one of these participants, in a call of its own | {plan['one']['processor_seconds']:.1f} s | "
        f"{plan['one']['peak_mb']} MB | – | – |",
    ]
    lines += [
        f"| group level of {one['participants']:,} runs with every table and map, comparison and prediction | "
        f"{one['processor_seconds']:.0f} s | {one['peak_mb']} MB | – | 30 |"
        for one in found["group"]
    ]
    return "\n".join(lines)


def _one(cost: _Costs) -> str:
    (_, usual), (_, long) = STUDIES.values()
    seconds, megabytes, work = _seconds(cost, usual), _megabytes(cost, usual), usual * cost.work
    return (
        f"A participant with one run of {usual} volumes: ({cost.run[1]:.2f} + {cost.train[1]:.2f}) × {usual} + "
        f"{cost.run[0]:.0f} = {seconds:.0f} s of processor, {megabytes:.0f} MB of output in {cost.files} files; the "
        f"work folder holds at most {work:.0f} MB of each run that is under way, and a fifth of that of each that "
        f"waits for its turn (4 per processor). UK Biobank: one run of {long} volumes, {_seconds(cost, long):.0f} s, "
        f"{_megabytes(cost, long):.0f} MB."
    )


def _seconds(cost: _Costs, volumes: int) -> float:
    return cost.run[0] + volumes * (cost.run[1] + cost.train[1])


def _megabytes(cost: _Costs, volumes: int) -> float:
    return cost.report + volumes * cost.output


def _studies(cost: _Costs) -> str:
    rows: dict[str, list[str]] = {}
    for people, volumes in STUDIES.values():
        total = people * _seconds(cost, volumes)
        work = 16 * volumes * (cost.work + 4 * 0.2 * cost.work) / 1000
        fit = cost.train[0] + min(people, TRAINING_RUNS) * volumes * cost.train[1]
        cells = {
            "processor in all": _time(total),
            "one node of 16 processors": f"{_time(total / 16)}, {work:.0f} GB of work folder",
            "100 tasks at a time (a task with one run keeps one processor busy)": f"{_time(total / 100)} and the queue",
            "output": f"{_size(people * _megabytes(cost, volumes))}, {people * cost.files:,} files",
            f"model (`train`: {TRAINING_RUNS} runs drawn)": f"{_time(fit)} of a processor",
            "plan of everybody": f"{_time(cost.plan[0] + people * cost.plan[1])}, "
            f"{_size(cost.plan_mb[0] + people * cost.plan_mb[1])} of memory",
            "group level": f"{_time(cost.group[0] + people * cost.group[1])}, "
            f"{_size(cost.group_mb[0] + people * cost.group_mb[1])} of memory",
        }
        for name, cell in cells.items():
            rows.setdefault(name, []).append(cell)
    lines = [f"| | {' | '.join(STUDIES)} |", "| --- | --- | --- |"]
    return "\n".join([*lines, *(f"| {name} | {' | '.join(cells)} |" for name, cells in rows.items())])


def _time(seconds: float) -> str:
    """Say a time in the unit that suits it.

    >>> [_time(seconds) for seconds in (3.2, 700, 9000, 400_000)]
    ['3 s', '12 min', '2.5 h', '4.6 days']
    """
    for unit, size in (("days", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            amount = seconds / size
            return f"{amount:.0f} {unit}" if amount >= 10 or unit == "min" else f"{amount:.1f} {unit}"
    return f"{seconds:.0f} s"


def _size(megabytes: float) -> str:
    """Say a size in the unit that suits it.

    >>> _size(612), _size(35_000), _size(3_100_000)
    ('612 MB', '35 GB', '3.1 TB')
    """
    if megabytes < 1000:
        return f"{megabytes:.0f} MB"
    gigabytes = megabytes / 1000
    return f"{gigabytes / 1000:.1f} TB" if gigabytes >= 1000 else f"{gigabytes:.{0 if gigabytes >= 10 else 1}f} GB"


def page(text: str, parts: Mapping[str, str]) -> str:
    """Put figures into the text of the page, each between the comments that name it."""
    for name, part in parts.items():
        pattern = rf"(<!-- {name} -->\n)(?:.*?\n)??(<!-- / -->)"
        text, n = re.subn(pattern, lambda found, part=part: f"{found[1]}{part}\n{found[2]}", text, flags=re.DOTALL)
        if n != 1:
            raise ValueError(f"{DOCUMENT.name} has no place for {name}: <!-- {name} -->, then <!-- / -->")
    return text


if __name__ == "__main__":
    made = figures(json.loads(RESULTS.read_text(encoding="utf-8")))
    DOCUMENT.write_text(page(DOCUMENT.read_text(encoding="utf-8"), made), encoding="utf-8")
    sys.exit(0)
