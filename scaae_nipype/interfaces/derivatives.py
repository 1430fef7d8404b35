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

from nipype.interfaces.base import (
    BaseInterfaceInputSpec,
    Directory,
    File,
    InputMultiObject,
    OutputMultiObject,
    SimpleInterface,
    TraitedSpec,
    isdefined,
    traits,
)

from ..files import read_json, replacing, write_json
from ..names import output_path, outputs

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


class _SaveDerivativesInputSpec(BaseInterfaceInputSpec):
    base_directory = Directory(exists=True, mandatory=True, desc="output dataset")
    entities = traits.Dict(traits.Str, traits.Str, mandatory=True, desc="entities of the input run (sub, task …)")
    sources = traits.List(traits.Str, desc="BIDS URIs of the files that the outputs come from")
    own_sources = traits.Dict(traits.Str, traits.List(traits.Str), desc="sources of single outputs, by their meaning")
    spatial_reference = traits.Str("n/a", usedefault=True, desc="BIDS URI of the image whose grid the outputs lie on")
    fbn_maps = InputMultiObject(File(exists=True), desc="FBNs of branch 1 and 2, after equation 9")
    signed_maps = InputMultiObject(File(exists=True), desc="the same before equation 9")
    region = File(exists=True, desc="evaluation region")
    samples = File(exists=True, desc="table of volumes")
    channelweights = File(exists=True, desc="channel weights of every volume")
    code = File(exists=True, desc="code of every volume")
    templateiou = File(exists=True, desc="IoU of every volume with every template")
    overlap = File(exists=True, desc="overlap with templates over the run")
    thresholdcurve = File(exists=True, desc="IoU with templates at other thresholds")
    gradualchange = File(exists=True, desc="overlap of volumes a lag apart")
    templatescores = File(exists=True, desc="the score that decides on states, of every volume and template")
    states = File(exists=True, desc="state of every volume")
    statemetrics = File(exists=True, desc="occupancy and dwell times")
    transitions = File(exists=True, desc="transitions between states")
    state_maps = InputMultiObject(File(exists=True), desc="mean maps of the states, of branch 1 and 2")
    baselines = File(exists=True, desc="overlap of what needs no trained network")
    region_tables = InputMultiObject(File(exists=True), desc="mean network per region, of branch 1 and 2")
    events = File(exists=True, desc="states and scores locked to a task")
    matchp = File(exists=True, desc="p of every volume's match with every template")
    matches = File(exists=True, desc="best matches with templates, held against surrogate templates")
    dynamicsnull = File(exists=True, desc="dynamics held against surrogates of the run")
    preparation_metadata = File(exists=True, desc="how the run was prepared (JSON)")
    networks_metadata = File(exists=True, desc="which model made the networks (JSON)")
    evaluation_metadata = File(exists=True, desc="which templates they were compared with (JSON)")
    states_metadata = File(exists=True, desc="by which rule states were assigned (JSON)")
    baselines_metadata = File(exists=True, desc="which baselines there are (JSON)")
    regions_metadata = File(exists=True, desc="which atlas the regions are of (JSON)")
    events_metadata = File(exists=True, desc="how the task was tested (JSON)")
    matches_metadata = File(exists=True, desc="how matches were tested, and what p means (JSON)")
    dynamics_null_metadata = File(exists=True, desc="how dynamics were tested, and what a rejection means (JSON)")
    model_metadata = traits.Dict(desc="more about the model, for the sidecars")


class _SaveDerivativesOutputSpec(TraitedSpec):
    out_files = OutputMultiObject(File(exists=True), desc="files and sidecars in the output dataset")


class SaveDerivatives(SimpleInterface):
    """Copy results into the output dataset, each complete or not at all, its sidecar first."""

    input_spec = _SaveDerivativesInputSpec
    output_spec = _SaveDerivativesOutputSpec
    _always_run = True  # the output dataset can change without this node knowing

    def _run_interface(self, runtime):
        accounts = self._accounts()
        sources = self.inputs.sources if isdefined(self.inputs.sources) else []
        own_sources = self.inputs.own_sources if isdefined(self.inputs.own_sources) else {}
        written = []
        for meaning, source in self._results_by_meaning().items():
            target = Path(self.inputs.base_directory) / output_path(self.inputs.entities, meaning)
            beside = Path(self.inputs.base_directory) / output_path(self.inputs.entities, meaning, ".json")
            content = sidecar(
                meaning,
                accounts=accounts,
                sources=own_sources.get(meaning, sources),
                spatial_reference=self.inputs.spatial_reference,
                columns=_header(source),
            )
            written.append(str(write_json(content, beside)))
            with replacing(target) as temporary:
                shutil.copyfile(source, temporary)
            written.append(str(target))
        self._results["out_files"] = written
        return runtime

    def _results_by_meaning(self) -> dict[str, str]:
        given = {name: value for name, value in self.inputs.get().items() if isdefined(value)}
        results = {name: given[name] for name in outputs() if name in given}
        for field, meaning in _PER_BRANCH.items():
            results |= {meaning.format(n): path for n, path in enumerate(given.get(field, []), start=1)}
        return results

    def _accounts(self) -> dict[str, dict[str, Any]]:
        keys = _NESTED | {f"{step}_metadata": step for step in _FLAT}
        accounts = {
            key: read_json(getattr(self.inputs, field))
            for field, key in keys.items()
            if isdefined(getattr(self.inputs, field))
        }
        if isdefined(self.inputs.model_metadata):
            accounts["Model"] = accounts.get("Model", {}) | dict(self.inputs.model_metadata)
        return accounts


def _header(path: str) -> list[str]:
    """Give the columns of a table, none of an image."""
    if not path.endswith(".tsv"):
        return []
    with Path(path).open(encoding="utf-8") as lines:
        return lines.readline().rstrip("\n").split("\t")
