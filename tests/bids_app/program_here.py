"""The program called in the process of the tests, which spares what a process of its own needs to start: seconds."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, chdir, contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import TextIO

from scaae_nipype.bids_app.cli import main
from scaae_nipype.signals import STOP_SIGNALS


def run_here(*arguments: str | Path, folder: Path | None = None) -> subprocess.CompletedProcess:
    """Run ``scaae-bids`` as if a shell had called it in a folder; exit code, and what it and its workers said."""
    words = [str(argument) for argument in arguments]
    with ExitStack() as undone:
        undone.enter_context(chdir(folder or Path.cwd()))
        undone.enter_context(_settings_of_this_process())
        out, err = (undone.enter_context(tempfile.TemporaryFile("w+", encoding="utf-8")) for _ in range(2))
        with _written_to(out, 1), _written_to(err, 2):
            code = main(words)
        texts = []
        for file in (out, err):
            file.seek(0)
            texts.append(file.read())
    return subprocess.CompletedProcess(["scaae-bids", *words], code, *texts)


@contextmanager
def _settings_of_this_process() -> Iterator[None]:
    """Give back the environment and who hears which signal."""
    environment = dict(os.environ)
    heard = {number: signal.getsignal(number) for number in (*STOP_SIGNALS, signal.SIGINT)}
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(environment)
        for number, handler in heard.items():
            signal.signal(number, handler)


@contextmanager
def _written_to(file: TextIO, descriptor: int) -> Iterator[None]:
    """Let a file have what this process, and those that it starts, write to a descriptor."""
    redirect = {1: redirect_stdout, 2: redirect_stderr}[descriptor]
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    before = os.dup(descriptor)
    os.dup2(file.fileno(), descriptor)
    try:
        with open(descriptor, "w", encoding="utf-8", closefd=False) as stream, redirect(stream):
            yield
    finally:
        os.dup2(before, descriptor)
        os.close(before)
