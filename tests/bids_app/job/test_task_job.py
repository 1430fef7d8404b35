"""``scaae-bids`` on a simulated task: what is planted is found, and the same task at other times is not."""

import json
import subprocess
from pathlib import Path

import pandas as pd
import pytest

from scaae_nipype.bids_app.simulate_cli import main as simulate
from scaae_nipype.files import read_table, write_table

pytestmark = [pytest.mark.xdist_group("main_job"), pytest.mark.slow]

CONDITIONS = ("default-posterior", "cerebellum", "occipital")


@pytest.fixture(scope="module")
def job(tmp_path_factory, scaae_bids):
    """Simulate one participant with a task whose conditions drive three networks; give a caller of the program."""
    folder = tmp_path_factory.mktemp("task")
    assert simulate([str(folder / "data"), "--task", "--participants", "1", "--snr", "1", "--motion-spikes", "2"]) == 0
    atlas = folder / "data" / "sourcedata" / "truth" / "networks.nii.gz"
    options = ["--preset", "tiny", "--train-volumes", "160", "--nprocs", "2", "--mem", "4G", "--baselines", "smoothed"]
    options += ["--templates", atlas, "--atlas", "default", "--work-dir", folder / "work"]
    command = [scaae_bids, folder / "data", folder / "out", "participant", *options]

    def call():
        return subprocess.run(command, capture_output=True, text=True, timeout=900)

    return folder, call


def locking(folder) -> pd.DataFrame:
    (path,) = (folder / "out" / "sub-01" / "func").glob("*_desc-events_metrics.tsv")
    return read_table(path).set_index(["method", "measure", "condition", "template"])


def test_a_planted_task_is_found_and_the_same_at_other_times_is_not(job):
    folder, call = job
    said = call()
    assert said.returncode == 0, said.stdout + said.stderr
    found = locking(folder)
    for condition in CONDITIONS:
        hit = found.loc[("volume", "score", condition, condition)]
        assert hit["p_corrected"] <= 0.05 and hit["mean_locked"] > hit["mean_elsewhere"]
    networks = found.loc[["fbn1", "fbn2"]].xs("score", level="measure")
    hits = networks[networks["p_corrected"] <= 0.05].reset_index()
    assert set(CONDITIONS) == set(hits.loc[hits["condition"] == hits["template"], "condition"])
    html = (folder / "out" / "sub-01.html").read_text()
    for heading in ("States and task", "Regions of the atlas", "Beside what needs no trained network", "Figure 6"):
        assert heading in html
    record = json.loads(next((folder / "out" / "sub-01" / "log").glob("sub-01_*.json")).read_text())
    assert {"states", "baselines", "regions", "events"} <= {step["step"] for step in record["steps"]}
    assert any(name.endswith("_events.tsv") for name in record["inputs"])

    events = next((folder / "data" / "sub-01" / "func").glob("*_events.tsv"))
    table = read_table(events)
    table["onset"] = (table["onset"] + 135) % 300  # between the blocks of other conditions and of none
    write_table(table.sort_values("onset"), events)
    said = call()
    assert said.returncode == 0, said.stdout + said.stderr
    assert "1 run finished now" in said.stdout  # the changed events were noticed
    shifted = locking(folder)
    for condition in CONDITIONS:
        assert (shifted.loc[("volume", "score", condition)]["p_corrected"] > 0.05).all()


def test_the_validator_accepts_all_that_was_written(job, validator_errors):
    folder, _ = job
    assert validator_errors(folder / "out") == []
    for path in (folder / "out" / "sub-01" / "func").iterdir():
        if path.suffix in (".tsv", ".gz"):
            sidecar = json.loads(Path(str(path).removesuffix(".gz")).with_suffix(".json").read_text())
            assert sidecar["Description"] and sidecar["Sources"]
