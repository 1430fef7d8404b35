"""The files of the group level: tables and maps over participants, each with a sidecar that describes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pandas as pd

from ...derivatives.names import group_outputs, group_path, shipped
from ...evaluation.group.group_tables import Question
from ...evaluation.group.state_maps import GroupStateMaps
from ...files import write_json, write_table
from ...images import image_4d, write_image
from ..output.dataset_files import ignore
from .group_inputs import GroupInputs

__all__ = ["describe_columns", "write_group"]


def write_group(
    root: Path,
    tables: Mapping[str, pd.DataFrame],
    maps: Mapping[str, GroupStateMaps],
    about_maps: Mapping[str, Any],
    inputs: GroupInputs,
    question: Question,
    notes: Sequence[str],
) -> None:
    """Write tables and maps, each with its sidecar, and remove those of an earlier call that are none of this one's."""
    account = {
        "GroupBy": question.group_by,
        "SiteColumn": question.site,
        "Covariates": [*(["mean_fd"] if inputs.data.runs["mean_fd"].notna().any() else []), *question.covariates],
        "ScoresCompared": _compared(tables.get("comparisons")),
        "Permutations": question.n_permutations,
        "Seed": question.seed,
        "ConfigurationHash": inputs.configuration,
        "ModelChecksum": inputs.model,
        "LeftOut": inputs.refused,
        "Missing": dict(inputs.missing.reasons),
        "Warnings": list(dict.fromkeys(notes)),
    }
    ignore(root)  # earlier versions knew no group level
    for meaning in group_outputs():
        target, beside = root / group_path(meaning), root / group_path(meaning, ".json")
        if meaning in tables:
            table = tables[meaning]
            description = group_outputs()[meaning]["description"]
            write_json({"Description": description, "Group": account} | describe_columns(table), beside)
            write_table(table, target)
        elif meaning in maps:
            content = {"Description": group_outputs()[meaning]["description"], "Group": account, **about_maps}
            content |= {"Resolution": "4 mm isotropic, the grid of the model", "SkullStripped": True}
            content |= {"Participants": maps[meaning].n_participants.tolist(), "SpatialReference": "n/a"}
            content |= {"MapsLeftOut": sorted(Path(path).name for path in maps[meaning].refused)}
            write_json(content, beside)
            write_image(image_4d(maps[meaning].values, maps[meaning].affine, 1.0), target)
        else:
            target.unlink(missing_ok=True)
            beside.unlink(missing_ok=True)


def _compared(comparisons: pd.DataFrame | None) -> str:
    """Say of scores with templates whether what they have above chance was compared, or they as they are.

    >>> _compared(pd.DataFrame({"family": ["occupancy", "best of 20, average_precision, above chance"]}))
    'above chance (surrogate templates)'
    """
    families = pd.Series(dtype=str) if comparisons is None else comparisons["family"].astype(str)
    if families.str.contains(", above chance").any():
        return "above chance (surrogate templates)"
    return "raw: chance was not measured" if families.str.contains(", raw").any() else "none"


def describe_columns(table: pd.DataFrame) -> dict[str, Any]:
    """Describe the columns of a group table as far as they are known; features of the code by their pattern only.

    >>> describe_columns(pd.DataFrame(columns=["level", "unheard-of"]))
    {'level': {'Description': 'Value in that column'}}
    """
    columns = shipped("group_columns")
    known: dict[str, Any] = {}
    for name in map(str, table):
        pattern = next((pattern for pattern in columns if fnmatch(name, pattern)), None)
        if pattern is not None:
            known[pattern if name.startswith(("mean_code", "cov_")) else name] = columns[pattern]
    return known
