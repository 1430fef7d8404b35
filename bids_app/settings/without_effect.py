"""Options that would change nothing: refused where results would not be those asked for, else said."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from ...errors import UsageError
from .option_table import OPTIONS, Option
from .spelling import spell

__all__ = ["check_effects"]

_NOT_TOGETHER = (("reports_only", "boilerplate_only"), ("reports_only", "retrain"), ("dry_run", "boilerplate_only"))

_BEFORE_REPORTS = ("datasets", "database_dir", "reindex", "inputs_by", "verify", "save_signed", "device", "processes")
"""What of the steps before reports has no effect on them, besides the choice of runs."""

_NOT_IN_JOBS = {
    "plugin_file": "every participant is a job already; leave it out",
    "clean_work_dir": "one would empty the work folder that others work in; remove the folder yourself",
    "reports_only": "give it at the participant or the group level",
    "boilerplate_only": "give it at the participant level",
}
"""What cannot be asked of the jobs that submit writes, and what to do instead."""


def check_effects(*, level: str, asked: Collection[str], configured: Collection[str]) -> list[str]:
    """Refuse options that contradict the level or each other; give a sentence on those that do no harm.

    Parameters
    ----------
    level : str
        Analysis level.
    asked, configured : collection of str
        Settings that the command line and the configuration file give. A file may be for several levels: what is in
        it and has no effect at this one is said, not refused.

    Raises
    ------
    UsageError
        Which option has no effect, and what to do.
    """
    given = {*asked, *configured}
    if level == "submit":
        for name, why in _NOT_IN_JOBS.items():
            _refuse([OPTIONS[name]], f"in jobs: {why}.", given)
        return []
    _refuse(_at("submit"), f"at the {level} level: give it at the level submit, which writes jobs.", asked)
    if level == "group":
        notes = _of_groups(asked, configured)
    else:
        _refuse(_at("group"), f"at the {level} level: give it at the group level.", asked)
        notes = _said(_at("group"), f"at the {level} level", configured)
    notes += _said(_at("submit"), f"at the {level} level", configured)
    if "model" in given and level != "group":
        settled = [option for option in OPTIONS.values() if option.of_training]
        _refuse(settled, "with --model, which applies a finished model: leave one out.", given)
    for one, other in _NOT_TOGETHER:
        if {one, other} <= given:
            _refuse([OPTIONS[other]], f"with {spell(one)}: leave one out.", given)
    if "reports_only" in given and level == "train":
        _refuse([OPTIONS["reports_only"]], "at the train level.", given)
    if "reports_only" in given and level != "group":
        choices = [option for option in OPTIONS.values() if option.chooses or option.name in _BEFORE_REPORTS]
        notes += _said(choices, "with --reports-only: reports are of whole participants", given)
    return notes


def _of_groups(asked: Collection[str], configured: Collection[str]) -> list[str]:
    given = {*asked, *configured}
    why = "which makes tables from results that are there"
    _refuse(_at("runs"), f"at the group level, {why}: give it at the participant level.", asked)
    of_runs = [option for option in _at("runs") if option.name in configured]
    notes = _said([*_at("steps"), *of_runs], "at the group level", given)
    if "reports_only" in given:
        what = [*_at("group"), OPTIONS["seed"]]
        return notes + _said(what, "with --reports-only, which repeats what the tables say", given)
    if not given & {"group_by", "predict"}:
        what = [OPTIONS["covariates"], OPTIONS["n_permutations"]]
        notes += _said(what, "without --group-by or --predict", given)
    return notes


def _at(where: str) -> list[Option]:
    return [option for option in OPTIONS.values() if option.at == where]


def _refuse(options: Iterable[Option], where: str, given: Collection[str]) -> None:
    for option in options:
        if option.name in given:
            raise UsageError(f"{option.spelling} has no effect {where}")


def _said(options: Iterable[Option], where: str, given: Collection[str]) -> list[str]:
    found = [option.spelling for option in options if option.name in given]
    verb = "has" if len(found) == 1 else "have"
    return [f"Note: {', '.join(found)} {verb} no effect {where}."] if found else []
