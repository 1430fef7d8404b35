"""Names that options take, with a line on each, for ``--help``; repeated here so that it needs no import."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

__all__ = ["PRESETS", "STRATEGIES", "lines"]

STRATEGIES: Mapping[str, str] = MappingProxyType(
    {
        "auto": "24 motion parameters, white matter, CSF, as far as there are such columns; high-pass 0.008 Hz",
        "none": "nothing but the z-score, for data that were cleaned elsewhere",
        "published-code": "linear detrending, as the SCAAE authors' code does",
        "athena": "6 motion parameters, white matter, CSF, polynomials; band-pass 0.009 to 0.08 Hz",
        "24P": "24 motion parameters; high-pass 0.008 Hz",
        "36P": "24P, and white matter, CSF and global signal with derivatives and squares; high-pass 0.008 Hz",
        "acompcor": "12 motion parameters, 5 + 5 aCompCor components, cosines",
    }
)
"""As in `scaae_nipype.preparation.strategies.STRATEGIES`."""

PRESETS: Mapping[str, str] = MappingProxyType(
    {
        "contextual": "published attention, trained and shipped, and a context fitted to your runs in minutes",
        "autoencoder": "published attention and code with a light decoder, trained on your runs",
        "published": "the published network, layer by layer, trained on your runs; takes hours",
        "tiny": "a few channels, for trying things out: its maps mean nothing",
    }
)
"""As in `scaae_nipype.model.PRESETS`."""


def lines(named: Mapping[str, str]) -> str:
    r"""Write a line for each name.

    >>> lines({"a": "one", "bcd": "two"})
    'a: one\nbcd: two'
    """
    return "\n".join(f"{name}: {what}" for name, what in named.items())
