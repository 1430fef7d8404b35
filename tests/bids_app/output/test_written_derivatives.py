"""Results get their names and sidecars."""

import json

import nibabel as nib
import numpy as np
import pytest

from scaae_nipype.interfaces.outputs import SaveDerivatives

STEM = "sub-01_ses-a_task-rest_space-MNI152NLin6Asym"


@pytest.fixture
def results(tmp_path):
    folder = tmp_path / "node"
    folder.mkdir()
    images = []
    for name in ("one", "two", "region"):
        nib.save(nib.Nifti1Image(np.zeros((2, 2, 2)), np.eye(4)), folder / f"{name}.nii.gz")
        images.append(str(folder / f"{name}.nii.gz"))
    (folder / "iou.tsv").write_text("kept\tfbn1_DefaultMode\tother\n1\t0.5\t0\n")
    (folder / "prep.json").write_text('{"RepetitionTime": 2.5, "SmoothingFWHM": 6.0}')
    (folder / "net.json").write_text('{"ModelName": "x", "ModelChecksum": "abc", "Precision": "bf16"}')
    (folder / "eval.json").write_text('{"Templates": "T", "Threshold": 0.3}')
    out = tmp_path / "out"
    out.mkdir()
    return SaveDerivatives(
        base_directory=str(out),
        entities={"sub": "01", "ses": "a", "task": "rest", "space": "MNI152NLin6Asym", "res": "2", "desc": "preproc"},
        sources=["bids:in:a.nii.gz"],
        spatial_reference="bids::models/m/mask.nii.gz",
        fbn_maps=images[:2],
        region=images[2],
        template_iou=str(folder / "iou.tsv"),
        preparation_metadata=str(folder / "prep.json"),
        networks_metadata=str(folder / "net.json"),
        evaluation_metadata=str(folder / "eval.json"),
        model_metadata={"ModelName": "m", "Seed": 3},
    )


def test_files_get_the_names_of_the_registry_and_a_sidecar_each(results, tmp_path):
    written = results.run(cwd=str(tmp_path)).outputs.out_files
    func = tmp_path / "out" / "sub-01" / "ses-a" / "func"
    names = {f"{STEM}_res-4_desc-{d}" for d in ("fbn1_boldmap", "fbn2_boldmap", "region_mask")}
    expected = {f"{name}{end}" for name in names for end in (".nii.gz", ".json")}
    expected |= {f"{STEM}_desc-templateiou_timeseries{end}" for end in (".tsv", ".json")}
    assert {path.name for path in func.iterdir()} == expected
    assert {str(func / name) for name in expected} == set(written)


def test_sidecars_say_where_it_comes_from_and_how_it_was_made(results, tmp_path):
    results.run(cwd=str(tmp_path))

    def sidecar(name):
        return json.loads((tmp_path / "out" / "sub-01" / "ses-a" / "func" / f"{STEM}_{name}.json").read_text())

    image = sidecar("res-4_desc-fbn2_boldmap")
    assert image["Sources"] == ["bids:in:a.nii.gz"]
    assert image["SpatialReference"] == "bids::models/m/mask.nii.gz"
    assert image["SkullStripped"] is True
    assert image["RepetitionTime"] == 2.5
    assert "4 mm" in image["Resolution"]
    assert image["Model"] == {"ModelName": "m", "ModelChecksum": "abc", "Precision": "bf16", "Seed": 3}
    assert image["Preparation"]["SmoothingFWHM"] == 6.0
    assert "Threshold" not in image
    mask = sidecar("res-4_desc-region_mask")
    assert mask["Type"] == "Brain"
    assert "SkullStripped" not in mask
    assert "Model" not in mask
    table = sidecar("desc-templateiou_timeseries")
    assert (table["Templates"], table["Threshold"]) == ("T", 0.3)
    assert "Resolution" not in table
    assert "template" in table["fbn1_DefaultMode"]["Description"]
    assert "other" not in table


def test_it_writes_again_what_was_removed(results, tmp_path):
    from nipype.pipeline import engine as pe

    node = pe.Node(results, name="save", base_dir=str(tmp_path / "work"))
    node.run()
    target = tmp_path / "out" / "sub-01" / "ses-a" / "func" / f"{STEM}_res-4_desc-fbn1_boldmap.nii.gz"
    target.unlink()
    node.run()
    assert target.exists()
    assert not list(target.parent.glob(".writing*"))
