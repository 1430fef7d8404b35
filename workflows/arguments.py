"""Arguments of the builders that no interface sees, checked at once as those are."""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import UsageError
from ..model.device import check_device

__all__ = ["as_names", "check_folds", "check_resources"]


def check_resources(*, device: str = "auto", n_procs: int = 1, **memory: float) -> None:
    """See that there can be such a device, and that numbers of processors and gigabytes are some.

    Raises
    ------
    UsageError
    """
    check_device(device)
    if type(n_procs) is not int or n_procs < 1:
        raise UsageError(f"`n_procs` must be a whole number, 1 or larger, not {n_procs!r}.")
    for name, gigabytes in memory.items():
        if not 0 <= gigabytes < float("inf"):
            raise UsageError(f"`{name}` must be a number of gigabytes, not {gigabytes!r}.")


def check_folds(n_folds: int) -> None:
    """See that folds leave somebody out.

    Raises
    ------
    UsageError
    """
    if type(n_folds) is not int or n_folds < 0 or n_folds == 1:
        raise UsageError(f"`n_folds` must be 0 (no cross-fitting), or 2 or larger, not {n_folds!r}.")


def as_names(names: str | Sequence[str]) -> list[str]:
    """Take one name for a list of one.

    >>> as_names("smoothed"), as_names(("smoothed", "pca"))
    (['smoothed'], ['smoothed', 'pca'])
    """
    return [names] if isinstance(names, str) else list(names)
