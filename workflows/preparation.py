"""Runs become model-ready."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from nipype.interfaces.utility import IdentityInterface
from nipype.pipeline import engine as pe
from niworkflows.engine.workflows import LiterateWorkflow

from ..interfaces.preparation import PrepareRun
from ..preparation.strategies import refuse_on_denoised

__all__ = ["PREPARED", "init_prepare_run_wf"]

PREPARED = ("out_file", "out_mask", "out_samples", "out_metadata")
"""Files of a prepared run."""


def init_prepare_run_wf(
    *,
    strategy: str = "auto",
    smoothing_fwhm: float = 6.0,
    high_pass: float | None = None,
    low_pass: float | None = None,
    fd_threshold: float | None = None,
    dummy_scans: Literal["auto"] | int = "auto",
    denoised: bool = False,
    grid_mask: str | None = None,
    mem_gb: float = 1.0,
    name: str = "prepare_run_wf",
) -> LiterateWorkflow:
    """Build the preparation of one run: resample, smooth, denoise, censor, standardise.

    Parameters
    ----------
    strategy : str
        Nuisance strategy: a name, or a file that describes one.
    smoothing_fwhm : float
        In mm.
    high_pass, low_pass : float, optional
        In Hz, 0 for no such filter; by default as the strategy says.
    fd_threshold : float, optional
        In mm, 0 for no censoring; by default as the strategy says.
    dummy_scans : "auto" or int
    denoised : bool
        Whether the run was denoised already.
    grid_mask : str, optional
        Mask of the model's grid; the shipped one by default.
    mem_gb : float
    name : str

    Inputs
    ------
    in_file, in_mask, confounds_file, confounds_metadata, repetition_time
        Only the first is required.

    Outputs
    -------
    out_file, out_mask, out_samples, out_metadata

    Raises
    ------
    UsageError
        If a strategy or a filter is asked for and the run was denoised already.
    """
    if denoised:
        refuse_on_denoised(strategy=strategy, high_pass=high_pass, low_pass=low_pass)
    workflow = LiterateWorkflow(name=name)
    workflow.__desc__ = _description(strategy, smoothing_fwhm, (high_pass, low_pass), fd_threshold, denoised)
    given = {"high_pass": high_pass, "low_pass": low_pass, "fd_threshold": fd_threshold, "grid_mask": grid_mask}
    prepare = pe.Node(
        PrepareRun(
            strategy=strategy,
            smoothing_fwhm=smoothing_fwhm,
            dummy_scans=dummy_scans,
            denoised=denoised,
            **{field: value for field, value in given.items() if value is not None},
        ),
        name="prepare",
        n_procs=1,
        mem_gb=mem_gb,
    )
    fields = ["in_file", "in_mask", "confounds_file", "confounds_metadata", "repetition_time"]
    inputnode = pe.Node(IdentityInterface(fields=fields), name="inputnode")
    outputnode = pe.Node(IdentityInterface(fields=list(PREPARED)), name="outputnode")
    workflow.connect(
        [
            (inputnode, prepare, [(field, field) for field in fields]),
            (prepare, outputnode, [(field, field) for field in PREPARED]),
        ]
    )
    return workflow


def _description(
    strategy: str,
    smoothing_fwhm: float,
    filters: tuple[float | None, float | None],
    fd_threshold: float | None,
    denoised: bool,
) -> str:
    smoothed = f"smoothed with a Gaussian kernel of {smoothing_fwhm:g} mm FWHM and " if smoothing_fwhm else ""
    on_grid = f"Every volume of the BOLD runs was {smoothed}resampled to a 49 × 58 × 47 grid of 4 mm in MNI space."
    left_out = (
        f"; volumes with a framewise displacement above {fd_threshold:g} mm were left out" if fd_threshold else ""
    )
    if denoised:
        return f"{on_grid} The data had been denoised before; every voxel was z-scored{left_out}. "
    named = [f"{kind} {value:g} Hz" for kind, value in zip(("high-pass", "low-pass"), filters, strict=True) if value]
    filtered = f", with a Butterworth filter ({', '.join(named)})" if named else ""
    return (
        f"{on_grid} Time series were cleaned with the nuisance strategy *{Path(strategy).name}*{filtered} (nilearn, "
        f"@nilearn) and z-scored{left_out}. "
    )
