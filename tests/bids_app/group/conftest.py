"""Outputs of the participant level, written by hand, and the group level run on them."""

import sys
from pathlib import Path

import numpy as np
import pytest

from scaae_nipype.bids_app.cli import main

sys.path.append(str(Path(__file__).parent))
from runs_by_hand import write_dataset, write_participants, write_run, write_states

QUICK = ("--permutations", "99")


@pytest.fixture
def folders(tmp_path):
    (tmp_path / "in").mkdir()
    return tmp_path / "in", write_dataset(tmp_path / "out")


@pytest.fixture
def group(folders, capsys):
    """Run the group level: exit code and what was said."""

    def call(*options):
        capsys.readouterr()
        code = main([*map(str, folders), "group", *QUICK, *options])
        said = capsys.readouterr()
        return code, said.out + said.err

    return call


@pytest.fixture
def two_sites(folders):
    """Twenty-four participants of two sites; controls overlap more with Visual, and their code is shifted."""
    rng = np.random.default_rng(0)
    rows = []
    for number in range(24):
        label, control = f"{number:02d}", number % 2 == 1
        for run in ("1", "2"):
            stem = write_run(
                folders[1],
                label,
                run=run,
                iou=0.3 + 0.1 * control + 0.02 * rng.standard_normal(),
                consecutive=0.5 + 0.02 * rng.standard_normal(),
                code_shift=1.0 * control,
                displacement=0.1 + 0.02 * rng.standard_normal(),
                seed=2 * number + int(run),
            )
            write_states(folders[1], stem, occupancy=0.2 + 0.2 * control + 0.02 * rng.standard_normal())
        rows.append(
            (f"sub-{label}", "NYU" if number < 12 else "KKI", "control" if control else "adhd", str(8 + number))
        )
    write_participants(folders[0], rows)
    return folders[1]
