"""A model as a function of volumes, and the null models' interfaces on files with a real (small) network."""

from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from scaae_nipype.errors import InputError, ModelError
from scaae_nipype.files import read_json, read_table, write_json, write_table
from scaae_nipype.grid import Grid
from scaae_nipype.interfaces.evaluation import CheckDynamics, CheckMatches, SurrogateTemplates
from scaae_nipype.interfaces.model import ExtractNetworks
from scaae_nipype.model import extract_networks, save_model
from scaae_nipype.model.extraction.functions import network_function, was_trained_on


@pytest.fixture
def region(grid):
    inside = np.ones(grid.n_voxels, dtype=bool)
    inside[:50] = False
    return Grid(grid.affine, grid.volumes(inside))


@pytest.mark.parametrize("batch_size", [1, 5, 64])
def test_the_function_gives_what_extraction_gives_inside_the_region(tiny, grid, region, vectors, batch_size):
    inside = grid.vectors(region.mask)
    expected = extract_networks(tiny, vectors * inside).signed[..., inside]
    found = network_function(tiny, region, batch_size=batch_size)(vectors[:, inside])
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_a_region_outside_the_models_grid_is_refused(tiny, grid):
    with pytest.raises(ModelError, match="not a part of the model's grid"):
        network_function(tiny, Grid(grid.affine, np.ones(grid.shape, bool)))


def test_the_card_tells_whether_a_run_was_seen():
    card = {"Training": {"Runs": ["sub-01_task-rest", "sub-02_task-rest"]}}
    assert was_trained_on(card, "sub-02_task-rest") is True
    assert was_trained_on(card, "sub-03_task-rest") is False
    assert was_trained_on({"Training": {}}, "sub-01_task-rest") is None


@pytest.fixture
def files(tiny, grid, region, tmp_path):
    """A run of 30 volumes, two of them dropped, three label templates and a model that was fitted to the run."""
    kept = np.ones(30, dtype=int)
    kept[[0, 17]] = 0
    noise = np.random.default_rng(0).standard_normal((30, grid.n_voxels)).astype("f4")
    nib.save(grid.image(noise * kept[:, None] * grid.vectors(region.mask), 2.0), tmp_path / "run.nii.gz")
    write_table(pd.DataFrame({"kept": kept}), tmp_path / "samples.tsv")
    labels = np.broadcast_to(np.arange(grid.shape[1])[:, None] // 6 + 1, grid.shape).astype("i2")
    nib.save(nib.Nifti1Image(labels, grid.affine), tmp_path / "templates.nii.gz")
    tiny.card["Training"] = {"Runs": ["sub-01_task-rest"]}
    model_dir = save_model(tiny, tmp_path / "model")
    run = {
        "in_file": str(tmp_path / "run.nii.gz"),
        "in_mask": str(region.save(tmp_path / "region.nii.gz")),
        "in_samples": str(tmp_path / "samples.tsv"),
    }
    scored = {"templates": str(tmp_path / "templates.nii.gz"), "grid_mask": str(model_dir / "mask.nii.gz")}
    return run, scored, str(model_dir)


def test_the_temporal_null_through_a_model_marks_runs_it_was_trained_on(files, tmp_path, capfd):
    run, scored, model_dir = files
    check = CheckDynamics(**run, **scored, model_dir=model_dir, run_name="sub-01_task-rest", n_surrogates=19)
    found = check.run(cwd=str(tmp_path)).outputs
    table, about = read_table(found.dynamics_null), read_json(found.out_metadata)
    assert set(table["method"]) == {"fbn1", "fbn2"}
    assert set(table["in_sample"]) == {"yes"} == {about["InSample"]}
    assert 0.05 <= about["P"] <= 1
    assert "fitted to this run" in about["Warnings"][-1]
    assert "19 surrogates of 28 volumes" in capfd.readouterr().err


def test_a_short_run_goes_on_without_its_temporal_null(files, tmp_path):
    run, scored, model_dir = files
    table = read_table(run["in_samples"])
    table.loc[12:, "kept"] = 0
    write_table(table, run["in_samples"])
    check = CheckDynamics(**run, **scored, model_dir=model_dir, run_name="sub-02_task-rest", n_surrogates=19)
    found = check.run(cwd=str(tmp_path)).outputs
    about = read_json(found.out_metadata)
    assert read_table(found.dynamics_null).empty
    assert "left out: only 11 volumes are kept and it needs 20" in about["Warnings"][-1]


def test_the_account_says_whose_model_it_was(files, tmp_path):
    run, scored, model_dir = files
    path = Path(model_dir) / "card.json"
    write_json(read_json(path) | {"CrossFit": {"Fold": 2, "NumberOfFolds": 3}}, path)
    check = CheckDynamics(**run, **scored, model_dir=model_dir, run_name="sub-02_task-rest", n_surrogates=19)
    about = read_json(check.run(cwd=str(tmp_path)).outputs.out_metadata)
    assert about["InSample"] == "no"
    assert about["ModelOfTest"] == {
        "ModelName": "model",
        "ModelChecksum": read_json(path)["WeightsSHA256"],
        "Fold": 2,
        "NumberOfFolds": 3,
        "NumberOfTrainingParticipants": 1,
        "NumberOfTrainingRuns": 1,
    }


def test_the_spatial_null_of_extracted_networks(files, tmp_path):
    run, scored, model_dir = files
    maps = ExtractNetworks(**run, model_dir=model_dir).run(cwd=str(tmp_path)).outputs.fbn_maps
    made = SurrogateTemplates(**scored, n_surrogate_templates=19).run(cwd=str(tmp_path)).outputs.surrogate_templates
    found = CheckMatches(**run, **scored, fbn_maps=maps, surrogates=made).run(cwd=str(tmp_path)).outputs
    assert read_table(found.match_p).shape == (30, 1 + 3 * 3)
    assert set(read_table(found.matches)["method"]) == {"fbn1", "fbn2", "volume"}
    assert read_json(found.out_metadata)["NumberOfSurrogates"] == 19
    np.save(tmp_path / "other.npy", np.zeros((19, 2, 5), "u2"))
    with pytest.raises(InputError, match="holds surrogates of"):
        CheckMatches(**run, **scored, fbn_maps=maps, surrogates=str(tmp_path / "other.npy")).run(cwd=str(tmp_path))
