"""From cached volumes to a contextual model: shipped attention, and a context fitted in closed form."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import torch

from ..network.context import FittedContext, fit_context
from ..network.contextual import ContextualSCAAE
from ..weights import Model
from .start import load_start
from .volumes import VolumeCache

__all__ = ["fit_network_context", "on_vectors", "train_contextual"]

AT_ONCE = 64
"""Volumes that are smoothed at once: bounds memory."""

RELIABLE = 0.3
"""Slope on left-out runs from which on a number of the code counts as shared by the runs."""


def train_contextual(model: Model, cache: VolumeCache, *, seed: int) -> None:
    """Give a new contextual network its shipped attention and a context fitted to cached volumes; complete its card.

    The seed goes into the card; nothing here is random.

    Raises
    ------
    ModelError
        If there are too few volumes.
    """
    started = time.monotonic()
    network = model.network
    assert isinstance(network, ContextualSCAAE)
    start = load_start(network, model.grid)
    fitted = fit_network_context(network, cache)
    model.card |= {
        "Seed": seed,
        "Start": start,
        "Context": {
            "Volumes": fitted.n_volumes,
            "Reliability": np.round(fitted.reliability, 3).tolist(),
            "SharedDimensions": int((fitted.reliability >= RELIABLE).sum()),
        },
        "Training": {
            "Runs": len(cache.runs),
            **model.card.get("Training", {}),
            "Volumes": len(cache),
            "VolumesSeen": fitted.n_volumes,
            "Loss": "reduced-rank regression of neighbouring volumes (context); the attention is the shipped one",
            "Undertrained": False,
            "Seconds": round(time.monotonic() - started, 1),
        },
    }


def fit_network_context(network: ContextualSCAAE, cache: VolumeCache) -> FittedContext:
    """Fit the context of a network to cached volumes, and put it in."""
    fitted = fit_context(
        cache.runs,
        size=network.preset.context,
        smooth=on_vectors(network, network.near),
        adjoint=on_vectors(network, network.near.adjoint),
    )
    network.context.load(fitted)
    return fitted


def on_vectors(
    network: ContextualSCAAE, operator: Callable[[torch.Tensor], torch.Tensor]
) -> Callable[[np.ndarray], np.ndarray]:
    """Let an operator on volumes work on in-mask vectors (n, n_voxels)."""

    @torch.inference_mode()
    def apply(vectors: np.ndarray) -> np.ndarray:
        result = np.empty(vectors.shape, dtype=np.float32)
        for begin in range(0, len(vectors), AT_ONCE):
            part = slice(begin, begin + AT_ONCE)
            volumes = network.place(torch.from_numpy(np.asarray(vectors[part], dtype=np.float32)))
            result[part] = network.vectors(operator(volumes)).numpy()
        return result

    return apply
