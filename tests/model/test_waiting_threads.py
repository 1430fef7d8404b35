"""Threads of a team that wait for each other leave the processor to others, unless the user wants it otherwise."""

import os
import re
import subprocess
import sys

import pytest


def turns_before_sleep(**environment: str) -> int:
    """Tell how often a waiting OpenMP thread looks again before it sleeps, as PyTorch's runtime (GNU's) says itself."""
    without = {name: value for name, value in os.environ.items() if name not in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")}
    ended = subprocess.run(
        [sys.executable, "-c", "import scaae_nipype.model.network.attention"],
        env={**without, "OMP_DISPLAY_ENV": "VERBOSE", **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    found = re.findall(r"GOMP_SPINCOUNT\s*=\s*'(\d+)'", ended.stderr)
    if not found:
        pytest.skip("this OpenMP runtime does not say how long its threads wait")
    return int(found[-1])


def test_threads_that_wait_sleep_at_once():
    assert turns_before_sleep() == 0


def test_a_policy_of_the_users_own_stays():
    assert turns_before_sleep(OMP_WAIT_POLICY="ACTIVE") > 1_000_000
