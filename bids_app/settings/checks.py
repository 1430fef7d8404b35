"""What cannot be asked for, said in one line before anything runs."""

from __future__ import annotations

import os
import re
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

from ...errors import UsageError
from ...headers import LONGEST_TR, SHORTEST_TR
from ..inputs.datasets import is_dataset

if TYPE_CHECKING:
    from .settings import Settings

__all__ = ["FEWEST_SURROGATES", "FITTED_PRESET", "check_settings"]

FITTED_PRESET = "contextual"
"""The preset whose attention ships and whose context is fitted in closed form."""

FEWEST_SURROGATES = 19
"""With fewer p cannot reach 0.05."""


def check_settings(settings: Settings) -> None:
    """See that folders are usable, values possible, and that no option is without effect.

    Raises
    ------
    UsageError
        Which option, and what to give instead.
    """
    _check_folders(settings)
    _check_values(settings)
    _check_device(settings.device)
    _check_cross_fit(settings)


def _check_folders(settings: Settings) -> None:
    if not settings.bids_dir.is_dir():
        raise UsageError(f"{settings.bids_dir}: there is no such folder; bids_dir is the dataset to read.")
    for name, path in settings.datasets.items():
        if not path.is_dir():
            raise UsageError(f"--derivatives {name}={path}: there is no such folder.")
    inputs = [settings.bids_dir, *settings.datasets.values()]
    for option, folder in (("output_dir", settings.output_dir), ("--work-dir", settings.work_dir)):
        for root in inputs:
            if _writes_into(folder, root):
                raise UsageError(
                    f"{folder}: lies inside the input dataset {root}, which is never written to; "
                    f"choose another {option}."
                )
    for folder in (settings.output_dir, settings.work_dir):
        blocked = next((part for part in (folder, *folder.parents) if part.exists() and not part.is_dir()), None)
        if blocked:
            raise UsageError(f"{folder}: cannot be a folder, because {blocked} is a file.")


def _writes_into(folder: Path, root: Path) -> bool:
    """Tell whether a folder is in a dataset's own part: a ``derivatives`` folder is where BIDS puts others' results.

    A folder that holds datasets and is none itself takes further ones, but not within those that are there.
    """
    folder, root = Path(os.path.realpath(folder)), Path(os.path.realpath(root))
    if not folder.is_relative_to(root):
        return False
    below = folder.relative_to(root).parts
    if below and not is_dataset(root) and any(is_dataset(inside) for inside in root.glob("*/")):
        inner = root / below[0]
        return _writes_into(folder, inner) if is_dataset(inner) and folder != inner else False
    return len(below) < 2 or below[0] != "derivatives"


def _check_values(settings: Settings) -> None:
    for option, value in (
        ("--fd-thresh", settings.fd_threshold),
        ("--smoothing", settings.smoothing_fwhm),
        ("--high-pass", settings.high_pass),
        ("--low-pass", settings.low_pass),
        ("--random-seed", settings.seed),
        ("--dummy-scans", 0 if settings.dummy_scans == "auto" else settings.dummy_scans),
    ):
        if not 0 <= value < float("inf"):
            raise UsageError(f"{option} {value}: must be 0 or larger.")
    if settings.repetition_time is not None and not SHORTEST_TR <= settings.repetition_time <= LONGEST_TR:
        raise UsageError(
            f"--repetition-time {settings.repetition_time:g}: must be {SHORTEST_TR:g} to {LONGEST_TR:g}, in s."
        )
    if 0 < settings.low_pass <= settings.high_pass:
        raise UsageError(
            f"--high-pass {settings.high_pass:g} must be lower than --low-pass {settings.low_pass:g} (both in Hz)."
        )
    for option, count in (
        ("--nprocs", settings.nprocs),
        ("--omp-nthreads", settings.omp_nthreads),
        ("--train-processes", settings.train_processes),
    ):
        if count < 1:
            raise UsageError(f"{option} {count}: must be 1 or larger.")
    if settings.atlas_labels is not None and settings.atlas is None:
        raise UsageError(
            "--atlas-labels has no effect without --atlas: give the image that they name, or leave it out."
        )
    if settings.atlas_kind != "auto" and settings.atlas in (None, "default"):
        raise UsageError(
            "--atlas-kind has no effect without --atlas FILE: give the image whose kind it says, or leave it out."
        )
    if settings.template_kind != "auto" and settings.templates == "default":
        raise UsageError(
            "--template-kind has no effect without --templates FILE: give the image whose kind it says, or leave it "
            "out."
        )
    if settings.fetch_templates and "smith2009" not in (settings.templates, settings.atlas):
        raise UsageError(
            "--fetch-templates has no effect without --templates smith2009: ask for them, or leave it out."
        )
    for option, count, null in (
        ("--surrogates", settings.surrogates, "temporal"),
        ("--surrogate-templates", settings.surrogate_templates, "spatial"),
    ):
        if count != 0 and count < FEWEST_SURROGATES:
            raise UsageError(
                f"{option} {count}: must be 0 (no {null} null), or {FEWEST_SURROGATES} or larger; "
                "fewer cannot give p <= 0.05."
            )
    if settings.train_volumes != "auto" and settings.train_volumes < 1:
        raise UsageError(f"--train-volumes {settings.train_volumes}: must be auto, or 1 or larger.")
    if settings.train_volumes != "auto" and settings.preset == FITTED_PRESET:
        raise UsageError(
            f"--train-volumes has no effect with --preset {FITTED_PRESET}, which is fitted, not trained step by step: "
            "leave it out, or choose --preset autoencoder."
        )
    if settings.train_processes > 1 and settings.preset == FITTED_PRESET:
        raise UsageError(
            f"--train-processes has no effect with --preset {FITTED_PRESET}, which is fitted in one process: leave it "
            "out, or choose --preset autoencoder."
        )


def _check_device(name: str) -> None:
    if re.fullmatch(r"auto|cpu|cuda(:[0-9]+)?", name):
        return
    kind, colon, number = name.lower().partition(":")
    meant = (
        "cuda" if kind in ("gpu", "nvidia") else next(iter(get_close_matches(kind, ("auto", "cpu", "cuda"), n=1)), "")
    )
    hint = f"; did you mean {meant}{(colon + number) if meant == 'cuda' else ''}?" if meant else "."
    raise UsageError(f"--device {name}: unknown; choose auto, cpu, cuda, or cuda:1 and so on{hint}")


def _check_cross_fit(settings: Settings) -> None:
    option = f"--cross-fit {settings.cross_fit}"
    if not settings.cross_fit:
        return
    if settings.cross_fit < 2:
        raise UsageError(
            f"{option}: must be 0 (none), or 2 or larger: one part of the participants is left out of each."
        )
    if settings.model is not None:
        raise UsageError(
            f"{option} has no effect with --model, where nothing is trained: that model is of others already, or its "
            "card says that it has seen a run; leave one out."
        )
    if not settings.surrogates:
        raise UsageError(
            f"{option} has no effect without --surrogates: its models are for the temporal null alone; give "
            f"--surrogates 99 too, or leave it out."
        )
