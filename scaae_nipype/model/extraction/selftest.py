"""A self-test of a model on this machine: whether the fast path computes what the plain network computes."""

from __future__ import annotations

import numpy as np
import torch

from ...errors import ModelError
from ..weights import Model
from .extractor import AGREEMENT, Extractor
from .fused import FusedReader

__all__ = ["compare_paths"]

LARGEST_DIFFERENCE = 1e-4
"""Of fused and plain FBNs in fp32, relative to the spread of the map."""


@torch.inference_mode()
def compare_paths(model: Model) -> list[str]:
    """Compare fused with plain FBNs on a volume of noise, and bf16 with fp32 where the card asks for it.

    Returns
    -------
    list of str
        What was found, a sentence each.

    Raises
    ------
    ModelError
        If they disagree: this machine, or this version of torch, cannot be trusted with the model.
    """
    volume = model.noise()
    plain, fused = (model.vectors(read(volume).maps)[0] for read in (model.network.read, FusedReader(model.network)))
    difference = float(np.max(np.abs(plain - fused).max(axis=-1) / plain.std(axis=-1)))
    if not difference < LARGEST_DIFFERENCE:
        raise ModelError(
            f"The fused path differs from the plain network by {difference:.2g} SD (allowed: {LARGEST_DIFFERENCE:g}); "
            "do not use this model with this version of torch on this machine."
        )
    sentences = [f"Fused and plain FBNs agree within {difference:.1g} of their standard deviation (fp32)."]
    if model.card.get("Precision") == "bf16":
        extractor = Extractor(model)
        if extractor.precision == "fp32" and extractor.agreement_with_fp32 == 1:
            return [*sentences, "This machine does not compute in bf16 natively: networks are extracted in fp32."]
        agreement = extractor.agreement_with_fp32
        if agreement < AGREEMENT:
            raise ModelError(
                f"bf16 FBNs correlate only {agreement:.5f} with fp32 ones (needed: {AGREEMENT}); extract in fp32."
            )
        sentences.append(f"bf16 FBNs correlate {agreement:.5f} with fp32 ones (needed: {AGREEMENT}).")
    return sentences
