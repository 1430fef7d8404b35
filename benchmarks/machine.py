"""What the machine that a benchmark runs on does well."""

from __future__ import annotations

import torch

from scaae_nipype.model.extraction.extractor import bf16_is_fast

__all__ = ["fast_precision"]


def fast_precision() -> str:
    """Give ``bf16`` where the processor computes in it natively, else ``fp32``: emulated bf16 is four times slower."""
    return "bf16" if bf16_is_fast(torch.device("cpu")) else "fp32"
