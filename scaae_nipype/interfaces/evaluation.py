"""Nipype interfaces of the evaluation: templates, gradual change, states, events, baselines, regions, null models."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
from nipype.interfaces.base import File, InputMultiObject, OutputMultiObject, TraitedSpec, traits

from ..errors import UsageError, refuse_unequal
from ..evaluation.scores.gradual_change import CURVE_END
from ..files import read_table
from ..headers import header_repetition_time
from ..options import OF_MODEL, USUAL_SURROGATES, Evaluation, Nulls, Training
from ..progress import bar, say
from .base import FunctionInputSpec, FunctionInterface, limit_threads
from .traits import LONGEST_REPETITION_TIME, ExistingFile, ModelFolder, quantity, settings_of

__all__ = [
    "AssignStates",
    "CheckDynamics",
    "CheckMatches",
    "ComparePlanted",
    "GradualChange",
    "LockToEvents",
    "MatchTemplates",
    "RegionTimeCourses",
    "ScoreBaselines",
    "SurrogateTemplates",
]

LONGEST_LAG = 3600.0
"""In s."""

_TABLES_BESIDE = (".tsv", ".csv", ".txt", ".json")


class _VolumesInputSpec(FunctionInputSpec):
    in_file = ExistingFile(mandatory=True, desc="prepared run, z-scored, on the model's grid")
    in_mask = ExistingFile(mandatory=True, desc="evaluation region of the run")
    in_samples = ExistingFile(mandatory=True, desc="table that says which volumes were kept")


class _MapsInputSpec(_VolumesInputSpec):
    fbn_maps = InputMultiObject(
        ExistingFile(), mandatory=True, desc="4D FBN maps after equation 9, one image per branch"
    )


@settings_of(Evaluation, "templates", "template_labels", "template_kind")
class _TemplatesInputSpec(FunctionInputSpec):
    _read_beside: ClassVar = {"templates": _TABLES_BESIDE}

    grid_mask = ExistingFile(desc="the model's brain mask; the shipped one by default")


class MatchTemplates(FunctionInterface):
    """Score every FBN volume, and the volume itself, against a set of network templates."""

    @settings_of(Evaluation, "mode", "n_chance_templates", "seed")
    class input_spec(_MapsInputSpec, _TemplatesInputSpec):
        surrogates = ExistingFile(
            desc="surrogates of these templates (SurrogateTemplates, same seed); made here if not given"
        )
        num_threads = traits.Range(low=1, value=1, usedefault=True, nohash=True, desc="methods scored side by side")

    class output_spec(TraitedSpec):
        template_iou = File(exists=True, desc="IoU of every volume, branch and template")
        overlap = File(exists=True, desc="scores over the run, per method and template")
        template_scores = File(exists=True, desc="the score that decides on states, of every volume and template")
        threshold_curve = File(exists=True, desc="IoU at other thresholds, per method and template")
        out_metadata = File(exists=True, desc="JSON: templates, threshold, warnings")

    _function = ".evaluation:score_run"


class GradualChange(FunctionInterface):
    """Measure how much of every FBN is left some volumes later."""

    class input_spec(_MapsInputSpec):
        longest_lag = quantity(0, LONGEST_LAG, "s", CURVE_END, usedefault=True, desc="end of the lag curve, in s")

    class output_spec(TraitedSpec):
        gradual_change = File(exists=True, desc="overlap of maps a lag apart, per method and lag")

    _function = ".evaluation:change_gradually"


class AssignStates(FunctionInterface):
    """Name the network that shows at each volume, how long it stays and what follows it."""

    @settings_of(Evaluation, "mode", "state_cutoff", "seed")
    class input_spec(_MapsInputSpec, _TemplatesInputSpec):
        signed_maps = InputMultiObject(
            ExistingFile(), desc="4D FBN maps before equation 9, one image per branch, in the order of fbn_maps"
        )
        state_cutoffs = ExistingFile(
            xor=["state_cutoff"], desc="JSON of CheckMatches: the least score of a state, per method"
        )
        scores = ExistingFile(desc="scores of every volume (MatchTemplates, same mode); computed if not given")

        def check_ready(self) -> None:
            """See that there is a signed map for each of the others."""
            refuse_unequal("branch", fbn_maps=self.fbn_maps, signed_maps=self.given("signed_maps"))

    class output_spec(TraitedSpec):
        states = File(exists=True, desc="state, best template, score and margin of every volume")
        state_metrics = File(exists=True, desc="occupancy, dwell times and visits, per method and state")
        transitions = File(exists=True, desc="counts and probabilities of transitions, per method")
        state_maps = OutputMultiObject(File(exists=True), desc="mean map of each state, one 4D image per branch")
        out_metadata = File(exists=True, desc="JSON: rule, entropies, states never visited, warnings")

    _function = ".evaluation:assign_states_of_run"


class LockToEvents(FunctionInterface):
    """Test whether states and scores follow the conditions of a task."""

    class input_spec(FunctionInputSpec):
        states = ExistingFile(mandatory=True, desc="states of every volume (AssignStates)")
        scores = ExistingFile(mandatory=True, desc="scores of every volume (MatchTemplates)")
        events = ExistingFile(mandatory=True, desc="BIDS table of events")
        repetition_time = quantity(
            0, LONGEST_REPETITION_TIME, "s", exclude_low=True, mandatory=True, desc="in s, not ms"
        )
        start_time = quantity(
            -LONGEST_REPETITION_TIME,
            LONGEST_REPETITION_TIME,
            "s",
            0.0,
            usedefault=True,
            desc="when in the repetition time a volume counts as taken, in s",
        )

    class output_spec(TraitedSpec):
        events = File(exists=True, desc="states and scores locked to each condition")
        out_metadata = File(exists=True, desc="JSON: conditions, response, test, warnings")

    _function = ".evaluation:lock_to_events"


class ScoreBaselines(FunctionInterface):
    """Score filters, linear denoisers and decompositions of the prepared run as the networks' maps are."""

    @settings_of(Evaluation, "baselines", "n_chance_templates", "seed")
    @settings_of(Training, "device")
    class input_spec(_VolumesInputSpec, _TemplatesInputSpec):
        surrogates = ExistingFile(
            desc="surrogates of these templates (SurrogateTemplates, same seed); made here if not given"
        )
        code = ExistingFile(desc="table with an encoder's features per volume (ExtractNetworks), for encoder_lasso")
        model_dir = ModelFolder(desc="model folder, for its context, its runs' components, the network before training")
        num_threads = traits.Range(
            low=0, value=0, usedefault=True, nohash=True, desc="CPU threads of the network (0: torch decides)"
        )
        n_components = traits.Range(low=1, value=20, usedefault=True, desc="components of the decompositions")

        def check_ready(self) -> None:
            """See that what the baselines are made of is there."""
            model_dir, code = self.given("model_dir", "code")
            for needed, given, needing in (("model_dir", model_dir, OF_MODEL), ("code", code, {"encoder_lasso"})):
                waiting = [name for name in self.baselines if name in needing]
                if waiting and given is None:
                    raise UsageError(f"the baseline {waiting[0]} needs `{needed}`: give it, or leave the baseline out.")

    class output_spec(TraitedSpec):
        baselines = File(exists=True, desc="scores over the run, per method and template")
        out_metadata = File(exists=True, desc="JSON: templates, warnings")

    def _compute(self, given: dict[str, Any], folder: Path) -> NamedTuple:
        from ..evaluation import score_baselines

        network = {name: given.pop(name) for name in ("model_dir", "device", "num_threads") if name in given}
        if "model_dir" in network and {*OF_MODEL} & {*given["baselines"]}:
            given |= _of_model(given["baselines"], given, **network)
        return score_baselines(**given, out_dir=folder)


def _of_model(
    names: list[str], given: Mapping[str, Any], *, model_dir: str, device: str, num_threads: int
) -> dict[str, Any]:
    """Give the parts of a model that baselines of a run need; names of those that it does not have are dropped."""
    from ..grid import load_grid
    from ..model.extraction.extractor import resolve_device
    from ..model.extraction.functions import context_function, group_pca_function, untrained_function
    from ..model.weights import load_model

    limit_threads(num_threads)
    model, region, seconds = load_model(model_dir), load_grid(given["in_mask"]), _seconds(given)
    parts: dict[str, Any] = {
        "context": context_function(model, region, seconds=seconds),
        "group_pca": group_pca_function(model, region, seconds=seconds),
    }
    parts["baselines"] = [name for name in names if parts.get(name, "") is not None]
    if "untrained" in names:
        parts["untrained"] = untrained_function(model, region, seconds=seconds, device=resolve_device(device))
    return parts


def _seconds(given: Mapping[str, Any]) -> np.ndarray | None:
    """Give when the kept volumes of a run were taken; None where its repetition time is not known."""
    from ..model.extraction.neighbours import seconds_of

    repetition_time = header_repetition_time(given["in_file"])
    kept = read_table(given["in_samples"])["kept"].to_numpy(dtype=bool)
    return seconds_of(kept, repetition_time) if repetition_time else None


class ComparePlanted(FunctionInterface):
    """Hold the networks of a simulated run against what was planted in every volume, beside what needs no network."""

    class input_spec(_MapsInputSpec):
        signed_maps = InputMultiObject(
            ExistingFile(), desc="4D FBN maps before equation 9, one image per branch, in the order of fbn_maps"
        )
        planted_networks = ExistingFile(mandatory=True, desc="4D image of the planted networks (scaae-simulate)")
        planted_courses = ExistingFile(mandatory=True, desc="table of their time courses in this run")
        model_dir = ModelFolder(desc="model folder, for its context and its runs' components")

        def check_ready(self) -> None:
            """See that there is a signed map for each of the others."""
            refuse_unequal("branch", fbn_maps=self.fbn_maps, signed_maps=self.given("signed_maps"))

    class output_spec(TraitedSpec):
        planted = File(exists=True, desc="how well each method finds what was planted")
        planted_maps = File(exists=True, desc="4D examples: planted volumes, and what was found in them")
        out_metadata = File(exists=True, desc="JSON: which volumes and methods the examples are")

    def _compute(self, given: dict[str, Any], folder: Path) -> NamedTuple:
        from ..evaluation import compare_with_planted

        model_dir = given.pop("model_dir", None)
        if model_dir is not None:
            parts = _of_model([], given, model_dir=model_dir, device="cpu", num_threads=0)
            given |= {name: parts[name] for name in ("context", "group_pca")}
        return compare_with_planted(**given, out_dir=folder)


class RegionTimeCourses(FunctionInterface):
    """Average every FBN over the regions of an atlas."""

    @settings_of(Evaluation, "atlas", "atlas_labels", "atlas_kind", mandatory=["atlas"])
    class input_spec(_MapsInputSpec):
        _read_beside: ClassVar = {"atlas": _TABLES_BESIDE}

        grid_mask = ExistingFile(desc="the model's brain mask; the shipped one by default")

    class output_spec(TraitedSpec):
        regions = OutputMultiObject(File(exists=True), desc="mean FBN per region and volume, one table per branch")
        out_metadata = File(exists=True, desc="JSON: atlas, coverage of its regions, sampling frequency")

    _function = ".evaluation:tabulate_regions"


class SurrogateTemplates(FunctionInterface):
    """Make templates that are as smooth and as dense as the real ones, but lie elsewhere."""

    @settings_of(Nulls, n_surrogate_templates=USUAL_SURROGATES)
    @settings_of(Evaluation, "seed")
    class input_spec(_TemplatesInputSpec):
        pass

    class output_spec(TraitedSpec):
        surrogate_templates = File(exists=True, desc="ranks of the voxels, per set and template (NPY)")

    def _compute(self, given: dict[str, Any], folder: Path) -> Path:
        from ..evaluation.nulls.surrogate_templates import make_surrogate_templates

        return make_surrogate_templates(**given, progress=bar, out_dir=folder)


class CheckMatches(FunctionInterface):
    """Test whether FBNs match templates better than surrogate templates (spatial null)."""

    @settings_of(Evaluation, "mode", seed=None)
    class input_spec(_MapsInputSpec, _TemplatesInputSpec):
        surrogates = ExistingFile(mandatory=True, desc="surrogates of these templates, from SurrogateTemplates")

    class output_spec(TraitedSpec):
        match_p = File(exists=True, desc="p per volume, method and template")
        matches = File(exists=True, desc="best match per method and template, with p over the run")
        out_metadata = File(exists=True, desc="JSON: cut-off for states, number of surrogates, what p means")

    def _compute(self, given: dict[str, Any], folder: Path) -> NamedTuple:
        from ..evaluation.nulls.spatial import check_matches

        return check_matches(**given, progress=bar, out_dir=folder)


class CheckDynamics(FunctionInterface):
    """Test whether a run is more than a stationary mixture (temporal null): surrogates go through the same model."""

    @settings_of(Nulls, n_surrogates=USUAL_SURROGATES)
    @settings_of(Evaluation, "mode", "state_cutoff", "seed")
    @settings_of(Training, "device")
    class input_spec(_VolumesInputSpec, _TemplatesInputSpec):
        model_dir = ModelFolder(mandatory=True, desc="model folder")
        run_name = traits.Str(desc="the run's name in model cards: tells whether the model was fitted to it")
        longest_lag = quantity(0, LONGEST_LAG, "s", CURVE_END, usedefault=True, desc="end of the lag curve, in s")
        num_threads = traits.Range(low=0, value=0, usedefault=True, nohash=True, desc="CPU threads (0: torch decides)")

    class output_spec(TraitedSpec):
        dynamics_null = File(exists=True, desc="run against surrogates, per branch and statistic")
        out_metadata = File(exists=True, desc="JSON: p of the run, seed, in-sample mark, what a rejection means")

    def _compute(self, given: dict[str, Any], folder: Path) -> NamedTuple:
        from ..evaluation.nulls.temporal import check_dynamics
        from ..grid import load_grid
        from ..model.extraction.extractor import resolve_device
        from ..model.extraction.functions import account_of, network_function, was_trained_on
        from ..model.weights import load_model

        limit_threads(given.pop("num_threads"))
        model_dir, run_name = Path(given.pop("model_dir")), given.pop("run_name", None)
        model, device = load_model(model_dir), resolve_device(given.pop("device"))
        return check_dynamics(
            network=network_function(model, load_grid(given["in_mask"]), seconds=_seconds(given), device=device),
            in_sample=None if run_name is None else was_trained_on(model.card, run_name),
            model=account_of(model.card, model_dir.name),
            report=say,
            progress=bar,
            out_dir=folder,
            **given,
        )
