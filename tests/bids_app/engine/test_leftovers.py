"""What killed jobs have left is removed; what living ones are at is not."""

import os
import signal
import subprocess
import sys

from scaae_nipype.bids_app.engine.leftovers import clear_locks, remove_half_written
from scaae_nipype.bids_app.engine.locks import Lock
from scaae_nipype.files import replacing, writer_of

HALF = """
import os, signal, sys
from pathlib import Path
from scaae_nipype.bids_app.engine.locks import Lock
from scaae_nipype.files import replacing, replacing_folder
folder = Path(sys.argv[1])
lock = Lock(folder / "claims" / "sub-01.lock", "sub-01").acquire()
with replacing(folder / "a.tsv") as one, replacing_folder(folder / "b") as other:
    one.write_text("half")
    other.mkdir()
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_process_was_at_is_removed(tmp_path):
    killed = subprocess.run([sys.executable, "-c", HALF, tmp_path])
    assert killed.returncode == -signal.SIGKILL
    assert len(list(tmp_path.glob(".writing-*"))) == 2
    assert (tmp_path / "claims" / "sub-01.lock").exists()
    remove_half_written([tmp_path])
    clear_locks(tmp_path / "claims")
    assert list(tmp_path.iterdir()) == []


def test_what_a_living_process_is_at_stays(tmp_path):
    (tmp_path / f".writing-{os.getpid()}-another.host-xyz").touch()
    with Lock(tmp_path / "claims" / "a.lock", "a"), replacing(tmp_path / "a.tsv") as half:
        assert writer_of(half) == os.getpid()
        remove_half_written([tmp_path])
        clear_locks(tmp_path / "claims")
        assert half.exists() and (tmp_path / "claims" / "a.lock").exists()
    assert len(list(tmp_path.glob(".writing-*"))) == 1, "of another machine, where the process may live"


def test_a_lock_can_be_taken_where_its_folder_has_just_gone(tmp_path):
    one, other = (Lock(tmp_path / "claims" / "a.lock", "a") for _ in range(2))
    with one:
        pass
    clear_locks(tmp_path / "claims")
    assert not (tmp_path / "claims").exists()
    assert other.try_acquire()
    other.release()
