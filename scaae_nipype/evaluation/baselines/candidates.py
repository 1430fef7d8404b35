"""What needs no trained network: filters, linear denoisers and decompositions of the same prepared run.

Every baseline takes the kept volumes, z-scored, as ``(n_volumes, n_voxels)`` and gives `Candidates`: maps that are
scored exactly as the network's are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ...errors import UsageError
from ...grid import Grid, smooth
from ...maps import scale
from ...options import Evaluation
from .decompositions import canica, dictionary_learning, encoder_lasso, sliding_window_ica
from .filters import N_COMPONENTS, cap_centroids, pca_projection, project, rectified_squared

__all__ = ["BASELINES", "SIGMAS", "Candidates", "choose_on_other_runs", "make_baselines"]

SIGMAS = (4.0, 8.0, 12.0, 16.0, 20.0)
"""Standard deviations in mm of the Gaussian filters that are compared."""


@dataclass(frozen=True, eq=False)
class Candidates:
    """Maps that one method offers for a run, (n_maps, n_voxels)."""

    method: str
    """Its name in tables."""
    signed: np.ndarray
    """What ranks and correlations are taken from."""
    display: np.ndarray
    """What is thresholded at 0.3 of each map's own maximum: `signed` after equation 9 for maps of single volumes,
    `signed` itself for components."""
    per_volume: bool
    """Whether map i belongs to kept volume i; maps of a whole run or of a window do not."""


def _of_volumes(method: str, signed: np.ndarray) -> Candidates:
    return Candidates(method, signed, scale(signed), per_volume=True)


def _components(method: str, maps: np.ndarray) -> Candidates:
    """Take components as they are, each turned so that its longer tail is positive: their sign is arbitrary."""
    turned = np.where(maps.max(axis=1, keepdims=True) < -maps.min(axis=1, keepdims=True), -maps, maps)
    return Candidates(method, turned, turned, per_volume=False)


def choose_on_other_runs(scores: pd.DataFrame) -> pd.Series:
    """Choose a setting for every run by its mean score over the other runs, so that no run chooses for itself.

    Parameters
    ----------
    scores : DataFrame
        A row per run, a column per setting (such as sigma).

    Returns
    -------
    Series
        A column's name per run.

    Raises
    ------
    UsageError
        With a single run: there is no other.

    >>> scores = pd.DataFrame({4.0: [0.9, 0.1, 0.1], 8.0: [0.2, 0.2, 0.2]}, index=["a", "b", "c"])
    >>> choose_on_other_runs(scores).to_dict()
    {'a': 8.0, 'b': 4.0, 'c': 4.0}
    """
    if len(scores) < 2:
        raise UsageError("Choosing a filter on other runs needs at least two runs.")
    others = (scores.sum() - scores) / (len(scores) - 1)
    return others.idxmax(axis=1)


@dataclass(frozen=True, eq=False)
class _Run:
    """What the makers below draw on."""

    volumes: np.ndarray
    numbers: np.ndarray
    region: Grid
    repetition_time: float
    features: np.ndarray | None
    context: Callable[[np.ndarray], np.ndarray] | None
    group_pca: Callable[[np.ndarray], np.ndarray] | None
    untrained: Callable[[np.ndarray], np.ndarray] | None
    n_components: int
    seed: int


def _volume(run: _Run) -> Iterator[Candidates]:
    yield _of_volumes("volume", run.volumes)
    yield _of_volumes("volume_negated", -run.volumes)


def _smoothed(run: _Run) -> Iterator[Candidates]:
    for sigma in SIGMAS:
        filtered = smooth(run.volumes, run.region, sigma)
        yield _of_volumes(f"smoothed_{sigma:g}mm", filtered)
        squared = rectified_squared(filtered)
        yield Candidates(f"smoothed_squared_{sigma:g}mm", squared, squared, per_volume=True)


def _context(run: _Run) -> Iterator[Candidates]:
    if run.context is None:
        raise UsageError("The baseline 'context' needs a model that has one (preset contextual).")
    maps = run.context(run.volumes)
    yield _of_volumes("context", maps)
    yield _of_volumes("context_negated", -maps)


def _group_pca(run: _Run) -> Iterator[Candidates]:
    if run.group_pca is None:
        raise UsageError("The baseline 'group_pca' needs a model that holds components of its training runs.")
    maps = run.group_pca(run.volumes)
    yield _of_volumes("group_pca", maps)
    yield _of_volumes("group_pca_negated", -maps)


def _pca(run: _Run) -> Iterator[Candidates]:
    yield _of_volumes("pca_projection", pca_projection(run.volumes, run.n_components))


def _cap(run: _Run) -> Iterator[Candidates]:
    yield _of_volumes("cap_centroid", cap_centroids(run.volumes, seed=run.seed))


def _ica(run: _Run) -> Iterator[Candidates]:
    maps = canica(run.volumes, run.region, run.n_components, run.seed)
    yield _components("canica", maps)
    yield _of_volumes("ica_projection", project(run.volumes, _strongest(maps)))


def _strongest(maps: np.ndarray) -> np.ndarray:
    """Keep the largest weights, as many as one map has voxels (nilearn's rule); all of them span what PCA does."""
    return np.where(np.abs(maps) >= np.quantile(np.abs(maps), 1 - 1 / len(maps)), maps, 0)


def _dictionary(run: _Run) -> Iterator[Candidates]:
    yield _components("dictionary_learning", dictionary_learning(run.volumes, run.region, run.n_components, run.seed))


def _windows(run: _Run) -> Iterator[Candidates]:
    maps = sliding_window_ica(run.volumes, run.numbers, repetition_time=run.repetition_time, seed=run.seed)
    yield _components("sliding_window_ica", maps)


def _lasso(run: _Run) -> Iterator[Candidates]:
    if run.features is None:
        raise UsageError("The baseline 'encoder_lasso' needs the network's codes of the run.")
    yield _components("encoder_lasso", encoder_lasso(run.volumes, run.features))


def _untrained(run: _Run) -> Iterator[Candidates]:
    if run.untrained is None:
        raise UsageError("The baseline 'untrained' needs the model, to know which network to draw anew.")
    for number, maps in enumerate(run.untrained(run.volumes), start=1):
        yield _of_volumes(f"untrained_fbn{number}", maps)


BASELINES: Mapping[str, Callable[[_Run], Iterator[Candidates]]] = {
    "volume": _volume,
    "smoothed": _smoothed,
    "context": _context,
    "group_pca": _group_pca,
    "pca": _pca,
    "cap": _cap,
    "ica": _ica,
    "dictionary": _dictionary,
    "windows": _windows,
    "encoder_lasso": _lasso,
    "untrained": _untrained,
}
"""What can be asked for by name; some give several methods."""


def make_baselines(
    names: Sequence[str],
    volumes: np.ndarray,
    region: Grid,
    *,
    repetition_time: float,
    numbers: np.ndarray | None = None,
    features: np.ndarray | None = None,
    context: Callable[[np.ndarray], np.ndarray] | None = None,
    group_pca: Callable[[np.ndarray], np.ndarray] | None = None,
    untrained: Callable[[np.ndarray], np.ndarray] | None = None,
    n_components: int = N_COMPONENTS,
    seed: int = Evaluation.seed,
) -> Iterator[Candidates]:
    """Make the baselines of a run, one after the other.

    Parameters
    ----------
    names : sequence of str
        Keys of `BASELINES`.
    volumes : float array, (n_volumes, n_voxels)
        The kept volumes, z-scored.
    region : Grid
    repetition_time : float
        In s.
    numbers : int array, (n_volumes,), optional
        0-based volume numbers in the run; consecutive by default.
    features : float array, (n_volumes, n_features), optional
        An encoder's features, for ``encoder_lasso``.
    context : callable, optional
        The linear part of the network, for ``context``: from volumes to maps, (n_volumes, n_voxels) both.
    group_pca : callable, optional
        The same for ``group_pca``: the projection on components of the training runs.
    untrained : callable, optional
        The network before training, for ``untrained``: from volumes (n_volumes, n_voxels) to signed maps
        (n_branches, n_volumes, n_voxels).
    n_components : int
    seed : int

    Raises
    ------
    UsageError
        For an unknown name, ``encoder_lasso`` without features, ``context``, ``group_pca`` or ``untrained`` without
        their functions.
    InputError
        If a baseline cannot be made of this run.
    """
    unknown = [name for name in names if name not in BASELINES]
    if unknown:
        raise UsageError(f"Baseline '{unknown[0]}' is unknown; choose from {', '.join(BASELINES)}.")
    numbers = np.arange(len(volumes)) if numbers is None else numbers
    run = _Run(volumes, numbers, region, repetition_time, features, context, group_pca, untrained, n_components, seed)
    for name in names:
        yield from BASELINES[name](run)
