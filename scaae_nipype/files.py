"""Standard files, written beside their place and moved there, so that nobody ever reads half a file."""

from __future__ import annotations

import codecs
import errno
import io
import json
import os
import stat
import tempfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import nibabel as nib
import numpy as np
import pandas as pd
from nibabel.arrayproxy import ArrayProxy
from nibabel.openers import ImageOpener

from .errors import InputError

__all__ = [
    "IMAGE_ERRORS",
    "ImageLike",
    "image_4d",
    "in_one_line",
    "name_of",
    "open_image",
    "quantise",
    "read_image",
    "read_json",
    "read_table",
    "read_text",
    "replacing",
    "reserve",
    "values_of",
    "write_json",
    "write_table",
    "write_text",
]

ImageLike = str | os.PathLike[str] | nib.spatialimages.SpatialImage
"""An image: a file of it, or one that nibabel holds."""

COMPRESSED = (".gz", ".bz2", ".zst")
"""Endings of files with a checksum at their end."""

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


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a temporary name beside `path`; move it to `path` when the block ends well, remove it otherwise.

    The temporary name keeps the extension, because nibabel and pandas choose the format by it.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    extension = "".join(path.suffixes[-2:]) if path.name.endswith(".gz") else path.suffix
    handle, name = tempfile.mkstemp(prefix=".writing-", suffix=extension, dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)  # mkstemp makes files private; outputs follow the user's umask
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def reserve(descriptor: int, n_bytes: int) -> None:
    """Take the disk space of a file that is going to be mapped into memory.

    Without it the file is sparse, and a disk that turns out to be full kills the process (SIGBUS) instead of raising.

    Raises
    ------
    OSError
        If the disk has no room.
    """
    os.ftruncate(descriptor, n_bytes)
    if hasattr(os, "posix_fallocate"):  # not on macOS
        try:
            os.posix_fallocate(descriptor, 0, n_bytes)
        except OSError as error:
            if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL):  # file systems that cannot promise room
                raise


def write_text(text: str, path: str | os.PathLike[str]) -> Path:
    """Write a text file in UTF-8."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return Path(path)


def write_json(content: Mapping[str, Any], path: str | os.PathLike[str]) -> Path:
    """Write a JSON object; numpy scalars and arrays become numbers and lists, NaN becomes null."""
    return write_text(json.dumps(_plain(content), indent=2, allow_nan=False) + "\n", path)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not np.isfinite(value):
        return None
    if isinstance(value, Path):
        return str(value)
    return value


def read_text(path: str | os.PathLike[str], *, fallback: str | None = None) -> str:
    """Read a text file in UTF-8, with or without the byte order mark that Windows programs put before it.

    Parameters
    ----------
    path : path
    fallback : str, optional
        Encoding to try where the file is not UTF-8 (``"cp1252"``: what Windows programs write).

    Raises
    ------
    InputError
        If the file is missing, is no regular file (reading a pipe would wait for ever), or is encoded otherwise.
    """
    path = Path(path)
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise InputError(f"{path}: cannot be read (it is no regular file).")
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}).") from error
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or b"\0" in data[:1000]:
        raise InputError(f"{path}: is no text in UTF-8, but in UTF-16 or no text at all; save it as UTF-8.")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if fallback is not None:
            return data.decode(fallback, errors="replace")
        line = data.count(b"\n", 0, error.start) + 1
        raise InputError(f"{path}: line {line} is not in UTF-8 (perhaps Latin-1); save it as UTF-8.") from error


def read_json(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read a JSON object; what is not UTF-8 in it is taken for Windows' encoding (names of people and places).

    Raises
    ------
    InputError
        If the file is missing, is not JSON, or holds something else than an object.
    """
    try:
        content = json.loads(read_text(path, fallback="cp1252"))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: is not valid JSON ({error}).") from error
    if not isinstance(content, dict):
        raise InputError(f"{path}: holds no JSON object.")
    return content


def write_table(table: pd.DataFrame, path: str | os.PathLike[str]) -> Path:
    """Write a BIDS table: tab-separated, header line, ``n/a`` where a value is missing, six significant digits."""
    with replacing(path) as temporary:
        table.to_csv(temporary, sep="\t", index=False, na_rep="n/a", float_format="%.6g", compression=None)
    return Path(path)


def read_table(path: str | os.PathLike[str]) -> pd.DataFrame:
    """Read a BIDS table; only ``n/a`` and empty cells count as missing (a template may be called ``NA``).

    Raises
    ------
    InputError
        If the file is missing or cannot be parsed.
    """
    text = read_text(path)
    try:
        return pd.read_csv(io.StringIO(text), sep="\t", na_values=["n/a", ""], keep_default_na=False)
    except ValueError as error:  # pandas' parser errors are ValueErrors
        raise InputError(f"{path}: is not a tab-separated table ({str(error).strip()}).") from error


def in_one_line(error: BaseException) -> str:
    r"""Give the words of an error without line breaks; its kind where it has none.

    >>> in_one_line(ValueError("cannot read\n  this")), in_one_line(EOFError())
    ('cannot read this', 'EOFError')
    """
    return " ".join(str(error).split()) or type(error).__name__


def name_of(image: ImageLike) -> str:
    """Name an image for messages: its file, or what it is where it was made in memory."""
    if isinstance(image, nib.spatialimages.SpatialImage):
        return image.get_filename() or "the image"
    return os.fspath(image)


def open_image(path: ImageLike, *, what: str = "an image") -> nib.Nifti1Image:
    """Open an image without reading its data (reading them can raise `IMAGE_ERRORS`, too).

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
    try:
        return cast(nib.Nifti1Image, nib.load(path))
    except IMAGE_ERRORS as error:
        raise InputError(f"{path}: cannot be read as {what} ({in_one_line(error)}).") from error


@contextmanager
def values_of(image: nib.spatialimages.SpatialImage, *, is_scaled: bool = True) -> Iterator[Any]:
    """Give an opened image's values, to be sliced in the order of the file; then read the file to its end.

    A compressed file ends with its checksum, and nobody compares that who stops where the values end.

    Parameters
    ----------
    image : SpatialImage
        From `open_image`.
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
    try:
        with values_of(image) as values:
            return np.asanyarray(values, dtype=np.float32), image
    except IMAGE_ERRORS as error:
        raise InputError(f"{name_of(path)}: cannot be read as {what} ({in_one_line(error)}).") from error


def quantise(values: np.ndarray) -> tuple[np.ndarray, float]:
    """Round to int16 with one slope for all, row by row, so that no second array of floats is made.

    >>> quantise(np.array([[0.0, -2.0], [1.0, 0.5]]))[0].tolist()
    [[0, -32767], [16384, 8192]]
    """
    largest = max(float(values.max(initial=0)), -float(values.min(initial=0)))
    slope = largest / 32767 if largest > 0 else 1.0
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
    image = nib.Nifti1Image(volumes, affine)
    image.header.set_slope_inter(slope, 0)
    image.header.set_zooms((*nib.affines.voxel_sizes(affine), repetition_time))
    image.header.set_xyzt_units("mm", "sec")
    image.set_sform(affine, code="mni")
    image.set_qform(affine, code="mni")
    return image
