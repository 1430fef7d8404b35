"""Time and memory of the group level: ``python -m benchmarks.group`` (three minutes), kept in ``benchmarks/results``.

A thousand participants with every table and map that the group level reads, written by hand as its tests write them.
The aim: less than a minute of one processor, less than 2 GB.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path

from benchmarks.machine import used_by

RESULTS = Path(__file__).parent / "results"
WRITERS = Path(__file__).resolve().parents[1] / "tests" / "bids_app" / "group"


WRITTEN = 1000
"""Participants that are written; writing thousands would take longer than all that is measured."""


def make_more(out: Path, n_written: int, n_participants: int) -> None:
    """Give the participants of an output dataset once more under other labels, until there are so many.

    All files but the records, which name their run, are hard links.
    """
    table = (out / "participants.tsv").read_text().splitlines()
    for number in range(n_written, n_participants):
        old, new = f"sub-{number % n_written:04d}", f"sub-{number:04d}"
        for path in (out / old).rglob("*"):
            target = out / str(path.relative_to(out)).replace(old, new)
            if path.is_dir():
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            if path.parent.name == "log":
                target.write_text(path.read_text().replace(old, new).replace(f'"{old[4:]}"', f'"{new[4:]}"'))
            else:
                os.link(path, target)
        table.append(table[1 + number % n_written].replace(old, new))
    (out / "participants.tsv").write_text("\n".join(table) + "\n")


def measure(n_participants: int) -> dict[str, float]:
    """Run the group level once, in a process of its own: seconds of processor, and MB at most."""
    sys.path.append(str(WRITERS))
    from runs_by_hand import write_dataset, write_study

    with tempfile.TemporaryDirectory() as folder:
        folders = Path(folder) / "in", write_dataset(Path(folder) / "out")
        folders[0].mkdir()
        n_written = min(n_participants, WRITTEN)
        write_study(folders, n_written, n_volumes=176, n_numbers=64)
        make_more(folders[1], n_written, n_participants)
        return measure_call(folders, n_participants)


def measure_call(folders: tuple[Path, Path], n_participants: int) -> dict[str, float]:
    """Run the group level on an output dataset."""
    command = [Path(sys.executable).with_name("scaae-bids"), *folders, "group"]
    return {"participants": n_participants} | used_by([*command, "--group-by", "dx", "--predict", "dx"])


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--participants", type=int, default=1000)
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the result")
    options = parser.parse_args()
    found = measure(options.participants)
    (options.out / "group.json").write_text(json.dumps(found, indent=2) + "\n")
    print(found)


if __name__ == "__main__":
    main()
