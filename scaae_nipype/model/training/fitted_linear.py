"""From cached volumes to a linear model: the group's principal components are all of it."""

from __future__ import annotations

import time

import torch

from ...errors import ModelError
from ..group_pca import SIGMA_OF_FEW, GroupPCA, fit_group_pca
from ..network.linear import LinearNetwork
from ..network.parts import FEWEST_VOLUMES
from ..weights import Model
from .volumes import VolumeCache

__all__ = ["train_linear"]


@torch.inference_mode()
def train_linear(model: Model, cache: VolumeCache, *, seed: int) -> GroupPCA:
    """Put the principal components of cached volumes into a new linear network; complete its card.

    The seed goes into the card; nothing here depends on it.

    Raises
    ------
    ModelError
        If there are too few volumes.
    """
    started = time.monotonic()
    network = model.network
    assert isinstance(network, LinearNetwork)
    if len(cache) < FEWEST_VOLUMES:
        raise ModelError(
            f"Only {len(cache)} volumes are kept; components need {FEWEST_VOLUMES} (censor less, or add runs)."
        )
    group_pca = fit_group_pca(cache.runs, model.grid)
    network.components.zero_()[: len(group_pca.maps)] = torch.from_numpy(group_pca.maps)
    network.few_volumes.fill_(group_pca.sigma == SIGMA_OF_FEW)
    model.card |= {
        "Seed": seed,
        "Context": {
            "Volumes": group_pca.n_volumes,
            "Rank": len(group_pca.maps),
            "SmoothingSigma": group_pca.sigma,
        },
        "Training": {
            "Runs": len(cache.runs),
            **model.card.get("Training", {}),
            "Volumes": len(cache),
            "VolumesSeen": group_pca.n_volumes,
            "Loss": "principal components in closed form; there is no attention",
            "Undertrained": False,
            "Seconds": round(time.monotonic() - started, 1),
        },
    }
    return group_pca
