"""Options that would change nothing: refused where results would not be those asked for, else said."""

from __future__ import annotations

from collections.abc import Callable, Collection

from ...errors import UsageError

__all__ = ["check_effects"]

GROUP = ("group_by", "site_column", "covariates", "predict", "permutations")
"""What is asked of participants.tsv."""

SELECTION = ("session_label", "task_id", "run_id", "space", "bids_filter_file")

OF_RUNS = (
    *("nuisance", "dummy_scans", "fd_threshold", "high_pass", "low_pass", "smoothing_fwhm", "mode", "preset", "model"),
    *("retrain", "train_volumes", "templates", "template_labels", "fetch_templates", "baselines", "atlas"),
    *("repetition_time", "concatenated", "template_kind", "atlas_kind"),
    *("atlas_labels", "surrogates", "surrogate_templates", "cross_fit", "signed_maps", "precision", "derivatives"),
    "boilerplate_only",
)
"""What decides on results of runs, or asks for something about them."""

OF_STEPS = (
    *("bids_database_dir", "reindex_bids", "device", "train_processes", "use_plugin", "clean_workdir"),
    *("stop_on_first_crash", "resource_monitor", "write_graph"),
)
"""How steps run that the group level does not have."""

OF_TRAINING = ("preset", "retrain", "train_volumes", "train_processes", "precision")
"""What a finished model has settled."""


def check_effects(
    *, level: str, asked: Collection[str], configured: Collection[str], spell: Callable[[str], str]
) -> list[str]:
    """Refuse options that contradict the level or each other; give a sentence on those that do no harm.

    Parameters
    ----------
    level : str
        Analysis level.
    asked, configured : collection of str
        Options of the command line and of the configuration file, by the names they have when parsed. A file may be
        for several levels: what is in it and has no effect at this one is said, not refused.
    spell : callable
        Gives an option's spelling.

    Raises
    ------
    UsageError
        Which option has no effect, and what to do.
    """
    notes: list[str] = []
    given = {*asked, *configured}
    if level == "group":
        why = "which makes tables from results that are there"
        _refuse(OF_RUNS, f"at the group level, {why}: give it at the participant level", asked, spell)
        notes += _said(
            (*OF_STEPS, *(name for name in OF_RUNS if name in configured)), "at the group level", given, spell
        )
        if "reports_only" in given:
            notes += _said(
                (*GROUP, "random_seed"), "with --reports-only, which repeats what the tables say", given, spell
            )
        elif not given & {"group_by", "predict"}:
            notes += _said(("covariates", "permutations"), "without --group-by or --predict", given, spell)
    else:
        _refuse(GROUP, f"at the {level} level: give it at the group level", asked, spell)
        notes += _said([name for name in GROUP if name in configured], f"at the {level} level", given, spell)
    if "model" in given and level != "group":
        _refuse(OF_TRAINING, "with --model, which applies a finished model: leave one out.", given, spell, end="")
    for one, other in (
        ("reports_only", "boilerplate_only"),
        ("reports_only", "retrain"),
        ("dry_run", "boilerplate_only"),
    ):
        if {one, other} <= given:
            _refuse((other,), f"with {spell(one)}: leave one out", given, spell)
    if "reports_only" in given and level != "group":
        _refuse(("reports_only",), "at the train level", given if level == "train" else (), spell)
        names = (*SELECTION, "derivatives", "bids_database_dir", "reindex_bids", "signed_maps", "device")
        notes += _said(
            (*names, "train_processes"), "with --reports-only: reports are of whole participants", given, spell
        )
    return notes


def _refuse(
    names: Collection[str], where: str, given: Collection[str], spell: Callable[[str], str], *, end: str = "."
) -> None:
    found = [spell(name) for name in names if name in given]
    if found:
        raise UsageError(f"{found[0]} has no effect {where}{end}")


def _said(names: Collection[str], where: str, given: Collection[str], spell: Callable[[str], str]) -> list[str]:
    found = [spell(name) for name in names if name in given]
    verb = "has" if len(found) == 1 else "have"
    return [f"Note: {', '.join(found)} {verb} no effect {where}."] if found else []
