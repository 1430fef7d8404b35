"""Nipype interface of the preparation."""

from __future__ import annotations

from nipype.interfaces.base import BaseInterfaceInputSpec, File, SimpleInterface, TraitedSpec, isdefined, traits

__all__ = ["PrepareRun"]


class _PrepareRunInputSpec(BaseInterfaceInputSpec):
    in_file = File(exists=True, mandatory=True, desc="preprocessed BOLD run in MNI space, 4D")
    in_mask = File(exists=True, desc="brain mask on the voxels of the run; estimated where it is missing")
    confounds_file = File(exists=True, desc="table of confounds, one row per volume")
    confounds_metadata = File(exists=True, desc="JSON sidecar of the table; by default the one beside it")
    repetition_time = traits.Float(
        desc="repetition time in s; by default the header's, which has to say it (1 without a unit says nothing)"
    )
    repetition_time_source = traits.Str(desc="where the repetition time is from, for the metadata")
    known = traits.List(traits.Str, desc="what is known about the run beforehand; joins the warnings")
    grid_mask = File(exists=True, desc="brain mask of the model; by default the one that ships with the package")
    strategy = traits.Str("auto", usedefault=True, desc="nuisance strategy by name, or a JSON file")
    smoothing_fwhm = traits.Float(6.0, usedefault=True, desc="full width at half maximum of the Gaussian in mm")
    high_pass = traits.Float(desc="cut-off in Hz, 0 for none; by default the strategy's")
    low_pass = traits.Float(desc="cut-off in Hz, 0 for none; by default the strategy's")
    fd_threshold = traits.Float(
        desc="framewise displacement in mm above which a volume is censored, 0 for no censoring; by default the "
        "strategy's"
    )
    dummy_scans = traits.Either(
        traits.Enum("auto"),
        traits.Int(),
        default="auto",
        usedefault=True,
        desc="volumes to cut off at the beginning; auto: as the confounds mark them",
    )
    denoised = traits.Bool(False, usedefault=True, desc="the run has been denoised before (XCP-D)")


class _PrepareRunOutputSpec(TraitedSpec):
    out_file = File(exists=True, desc="prepared run on the grid of the model, z-scored, 4D")
    out_mask = File(exists=True, desc="evaluation region")
    out_samples = File(exists=True, desc="table of volumes: kept, dummy, censored, framewise displacement")
    out_metadata = File(exists=True, desc="what was done, JSON")


class PrepareRun(SimpleInterface):
    """Resample, smooth, denoise, censor and standardise a run for the model."""

    input_spec = _PrepareRunInputSpec
    output_spec = _PrepareRunOutputSpec

    def _run_interface(self, runtime):
        from ..grid import load_grid
        from ..preparation import prepare_run, write_prepared

        given = {name: value for name, value in self.inputs.get().items() if isdefined(value)}
        grid = load_grid(given.pop("grid_mask", None))
        run = prepare_run(
            given.pop("in_file"), grid=grid, mask_file=given.pop("in_mask", None), scratch_dir=runtime.cwd, **given
        )
        self._results.update(write_prepared(run, runtime.cwd, grid=grid)._asdict())
        return runtime
