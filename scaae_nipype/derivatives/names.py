"""The one registry that maps what a file means to how it is called (``data/outputs.json``)."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from functools import cache
from importlib import resources
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import Any

__all__ = [
    "ENTITY_ORDER",
    "group_outputs",
    "group_path",
    "output_name",
    "output_path",
    "outputs",
    "participant_of",
    "results_of",
    "run_folder",
    "run_stem",
    "shipped",
    "steps",
]

ENTITY_ORDER = (
    *("sub", "ses", "sample", "task", "tracksys", "acq", "ce", "trc", "stain", "rec", "dir", "run", "mod", "echo"),
    *("flip", "inv", "mt", "part", "proc", "hemi", "space", "cohort", "split", "recording", "chunk", "atlas", "seg"),
    *("res", "den", "label", "desc"),
)
"""Order of entities in a file name (BIDS 1.10)."""

_PLACES = {key: place for place, key in enumerate(ENTITY_ORDER)}


@cache
def outputs() -> Mapping[str, Mapping[str, Any]]:
    """Give the registry: meaning to entities, suffix, extension, description and the step that makes it.

    The label of a file is its meaning without underscores, but for an entry that has one of its own (``label``). Where
    there is one for each branch, ``list`` names them together.

    >>> outputs()["template_iou"]["entities"]
    {'desc': 'templateiou'}
    """
    return MappingProxyType(
        {meaning: {"entities": _own(meaning, one), **one} for meaning, one in shipped("outputs").items()}
    )


@cache
def group_outputs() -> Mapping[str, Mapping[str, Any]]:
    """Give the registry of the group level's tables and images: meaning to entities, suffix and description."""
    every = {meaning: {"extension": ".tsv", **one} for meaning, one in shipped("group_outputs").items()}
    return MappingProxyType({meaning: {"entities": _own(meaning, one), **one} for meaning, one in every.items()})


@cache
def shipped(name: str) -> dict[str, Any]:
    """Read a JSON object that ships with the package (``data/NAME.json``)."""
    text = (resources.files("scaae_nipype.data") / f"{name}.json").read_text(encoding="utf-8")
    content: dict[str, Any] = json.loads(text)
    return content


def _own(meaning: str, entry: Mapping[str, Any]) -> dict[str, str]:
    """Give the entities that an output does not have of its run; images lie on the model's grid of 4 mm."""
    label = entry.get("label", meaning.replace("_", ""))
    return {"res": "4", "desc": label} if entry["extension"] == ".nii.gz" else {"desc": label}


def steps() -> tuple[str, ...]:
    """List the steps that outputs come from."""
    return tuple(dict.fromkeys(entry["step"] for entry in outputs().values()))


def results_of(*names: str) -> tuple[str, ...]:
    """List what steps give: their outputs, one name where there is a file for each branch, and an account of each.

    >>> results_of("states")
    ('states', 'state_metrics', 'transitions', 'state_maps', 'states_metadata')
    """
    found = []
    for step in names:
        own = (entry.get("list", meaning) for meaning, entry in outputs().items() if entry["step"] == step)
        found += [*dict.fromkeys(own), f"{step}_metadata"]
    return tuple(found)


def group_path(meaning: str, extension: str | None = None) -> PurePosixPath:
    """Name an output of the group level with its folder below the output dataset.

    >>> str(group_path("overlap"))
    'group/group_desc-overlap_metrics.tsv'
    >>> str(group_path("fbn1_states"))
    'group/group_res-4_desc-fbn1states_boldmap.nii.gz'
    """
    entry = group_outputs()[meaning]
    return PurePosixPath(
        "group", f"group_{_join(entry['entities'])}_{entry['suffix']}{extension or entry['extension']}"
    )


def run_stem(entities: Mapping[str, str]) -> str:
    """Join entities in the order of BIDS, labels verbatim; ``res`` and ``desc`` of the input are left out.

    >>> run_stem({"task": "rest", "sub": "01", "run": "01", "space": "MNI152NLin6Asym", "desc": "preproc"})
    'sub-01_task-rest_run-01_space-MNI152NLin6Asym'
    """
    return _join({key: value for key, value in entities.items() if key not in ("res", "desc")})


def node_name(stem: str) -> str:
    """Make a name that Nipype accepts for a node, another one for every stem.

    >>> node_name("sub-01_task-rest_run-1")
    'sub_01_task_rest_run_1'
    >>> node_name("sub-a b"), node_name("sub-a+b")
    ('sub_a_b_15ceb7', 'sub_a_b_000051')
    """
    plain = re.sub(r"[^0-9A-Za-z_]", "_", stem)
    if re.fullmatch(r"[0-9A-Za-z_-]+", stem):
        return plain
    return f"{plain}_{hashlib.sha256(stem.encode('utf-8', 'surrogateescape')).hexdigest()[:6]}"


def participant_of(stem: str) -> str:
    """Give the participant's label in the stem of a run.

    >>> participant_of("sub-01_task-rest")
    '01'
    """
    return stem.partition("_")[0].removeprefix("sub-")


def output_name(entities: Mapping[str, str], meaning: str, extension: str | None = None) -> str:
    """Name an output of a run.

    Parameters
    ----------
    entities : mapping
        Entities of the input run, by their short keys (``sub``, ``task`` …).
    meaning : str
        A key of the registry.
    extension : str, optional
        Another extension than the registry's (``".json"`` for the sidecar).

    >>> output_name({"sub": "01", "task": "rest", "res": "2", "desc": "preproc"}, "fbn1")
    'sub-01_task-rest_res-4_desc-fbn1_boldmap.nii.gz'
    >>> output_name({"sub": "01", "task": "rest"}, "overlap", ".json")
    'sub-01_task-rest_desc-overlap_metrics.json'
    """
    entry = outputs()[meaning]
    kept = {key: value for key, value in entities.items() if key not in ("res", "desc")}
    return f"{_join({**kept, **entry['entities']})}_{entry['suffix']}{extension or entry['extension']}"


def output_path(entities: Mapping[str, str], meaning: str, extension: str | None = None) -> PurePosixPath:
    """Name an output of a run with its folder below the output dataset.

    >>> str(output_path({"sub": "01", "ses": "a", "task": "rest"}, "samples"))
    'sub-01/ses-a/func/sub-01_ses-a_task-rest_desc-samples_timeseries.tsv'
    """
    return run_folder(entities) / output_name(entities, meaning, extension)


def run_folder(entities: Mapping[str, str]) -> PurePosixPath:
    """Name the folder of a run below its dataset."""
    session = [f"ses-{entities['ses']}"] if "ses" in entities else []
    return PurePosixPath(f"sub-{entities['sub']}", *session, "func")


def _join(entities: Mapping[str, str]) -> str:
    keys = sorted(entities, key=lambda key: (_PLACES.get(key, len(_PLACES)), key))
    return "_".join([f"{key}-{entities[key]}" for key in keys])
