"""Nipype interfaces of the evaluation: templates, gradual change, states, events, baselines, regions."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, get_args

from nipype.interfaces.base import File, InputMultiObject, OutputMultiObject, TraitedSpec, traits

from ..errors import UsageError, refuse_unequal
from ..evaluation.baselines.candidates import BASELINES
from ..evaluation.scores.rules import RULES
from ..evaluation.templates.template_set import Kind
from .base import FunctionInputSpec, FunctionInterface, limit_threads
from .checked import Device, ExistingFile, ModelFolder, Quantity, Templates
from .model import DEVICE, LARGEST_SEED
from .preparation import LONGEST_REPETITION_TIME

__all__ = ["AssignStates", "GradualChange", "LockToEvents", "MatchTemplates", "RegionTimeCourses", "ScoreBaselines"]

LONGEST_LAG = 3600.0
"""In s."""

MODES = ("calibrated", tuple(RULES))
"""The default, and what is possible."""

_KINDS = ("auto", *get_args(Kind))

_MODE = {"usedefault": True, "desc": "which score decides on states, and from where on"}

_TABLES_BESIDE = (".tsv", ".csv", ".txt", ".json")


class _VolumesInputSpec(FunctionInputSpec):
    in_file = ExistingFile(mandatory=True, desc="prepared run, z-scored, on the model's grid")
    in_mask = ExistingFile(mandatory=True, desc="evaluation region of the run")
    in_samples = ExistingFile(mandatory=True, desc="table that says which volumes were kept")


class _MapsInputSpec(_VolumesInputSpec):
    fbn_maps = InputMultiObject(
        ExistingFile(), mandatory=True, desc="4D FBN maps after equation 9, one image per branch"
    )


class _TemplatesInputSpec(FunctionInputSpec):
    _read_beside: ClassVar = {"templates": _TABLES_BESIDE}

    templates = Templates("default", usedefault=True, desc="'default', 'smith2009', or a 4D or label image")
    template_labels = ExistingFile(desc="table with the names (and indices) of the templates")
    template_kind = traits.Enum(*_KINDS, usedefault=True, desc="what the image of templates holds (auto: recognised)")
    grid_mask = ExistingFile(desc="the model's brain mask; the shipped one by default")


class _MatchTemplatesInputSpec(_MapsInputSpec, _TemplatesInputSpec):
    mode = traits.Enum(*MODES, **_MODE)
    num_threads = traits.Range(low=1, value=1, usedefault=True, nohash=True, desc="methods scored side by side")


class _MatchTemplatesOutputSpec(TraitedSpec):
    out_iou = File(exists=True, desc="IoU of every volume, branch and template")
    out_overlap = File(exists=True, desc="scores over the run, per method and template")
    out_scores = File(exists=True, desc="the score that decides on states, of every volume and template")
    out_thresholds = File(exists=True, desc="IoU at other thresholds, per method and template")
    out_metadata = File(exists=True, desc="JSON: templates, threshold, warnings")


class MatchTemplates(FunctionInterface):
    """Score every FBN volume, and the volume itself, against a set of network templates."""

    input_spec = _MatchTemplatesInputSpec
    output_spec = _MatchTemplatesOutputSpec

    def _compute(self, given: dict[str, Any], folder: Path) -> dict[str, Any]:
        from ..evaluation import score_run

        return dict(
            zip(
                ("out_iou", "out_overlap", "out_metadata", "out_scores", "out_thresholds"),
                score_run(**given, out_dir=folder),
                strict=True,
            )
        )


class _GradualChangeInputSpec(_MapsInputSpec):
    longest_lag = Quantity(0, LONGEST_LAG, "s", 20.0, usedefault=True, desc="end of the lag curve, in s")


class _GradualChangeOutputSpec(TraitedSpec):
    out_table = File(exists=True, desc="overlap of maps a lag apart, per method and lag")


class GradualChange(FunctionInterface):
    """Measure how much of every FBN is left some volumes later."""

    input_spec = _GradualChangeInputSpec
    output_spec = _GradualChangeOutputSpec

    def _compute(self, given: dict[str, Any], folder: Path) -> dict[str, Any]:
        from ..evaluation import change_gradually

        return {"out_table": change_gradually(**given, out_dir=folder)}


class _AssignStatesInputSpec(_MapsInputSpec, _TemplatesInputSpec):
    signed_maps = InputMultiObject(
        ExistingFile(), desc="4D FBN maps before equation 9, one image per branch, in the order of fbn_maps"
    )
    mode = traits.Enum(*MODES, **_MODE)
    cutoff = Quantity(0, 1, "", xor=["cutoffs"], desc="the least score of a state, instead of the mode's")
    cutoffs = ExistingFile(xor=["cutoff"], desc="JSON of CheckMatches: the least score of a state, per method")
    scores = ExistingFile(desc="scores of every volume (MatchTemplates, same mode); computed if not given")

    def check_ready(self) -> None:
        """See that there is a signed map for each of the others."""
        refuse_unequal("branch", fbn_maps=self.fbn_maps, signed_maps=self.given("signed_maps"))


class _AssignStatesOutputSpec(TraitedSpec):
    out_states = File(exists=True, desc="state, best template, score and margin of every volume")
    out_metrics = File(exists=True, desc="occupancy, dwell times and visits, per method and state")
    out_transitions = File(exists=True, desc="counts and probabilities of transitions, per method")
    out_maps = OutputMultiObject(File(exists=True), desc="mean map of each state, one 4D image per branch")
    out_metadata = File(exists=True, desc="JSON: rule, entropies, states never visited, warnings")


class AssignStates(FunctionInterface):
    """Name the network that shows at each volume, how long it stays and what follows it."""

    input_spec = _AssignStatesInputSpec
    output_spec = _AssignStatesOutputSpec

    def _compute(self, given: dict[str, Any], folder: Path) -> dict[str, Any]:
        from ..evaluation import assign_states_of_run

        return dict(
            zip(
                ("out_states", "out_metrics", "out_transitions", "out_maps", "out_metadata"),
                assign_states_of_run(**given, out_dir=folder),
                strict=True,
            )
        )


class _LockToEventsInputSpec(FunctionInputSpec):
    states = ExistingFile(mandatory=True, desc="states of every volume (AssignStates)")
    scores = ExistingFile(mandatory=True, desc="scores of every volume (MatchTemplates)")
    events = ExistingFile(mandatory=True, desc="BIDS table of events")
    repetition_time = Quantity(0, LONGEST_REPETITION_TIME, "s", exclude_low=True, mandatory=True, desc="in s, not ms")
    start_time = Quantity(
        -LONGEST_REPETITION_TIME,
        LONGEST_REPETITION_TIME,
        "s",
        0.0,
        usedefault=True,
        desc="when in the repetition time a volume counts as taken, in s",
    )


class _LockToEventsOutputSpec(TraitedSpec):
    out_table = File(exists=True, desc="states and scores locked to each condition")
    out_metadata = File(exists=True, desc="JSON: conditions, response, test, warnings")


class LockToEvents(FunctionInterface):
    """Test whether states and scores follow the conditions of a task."""

    input_spec = _LockToEventsInputSpec
    output_spec = _LockToEventsOutputSpec

    def _compute(self, given: dict[str, Any], folder: Path) -> dict[str, Any]:
        from ..evaluation import lock_to_events

        names = ("out_table", "out_metadata")
        return dict(zip(names, lock_to_events(**given, out_dir=folder), strict=True))


_OF_MODEL = {"context", "untrained"}
"""Baselines that are parts of a model."""


class _ScoreBaselinesInputSpec(_VolumesInputSpec, _TemplatesInputSpec):
    names = traits.List(traits.Enum(*BASELINES), mandatory=True, minlen=1, desc="baselines to compute")
    codes = ExistingFile(desc="table with an encoder's features per volume (ExtractNetworks), for encoder_lasso")
    model_dir = ModelFolder(desc="model folder, for its context and the same network before training")
    device = Device("auto", **DEVICE)
    num_threads = traits.Range(
        low=0, value=0, usedefault=True, nohash=True, desc="CPU threads of the network (0: torch decides)"
    )
    n_components = traits.Range(low=1, value=20, usedefault=True, desc="components of the decompositions")
    seed = traits.Range(low=0, high=LARGEST_SEED, value=0, usedefault=True, desc="seed of the decompositions")

    def check_ready(self) -> None:
        """See that what the baselines are made of is there."""
        model_dir, codes = self.given("model_dir", "codes")
        for needed, given, needing in (("model_dir", model_dir, _OF_MODEL), ("codes", codes, {"encoder_lasso"})):
            waiting = [name for name in self.names if name in needing]
            if waiting and given is None:
                raise UsageError(f"the baseline {waiting[0]} needs `{needed}`: give it, or leave the baseline out.")


class _ScoreBaselinesOutputSpec(TraitedSpec):
    out_overlap = File(exists=True, desc="scores over the run, per method and template")
    out_metadata = File(exists=True, desc="JSON: templates, warnings")


class ScoreBaselines(FunctionInterface):
    """Score filters, linear denoisers and decompositions of the prepared run as the networks' maps are."""

    input_spec = _ScoreBaselinesInputSpec
    output_spec = _ScoreBaselinesOutputSpec

    def _compute(self, given: dict[str, Any], folder: Path) -> dict[str, Any]:
        from ..evaluation import score_baselines

        network = {name: given.pop(name) for name in ("model_dir", "device", "num_threads") if name in given}
        if "model_dir" in network and _OF_MODEL & {*given["names"]}:
            given |= _of_model(given["names"], in_mask=given["in_mask"], **network)
        names = ("out_overlap", "out_metadata")
        return dict(zip(names, score_baselines(**given, out_dir=folder), strict=True))


def _of_model(names: list[str], *, model_dir: str, in_mask: str, device: str, num_threads: int) -> dict[str, Any]:
    """Give the parts of a model that baselines need; ``context`` is dropped from the names if it has none."""
    from ..grid import load_grid
    from ..model.extraction.extractor import resolve_device
    from ..model.extraction.functions import context_function, untrained_function
    from ..model.weights import load_model

    limit_threads(num_threads)
    model, region = load_model(model_dir), load_grid(in_mask)
    parts: dict[str, Any] = {"context": context_function(model, region)}
    if parts["context"] is None:
        parts["names"] = [name for name in names if name != "context"]
    if "untrained" in names:
        parts["untrained"] = untrained_function(model, region, device=resolve_device(device))
    return parts


class _RegionTimeCoursesInputSpec(_MapsInputSpec):
    _read_beside: ClassVar = {"atlas": _TABLES_BESIDE}

    atlas = Templates(mandatory=True, desc="'default', 'smith2009', or a label or 4D image")
    atlas_labels = ExistingFile(desc="table with the names (and indices) of the regions")
    atlas_kind = traits.Enum(*_KINDS, usedefault=True, desc="what the image of the atlas holds (auto: recognised)")
    grid_mask = ExistingFile(desc="the model's brain mask; the shipped one by default")


class _RegionTimeCoursesOutputSpec(TraitedSpec):
    out_tables = OutputMultiObject(File(exists=True), desc="mean FBN per region and volume, one table per branch")
    out_metadata = File(exists=True, desc="JSON: atlas, coverage of its regions, sampling frequency")


class RegionTimeCourses(FunctionInterface):
    """Average every FBN over the regions of an atlas."""

    input_spec = _RegionTimeCoursesInputSpec
    output_spec = _RegionTimeCoursesOutputSpec

    def _compute(self, given: dict[str, Any], folder: Path) -> dict[str, Any]:
        from ..evaluation import tabulate_regions

        names = ("out_tables", "out_metadata")
        return dict(zip(names, tabulate_regions(**given, out_dir=folder), strict=True))
