"""What jobs of a cluster are given by default, from what ``make bench-scale`` measured.

``python -m benchmarks.task_costs`` writes it. Two lengths of runs, and two sizes of groups, give a fixed part and one
in proportion. A volume of a surrogate is taken to cost what a volume of the run costs, preparation and scores included.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import scaae_nipype
from scaae_nipype.bids_app.cluster.task_costs import PROCESSORS
from scaae_nipype.bids_app.job.memory import MEMORY_GB
from scaae_nipype.files import write_json

RESULTS = Path(__file__).parent / "results" / "scale.json"
COSTS = Path(scaae_nipype.__file__).parent / "data" / "task_costs.json"


def task_costs(measured: Mapping[str, Any]) -> dict[str, Any]:
    """Turn the measured calls into costs per participant, run and volume.

    Parameters
    ----------
    measured : mapping
        ``benchmarks/results/scale.json``: ``runs`` of two lengths with a ``train`` of each, two ``group``, ``machine``.

    Returns
    -------
    dict
        Seconds of processor time, and GB of memory of a job with as many processes at work as it has processors.
    """
    runs = {int(name.split()[0]): call for name, call in measured["runs"].items() if name.endswith("volumes")}
    short, long = min(runs), max(runs)

    fits = {fit["volumes"]: fit for fit in measured["runs"]["train"]}

    def per_volume(calls: Mapping[int, Mapping[str, Any]], what: str) -> float:
        return max(0.0, float(calls[long][what] - calls[short][what]) / (long - short))  # a small one drowns in noise

    seconds = per_volume(runs, "processor_seconds")
    # Memory of runs as short as these drowns in what the process takes anyway; long ones need what their scores do.
    megabytes = max(per_volume(runs, "peak_mb"), 1000 * MEMORY_GB["evaluate"][1])
    fixed_mb = runs[short]["peak_mb"] - short * per_volume(runs, "peak_mb")
    fitting, group = per_volume(fits, "processor_seconds"), measured["group"]
    own = round(seconds + fitting, 3)  # the measured calls took runs as `train` had prepared them
    few, many = group[0], group[-1]
    if few is many:  # one size was measured: in proportion
        few = dict.fromkeys(many, 0)
    per_run = (many["processor_seconds"] - few["processor_seconds"]) / (many["participants"] - few["participants"])
    mb_per_run = (many["peak_mb"] - few["peak_mb"]) / (many["participants"] - few["participants"])
    return {
        "Measured": measured["machine"],
        "Participant": {
            "Seconds": 0.0,  # they are within a run's: participants with one run were measured
            "SecondsPerRun": round(runs[short]["processor_seconds"] - short * seconds, 1),
            "SecondsPerVolume": own,
            "SecondsPerVolumeAndSurrogate": own,
            "MemoryGB": round((1 + PROCESSORS) * fixed_mb / 1000, 2),  # the main process is as large as a worker
            "MemoryGBPerVolume": round(PROCESSORS * megabytes / 1000, 4),
        },
        "Training": {
            "Seconds": round(fits[short]["processor_seconds"] - short * fitting, 1),
            "SecondsPerVolume": round(fitting, 4),  # prepared, and fitted to
            "MemoryGB": round(fits[long]["peak_mb"] / 1000, 2),
        },
        "Group": {
            "Seconds": max(0.0, round(few["processor_seconds"] - few["participants"] * per_run, 1)),
            "SecondsPerRun": round(per_run, 4),
            "MemoryGB": max(0.0, round((few["peak_mb"] - few["participants"] * mb_per_run) / 1000, 2)),
            "MemoryGBPerRun": round(mb_per_run / 1000, 5),
        },
    }


def main() -> None:
    """Write the table that the program reads."""
    write_json(task_costs(json.loads(RESULTS.read_text())), COSTS)


if __name__ == "__main__":
    main()
