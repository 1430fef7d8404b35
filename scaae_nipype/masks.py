"""What the numbers of a mask image mean: 0 and 1, a probability, percent, 0 to 255, or labels."""

from __future__ import annotations

import numpy as np

from .errors import InputError

__all__ = ["read_as_mask"]

WHOLE = 1e-3
"""Values this close to a whole number are one; a scale factor rounds."""

SCALES = {1.0: "probabilities", 100.0: "percent", 255.0: "values from 0 to 255"}
"""The largest values of soft masks."""

OVERSHOOT = 0.15
"""By how much of its scale a soft mask may miss it: interpolation over- and undershoots."""

DENSE = 0.5
"""Of the whole numbers up to its scale, a soft mask has at least this share; labels are sparse."""


def read_as_mask(values: np.ndarray) -> tuple[np.ndarray, tuple[str, ...]]:
    """Make a mask of numbers.

    Two values are a mask, whatever they are. Soft masks are cut at half of their scale. Labels are inside wherever
    they are above 0.

    Parameters
    ----------
    values : array, (X, Y, Z)

    Returns
    -------
    mask : bool array, (X, Y, Z)
        False where a value is not finite.
    notes : tuple of str
        What was decided, as ends of a sentence that begins with "the mask"; empty for a plain mask.

    Raises
    ------
    InputError
        If the numbers can be neither; its text is the end of such a sentence, too.

    Examples
    --------
    >>> read_as_mask(np.array([0, 255, 255]))
    (array([False,  True,  True]), ())
    >>> read_as_mask(np.array([0, 0.2, 0.7, 1]))
    (array([False, False,  True,  True]), ('holds probabilities; it was cut at 0.5',))
    >>> read_as_mask(np.array([0, 1, 2, 3]))[1]
    ('holds 3 labels; all of them count as inside',)
    """
    values = np.asarray(values, dtype=np.float32)
    finite = np.isfinite(values)
    notes: tuple[str, ...] = ()
    if not finite.all():
        notes = (f"has {(~finite).sum()} voxels without a number, which count as outside",)
        values = np.where(finite, values, 0)
    above = np.unique(values[values > 0])
    if above.size <= 1 or np.ptp(above) <= 1e-4 * above[-1]:
        return values > 0, notes
    largest = float(above[-1])
    if (np.abs(above - np.rint(above)) <= WHOLE).all() and above[0] > 0.5:
        labels = np.unique(np.rint(above))
        if not _is_soft(values, labels):
            return values > 0.5, (*notes, f"holds {labels.size} labels; all of them count as inside")
    scale = next((scale for scale in SCALES if abs(largest - scale) <= OVERSHOOT * scale or largest < scale == 1), None)
    if scale is None:
        raise InputError(
            f"holds values up to {largest:g}, which are neither 0 and 1, probabilities, percent, values from 0 to 255, "
            "nor labels; make it a mask of 0 and 1"
        )
    return values >= scale / 2 * (1 - 1e-6), (*notes, f"holds {SCALES[scale]}; it was cut at {scale / 2:g}")


def _is_soft(values: np.ndarray, labels: np.ndarray) -> bool:
    """Tell a soft mask in whole numbers from labels: it reaches its scale, and is mostly there or takes all values."""
    largest = labels[-1]
    if largest not in (100, 255):
        return False
    return labels.size >= DENSE * largest or (values[values > 0] >= largest - 0.5).mean() > 0.5
