"""Small BIDS trees to look for runs in."""

import json
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

SPACE = "space-MNI152NLin2009cAsym_res-2"


class Tree:
    """A dataset under construction; files are named, their folders follow from the name."""

    def __init__(self, root: Path, **description):
        self.root = root
        root.mkdir(parents=True, exist_ok=True)
        description = {"Name": root.name, "BIDSVersion": "1.10.0", **description}
        (root / "dataset_description.json").write_text(json.dumps(description))

    def path(self, name: str) -> Path:
        labels = dict(part.split("-", 1) for part in name.split("_") if "-" in part)
        folder = self.root / f"sub-{labels['sub']}" / (f"ses-{labels['ses']}" if "ses" in labels else "") / "func"
        folder.mkdir(parents=True, exist_ok=True)
        return folder / name

    def add(self, *names: str, content: str = "") -> Path:
        """Write files; the last one's path."""
        for name in names:
            self.path(name).write_text(content)
        return self.path(names[-1])

    def image(self, name: str, voxel_size: float) -> Path:
        """Write a real image with 2 voxels along each axis, 3 volumes."""
        affine = np.diag([voxel_size, voxel_size, voxel_size, 1])
        nib.save(nib.Nifti1Image(np.zeros((2, 2, 2, 3), "f4"), affine), self.path(name))
        return self.path(name)

    def run(self, stem: str, space: str = SPACE, *, repetition_time: float | None = 2.0, extension=".nii.gz") -> Path:
        """Write one run as fMRIPrep does: BOLD, mask, confounds and sidecars; the BOLD's path."""
        content = {} if repetition_time is None else {"RepetitionTime": repetition_time}
        self.add(f"{stem}_{space}_desc-preproc_bold.json", content=json.dumps(content))
        self.add(f"{stem}_{space}_desc-brain_mask{extension}", f"{stem}_desc-confounds_timeseries.tsv")
        self.add(f"{stem}_desc-confounds_timeseries.json", content="{}")
        return self.add(f"{stem}_{space}_desc-preproc_bold{extension}")


@pytest.fixture
def make_tree(tmp_path) -> Callable[..., Tree]:
    """Give a maker of derivative datasets (or of raw ones: ``DatasetType="raw"``)."""

    def make(folder="fmriprep", program="fMRIPrep", DatasetType="derivative"):
        return Tree(tmp_path / folder, DatasetType=DatasetType, GeneratedBy=[{"Name": program}])

    return make


@pytest.fixture
def tree(make_tree) -> Tree:
    """Give an empty fMRIPrep-style dataset."""
    return make_tree()
