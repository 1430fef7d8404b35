"""What a model folder holds, by name; needs no PyTorch."""

from __future__ import annotations

from pathlib import Path

from ..errors import ModelError
from ..files import PathLike

__all__ = ["CARD", "MASK", "WEIGHTS", "check_model_folder"]

WEIGHTS, CARD, MASK = "weights.safetensors", "card.json", "mask.nii.gz"


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
