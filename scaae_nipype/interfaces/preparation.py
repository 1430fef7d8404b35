"""Nipype interface of the preparation."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from nipype.interfaces.base import File, TraitedSpec, traits

from ..options import Preparation
from ..preparation.strategies import refuse_on_denoised
from .base import FunctionInputSpec, FunctionInterface, taken
from .traits import LONGEST_REPETITION_TIME, ExistingFile, quantity, settings_of

__all__ = ["PrepareRun"]


class PrepareRun(FunctionInterface):
    """Resample, smooth, denoise, censor and standardise a run for the model."""

    @settings_of(Preparation)
    class input_spec(FunctionInputSpec):
        _read_beside: ClassVar = {"in_file": (".json",), "confounds_file": (".json",)}

        in_file = ExistingFile(mandatory=True, desc="preprocessed BOLD run in MNI space, 4D")
        in_mask = ExistingFile(desc="brain mask on the voxels of the run; estimated where it is missing")
        confounds_file = ExistingFile(desc="table of confounds, one row per volume")
        confounds_metadata = ExistingFile(
            requires=["confounds_file"], desc="JSON sidecar of the table; by default the one beside it"
        )
        repetition_time = quantity(
            0,
            LONGEST_REPETITION_TIME,
            "s",
            exclude_low=True,
            desc="repetition time in s, not ms; by default the header's, which has to be sure of it",
        )
        repetition_time_source = traits.Str(desc="where the repetition time is from, for the metadata")
        known = traits.List(traits.Str, desc="what is known about the run beforehand; joins the warnings")
        grid_mask = ExistingFile(desc="brain mask of the model; by default the one that ships with the package")
        denoised = traits.Bool(
            False,
            usedefault=True,
            desc="the run has been denoised before (XCP-D): nothing is regressed or filtered, so that strategy, "
            "high_pass and low_pass must not ask for it",
        )

        def check_given(self) -> None:
            """Refuse cleaning of what is clean, and a filter that lets nothing pass."""
            preparation = self.group(Preparation)
            if self.denoised:
                refuse_on_denoised(preparation)

    class output_spec(TraitedSpec):
        out_file = File(exists=True, desc="prepared run on the grid of the model, z-scored, 4D")
        out_mask = File(exists=True, desc="evaluation region")
        out_samples = File(exists=True, desc="table of volumes: kept, dummy, censored, framewise displacement")
        out_metadata = File(exists=True, desc="what was done, JSON")

    def _compute(self, given: dict[str, Any], folder: Path) -> NamedTuple:
        from ..grid import load_grid
        from ..preparation import prepare_run, write_prepared

        run = prepare_run(
            given.pop("in_file"),
            grid=load_grid(given.pop("grid_mask", None)),
            preparation=taken(given, Preparation),
            mask=given.pop("in_mask", None),
            confounds=given.pop("confounds_file", None),
            scratch_dir=folder,
            **given,
        )
        return write_prepared(run, folder)
