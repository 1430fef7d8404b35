"""A dataset of one healthy run, copied for every participant, whose files can be spoilt one at a time."""

import gzip
import json
import os
from pathlib import Path

import nibabel as nib
import numpy as np
from nibabel.processing import resample_from_to
from scipy.ndimage import gaussian_filter

from scaae_nipype.grid import load_grid

SHAPE, N_VOLUMES, SPACE = (24, 30, 24), 24, "MNI152NLin2009cAsym"
AFFINE = np.array([[8.0, 0, 0, -92], [0, 8, 0, -128], [0, 0, 8, -72], [0, 0, 0, 1]])
KINDS = {
    "bold": f"space-{SPACE}_desc-preproc_bold.nii.gz",
    "mask": f"space-{SPACE}_desc-brain_mask.nii.gz",
    "sidecar": f"space-{SPACE}_desc-preproc_bold.json",
    "confounds": "desc-confounds_timeseries.tsv",
    "confounds_sidecar": "desc-confounds_timeseries.json",
    "events": "events.tsv",
}


class Corpus:
    """The dataset; `words` says of every bad participant what the user must read."""

    def __init__(self, root: Path):
        self.root, self.words = root, {}
        (root / "sub-healthy" / "func").mkdir(parents=True)
        description = {"Name": "corpus", "BIDSVersion": "1.10.0", "DatasetType": "derivative"}
        description["GeneratedBy"] = [{"Name": "fMRIPrep", "Version": "24.0.0"}]
        (root / "dataset_description.json").write_text(json.dumps(description))
        random = np.random.default_rng(0)
        grid = load_grid()
        brain = resample_from_to(nib.Nifti1Image(grid.mask.astype("u1"), grid.affine), (SHAPE, AFFINE), order=0)
        self.mask = brain.get_fdata() > 0
        noise = gaussian_filter(random.standard_normal((*SHAPE, N_VOLUMES)), (1, 1, 1, 0.7))
        self.volumes = (1000 * self.mask[..., None] + 100 * noise).astype("i2")
        self.healthy = {kind: self.path("healthy", kind) for kind in KINDS}
        self.healthy["bold"].write_bytes(gzip.compress(self.image(self.volumes).to_bytes(), 1))
        self.healthy["mask"].write_bytes(gzip.compress(self.image(self.mask.astype("u1")).to_bytes()))
        self.healthy["sidecar"].write_text('{"RepetitionTime": 2.0}')
        names = ("white_matter", "csf", "framewise_displacement")
        rows = [
            "\t".join(names),
            *("\t".join(f"{value:.3f}" for value in random.uniform(0, 0.1, 3)) for _ in range(24)),
        ]
        self.healthy["confounds"].write_text("\n".join(rows) + "\n")
        self.healthy["confounds_sidecar"].write_text("{}")
        self.healthy["events"].write_text("onset\tduration\ttrial_type\n4\t2\ta\n12\t2\tb\n")

    def path(self, label: str, kind: str) -> Path:
        return self.root / f"sub-{label}" / "func" / f"sub-{label}_task-rest_{KINDS[kind]}"

    def image(self, volumes: np.ndarray) -> nib.Nifti1Image:
        image = nib.Nifti1Image(volumes, AFFINE)
        image.header.set_xyzt_units("mm", "sec")
        image.set_sform(AFFINE, code=4)
        if volumes.ndim > 3:
            image.header["pixdim"][4] = 2
        return image

    def add(self, label: str, words: str) -> None:
        """Add a participant with links to all files of the healthy one."""
        self.path(label, "bold").parent.mkdir(parents=True)
        for kind, path in self.healthy.items():
            os.link(path, self.path(label, kind))
        self.words[label] = words


def exchange(path: Path, content: bytes | str) -> None:
    """Write a file anew, beside the links to what it was."""
    path.unlink()
    path.write_bytes(content.encode() if isinstance(content, str) else content)


def exchange_header(path: Path, **fields) -> None:
    """Change fields of a header, whatever they say then."""
    content = bytearray(gzip.decompress(path.read_bytes()))
    header = np.frombuffer(content, dtype=nib.nifti1.header_dtype, count=1).copy()
    for name, value in fields.items():
        header[name][0] = value
    content[:348] = header.tobytes()
    exchange(path, gzip.compress(bytes(content), 1))
