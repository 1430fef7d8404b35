"""What all tests share: the reference material beside the checkout, and quiet, single-threaded libraries."""

import os
from pathlib import Path

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")  # tests run side by side: more threads than processors only wait


@pytest.fixture(scope="session")
def shared() -> Path:
    """Give the folder with reference data beside the checkout; skip where it is missing."""
    folder = Path(__file__).resolve().parents[2] / "shared"
    if not folder.is_dir():
        pytest.skip("the reference material (../shared) is not beside this checkout")
    return folder
