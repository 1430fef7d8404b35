"""What a model folder holds, by name; needs no PyTorch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import ModelError
from ..files import PathLike

__all__ = ["CARD", "GROUP_PCA", "MASK", "WEIGHTS", "check_model_folder", "lacking"]

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
