"""Where a simulated dataset keeps what was planted in it: names of files, for who writes and who reads them."""

from __future__ import annotations

from pathlib import Path

__all__ = ["PARAMETERS", "TRUTH", "courses_path", "networks_path"]

TRUTH = Path("sourcedata") / "truth"
"""A folder that neither pybids nor the validator looks into."""

PARAMETERS = TRUTH / "parameters.json"
"""What the dataset was made with, and its files; written last."""


def networks_path(participant: str | None = None) -> Path:
    """Name the image of the planted networks, of everybody or of one participant, whose networks lie elsewhere.

    >>> networks_path("01").name
    'sub-01_networks.nii.gz'
    """
    return TRUTH / f"{f'sub-{participant}_' if participant else ''}networks.nii.gz"


def courses_path(stem: str) -> Path:
    """Name the table of a run's planted time courses."""
    return TRUTH / f"{stem}_timecourses.tsv"
