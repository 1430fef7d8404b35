"""Nipype interface of the report."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from nipype.interfaces.base import File, TraitedSpec, traits

from ..errors import UsageError
from .base import FunctionInputSpec, FunctionInterface
from .checked import ExistingFolder

__all__ = ["ParticipantReport"]


class _ParticipantReportInputSpec(FunctionInputSpec):
    output_dir = ExistingFolder(mandatory=True, nohash=True, desc="output dataset")
    participant = traits.Str(mandatory=True, desc="label, without sub-")

    def check_given(self) -> None:
        """See that this is a label."""
        participant = self.given("participant")
        if participant is not None and not re.fullmatch(r"[0-9A-Za-z+]+", participant):
            raise UsageError(f"`participant` {participant}: must be a label of letters and digits, without sub-.")


class _ParticipantReportOutputSpec(TraitedSpec):
    out_report = File(exists=True, desc="HTML report in the output dataset")


class ParticipantReport(FunctionInterface):
    """Write one self-contained HTML file about a participant."""

    input_spec = _ParticipantReportInputSpec
    output_spec = _ParticipantReportOutputSpec
    _always_run = True  # it depends on the output dataset as it is now

    def _compute(self, given: dict[str, Any], folder: Path) -> dict[str, Any]:
        from ..report import participant_report

        dataset, participant = Path(given["output_dir"]), given["participant"]
        return {"out_report": participant_report(dataset, participant, dataset / f"sub-{participant}.html")}
