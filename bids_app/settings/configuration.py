"""What of the settings changes results, and the rule that the maps of an output dataset are of one configuration."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..._version import __version__
from ...errors import InputError, ModelError, UsageError
from ...files import read_json, write_json
from ...model.folder import read_card
from ...opening import open_regular
from ...options import BASELINES, USUAL_SURROGATES
from ...preparation.strategies import choose_strategy
from ...words import shown
from ..engine.locks import Lock
from .option_table import OPTIONS, Option, keys_of
from .settings import Settings

__all__ = [
    "CONFIGURATION_FILE",
    "check_output",
    "configuration",
    "configuration_hash",
    "file_checksum",
    "has_results",
    "known_configurations",
    "maps_of",
    "merged_scores",
    "note_configuration",
    "read_configuration",
    "scores_of",
]

CONFIGURATION_FILE = Path("logs", "configuration.json")
"""Where an output dataset says how it was made."""

_FILES, _EARLIER = "Files", "Earlier"
"""Beside the configuration: where the files lay that it knows by their content; what held before, by its hash."""


def configuration(settings: Settings) -> dict[str, Any]:
    """Collect what changes results; processors, folders and the choice of runs do not.

    Files (a strategy, templates, a model) count by their content, not by where they are.

    Raises
    ------
    ModelError, UsageError
        If a file that is named in the settings cannot be read.
    """
    chosen = choose_strategy(settings.preparation)
    content: dict[str, Any] = {"Version": ".".join(__version__.split(".")[:2]), "Mode": settings.value_of("mode")}
    for option in OPTIONS.values():
        if not option.key or (option.of_training and settings.model is not None):
            continue
        value = settings.value_of(option.name)
        if option.name in ("high_pass", "low_pass", "fd_threshold"):
            value = getattr(chosen, option.name) or 0.0
        if not _is_usual(option.key, value, {"Surrogates": settings.nulls.n_surrogates}):
            content[option.key] = _noted(option, value)
    return content


def _noted(option: Option, value: Any) -> Any:
    """Give a value as it is noted."""
    if option.name == "model":
        return None if value is None else model_checksum(value)
    if isinstance(value, str) and option.about.kind in ("strategy", "templates", "file"):
        return file_checksum(Path(value)) if Path(value).is_absolute() else value
    return list(value) if isinstance(value, tuple) else value


def _is_usual(key: str, value: Any, content: Mapping[str, Any]) -> bool:
    """Tell whether a setting is not noted, because it is as usual."""
    if key == "SurrogateTemplates":
        return bool(value == _usual_templates(content))
    return any(option.key == key and option.is_rare and value == option.absent for option in OPTIONS.values())


def _usual_templates(content: Mapping[str, Any]) -> int:
    return USUAL_SURROGATES if content["Surrogates"] else 0


def configuration_hash(content: Mapping[str, Any]) -> str:
    """Give the first 12 digits of a configuration's SHA-256.

    >>> configuration_hash({"Seed": 0, "Mode": "paper"}) == configuration_hash({"Mode": "paper", "Seed": 0})
    True
    """
    return hashlib.sha256(json.dumps(dict(content), sort_keys=True).encode()).hexdigest()[:12]


def maps_of(content: Mapping[str, Any]) -> dict[str, Any]:
    """Give the part of a configuration that changes the maps: whatever is not known to change scores only."""
    return {key: value for key, value in content.items() if key not in keys_of("scores")}


def scores_of(content: Mapping[str, Any]) -> dict[str, Any]:
    """Give the part of a configuration that changes what is computed from the maps, complete.

    >>> scores_of({"Surrogates": 19})["SurrogateTemplates"]
    99
    """
    scores = {key: content.get(key, effect.absent) for key, effect in keys_of("scores").items()}
    return scores | {
        "SurrogateTemplates": content.get("SurrogateTemplates", _usual_templates(scores)),
        "Baselines": list(scores["Baselines"]),
    }


def merged_scores(there: Mapping[str, Any], asked: Mapping[str, Any]) -> dict[str, Any]:
    """Add what is asked for to what is there: what has a new value is replaced, what is not asked for is kept.

    >>> there = scores_of({"Baselines": ["pca", "ica"], "Surrogates": 19})
    >>> merged = merged_scores(there, scores_of({"Baselines": ["smoothed"], "Templates": "smith2009"}))
    >>> merged["Baselines"], merged["Surrogates"], merged["Templates"]
    (['smoothed', 'pca', 'ica'], 19, 'smith2009')
    """
    both = {*there["Baselines"], *asked["Baselines"]}
    merged = dict(asked) | {"Baselines": [name for name in BASELINES if name in both]}
    for number in ("Surrogates", "SurrogateTemplates", "ChanceTemplates", "CrossFit"):
        merged[number] = asked[number] or there[number]
    if asked["Atlas"] is None:
        merged |= {key: there[key] for key in ("Atlas", "AtlasLabels", "AtlasKind")}
    return merged


def read_configuration(output_dir: Path) -> tuple[dict[str, Any], dict[str, str]] | None:
    """Give the configuration that an output dataset holds, and where its files lay; None where it says nothing.

    Raises
    ------
    UsageError
        If it says something that is no setting.
    """
    try:
        said = read_json(output_dir / CONFIGURATION_FILE)
    except InputError:
        return None
    files = said.get(_FILES)
    content = {key: said[key] for key in said if key not in (_FILES, _EARLIER)}
    if key := odd_score(content):
        raise UsageError(
            f"{output_dir / CONFIGURATION_FILE}: {key} holds {shown(content[key])}, which it cannot; take an undamaged "
            "copy of the file, or choose another output_dir."
        )
    return content, files if isinstance(files, dict) else {}


def odd_score(content: Mapping[str, Any]) -> str:
    """Name a setting of what is computed from maps that is of another kind than it can be; empty where none is.

    >>> odd_score({"Surrogates": 19, "Templates": "default"}), odd_score({"Baselines": None})
    ('', 'Baselines')
    """
    for key, effect in keys_of("scores").items():
        value = content.get(key, effect.absent)
        if effect.kind == "several":
            is_right = isinstance(value, list | tuple) and all(isinstance(word, str) for word in value)
        elif effect.kind == "int":
            is_right = type(value) is int and value >= 0
        else:
            is_right = isinstance(value, str) or value is effect.absent is None
        if not is_right:
            return key
    return ""


def known_configurations(output_dir: Path) -> dict[str, dict[str, Any]]:
    """Give the configurations that an output dataset holds and has held, by their hashes."""
    held = read_configuration(output_dir)
    if held is None:
        return {}
    return {**_earlier(output_dir), configuration_hash(held[0]): held[0]}


def _earlier(output_dir: Path) -> dict[str, dict[str, Any]]:
    found = read_json(output_dir / CONFIGURATION_FILE).get(_EARLIER)
    sound = found if isinstance(found, dict) else {}
    return {digest: held for digest, held in sound.items() if isinstance(held, dict) and not odd_score(held)}


def check_output(output_dir: Path, content: Mapping[str, Any]) -> None:
    """Refuse to mix maps of two configurations in one output dataset.

    Raises
    ------
    UsageError
        If results of another configuration of the maps are there; the message names the settings that differ.
    """
    held = read_configuration(output_dir)
    if held is None:
        return
    earlier, today = maps_of(held[0]), maps_of(content)
    differences = [name for name in {**earlier, **today} if earlier.get(name) != today.get(name)]
    if differences and (any(output_dir.glob("models/*/card.json")) or has_results(output_dir)):
        usual = {option.key: option.absent for option in OPTIONS.values() if option.is_rare}  # not noted
        changes = "; ".join(
            f"{name}: {earlier.get(name, usual.get(name))} there, {today.get(name, usual.get(name))} now"
            for name in differences
        )
        raise UsageError(
            f"{output_dir}: holds results of another configuration ({changes}); "
            "choose another output_dir, or the same settings."
        )


def note_configuration(output_dir: Path, content: Mapping[str, Any], files: Mapping[str, str] | None = None) -> None:
    """Note in an output dataset which configuration it holds; one under which nothing was computed is replaced.

    Parameters
    ----------
    output_dir : Path
    content : mapping
        What `configuration` gives.
    files : mapping, optional
        Key of `content` to the path of the file that it knows by its content.

    Raises
    ------
    UsageError
        As `check_output`.
    """
    with Lock(output_dir / "logs" / ".claims" / "configuration.lock", "noting the configuration"):
        check_output(output_dir, content)
        held = read_configuration(output_dir)
        there: dict[str, str] = {}
        earlier: dict[str, dict[str, Any]] = {}
        if held is not None and has_results(output_dir):
            before, there = held
            # Another job may have added something since this one made its plan.
            scores = merged_scores(scores_of(before), scores_of(content))
            both = {**maps_of(content), **scores}
            content = {key: value for key, value in both.items() if not _is_usual(key, value, scores)}
            earlier = _earlier(output_dir) | {configuration_hash(before): before}
            earlier.pop(configuration_hash(content), None)
        kept = {key: path for key, path in {**there, **(files or {})}.items() if content.get(key)}
        notes = {_FILES: kept, _EARLIER: earlier}
        write_json(
            {**content, **{key: value for key, value in notes.items() if value}}, output_dir / CONFIGURATION_FILE
        )


def has_results(output_dir: Path, participant: str = "*") -> bool:
    """Tell whether anything of any run, or of those of a participant, is in the output dataset."""
    return any(output_dir.glob(f"sub-{participant}/**/func/*_desc-*"))


def model_checksum(folder: Path) -> str:
    """Give the checksum of a model's weights as its card has it, which loading the model verifies.

    Raises
    ------
    ModelError
        If there is no readable card with a checksum.
    """
    try:
        return str(read_card(folder)["WeightsSHA256"])
    except KeyError:
        raise ModelError(f"{folder}: its card has no WeightsSHA256; take an undamaged copy of the model.") from None


def file_checksum(path: Path) -> str:
    """Give a file's name and the first 12 digits of its SHA-256.

    Raises
    ------
    UsageError
        If the file cannot be read.
    """
    try:
        with open_regular(path) as file:
            return f"{path.name} sha256:{hashlib.file_digest(file, 'sha256').hexdigest()[:12]}"
    except InputError as error:
        raise UsageError(str(error)) from error
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror}).") from error
