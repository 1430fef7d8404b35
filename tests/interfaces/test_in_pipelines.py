"""The examples and the README's lines run as they are, wherever the user stands."""

import importlib.util
import json
import re
from pathlib import Path

import nibabel as nib
import pytest

from scaae_nipype.interfaces.preparation import PrepareRun

ROOT = Path(__file__).parents[2]


def example(name):
    specification = importlib.util.spec_from_file_location(name, ROOT / "examples" / f"{name}.py")
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def done_by(workflow):
    return {node.name: node.result.outputs for node in workflow.run().nodes()}


@pytest.fixture
def second_bold(bold, tmp_path):
    image = nib.load(bold["in_file"])
    nib.save(
        nib.Nifti1Image(image.get_fdata()[..., ::-1].astype("f4"), image.affine, image.header), tmp_path / "b.nii.gz"
    )
    return str(tmp_path / "b.nii.gz")


def test_one_model_of_many_runs_joined_in_a_pipeline(bold, second_bold, grid_mask, tmp_path):
    """The arguments of the training reach it, and another seed trains and extracts again."""
    options = {"preset": "tiny", "train_volumes": 16, "precision": "fp32", "device": "cpu", "grid_mask": grid_mask}

    def run(seed):
        pipeline = example("train_in_a_pipeline").build(
            [bold["in_file"], second_bold], str(tmp_path / "work"), seed=seed, **options
        )
        done = done_by(pipeline)
        card = json.loads((Path(done["train"].model_dir) / "card.json").read_text())
        return card, [Path(branches[0]).read_bytes() for branches in done["extract"].fbn_maps]

    card, maps = run(7)
    assert (card["Preset"], card["Seed"], len(card["Training"]["Runs"])) == ("tiny", 7, 2)
    assert card["Preparation"]["NuisanceStrategy"].startswith("auto")
    assert len(maps) == 2 and maps[0] != maps[1]
    other_card, other_maps = run(8)
    assert other_card["Seed"] == 8 and not set(maps) & set(other_maps)


def test_the_lines_of_the_readme_run_in_any_folder(bold, make_model, grid_mask, tmp_path, monkeypatch):
    """With the user's own model folder, relative to where the user stands; a second run takes what is there."""
    code = re.search(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)[1]
    make_model("mine")
    monkeypatch.chdir(tmp_path)

    def run():
        names = {}
        exec(code.replace("/models/mine", "mine"), names)
        workflow = names["workflow"]
        workflow.base_dir = "work"
        workflow.get_node("prepare").inputs.trait_set(
            in_file="bold.nii.gz", confounds_file="confounds.tsv", strategy="24P"
        )
        workflow.get_node("prepare").inputs.grid_mask = grid_mask
        (maps,) = [outputs.fbn_maps for name, outputs in done_by(workflow).items() if name == "extract"]
        assert all(Path(path).is_absolute() for path in maps)
        return [Path(path).stat().st_mtime_ns for path in maps]

    assert run() == run()


def test_a_node_runs_in_a_folder_of_its_own_and_gives_absolute_paths(bold, grid_mask, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "elsewhere").mkdir()
    outputs = PrepareRun(in_file="bold.nii.gz", grid_mask="grid_mask.nii.gz").run(cwd="elsewhere").outputs.get()
    assert {Path(path).parent for path in outputs.values()} == {tmp_path / "elsewhere"}
