"""What every preset gives for a planted run stays what it was, in any number of threads and either precision."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from scaae_nipype.model import PRESETS
from tools.golden import FILE, TOLERANCES, differences

ROOT = Path(__file__).parents[1]
GOLDEN = json.loads(FILE.read_text())["Presets"]
FAST = [name for name in PRESETS if name != "published"]  # whose volumes take seconds and 2 GB


def measured(presets: list[str], precision: str, threads: int) -> dict:
    """Compute the golden numbers in a process of its own, which sees this number of threads from its beginning."""
    environment = os.environ | {"OMP_NUM_THREADS": str(threads), "OPENBLAS_NUM_THREADS": str(threads)}
    call = [sys.executable, "-m", "tools.golden", "--measure", precision, *presets]
    done = subprocess.run(call, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def assert_as_golden(found: dict, precision: str) -> None:
    for name, numbers in found.items():
        assert numbers["Precision"] == precision
        found_here = differences(GOLDEN[name], numbers)
        for what, value in found_here._asdict().items():
            assert value <= getattr(TOLERANCES[precision], what), (name, what, found_here)


def test_every_preset_has_a_golden_result():
    assert set(GOLDEN) == set(PRESETS)
    assert all(len(numbers["Maps"]) == 2 for numbers in GOLDEN.values())


@pytest.mark.parametrize("threads", [1, 2])
def test_maps_of_the_light_presets_are_the_golden_ones(threads):
    assert_as_golden(measured(FAST, "fp32", threads), "fp32")


@pytest.mark.parametrize("threads", [1, 2])
def test_maps_in_bf16_are_close_to_the_golden_ones(threads):
    with_bf16 = [name for name in FAST if not PRESETS[name].pointwise]  # which computes in fp32 alone
    assert_as_golden(measured(with_bf16, "bf16", threads), "bf16")


@pytest.mark.slow
@pytest.mark.parametrize(("precision", "threads"), [("fp32", 1), ("fp32", 2), ("bf16", 1), ("bf16", 2)])
def test_maps_of_the_published_preset_are_the_golden_ones(precision, threads):
    assert_as_golden(measured(["published"], precision, threads), precision)
