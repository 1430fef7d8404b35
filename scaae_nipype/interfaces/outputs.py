"""Nipype interfaces of the output dataset: results under the names of the registry, reports of participants."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nipype.interfaces.base import File, InputMultiObject, OutputMultiObject, TraitedSpec, traits

from ..derivatives.names import ENTITY_ORDER, output_path, outputs, results_of, steps
from ..derivatives.sidecars import sidecar
from ..errors import UsageError, refuse_unequal
from ..files import read_json, replacing, write_json
from .base import FunctionInputSpec, FunctionInterface
from .traits import ExistingFile, ExistingFolder

__all__ = ["ParticipantReport", "SaveDerivatives"]

_BRANCHES = {
    entry["list"]: [meaning for meaning, other in outputs().items() if other.get("list") == entry["list"]]
    for entry in outputs().values()
    if "list" in entry
}
"""Inputs with a file per branch, and what each of these is in the registry."""


def _description(name: str) -> str:
    if name.endswith("_metadata"):
        return f"what the step {name.removesuffix('_metadata')} says about itself (JSON)"
    if name in _BRANCHES:
        return f"of branch 1 and 2: {outputs()[_BRANCHES[name][0]]['description']}"
    return str(outputs()[name]["description"])


class SaveDerivatives(FunctionInterface):
    """Copy results into the output dataset, each complete or not at all, its sidecar first."""

    class input_spec(FunctionInputSpec):
        base_directory = ExistingFolder(mandatory=True, nohash=True, desc="output dataset")
        entities = traits.Dict(traits.Str, traits.Str, mandatory=True, desc="entities of the input run (sub, task …)")
        sources = traits.List(traits.Str, desc="BIDS URIs of the files that the outputs come from")
        own_sources = traits.Dict(
            traits.Str, traits.List(traits.Str), desc="sources of single outputs, by their meaning"
        )
        spatial_reference = traits.Str(
            "n/a", usedefault=True, desc="BIDS URI of the image whose grid the outputs lie on"
        )
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
            given = {name: self.given(name) for name in _BRANCHES}
            refuse_unequal("branch", **given)
            for name, files in given.items():
                if files is not None and len(files) > len(_BRANCHES[name]):
                    raise UsageError(f"`{name}` has {len(files)} entries: there are two branches.")

    class output_spec(TraitedSpec):
        out_files = OutputMultiObject(File(exists=True), desc="files and sidecars in the output dataset")

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


for _name in results_of(*steps()):
    _text = _description(_name)
    SaveDerivatives.input_spec.add_class_trait(
        _name, InputMultiObject(ExistingFile(), desc=_text) if _name in _BRANCHES else ExistingFile(desc=_text)
    )


def _results_by_meaning(given: Mapping[str, Any]) -> dict[str, str]:
    results = {meaning: given[meaning] for meaning in outputs() if meaning in given}
    for name, meanings in _BRANCHES.items():
        results |= dict(zip(meanings, given.get(name, []), strict=False))
    return results


def _accounts(given: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    accounts = {step: read_json(given[f"{step}_metadata"]) for step in steps() if f"{step}_metadata" in given}
    if "model_metadata" in given:
        accounts["networks"] = accounts.get("networks", {}) | dict(given["model_metadata"])
    return accounts


def _header(path: str) -> list[str]:
    """Give the columns of a table, none of an image."""
    if not path.endswith(".tsv"):
        return []
    with Path(path).open(encoding="utf-8") as lines:
        return lines.readline().rstrip("\n").split("\t")


class ParticipantReport(FunctionInterface):
    """Write one self-contained HTML file about a participant."""

    class input_spec(FunctionInputSpec):
        output_dir = ExistingFolder(mandatory=True, nohash=True, desc="output dataset")
        participant = traits.Str(mandatory=True, desc="label, without sub-")

        def check_given(self) -> None:
            """See that this is a label."""
            participant = self.given("participant")
            if participant is None:
                return
            if not re.fullmatch(r"(?!sub-)[^/\\*?\[\]_]+", participant) or not participant.isprintable():
                raise UsageError(f"`participant` {participant}: must be a label of letters and digits, without sub-.")

    class output_spec(TraitedSpec):
        out_report = File(exists=True, desc="HTML report in the output dataset")

    _always_run = True  # it depends on the output dataset as it is now

    def _compute(self, given: dict[str, Any], folder: Path) -> dict[str, Any]:
        from ..report import participant_report

        dataset, participant = Path(given["output_dir"]), given["participant"]
        return {"out_report": participant_report(dataset, participant, dataset / f"sub-{participant}.html")}
