"""A small brain, six balls and six blobs in it, whose voxels can be counted."""

import numpy as np

SHAPE = (24, 26, 22)
AFFINE = np.array([[4.0, 0, 0, -46], [0, 4, 0, -50], [0, 0, 4, -42], [0, 0, 0, 1]])
CENTRES = [(7, 7, 7), (16, 7, 8), (7, 18, 8), (16, 18, 8), (12, 12, 15), (12, 6, 15)]


def blobs(width: float = 3.0) -> np.ndarray:
    """Give smooth maps with maximum 1, one around each centre: (X, Y, Z, 6)."""
    i = np.stack(np.indices(SHAPE), axis=-1)
    return np.stack([np.exp(-((i - c) ** 2).sum(axis=-1) / (2 * width**2)) for c in CENTRES], axis=-1)


def six_labels() -> np.ndarray:
    """Give six balls of different size, labelled 1 to 6."""
    labels = np.zeros(SHAPE, np.int16)
    for number, centre in enumerate(CENTRES, start=1):
        distance = ((np.stack(np.indices(SHAPE), axis=-1) - centre) ** 2).sum(axis=-1)
        labels[distance <= (2 + 0.4 * number) ** 2] = number
    return labels


SIZES = [int((six_labels() == number).sum()) for number in range(1, 7)]
"""Voxels of the balls."""
