"""Small BIDS trees to look for runs in, and the main job on a tiny dataset."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from nibabel.processing import resample_from_to
from scipy.ndimage import gaussian_filter

from scaae_nipype.grid import load_grid

sys.path.append(str(Path(__file__).parent))
from program_here import run_here

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

    def add(self, *names: str, content: str | None = None) -> Path:
        """Write files, by default small real ones of the kind that the name says; the last one's path."""
        for name in names:
            if content is not None:
                self.path(name).write_text(content)
            elif name.endswith((".nii", ".nii.gz")):
                size = re.search(r"_res-(\d)", name)
                self.image(name, float(size[1]) if size else 2, n_volumes=None if "_mask." in name else 3)
            else:
                self.path(name).write_text({".json": "{}", ".tsv": "a\n0\n"}.get(Path(name).suffix, "x"))
        return self.path(names[-1])

    def image(self, name: str, voxel_size: float, *, n_volumes: int | None = 3) -> Path:
        """Write a real image with 2 voxels along each axis; 3D if `n_volumes` is None."""
        affine = np.diag([voxel_size, voxel_size, voxel_size, 1])
        shape = (2, 2, 2) if n_volumes is None else (2, 2, 2, n_volumes)
        nib.save(nib.Nifti1Image(np.zeros(shape, "f4"), affine), self.path(name))
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


class MainDataset:
    """An fMRIPrep-style dataset of smooth noise on a coarse grid, in which most runs are bad, each in its own way."""

    SHAPE, N_VOLUMES, SPACE = (24, 30, 24), 24, "MNI152NLin2009cAsym"
    AFFINE = np.array([[8.0, 0, 0, -92], [0, 8, 0, -128], [0, 0, 8, -72], [0, 0, 0, 1]])
    HEALTHY = ("sub-good1_ses-a_task-rest_run-01", "sub-good2_task-rest")

    def __init__(self, root: Path):
        self.root = root
        self.random = np.random.default_rng(0)
        grid = load_grid()
        mask = nib.Nifti1Image(grid.mask.astype("u1"), grid.affine)
        self.mask = resample_from_to(mask, (self.SHAPE, self.AFFINE), order=0).get_fdata() > 0
        root.mkdir(parents=True)
        description = {"Name": "tiny", "BIDSVersion": "1.10.0", "DatasetType": "derivative"}
        description["GeneratedBy"] = [{"Name": "fMRIPrep", "Version": "24.0.0"}]
        (root / "dataset_description.json").write_text(json.dumps(description))
        for stem in self.HEALTHY:
            self.add(stem)
        self.words = self.add_bad_runs()

    def volumes(self) -> np.ndarray:
        noise = gaussian_filter(self.random.standard_normal((*self.SHAPE, self.N_VOLUMES)), (1, 1, 1, 0.7))
        return (100 * noise + 1000 * self.mask[..., None]).astype("f4")

    def add(
        self,
        stem: str,
        *,
        space: str = SPACE,
        volumes: np.ndarray | None = None,
        mask: nib.Nifti1Image | None = None,
        sidecar_tr: float | None = 2.0,
        header_tr: float = 2.0,
        n_rows: int = N_VOLUMES,
        displacement: float = 0.1,
    ) -> Path:
        """Write one run; the path of its BOLD image."""
        sub, *rest = stem.split("_")
        func = self.root.joinpath(sub, *(part for part in rest if part.startswith("ses-")), "func")
        func.mkdir(parents=True, exist_ok=True)
        image = nib.Nifti1Image(self.volumes() if volumes is None else volumes, self.AFFINE)
        if len(image.shape) == 4:
            image.header.set_zooms((8, 8, 8, header_tr))
        image.header.set_xyzt_units("mm", "sec")
        bold = func / f"{stem}_space-{space}_desc-preproc_bold.nii.gz"
        nib.save(image, bold)
        sidecar = {} if sidecar_tr is None else {"RepetitionTime": sidecar_tr}
        Path(str(bold).replace(".nii.gz", ".json")).write_text(json.dumps(sidecar))
        nib.save(
            mask or nib.Nifti1Image(self.mask.astype("u1"), self.AFFINE),
            func / f"{stem}_space-{space}_desc-brain_mask.nii.gz",
        )
        confounds = pd.DataFrame({name: self.random.standard_normal(n_rows) for name in ("white_matter", "csf")})
        confounds["framewise_displacement"] = np.r_[np.nan, np.full(n_rows - 1, displacement)]
        confounds.to_csv(func / f"{stem}_desc-confounds_timeseries.tsv", sep="\t", index=False, na_rep="n/a")
        return bold

    def add_bad_runs(self) -> dict[str, str]:
        """Write one run for every kind of bad input; participant to what the message has to say."""
        path = self.add("sub-truncated_task-rest")
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        self.add("sub-noimage_task-rest").write_bytes(b"this is no image")
        self.add("sub-flat_task-rest", volumes=np.ones(self.SHAPE, "f4"))
        self.add("sub-notr_task-rest", sidecar_tr=None, header_tr=0.0)
        self.add("sub-zerotr_task-rest", sidecar_tr=0, header_tr=0.0)
        self.add("sub-zeros_task-rest", volumes=np.zeros((*self.SHAPE, self.N_VOLUMES), "f4"))
        spoilt = self.volumes()
        spoilt[..., 5] = np.nan
        self.add("sub-nans_task-rest", volumes=spoilt)
        self.add("sub-emptymask_task-rest", mask=nib.Nifti1Image(np.zeros(self.SHAPE, "u1"), self.AFFINE))
        self.add("sub-othermask_task-rest", mask=nib.Nifti1Image(np.ones((9, 9, 9), "u1"), np.diag([4.0, 4, 4, 1])))
        self.add("sub-rows_task-rest", n_rows=self.N_VOLUMES - 3)
        self.add("sub-motion_task-rest", displacement=2.0)
        self.add("sub-native_task-rest", space="T1w")
        return {
            "truncated": "truncated or damaged",
            "noimage": "cannot be read as a NIfTI image",
            "flat": "4D image",
            "notr": "repetition time",
            "zerotr": "RepetitionTime is 0",
            "zeros": "no values but 0",
            "nans": "volume 5 has values that are not finite",
            "emptymask": "the brain mask is empty",
            "othermask": "lies on another grid",
            "rows": "has 21 rows, but the run has 24 volumes",
            "motion": "Only 1 of 24 volumes are left",
            "native": "not in MNI space",
        }


class MainJob:
    """The participant level on that dataset: done by the program, with what it said; further calls are made here.

    Parameters
    ----------
    program : Path
    dataset : MainDataset
    """

    OPTIONS = ("--preset", "tiny", "--train-volumes", "8", "--nprocs", "2", "--omp-nthreads", "1", "--mem", "4G")

    def __init__(self, program: Path, dataset: MainDataset):
        self.program, self.folder = program, dataset.root.parent
        self.out, self.work = self.folder / "out", self.folder / "work"
        halves = np.broadcast_to(1 + (np.arange(49) > 24)[:, None, None], load_grid().shape).astype("i2")
        nib.save(nib.Nifti1Image(halves, load_grid().affine), self.folder / "halves.nii.gz")  # templates for calls here
        command = [program, "data", "out", "participant", *self.OPTIONS, "--work-dir", self.work]
        self.said = subprocess.run(command, capture_output=True, text=True, cwd=self.folder, timeout=900)
        self.status = json.loads((self.out / "logs" / "status.json").read_text())  # later calls write it anew

    def again(self, *more: str) -> subprocess.CompletedProcess:
        """Make the same call, with more options; its steps run here too, with as many threads as before."""
        return self.call("data", "out", "participant", *self.OPTIONS, "--nprocs", "1", *more)

    def call(self, *arguments: str | Path) -> subprocess.CompletedProcess:
        return run_here(*arguments, "--work-dir", self.work, folder=self.folder)

    @property
    def model(self) -> Path:
        """Folder of the model that it fitted."""
        (card,) = (self.out / "models").glob("*/card.json")
        return card.parent


@pytest.fixture(scope="session")
def scaae_bids() -> Path:
    """Give the installed program."""
    return Path(sys.executable).with_name("scaae-bids")


@pytest.fixture(scope="session")
def scaae_bids_here() -> Callable[..., subprocess.CompletedProcess]:
    """Give a caller of the program in this process: ``scaae_bids_here(ARGUMENT, …, folder=…)``."""
    return run_here


@pytest.fixture(scope="session")
def main_dataset(tmp_path_factory) -> MainDataset:
    """Give the dataset of the main job."""
    return MainDataset(tmp_path_factory.mktemp("main") / "data")


@pytest.fixture(scope="session")
def main_job(scaae_bids, main_dataset) -> MainJob:
    """Give the finished main job; it takes a while, so files that ask for it are of one xdist group."""
    return MainJob(scaae_bids, main_dataset)
