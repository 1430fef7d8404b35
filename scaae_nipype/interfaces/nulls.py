"""Nipype interfaces of the null models: surrogate templates, matches, dynamics."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nipype.interfaces.base import File, TraitedSpec, traits

from ..evaluation.nulls.significance import LEAST_SURROGATES
from .base import FunctionInterface, limit_threads
from .checked import Device, ExistingFile, ModelFolder, Quantity
from .evaluation import LONGEST_LAG, MODES, _MapsInputSpec, _TemplatesInputSpec, _VolumesInputSpec
from .model import DEVICE, LARGEST_SEED

__all__ = ["CheckDynamics", "CheckMatches", "SurrogateTemplates"]

_SEED = {"low": 0, "high": LARGEST_SEED}


class _SurrogateTemplatesInputSpec(_TemplatesInputSpec):
    n_surrogates = traits.Range(low=LEAST_SURROGATES, value=199, usedefault=True, desc="sets of surrogate templates")
    seed = traits.Range(**_SEED, value=0, usedefault=True, desc="seed of the surrogates")


class _SurrogateTemplatesOutputSpec(TraitedSpec):
    out_file = File(exists=True, desc="ranks of the voxels, per set and template (NPY)")


class SurrogateTemplates(FunctionInterface):
    """Make templates that are as smooth and as dense as the real ones, but lie elsewhere."""

    input_spec = _SurrogateTemplatesInputSpec
    output_spec = _SurrogateTemplatesOutputSpec

    def _compute(self, given: dict[str, Any], folder: Path) -> dict[str, Any]:
        from ..evaluation.nulls.surrogate_templates import make_surrogate_templates
        from ..progress import bar

        return {"out_file": make_surrogate_templates(**given, progress=bar, out_dir=folder)}


class _CheckMatchesInputSpec(_MapsInputSpec, _TemplatesInputSpec):
    surrogates = ExistingFile(mandatory=True, desc="surrogates of these templates, from SurrogateTemplates")
    mode = traits.Enum(*MODES, usedefault=True, desc="whose score is tested")
    seed = traits.Range(**_SEED, desc="seed that the surrogates were made with, for the record")


class _CheckMatchesOutputSpec(TraitedSpec):
    out_volumes = File(exists=True, desc="p per volume, method and template")
    out_matches = File(exists=True, desc="best match per method and template, with p over the run")
    out_metadata = File(exists=True, desc="JSON: cut-off for states, number of surrogates, what p means")


class CheckMatches(FunctionInterface):
    """Test whether FBNs match templates better than surrogate templates (spatial null)."""

    input_spec = _CheckMatchesInputSpec
    output_spec = _CheckMatchesOutputSpec

    def _compute(self, given: dict[str, Any], folder: Path) -> dict[str, Any]:
        from ..evaluation.nulls.spatial import check_matches
        from ..progress import bar

        names = ("out_volumes", "out_matches", "out_metadata")
        return dict(zip(names, check_matches(**given, progress=bar, out_dir=folder), strict=True))


class _CheckDynamicsInputSpec(_VolumesInputSpec, _TemplatesInputSpec):
    model_dir = ModelFolder(mandatory=True, desc="model folder")
    run_name = traits.Str(desc="the run's name in model cards: tells whether the model was fitted to it")
    mode = traits.Enum(*MODES, usedefault=True, desc="how states are assigned")
    cutoff = Quantity(0, 1, "", desc="least score of a state, in place of the mode's")
    longest_lag = Quantity(0, LONGEST_LAG, "s", 20.0, usedefault=True, desc="end of the lag curve, in s")
    n_surrogates = traits.Range(low=LEAST_SURROGATES, value=99, usedefault=True, desc="surrogates of the run")
    seed = traits.Range(**_SEED, value=0, usedefault=True, desc="seed of the surrogates")
    device = Device("auto", **DEVICE)
    num_threads = traits.Range(low=0, value=0, usedefault=True, nohash=True, desc="CPU threads (0: torch decides)")


class _CheckDynamicsOutputSpec(TraitedSpec):
    out_table = File(exists=True, desc="run against surrogates, per branch and statistic")
    out_metadata = File(exists=True, desc="JSON: p of the run, seed, in-sample mark, what a rejection means")


class CheckDynamics(FunctionInterface):
    """Test whether a run is more than a stationary mixture (temporal null): surrogates go through the same model."""

    input_spec = _CheckDynamicsInputSpec
    output_spec = _CheckDynamicsOutputSpec

    def _compute(self, given: dict[str, Any], folder: Path) -> dict[str, Any]:
        from ..evaluation.nulls.temporal import check_dynamics
        from ..grid import load_grid
        from ..model.extraction.extractor import resolve_device
        from ..model.extraction.functions import account_of, network_function, was_trained_on
        from ..model.weights import load_model
        from ..progress import bar, say

        limit_threads(given.pop("num_threads"))
        model_dir = Path(given.pop("model_dir"))
        model = load_model(model_dir)
        run_name = given.pop("run_name", None)
        network = network_function(model, load_grid(given["in_mask"]), device=resolve_device(given.pop("device")))
        table, metadata = check_dynamics(
            network=network,
            in_sample=None if run_name is None else was_trained_on(model.card, run_name),
            model=account_of(model.card, model_dir.name),
            report=say,
            progress=bar,
            out_dir=folder,
            **given,
        )
        return {"out_table": table, "out_metadata": metadata}
