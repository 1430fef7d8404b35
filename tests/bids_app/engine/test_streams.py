"""Output whose reader has gone ends nothing, be it a pipe or a terminal."""

import os
import pty
from pathlib import Path

import pytest

from scaae_nipype.bids_app.engine.streams import _LastingStream


def gone_pipe():
    reader, writer = os.pipe()
    os.close(reader)
    return writer


def gone_terminal():
    master, slave = pty.openpty()
    os.close(master)
    return slave


@pytest.mark.parametrize("gone", [gone_pipe, gone_terminal])
def test_a_stream_whose_reader_has_gone_falls_silent(gone):
    with os.fdopen(gone(), "w", buffering=1) as stream:
        lasting = _LastingStream(stream)
        for _ in range(3):
            assert lasting.write("a line\n") == 7
            lasting.flush()


def test_a_full_disk_is_no_reader_that_has_gone():
    lasting = _LastingStream(Path("/dev/full").open("w", buffering=1))  # noqa: SIM115 - closing it fails as well
    with pytest.raises(OSError, match="No space left"):
        lasting.write("a line\n")
    with pytest.raises(OSError, match="No space left"):
        lasting.close()
