"""The brain on a grid, as the search needs it: ``python -m benchmarks.search.head`` writes it for 4 and 8 mm.

The file lets a machine train that has neither nibabel nor nilearn.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

__all__ = ["FOLDER", "Head", "Smoothing", "gaussian_matrix", "make_head"]

FOLDER = Path(__file__).parents[1] / "results" / "search"

REACH = 3.0
"""Standard deviations at which a Gaussian is cut off."""


@dataclass(frozen=True, eq=False)
class Head:
    """The mask on its box, where its voxels lie, and what tissue they are.

    Parameters
    ----------
    mask : bool Tensor, (X, Y, Z)
    voxel_size : float
        In mm.
    places : float Tensor, (n_voxels, 3)
        World coordinates in mm.
    grey : float Tensor, (n_voxels,)
        Probability of grey matter.
    weight : float Tensor, (n_voxels,)
        Factor by which networks prefer grey matter.
    global_weight : float Tensor, (n_voxels,)
        Strength of a global signal.
    """

    mask: Tensor
    voxel_size: float
    places: Tensor
    grey: Tensor
    weight: Tensor
    global_weight: Tensor

    @staticmethod
    def load(path: Path, device: torch.device | str = "cpu") -> Head:
        with np.load(path) as arrays:
            tensors = {name: torch.from_numpy(arrays[name]) for name in arrays if name != "voxel_size"}
            size = float(arrays["voxel_size"])
        mask = tensors.pop("mask").bool().to(device)
        return Head(mask, size, **{name: tensor.float().to(device) for name, tensor in tensors.items()})

    @property
    def device(self) -> torch.device:
        return self.mask.device

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.mask.shape)

    @cached_property
    def n_voxels(self) -> int:
        return int(self.mask.sum())

    @cached_property
    def flat(self) -> Tensor:
        """Where the mask's voxels stand in the flattened box, (n_voxels,)."""
        return self.mask.flatten().nonzero()[:, 0]

    def box(self, vectors: Tensor) -> Tensor:
        """Put vectors (…, n_voxels) back in space: (…, X, Y, Z), 0 outside."""
        box = vectors.new_zeros((*vectors.shape[:-1], self.mask.numel()))
        box[..., self.flat] = vectors
        return box.unflatten(-1, self.shape)

    def vectors(self, boxes: Tensor) -> Tensor:
        """Take the mask's voxels: (…, X, Y, Z) to (…, n_voxels)."""
        return boxes.flatten(-3)[..., self.flat]

    @cached_property
    def coarse(self) -> tuple[tuple[int, ...], Tensor]:
        """Shape of the grid of 2 x 2 x 2 voxels, and in which of its cells each voxel of the mask lies."""
        shape = tuple((size + 1) // 2 for size in self.shape)
        x, y, z = (index // 2 for index in self.mask.nonzero().T)
        return shape, (x * shape[1] + y) * shape[2] + z


def gaussian_matrix(length: int, width: float, *, wrapped: bool = False) -> Tensor:
    """Give the convolution of `length` voxels with a Gaussian (sum 1, `width` in voxels) as a matrix."""
    reach = max(1, math.ceil(REACH * width))
    offsets = torch.arange(-reach, reach + 1, dtype=torch.float64)
    kernel = torch.exp(-(offsets**2) / (2 * width**2))
    kernel /= kernel.sum()
    if not wrapped:
        apart = torch.arange(length)[:, None] - torch.arange(length)
        inside = apart.abs() <= reach
        return torch.where(inside, kernel[(apart + reach).clamp(0, 2 * reach)], 0.0).float()
    matrix = torch.zeros(length, length, dtype=torch.float64)
    rows = torch.arange(length)
    for offset, value in zip(offsets.long(), kernel, strict=True):
        matrix[rows, (rows + offset) % length] += value
    return matrix.float()


def along_axes(boxes: Tensor, matrices: Sequence[Tensor]) -> Tensor:
    """Apply a matrix to each of the last three axes of (n, X, Y, Z)."""
    x, y, z = matrices
    boxes = y @ (boxes @ z.T)
    return (x @ boxes.flatten(2)).unflatten(2, boxes.shape[2:])


class Smoothing:
    """Gaussian smoothing inside the mask: at its border a voxel is the mean of what lies inside.

    Parameters
    ----------
    head : Head
    sigma : float
        In mm.
    """

    def __init__(self, head: Head, sigma: float):
        self.head = head
        self.matrices = [gaussian_matrix(size, sigma / head.voxel_size).to(head.device) for size in head.shape]
        weight = along_axes(head.mask.float()[None], self.matrices)
        self.gain = 1 / head.vectors(weight)[0]

    def __call__(self, vectors: Tensor) -> Tensor:
        """Smooth (n, n_voxels)."""
        return self._blur(vectors) * self.gain

    def adjoint(self, vectors: Tensor) -> Tensor:
        """Apply the transposed operator: ⟨a, smooth(b)⟩ = ⟨adjoint(a), b⟩."""
        return self._blur(vectors * self.gain)

    def _blur(self, vectors: Tensor) -> Tensor:
        return self.head.vectors(along_axes(self.head.box(vectors), self.matrices))


def make_head(grid) -> dict[str, np.ndarray]:
    """Collect the arrays of a `Head` from a grid of the product."""
    import nibabel as nib

    from scaae_nipype.simulation.noise import GLOBAL_WEIGHTS
    from scaae_nipype.simulation.planted import _tissue_weight
    from scaae_nipype.simulation.tissues import fit_tissues

    tissues = fit_tissues(grid)
    voxels = np.argwhere(grid.mask)
    return {
        "mask": np.ascontiguousarray(grid.mask[grid.box]),
        "voxel_size": np.array(float(grid.voxel_sizes[0])),
        "places": nib.affines.apply_affine(grid.affine, voxels).astype(np.float16),
        "grey": tissues.grey.astype(np.float16),
        "weight": _tissue_weight(grid, tissues).astype(np.float16),
        "global_weight": sum(share * getattr(tissues, name) for name, share in GLOBAL_WEIGHTS.items()).astype("f2"),
    }


def main() -> None:
    from benchmarks.coarse import coarse_grid
    from scaae_nipype.grid import load_grid

    FOLDER.mkdir(parents=True, exist_ok=True)
    for size, grid in ((4, load_grid()), (8, coarse_grid())):
        np.savez_compressed(FOLDER / f"head_{size}mm.npz", **make_head(grid))


if __name__ == "__main__":
    main()
