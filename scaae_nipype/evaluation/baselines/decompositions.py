"""Decompositions of a whole run, or of windows of it, into maps."""

from __future__ import annotations

import warnings
from typing import Any

import nibabel as nib
import numpy as np

from ...errors import InputError
from ...grid import Grid
from ...options import Evaluation
from .filters import N_COMPONENTS

__all__ = ["canica", "dictionary_learning", "encoder_lasso", "sliding_window_ica"]


def canica(volumes: np.ndarray, region: Grid, n_components: int = N_COMPONENTS, seed: int = 0) -> np.ndarray:
    """Decompose the run by nilearn's CanICA, without thresholding and further smoothing.

    Returns
    -------
    float32 array, (n_components, n_voxels)

    Raises
    ------
    InputError
        If there are not more volumes than components.
    """
    from nilearn.decomposition import CanICA

    return _decompose(CanICA, volumes, region, n_components, seed, threshold=None)


def dictionary_learning(
    volumes: np.ndarray, region: Grid, n_components: int = N_COMPONENTS, seed: int = 0
) -> np.ndarray:
    """Decompose the run by nilearn's sparse dictionary learning, without further smoothing.

    The penalty is a seventh of the length of a z-scored time course, which grows with the number of volumes. nilearn's
    fixed default of 10 finds nothing in runs of 50 volumes; of the four penalties tried on two such runs and on planted
    networks this one had the best scores.

    Returns
    -------
    float32 array, (n_maps, n_voxels)
        At most `n_components`; empty maps are left out.

    Raises
    ------
    InputError
        If there are not more volumes than components.
    """
    from nilearn.decomposition import DictLearning

    return _decompose(DictLearning, volumes, region, n_components, seed, alpha=np.sqrt(len(volumes)) / 7)


def _decompose(
    kind: Any, volumes: np.ndarray, region: Grid, n_components: int, seed: int, **options: Any
) -> np.ndarray:
    if len(volumes) <= n_components:
        raise InputError(
            f"{kind.__name__}: {n_components} components need more than {len(volumes)} volumes; leave it out."
        )
    inside = region.mask[region.box]
    data = np.zeros((*inside.shape, len(volumes)), dtype=np.float32)
    data[inside] = volumes.T
    decomposition = kind(
        n_components=n_components,
        mask=nib.Nifti1Image(inside.astype(np.uint8), region.affine),
        smoothing_fwhm=None,
        standardize="zscore_sample",
        detrend=False,
        random_state=seed,
        **options,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about masker arguments that the given mask overrides, and convergence
        decomposition.fit(nib.Nifti1Image(data, region.affine))
    maps = decomposition.components_img_.get_fdata(dtype=np.float32)[inside].T
    return maps[np.abs(maps).max(axis=1) > 0]


def sliding_window_ica(
    volumes: np.ndarray,
    numbers: np.ndarray,
    *,
    repetition_time: float,
    window: float = 60.0,
    n_components: int = 10,
    seed: int = Evaluation.seed,
) -> np.ndarray:
    """Decompose overlapping windows of the run by spatial ICA: the usual way to maps that change in time.

    Parameters
    ----------
    volumes : float array, (n_volumes, n_voxels)
    numbers : int array, (n_volumes,)
        Volume numbers in the run: a window is a span of time, whatever was dropped inside.
    repetition_time : float
        In s.
    window : float
        In s; windows start half a window apart.
    n_components : int
        Per window. Windows with fewer than twice as many kept volumes are left out.
    seed : int

    Returns
    -------
    float array, (n_windows × n_components, n_voxels)

    Raises
    ------
    InputError
        If no window has enough volumes.
    """
    from sklearn.decomposition import FastICA

    length = max(1, round(window / repetition_time))
    maps = []
    for start in range(int(numbers[0]), max(int(numbers[-1]) - length + 1, int(numbers[0])) + 1, max(1, length // 2)):
        chosen = volumes[(numbers >= start) & (numbers < start + length)]
        if len(chosen) < 2 * n_components:
            continue
        ica = FastICA(n_components, whiten="unit-variance", random_state=seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # noise components need not converge
            maps.append(ica.fit_transform(chosen.T.astype(np.float64)).T)
    if not maps:
        raise InputError(
            f"Sliding-window ICA: no window of {window:g} s keeps {2 * n_components} volumes; leave this baseline out."
        )
    return np.concatenate(maps)


def encoder_lasso(volumes: np.ndarray, features: np.ndarray, penalty: float = 0.1) -> np.ndarray:
    """Explain every voxel's time course by few of an encoder's features (the paper's equations 1 and 2).

    Parameters
    ----------
    volumes : float array, (n_volumes, n_voxels)
    features : float array, (n_volumes, n_features)
        The network's code of each volume, or any other encoder's.
    penalty : float
        Share of the smallest penalty that would make all maps empty.

    Returns
    -------
    float array, (n_maps, n_voxels)
        The weights of each feature; features that are constant, or chosen for no voxel, give no map.

    Raises
    ------
    InputError
        If features and volumes differ in number, or every map is empty.
    """
    from sklearn.linear_model import Lasso

    features = np.asarray(features, dtype=np.float64)
    if len(features) != len(volumes):
        raise InputError(f"Encoder + LASSO: there are {len(features)} rows of features for {len(volumes)} volumes.")
    features = features[:, features.std(axis=0) > 1e-12 * np.abs(features).max(initial=0)]
    features = (features - features.mean(axis=0)) / features.std(axis=0)
    targets = volumes - volumes.mean(axis=0)
    smallest_empty = np.abs(features.T @ targets).max(initial=0) / len(volumes)
    if smallest_empty == 0:
        raise InputError("Encoder + LASSO: the features explain no voxel; leave this baseline out.")
    model = Lasso(alpha=penalty * smallest_empty, fit_intercept=False, precompute=True, max_iter=2000)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a voxel of pure noise may end a little before its optimum
        maps = np.atleast_2d(model.fit(features, targets).coef_.T)
    return maps[np.abs(maps).max(axis=1) > 0]
