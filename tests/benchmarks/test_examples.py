"""The examples in the docstrings of the judge give what they say."""

import doctest
from importlib import import_module

import pytest


@pytest.mark.parametrize("name", ["people", "plants", "report", "rivals", "runs", "scores", "seeds", "bounds"])
def test_examples_hold(name):
    found = doctest.testmod(import_module(f"benchmarks.judge.{name}"))
    assert found.attempted > 0
    assert found.failed == 0
