"""What cannot be asked for, said in one line before anything runs."""

from __future__ import annotations

import os
import re
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

from ...errors import UsageError
from ...headers import LONGEST_TR, SHORTEST_TR
from ...words import plural
from ..inputs.datasets import is_dataset

if TYPE_CHECKING:
    from ..inputs.find import Inputs, RunInput
    from .settings import Settings

__all__ = ["FEWEST_SURROGATES", "FITTED_PRESET", "check_cuda", "check_denoised", "check_settings", "denoised_warnings"]

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


def check_cuda(settings: Settings) -> None:
    """See that the CUDA device that was asked for is there; where steps run on other machines, it may be on those.

    Raises
    ------
    UsageError
        If it is not.
    """
    if not settings.device.startswith("cuda"):
        return
    if settings.plugin_file is not None:
        from ..engine.plugin_file import read_plugin_file

        if not read_plugin_file(settings.plugin_file).is_local:
            return
    import torch

    there = torch.cuda.device_count()
    if int(settings.device.partition(":")[2] or 0) >= there:  # torch.device would take cuda:256 for cuda:0
        found = f"{there or 'no'} {plural(there, 'CUDA device')}"
        raise UsageError(f"--device {settings.device}: PyTorch finds {found} on this machine; give cpu or auto.")


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


def check_denoised(settings: Settings, inputs: Inputs) -> None:
    """Refuse a nuisance strategy or a filter for runs all of which were denoised before.

    Raises
    ------
    UsageError
        Which option.
    """
    asked = asked_of_denoised(settings)
    if asked and inputs.runs and all(run.denoised for run in inputs.runs):
        raise UsageError(
            f"{asked[0]} has no effect: all runs were denoised before ({inputs.runs[0].bold.name} …), and nothing is "
            "regressed or filtered a second time; leave it out, or give preprocessed runs (desc-preproc)."
        )


def asked_of_denoised(settings: Settings) -> list[str]:
    """List the options that the user gave and that runs do not follow that were denoised before.

    What comes to the same (``-p auto``, ``-p none``, no filter) is not among them.
    """
    wishes = {"--nuisance-regressors": ("nuisance", settings.nuisance.lower() not in ("auto", "none"))}
    wishes |= {"--high-pass": ("high_pass", settings.high_pass > 0), "--low-pass": ("low_pass", settings.low_pass > 0)}
    return [option for option, (name, does) in wishes.items() if name in settings.asked and does]


def denoised_warnings(settings: Settings, run: RunInput) -> list[str]:
    """Say of a run that was denoised before which of the user's options it does not follow."""
    asked = asked_of_denoised(settings) if run.denoised else []
    return [f"{', '.join(asked)}: not applied, because this run was denoised before."] if asked else []
