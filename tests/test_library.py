"""The public face: what it names, what importing it costs, and that images do as well as arrays."""

import re
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

import scaae_nipype
from scaae_nipype.errors import GridError, InputError, ModelError, UsageError
from scaae_nipype.evaluation import assign_states, load_templates, score_maps
from scaae_nipype.files import write_table
from scaae_nipype.grid import load_grid
from scaae_nipype.model import PRESETS, Model, extract_networks
from scaae_nipype.model.weights import new_network

DOCUMENT = Path(__file__).parents[1] / "docs" / "library.md"


def test_all_names_are_there_and_importing_brings_nothing_else():
    promised = set(re.findall(r"^\| `(\w+)\(", DOCUMENT.read_text(), re.MULTILINE))
    assert promised | {"__version__"} == set(scaae_nipype.__all__) == set(dir(scaae_nipype))
    assert all(getattr(scaae_nipype, name) for name in scaae_nipype.__all__)
    heavy = "import sys, scaae_nipype; print({'numpy', 'torch', 'nibabel', 'pandas'} & {*sys.modules})"
    assert subprocess.run([sys.executable, "-c", heavy], capture_output=True, text=True).stdout == "set()\n"
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = scaae_nipype.nothing


@pytest.mark.slow
def test_the_page_runs_as_it_stands(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = {}
    exec(re.search(r"```python\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)[1], names)
    assert names["networks"].maps("fbn1").shape == names["run"].data.shape
    assert nib.load("fbn1.nii.gz").shape == (*names["model"].grid.shape, 60)
    assert len(names["states"]) == 60


@pytest.fixture(scope="module")
def templates():
    return load_templates()


def test_templates_of_an_image_in_memory_are_those_of_its_file(tmp_path, templates):
    numbers = np.arange(1, len(templates.names) + 1, dtype=np.int16)
    image = templates.grid.image((templates.binary * numbers[:, None]).max(axis=0))
    in_memory = load_templates(image)
    nib.save(image, tmp_path / "networks.nii.gz")
    of_file = load_templates(tmp_path / "networks.nii.gz")
    np.testing.assert_array_equal(in_memory.binary, of_file.binary)
    assert in_memory.names == of_file.names and in_memory.source == "the image"


def test_scores_and_states_of_an_image_are_those_of_the_array(tmp_path, templates):
    rng = np.random.default_rng(0)
    maps = (templates.binary[[2, 2, 0, 11]] + 0.1 * rng.random((4, templates.grid.n_voxels))).astype("f4")
    maps[1] = 0
    image = templates.grid.image(maps, 2.0)
    nib.save(image, tmp_path / "maps.nii.gz")
    expected = score_maps(maps, templates)
    assert len(expected) == 4 * len(templates.names)
    for given in (image, tmp_path / "maps.nii.gz"):
        pd.testing.assert_frame_equal(score_maps(given, templates), expected, atol=1e-3)
        states, metrics, transitions = assign_states(given, templates)
        assert states["state"].fillna("").tolist() == ["DefaultMode", "", "Auditory", "Visual"]
        assert metrics.set_index("state").loc["Visual", "mean_dwell_seconds"] == 2.0
        assert transitions.query("count > 0")[["from", "to"]].to_numpy().tolist() == [["Auditory", "Visual"]]
    assert assign_states(maps, templates).state_metrics["mean_dwell_seconds"].isna().all()
    region = templates.binary.any(axis=0)
    assert score_maps(maps, templates, region=region).loc[2, "iou"] == expected.loc[2, "iou"]
    with pytest.raises(GridError, match=r"shape \(2, 9\)"):
        score_maps(np.ones((2, 9)), templates)


def test_networks_of_an_image_are_those_of_the_array():
    grid = load_grid()
    model = Model(new_network(PRESETS["tiny"], grid, seed=0).eval(), grid, {})
    vectors = np.random.default_rng(0).standard_normal((3, grid.n_voxels)).astype("f4")
    vectors[1], vectors[:, :100] = 0, 0
    image = grid.image(vectors, 2.0)
    ours, theirs = (extract_networks(model, run, device="cpu") for run in (grid.read_vectors(image), image))
    np.testing.assert_array_equal(ours.maps("fbn1"), theirs.maps("fbn1"))
    assert theirs.kept.tolist() == [True, False, True] and theirs.repetition_time == 2.0
    assert not ours.maps("fbn2", signed=True)[:, :100].any() and not ours.maps("fbn2")[1].any()
    assert theirs.to_image("fbn2").shape == (*grid.shape, 3)
    with pytest.raises(ModelError, match="on another grid"):
        extract_networks(model, nib.Nifti1Image(np.ones((4, 4, 4, 2), "f4"), np.eye(4)))


def test_a_run_is_read_back_by_as_much_of_its_name_as_tells_it(tmp_path):
    for number in (1, 2):
        stem = f"sub-01_task-rest_run-{number}"
        write_table(pd.DataFrame({"kept": [number]}), tmp_path / f"sub-01/func/{stem}_desc-samples_timeseries.tsv")
    run = scaae_nipype.read_run(tmp_path, "sub-01_run-2")
    assert run.stem == "sub-01_task-rest_run-2" and run.table("samples")["kept"].tolist() == [2]
    with pytest.raises(UsageError, match=r"sub-01: is one of sub-01_task-rest_run-1, .*; say which"):
        scaae_nipype.read_run(tmp_path, "sub-01")
    with pytest.raises(InputError, match="holds no run sub-01_run-3; there are"):
        scaae_nipype.read_run(tmp_path, "sub-01_run-3")
