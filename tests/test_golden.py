"""What every preset gives for a planted run stays what it was, in any number of threads and either precision."""

import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
import torch

from scaae_nipype.model import PRESETS
from scaae_nipype.model.extraction.extractor import bf16_is_fast
from tools.golden import FILE, FITTED_ANEW, THREADS, TOLERANCES, differences

ROOT = Path(__file__).parents[1]
GOLDEN = json.loads(FILE.read_text())["Presets"]
FAST = ("contextual", "pointwise", "autoencoder", "tiny")  # the published preset takes seconds a volume, and 2 GB
IN_BF16 = ("contextual", "autoencoder", "tiny")  # the pointwise preset computes in fp32 alone
IS_NATIVE = bf16_is_fast(torch.device("cpu"))
NATIVE = pytest.mark.skipif(not IS_NATIVE, reason="bf16 is emulated here, which takes minutes")


@cache
def measured(presets, precisions, threads):
    """Compute the golden numbers in a process of its own, which sees this number of threads from its beginning."""
    environment = os.environ | {"OMP_NUM_THREADS": str(threads), "OPENBLAS_NUM_THREADS": str(threads)}
    call = [sys.executable, "-m", "tools.golden", "--measure", ",".join(precisions), *presets]
    done = subprocess.run(call, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def assert_close(one, other, tolerance):
    found = differences(one, other)
    assert all(value <= most for value, most in zip(found, tolerance, strict=True)), found


def numbers_of(presets, precision, threads):
    """Give the numbers of some presets; the light ones are measured at once, in each precision that is fast here."""
    light = set(presets) <= set(FAST)
    precisions = ("fp32", "bf16") if IS_NATIVE and light else (precision,)
    found = measured(FAST if light else presets, precisions, threads)[precision]
    return {name: found[name] for name in presets}


def assert_golden(presets, precision, threads):
    for name, numbers in numbers_of(presets, precision, threads).items():
        assert numbers["Precision"] == precision
        assert_close(GOLDEN[name], numbers, FITTED_ANEW if name == "pointwise" else TOLERANCES[precision])


def assert_same_in_threads(presets, precision):
    one, two = (numbers_of(presets, precision, threads) for threads in (1, 2))
    for name in presets:
        assert_close(one[name], two[name], THREADS[precision])


def test_every_preset_has_a_golden_result():
    assert set(GOLDEN) == set(PRESETS)
    assert set(PRESETS) - set(FAST) == {"published"}


@pytest.mark.xdist_group("golden")
@pytest.mark.parametrize("threads", [1, 2])
def test_maps_of_the_light_presets_are_the_golden_ones(threads):
    assert_golden(FAST, "fp32", threads)


@NATIVE
@pytest.mark.xdist_group("golden")
@pytest.mark.parametrize("threads", [1, 2])
def test_maps_in_bf16_are_close_to_the_golden_ones(threads):
    assert_golden(IN_BF16, "bf16", threads)


@pytest.mark.xdist_group("golden")
def test_the_number_of_threads_moves_no_map():
    assert_same_in_threads(FAST, "fp32")


@NATIVE
@pytest.mark.xdist_group("golden")
def test_the_number_of_threads_moves_no_map_in_bf16():
    assert_same_in_threads(IN_BF16, "bf16")


def test_other_maps_are_told_from_the_golden_ones():
    other = {**GOLDEN["tiny"], "Maps": (-torch.tensor(GOLDEN["tiny"]["Maps"])).tolist()}
    with pytest.raises(AssertionError, match="Difference"):
        assert_close(GOLDEN["tiny"], other, FITTED_ANEW)


@pytest.mark.slow
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("precision", ["fp32", pytest.param("bf16", marks=NATIVE)])
def test_maps_of_the_published_preset_are_the_golden_ones(precision, threads):
    assert_golden(("published",), precision, threads)


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["fp32", pytest.param("bf16", marks=NATIVE)])
def test_the_number_of_threads_moves_no_map_of_the_published_preset(precision):
    assert_same_in_threads(("published",), precision)
