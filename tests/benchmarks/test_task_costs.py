"""The defaults of cluster jobs are what was measured, and nothing else."""

import json

import pytest

from benchmarks.task_costs import COSTS, RESULTS, task_costs


def test_the_table_that_the_program_reads_is_made_from_the_measured_calls():
    assert json.loads(COSTS.read_text()) == task_costs(json.loads(RESULTS.read_text()))


def test_costs_give_back_the_calls_that_they_were_made_from():
    measured = json.loads(RESULTS.read_text())
    costs = task_costs(measured)
    cost, training, group = costs["Participant"], costs["Training"], costs["Group"]
    lengths = [fit["volumes"] for fit in measured["runs"]["train"]]
    assert len(lengths) == 2
    for n_volumes, fit in zip(lengths, measured["runs"]["train"], strict=True):
        per_volume = cost["SecondsPerVolume"] - training["SecondsPerVolume"]  # `train` had prepared the runs
        seconds = cost["Seconds"] + cost["SecondsPerRun"] + n_volumes * per_volume
        assert seconds == pytest.approx(measured["runs"][f"{n_volumes} volumes"]["processor_seconds"], rel=0.01)
        seconds = training["Seconds"] + n_volumes * training["SecondsPerVolume"]
        assert seconds == pytest.approx(fit["processor_seconds"], rel=0.01)
    for one in measured["group"]:
        seconds = group["Seconds"] + one["participants"] * group["SecondsPerRun"]
        assert seconds >= 0.99 * one["processor_seconds"]  # a fixed part is never less than nothing
