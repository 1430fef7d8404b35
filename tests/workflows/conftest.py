"""A model folder and a run, as far as building a workflow looks at them."""

import sys
from pathlib import Path

import pytest

from scaae_nipype.files import write_json
from scaae_nipype.grid import load_grid

sys.path.append(str(Path(__file__).parent))  # for graphs.py


@pytest.fixture
def model_dir(tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    load_grid().save(folder / "mask.nii.gz")
    (folder / "weights.safetensors").touch()
    write_json({"Preset": "tiny", "Mode": "calibrated"}, folder / "card.json")
    return str(folder)


@pytest.fixture
def bold(tmp_path):
    path = tmp_path / "bold.nii.gz"
    path.touch()
    return str(path)
