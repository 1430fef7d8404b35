"""Filters of single volumes: smoothing, rectifying, and the projections that denoise linearly."""

from __future__ import annotations

import numpy as np

__all__ = ["N_COMPONENTS", "cap_centroids", "pca_projection", "project", "rectified_squared"]

N_COMPONENTS = 20
"""Components of every decomposition, nilearn's default and that of the published comparison."""


def rectified_squared(volumes: np.ndarray) -> np.ndarray:
    """Drop negative values and square: the filter that comes closest to what equation 9 does to a network's map.

    >>> rectified_squared(np.array([[-2.0, 0.5, 3.0]]))
    array([[0.  , 0.25, 9.  ]])
    """
    return np.square(np.maximum(volumes, 0))


def project(volumes: np.ndarray, maps: np.ndarray) -> np.ndarray:
    """Project volumes on the space that maps span, by least squares.

    Parameters
    ----------
    volumes : float array, (n_volumes, n_voxels)
    maps : float array, (n_maps, n_voxels)
        Need not be orthogonal or independent.

    Returns
    -------
    float array, (n_volumes, n_voxels)

    >>> project(np.array([[1.0, 2.0, 3.0]]), np.array([[1.0, 1.0, 0.0]]))
    array([[1.5, 1.5, 0. ]])
    """
    weights = np.linalg.lstsq(maps.T, volumes.T, rcond=None)[0]
    return weights.T @ maps


def pca_projection(volumes: np.ndarray, n_components: int = N_COMPONENTS) -> np.ndarray:
    """Keep what the run's first principal components explain of every volume: the best linear denoiser of rank K.

    Parameters
    ----------
    volumes : float array, (n_volumes, n_voxels)
        Mean 0 per voxel.
    n_components : int
        K; at most the number of volumes is used.

    Returns
    -------
    float array, (n_volumes, n_voxels)
    """
    covariance = volumes @ volumes.T  # small: volumes × volumes
    _, vectors = np.linalg.eigh(covariance.astype(np.float64))
    leading = vectors[:, -min(n_components, len(volumes)) :].astype(volumes.dtype)
    return leading @ (leading.T @ volumes)


def cap_centroids(volumes: np.ndarray, n_patterns: int = 10, seed: int = 0) -> np.ndarray:
    """Give every volume the centroid of its co-activation pattern (k-means over volumes).

    Parameters
    ----------
    volumes : float array, (n_volumes, n_voxels)
    n_patterns : int
        At most the number of volumes is used.
    seed : int

    Returns
    -------
    float array, (n_volumes, n_voxels)
        At most `n_patterns` different rows.
    """
    from sklearn.cluster import KMeans

    # a rotation to as many axes as there are volumes keeps all distances: k-means need not see 28,000 voxels
    values, vectors = np.linalg.eigh((volumes @ volumes.T).astype(np.float64))
    coordinates = vectors * np.sqrt(np.maximum(values, 0))
    labels = KMeans(min(n_patterns, len(volumes)), n_init=10, random_state=seed).fit_predict(coordinates)
    centroids = {label: volumes[labels == label].mean(axis=0) for label in np.unique(labels)}
    return np.stack([centroids[label] for label in labels])
