"""What the machine that a benchmark runs on does well, and what a program takes of it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from scaae_nipype.model.extraction.extractor import bf16_is_fast

__all__ = ["fast_precision", "used_by"]

_LAUNCHER = """
import json, resource, subprocess, sys
code = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL).returncode
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps([code, used.ru_utime + used.ru_stime, used.ru_maxrss]))
"""
"""A small process in between: the peak memory of a process begins with that of the one that started it."""


def fast_precision() -> str:
    """Give ``bf16`` where the processor computes in it natively, else ``fp32``: emulated bf16 is four times slower."""
    return "bf16" if bf16_is_fast(torch.device("cpu")) else "fp32"


def used_by(command: Sequence[str | Path]) -> dict[str, float]:
    """Run a program in a process of its own: seconds of processor, and MB at most.

    Raises
    ------
    RuntimeError
        If it does not end well.
    """
    launched = subprocess.run([sys.executable, "-S", "-c", _LAUNCHER, *command], stdout=subprocess.PIPE, check=True)
    code, seconds, kilobytes = json.loads(launched.stdout)
    if code:
        raise RuntimeError(f"{' '.join(map(str, command))} ended with {code}")
    return {"processor_seconds": round(seconds, 1), "peak_mb": kilobytes // 1000}
