"""Nipype interfaces of the evaluation: overlap with templates and gradual change."""

from __future__ import annotations

from nipype.interfaces.base import BaseInterfaceInputSpec, File, InputMultiObject, SimpleInterface, TraitedSpec, traits
from nipype.interfaces.base.traits_extension import isdefined

__all__ = ["GradualChange", "MatchTemplates"]


class _RunInputSpec(BaseInterfaceInputSpec):
    fbn_maps = InputMultiObject(
        File(exists=True), mandatory=True, desc="4D FBN maps after equation 9, one image per branch"
    )
    in_file = File(exists=True, mandatory=True, desc="prepared run, z-scored, on the model's grid")
    in_mask = File(exists=True, mandatory=True, desc="evaluation region of the run")
    in_samples = File(exists=True, mandatory=True, desc="table that says which volumes were kept")


class _MatchTemplatesInputSpec(_RunInputSpec):
    templates = traits.Str("default", usedefault=True, desc="'default', 'smith2009', or a 4D or label image")
    template_labels = File(exists=True, desc="table with the names (and indices) of the templates")
    grid_mask = File(exists=True, desc="the model's brain mask; the shipped one by default")


class _MatchTemplatesOutputSpec(TraitedSpec):
    out_iou = File(exists=True, desc="IoU of every volume, branch and template")
    out_overlap = File(exists=True, desc="scores over the run, per method and template")
    out_metadata = File(exists=True, desc="JSON: templates, threshold, warnings")


class MatchTemplates(SimpleInterface):
    """Score every FBN volume, and the volume itself, against a set of network templates."""

    input_spec = _MatchTemplatesInputSpec
    output_spec = _MatchTemplatesOutputSpec

    def _run_interface(self, runtime):
        from ..evaluation import score_run

        self._results["out_iou"], self._results["out_overlap"], self._results["out_metadata"] = map(
            str, score_run(**_given(self.inputs), out_dir=runtime.cwd)
        )
        return runtime


class _GradualChangeInputSpec(_RunInputSpec):
    longest_lag = traits.Range(low=0.0, value=20.0, usedefault=True, desc="end of the lag curve, in s")


class _GradualChangeOutputSpec(TraitedSpec):
    out_table = File(exists=True, desc="overlap of maps a lag apart, per method and lag")


class GradualChange(SimpleInterface):
    """Measure how much of every FBN is left some volumes later."""

    input_spec = _GradualChangeInputSpec
    output_spec = _GradualChangeOutputSpec

    def _run_interface(self, runtime):
        from ..evaluation import gradual_change_run

        self._results["out_table"] = str(gradual_change_run(**_given(self.inputs), out_dir=runtime.cwd))
        return runtime


def _given(inputs) -> dict:
    """Give the inputs that were set, as keyword arguments."""
    return {name: value for name, value in inputs.get().items() if isdefined(value)}
