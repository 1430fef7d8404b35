"""Where a network computes: which names of devices there are. Whether a device is there is asked when it is used."""

from __future__ import annotations

import re

from ..errors import UsageError

__all__ = ["check_device"]

_DEVICE = re.compile(r"auto|cpu|cuda(:\d+)?|mps")


def check_device(name: str) -> str:
    """Refuse what is no name of a device; needs no PyTorch.

    Raises
    ------
    UsageError

    >>> check_device("cuda:1")
    'cuda:1'
    >>> check_device("gpu")
    Traceback (most recent call last):
    scaae_nipype.errors.UsageError: `device` gpu: must be auto, cpu, cuda, cuda:N (the Nth GPU from 0) or mps.
    """
    if not _DEVICE.fullmatch(name):
        raise UsageError(f"`device` {name}: must be auto, cpu, cuda, cuda:N (the Nth GPU from 0) or mps.")
    return name
