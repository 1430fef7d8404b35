"""What is asked for meets what is there: scores to be added, computed again or kept, and the words for it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ...errors import UsageError
from ..settings.configuration import (
    configuration,
    file_checksum,
    has_results,
    merged_scores,
    read_configuration,
    scores_of,
)
from ..settings.option_table import OPTIONS, keys_of
from ..settings.settings import Settings

__all__ = ["configured", "files_of", "parts_due", "what_changes", "what_differs", "with_what_is_there"]

_CHECKSUM = " sha256:"


def with_what_is_there(settings: Settings) -> tuple[Settings, list[str]]:
    """Complete what was asked for by what an output dataset holds already, so that nothing there is lost.

    What the command line leaves open is as it is there; baselines, an atlas and null models that are there and were
    not asked for are kept.

    Returns
    -------
    settings : Settings
    notes : list of str
        What is kept, for the plan.

    Raises
    ------
    UsageError
        If a file is needed again that is not where it was.
    """
    held = read_configuration(settings.output_dir)
    if held is None or not has_results(settings.output_dir):
        return settings, []
    content, files = held
    there = scores_of(content)
    asked = scores_of(configuration(settings)) | {key: there[key] for key in _left_open(settings, there)}
    wanted = merged_scores(there, asked)
    today = scores_of(configuration(settings))
    changes: dict[str, Any] = {}
    kept: list[str] = []
    for key, option in keys_of("scores").items():
        if wanted[key] != today[key]:
            changes[option.name] = _value(key, wanted[key], settings.output_dir, files)
            more = wanted[key]
            if key == "Baselines":
                more = [name for name in more if name not in today[key]]
            kept.append(_named(key, more))
    words = ", ".join(filter(None, kept))
    return settings.replaced(**changes), [f"Kept as {settings.output_dir} holds it: {words}."] if words else []


def _left_open(settings: Settings, there: Mapping[str, Any]) -> list[str]:
    """List the keys on which what is there decides."""
    keys = [OPTIONS[name].key for name in settings.left_open]
    if "Templates" not in keys and "TemplateLabels" in keys:
        keys.remove("TemplateLabels")  # names belong to their image
    if "Templates" in keys and settings.evaluation.template_kind == "auto":
        keys.append("TemplateKind")  # and so does what the image holds
    if "SurrogateTemplates" in keys and not (there["Surrogates"] or there["SurrogateTemplates"]):
        keys.remove("SurrogateTemplates")  # nobody has decided yet: the default
    return keys


def _value(key: str, value: Any, output_dir: Path, files: Mapping[str, str]) -> Any:
    """Give the setting for a value of the configuration; files, which it knows by their content, have to be found."""
    if key == "Baselines":
        return tuple(value)
    if not isinstance(value, str) or _CHECKSUM not in value:
        return value
    path = Path(files.get(key, "/nowhere"))
    if not path.is_file() or file_checksum(path) != value:
        there, name = files.get(key, "an earlier version did not note where"), keys_of("scores")[key].name
        raise UsageError(
            f"{output_dir}: its scores were made with {value} ({key}), which is not where it was ({there}): give it as "
            f"`{name}` again, or another one."
        )
    return str(path)


def files_of(settings: Settings) -> dict[str, str]:
    """Give where the files lie that the configuration knows by their content, by its keys."""
    found = {key: settings.value_of(option.name) for key, option in keys_of("scores").items()}
    return {key: value for key, value in found.items() if isinstance(value, str) and Path(value).is_absolute()}


def parts_due(there: Mapping[str, Any], wanted: Mapping[str, Any], *, mode: str) -> set[str]:
    """List the parts of a run's scores that other settings than those they were made with ask for.

    >>> sorted(parts_due(scores_of({}), scores_of({"Baselines": ["pca"]}), mode="calibrated"))
    ['baselines']
    """
    parts = set()
    for key, option in keys_of("scores").items():
        if there[key] != wanted[key]:
            # In paper mode, the cut-off of states is a number of its own, whatever the spatial null says.
            fixed = key == "SurrogateTemplates" and mode == "paper"
            parts |= {"matches"} if fixed else set(option.parts)
    return parts & configured(wanted)


def configured(scores: Mapping[str, Any]) -> set[str]:
    """List the parts that a configuration asks for; events and what was planted as far as a run has them."""
    optional = {
        "baselines": scores["Baselines"],
        "regions": scores["Atlas"],
        "matches": scores["SurrogateTemplates"],
        "dynamics_null": scores["Surrogates"],
    }
    return {"evaluation", "states", "events", "planted", *(part for part, value in optional.items() if value)}


def what_changes(there: Mapping[str, Any], wanted: Mapping[str, Any]) -> str:
    """Say in words what is to be added to, or replaced in, the scores of a run.

    >>> what_changes(scores_of({"Baselines": ["pca"]}), scores_of({"Baselines": ["pca", "ica"], "Atlas": "default"}))
    'scores to be added: baselines ica, atlas default'
    >>> what_changes(scores_of({}), scores_of({"Templates": "smith2009"}))
    'other templates (default there, smith2009 now): scores to be computed again'
    """
    others, added = [], []
    for key in keys_of("scores"):
        before, now = there[key], wanted[key]
        if before == now or (key in ("TemplateLabels", "TemplateKind") and there["Templates"] != wanted["Templates"]):
            continue
        if key == "Baselines":
            added.append(_named(key, [name for name in now if name not in before]))
        elif not before and key != "TemplateLabels":
            added.append(_named(key, now))
        elif not (key in ("AtlasLabels", "AtlasKind") and there["Atlas"] != wanted["Atlas"]):
            told, tells = _told_apart(before, now)
            others.append(f"other {_WORDS[key]} ({told} there, {tells} now)")
    sentences = [f"{', '.join(others)}: scores to be computed again"] if others else []
    added = [words for words in added if words]
    return "; ".join([*sentences, *([f"scores to be added: {', '.join(added)}"] if added else [])])


def what_differs(own: Mapping[str, Any], others: Mapping[str, Any]) -> str:
    """Say in words why the scores of a run cannot be averaged with others; empty where they can.

    >>> what_differs(scores_of({"Templates": "smith2009"}), scores_of({}))
    'templates: smith2009, the others default'
    """
    keys = ("Templates", "TemplateLabels", "TemplateKind", "SurrogateTemplates")  # the last decides on states
    different = {key: _told_apart(own[key], others[key]) for key in keys if own[key] != others[key]}
    return "; ".join(f"{_WORDS[key]}: {here}, the others {there}" for key, (here, there) in different.items())


_WORDS = {
    "Templates": "templates",
    "TemplateLabels": "template labels",
    "TemplateKind": "template kind",
    "Baselines": "baselines",
    "Surrogates": "surrogates",
    "SurrogateTemplates": "surrogate templates",
    "ChanceTemplates": "chance templates",
    "CrossFit": "cross-fit",
    "Atlas": "atlas",
    "AtlasLabels": "atlas labels",
    "AtlasKind": "atlas kind",
}


def _named(key: str, value: Any) -> str:
    if not value:
        return ""
    if key in ("Surrogates", "SurrogateTemplates", "ChanceTemplates"):
        return f"{value} {_WORDS[key]}"
    listed: Iterable[Any] = value if isinstance(value, list | tuple) else [value]
    return f"{_WORDS[key]} {' '.join(_short(item) for item in listed)}"


def _told_apart(one: Any, other: Any) -> tuple[str, str]:
    """Name two values; files of one name by their content too."""
    names = _short(one), _short(other)
    return names if names[0] != names[1] else (str(one), str(other))


def _short(value: Any) -> str:
    return "none" if value is None else str(value).partition(_CHECKSUM)[0]
