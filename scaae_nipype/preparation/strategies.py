"""Nuisance strategies as data: which confounds are regressed, which frequencies pass, what is censored."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ..errors import UsageError
from ..files import read_json
from ..options import Preparation, about
from ..words import did_you_mean, listed, shown

__all__ = [
    "STRATEGIES",
    "Strategy",
    "choose_strategy",
    "read_strategy",
    "refuse_on_denoised",
    "regressed_in_words",
    "strategy_names",
]

HIGH_PASS = 0.008
"""Cut-off of the usual high-pass filter in Hz (a period of 125 s)."""

FD_THRESHOLD = 0.5
"""Framewise displacement in mm above which a volume is censored."""


@dataclass(frozen=True, kw_only=True)
class Strategy:
    """What is taken out of the time series.

    Parameters
    ----------
    name : str
    text : str
        What it does, in a line.
    components : mapping of str to str
        Groups of confounds and their models, as `nilearn.interfaces.fmriprep.load_confounds` names them.
    columns : tuple of str
        Confounds by name; ``*``, ``?`` and ``[…]`` stand for any letters, one letter, one of these letters.
    high_pass, low_pass : float or None
        Cut-offs of the Butterworth filter in Hz.
    detrend : bool
        Whether the linear trend goes.
    polynomials : int
        Highest order of the polynomial trends that are regressed with the confounds.
    fd_threshold : float or None
        Framewise displacement in mm above which a volume is censored; None for no censoring.
    optional : tuple of str
        Components that are left out with a warning where the table does not hold them; without others it is refused.
    """

    name: str
    text: str = ""
    components: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    columns: tuple[str, ...] = ()
    high_pass: float | None = HIGH_PASS
    low_pass: float | None = None
    detrend: bool = True
    polynomials: int = 0
    fd_threshold: float | None = FD_THRESHOLD
    optional: tuple[str, ...] = ()

    @property
    def needs_confounds(self) -> bool:
        """Whether the strategy cannot do without a table of confounds."""
        return bool(set(self.components) - set(self.optional) or self.columns)


def _named(*strategies: Strategy) -> Mapping[str, Strategy]:
    return MappingProxyType({strategy.name: strategy for strategy in strategies})


STRATEGIES = _named(
    Strategy(
        name="auto",
        text="24 motion parameters, white matter, CSF, as far as there are such columns; high-pass 0.008 Hz",
        components=MappingProxyType({"motion": "full", "wm_csf": "basic"}),
        optional=("motion", "wm_csf"),
    ),
    # Nothing but the z-score: for data that has been cleaned elsewhere.
    Strategy(
        name="none",
        text="nothing but the z-score, for data that were cleaned elsewhere",
        high_pass=None,
        detrend=False,
        fd_threshold=None,
    ),
    # What the SCAAE authors' code does to ADHD-200's Athena files: detrend and z-score.
    Strategy(
        name="published-code",
        text="linear detrending, as the SCAAE authors' code does",
        high_pass=None,
        fd_threshold=None,
    ),
    # What made those files (Bellec et al. 2017, doi 10.1016/j.neuroimage.2016.06.034).
    Strategy(
        name="athena",
        text="6 motion parameters, white matter, CSF, polynomials; band-pass 0.009 to 0.08 Hz",
        components=MappingProxyType({"motion": "basic", "wm_csf": "basic"}),
        high_pass=0.009,
        low_pass=0.08,
        polynomials=3,
        fd_threshold=None,
    ),
    # Friston et al. 1996; Satterthwaite et al. 2013; Behzadi et al. 2007 as benchmarked by Ciric et al. 2017
    # (doi 10.1016/j.neuroimage.2017.03.020).
    Strategy(
        name="24P", text="24 motion parameters; high-pass 0.008 Hz", components=MappingProxyType({"motion": "full"})
    ),
    Strategy(
        name="36P",
        text="24P, and white matter, CSF and global signal with derivatives and squares; high-pass 0.008 Hz",
        components=MappingProxyType({"motion": "full", "wm_csf": "full", "global_signal": "full"}),
    ),
    # fMRIPrep computes its CompCor components after removing the cosines, so these are the high-pass filter.
    Strategy(
        name="acompcor",
        text="12 motion parameters, 5 + 5 aCompCor components, cosines",
        components=MappingProxyType({"motion": "derivatives", "compcor": "anat_separated", "high_pass": "cosine"}),
        high_pass=None,
    ),
)
"""The strategies by name; ``+gsr`` and ``-gsr`` behind a name add and drop the global signal."""


def strategy_names() -> list[str]:
    """List what `read_strategy` knows by name, the default first.

    >>> strategy_names()[:3]
    ['auto', 'auto+gsr', 'none']
    """
    return [
        variant
        for name, strategy in STRATEGIES.items()
        for variant in (name, f"{name}{'-' if 'global_signal' in strategy.components else '+'}gsr")
    ]


def read_strategy(strategy: str | os.PathLike[str]) -> Strategy:
    """Find a strategy by its name, or read it from a JSON file.

    Parameters
    ----------
    strategy : str or path
        A name of `STRATEGIES`, with ``+gsr`` or ``-gsr`` where wanted (capitals do not matter), or a file that holds

        * ``columns``: list of names of confounds, with wildcards (required),
        * ``high_pass``, ``low_pass``: Hz or null (default 0.008 and null),
        * ``detrend``: true or false (default true),
        * ``polynomials``: highest order of the trends that are regressed (default 0),
        * ``fd_threshold``: mm or null (default 0.5).

    Raises
    ------
    UsageError
        If there is neither such a name nor such a file, or the file's content is wrong.

    Examples
    --------
    >>> dict(read_strategy("24p+GSR").components)
    {'motion': 'full', 'global_signal': 'basic'}
    """
    text = os.fspath(strategy)
    base, suffix = (text[:-4], text[-4:].lower()) if text[-4:].lower() in ("+gsr", "-gsr") else (text, "")
    for name, known in STRATEGIES.items():
        if name.lower() == base.lower():
            return _with_global_signal(known, suffix)
    if Path(text).suffix.lower() == ".json" or Path(text).is_file():
        return _read_file(Path(text))
    hint = did_you_mean(text, [name.lower() for name in strategy_names()]) or "."
    raise UsageError(
        f"{text}: no nuisance strategy has this name (there are {', '.join(strategy_names())}), and it is not a "
        f"JSON file{hint}"
    )


def choose_strategy(preparation: Preparation, *, denoised: bool = False) -> Strategy:
    """Replace a strategy's filter and threshold where others are asked for.

    Parameters
    ----------
    preparation : Preparation
        Strategy, cut-offs in Hz and threshold in mm: None for the strategy's, 0 for none.
    denoised : bool
        The run was cleaned before: nothing but the threshold is left of the strategy.

    >>> choose_strategy(Preparation("auto", low_pass=0.1, fd_threshold=0)).low_pass
    0.1
    """
    asked = read_strategy(preparation.strategy)
    threshold = _choose(preparation.fd_threshold, asked.fd_threshold)
    if denoised:
        return replace(STRATEGIES["none"], name="none (denoised before)", fd_threshold=threshold)
    return replace(
        asked,
        high_pass=_choose(preparation.high_pass, asked.high_pass),
        low_pass=_choose(preparation.low_pass, asked.low_pass),
        fd_threshold=threshold,
    )


def _choose(value: float | None, default: float | None) -> float | None:
    return default if value is None else float(value) or None


_IN_WORDS = MappingProxyType(
    {
        ("motion", "basic"): "6 motion parameters",
        ("motion", "derivatives"): "12 motion parameters (with derivatives)",
        ("motion", "full"): "24 motion parameters (with derivatives and squares)",
        ("wm_csf", "basic"): "the mean signals of white matter and CSF",
        ("wm_csf", "full"): "the mean signals of white matter and CSF with derivatives and squares",
        ("global_signal", "basic"): "the global signal",
        ("global_signal", "full"): "the global signal with derivatives and squares",
        ("compcor", "anat_separated"): "anatomical CompCor components of white matter and CSF",
        ("high_pass", "cosine"): "discrete cosines",
    }
)


def regressed_in_words(strategy: Strategy) -> str:
    """Say which confounds a strategy regresses; nothing if it regresses none.

    >>> regressed_in_words(read_strategy("athena"))
    '6 motion parameters and the mean signals of white matter and CSF'
    """
    named = [_IN_WORDS.get((group, model), f"{group} ({model})") for group, model in strategy.components.items()]
    if strategy.columns:
        named.append(f"the columns {', '.join(strategy.columns)} of the confounds")
    if not named:
        return ""
    what = listed(named)
    return f"{what}, as far as a run has them" if set(strategy.components) & set(strategy.optional) else what


def refuse_on_denoised(preparation: Preparation) -> None:
    """Refuse a strategy or a filter for a run that was denoised before; ``auto``, ``none`` and no filter are fine.

    Raises
    ------
    UsageError
        Which argument.

    >>> refuse_on_denoised(Preparation("auto", low_pass=0))
    """
    wishes = {
        "strategy": preparation.strategy.lower() not in ("auto", "none"),
        "high_pass": bool(preparation.high_pass),
        "low_pass": bool(preparation.low_pass),
    }
    asked = [f"`{name}`" for name, is_asked in wishes.items() if is_asked]
    if asked:
        raise UsageError(
            f"{' and '.join(asked)} {'has' if len(asked) == 1 else 'have'} no effect with `denoised`: a run that was "
            "denoised before is not cleaned a second time; leave one or the other out."
        )


def _with_global_signal(strategy: Strategy, suffix: str) -> Strategy:
    components = dict(strategy.components)
    if suffix == "+gsr":
        components.setdefault("global_signal", "basic")
    elif suffix == "-gsr":
        components.pop("global_signal", None)
    if components == dict(strategy.components):
        return strategy
    return replace(strategy, name=strategy.name + suffix, components=MappingProxyType(components))


def _possible(name: str) -> Callable[[Any], bool]:
    known = about(Preparation.__dataclass_fields__[name])
    return lambda value: not known.trouble_with(value)


_FILE_KEYS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "columns": (
        lambda value: isinstance(value, list) and all(isinstance(item, str) and item for item in value),
        "a list of column names",
    ),
    "high_pass": (_possible("high_pass"), "a frequency in Hz, or null"),
    "low_pass": (_possible("low_pass"), "a frequency in Hz, or null"),
    "detrend": (lambda value: isinstance(value, bool), "true or false"),
    "polynomials": (lambda value: type(value) is int and 0 <= value <= 10, "a whole number from 0 to 10"),
    "fd_threshold": (_possible("fd_threshold"), "a displacement in mm, or null"),
}


def _read_file(path: Path) -> Strategy:
    content: dict[str, Any] = read_json(path)
    unknown = [key for key in content if key not in _FILE_KEYS]
    if unknown:
        hint = did_you_mean(unknown[0], _FILE_KEYS) or "."
        raise UsageError(
            f"{path}: does not understand {', '.join(unknown)}; the keys are {', '.join(_FILE_KEYS)}{hint}"
        )
    if "columns" not in content:
        raise UsageError(f'{path}: "columns", the list of confounds to regress, is missing.')
    for key, value in content.items():
        is_right, what = _FILE_KEYS[key]
        if not is_right(value):
            raise UsageError(f"{path}: {key} must be {what}, not {shown(value)}.")
    for key in ("high_pass", "low_pass", "fd_threshold"):
        if key in content:
            content[key] = content[key] or None
    return Strategy(name=f"file {path.name}", **{**content, "columns": tuple(content["columns"])})
