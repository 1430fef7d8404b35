"""Time and memory of the group level: ``python -m benchmarks.group`` (three minutes), kept in ``benchmarks/results``.

A thousand participants with every table and map that the group level reads, written by hand as its tests write them.
The aim: less than a minute of one processor, less than 2 GB.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

RESULTS = Path(__file__).parent / "results"
WRITERS = Path(__file__).resolve().parents[1] / "tests" / "bids_app" / "group"


def measure(n_participants: int) -> dict[str, float]:
    """Run the group level once, in a process of its own: seconds of processor, and MB at most."""
    sys.path.append(str(WRITERS))
    from runs_by_hand import write_dataset, write_study

    with tempfile.TemporaryDirectory() as folder:
        folders = Path(folder) / "in", write_dataset(Path(folder) / "out")
        folders[0].mkdir()
        write_study(folders, n_participants, n_volumes=176, n_numbers=64)
        command = [Path(sys.executable).with_name("scaae-bids"), *folders, "group"]
        process = subprocess.Popen([*command, "--group-by", "dx", "--predict", "dx"], stdout=subprocess.DEVNULL)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"the group level ended with {process.returncode}")
    seconds = used.ru_utime + used.ru_stime
    return {"participants": n_participants, "processor_seconds": round(seconds, 1), "peak_mb": used.ru_maxrss // 1000}


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
