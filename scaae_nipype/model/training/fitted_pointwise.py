"""From cached volumes to a pointwise model: shipped attention, and what its views know fitted in closed form."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from importlib import resources
from typing import Any

import numpy as np
import safetensors.torch
import torch

from ..extraction.threads import one_thread
from ..group_pca import SIGMA_OF_FEW, SIGMA_OF_MANY, GroupPCA, fit_group_pca
from ..network.parts import ASSUMED_SECONDS, FittedParts, fit_parts, sparse_components, stretches
from ..network.pointwise import FAMILIAR, ICA_MAPS, LEADS, VIEWS, PointwiseSCAAE
from ..weights import Model
from .volumes import VolumeCache

__all__ = ["POINTWISE", "lead_shares", "load_pointwise", "train_pointwise"]

POINTWISE = "pointwise"
"""Name of the shipped weights and their card in `scaae_nipype.data`; ``benchmarks/search/ship.py`` makes them."""

AT_ONCE, SCALED_BY = 16, 32
"""Volumes that are smoothed at once; over how many the strengths of network and leads are compared."""

LEAD_SHARES = (1.0, 1.0)
"""Strength of the first two of `LEADS` beside that of the network (root mean square over volumes of the runs), where
halves of the runs do not agree at all; chosen on simulated studies and planted networks of tuning seeds."""

AGREED = 0.4
"""Agreement of halves of the runs from which on nothing leads."""

SKEWED = 0.1
"""Mean skewness of the parts' shares in volumes left out from which on nothing speaks for a Gaussian process; chosen on
planted networks of tuning seeds, as are the strengths and limits below."""

TOO_SHORT, LONG_ENOUGH = 600.0, 800.0
"""For how many s runs must have been observed together before skewness counts at all, and in full: of a few minutes, it
is a matter of chance."""

MIXED, TAKING_TURNS = 0.2, 0.35
"""Mean skewness up to which networks are mixed in most volumes, and from which on they take turns."""

MIXED_STRENGTH = 2.0
"""Strength of the independent components beside the network where networks are mixed."""

OWN_STRENGTH = 1.5
"""Strength of a run's own PCA beside the network, in volumes of the one run that was fitted."""

SHORT = 300.0
"""For how many s a run must have been observed for its own PCA to begin to lead less; from twice as long on, it does
not. Of 5 minutes the PCA alone finds more than the network alone, of 10 the network does."""

LEAST_SIZE = 1e-5
"""Of the largest singular value of a run: smaller ones are rounding."""


def linear_share(skewness: float, agreement: float, duration: float) -> float:
    """Say how far runs look like a Gaussian process, of which the best estimate is linear: from 0 to 1.

    Parameters
    ----------
    skewness : float
        Mean over parts (`FittedParts.skewness`).
    agreement : float
        The same of `FittedParts.agreement`: below half of `AGREED`, parts are mostly noise, and so are their shares.
    duration : float
        Of all runs together, in s.

    >>> linear_share(0.7, 0.8, 900), linear_share(0.05, 0.8, 900), linear_share(-0.02, 0.8, 900)
    (0.0, 0.5, 1.0)
    >>> linear_share(-0.02, 0.2, 900), linear_share(-0.02, 0.8, 600), linear_share(-0.02, 0.8, 700)
    (0.0, 0.0, 0.5)
    """
    return _between(1 - skewness / SKEWED) * _trusted(agreement, duration)


def mixed_share(skewness: float, agreement: float, duration: float) -> float:
    """Say how far networks look as if several were active in most volumes: from 0 to 1, never below `linear_share`.

    >>> mixed_share(0.7, 0.8, 900), mixed_share(0.15, 0.8, 900), mixed_share(0.15, 0.2, 900)
    (0.0, 1.0, 0.0)
    """
    return _between((TAKING_TURNS - skewness) / (TAKING_TURNS - MIXED)) * _trusted(agreement, duration)


def own_share(agreement: float, duration: float) -> float:
    """Say how far the one run of a fit is so short that its own PCA should lead in it: from 0 to 1.

    >>> own_share(0.2, 300), own_share(0.2, 450), own_share(0.2, 600), own_share(0.8, 300)
    (1.0, 0.5, 0.0, 0.0)
    """
    return _between(4 * (1 - agreement / AGREED)) * _between(2 - duration / SHORT)


def _trusted(agreement: float, duration: float) -> float:
    """Say how far to trust a skewness."""
    observed = _between((duration - TOO_SHORT) / (LONG_ENOUGH - TOO_SHORT))
    return observed * _between(2 * agreement / AGREED - 1)


def _between(value: float) -> float:
    return min(1.0, max(0.0, value))


def lead_shares(agreement: float, linear: float = 0.0, mixed: float = 0.0, own: float = 0.0) -> tuple[float, ...]:
    """Give the strengths of `LEADS` beside that of the network.

    Where halves of the runs do not agree, both lead; where they agree that networks wander as a Gaussian process does
    (`linear_share`), the group's PCA does; where networks are mixed (`mixed_share`), the group's ICA. Of one
    short run (`own_share`), its own PCA takes the place of the group's in that run's volumes.

    >>> lead_shares(0.0), lead_shares(0.2), lead_shares(0.8)
    ((1.0, 1.0, 0.0, 0.0), (0.5, 0.5, 0.0, 0.0), (0.0, 0.0, 0.0, 0.0))
    >>> lead_shares(0.8, mixed=1), lead_shares(0.8, linear=1, mixed=1), lead_shares(0.2, own=1)
    ((0.0, 0.0, 2.0, 0.0), (1.0, 0.0, 1.0, 0.0), (0.5, 0.5, 0.0, 1.5))
    """
    unlike = max(0.0, 1 - agreement / AGREED)
    group_pca, near = LEAD_SHARES
    return (
        group_pca * (unlike + (1 - unlike) * linear),
        near * unlike,
        (MIXED_STRENGTH - linear) * mixed,
        OWN_STRENGTH * own,
    )


def load_pointwise(network: PointwiseSCAAE) -> dict[str, Any]:
    """Put the shipped attention into a network; give what it is, for the model's card."""
    folder = resources.files("scaae_nipype.data")
    tensors = safetensors.torch.load(folder.joinpath(f"{POINTWISE}.safetensors").read_bytes())
    network.load_state_dict({**network.state_dict(), **tensors})
    card: dict[str, Any] = json.loads(folder.joinpath(f"{POINTWISE}.json").read_text())
    return card


@torch.inference_mode()
def train_pointwise(
    model: Model, cache: VolumeCache, group_pca: GroupPCA, *, seed: int, time_width: float = 0.0
) -> None:
    """Give a new pointwise network its shipped attention and what is fitted to cached volumes; complete its card.

    The seed goes into the card; nothing here depends on it. Nor does the fit depend on how far the network will look
    around a volume in time (standard deviation in s), which goes with its weights.

    Raises
    ------
    ModelError
        If there are too few volumes.
    """
    started = time.monotonic()
    network = model.network
    assert isinstance(network, PointwiseSCAAE)
    start = load_pointwise(network)
    chosen = stretches([len(run) for run in cache.runs])
    chosen = [(number, part) for number, part in chosen if len(cache.runs[number][part])]
    runs = [torch.from_numpy(np.asarray(cache.runs[number][part], dtype=np.float32)) for number, part in chosen]
    seconds, unknown = _seconds(cache), sum(times is None for times in cache.seconds)
    with one_thread():  # the rotation of few volumes' components makes much of the last bit
        fitted = fit_parts(
            runs,
            [seconds[number][part] for number, part in chosen],
            smooth=_on_vectors(network, network.near6),
            adjoint=_on_vectors(network, network.near6.adjoint),
        )
        agreement = float(fitted.agreement.mean())
        known = float(fitted.skewness.mean()), agreement, fitted.duration
        linear, mixed = linear_share(*known), mixed_share(*known)
        _put_in(network, fitted, group_pca, mixed)
        if mixed:
            narrow = (
                group_pca if group_pca.sigma == SIGMA_OF_MANY else fit_group_pca(cache.runs, model.grid, SIGMA_OF_MANY)
            )
            _put_in_independent(network, narrow)
        # As many volumes as voxels that are looked at could be combined to any volume.
        known_again = len(cache.runs) == 1 and len(runs[0]) <= min(FAMILIAR, len(network.looked_at) // 2)
        own = own_share(agreement, fitted.duration) if known_again else 0.0
        if own:
            _put_in_familiar(network, runs[0])
        network.time_width.fill_(time_width)
        shares = _measure_leads(network, model, cache, lead_shares(agreement, linear, mixed, own))
    model.card |= {
        "Seed": seed,
        "Start": start,
        "Views": list(VIEWS),
        "TimeWidth": time_width,
        "Context": {
            "Volumes": fitted.n_volumes,
            "Reliability": np.round(fitted.persistence.numpy(), 3).tolist(),
            "Agreement": np.round(fitted.agreement.numpy(), 3).tolist(),
            "Skewness": np.round(fitted.skewness.numpy(), 3).tolist(),
            "Linear": round(linear, 3),
            "Mixed": round(mixed, 3),
            "Leads": dict(zip(LEADS, shares, strict=True)),
            "RepetitionTime": round(fitted.repetition_time, 6),
            **({"RunsOfAssumedRepetitionTime": unknown} if unknown else {}),
        },
        "Training": {
            "Runs": len(cache.runs),
            **model.card.get("Training", {}),
            "Volumes": len(cache),
            "VolumesSeen": fitted.n_volumes,
            "Loss": "components and non-negative parts in closed form; the attention is the shipped one",
            "Undertrained": False,
            "Seconds": round(time.monotonic() - started, 1),
        },
    }


def _seconds(cache: VolumeCache) -> list[np.ndarray]:
    """Give when the volumes of each run were taken; where that is not known, as at `ASSUMED_SECONDS`."""
    return [
        np.arange(len(run)) * ASSUMED_SECONDS if times is None else times
        for run, times in zip(cache.runs, cache.seconds, strict=True)
    ]


def _put_in(network: PointwiseSCAAE, fitted: FittedParts, group_pca: GroupPCA, mixed: float) -> None:
    network.context.encode.copy_(fitted.persistence[:, None] * fitted.maps)
    network.context.decode.copy_(fitted.maps)
    network.parts.copy_(fitted.parts)
    network.about.copy_(fitted.about)
    network.lead_parts.mul_(fitted.agreement.mean().square() * (1 - mixed))
    network.components.zero_()[: len(group_pca.maps)] = torch.from_numpy(group_pca.maps)
    network.few_volumes.fill_(group_pca.sigma == SIGMA_OF_FEW)


def _put_in_independent(network: PointwiseSCAAE, group_pca: GroupPCA) -> None:
    components, unmixing = sparse_components(torch.from_numpy(group_pca.maps[:ICA_MAPS].copy()))
    network.independent.zero_()[: len(components)] = components
    network.unmixing.zero_()[: len(unmixing)] = unmixing


def _put_in_familiar(network: PointwiseSCAAE, run: torch.Tensor) -> None:
    """Put in orthonormal directions of which volumes of the run are combinations."""
    _, sizes, directions = torch.linalg.svd(run[:, network.looked_at].double(), full_matrices=False)
    there = sizes > LEAST_SIZE * sizes[0]
    network.familiar.zero_()[: int(there.sum())] = directions[there].float()


def _measure_leads(
    network: PointwiseSCAAE, model: Model, cache: VolumeCache, shares: tuple[float, ...]
) -> tuple[float, ...]:
    """Bring the leads to their strength beside the network's, as measured over volumes of the runs."""
    powers = torch.zeros(1 + len(LEADS))
    sample = cache.sample(SCALED_BY)
    for vectors in sample:
        volumes = model.volumes(vectors[None])
        maps, _ = network.attend(network.see(volumes))
        powers += torch.cat([maps[:, :1], network.all_leads(volumes)], dim=1)[0].var(dim=1, unbiased=False)
    strengths = (powers / len(sample)).sqrt().clamp(min=1e-9)
    network.leads.copy_(torch.tensor(shares) * strengths[0] / strengths[1:])
    return shares


def _on_vectors(
    network: PointwiseSCAAE, operator: Callable[[torch.Tensor], torch.Tensor]
) -> Callable[[torch.Tensor], torch.Tensor]:
    """Let an operator on volumes work on in-mask vectors (n, n_voxels)."""
    return lambda rows: torch.cat(
        [network.vectors(operator(network.place(part[:, None]))) for part in rows.split(AT_ONCE)]
    )
