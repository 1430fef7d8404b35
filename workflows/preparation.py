"""Runs become model-ready."""

from __future__ import annotations

from typing import Literal

from nipype.pipeline import engine as pe
from niworkflows.engine.workflows import LiterateWorkflow

from ..interfaces.preparation import PrepareRun
from ..options import Preparation
from ..preparation.strategies import choose_strategy, regressed_in_words
from ..words import listed
from .connections import begin, same
from .resources import check_memory, in_groups

__all__ = ["PREPARED", "init_prepare_run_wf"]

PREPARED = ("out_file", "out_mask", "out_samples", "out_metadata")
"""Files of a prepared run."""


@in_groups
def init_prepare_run_wf(
    preparation: Preparation = Preparation(),
    *,
    denoised: bool = False,
    repetition_time: float | None = None,
    grid_mask: str | None = None,
    mem_gb: float = 1.0,
    name: str = "prepare_run_wf",
) -> LiterateWorkflow:
    """Build the preparation of one run: resample, smooth, denoise, censor, standardise.

    Parameters
    ----------
    preparation : Preparation
    denoised : bool
        Whether the run was denoised already; strategy and filters must not ask for more then.
    repetition_time : float, optional
        In s, where neither header nor the input of this name says it.
    grid_mask : str, optional
        Mask of the model's grid; the shipped one by default.
    mem_gb : float
    name : str

    Inputs
    ------
    in_file, in_mask, confounds_file, confounds_metadata, repetition_time, repetition_time_source, known
        Only the first is required; without a repetition time (s) the image's header has to say it.

    Outputs
    -------
    out_file, out_mask, out_samples, out_metadata

    Raises
    ------
    TraitError, UsageError
        At once, where an argument cannot be, or two contradict each other.
    """
    check_memory(mem_gb=mem_gb)
    interface = PrepareRun(denoised=denoised, **preparation.given())  # refuses what cannot be
    fields = ["in_file", "in_mask", "confounds_file", "confounds_metadata"]
    fields += ["repetition_time", "repetition_time_source", "known"]
    description = _description(preparation, denoised=denoised, repetition_time=repetition_time)
    workflow, inputnode, outputnode = begin(name, fields, PREPARED, description)
    prepare = pe.Node(interface, name="prepare", n_procs=1, mem_gb=mem_gb)
    if grid_mask is not None:
        prepare.inputs.grid_mask = grid_mask
    if repetition_time is not None:
        PrepareRun(repetition_time=repetition_time)  # refuses it too
        inputnode.inputs.repetition_time = repetition_time
    workflow.connect([(inputnode, prepare, same(*fields)), (prepare, outputnode, same(*PREPARED))])
    return workflow


def _description(preparation: Preparation, *, denoised: bool, repetition_time: float | None) -> str:
    """Say what is done, whether it was asked for or is what the strategy means."""
    chosen, smoothing_fwhm = choose_strategy(preparation, denoised=denoised), preparation.smoothing_fwhm
    smoothed = f"smoothed with a Gaussian kernel of {smoothing_fwhm:g} mm FWHM and " if smoothing_fwhm else ""
    on_grid = f"Every volume of the BOLD runs was {smoothed}resampled to a 49 × 58 × 47 grid of 4 mm in MNI space."
    left_out = _left_out(preparation.dummy_scans, chosen.fd_threshold)
    if denoised:
        return f"{on_grid} The data had been denoised before; every voxel was z-scored. {left_out} "
    steps = []
    if what := regressed_in_words(chosen):
        steps.append(f"regression of {what}")
    if chosen.detrend:
        steps.append("linear detrending")
    if chosen.polynomials:
        steps.append(f"regression of polynomials up to order {chosen.polynomials}")
    if passed := _passed(chosen.high_pass, chosen.low_pass):
        at = f" at a repetition time of {repetition_time:g} s" if repetition_time else ""
        steps.append(f"a Butterworth filter with {passed}{at}")
    listed = f"by {', '.join(steps)} (nilearn, @nilearn), and z-scored" if steps else "by z-scoring alone"
    return (
        f"{on_grid} Time series were cleaned with the nuisance strategy *{chosen.name.removeprefix('file ')}*, that "
        f"is {listed}. {left_out} "
    )


def _passed(high_pass: float | None, low_pass: float | None) -> str:
    named = (("high-pass", high_pass), ("low-pass", low_pass))
    return listed(f"{kind} {value:g} Hz" for kind, value in named if value)


def _left_out(dummy_scans: Literal["auto"] | int, fd_threshold: float | None) -> str:
    if dummy_scans == "auto":
        first = "Volumes that the confounds mark as non-steady state were left out"
    elif dummy_scans:
        first = f"The first {'volume' if dummy_scans == 1 else f'{dummy_scans} volumes'} of each run were left out"
        first = first.replace("volume of each run were", "volume of each run was")
    else:
        first = "No volume was left out at the beginning of a run"
    if fd_threshold:
        so = "as were" if dummy_scans else "but"
        end = "" if dummy_scans else " were left out"
        return f"{first}, {so} volumes with a framewise displacement above {fd_threshold:g} mm{end}."
    return f"{first}; none was censored for motion."
