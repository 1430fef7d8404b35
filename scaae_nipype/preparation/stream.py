"""Read and write 4D NIfTI files volume by volume, in one pass and in the memory of a few volumes."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import nibabel as nib
import numpy as np
from nibabel.arrayproxy import ArrayProxy
from nibabel.openers import ImageOpener

from ..errors import InputError
from ..files import IMAGE_ERRORS, image_4d, open_image, replacing
from ..grid import Grid
from .scratch import blocks, nothing

__all__ = ["BoldFile", "load_image", "open_bold", "read_mask", "write_volumes"]

SECONDS = {"msec": 1e-3, "usec": 1e-6}
"""What one unit of the header's time axis is in s; everything else is taken as s."""

SHORTEST_TR, LONGEST_TR = 0.1, 20.0
"""Repetition times outside this range, in s, are mistakes in the header or in the units."""


@dataclass(frozen=True, eq=False)
class BoldFile:
    """A 4D image on disk, whose volumes are read one after the other.

    The file is decompressed once, from its beginning to its end: time is linear in the number of volumes, and memory
    holds two of them.

    Parameters
    ----------
    path : Path
    shape : tuple of int
        (X, Y, Z).
    n_volumes : int
    affine : float array, (4, 4)
        Voxel to world, in mm.
    header_repetition_time : float
        In s, as the header says; 0 where it says nothing.
    """

    path: Path
    shape: tuple[int, int, int]
    n_volumes: int
    affine: np.ndarray
    header_repetition_time: float
    _data_file: str
    _dtype: np.dtype
    _offset: int
    _slope: float
    _intercept: float

    def volumes(self) -> Iterator[np.ndarray]:
        """Give the volumes in their order, (X, Y, Z) each: as stored, or float32 where the header scales them.

        Raises
        ------
        InputError
            If the file is truncated or damaged.
        """
        n_bytes = math.prod(self.shape) * self._dtype.itemsize
        index = 0
        try:
            # Decompression and the arithmetic of the caller both release the interpreter: one volume is read ahead.
            with ImageOpener(self._data_file) as stream, ThreadPoolExecutor(1) as ahead:
                stream.seek(self._offset)
                pending = ahead.submit(stream.read, n_bytes)
                for index in range(self.n_volumes):
                    raw = pending.result()
                    if len(raw) < n_bytes:
                        raise EOFError("the file ends too early")
                    # The read after the last volume makes gzip compare its checksum.
                    pending = ahead.submit(stream.read, n_bytes if index + 1 < self.n_volumes else 1)
                    yield self._scaled(np.frombuffer(raw, self._dtype).reshape(self.shape, order="F"))
                pending.result()
        except IMAGE_ERRORS as error:
            raise InputError(
                f"{self.path}: volume {index} of {self.n_volumes} cannot be read ({error}); the file is truncated or "
                "damaged: copy or make it again."
            ) from error

    def _scaled(self, volume: np.ndarray) -> np.ndarray:
        if (self._slope, self._intercept) == (1.0, 0.0):
            return volume
        scaled = volume.astype(np.float32)
        scaled *= np.float32(self._slope)
        scaled += np.float32(self._intercept)
        return scaled

    def repetition_time(self, given: float | None = None) -> float:
        """Give the repetition time in s: the one that is given (a sidecar's), else the header's.

        Raises
        ------
        InputError
            If it is missing, zero or outside 0.1–20 s.
        """
        value = self.header_repetition_time if given is None else float(given)
        origin = "header" if given is None else "sidecar or argument"
        if not (math.isfinite(value) and SHORTEST_TR <= value <= LONGEST_TR):
            raise InputError(
                f"{self.path}: the repetition time of {value:g} s ({origin}) is missing or impossible (expected "
                f"{SHORTEST_TR:g} to {LONGEST_TR:g} s); put RepetitionTime (s) into the image's JSON sidecar."
            )
        return value


def load_image(path: str | os.PathLike) -> nib.Nifti1Pair:
    """Open an image without reading its data.

    Raises
    ------
    InputError
        If there is no such file, a DataLad link without content, or something else than a NIfTI image.
    """
    path = Path(path)
    if path.is_symlink() and not path.exists():
        raise InputError(f"{path}: is a link to content that is not there; fetch it with `datalad get`.")
    if not path.exists():
        raise InputError(f"{path}: there is no such file.")
    image = open_image(path, what="a NIfTI image")
    if not isinstance(image, nib.Nifti1Pair) or not isinstance(image.dataobj, ArrayProxy):
        raise InputError(f"{path}: is not a NIfTI image; convert it to .nii or .nii.gz.")
    if image.get_data_dtype().kind not in "iuf":
        raise InputError(f"{path}: holds {image.get_data_dtype()} values; an image of real numbers is needed.")
    if not np.isfinite(image.affine).all() or abs(np.linalg.det(image.affine)) < 1e-6:
        raise InputError(f"{path}: its affine is singular, so its voxels have no place in space; repair the header.")
    return image


def open_bold(path: str | os.PathLike) -> BoldFile:
    """Open a BOLD run.

    Raises
    ------
    InputError
        If it cannot be read or has not four dimensions.
    """
    image = load_image(path)
    if len(image.shape) != 4 or image.shape[3] < 2:
        raise InputError(
            f"{path}: has the shape {'x'.join(map(str, image.shape))}; a 4D image with several volumes is needed."
        )
    proxy = cast(ArrayProxy, image.dataobj)
    x, y, z, n_volumes = image.shape
    unit = image.header.get_xyzt_units()[1]
    return BoldFile(
        path=Path(path),
        shape=(x, y, z),
        n_volumes=n_volumes,
        affine=image.affine,
        header_repetition_time=float(image.header["pixdim"][4]) * SECONDS.get(unit, 1.0),
        _data_file=os.fspath(image.file_map["image"].filename or path),
        _dtype=proxy.dtype,
        _offset=proxy.offset,
        _slope=float(proxy.slope),
        _intercept=float(proxy.inter),
    )


def read_mask(path: str | os.PathLike, bold: BoldFile) -> np.ndarray:
    """Read the brain mask of a run: bool, (X, Y, Z) of the run.

    Raises
    ------
    InputError
        If it cannot be read, is empty, or lies on another grid than the run.
    """
    image = load_image(path)
    shape = image.shape[:3] if image.shape[3:] in ((), (1,)) else image.shape
    if shape != bold.shape or not np.allclose(image.affine, bold.affine, atol=1e-2):
        raise InputError(
            f"{path}: lies on another grid ({'x'.join(map(str, image.shape))}) than its run {bold.path.name} "
            f"({'x'.join(map(str, bold.shape))}, or another affine); use the mask of the same space and resolution."
        )
    try:
        mask = np.asanyarray(image.dataobj).reshape(bold.shape) > 0
    except IMAGE_ERRORS as error:
        raise InputError(f"{path}: the mask cannot be read ({error}).") from error
    if not mask.any():
        raise InputError(f"{path}: the brain mask is empty; make it again or leave it out.")
    return mask


def write_volumes(
    path: str | os.PathLike,
    vectors: np.ndarray,
    grid: Grid,
    repetition_time: float,
    release: Callable[[], None] = nothing,
) -> Path:
    """Write a 4D image volume by volume; it is the image of `Grid.image`.

    Parameters
    ----------
    path : path
        Ends in ``.nii`` or ``.nii.gz``.
    vectors : float array, (T, grid.n_voxels)
    grid : Grid
    repetition_time : float
        In s.
    release : callable
        Called after every block of volumes (see `scratch.zeros`).
    """
    largest = 0.0
    for block in blocks(len(vectors)):
        largest = max(largest, float(np.abs(vectors[block]).max()))
        release()
    slope = largest / 32767 if largest > 0 else 1.0
    empty = np.broadcast_to(np.int16(0), (*grid.shape, len(vectors)))
    header = image_4d(empty, grid.affine, repetition_time, slope=slope).header
    with replacing(path) as temporary, ImageOpener(str(temporary), "wb") as stream:
        header.write_to(stream)
        for block in blocks(len(vectors)):
            rounded = np.rint(vectors[block] / slope).astype(np.int16)
            for volume in grid.volumes(rounded):
                stream.write(volume.tobytes(order="F"))
            release()
    return Path(path)
