"""How far work is: a bar where somebody watches, a line now and then in a log."""

import os
import pty
import subprocess
import sys
import termios

from scaae_nipype import progress

WORK = """
from scaae_nipype.progress import bar
with bar("Training", 5000, "volume") as advance:
    for step in range(500):
        advance(10, f"loss={1 - step / 1000:.3f}")
"""


def test_a_log_gets_lines_and_no_bar():
    said = subprocess.run([sys.executable, "-c", WORK], check=True, capture_output=True).stderr
    assert b"\r" not in said
    assert said == b"Training: 10 of 5000 volumes, loss=1.000\n"


def test_a_terminal_gets_a_bar():
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 80))
    subprocess.run([sys.executable, "-c", WORK], check=True, stderr=theirs)
    shown = b""
    while not shown.endswith(b"\r\n"):
        shown += os.read(ours, 100_000)
    os.close(theirs)
    os.close(ours)
    assert b"\rTraining: " in shown and b"of 5000" not in shown


def test_long_work_says_every_minute_how_much_is_left(monkeypatch, capsys):
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    with progress.lines("Networks of sub-01", 120, "volume", 20) as advance:
        for _ in range(100):
            now[0] += 2.0  # s per volume
            advance(1)
    assert capsys.readouterr().err.splitlines() == [
        "Networks of sub-01: 21 of 120 volumes",
        "Networks of sub-01: 51 of 120 volumes, about 2 min left",
        "Networks of sub-01: 81 of 120 volumes, about 78 s left",
        "Networks of sub-01: 111 of 120 volumes, about 18 s left",
    ]
