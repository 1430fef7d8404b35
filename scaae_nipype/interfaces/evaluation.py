"""Nipype interfaces of the evaluation: templates, gradual change, states, events, baselines, regions."""

from __future__ import annotations

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

from .model import _limit_threads

__all__ = ["AssignStates", "GradualChange", "LockToEvents", "MatchTemplates", "RegionTimeCourses", "ScoreBaselines"]

_KINDS = ("auto", "continuous", "labels", "thresholded")

_MODE = {"usedefault": True, "desc": "which score decides on states, and from where on"}


class _VolumesInputSpec(BaseInterfaceInputSpec):
    in_file = File(exists=True, mandatory=True, desc="prepared run, z-scored, on the model's grid")
    in_mask = File(exists=True, mandatory=True, desc="evaluation region of the run")
    in_samples = File(exists=True, mandatory=True, desc="table that says which volumes were kept")


class _MapsInputSpec(_VolumesInputSpec):
    fbn_maps = InputMultiObject(
        File(exists=True), mandatory=True, desc="4D FBN maps after equation 9, one image per branch"
    )


class _TemplatesInputSpec(BaseInterfaceInputSpec):
    templates = traits.Str("default", usedefault=True, desc="'default', 'smith2009', or a 4D or label image")
    template_labels = File(exists=True, desc="table with the names (and indices) of the templates")
    template_kind = traits.Enum(*_KINDS, usedefault=True, desc="what the image of templates holds (auto: recognised)")
    grid_mask = File(exists=True, desc="the model's brain mask; the shipped one by default")


class _MatchTemplatesInputSpec(_MapsInputSpec, _TemplatesInputSpec):
    mode = traits.Enum("calibrated", "paper", **_MODE)
    num_threads = traits.Range(low=1, value=1, usedefault=True, nohash=True, desc="methods scored side by side")


class _MatchTemplatesOutputSpec(TraitedSpec):
    out_iou = File(exists=True, desc="IoU of every volume, branch and template")
    out_overlap = File(exists=True, desc="scores over the run, per method and template")
    out_scores = File(exists=True, desc="the score that decides on states, of every volume and template")
    out_thresholds = File(exists=True, desc="IoU at other thresholds, per method and template")
    out_metadata = File(exists=True, desc="JSON: templates, threshold, warnings")


class MatchTemplates(SimpleInterface):
    """Score every FBN volume, and the volume itself, against a set of network templates."""

    input_spec = _MatchTemplatesInputSpec
    output_spec = _MatchTemplatesOutputSpec

    def _run_interface(self, runtime):
        from ..evaluation import score_run

        iou, overlap, metadata, scores, thresholds = score_run(**_given(self.inputs), out_dir=runtime.cwd)
        self._results |= {"out_iou": str(iou), "out_overlap": str(overlap), "out_metadata": str(metadata)}
        self._results |= {"out_scores": str(scores), "out_thresholds": str(thresholds)}
        return runtime


class _GradualChangeInputSpec(_MapsInputSpec):
    longest_lag = traits.Range(low=0.0, value=20.0, usedefault=True, desc="end of the lag curve, in s")


class _GradualChangeOutputSpec(TraitedSpec):
    out_table = File(exists=True, desc="overlap of maps a lag apart, per method and lag")


class GradualChange(SimpleInterface):
    """Measure how much of every FBN is left some volumes later."""

    input_spec = _GradualChangeInputSpec
    output_spec = _GradualChangeOutputSpec

    def _run_interface(self, runtime):
        from ..evaluation import change_gradually

        self._results["out_table"] = str(change_gradually(**_given(self.inputs), out_dir=runtime.cwd))
        return runtime


class _AssignStatesInputSpec(_MapsInputSpec, _TemplatesInputSpec):
    signed_maps = InputMultiObject(File(exists=True), desc="4D FBN maps before equation 9, one image per branch")
    mode = traits.Enum("calibrated", "paper", **_MODE)
    cutoff = traits.Float(desc="the least score of a state, instead of the mode's")
    cutoffs = File(exists=True, desc="JSON of CheckMatches: the least score of a state, per method")
    scores = File(exists=True, desc="scores of every volume (MatchTemplates, same mode); computed if not given")


class _AssignStatesOutputSpec(TraitedSpec):
    out_states = File(exists=True, desc="state, best template, score and margin of every volume")
    out_metrics = File(exists=True, desc="occupancy, dwell times and visits, per method and state")
    out_transitions = File(exists=True, desc="counts and probabilities of transitions, per method")
    out_maps = OutputMultiObject(File(exists=True), desc="mean map of each state, one 4D image per branch")
    out_metadata = File(exists=True, desc="JSON: rule, entropies, states never visited, warnings")


class AssignStates(SimpleInterface):
    """Name the network that shows at each volume, how long it stays and what follows it."""

    input_spec = _AssignStatesInputSpec
    output_spec = _AssignStatesOutputSpec

    def _run_interface(self, runtime):
        from ..evaluation import assign_states

        states, metrics, transitions, maps, metadata = assign_states(**_given(self.inputs), out_dir=runtime.cwd)
        self._results |= {"out_states": str(states), "out_metrics": str(metrics), "out_transitions": str(transitions)}
        self._results |= {"out_maps": [str(path) for path in maps], "out_metadata": str(metadata)}
        return runtime


class _LockToEventsInputSpec(BaseInterfaceInputSpec):
    states = File(exists=True, mandatory=True, desc="states of every volume (AssignStates)")
    scores = File(exists=True, mandatory=True, desc="scores of every volume (MatchTemplates)")
    events = File(exists=True, mandatory=True, desc="BIDS table of events")
    repetition_time = traits.Range(low=0.0, exclude_low=True, mandatory=True, desc="in s")
    start_time = traits.Float(0.0, usedefault=True, desc="when in the repetition time a volume counts as taken, in s")


class _LockToEventsOutputSpec(TraitedSpec):
    out_table = File(exists=True, desc="states and scores locked to each condition")
    out_metadata = File(exists=True, desc="JSON: conditions, response, test, warnings")


class LockToEvents(SimpleInterface):
    """Test whether states and scores follow the conditions of a task."""

    input_spec = _LockToEventsInputSpec
    output_spec = _LockToEventsOutputSpec

    def _run_interface(self, runtime):
        from ..evaluation import lock_to_events

        table, metadata = lock_to_events(**_given(self.inputs), out_dir=runtime.cwd)
        self._results |= {"out_table": str(table), "out_metadata": str(metadata)}
        return runtime


class _ScoreBaselinesInputSpec(_VolumesInputSpec, _TemplatesInputSpec):
    names = traits.List(traits.Str(), mandatory=True, minlen=1, desc="baselines to compute")
    codes = File(exists=True, desc="table with an encoder's features per volume, for encoder + LASSO")
    model_dir = Directory(exists=True, desc="model folder, for its context and the same network before training")
    device = traits.Str("auto", usedefault=True, nohash=True, desc="auto, cpu, cuda, cuda:1 …")
    num_threads = traits.Int(0, usedefault=True, nohash=True, desc="CPU threads of the network (0: torch decides)")
    n_components = traits.Range(low=1, value=20, usedefault=True, desc="components of the decompositions")
    seed = traits.Int(0, usedefault=True, desc="seed of the decompositions")


class _ScoreBaselinesOutputSpec(TraitedSpec):
    out_overlap = File(exists=True, desc="scores over the run, per method and template")
    out_metadata = File(exists=True, desc="JSON: templates, warnings")


class ScoreBaselines(SimpleInterface):
    """Score filters, linear denoisers and decompositions of the prepared run as the networks' maps are."""

    input_spec = _ScoreBaselinesInputSpec
    output_spec = _ScoreBaselinesOutputSpec

    def _run_interface(self, runtime):
        from ..evaluation import score_baselines

        given = _given(self.inputs)
        network = {name: given.pop(name) for name in ("model_dir", "device", "num_threads") if name in given}
        if "model_dir" in network and {"context", "untrained"} & {*given["names"]}:
            given |= _of_model(given["names"], in_mask=given["in_mask"], **network)
        overlap, metadata = score_baselines(**given, out_dir=runtime.cwd)
        self._results |= {"out_overlap": str(overlap), "out_metadata": str(metadata)}
        return runtime


def _of_model(names: list[str], *, model_dir: str, in_mask: str, device: str, num_threads: int) -> dict[str, Any]:
    """Give the parts of a model that baselines need; ``context`` is dropped from the names if it has none."""
    from ..grid import load_grid
    from ..model.apply import context_function, untrained_function
    from ..model.extraction import resolve_device
    from ..model.weights import load_model

    _limit_threads(num_threads)
    model, region = load_model(model_dir), load_grid(in_mask)
    parts: dict[str, Any] = {"context": context_function(model, region)}
    if parts["context"] is None:
        parts["names"] = [name for name in names if name != "context"]
    if "untrained" in names:
        parts["untrained"] = untrained_function(model, region, device=resolve_device(device))
    return parts


class _RegionTimeCoursesInputSpec(_MapsInputSpec):
    atlas = traits.Str(mandatory=True, desc="'default', or a label or 4D image")
    atlas_labels = File(exists=True, desc="table with the names (and indices) of the regions")
    atlas_kind = traits.Enum(*_KINDS, usedefault=True, desc="what the image of the atlas holds (auto: recognised)")
    grid_mask = File(exists=True, desc="the model's brain mask; the shipped one by default")


class _RegionTimeCoursesOutputSpec(TraitedSpec):
    out_tables = OutputMultiObject(File(exists=True), desc="mean FBN per region and volume, one table per branch")
    out_metadata = File(exists=True, desc="JSON: atlas, coverage of its regions, sampling frequency")


class RegionTimeCourses(SimpleInterface):
    """Average every FBN over the regions of an atlas."""

    input_spec = _RegionTimeCoursesInputSpec
    output_spec = _RegionTimeCoursesOutputSpec

    def _run_interface(self, runtime):
        from ..evaluation import tabulate_regions

        tables, metadata = tabulate_regions(**_given(self.inputs), out_dir=runtime.cwd)
        self._results |= {"out_tables": [str(path) for path in tables], "out_metadata": str(metadata)}
        return runtime


def _given(inputs) -> dict:
    """Give the inputs that were set, as keyword arguments."""
    return {name: value for name, value in inputs.get().items() if isdefined(value)}
