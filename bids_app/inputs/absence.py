"""What lies in a folder without BOLD to use: what it is, why it is not taken, and what would make it usable."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

__all__ = ["USABLE_SPACE", "what_is_there"]

USABLE_SPACE = "fMRIPrep writes what is needed with `--output-spaces MNI152NLin2009cAsym:res-2`"


@dataclass(frozen=True)
class _Kind:
    """A kind of file: how it is named, what one and many are called, and what to do about it."""

    pattern: str
    one: str
    many: str
    advice: str


_SURFACE = f"surface data are not read; {USABLE_SPACE}"
_KINDS = (
    _Kind(r"_bold\.dtseries\.nii$", "CIFTI file", "CIFTI files", _SURFACE),
    _Kind(r"_bold\.func\.gii$", "GIFTI file", "GIFTI files", _SURFACE),
    _Kind(
        r"_bold_(space-[^_]+_)?preproc\.nii",
        "BOLD image named as by fMRIPrep before version 1.2",
        "BOLD images named as by fMRIPrep before version 1.2",
        "such names are not read; run a newer fMRIPrep",
    ),
    _Kind(
        r"_desc-[^_]+_bold\.nii",
        "BOLD image with another desc-",
        "BOLD images with another desc-",
        'a --bids-filter-file takes them: {"bold": {"desc": …}}',
    ),
)
_RAW = _Kind(
    r"_bold\.nii",
    "raw BOLD image",
    "raw BOLD images",
    f"raw data are not read, but the output of a pipeline that preprocessed them; {USABLE_SPACE}",
)
_UNDESCRIBED = _Kind(
    r"_bold\.nii",
    "BOLD image without desc-",
    "BOLD images without desc-",
    "preprocessed ones are named desc-preproc or desc-denoised",
)
_WITHOUT_BOLD = _Kind(
    r"_(boldref\.nii.*|xfm\.[a-z0-9]+|desc-confounds_(timeseries|regressors)\.tsv)$",
    "file that goes with BOLD images, but none of these",
    "files that go with BOLD images (references, transforms, confounds), but none of these",
    "fMRIPrep leaves them out with `--level minimal` and `--level resampling`; run it with `--level full`",
)


def what_is_there(root: Path, *, is_derivative: bool) -> str:
    """Say in a sentence or two what a folder holds in place of preprocessed BOLD images; empty if nothing.

    Parameters
    ----------
    root : Path
        That may be a dataset.
    is_derivative : bool
        Whether its description says so: else BOLD images without ``desc-`` are raw data.
    """
    if not any(path.is_dir() for path in root.glob("sub-*")):
        return "" if any(root.glob("derivatives/*")) or not any(root.iterdir()) else f"{root} has no folders sub-*."
    names = [path.name for pattern in ("sub-*/func/*", "sub-*/ses-*/func/*") for path in root.glob(pattern)]
    kinds = (*_KINDS, _UNDESCRIBED if is_derivative else _RAW, _WITHOUT_BOLD)
    found: defaultdict[_Kind, list[str]] = defaultdict(list)
    for name in sorted(names):
        kind = next((kind for kind in kinds if re.search(kind.pattern, name)), None)
        if kind is not None:
            found[kind].append(name)
    if found.keys() - {_WITHOUT_BOLD}:
        found.pop(_WITHOUT_BOLD, None)
    return " ".join(_told(root, kind, own) for kind, own in found.items()) or (
        f"{root} has participants, but no functional data."
    )


def _told(root: Path, kind: _Kind, names: list[str]) -> str:
    number = f"1 {kind.one}, {names[0]}" if len(names) == 1 else f"{len(names)} {kind.many}, such as {names[0]}"
    return f"{root} has {number}: {kind.advice}."
