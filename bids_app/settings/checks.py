"""What cannot be asked for, said in one line before anything runs."""

from __future__ import annotations

import os
import re
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

from ...errors import UsageError
from ...model.presets import check_training
from ...preparation.strategies import choose_strategy
from ...words import plural
from ..inputs.datasets import is_dataset

if TYPE_CHECKING:
    from ..inputs.find import Inputs, RunInput
    from .settings import Settings

__all__ = ["check_cuda", "check_denoised", "check_settings", "denoised_warnings"]


def check_settings(settings: Settings) -> None:
    """See that folders are usable, values possible, and that no option is without effect.

    Raises
    ------
    UsageError
        Which option, and what to give instead.
    """
    _check_folders(settings)
    _check_values(settings)
    _check_device(settings.training.device)


def _check_folders(settings: Settings) -> None:
    if not settings.bids_dir.is_dir():
        raise UsageError(f"{settings.bids_dir}: there is no such folder; bids_dir is the dataset to read.")
    for name, path in (settings.datasets or {}).items():
        if not path.is_dir():
            raise UsageError(f"--derivatives {name}={path}: there is no such folder.")
    inputs = [settings.bids_dir, *(settings.datasets or {}).values()]
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
    """See that values fit each other; each alone was checked when its group was made."""
    preparation, evaluation = settings.preparation, settings.evaluation
    chosen = choose_strategy(**preparation.given("strategy", "high_pass", "low_pass", "fd_threshold"))
    if chosen.low_pass and chosen.low_pass <= (chosen.high_pass or 0):
        raise UsageError(
            f"`high_pass` {chosen.high_pass:g} must be lower than `low_pass` {chosen.low_pass:g} (both in Hz)."
        )
    if settings.fetch_templates and "smith2009" not in (evaluation.templates, evaluation.atlas):
        raise UsageError(
            "`fetch_templates` has no effect without `templates` smith2009: ask for them, or leave it out."
        )
    if settings.model is None:
        check_training(settings.training)
    n_folds, n_surrogates = settings.nulls.n_folds, settings.nulls.n_surrogates
    if n_folds and settings.model is not None:
        raise UsageError(
            f"`n_folds` {n_folds} has no effect with `model`, where nothing is trained: that model is of others "
            "already, or its card says that it has seen a run; leave one out."
        )
    if n_folds and not n_surrogates:
        raise UsageError(
            f"`n_folds` {n_folds} has no effect without `n_surrogates`: its models are for the temporal null alone; "
            "give `n_surrogates` 99 too, or leave it out."
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
    name = settings.training.device
    if not name.startswith("cuda"):
        return
    if settings.plugin_file is not None:
        from ..engine.plugin_file import read_plugin_file

        if not read_plugin_file(settings.plugin_file).is_local:
            return
    import torch

    there = torch.cuda.device_count()
    if int(name.partition(":")[2] or 0) >= there:  # torch.device would take cuda:256 for cuda:0
        found = f"{there or 'no'} {plural(there, 'CUDA device')}"
        raise UsageError(f"`device` {name}: PyTorch finds {found} on this machine; give cpu or auto.")


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
    preparation = settings.preparation
    wishes = {"strategy": preparation.strategy.lower() not in ("auto", "none")}
    wishes |= {"high_pass": bool(preparation.high_pass), "low_pass": bool(preparation.low_pass)}
    return [f"`{name}`" for name, does in wishes.items() if name in settings.asked and does]


def denoised_warnings(settings: Settings, run: RunInput) -> list[str]:
    """Say of a run that was denoised before which of the user's options it does not follow."""
    asked = asked_of_denoised(settings) if run.denoised else []
    return [f"{', '.join(asked)}: not applied, because this run was denoised before."] if asked else []
