"""Images: opened and read with one notion of what a damaged file is, made compact, and written."""

from __future__ import annotations

import math
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import nibabel as nib
import numpy as np
from nibabel.arrayproxy import ArrayProxy
from nibabel.openers import ImageOpener

from .errors import InputError
from .files import PathLike, replacing
from .opening import refuse_odd_file
from .words import in_one_line

__all__ = [
    "IMAGE_ERRORS",
    "ImageLike",
    "check_memory",
    "count_volumes",
    "image_4d",
    "limit_memory",
    "mni_image",
    "name_of",
    "open_image",
    "quantise",
    "read_image",
    "reading_image",
    "values_of",
    "write_image",
]

ImageLike = PathLike | nib.spatialimages.SpatialImage
"""An image: a file of it, or one that nibabel holds."""

COMPRESSED = (".gz", ".mgz", ".bz2", ".zst")
"""Endings of files with a checksum at their end."""

HIGHEST_RATIO = 1032
"""How many bytes deflate makes at most of one byte of a ``.gz`` file."""

SUSPICIOUS_RATIO = 50
"""Values that are to come from a fiftieth of their bytes are counted before room is made for them."""

TRUNCATED = 2
"""A file that is not compressed and holds this part of its values was cut off: its reader says where it ends."""

IMAGE_ERRORS = (
    OSError,
    EOFError,
    ValueError,
    TypeError,
    KeyError,
    OverflowError,
    MemoryError,  # a damaged header may ask for more values than there are atoms
    zlib.error,
    nib.filebasedimages.ImageFileError,
    nib.spatialimages.HeaderDataError,
    nib.wrapstruct.WrapStructError,
)
"""What nibabel and its decompressors raise on files that are missing, truncated, damaged or something else."""


def name_of(image: ImageLike) -> str:
    """Name an image for messages: its file, or what it is where it was made in memory."""
    if isinstance(image, nib.spatialimages.SpatialImage):
        return image.get_filename() or "the image"
    return os.fspath(image)


@contextmanager
def reading_image(path: ImageLike, *, what: str = "an image") -> Iterator[None]:
    """Turn what goes wrong in a block that reads an image into an error for the user.

    Parameters
    ----------
    path : path or image
        Whose name the message begins with.
    what : str
        What the file should be.

    Raises
    ------
    InputError
        If the block raises one of `IMAGE_ERRORS`.
    """
    try:
        yield
    except IMAGE_ERRORS as error:
        raise InputError(f"{name_of(path)}: cannot be read as {what} ({in_one_line(error)}).") from error


def open_image(path: ImageLike, *, what: str = "an image") -> nib.Nifti1Image:
    """Open an image without reading its data (`reading_image` says what can go wrong when they are read).

    Parameters
    ----------
    path : path or image
        An image that is open already is given back.
    what : str
        What it should be, for the message.

    Raises
    ------
    InputError
        If the file is missing or its header cannot be read.
    """
    if isinstance(path, nib.spatialimages.SpatialImage):
        return cast(nib.Nifti1Image, path)
    refuse_odd_file(path)
    with reading_image(path, what=what):
        image = nib.load(path)
        if not isinstance(image, nib.spatialimages.SpatialImage):
            raise TypeError(f"it is no volume image but a {type(image).__name__}")
        _check_size(image)
    return cast(nib.Nifti1Image, image)


def _check_size(image: nib.spatialimages.SpatialImage) -> None:
    """Compare the size that a header claims with its file, before anybody makes room for it.

    Raises
    ------
    ValueError, OSError
        If the file cannot hold that much.
    """
    proxy: Any = image.dataobj
    if not isinstance(proxy, ArrayProxy) or not isinstance(proxy.file_like, str | os.PathLike):
        return
    file = Path(proxy.file_like)
    refuse_odd_file(file)
    if min(proxy.shape, default=1) < 1:
        raise ValueError(f"its header claims the shape {'x'.join(map(str, proxy.shape))}")
    claimed, there = math.prod(proxy.shape) * proxy.dtype.itemsize + int(proxy.offset), file.stat().st_size
    is_compressed = file.name.lower().endswith(COMPRESSED)
    if not is_compressed:
        if claimed <= TRUNCATED * there:
            return
        holds = there
    elif file.name.lower().endswith("gz") and claimed > there * HIGHEST_RATIO:
        holds = there * HIGHEST_RATIO
    elif claimed > there * SUSPICIOUS_RATIO:
        holds = _count_bytes(file, claimed)
    else:
        return
    if claimed > holds:
        shape = "x".join(map(str, proxy.shape))
        raise ValueError(
            f"its header claims {shape} values of {proxy.dtype} ({_in_units(claimed)}), and the file of "
            f"{_in_units(there)} cannot hold more than {_in_units(holds)}: one of both is damaged"
        )


def _count_bytes(file: Path, most: int) -> int:
    """Count the bytes of a compressed file, up to `most`, in the memory of a few."""
    count = 0
    with ImageOpener(str(file)) as stream:
        while count < most and (block := stream.read(2**20)):
            count += len(block)
    return count


def _in_units(n_bytes: int) -> str:
    for unit, size in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if n_bytes >= size:
            return f"{n_bytes / size:.3g} {unit}"
    return f"{n_bytes} bytes"


_memory = {"bytes": math.inf}


def limit_memory(gigabytes: float) -> None:
    """Say how much memory the images that this process reads may take, each by itself; in GB."""
    _memory["bytes"] = gigabytes * 1e9


def check_memory(n_values: int, path: ImageLike, what: str) -> None:
    """See that values fit into the memory that there is (`limit_memory`, else that of the machine) as float32.

    Parameters
    ----------
    n_values : int
    path : path or image
        Whose they are, for the message.
    what : str
        What they are (``"its values"``).

    Raises
    ------
    InputError
    """
    most = min(_memory["bytes"], os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    if 4 * n_values > most:
        raise InputError(
            f"{name_of(path)}: {what} take {4 * n_values / 1e9:.1f} GB, more than the {most / 1e9:.1f} GB of memory "
            "that this job may use (`memory_gb`)."
        )


def count_volumes(path: ImageLike) -> int | None:
    """Count the volumes of an image from its header; None where that cannot be read."""
    try:
        return math.prod(open_image(path).shape[3:])
    except InputError:
        return None


@contextmanager
def values_of(image: nib.spatialimages.SpatialImage, *, is_scaled: bool = True) -> Iterator[Any]:
    """Give an opened image's values, to be sliced in the order of the file; then read the file to its end.

    A compressed file ends with its checksum, and nobody compares that who stops where the values end.

    Parameters
    ----------
    image : SpatialImage
        From `open_image`. Read its values within `reading_image`.
    is_scaled : bool
        False for the numbers as they are stored.

    Raises
    ------
    IMAGE_ERRORS
    """
    proxy: Any = image.dataobj
    if not isinstance(proxy, ArrayProxy):
        yield proxy
        return
    scaling = (proxy.slope, proxy.inter) if is_scaled else (1.0, 0.0)
    with ImageOpener(proxy.file_like) as stream:
        yield ArrayProxy(stream, (proxy.shape, proxy.dtype, proxy.offset, *scaling))
        if str(proxy.file_like).endswith(COMPRESSED):
            while stream.read(2**20):
                pass


def read_image(path: ImageLike, *, what: str = "an image") -> tuple[np.ndarray, nib.Nifti1Image]:
    """Read an image whole: its values as float32, and the image with header and affine.

    Raises
    ------
    InputError
        If the file is missing, truncated or damaged.
    """
    image = open_image(path, what=what)
    check_memory(math.prod(image.shape), path, "its values")
    with reading_image(path, what=what), values_of(image) as values:
        return np.asanyarray(values, dtype=np.float32), image


def quantise(values: np.ndarray) -> tuple[np.ndarray, float]:
    """Round to int16 with one slope for all, row by row, so that no second array of floats is made.

    Values too small for a header's slope (float32) become 0.

    >>> quantise(np.array([[0.0, -2.0], [1.0, 0.5]]))[0].tolist()
    [[0, -32767], [16384, 8192]]
    """
    largest = max(float(values.max(initial=0)), -float(values.min(initial=0)))
    slope = largest / 32767
    if slope < np.finfo(np.float32).tiny:
        slope = 1.0
    rounded = np.empty(values.shape, dtype=np.int16)
    for row, target in zip(values, rounded, strict=True):
        target[...] = np.rint(row / slope)
    return rounded, slope


def image_4d(
    volumes: np.ndarray, affine: np.ndarray, repetition_time: float, *, slope: float | None = None
) -> nib.Nifti1Image:
    """Make a compact 4D image: int16 with one slope for all, MNI space, seconds in the header.

    Parameters
    ----------
    volumes : float array, (X, Y, Z, T)
    affine : float array, (4, 4)
        Voxel to world, in mm.
    repetition_time : float
        In s.
    slope : float, optional
        If the volumes have been through `quantise`: their slope.
    """
    if slope is None:
        volumes, slope = quantise(volumes)
    image = mni_image(volumes, affine)
    image.header.set_slope_inter(slope, 0)
    image.header["pixdim"][4] = repetition_time
    return image


def mni_image(values: np.ndarray, affine: np.ndarray) -> nib.Nifti1Image:
    """Make an image in MNI space, in mm and seconds."""
    image = nib.Nifti1Image(values, affine)
    image.header.set_xyzt_units("mm", "sec")
    image.set_sform(affine, code="mni")
    image.set_qform(affine, code="mni")
    return image


def write_image(image: nib.Nifti1Image, path: PathLike) -> Path:
    """Write an image, in the format that the extension names."""
    with replacing(path) as temporary:
        nib.save(image, temporary)
    return Path(path)
