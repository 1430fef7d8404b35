"""Nipype interface of the report."""

from __future__ import annotations

from pathlib import Path

from nipype.interfaces.base import BaseInterfaceInputSpec, Directory, File, SimpleInterface, TraitedSpec, traits

__all__ = ["ParticipantReport"]


class _ParticipantReportInputSpec(BaseInterfaceInputSpec):
    output_dir = Directory(exists=True, mandatory=True, desc="output dataset")
    participant = traits.Str(mandatory=True, desc="label, without sub-")


class _ParticipantReportOutputSpec(TraitedSpec):
    out_report = File(exists=True, desc="HTML report in the output dataset")


class ParticipantReport(SimpleInterface):
    """Write one self-contained HTML file about a participant."""

    input_spec = _ParticipantReportInputSpec
    output_spec = _ParticipantReportOutputSpec
    _always_run = True  # it depends on the output dataset as it is now

    def _run_interface(self, runtime):
        from ..report import participant_report

        folder, participant = Path(self.inputs.output_dir), self.inputs.participant
        self._results["out_report"] = str(participant_report(folder, participant, folder / f"sub-{participant}.html"))
        return runtime
