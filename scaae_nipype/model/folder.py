"""What a model folder holds, by name; needs no PyTorch."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ..errors import InputError, ModelError
from ..files import PathLike, read_json
from ..words import shown

__all__ = ["CARD", "GROUP_PCA", "MASK", "WEIGHTS", "check_model_folder", "lacking", "read_card"]

WEIGHTS, CARD, MASK = "weights.safetensors", "card.json", "mask.nii.gz"

GROUP_PCA = "group_pca.safetensors"
"""Beside them where the model was fitted to runs: what a plain linear method makes of these."""


def lacking(card: Mapping[str, Any]) -> tuple[str, ...]:
    """Name the baselines that a model cannot give, by its card.

    >>> lacking({"Preset": "autoencoder", "GroupPCA": {"Rank": 8}})
    ('context',)
    """
    return tuple(name for name, key in (("context", "Context"), ("group_pca", "GroupPCA")) if key not in card)


def check_model_folder(folder: PathLike) -> None:
    """See that nothing of a model is missing; what is in the files is for `load_model` to check.

    Raises
    ------
    ModelError
        What is missing.
    """
    missing = [name for name in (WEIGHTS, CARD, MASK) if not (Path(folder) / name).is_file()]
    if missing:
        raise ModelError(f"{folder}: is not a model folder, {' and '.join(missing)} missing.")


def read_card(folder: PathLike) -> dict[str, Any]:
    """Read the card of a model folder; what programs compute with, or take apart, is of the kind that they expect.

    Whether what is needed is there, and true, is for `load_model` to see.

    Raises
    ------
    ModelError
        If it is missing, no JSON object, or holds something of another kind; the message names the key.
    """
    path = Path(folder) / CARD
    try:
        card = read_json(path)
    except InputError as error:
        raise ModelError(f"{folder}: is not a model folder ({error})") from error
    for place, (is_right, wanted) in _KINDS.items():
        key, _, inner = place.partition("/")
        value = card.get(key)
        if inner:
            if not isinstance(value, dict) or inner not in value:
                continue
            value = value[inner]
        elif key not in card:
            continue
        if not is_right(value):
            told = f"{place} must be {wanted}, not {shown(value)}"
            raise ModelError(f"{path}: {told}; take an undamaged copy of the model.")
    return card


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= LONGEST_TEXT and value.isprintable()


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value >= 0


def _is_whole(value: Any) -> bool:
    return _is_number(value) and isinstance(value, int) and value < 2**63


def _is_object(value: Any) -> bool:
    return isinstance(value, dict)


def _or_null(is_right: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: value is None or is_right(value)


def _are_branches(value: Any) -> bool:
    return (
        isinstance(value, list)
        and len(value) == 2
        and all(isinstance(branch, dict) for branch in value)
        and all(type(branch.get("Sign", 1)) is int and branch.get("Sign", 1) in (1, -1) for branch in value)
    )


def _are_runs(value: Any) -> bool:
    return _is_whole(value) or (isinstance(value, list) and all(isinstance(name, str) for name in value))


def _is_range(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(map(_is_number, value))


LONGEST_TEXT = 200
"""Signs of the longest name in a card."""

_TEXT = (_is_text, f"text of at most {LONGEST_TEXT} signs in one line")
_OBJECT = (_is_object, "an object")

_KINDS: Mapping[str, tuple[Callable[[Any], bool], str]] = MappingProxyType(
    {
        "FormatVersion": (lambda value: _is_whole(value) and value > 0, "a whole number above 0"),
        "Name": (_or_null(_is_text), _TEXT[1]),
        "Preset": _TEXT,
        "Mode": (_or_null(_is_text), _TEXT[1]),
        "Seed": (_or_null(_is_whole), "a whole number"),
        "WeightsSHA256": _TEXT,
        "Grid": _OBJECT,
        "Precision": (lambda value: value in ("fp32", "bf16"), "fp32 or bf16"),
        "PrecisionDemanded": (lambda value: isinstance(value, bool), "true or false"),
        "Branches": (_are_branches, "two objects, with a Sign of 1 or -1"),
        "Preparation": _OBJECT,
        "RepetitionTimeRange": (_or_null(_is_range), "two numbers, in s"),
        "CrossFit": (_or_null(_is_object), "an object"),
        "Start": _OBJECT,
        "Context": _OBJECT,
        "Context/Volumes": (_is_whole, "a whole number"),
        "GroupPCA": _OBJECT,
        "GroupPCA/SHA256": _TEXT,
        "GroupPCA/SmoothingSigma": (lambda value: _is_number(value) and value <= 100, "a number of mm, at most 100"),
        "GroupPCA/Volumes": (_is_whole, "a whole number"),
        "Training": _OBJECT,
        "Training/Runs": (_are_runs, "a list of names, or their number"),
        "Training/Volumes": (_is_whole, "a whole number"),
        "Training/VolumesSeen": (_is_whole, "a whole number"),
        "Training/Seconds": (_is_number, "a number"),
    }
)
"""Keys of a card that something is done with, of which kind each must be where it is there, and that in words."""
