"""Called in a container without the folders of the outside: one line says which, and how to bind it."""

from pathlib import Path

import pytest

from scaae_nipype.bids_app.cli import main
from scaae_nipype.bids_app.settings import container
from scaae_nipype.bids_app.settings.container import check_bound
from scaae_nipype.errors import UsageError


@pytest.fixture
def mounts(tmp_path, monkeypatch):
    """Say what is mounted, in the words of the kernel."""

    def say(*points):
        lines = [f"{number} 1 0:{number} / {point} ro - ext4 /dev/x ro" for number, point in enumerate(points)]
        (tmp_path / "mountinfo").write_text("\n".join(lines))
        monkeypatch.setattr(container, "_MOUNTS", tmp_path / "mountinfo")
        monkeypatch.setenv("SCAAE_CONTAINER_TAG", "scaae:1")

    return say


@pytest.fixture
def folders(tmp_path):
    for name in ("in", "out"):
        (tmp_path / name).mkdir()
    return tmp_path / "in", tmp_path / "out"


def test_an_input_that_is_not_bound_is_named(folders, mounts, capsys):
    mounts("/", "/proc", folders[1])
    assert main([*map(str, folders), "participant"]) == 64
    (line,) = capsys.readouterr().err.splitlines()
    assert f"{folders[0]}: holds nothing, because a container sees only folders that are bound" in line
    assert f"-v /yours:{folders[0]}:ro (docker, podman) or --bind /yours:{folders[0]}:ro (apptainer)" in line


def test_results_that_would_vanish_are_refused(folders, mounts):
    (folders[0] / "dataset_description.json").touch()
    mounts("/", "/proc", folders[0])
    with pytest.raises(UsageError, match=r"out: is not bound, so that results would vanish with the container"):
        check_bound(*folders)
    with pytest.raises(UsageError, match="is not bound"):
        check_bound(folders[0], folders[1] / "deeper" / "still")


def test_bound_folders_are_fine_whatever_their_names(tmp_path, mounts, monkeypatch):
    spaced = tmp_path / "my data"
    spaced.mkdir()
    mounts("/", str(spaced).replace(" ", r"\040"))
    assert check_bound(spaced, spaced / "derivatives" / "out") is None
    monkeypatch.delenv("SCAAE_CONTAINER_TAG")
    mounted_nowhere = Path("/nonexistent")
    assert check_bound(mounted_nowhere, mounted_nowhere) is None  # outside of containers others say what is wrong
