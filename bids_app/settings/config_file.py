"""Options in a file: YAML, JSON or TOML, and what of fMRIPrep's own ``config.toml`` has a meaning here."""

from __future__ import annotations

import argparse
import re
import tomllib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...errors import UsageError
from ...opening import DEEPEST, parse_json
from ...words import one_line
from ..user_text import compose_yaml, load_yaml, read_user_file
from .parsing import Parser

__all__ = ["ConfigFile", "read_config_file"]

FMRIPREP_SECTIONS = frozenset({"environment", "execution", "workflow", "nipype", "seeds"})
"""Tables of the ``config.toml`` that fMRIPrep (and XCP-D) keep in their work folder and their logs."""

FROM_FMRIPREP = {
    "execution": (
        "participant_label",
        "session_label",
        "task_id",
        "run_id",
        "bids_database_dir",
        "work_dir",
        "write_graph",
        "notrack",
        "reports_only",
        "boilerplate_only",
    ),
    "nipype": ("nprocs", "omp_nthreads", "memory_gb", "resource_monitor", "stop_on_first_crash"),
}
"""Sections and keys of fMRIPrep's file that mean the same here as the options called like them."""

_YES, _NO, _OPEN = {"true", "yes", "on"}, {"false", "no", "off"}, {"null", "~", ""}


@dataclass(frozen=True)
class ConfigFile:
    """Options of a file."""

    arguments: tuple[str, ...]  # as they would be typed
    filters: Mapping[str, Any] | None = None  # those of --bids-filter-file, which fMRIPrep's configuration has inside
    notes: tuple[str, ...] = ()  # what of the file has no meaning here


def read_config_file(path: Path, parser: Parser) -> ConfigFile:
    """Read a file of options.

    Parameters
    ----------
    path : Path
        ``.json``, ``.toml``, or else YAML: one option per line, with its long name; or fMRIPrep's ``config.toml``.
    parser : Parser
        Which options there are, and which of them are switches.

    Raises
    ------
    UsageError
        If the file cannot be read, or a value cannot be meant.
    """
    content = _mapping(read_user_file(path), path)
    if any(isinstance(content.get(section), dict) for section in FMRIPREP_SECTIONS):
        return _from_fmriprep(content, path, parser)
    return ConfigFile(tuple(_arguments(content, parser)))


def _arguments(content: Mapping[str, Any], parser: Parser) -> list[str]:
    """Write options the way they would be typed."""
    arguments: list[str] = []
    for name, value in content.items():
        option = "--" + str(name).lstrip("-").replace("_", "-")
        if option == "--config-file":
            raise UsageError("names another configuration file; put all options into one.")
        parser.check_names([option])
        arguments += _typed(option, value, parser.option(option))
    return arguments


def _typed(option: str, value: Any, action: argparse.Action) -> list[str]:
    name = option.removeprefix("--")
    if action.dest == "datasets" and isinstance(value, dict):
        value = [f"{key}={path}" for key, path in value.items()]
    if isinstance(value, dict):
        raise UsageError(f"{name} holds a table; give one value, or a list of values.")
    if isinstance(value, list):
        if action.nargs != "+":
            raise UsageError(f"{name} takes one value, not a list.")
        return [option, *map(_word, value)] if value else []
    word = _word(value)
    if word.lower() in _OPEN or value is None:
        return []
    if action.nargs != 0:
        if word.lower() in {"true", "false"}:
            raise UsageError(f"{name} takes a value, not {word}; leave the line out for its default.")
        return [option, word]
    if isinstance(action, argparse._CountAction) and word.isdecimal() and len(word) == 1:
        return [option] * int(word)
    if word.lower() not in _YES | _NO:
        raise UsageError(f"{name} is a switch: give true or false, not {word}.")
    return [option] if word.lower() in _YES else []


def _word(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else "" if value is None else str(value)


def _from_fmriprep(content: Mapping[str, Any], path: Path, parser: Parser) -> ConfigFile:
    """Take from fMRIPrep's configuration what is an option here; name the rest."""
    options: dict[str, Any] = {}
    unused: list[str] = []
    filters: Mapping[str, Any] | None = None
    for section, values in content.items():
        for key, value in (values if isinstance(values, dict) else {"": values}).items():
            if section == "execution" and key == "bids_filters" and isinstance(value, dict):
                filters = {
                    kind: {entity: _queried(label) for entity, label in asked.items() if not _is_optional(label)}
                    for kind, asked in value.items()
                    if isinstance(asked, dict)
                }
            elif key in FROM_FMRIPREP.get(section, ()):
                options["mem-gb" if key == "memory_gb" else key.replace("_", "-")] = value
            else:
                unused.append(key or section)
    taken = [*options, *(["bids-filter-file"] if filters else [])]
    note = (
        f"--config-file {path}: is the configuration of fMRIPrep or its kin; taken from it: "
        f"{', '.join(taken) or 'none'}; not used here: {', '.join(dict.fromkeys(unused)) or 'none'}."
    )
    arguments = []
    for name, value in options.items():
        action = parser.option(f"--{name}")
        several = isinstance(value, list) or action.nargs != "+" or not isinstance(value, str)
        arguments += _typed(f"--{name}", value if several else value.split(), action)
    return ConfigFile(tuple(arguments), filters or None, (note,))


def _queried(label: Any) -> Any:
    """Turn the way in which fMRIPrep writes a pybids query (``<Query.NONE: 1>``) into that of a filter file."""
    found = re.search(r"Query\.(\w+)", label) if isinstance(label, str) else None
    return {"NONE": None, "ANY": "*"}.get(found[1], label) if found else label


def _is_optional(label: Any) -> bool:
    return isinstance(label, str) and "Query.OPTIONAL" in label


def _mapping(text: str, path: Path) -> dict[str, Any]:
    kind = path.suffix.lower()
    try:
        if kind == ".json":
            content = parse_json(text, pairs=_once_each)
        elif kind == ".toml":
            content = _toml(text)
        else:
            content = _yaml(text)
    except ValueError as error:
        name = {".toml": "TOML", ".json": "JSON"}.get(kind, "YAML")
        raise UsageError(f"is not valid {name} ({one_line(error)[:300]}).") from error
    if not isinstance(content, dict):
        raise UsageError("holds no options; write one per line, for example `nprocs: 2`.")
    return content


def _yaml(text: str) -> Any:
    import yaml

    try:
        tree = compose_yaml(text, yaml.BaseLoader)
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from error
    if isinstance(tree, yaml.MappingNode):
        _once_each([(str(key.value), None) for key, _ in tree.value])
    return load_yaml(text, yaml.BaseLoader, tree)  # keeps 01 a label; builds text, lists and mappings only


def _toml(text: str) -> dict[str, Any]:
    """Read TOML; the parser's time grows with the square of the dots in a name, and it follows every bracket."""
    outside_quotes = (re.sub(r"\"[^\"]*\"|'[^']*'|#.*", "", line) for line in text.splitlines())
    if any(line.count(".") > DEEPEST for line in outside_quotes):
        raise ValueError(f"a name has more than {DEEPEST} dots")
    try:
        return tomllib.loads(text)
    except RecursionError as error:
        raise ValueError(f"its brackets are nested more than {DEEPEST} deep") from error


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    twice = [name for name, times in Counter(name for name, _ in pairs).items() if times > 1]
    if twice:
        raise UsageError(f"has {twice[0]} twice; leave one out.")
    return dict(pairs)
