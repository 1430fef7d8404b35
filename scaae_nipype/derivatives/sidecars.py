"""What a sidecar says about an output: where it comes from, what every step did, what the columns of a table mean."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatch
from typing import Any

from .names import outputs, shipped

__all__ = ["describe_columns", "sidecar"]

_NESTED = {"preparation": "Preparation", "networks": "Model"}
"""Under which key the accounts of the first steps go; that of a later one is part of the sidecars of its outputs."""


def describe_columns(names: list[str], meaning: str = "") -> dict[str, Any]:
    """Describe the columns of a table as far as they are known (``data/columns.json``).

    Parameters
    ----------
    names : list of str
    meaning : str
        Of the table: what is said of its columns (``meaning/pattern``) goes before what is said of any table's.

    >>> describe_columns(["lag_seconds", "something"])
    {'lag_seconds': {'Description': 'Distance in time', 'Units': 's'}}
    >>> describe_columns(["fbn1_score"], "states")["fbn1_score"]["Description"]
    'Score (see Score) of that template'
    """
    columns = shipped("columns")
    known: dict[str, Any] = {}
    for name in names:
        candidates = (f"{meaning}/{name}", name)
        pattern = next((key for own in candidates for key in columns if fnmatch(own, key)), None)
        if pattern is not None:
            known[name] = columns[pattern]
    return known


def sidecar(
    meaning: str,
    *,
    accounts: Mapping[str, Mapping[str, Any]],
    sources: list[str],
    spatial_reference: str,
    columns: list[str],
) -> dict[str, Any]:
    """Write what a BIDS sidecar has to say about one output.

    Parameters
    ----------
    meaning : str
        Key of the registry.
    accounts : mapping
        Step to what it said about itself.
    sources : list of str
        BIDS URIs.
    spatial_reference : str
        BIDS URI of the image whose grid the outputs lie on.
    columns : list of str
        Of a table.
    """
    entry = outputs()[meaning]
    content: dict[str, Any] = {"Description": entry["description"], "Sources": sources}
    if entry["extension"].startswith(".nii"):
        content |= {"SpatialReference": spatial_reference, "Resolution": "4 mm isotropic, the grid of the model"}
        repetition_time = accounts.get("preparation", {}).get("RepetitionTime")
        if entry["suffix"] == "mask":
            content["Type"] = "Brain"
        else:
            over_time = repetition_time and entry["step"] != "states"  # a state map per volume of the image
            content |= {"SkullStripped": True, **({"RepetitionTime": repetition_time} if over_time else {})}
    before = ("preparation",) if entry["step"] == "preparation" else ("preparation", "networks")
    content |= {_NESTED[step]: dict(accounts[step]) for step in before if step in accounts}
    if entry["step"] not in before:
        content |= accounts.get(entry["step"], {})
    return content | describe_columns(columns, meaning)
