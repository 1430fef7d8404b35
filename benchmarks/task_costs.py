"""What jobs of a cluster are given by default, from what ``make bench-scale`` measured.

``python -m benchmarks.task_costs`` writes it. Where one length alone was measured, the whole call counts as its fixed
part and again in proportion: more than is needed, never less. A volume of a surrogate is taken to cost what a volume of
the run costs, preparation and scores included.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import scaae_nipype
from scaae_nipype.bids_app.cluster.task_costs import PROCESSORS
from scaae_nipype.files import write_json

RESULTS = Path(__file__).parent / "results" / "scale.json"
COSTS = Path(scaae_nipype.__file__).parent / "data" / "task_costs.json"


def task_costs(measured: Mapping[str, Any]) -> dict[str, Any]:
    """Turn the measured calls into costs per participant, run and volume.

    Parameters
    ----------
    measured : mapping
        ``benchmarks/results/scale.json``: ``runs`` of two lengths and a ``train``, ``group``, ``machine``.

    Returns
    -------
    dict
        Seconds of processor time, and GB of memory of a job with as many processes at work as it has processors.
    """
    runs = {int(name.split()[0]): call for name, call in measured["runs"].items() if name.endswith("volumes")}
    short, long = min(runs), max(runs)

    def per_volume(what: str) -> float:
        return (runs[long][what] - runs[short][what]) / (long - short)

    seconds, megabytes = per_volume("processor_seconds"), per_volume("peak_mb")
    fixed_mb = runs[short]["peak_mb"] - short * megabytes
    train, group = measured["runs"]["train"], measured["group"][0]
    return {
        "Measured": measured["machine"],
        "Participant": {
            "Seconds": 0.0,  # they are within a run's: participants with one run were measured
            "SecondsPerRun": round(runs[short]["processor_seconds"] - short * seconds, 1),
            "SecondsPerVolume": round(seconds, 3),
            "SecondsPerVolumeAndSurrogate": round(seconds, 3),
            "MemoryGB": round((1 + PROCESSORS) * fixed_mb / 1000, 2),  # the main process is as large as a worker
            "MemoryGBPerVolume": round(PROCESSORS * megabytes / 1000, 4),
        },
        "Training": {
            "Seconds": train["processor_seconds"],
            "SecondsPerVolume": round(train["processor_seconds"] / train["volumes"], 3),
            "MemoryGB": round(train["peak_mb"] / 1000, 2),
        },
        "Group": {
            "Seconds": group["processor_seconds"],
            "SecondsPerRun": round(group["processor_seconds"] / group["participants"], 4),
            "MemoryGB": round(group["peak_mb"] / 1000, 2),
            "MemoryGBPerRun": round(group["peak_mb"] / 1000 / group["participants"], 5),
        },
    }


def main() -> None:
    """Write the table that the program reads."""
    write_json(task_costs(json.loads(RESULTS.read_text())), COSTS)


if __name__ == "__main__":
    main()
