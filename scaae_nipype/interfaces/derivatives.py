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

_METADATA = {"preparation_metadata": "Preparation", "networks_metadata": "Model", "evaluation_metadata": "Evaluation"}
"""Under which key of a sidecar the account of a step goes."""

_FROM_NETWORK = ("fbn1", "fbn2", "fbn1signed", "fbn2signed", "channelweights", "code")
_FROM_EVALUATION = ("templateiou", "overlap", "gradualchange")


@cache
def _columns() -> dict[str, Any]:
    return json.loads((resources.files("scaae_nipype.data") / "columns.json").read_text(encoding="utf-8"))


def describe_columns(names: list[str]) -> dict[str, Any]:
    """Describe the columns of a table as far as they are known (``data/columns.json``).

    >>> describe_columns(["lag_seconds", "something"])
    {'lag_seconds': {'Description': 'Distance in time', 'Units': 's'}}
    """
    known = {}
    for name in names:
        pattern = next((pattern for pattern in _columns() if fnmatch(name, pattern)), None)
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
        ``Preparation``, ``Model``, ``Evaluation``: what each step said about itself.
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
            content |= {"SkullStripped": True, **({"RepetitionTime": repetition_time} if repetition_time else {})}
    relevant = ["Preparation", "Model"] if meaning in _FROM_NETWORK + _FROM_EVALUATION else ["Preparation"]
    content |= {key: dict(accounts[key]) for key in relevant if key in accounts}
    if meaning in _FROM_EVALUATION:
        content |= accounts.get("Evaluation", {})
    return content | describe_columns(columns)


class _SaveDerivativesInputSpec(BaseInterfaceInputSpec):
    base_directory = Directory(exists=True, mandatory=True, desc="output dataset")
    entities = traits.Dict(traits.Str, traits.Str, mandatory=True, desc="entities of the input run (sub, task …)")
    sources = traits.List(traits.Str, desc="BIDS URIs of the files that the outputs come from")
    spatial_reference = traits.Str("n/a", usedefault=True, desc="BIDS URI of the image whose grid the outputs lie on")
    fbn_maps = InputMultiObject(File(exists=True), desc="FBNs of branch 1 and 2, after equation 9")
    signed_maps = InputMultiObject(File(exists=True), desc="the same before equation 9")
    region = File(exists=True, desc="evaluation region")
    samples = File(exists=True, desc="table of volumes")
    channelweights = File(exists=True, desc="channel weights of every volume")
    code = File(exists=True, desc="code of every volume")
    templateiou = File(exists=True, desc="IoU of every volume with every template")
    overlap = File(exists=True, desc="overlap with templates over the run")
    gradualchange = File(exists=True, desc="overlap of volumes a lag apart")
    preparation_metadata = File(exists=True, desc="how the run was prepared (JSON)")
    networks_metadata = File(exists=True, desc="which model made the networks (JSON)")
    evaluation_metadata = File(exists=True, desc="which templates they were compared with (JSON)")
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
        written = []
        for meaning, source in self._results_by_meaning().items():
            target = Path(self.inputs.base_directory) / output_path(self.inputs.entities, meaning)
            beside = Path(self.inputs.base_directory) / output_path(self.inputs.entities, meaning, ".json")
            content = sidecar(
                meaning,
                accounts=accounts,
                sources=self.inputs.sources if isdefined(self.inputs.sources) else [],
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
        for ending, field in (("", "fbn_maps"), ("signed", "signed_maps")):
            results |= {f"fbn{n}{ending}": path for n, path in enumerate(given.get(field, []), start=1)}
        return results

    def _accounts(self) -> dict[str, dict[str, Any]]:
        accounts = {
            key: read_json(getattr(self.inputs, field))
            for field, key in _METADATA.items()
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
