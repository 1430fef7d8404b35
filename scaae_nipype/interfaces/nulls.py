"""Nipype interfaces of the null models: surrogate templates, matches, dynamics."""

from __future__ import annotations

from pathlib import Path

from nipype.interfaces.base import (
    Directory,
    File,
    SimpleInterface,
    TraitedSpec,
    traits,
)

from .evaluation import _given, _MapsInputSpec, _TemplatesInputSpec, _VolumesInputSpec
from .model import _limit_threads

__all__ = ["CheckDynamics", "CheckMatches", "SurrogateTemplates"]


class _SurrogateTemplatesInputSpec(_TemplatesInputSpec):
    n_surrogates = traits.Range(low=19, value=199, usedefault=True, desc="sets of surrogate templates")
    seed = traits.Int(0, usedefault=True, desc="seed of the surrogates")


class _SurrogateTemplatesOutputSpec(TraitedSpec):
    out_file = File(exists=True, desc="ranks of the voxels, per set and template (NPY)")


class SurrogateTemplates(SimpleInterface):
    """Make templates that are as smooth and as dense as the real ones, but lie elsewhere."""

    input_spec = _SurrogateTemplatesInputSpec
    output_spec = _SurrogateTemplatesOutputSpec

    def _run_interface(self, runtime):
        from ..evaluation.null_steps import make_surrogate_templates

        self._results["out_file"] = str(make_surrogate_templates(**_given(self.inputs), out_dir=runtime.cwd))
        return runtime


class _CheckMatchesInputSpec(_MapsInputSpec, _TemplatesInputSpec):
    surrogates = File(exists=True, mandatory=True, desc="surrogates of these templates, from SurrogateTemplates")
    mode = traits.Enum("calibrated", "paper", usedefault=True, desc="whose score is tested")
    seed = traits.Int(desc="seed that the surrogates were made with, for the record")


class _CheckMatchesOutputSpec(TraitedSpec):
    out_volumes = File(exists=True, desc="p per volume, method and template")
    out_matches = File(exists=True, desc="best match per method and template, with p over the run")
    out_metadata = File(exists=True, desc="JSON: cut-off for states, number of surrogates, what p means")


class CheckMatches(SimpleInterface):
    """Test whether FBNs match templates better than surrogate templates (spatial null)."""

    input_spec = _CheckMatchesInputSpec
    output_spec = _CheckMatchesOutputSpec

    def _run_interface(self, runtime):
        from ..evaluation.null_steps import check_matches

        volumes, matches, metadata = check_matches(**_given(self.inputs), out_dir=runtime.cwd)
        self._results |= {"out_volumes": str(volumes), "out_matches": str(matches), "out_metadata": str(metadata)}
        return runtime


class _CheckDynamicsInputSpec(_VolumesInputSpec, _TemplatesInputSpec):
    model_dir = Directory(exists=True, mandatory=True, desc="model folder")
    run_name = traits.Str(desc="the run's name in model cards: tells whether the model was fitted to it")
    mode = traits.Enum("calibrated", "paper", usedefault=True, desc="how states are assigned")
    cutoff = traits.Float(desc="least score of a state, in place of the mode's")
    longest_lag = traits.Range(low=0.0, value=20.0, usedefault=True, desc="end of the lag curve, in s")
    n_surrogates = traits.Range(low=19, value=99, usedefault=True, desc="surrogates of the run")
    seed = traits.Int(0, usedefault=True, desc="seed of the surrogates")
    device = traits.Str("auto", usedefault=True, nohash=True, desc="auto, cpu, cuda, cuda:1 …")
    num_threads = traits.Int(0, usedefault=True, nohash=True, desc="CPU threads (0: torch decides)")


class _CheckDynamicsOutputSpec(TraitedSpec):
    out_table = File(exists=True, desc="run against surrogates, per branch and statistic")
    out_metadata = File(exists=True, desc="JSON: p of the run, seed, in-sample mark, what a rejection means")


class CheckDynamics(SimpleInterface):
    """Test whether a run is more than a stationary mixture (temporal null): surrogates go through the same model."""

    input_spec = _CheckDynamicsInputSpec
    output_spec = _CheckDynamicsOutputSpec

    def _run_interface(self, runtime):
        from ..evaluation.null_steps import check_dynamics
        from ..grid import load_grid
        from ..model.apply import account_of, network_function, was_trained_on
        from ..model.extraction import resolve_device
        from ..model.weights import load_model

        given = _given(self.inputs)
        _limit_threads(given.pop("num_threads"))
        folder = Path(given.pop("model_dir"))
        model = load_model(folder)
        run_name = given.pop("run_name", None)
        network = network_function(model, load_grid(self.inputs.in_mask), device=resolve_device(given.pop("device")))
        table, metadata = check_dynamics(
            network=network,
            in_sample=None if run_name is None else was_trained_on(model.card, run_name),
            model=account_of(model.card, folder.name),
            out_dir=runtime.cwd,
            **given,
        )
        self._results |= {"out_table": str(table), "out_metadata": str(metadata)}
        return runtime
