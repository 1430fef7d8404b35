"""Nipype interface that puts a run's results into the output dataset, under the names of the registry."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from fnmatch import fnmatch
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from nipype.interfaces.base import File, InputMultiObject, OutputMultiObject, TraitedSpec, traits

from ..derivatives.names import ENTITY_ORDER, output_path, outputs
from ..errors import UsageError, refuse_unequal
from ..files import read_json, replacing, write_json
from .base import FunctionInputSpec, FunctionInterface
from .checked import ExistingFile, ExistingFolder

__all__ = ["SaveDerivatives", "describe_columns", "sidecar"]

_NESTED = {"preparation_metadata": "Preparation", "networks_metadata": "Model"}
"""Under which key of a sidecar the account of a step goes."""

_FLAT = ("evaluation", "states", "baselines", "regions", "events", "matches", "dynamics_null")
"""Steps of the evaluation, whose accounts are part of the sidecars that the registry says (``account``)."""

_PER_BRANCH = {"fbn_maps": "fbn{}", "signed_maps": "fbn{}signed", "state_maps": "fbn{}states"}
_PER_BRANCH |= {"region_tables": "fbn{}regions"}
"""Inputs with a file per branch, and what the registry calls them."""


@cache
def _columns() -> dict[str, Any]:
    return json.loads((resources.files("scaae_nipype.data") / "columns.json").read_text(encoding="utf-8"))


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
    known = {}
    for name in names:
        candidates = (f"{meaning}/{name}", name)
        pattern = next((key for own in candidates for key in _columns() if fnmatch(own, key)), None)
        if pattern is not None:
            known[name] = _columns()[pattern]
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
        ``Preparation``, ``Model`` and the steps of the evaluation: what each step said about itself.
    sources : list of str
        BIDS URIs.
    spatial_reference : str
        BIDS URI of the image whose grid the outputs lie on.
    columns : list of str
        Of a table.
    """
    entry = outputs()[meaning]
    is_image = entry["extension"].startswith(".nii")
    content: dict[str, Any] = {"Description": entry["description"], "Sources": sources}
    if is_image:
        content |= {"SpatialReference": spatial_reference, "Resolution": "4 mm isotropic, the grid of the model"}
        repetition_time = accounts.get("Preparation", {}).get("RepetitionTime")
        if entry["suffix"] == "mask":
            content["Type"] = "Brain"
        else:
            over_time = repetition_time and entry.get("account") != "states"  # a state map per volume of the image
            content |= {"SkullStripped": True, **({"RepetitionTime": repetition_time} if over_time else {})}
    content |= {key: dict(accounts[key]) for key in entry["from"] if key in accounts}
    content |= accounts.get(entry.get("account", ""), {})
    return content | describe_columns(columns, meaning)


class _SaveDerivativesInputSpec(FunctionInputSpec):
    base_directory = ExistingFolder(mandatory=True, nohash=True, desc="output dataset")
    entities = traits.Dict(traits.Str, traits.Str, mandatory=True, desc="entities of the input run (sub, task …)")
    sources = traits.List(traits.Str, desc="BIDS URIs of the files that the outputs come from")
    own_sources = traits.Dict(traits.Str, traits.List(traits.Str), desc="sources of single outputs, by their meaning")
    spatial_reference = traits.Str("n/a", usedefault=True, desc="BIDS URI of the image whose grid the outputs lie on")
    fbn_maps = InputMultiObject(ExistingFile(), desc="FBNs of branch 1 and 2, after equation 9")
    signed_maps = InputMultiObject(ExistingFile(), desc="the same before equation 9")
    region = ExistingFile(desc="evaluation region")
    samples = ExistingFile(desc="table of volumes")
    channelweights = ExistingFile(desc="channel weights of every volume")
    code = ExistingFile(desc="code of every volume")
    templateiou = ExistingFile(desc="IoU of every volume with every template")
    overlap = ExistingFile(desc="overlap with templates over the run")
    thresholdcurve = ExistingFile(desc="IoU with templates at other thresholds")
    gradualchange = ExistingFile(desc="overlap of volumes a lag apart")
    templatescores = ExistingFile(desc="the score that decides on states, of every volume and template")
    states = ExistingFile(desc="state of every volume")
    statemetrics = ExistingFile(desc="occupancy and dwell times")
    transitions = ExistingFile(desc="transitions between states")
    state_maps = InputMultiObject(ExistingFile(), desc="mean maps of the states, of branch 1 and 2")
    baselines = ExistingFile(desc="overlap of what needs no trained network")
    region_tables = InputMultiObject(ExistingFile(), desc="mean network per region, of branch 1 and 2")
    events = ExistingFile(desc="states and scores locked to a task")
    matchp = ExistingFile(desc="p of every volume's match with every template")
    matches = ExistingFile(desc="best matches with templates, held against surrogate templates")
    dynamicsnull = ExistingFile(desc="dynamics held against surrogates of the run")
    preparation_metadata = ExistingFile(desc="how the run was prepared (JSON)")
    networks_metadata = ExistingFile(desc="which model made the networks (JSON)")
    evaluation_metadata = ExistingFile(desc="which templates they were compared with (JSON)")
    states_metadata = ExistingFile(desc="by which rule states were assigned (JSON)")
    baselines_metadata = ExistingFile(desc="which baselines there are (JSON)")
    regions_metadata = ExistingFile(desc="which atlas the regions are of (JSON)")
    events_metadata = ExistingFile(desc="how the task was tested (JSON)")
    matches_metadata = ExistingFile(desc="how matches were tested, and what p means (JSON)")
    dynamics_null_metadata = ExistingFile(desc="how dynamics were tested, and what a rejection means (JSON)")
    model_metadata = traits.Dict(desc="more about the model, for the sidecars")

    def check_given(self) -> None:
        """See that results can be named."""
        entities, own_sources = self.given("entities", "own_sources")
        unknown = [key for key in entities or {} if key not in ENTITY_ORDER]
        if unknown:
            raise UsageError(f"`entities`: {unknown[0]} is no short key of a BIDS entity (sub, ses, task, run …).")
        if entities is not None and not entities.get("sub"):
            raise UsageError("`entities`: sub, the participant's label, is missing.")
        unknown = [meaning for meaning in own_sources or {} if meaning not in outputs()]
        if unknown:
            raise UsageError(f"`own_sources`: {unknown[0]} is no output; choose from {', '.join(outputs())}.")

    def check_ready(self) -> None:
        """See that there is a file for each branch."""
        given = {name: self.given(name) for name in _PER_BRANCH}
        refuse_unequal("branch", **given)
        for name, files in given.items():
            if files is not None and _PER_BRANCH[name].format(len(files)) not in outputs():
                raise UsageError(f"`{name}` has {len(files)} entries: there are two branches.")


class _SaveDerivativesOutputSpec(TraitedSpec):
    out_files = OutputMultiObject(File(exists=True), desc="files and sidecars in the output dataset")


class SaveDerivatives(FunctionInterface):
    """Copy results into the output dataset, each complete or not at all, its sidecar first."""

    input_spec = _SaveDerivativesInputSpec
    output_spec = _SaveDerivativesOutputSpec
    _always_run = True  # the output dataset can change without this node knowing

    def _compute(self, given: dict[str, Any], folder: Path) -> dict[str, Any]:
        accounts, own_sources = _accounts(given), given.get("own_sources", {})
        written = []
        for meaning, source in _results_by_meaning(given).items():
            target = Path(given["base_directory"]) / output_path(given["entities"], meaning)
            beside = Path(given["base_directory"]) / output_path(given["entities"], meaning, ".json")
            content = sidecar(
                meaning,
                accounts=accounts,
                sources=own_sources.get(meaning, given.get("sources", [])),
                spatial_reference=given["spatial_reference"],
                columns=_header(source),
            )
            written.append(write_json(content, beside))
            with replacing(target) as temporary:
                shutil.copyfile(source, temporary)
            written.append(target)
        return {"out_files": written}


def _results_by_meaning(given: Mapping[str, Any]) -> dict[str, str]:
    results = {name: given[name] for name in outputs() if name in given}
    for field, meaning in _PER_BRANCH.items():
        results |= {meaning.format(n): path for n, path in enumerate(given.get(field, []), start=1)}
    return results


def _accounts(given: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    keys = _NESTED | {f"{step}_metadata": step for step in _FLAT}
    accounts = {key: read_json(given[field]) for field, key in keys.items() if field in given}
    if "model_metadata" in given:
        accounts["Model"] = accounts.get("Model", {}) | dict(given["model_metadata"])
    return accounts


def _header(path: str) -> list[str]:
    """Give the columns of a table, none of an image."""
    if not path.endswith(".tsv"):
        return []
    with Path(path).open(encoding="utf-8") as lines:
        return lines.readline().rstrip("\n").split("\t")
