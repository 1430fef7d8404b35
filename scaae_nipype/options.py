"""What can be set: every scientific setting, with its default, unit, range and a line on it.

Settings that travel together are a group, checked when it is made. Groups go from the command line, or a pipeline,
through workflows to the functions that use them; inputs of interfaces and options are made from their fields.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import Field, dataclass, field, fields, replace
from typing import Any, Literal, TypeVar

from .errors import UsageError

__all__ = [
    "BASELINES",
    "KINDS",
    "LEAST_SURROGATES",
    "LONGEST_TR",
    "MODES",
    "OF_MODEL",
    "SHORTEST_TR",
    "USUAL_SURROGATES",
    "About",
    "Evaluation",
    "Group",
    "Nulls",
    "Preparation",
    "Training",
    "about",
    "check_values",
    "described",
    "setting",
]

Settings = TypeVar("Settings", bound=type[Any])

BASELINES = (
    *("smoothed", "context", "group_pca", "pca", "cap", "ica"),
    *("dictionary", "windows", "encoder_lasso", "untrained"),
)
"""What can be scored besides the networks and the volume itself, in the order of all tables."""

OF_MODEL = ("context", "group_pca", "untrained")
"""Those of them that are parts of a model."""

KINDS = ("auto", "continuous", "labels", "thresholded")
"""What an image of templates can hold; ``auto`` recognises it."""

MODES = ("calibrated", "paper")
"""``paper`` is the published recipe."""

LARGEST_SEED = 2**32 - 1
"""What all generators take."""

SHORTEST_TR, LONGEST_TR = 0.1, 20.0
"""Repetition times outside this range, in s, are mistakes in a header, a sidecar or a unit."""

LEAST_SURROGATES = 19
"""With fewer surrogates p cannot reach 0.05."""

USUAL_SURROGATES = 99
"""Surrogates where a null model is asked for without a number: p down to 0.01."""


@dataclass(frozen=True)
class About:
    """What is known about a setting besides its default.

    Parameters
    ----------
    text : str
        What it is, in a line.
    unit : str
    low, high : float, optional
        Of numbers; both ends are possible.
    words : tuple of str
        What is possible besides numbers (``auto``), or at all.
    zero : str
        What 0 means where `low` is larger.
    why : str
        Why a number must not be lower.
    kind : str
        What the value names, where somebody has to look: ``strategy``, ``templates``, ``preset``, ``device``, ``file``.
    default : str
        What it means that the setting is left open (None).
    """

    text: str
    unit: str = ""
    low: float | None = None
    high: float | None = None
    words: tuple[str, ...] = ()
    zero: str = ""
    why: str = ""
    kind: str = ""
    default: str = ""

    def trouble_with(self, value: Any) -> str:
        """Say what a value must be, if it is not that; empty where it can be.

        >>> About("", low=0, high=50, unit="mm").trouble_with(-1)
        'must be 0 or larger'
        >>> About("", low=19, zero="no test", why="fewer cannot give p <= 0.05").trouble_with(3)
        'must be 0 (no test), or 19 or larger; fewer cannot give p <= 0.05'
        """
        if value is None or value in self.words or (self.zero and value == 0):
            return ""
        if self.low is None:
            return f"must be one of {', '.join(self.words)}" if self.words and isinstance(value, str) else ""
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if is_number and self.low <= value < float("inf") and (self.high is None or value <= self.high):
            return ""
        if is_number and self.high is not None and value > self.high:
            return f"must be at most {self.high:g} {self.unit}".rstrip()
        others = [*self.words, *([f"0 ({self.zero})"] if self.zero else [])]
        possible = "".join(f"{other}, or " for other in others) + f"{self.low:g} or larger"
        return f"must be {possible}" + (f"; {self.why}" if self.why else "")


def setting(default: Any, text: str, /, **more: Any) -> Any:
    """Make a field of a group; without a default it is ``...``, and `more` is as for `About`."""
    told = {"about": About(text, **more)}
    return field(metadata=told) if default is ... else field(default=default, metadata=told)


def about(of: Field[Any]) -> About:
    """Give what is known about a field of a group."""
    told: About = of.metadata["about"]
    return told


def described(settings: Settings) -> Settings:
    """Add to the docstring of a dataclass what its fields, which `setting` made, say of themselves."""
    text = f"{settings.__doc__}\n\n    Parameters\n    ----------\n"
    for one in fields(settings):
        told = about(one)
        unit = f" ({told.unit})" if told.unit else ""
        default = f"; None: {told.default}" if told.default else ""
        text += f"    {one.name} : {one.type}\n        {told.text}{unit}{default}\n"
    settings.__doc__ = text
    return settings


def check_values(settings: Any) -> None:
    """Check the fields of a dataclass that `setting` made.

    Raises
    ------
    UsageError
        Which setting, and what it must be.
    """
    for one in fields(settings):
        value = getattr(settings, one.name)
        if "about" in one.metadata and (trouble := about(one).trouble_with(value)):
            raise UsageError(f"`{one.name}` {value}: {trouble}.")


@dataclass(frozen=True)
class Group:
    """Settings that travel together; values that cannot be are refused when it is made."""

    def __post_init__(self) -> None:
        """Check values.

        Raises
        ------
        UsageError
            Which setting, and what it must be.
        """
        for one in fields(self):
            value = getattr(self, one.name)
            if isinstance(value, os.PathLike):
                object.__setattr__(self, one.name, os.fspath(value))
        check_values(self)

    def given(self, *names: str) -> dict[str, Any]:
        """Give settings by name, all or some, without those that are left open (None)."""
        chosen = names or tuple(one.name for one in fields(self))
        return {name: value for name in chosen if (value := getattr(self, name)) is not None}


def _mode() -> Any:
    return setting("calibrated", "paper: the published recipe", words=MODES)


def _seed() -> Any:
    return setting(0, "seed of whatever is drawn at random", low=0, high=LARGEST_SEED)


def _labels(what: str) -> Any:
    return setting(None, f"table with the names of the {what}", kind="file")


def _kind(what: str) -> Any:
    return setting("auto", f"what the image of the {what} holds; auto: recognised", words=KINDS)


@described
@dataclass(frozen=True)
class Preparation(Group):
    """How runs are prepared; `high_pass` and `low_pass` are the cut-offs of a Butterworth filter."""

    strategy: str = setting(
        "auto",
        "nuisance strategy, with +gsr or -gsr behind where wanted, or a JSON file that describes one",
        kind="strategy",
    )
    smoothing_fwhm: float = setting(6.0, "full width at half maximum, 0: none", unit="mm", low=0, high=50)
    high_pass: float | None = setting(None, "0: none", unit="Hz", low=0, high=10, default="the strategy's")
    low_pass: float | None = setting(None, "0: none", unit="Hz", low=0, high=10, default="the strategy's")
    fd_threshold: float | None = setting(
        None,
        "leave out volumes with more framewise displacement, 0: none",
        unit="mm",
        low=0,
        high=100,
        default="the strategy's",
    )
    dummy_scans: Literal["auto"] | int = setting(
        "auto", "volumes to leave out at the start; auto: as the confounds mark them", low=0, words=("auto",)
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.low_pass and self.high_pass and self.low_pass <= self.high_pass:
            raise UsageError(
                f"`high_pass` {self.high_pass:g} must be lower than `low_pass` {self.low_pass:g} (both in Hz)."
            )

    def of_denoised(self) -> Preparation:
        """Give what is left for a run that was denoised before, which is neither regressed nor filtered again."""
        return replace(self, strategy="none", high_pass=None, low_pass=None)


@described
@dataclass(frozen=True)
class Training(Group):
    """What network is fitted, and how; the precision ``auto`` is bf16 where the device computes in it natively."""

    preset: str = setting("pointwise", "network to fit", kind="preset")
    mode: str = _mode()
    train_volumes: Literal["auto"] | int = setting(
        "auto", "volumes shown to the network in training; auto: as the recipe says", low=1, words=("auto",)
    )
    seed: int = _seed()
    time_width: float = setting(
        0.0,
        "let the network see a volume's neighbours in time as well, as an average of standard deviation N (Gaussian); "
        "0: every volume alone, as in the paper",
        unit="s",
        low=1,
        high=5,
        zero="every volume alone",
        why="narrower and wider ones were not trained",
    )
    precision: str = setting("auto", "of the network", words=("auto", "fp32", "bf16"))
    device: str = setting("auto", "auto, cpu, cuda, cuda:1 …", kind="device")
    processes: int = setting(1, "GPUs, or processes of the CPU, that share the training of an autoencoder", low=1)


@described
@dataclass(frozen=True)
class Evaluation(Group):
    """What networks are held against; the mode says which score decides on states, and from where on."""

    templates: str = setting(
        "default", "default (networks of Seitzman et al. 2018), smith2009, or a 4D or label image", kind="templates"
    )
    template_labels: str | None = _labels("templates")
    template_kind: str = _kind("templates")
    baselines: tuple[str, ...] = setting(
        ("smoothed", "context", "group_pca", "pca"),
        "what is scored beside the networks and the volume itself; some take minutes per run",
        words=BASELINES,
    )
    atlas: str | None = setting(
        None, "label or 4D image: write the mean FBN of every region and volume", kind="templates", default="none"
    )
    atlas_labels: str | None = _labels("atlas' regions")
    atlas_kind: str = _kind("atlas")
    n_chance_templates: int = setting(
        LEAST_SURROGATES,
        "sets of surrogate templates, as smooth and as large but elsewhere, that say what scores are by chance; 19 or "
        "more",
        low=LEAST_SURROGATES,
        zero="no chance beside scores",
        why="fewer cannot show that a score lies above chance",
    )
    mode: str = _mode()
    state_cutoff: float | None = setting(
        None,
        "the least score of a state",
        low=0,
        high=1,
        default="in calibrated mode what at most 5 % of noise volumes as smooth as the maps reach, in paper mode 0.3",
    )
    seed: int = _seed()

    def __post_init__(self) -> None:
        super().__post_init__()
        named = (self.baselines,) if isinstance(self.baselines, str) else tuple(self.baselines)
        object.__setattr__(self, "baselines", named)
        if unknown := [name for name in named if name not in BASELINES]:
            raise UsageError(f"`baselines` {unknown[0]}: unknown; choose from {', '.join(BASELINES)}.")
        if self.atlas_labels and not self.atlas:
            raise UsageError(
                "`atlas_labels` has no effect without `atlas`: give the image that they name, or leave it out."
            )
        for kind, image in (("template_kind", "templates"), ("atlas_kind", "atlas")):
            if getattr(self, kind) != "auto" and getattr(self, image) in (None, "default"):
                raise UsageError(
                    f"`{kind}` has no effect without `{image}` FILE: give the image whose kind it says, or leave it "
                    "out."
                )

    def of_model(self, lacking: Collection[str]) -> Evaluation:
        """Leave out the baselines that a model cannot give, unless nothing would be left."""
        possible = tuple(name for name in self.baselines if name not in lacking)
        return replace(self, baselines=possible or self.baselines)


@described
@dataclass(frozen=True)
class Nulls(Group):
    """What chance is asked for."""

    n_surrogate_templates: int = setting(
        0,
        "null model: test whether maps match templates better than N sets of surrogate templates, as smooth and as "
        "dense but elsewhere; 19 or more",
        low=LEAST_SURROGATES,
        zero="no spatial null",
        why="fewer cannot give p <= 0.05",
    )
    n_surrogates: int = setting(
        0,
        "null models: test whether a run is more than a stationary mixture, against N surrogates of it (19 or more, "
        "better 99) that go through the network too, which takes N times the extraction; matches with templates are "
        "tested as well",
        low=LEAST_SURROGATES,
        zero="no temporal null",
        why="fewer cannot give p <= 0.05",
    )
    n_folds: int = setting(
        0,
        "with surrogates of runs: split the participants whose runs train the model into K parts, train K more models, "
        "each without one part, and take the temporal null of a run through the one that has not seen its participant; "
        "maps and all else stay those of the main model; takes K more trainings",
        low=2,
        zero="none, p is then in-sample",
        why="one part of the participants is left out of each",
    )
