"""What is said stays visible when its log cannot be written."""

import pytest

from scaae_nipype.bids_app.cli import main
from scaae_nipype.bids_app.settings.console import Console


def test_a_full_disk_stops_the_log_and_nothing_else(tmp_path, capsys):
    console = Console()
    log = console.log_to(tmp_path, ["scaae-bids"], "call")
    log.unlink()
    log.symlink_to("/dev/full")
    console.say("sub-01: prepared")
    console.say("sub-01: report written")
    said = capsys.readouterr()
    assert said.out.splitlines() == ["sub-01: prepared", "sub-01: report written"]
    assert said.err.splitlines() == [f"{log}: the log is not written any more (No space left on device)."]


@pytest.mark.parametrize("place", [0, 1])
def test_a_home_folder_that_nobody_knows(place, capsys, tmp_path):
    folders = [str(tmp_path), str(tmp_path / "out")]
    folders[place] = "~nosuchuser/data"
    assert main([*folders, "participant"]) == 64
    (line,) = capsys.readouterr().err.splitlines()
    assert "~nosuchuser/data: no home folder is known" in line
