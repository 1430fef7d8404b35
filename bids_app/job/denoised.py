"""Runs that were denoised before: which of the user's options they do not follow."""

from __future__ import annotations

from ...errors import UsageError
from ..inputs.plan import Inputs, RunInput
from ..settings.settings import Settings
from ..settings.spelling import spell

__all__ = ["check_denoised", "denoised_warnings"]


def check_denoised(settings: Settings, inputs: Inputs) -> None:
    """Refuse a nuisance strategy or a filter for runs all of which were denoised before.

    Raises
    ------
    UsageError
        Which option.
    """
    asked = _not_followed(settings)
    if asked and inputs.runs and all(run.denoised for run in inputs.runs):
        raise UsageError(
            f"{asked[0]} has no effect: all runs were denoised before ({inputs.runs[0].bold.name} …), and nothing is "
            "regressed or filtered a second time; leave it out, or give preprocessed runs (desc-preproc)."
        )


def denoised_warnings(settings: Settings, run: RunInput) -> list[str]:
    """Say of a run that was denoised before which of the user's options it does not follow."""
    asked = _not_followed(settings) if run.denoised else []
    return [f"{', '.join(asked)}: not applied, because this run was denoised before."] if asked else []


def _not_followed(settings: Settings) -> list[str]:
    """List the options that the user gave and that runs do not follow that were denoised before.

    What comes to the same (``-p auto``, ``-p none``, no filter) is not among them.
    """
    wanted = settings.preparation
    wishes = {
        "strategy": wanted.strategy.lower() not in ("auto", "none"),
        "high_pass": bool(wanted.high_pass),
        "low_pass": bool(wanted.low_pass),
    }
    return [spell(name) for name, does in wishes.items() if name in settings.asked and does]
