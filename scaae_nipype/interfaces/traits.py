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
from nipype.interfaces.base.traits_extension import BasePath

from ..errors import ScaaeError
from ..evaluation.templates.loading import TEMPLATE_NAMES, check_templates
from ..model.device import check_device
from ..model.folder import check_model_folder
from ..model.presets import PRESETS
from ..options import Group, about
from ..preparation.strategies import read_strategy, strategy_names

__all__ = [
    "LONGEST_REPETITION_TIME",
    "ExistingFile",
    "ExistingFolder",
    "ModelFolder",
    "quantity",
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
    checked: dict[str, tuple[Callable[[Any], Any], str]] = {
        "strategy": (_strategy, f"{', '.join(strategy_names())} or a JSON file"),
        "templates": (_templates, f"{', '.join(TEMPLATE_NAMES)} or an image"),
        "device": (lambda value: check_device(os.fspath(value)), "auto, cpu, cuda, cuda:N or mps"),
    }
    if known.kind in checked:
        return Checked(*checked[known.kind], first, **metadata)
    if known.kind == "file":
        return ExistingFile(**metadata)
    if known.kind == "preset":
        return traits.Enum(default, tuple(PRESETS), **metadata)
    if "tuple" in str(field.type):
        return traits.CList(traits.Enum(*known.words), list(default), minlen=1, **metadata)
    if known.low is None:
        return traits.Enum(default, known.words, **metadata)
    if "float" in str(field.type):
        return quantity(known.low, known.high or inf, known.unit, first, or_zero=bool(known.zero), **metadata)
    number = {"low": known.low, "high": known.high}
    if known.zero and default == field.default:  # a node with another default than the group's exists for it
        return traits.Either(traits.Range(**number), traits.Enum(0), default=default, **metadata)
    if known.words:
        return traits.Either(traits.Enum(*known.words), traits.Range(**number), default=default, **metadata)
    return traits.Range(**number, **({} if default is None else {"value": default}), **metadata)


class _Existing(BasePath):
    """Something that exists, and may be named relative to the folder in which the input is set."""

    def __init__(self, **metadata: Any):
        super().__init__(exists=True, **metadata)

    def validate(self, objekt: Any, name: str, value: Any, return_pathlike: bool = False) -> Any:
        """Check, and make absolute; links are not followed."""
        return _absolute(super().validate(objekt, name, value))


class ExistingFile(_Existing, File):
    """A file."""


class ExistingFolder(_Existing, Directory):
    """A folder."""


class Checked(traits.TraitType):
    """A value that a function checks.

    Parameters
    ----------
    check : callable
        Gives the value as it is used, or raises ScaaeError, with a message of its own, TypeError or ValueError.
    possible : str
        What there is to choose from.
    """

    def __init__(self, check: Callable[[Any], Any], possible: str, default_value: Any = Undefined, **metadata: Any):
        self.check, self.possible = check, possible
        super().__init__(default_value, **metadata)

    def validate(self, objekt: Any, name: str, value: Any) -> Any:
        """Check; say whose input it is."""
        try:
            return self.check(value)
        except ScaaeError as error:
            raise _refusal(objekt, name, str(error)) from error
        except (TypeError, ValueError) as error:
            raise _refusal(objekt, name, f"must be {self.possible}, not {value!r}.") from error

    def info(self) -> str:
        """Say what is possible."""
        return self.possible


def quantity(
    low: float,
    high: float,
    unit: str,
    default: Any = Undefined,
    *,
    exclude_low: bool = False,
    or_zero: bool = False,
    **metadata: Any,
) -> Checked:
    """Make the trait of a number with a unit, from `low` to `high` or 0; neither text nor "not a number" is one."""

    def check(value: Any) -> float:
        if isinstance(value, str | bytes | bool):
            raise TypeError
        number = float(value)
        if or_zero and number == 0:
            return number
        if not low <= number <= high or (exclude_low and number == low):
            raise ValueError
        return number

    span = f"above {low:g} and at most {high:g}" if exclude_low else f"from {low:g} to {high:g}"
    span = f"0 or {span}" if or_zero else span
    return Checked(check, f"a number {span} {unit}".rstrip(), default, **metadata)


def _strategy(value: Any) -> str:
    """Read it, so that a file with a mistake is refused at once."""
    value = os.fspath(value)
    return _absolute(value) if read_strategy(value).name.startswith("file ") else value


def _templates(value: Any) -> str:
    value = os.fspath(value)
    check_templates(value)
    return value if value in TEMPLATE_NAMES else _absolute(value)


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
    owner = type(objekt).__qualname__.removesuffix(".input_spec")
    return TraitError(f"{owner}: {reason}" if reason.startswith(f"`{name}` ") else f"{owner}: `{name}` {reason}")
