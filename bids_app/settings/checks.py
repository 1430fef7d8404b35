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
from ..inputs.datasets import is_dataset

if TYPE_CHECKING:
    from .settings import Settings

__all__ = ["check_settings"]


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
    chosen = choose_strategy(preparation)
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
