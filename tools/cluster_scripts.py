"""Write the scripts that ``docs/clusters.md`` shows, as submit writes them: ``python -m tools.cluster_scripts``."""

from __future__ import annotations

import os
import re
import sys
import tempfile
from copy import copy
from pathlib import Path

import nibabel as nib
import numpy as np

from scaae_nipype.bids_app.cluster.in_queue import InQueue
from scaae_nipype.bids_app.cluster.submit_call import plan_jobs, scripts_of
from scaae_nipype.bids_app.job.participant_call import plan_job
from scaae_nipype.bids_app.settings.asked import settings_of
from scaae_nipype.bids_app.settings.command_line import parse
from scaae_nipype.bids_app.settings.console import Console
from scaae_nipype.files import write_json

__all__ = ["DOCUMENT", "OPTIONS", "page", "study_scripts"]

DOCUMENT = Path(__file__).parents[1] / "docs" / "clusters.md"

OPTIONS = ("--image", "/images/scaae.sif", "--partition", "long", "--at-once", "100", "--group-by", "diagnosis")
"""What the page's call says besides the folders."""

N_PARTICIPANTS, N_VOLUMES = 904, 300

_FOLDER = Path("/out/logs/jobs/20261127T090000")


def study_scripts(n_participants: int = N_PARTICIPANTS) -> dict[str, str]:
    """Give the scripts for a study of participants with one run each, by their names, and what is said first.

    The images are one file under many names: of a run, no more than its header is read before jobs are written.
    """
    with tempfile.TemporaryDirectory() as folder:
        root = _study(Path(folder, "data"), n_participants)
        words = [str(root), str(Path(folder, "out")), "submit", *OPTIONS, "--array-size", "1000"]
        settings = settings_of(parse(words))
        plan, _ = plan_job(settings.replaced(level="participant"), _Silent())
        shown = copy(settings)
        work_dir = Path("/scratch/work", settings.work_dir.name)
        for name, path in {"bids_dir": Path("/data"), "output_dir": Path("/out"), "work_dir": work_dir}.items():
            object.__setattr__(shown, name, path)  # folders that are not on this machine, which settings refuse
        said: list[str] = []
        planned = plan_jobs(shown, plan, InQueue(), None, say=said.append)
        return {"": "\n".join(said)} | scripts_of(shown, planned, _FOLDER, InQueue())


class _Silent(Console):
    """A console that nobody looks at."""

    def say(self, text: str, *, level: int = 0) -> None:
        """Say nothing."""


def _study(root: Path, n_participants: int) -> Path:
    """Write names as fMRIPrep gives them."""
    write_json(
        {"Name": "study", "BIDSVersion": "1.10.0", "DatasetType": "derivative", "GeneratedBy": [{"Name": "fMRIPrep"}]},
        root / "dataset_description.json",
    )
    models = root / ".models"
    models.mkdir()
    affine = np.diag([40.0, 40, 40, 1])
    image = nib.Nifti1Image(np.zeros((4, 5, 4, N_VOLUMES), np.int16), affine)
    image.header.set_zooms((40.0, 40.0, 40.0, 2.0))
    nib.save(image, models / "desc-preproc_bold.nii")
    nib.save(nib.Nifti1Image(np.ones((4, 5, 4), np.uint8), affine), models / "desc-brain_mask.nii")
    write_json({"RepetitionTime": 2.0, "TaskName": "rest"}, models / "desc-preproc_bold.json")
    (models / "desc-confounds_timeseries.tsv").write_text("trans_x\n" + N_VOLUMES * "0\n")
    for number in range(1, n_participants + 1):
        func = root / f"sub-{number:04d}" / "func"
        func.mkdir(parents=True)
        for path in models.iterdir():
            space = "" if "confounds" in path.name else "space-MNI152NLin2009cAsym_"
            os.link(path, func / f"sub-{number:04d}_task-rest_{space}{path.name}")
    return root


def page(text: str, scripts: dict[str, str]) -> str:
    """Put scripts into the text of the page, each after the comment that names it."""
    for name, script in scripts.items():
        comment = f"<!-- {name or 'said'} -->"
        made = f"{comment}\n```{'bash' if name else ''}\n{script.rstrip()}\n```\n"
        text, n = re.subn(rf"{re.escape(comment)}\n```.*?\n```\n", lambda _, made=made: made, text, flags=re.DOTALL)
        if n != 1:
            raise ValueError(f"{DOCUMENT.name} has no place for {name or 'what is said'}: {comment}, then ``` and ```")
    return text


if __name__ == "__main__":
    DOCUMENT.write_text(page(DOCUMENT.read_text(encoding="utf-8"), study_scripts()), encoding="utf-8")
    sys.exit(0)
