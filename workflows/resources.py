"""What nodes may take of a machine, and arguments of builders that no interface sees, checked at once as those are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass
from functools import wraps
from inspect import signature
from typing import Any, ParamSpec, TypeVar

from ..errors import UsageError
from ..model.device import check_device
from ..options import Training

__all__ = ["Resources", "check_memory", "check_processors", "in_groups"]

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Resources:
    """What the nodes of one run's networks and scores may take.

    Parameters
    ----------
    device : str
        Where networks compute.
    n_procs : int
        CPU threads of a network, and at most of scoring.
    extraction_mem_gb, evaluation_mem_gb, baselines_mem_gb, spatial_null_mem_gb, temporal_null_mem_gb : float
        Of extraction, every step of the evaluation, the baselines, and either null model.
    """

    device: str = Training.device
    n_procs: int = 1
    extraction_mem_gb: float = 3.0
    evaluation_mem_gb: float = 1.0
    baselines_mem_gb: float = 1.5
    spatial_null_mem_gb: float = 2.0
    temporal_null_mem_gb: float = 4.0

    def __post_init__(self) -> None:
        """Refuse values that cannot be (UsageError)."""
        check_device(self.device)
        check_processors(self.n_procs)
        check_memory(**{name: value for name, value in vars(self).items() if name.endswith("mem_gb")})


def check_processors(n_procs: int) -> None:
    """Refuse what is no number of processors (UsageError)."""
    if type(n_procs) is not int or n_procs < 1:
        raise UsageError(f"`n_procs` must be a whole number, 1 or larger, not {n_procs!r}.")


def check_memory(**memory: float) -> None:
    """Refuse what are no numbers of gigabytes (UsageError)."""
    for name, gigabytes in memory.items():
        if not 0 <= gigabytes < float("inf"):
            raise UsageError(f"`{name}` must be a number of gigabytes, not {gigabytes!r}.")


def in_groups(build: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """Make a builder say so where a setting is not given in its group, or something else than a group is."""
    known = signature(build)
    defaults = {name: one.default for name, one in known.parameters.items()}
    groups: dict[str, type[Any]] = {name: type(value) for name, value in defaults.items() if is_dataclass(value)}

    @wraps(build)
    def built(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        for name in kwargs.keys() - known.parameters.keys():
            for argument, group in groups.items():
                if name in {field.name for field in fields(group)}:
                    example = f"{argument}={group.__name__}({name}={kwargs[name]!r})"
                    raise UsageError(f"{build.__name__} takes `{name}` in a group: give {example}.")
        for name, value in known.bind(*args, **kwargs).arguments.items():
            if name in groups and not isinstance(value, groups[name]):
                raise UsageError(f"`{name}` must be {groups[name].__name__}(…), not {value!r}.")
        return build(*args, **kwargs)

    return built
