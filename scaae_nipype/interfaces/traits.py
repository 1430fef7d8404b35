"""Inputs that are checked, and made absolute, when they are set: nodes run in folders of their own, and much later.

Settings of a group (`scaae_nipype.options`) become inputs by `settings_of`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import Field, fields
from math import inf
from typing import Any, TypeVar

from nipype.interfaces.base import BaseTraitedSpec, Directory, File, TraitError, Undefined, traits

from ..errors import ScaaeError
from ..evaluation.templates.loading import TEMPLATE_NAMES, check_templates
from ..model.device import check_device
from ..model.folder import check_model_folder
from ..model.presets import PRESETS
from ..options import Group, about
from ..preparation.strategies import read_strategy, strategy_names

__all__ = [
    "LONGEST_REPETITION_TIME",
    "Device",
    "ExistingFile",
    "ExistingFolder",
    "ModelFolder",
    "NuisanceStrategy",
    "Quantity",
    "Templates",
    "settings_of",
]

Spec = TypeVar("Spec", bound=type[BaseTraitedSpec])

LONGEST_REPETITION_TIME = 60.0
"""In s: anything longer is most likely in ms."""

_WITHOUT_EFFECT = ("device", "processes")
"""Settings that change where and how fast something is computed, but not what: a node does not run again for them."""


def settings_of(
    group: type[Group], *names: str, mandatory: Sequence[str] = (), **defaults: Any
) -> Callable[[Spec], Spec]:
    """Give an input spec settings of a group as inputs: their type, range, default and description.

    Parameters
    ----------
    group : type
        One of the groups in `scaae_nipype.options`.
    *names : str
        Its fields; all of them where neither names nor defaults are given.
    mandatory : sequence of str
        Fields that have to be given.
    **defaults
        Fields with another default than the group's; None for none.
    """

    def add(spec: Spec) -> Spec:
        for field in fields(group):
            if field.name in names or field.name in defaults or not (names or defaults):
                more = {"mandatory": True} if field.name in mandatory else {}
                spec.add_class_trait(field.name, _trait_of(field, defaults.get(field.name, field.default), **more))
        return spec

    return add


def _trait_of(field: Field[Any], default: Any, **metadata: Any) -> Any:
    """Make the trait of a setting."""
    known, first = about(field), Undefined if default is None else default
    metadata |= {"desc": f"{known.text} ({known.unit})" if known.unit else known.text}
    metadata |= {} if default is None else {"usedefault": True}
    metadata |= {"nohash": True} if field.name in _WITHOUT_EFFECT else {}
    of_kind = {"strategy": NuisanceStrategy, "templates": Templates, "device": Device}
    if known.kind in of_kind:
        return of_kind[known.kind](first, **metadata)
    if known.kind == "file":
        return ExistingFile(**metadata)
    if known.kind == "preset":
        return traits.Enum(default, tuple(PRESETS), **metadata)
    if "tuple" in str(field.type):
        return traits.CList(traits.Enum(*known.words), list(default), minlen=1, **metadata)
    if known.low is None:
        return traits.Enum(default, known.words, **metadata)
    if "float" in str(field.type):
        return Quantity(known.low, known.high or inf, known.unit, first, **metadata)
    number = {"low": known.low, "high": known.high}
    if known.words:
        return traits.Either(traits.Enum(*known.words), traits.Range(**number), default=default, **metadata)
    return traits.Range(**number, **({} if default is None else {"value": default}), **metadata)


class ExistingFile(File):
    """A file, which may be named relative to the folder in which the input is set; links are not followed."""

    def __init__(self, **metadata: Any):
        super().__init__(exists=True, **metadata)

    def validate(self, objekt: Any, name: str, value: Any, return_pathlike: bool = False) -> Any:
        """Check, and make absolute."""
        return _absolute(super().validate(objekt, name, value))


class ExistingFolder(Directory):
    """A folder, which may be named relative to the folder in which the input is set."""

    def __init__(self, **metadata: Any):
        super().__init__(exists=True, **metadata)

    def validate(self, objekt: Any, name: str, value: Any, return_pathlike: bool = False) -> Any:
        """Check, and make absolute."""
        return _absolute(super().validate(objekt, name, value))


class _Checked(traits.TraitType):
    """A value that a function of the library checks."""

    def __init__(self, default_value: Any = Undefined, **metadata: Any):
        super().__init__(default_value, **metadata)

    def check(self, value: Any) -> Any:
        """Give the value as it is used.

        Raises
        ------
        ScaaeError, TypeError, ValueError
            The first with a message of its own.
        """
        raise NotImplementedError

    def validate(self, objekt: Any, name: str, value: Any) -> Any:
        """Check; say whose input it is."""
        try:
            return self.check(value)
        except ScaaeError as error:
            raise _refusal(objekt, name, str(error)) from error
        except (TypeError, ValueError) as error:
            raise _refusal(objekt, name, f"must be {self.info()}, not {value!r}.") from error


class Quantity(_Checked):
    """A number with a unit, from `low` to `high`."""

    def __init__(
        self,
        low: float,
        high: float,
        unit: str,
        default_value: Any = Undefined,
        *,
        exclude_low: bool = False,
        **metadata: Any,
    ):
        self.low, self.high, self.unit, self.exclude_low = low, high, unit, exclude_low
        super().__init__(default_value, **metadata)

    def check(self, value: Any) -> float:
        """See that it is a number in the range; neither text nor "not a number" is."""
        if isinstance(value, str | bytes | bool):
            raise TypeError
        number = float(value)
        if not self.low <= number <= self.high or (self.exclude_low and number == self.low):
            raise ValueError
        return number

    def info(self) -> str:
        """Say what is possible."""
        start = "a number above" if self.exclude_low else "a number from"
        joined = "and at most" if self.exclude_low else "to"
        return f"{start} {self.low:g} {joined} {self.high:g} {self.unit}".rstrip()


class Device(_Checked):
    """Where a network computes."""

    def check(self, value: Any) -> str:
        """See that there can be such a device."""
        return check_device(os.fspath(value))

    def info(self) -> str:
        """Say what is possible."""
        return "auto, cpu, cuda, cuda:N or mps"


class NuisanceStrategy(_Checked):
    """A nuisance strategy by name, or a JSON file that describes one."""

    def check(self, value: Any) -> str:
        """Read it, so that a file with a mistake is refused at once."""
        value = os.fspath(value)
        return _absolute(value) if read_strategy(value).name.startswith("file ") else value

    def info(self) -> str:
        """Say what is possible."""
        return f"{', '.join(strategy_names())} or a JSON file"


class Templates(_Checked):
    """Templates or an atlas by name, or an image."""

    def check(self, value: Any) -> str:
        """See that it is there."""
        value = os.fspath(value)
        check_templates(value)
        return value if value in TEMPLATE_NAMES else _absolute(value)

    def info(self) -> str:
        """Say what is possible."""
        return f"{', '.join(TEMPLATE_NAMES)} or an image"


class ModelFolder(ExistingFolder):
    """A folder with weights, card and mask."""

    def validate(self, objekt: Any, name: str, value: Any, return_pathlike: bool = False) -> Any:
        """See that nothing is missing."""
        folder = super().validate(objekt, name, value)
        try:
            check_model_folder(folder)
        except ScaaeError as error:
            raise _refusal(objekt, name, str(error)) from error
        return folder


def _absolute(path: str) -> str:
    return os.path.abspath(path)  # noqa: PTH100 - resolve follows links


def _refusal(objekt: Any, name: str, reason: str) -> TraitError:
    owner = type(objekt).__name__.removeprefix("_").removesuffix("InputSpec")
    return TraitError(f"{owner}: {reason}" if reason.startswith(f"`{name}` ") else f"{owner}: `{name}` {reason}")
