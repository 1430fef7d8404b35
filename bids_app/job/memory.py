"""What the steps of a job need of memory, measured: Nipype starts a step only where that much is free."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from ...images import count_volumes
from ...options import OF_MODEL

__all__ = ["baselines_gb", "memory_gb", "training_gb"]

FITTED_VOLUMES = 3000
"""Volumes that a context is fitted to at most (`scaae_nipype.model.network.context`)."""

MEMORY_GB = {
    "prepare": (0.4, 0.0001),
    "extract": (1.0, 0.001),
    "evaluate": (0.35, 0.0014),
    "decompose": (0.8, 0.0015),
    "report": (0.6, 0.0),
    "surrogates": (0.6, 0.0),
    "spatial_null": (0.7, 0.001),
    "temporal_null": (0.8, 0.001),
}
"""Peak memory of a step in GB, and how much a volume of the run adds.

Measured as the peak resident memory of a fresh worker process for each node, one thread: preparation of 97 × 115 × 97
int16 volumes (100, 300, 600 of them: 0.26 to 0.27 GB); template matching, states, baselines, gradual change, regions
(0.53, 0.45, 0.57, 0.35, 0.32 GB) and report (0.35 GB) of 300 volumes; template matching in two threads needs 0.1 GB
more at 176, 0.3 GB at 600 volumes. Null models of 300 volumes on the whole mask, preset contextual, default templates:
99 sets of surrogate templates 0.49 GB, matches 0.68 GB, dynamics 0.93 GB (0.81 GB at 40 volumes), whatever the number
of surrogates, which are made one after the other. A worker that extracted networks before holds torch, hence the
larger base of the spatial null. Rounded up.
"""

TRAINING_GB = {
    "tiny": (1.0, 0.0),
    "pointwise": (0.6, 0.00045),
    "contextual": (0.75, 0.00075),
    "linear": (0.6, 0.00045),
    "autoencoder": (2.6, 0.0),
    "published": (11.0, 0.0),
}
"""The same for training a preset.

Pointwise views of 600 and 3000 volumes (0.54, 1.72 GB); contexts of 600, 994 and 3000 volumes (1.1, 1.4, 3.0 GB); an
autoencoder in bf16 with its batch of 8 (2.4 GB) and the tiny one (0.7 GB).
"""

HEAVY_BASELINES = {"ica", "windows", "encoder_lasso"}
"""Those that need the memory of `decompose`."""

MODEL_GB = 0.45
"""What loading a model takes: torch (0.4 GB) and the weights."""


def memory_gb(step: str, bold: Path | None = None) -> float:
    """Estimate a step's peak memory, from the number of volumes in the run's header where there is a run."""
    base, per_volume = MEMORY_GB[step]
    return base + per_volume * (0 if bold is None else _n_volumes(bold))


def _n_volumes(bold: Path) -> int:
    return count_volumes(bold) or 0  # of what cannot be read the preparation will say


def baselines_gb(names: Sequence[str], bold: Path) -> float:
    """Give the memory of scoring baselines; what of the network they need is held beside what is scored."""
    own = memory_gb("decompose" if HEAVY_BASELINES & {*names} else "evaluate", bold)
    if "untrained" in names:
        return own + memory_gb("extract", bold)
    return own + (MODEL_GB if {*OF_MODEL} & {*names} else 0)


def training_gb(preset: str, prepared: Iterable[str | Path]) -> float:
    """Estimate the peak memory of a training process; an autoencoder's depends on the batch, not on the runs."""
    base, per_volume = TRAINING_GB.get(preset, TRAINING_GB["autoencoder"])
    n_volumes = sum(_n_volumes(Path(file)) for file in prepared) if per_volume else 0
    return base + per_volume * min(n_volumes, FITTED_VOLUMES)
