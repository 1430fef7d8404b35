"""Many participants without their data: what planning them and putting them together costs (docs/scale.md).

``python -m benchmarks.scale`` (about ten minutes) measures and keeps the result in ``benchmarks/results``:

* the plan (``--dry-run``) of a tree with the names and sidecars of fMRIPrep and one tiny image, whose other names are
  hard links: of everybody, and of one participant in a call of its own, as a task of a job array does it;
* a run of 60 and one of 300 volumes, each with a model fitted to it, prepared, extracted, scored, reported: processor
  time, memory, files, disk;
* the group level of as many runs, written as its tests write them, and of four times as many.

``python -m benchmarks.scale tree FOLDER`` makes the tree alone. Processor time counts: the machine may be busy.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

from benchmarks.engine import machine
from benchmarks.group import measure as measure_group
from benchmarks.machine import used_by
from scaae_nipype.files import write_json
from scaae_nipype.grid import AFFINE, SHAPE

RESULTS = Path(__file__).parent / "results"
OTHERS = (
    *("space-T1w_desc-preproc_bold.nii.gz", "space-T1w_desc-preproc_bold.json", "space-T1w_boldref.nii.gz"),
    *("desc-hmc_boldref.nii.gz", "desc-coreg_boldref.nii.gz", "from-boldref_to-T1w_mode-image_desc-coreg_xfm.txt"),
    *("hemi-L_space-fsaverage_bold.func.gii", "hemi-R_space-fsaverage_bold.func.gii"),
)
"""What else fMRIPrep writes for a run, and a plan has to pass by."""

SPACE = "space-MNI152NLin2009cAsym_res-2"


def make_tree(root: Path, *, n_participants: int, n_sessions: int = 2, n_runs: int = 2) -> Path:
    """Write a derivative dataset whose images are all one: 14 files a run, as fMRIPrep names them."""
    write_json(
        {"Name": "x", "BIDSVersion": "1.10.0", "DatasetType": "derivative", "GeneratedBy": [{"Name": "fMRIPrep"}]},
        root / "dataset_description.json",
    )
    models = root / ".models"
    models.mkdir(parents=True)
    image = nib.Nifti1Image(np.zeros((*SHAPE, 2), np.int16), AFFINE)
    image.header.set_zooms((4.0, 4.0, 4.0, 2.0))
    nib.save(image, models / "bold.nii.gz")
    nib.save(nib.Nifti1Image(np.ones(SHAPE, np.uint8), AFFINE), models / "mask.nii.gz")
    (models / "confounds.tsv").write_text("trans_x\n0\n0\n")
    (models / "empty").write_text("{}\n")
    write_json({"RepetitionTime": 2.0, "TaskName": "rest"}, models / "bold.json")
    files = {
        f"{SPACE}_desc-preproc_bold.nii.gz": "bold.nii.gz",
        f"{SPACE}_desc-preproc_bold.json": "bold.json",
        f"{SPACE}_desc-brain_mask.nii.gz": "mask.nii.gz",
        f"{SPACE}_desc-brain_mask.json": "empty",
        "desc-confounds_timeseries.tsv": "confounds.tsv",
        "desc-confounds_timeseries.json": "empty",
        **{name: "bold.json" if name.endswith("bold.json") else "bold.nii.gz" for name in OTHERS},
    }
    for participant in range(1, n_participants + 1):
        for session in range(1, n_sessions + 1):
            folder = root / f"sub-{participant:05d}" / f"ses-{session}" / "func"
            folder.mkdir(parents=True)
            for run in range(1, n_runs + 1):
                stem = f"sub-{participant:05d}_ses-{session}_task-rest_run-{run}"
                for name, source in files.items():
                    _link(models / source, folder / f"{stem}_{name}")
    return root


def _link(source: Path, target: Path) -> None:
    """Give a file another name; file systems allow some ten thousand of them, after which a copy is made."""
    try:
        os.link(source, target)
    except OSError:
        copy = source.with_name(f"copy-{source.name}")
        copy.write_bytes(source.read_bytes())
        copy.replace(source)
        os.link(source, target)


def measure_call(arguments: Sequence[str | Path]) -> dict[str, float]:
    """Run ``scaae-bids`` in a process of its own: seconds of processor, and MB at most."""
    return used_by([Path(sys.executable).with_name("scaae-bids"), *arguments])


def measure_plan(n_participants: int) -> dict[str, Any]:
    """Plan all participants of a tree, then one of them."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        root = make_tree(place / "in", n_participants=n_participants)
        call = [root, place / "out", "participant", "--dry-run", "-w", place / "work", "--templates", "default"]
        return {
            "participants": n_participants,
            "everybody": measure_call(call),
            "one": measure_call([*call, "--fit-selection", "--participant-label", f"{n_participants:05d}"]),
        }


def measure_runs(lengths: Sequence[int] = (60, 300)) -> dict[str, Any]:
    """Take runs of several lengths through everything, on one processor: a model fitted to each, then its networks."""
    from scaae_nipype.bids_app.simulate_cli import main as simulate

    found: dict[str, Any] = {"train": []}
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        options = ["--nprocs", "1", "--omp-nthreads", "1", "-w", place / "work", "--keep-workdir"]
        for n_volumes in lengths:
            data, out = place / f"in{n_volumes}", place / f"out{n_volumes}"
            simulate([str(data), "--participants", "1", "--volumes", str(n_volumes), "--voxel-size", "2"])
            found["train"].append(measure_call([data, out, "train", *options]) | {"volumes": n_volumes})
            used = measure_call([data, out, "participant", *options])
            made = [path for path in out.glob("sub-*/**/*") if path.is_file()]
            work = [path for path in (place / "work").rglob("*") if path.is_file()]
            reports = [*out.glob("sub-*.html")]
            found[f"{n_volumes} volumes"] = used | {
                "files": len(made) + len(reports),
                "output_mb": round(sum(path.stat().st_size for path in made) / 1e6, 1),
                "report_mb": round(sum(path.stat().st_size for path in reports) / 1e6, 1),
                "work_mb": round(sum(path.stat().st_size for path in work if "training" not in str(path)) / 1e6, 1),
            }
            for path in work:
                path.unlink()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("what", nargs="*", help="nothing: everything; plan; runs; group; tree FOLDER")
    parser.add_argument("--participants", type=int, default=1000)
    parser.add_argument("--volumes", type=int, nargs="+", default=[60, 300], help="of the runs that are measured")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the result")
    options = parser.parse_args()
    what, n = options.what or ["plan", "runs", "group"], options.participants
    if what[0] == "tree":
        print(make_tree(Path(what[1]), n_participants=n))
        return
    path = options.out / "scale.json"
    found = json.loads(path.read_text()) if path.is_file() else {}
    parts = {
        "plan": lambda: measure_plan(n),
        "runs": lambda: measure_runs(options.volumes),
        "group": lambda: [measure_group(n), measure_group(4 * n)],
    }
    found["machine"] = machine()
    for part in filter(parts.__contains__, what):
        found[part] = parts[part]()
        path.write_text(json.dumps(found, indent=2) + "\n")  # each at once: the parts take minutes
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
