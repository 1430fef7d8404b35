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

from ..errors import GridError, InputError
from ..files import PathLike, replacing
from ..grid import Grid
from ..headers import HeaderTime, check_place, header_time, largest_shift
from ..images import IMAGE_ERRORS, ImageLike, check_memory, image_4d, name_of, open_image, values_of
from ..masks import read_as_mask
from ..words import in_one_line
from .scratch import blocks, nothing

__all__ = ["BoldFile", "load_image", "open_bold", "read_mask", "write_volumes"]

SERIES_INTENTS = ("none", "estimate", "time series")
"""What the intent of a header may say of a BOLD run."""

SAME_PLACE = 0.1
"""Two affines are the same if no corner of the image moves by more than this part of a voxel."""


@dataclass(frozen=True, eq=False)
class BoldFile:
    """A 4D image, whose volumes are read one after the other.

    A file is decompressed once, from its beginning to its end: time is linear in the number of volumes, and memory
    holds two of them. Of an image that was made in memory, volumes are taken as they are.
    """

    path: Path
    shape: tuple[int, int, int]
    n_volumes: int
    affine: np.ndarray
    """Voxel to world, in mm, (4, 4)."""
    time: HeaderTime
    doubts: tuple[str, ...]
    """What the header says that may be wrong, in sentences."""
    _stored: ArrayProxy | np.ndarray
    _data_file: str

    def volumes(self) -> Iterator[np.ndarray]:
        """Give the volumes in their order, (X, Y, Z) each: as stored, or float32 where the header scales them.

        Raises
        ------
        InputError
            If the file is truncated or damaged.
        """
        stored = self._stored
        if not isinstance(stored, ArrayProxy):
            yield from np.moveaxis(stored.reshape(*self.shape, -1), -1, 0)
            return
        n_bytes = math.prod(self.shape) * stored.dtype.itemsize
        index = 0
        try:
            # Decompression and the arithmetic of the caller both release the interpreter: one volume is read ahead.
            with ImageOpener(self._data_file) as stream, ThreadPoolExecutor(1) as ahead:
                stream.seek(stored.offset)
                pending = ahead.submit(stream.read, n_bytes)
                for index in range(self.n_volumes):
                    raw = pending.result()
                    if len(raw) < n_bytes:
                        raise EOFError("the file ends too early")
                    # The read after the last volume makes gzip compare its checksum.
                    pending = ahead.submit(stream.read, n_bytes if index + 1 < self.n_volumes else 1)
                    volume = np.frombuffer(raw, stored.dtype).reshape(self.shape, order="F")
                    yield _scaled(volume, float(stored.slope), float(stored.inter))
                pending.result()
        except IMAGE_ERRORS as error:
            raise InputError(
                f"{self.path}: volume {index} of {self.n_volumes} cannot be read ({in_one_line(error)}); the file is "
                "truncated or damaged: copy or make it again."
            ) from error


def _scaled(volume: np.ndarray, slope: float, intercept: float) -> np.ndarray:
    if (slope, intercept) == (1.0, 0.0):
        return volume
    scaled = volume.astype(np.float32)
    scaled *= np.float32(slope)
    scaled += np.float32(intercept)
    return scaled


def load_image(source: ImageLike) -> tuple[nib.Nifti1Pair, Path, list[str]]:
    """Open an image without reading its data; give its path for messages, and what its header says in doubtful ways.

    Raises
    ------
    InputError
        If there is no such file, a DataLad link without content, or something else than a NIfTI image with a place in
        space (`check_place`).
    """
    path = Path(name_of(source))
    if not isinstance(source, nib.spatialimages.SpatialImage):
        if path.is_symlink() and not path.exists():
            raise InputError(f"{path}: is a link to content that is not there; fetch it with `datalad get`.")
        if not path.exists():
            raise InputError(f"{path}: there is no such file.")
    image = open_image(source, what="a NIfTI image")
    if not isinstance(image, nib.Nifti1Pair) or not isinstance(image.dataobj, ArrayProxy | np.ndarray):
        raise InputError(f"{path}: is not a NIfTI image; convert it to .nii or .nii.gz.")
    if image.get_data_dtype().kind not in "iuf":
        raise InputError(f"{path}: holds {image.get_data_dtype()} values; an image of real numbers is needed.")
    return image, path, list(check_place(image, path))


def open_bold(source: ImageLike) -> BoldFile:
    """Open a BOLD run.

    Raises
    ------
    InputError
        If it cannot be read or has not four dimensions.
    """
    image, path, doubts = load_image(source)
    x, y, z, *times = (*image.shape, *(1,) * (3 - len(image.shape)))
    n_volumes = math.prod(times)
    if n_volumes < 2 or sum(n > 1 for n in times) > 1 or min(x, y, z) < 1:
        raise InputError(
            f"{path}: has the shape {'x'.join(map(str, image.shape))}; a 4D image with several volumes is needed."
        )
    check_memory(2 * x * y * z, path, "two of its volumes")
    if len(times) > 1:
        doubts.append(f"{path.name} has {len(image.shape)} axes; its {n_volumes} volumes lie along the long one.")
    try:
        intent = str(image.header.get_intent()[0])
    except KeyError:
        intent = f"unknown code {image.header['intent_code']}"
    if intent not in SERIES_INTENTS:
        doubts.append(f"The header of {path.name} says that it holds '{intent}', not a time series.")
    return BoldFile(
        path=path,
        shape=(x, y, z),
        n_volumes=n_volumes,
        affine=image.affine,
        time=header_time(image.header),
        doubts=tuple(doubts),
        _stored=cast("ArrayProxy | np.ndarray", image.dataobj),
        _data_file=os.fspath(image.file_map["image"].filename or path),
    )


def read_mask(source: ImageLike, bold: BoldFile) -> tuple[np.ndarray, tuple[str, ...]]:
    """Read the brain mask of a run: bool, (X, Y, Z) of the run, and what was decided about it, in sentences.

    Raises
    ------
    InputError
        If it cannot be read, is empty, holds something else than a mask, or lies on another grid than the run.
    """
    image, path, doubts = load_image(source)
    shape = image.shape[:3] if math.prod(image.shape[3:]) == 1 else image.shape
    if shape != bold.shape:
        raise GridError(
            f"{path}: lies on another grid ({'x'.join(map(str, image.shape))}) than its run {bold.path.name} "
            f"({'x'.join(map(str, bold.shape))}); use the mask of the same space and resolution."
        )
    shift = largest_shift(bold.shape, image.affine, bold.affine)
    if shift > SAME_PLACE * min(nib.affines.voxel_sizes(bold.affine)):
        raise GridError(
            f"{path}: lies on another grid than its run {bold.path.name}: the same voxels, but another affine, which "
            f"puts a corner {shift:.3g} mm elsewhere; use the mask of the same space, or correct the wrong header."
        )
    try:
        with values_of(image) as values:
            mask, decided = read_as_mask(np.asanyarray(values).reshape(bold.shape))
    except IMAGE_ERRORS as error:
        raise InputError(f"{path}: the mask cannot be read ({in_one_line(error)}).") from error
    except InputError as error:
        raise InputError(f"{path}: the mask {error}.") from error
    if not mask.any():
        said = f" ({'; '.join(decided)})" if decided else ""
        raise InputError(f"{path}: the brain mask is empty{said}; make it again or leave it out.")
    return mask, (*doubts, *(f"The mask {path.name} {what}." for what in decided))


def write_volumes(
    path: PathLike,
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
