"""The context of a volume: what the volumes of many runs have in common, as 64 numbers and the map they stand for.

A convolution sees a few centimetres and does not know where it is. The context gives the attention what it lacks: the
part of a volume that lies in the space shared by all training runs. It is fitted in closed form, by reduced-rank
regression (Izenman 1975, doi 10.1016/0047-259X(75)90042-1) of the mean of a volume's two neighbours in time on the
volume itself. Neighbours share the signal, but not the thermal noise, so that what predicts them is signal
(Lehtinen et al. 2018, arXiv 1803.04189). How far each of the numbers can be trusted is measured on runs left out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from ...errors import ModelError

__all__ = ["Context", "FittedContext", "fit_context"]

MOST_VOLUMES = 3000
"""Volumes that a fit uses, spread evenly over all runs: bounds memory and time, whatever the size of the study."""

MOST_COMPONENTS = 100
"""Principal components of the volumes in which the regression is solved; at most half as many as there are volumes."""

FOLDS = 2
"""Parts of the training runs; each is predicted from the others to measure reliability."""

FEWEST_VOLUMES = 8
"""Volumes below which nothing can be fitted."""

Smooth = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True, eq=False)
class FittedContext:
    """A context as arrays."""

    encode: np.ndarray
    """code = volume · encodeᵀ: float32, (size, n_voxels)."""
    decode: np.ndarray
    """Orthonormal maps: context = code · decode, shaped as `encode`. Zero rows where the volumes give fewer."""
    reliability: np.ndarray
    """Slope with which each number predicts neighbours in runs that were left out, 0 to 1; `encode` contains it."""
    n_volumes: int
    """That the fit used."""


class Context(nn.Module):
    """Code (`size` numbers) and context of volumes: two matrices."""

    def __init__(self, size: int, n_voxels: int):
        super().__init__()
        self.encode = nn.Parameter(torch.zeros(size, n_voxels), requires_grad=False)
        self.decode = nn.Parameter(torch.zeros(size, n_voxels), requires_grad=False)

    def load(self, fitted: FittedContext) -> None:
        """Take over what was fitted."""
        with torch.no_grad():
            self.encode.copy_(torch.from_numpy(fitted.encode))
            self.decode.copy_(torch.from_numpy(fitted.decode))

    def forward(self, vectors: Tensor) -> tuple[Tensor, Tensor]:
        """Give code (batch, size) and context (batch, n_voxels) of in-mask vectors (batch, n_voxels)."""
        code = vectors @ self.encode.T
        return code, code @ self.decode


def fit_context(runs: Sequence[np.ndarray], *, size: int, smooth: Smooth, adjoint: Smooth) -> FittedContext:
    """Fit a context to the volumes of runs.

    Parameters
    ----------
    runs : sequence of float arrays, (T_run, n_voxels)
        Kept volumes of each run in the order of time, z-scored. Volumes on both sides of a censored one count as
        neighbours.
    size : int
    smooth, adjoint : callable
        A linear smoothing of volumes (n, n_voxels), and its transpose. The code is computed from smoothed volumes; the
        smoothing is part of `encode`.

    Raises
    ------
    ModelError
        If there are too few volumes.
    """
    pairs = _pairs(runs)
    total = sum(len(x) for x, _ in pairs)
    if total < FEWEST_VOLUMES:
        raise ModelError(
            f"Only {total} volumes have kept neighbours; a context needs {FEWEST_VOLUMES} (censor less, or add runs)."
        )
    pairs = [(smooth(x), y) for x, y in pairs]
    if len(pairs) == 1:  # a single run is left out half by half
        (x, y), middle = pairs[0], total // 2
        pairs = [(x[:middle], y[:middle]), (x[middle:], y[middle:])]
    slopes = []
    for fold in range(FOLDS):
        left_out = pairs[fold::FOLDS]
        encode, decode = _regress([pair for n, pair in enumerate(pairs) if n % FOLDS != fold], size)
        predicted = np.concatenate([x @ encode.T for x, _ in left_out])
        actual = np.concatenate([y @ decode.T for _, y in left_out])
        power = (predicted**2).sum(axis=0)
        slope = np.divide((predicted * actual).sum(axis=0), power, out=np.zeros(len(encode)), where=power > 0)
        slopes.append(np.pad(np.clip(slope, 0, 1), (0, size - len(slope))))
    reliability = np.mean(slopes, axis=0)
    encode, decode = _regress(pairs, size)
    encode = adjoint(encode * reliability[: len(encode), None].astype(np.float32))
    missing = [(0, size - len(encode)), (0, 0)]
    return FittedContext(np.pad(encode, missing), np.pad(decode, missing), reliability, total)


def _pairs(runs: Sequence[np.ndarray]) -> list[tuple[np.ndarray, np.ndarray]]:
    """Give volumes and the means of their neighbours, a pair of arrays a run, thinned out evenly."""
    inner = [np.arange(1, len(run) - 1) for run in runs if len(run) > 2]
    total = sum(map(len, inner))
    step = max(1.0, total / MOST_VOLUMES)
    pairs = []
    for run, volumes in zip((run for run in runs if len(run) > 2), inner, strict=True):
        chosen = volumes[np.unique(np.arange(0, len(volumes), step).astype(int))]
        before, at, after = (np.asarray(run[chosen + shift], dtype=np.float32) for shift in (-1, 0, 1))
        pairs.append((at, (before + after) / 2))
    return pairs


def _regress(pairs: Sequence[tuple[np.ndarray, np.ndarray]], size: int) -> tuple[np.ndarray, np.ndarray]:
    """Solve the reduced-rank regression of neighbours on volumes in the volumes' leading principal components.

    Returns
    -------
    encode, decode : float32 arrays, (rank, n_voxels)
        The most predictable direction first; rank is at most `size`.
    """
    x = np.concatenate([volumes for volumes, _ in pairs])
    y = np.concatenate([neighbours for _, neighbours in pairs])
    values, vectors = np.linalg.eigh((x @ x.T).astype(np.float64))
    usable = int((values > 1e-6 * values[-1]).sum())
    count = max(1, min(MOST_COMPONENTS, len(x) // 2, usable))
    components = ((vectors[:, -count:] / np.sqrt(values[-count:])).T @ x).astype(np.float32)
    scores = vectors[:, -count:] * np.sqrt(values[-count:])  # x on the components; orthogonal columns
    slopes = (scores / values[-count:]).T @ y  # ordinary least squares, (count, n_voxels)
    fitted = np.sqrt(values[-count:])[:, None] * slopes  # same row space and singular values as the fitted neighbours
    _, _, directions = np.linalg.svd(fitted, full_matrices=False)
    decode = directions[:size].astype(np.float32)
    encode = (decode @ slopes.T.astype(np.float32)) @ components
    return encode, decode
