"""What cannot be asked for, said in one line before anything runs."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path

from ...errors import UsageError
from ...model.presets import check_training
from ...options import Evaluation, Nulls, Preparation, Training
from ...preparation.strategies import choose_strategy
from ..inputs.datasets import is_dataset

__all__ = ["check_device_name", "check_effect", "check_filter", "check_folders"]


def check_folders(bids_dir: Path, output_dir: Path, work_dir: Path, datasets: Mapping[str, Path]) -> None:
    """See that folders are usable, and that nothing is written into a dataset that is read.

    Raises
    ------
    UsageError
    """
    if not bids_dir.is_dir():
        raise UsageError(f"{bids_dir}: there is no such folder; bids_dir is the dataset to read.")
    for name, path in datasets.items():
        if not path.is_dir():
            raise UsageError(f"--derivatives {name}={path}: there is no such folder.")
    for option, folder in (("output_dir", output_dir), ("--work-dir", work_dir)):
        for root in (bids_dir, *datasets.values()):
            if _writes_into(folder, root):
                raise UsageError(
                    f"{folder}: lies inside the input dataset {root}, which is never written to; "
                    f"choose another {option}."
                )
    for folder in (output_dir, work_dir):
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


def check_filter(preparation: Preparation) -> None:
    """See that the cut-offs fit each other, those of the strategy among them.

    Raises
    ------
    UsageError
    """
    chosen = choose_strategy(preparation)
    if chosen.low_pass and chosen.low_pass <= (chosen.high_pass or 0):
        raise UsageError(
            f"`high_pass` {chosen.high_pass:g} must be lower than `low_pass` {chosen.low_pass:g} (both in Hz)."
        )


def check_effect(training: Training, evaluation: Evaluation, nulls: Nulls, *, fetches: bool, has_model: bool) -> None:
    """See that no setting is without effect beside the others.

    Raises
    ------
    UsageError
        Which setting, and what to give instead.
    """
    if fetches and "smith2009" not in (evaluation.templates, evaluation.atlas):
        raise UsageError(
            "`fetch_templates` has no effect without `templates` smith2009: ask for them, or leave it out."
        )
    if not has_model:
        check_training(training)
    if nulls.n_folds and has_model:
        raise UsageError(
            f"`n_folds` {nulls.n_folds} has no effect with `model`, where nothing is trained: that model is of others "
            "already, or its card says that it has seen a run; leave one out."
        )
    if nulls.n_folds and not nulls.n_surrogates:
        raise UsageError(
            f"`n_folds` {nulls.n_folds} has no effect without `n_surrogates`: its models are for the temporal null "
            "alone; give `n_surrogates` 99 too, or leave it out."
        )


def check_device_name(name: str) -> None:
    """See that there can be such a device.

    Raises
    ------
    UsageError
    """
    if re.fullmatch(r"auto|cpu|cuda(:[0-9]+)?", name):
        return
    kind, colon, number = name.lower().partition(":")
    meant = (
        "cuda" if kind in ("gpu", "nvidia") else next(iter(get_close_matches(kind, ("auto", "cpu", "cuda"), n=1)), "")
    )
    hint = f"; did you mean {meant}{(colon + number) if meant == 'cuda' else ''}?" if meant else "."
    raise UsageError(f"--device {name}: unknown; choose auto, cpu, cuda, or cuda:1 and so on{hint}")
