"""The command scaae-model."""

import subprocess
import sys

import numpy as np
import pytest
import torch

from scaae_nipype.bids_app.model_cli import main
from scaae_nipype.grid import Grid
from scaae_nipype.model import PRESETS, Model, save_model
from scaae_nipype.model.weights import new_network


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    grid = Grid(np.diag([12.0, 12, 12, 1]), np.ones((9, 10, 8), dtype=bool))
    model = Model(new_network(PRESETS["tiny"], grid, seed=0).eval(), grid, {"Name": "tiny", "Precision": "bf16"})
    return save_model(model, tmp_path_factory.mktemp("models") / "tiny")


def test_info_and_verify(folder, capsys):
    assert main(["info", str(folder)]) == 0
    assert '"Preset": "tiny"' in capsys.readouterr().out
    assert main(["verify", str(folder)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "files complete" in lines[0]
    assert lines[1].startswith("Fused and plain FBNs agree within")
    assert lines[2].startswith("bf16 FBNs correlate 0.99")


def test_verify_refuses_a_path_that_computes_something_else(folder, capsys, monkeypatch):
    monkeypatch.setattr("scaae_nipype.model.extraction.selftest.LARGEST_DIFFERENCE", 0.0)
    assert main(["verify", str(folder)]) == 1
    assert "The fused path differs from the plain network by" in capsys.readouterr().err


@pytest.mark.reference
def test_import_of_published_weights(shared, tmp_path, capsys):
    weights = shared / "reference/published_layout_random_weights.pth"
    mask = shared / "data/templates/adhd200_mask_4mm.nii.gz"
    assert main(["import", str(weights), str(tmp_path / "model"), "--mask", str(mask), "--name", "random"]) == 0
    assert "2,702,961 parameters, mask of 28,546 voxels" in capsys.readouterr().out
    assert main(["info", str(tmp_path / "model")]) == 0
    assert '"Name": "random"' in capsys.readouterr().out


@pytest.mark.reference
def test_import_refuses_bf16_where_it_is_too_coarse(shared, tmp_path, capsys):
    weights = torch.load(shared / "reference/published_layout_random_weights.pth", weights_only=True)
    for branch in (1, 2):  # maps far from 0: bf16 has no digits left for their differences
        weights[f"sa_encoder.sa{branch}.conv2.bias"] += 1
    torch.save(weights, tmp_path / "far.pth")
    mask = shared / "data/templates/adhd200_mask_4mm.nii.gz"
    call = ["import", str(tmp_path / "far.pth"), str(tmp_path / "model"), "--mask", str(mask), "--precision"]
    assert main([*call, "bf16"]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "bf16 FBNs correlate only" in error and "fp32" in error
    assert not (tmp_path / "model").exists()
    assert main([*call, "fp32"]) == 0


def test_failures_are_one_line(tmp_path, folder, capsys):
    torch.save({"a": torch.zeros(1)}, tmp_path / "w.pth")
    assert main(["import", str(tmp_path / "w.pth"), "--mask", str(tmp_path / "no.nii.gz")]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "no.nii.gz: cannot be read (No such file or directory)." in error
    assert main(["import", str(tmp_path / "w.pth"), "--mask", str(folder / "mask.nii.gz")]) == 1
    assert "lacks 629 tensors of the published layout" in capsys.readouterr().err
    with pytest.raises(SystemExit) as stop:
        main(["fly"])
    assert stop.value.code == 64


def test_help_needs_no_torch():
    code = "from scaae_nipype.bids_app.model_cli import main; main(['--help'])"
    result = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", code], capture_output=True, text=True, check=True
    )
    assert "published layout" in result.stdout
    assert "torch" not in result.stderr
    assert "nibabel" not in result.stderr
