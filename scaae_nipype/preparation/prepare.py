"""A preprocessed BOLD run becomes a model-ready run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from ..errors import InputError
from ..files import PathLike
from ..grid import Grid, load_grid
from ..images import ImageLike, check_memory
from ..options import Preparation
from .censoring import choose_volumes
from .confounds import TABLE, Nuisance, choose_nuisance, read_confounds
from .denoising import clean_in_place, residual_degrees_of_freedom, temporal_operator
from .describing import describe
from .masking import LEAST_COVERAGE, check_coverage, check_overlap, estimate_mask, mask_on_grid
from .prepared import PreparedRun
from .resampling import make_resampler
from .scratch import BLOCK, zeros
from .strategies import HIGH_PASS, Strategy, choose_strategy, refuse_on_denoised
from .stream import BoldFile, open_bold, read_mask
from .support import Contents
from .timing import choose_timing

__all__ = ["prepare_run"]

FEW_DEGREES = 15
"""Degrees of freedom below which a warning says so."""


def prepare_run(
    bold: ImageLike,
    *,
    preparation: Preparation = Preparation(),
    mask: ImageLike | None = None,
    confounds: PathLike | pd.DataFrame | None = None,
    confounds_metadata: PathLike | None = None,
    grid: Grid | None = None,
    repetition_time: float | None = None,
    repetition_time_source: str | None = None,
    denoised: bool = False,
    known: Sequence[str] = (),
    scratch_dir: PathLike | None = None,
) -> PreparedRun:
    """Resample, smooth, denoise, censor and standardise a run.

    Every volume is smoothed and resampled on its own while the file is read once; the time series of the grid's voxels
    are cleaned afterwards. Space and time commute, so the result is that of cleaning the full-resolution image first,
    up to the z-score.

    Parameters
    ----------
    bold : path or image
        4D NIfTI image in MNI space.
    preparation : Preparation
        Strategy, smoothing, filters, censoring, dummy scans.
    mask : path or image, optional
        Brain mask on the voxels of the run; estimated from the data (with a warning) where it is missing.
    confounds : path or DataFrame, optional
        fMRIPrep's table, one row per volume.
    confounds_metadata : path, optional
        Its JSON sidecar; by default the one beside it.
    grid : Grid, optional
        The model's (`Model.grid`); by default that of the shipped mask.
    repetition_time : float, optional
        In s; by default the header's, which must name a unit, or something else than 1.
    repetition_time_source : str, optional
        Where `repetition_time` is from, for the metadata; by default it counts as an argument.
    denoised : bool
        The image has been denoised before (XCP-D): nothing is regressed, detrended or filtered again, and a strategy or
        filter that asks for it is refused.
    known : sequence of str
        What is known about the run beforehand, in sentences; it joins the warnings.
    scratch_dir : path, optional
        Folder on a disk for a nameless temporary file that holds the result, so that memory does not grow with the
        number of volumes; by default the result is in memory.

    Returns
    -------
    PreparedRun

    Raises
    ------
    InputError
        If a file is unreadable or the files do not fit each other, a volume is empty, too few volumes are left, or the
        run does not cover the MNI brain.
    UsageError
        If the strategy does not exist, or would have no effect.
    """
    if denoised:
        refuse_on_denoised(preparation)
    grid = load_grid() if grid is None else grid
    run = open_bold(bold)
    repetition_time, time_source, doubts = choose_timing(run, repetition_time, repetition_time_source)
    table = None if confounds is None else read_confounds(confounds, run.n_volumes)
    source = TABLE if isinstance(confounds, pd.DataFrame) else confounds
    notes = [*known, *doubts, *run.doubts]
    chosen = choose_strategy(preparation, denoised=denoised)
    samples = choose_volumes(table, run, chosen.fd_threshold, preparation.dummy_scans, notes, source)
    kept = samples["kept"].to_numpy() == 1
    nuisance = choose_nuisance(
        chosen, table, n_volumes=len(kept), confounds_file=source, confounds_metadata=confounds_metadata
    )
    notes.extend(nuisance.warnings)
    if nuisance.lacks_cosines:
        chosen = _in_place_of_cosines(chosen, preparation.high_pass, notes)
    check_memory(2 * len(kept) ** 2, bold, f"the filters of its {len(kept)} volumes")
    try:
        chosen = _fit_filter(chosen, repetition_time, notes)
        operator = _make_operator(chosen, nuisance, kept, repetition_time, notes)
    except InputError as error:
        raise InputError(f"{run.path}: {error}") from error

    data, release = zeros((len(kept), grid.n_voxels), scratch_dir)
    covered, found = _resample(data, release, run, grid, mask, preparation.smoothing_fwhm, kept, notes)
    region = clean_in_place(data, kept, operator, covered, release)
    if region.mean() < LEAST_COVERAGE:
        raise InputError(
            f"{run.path}: only {region.mean():.0%} of the model's brain varies over time; is it a time series?"
        )
    if constant := int((covered & ~region).sum()):
        notes.append(f"{constant} voxels of the model's grid left the region: cleaning leaves no signal in them.")
    notes.extend(check_coverage(region, run))
    metadata = {
        "RepetitionTime": repetition_time,
        "RepetitionTimeSource": time_source,
        "NumberOfVolumes": len(kept),
        "NumberOfVolumesKept": int(kept.sum()),
        "NumberOfDummyScans": int(samples["dummy"].sum()),
        "NumberOfVolumesCensored": int(samples["censored"].sum()),
        "SmoothingFWHM": float(preparation.smoothing_fwhm),
        "NuisanceStrategy": nuisance.label,
        "NuisanceRegressors": list(nuisance.regressors.columns),
        "HighPass": chosen.high_pass,
        "LowPass": chosen.low_pass,
        "Detrend": chosen.detrend,
        "FramewiseDisplacementThreshold": chosen.fd_threshold,
        "ResidualDegreesOfFreedom": round(residual_degrees_of_freedom(operator), 1),
        "MaskCoverage": round(float(region.mean()), 4),
        **found,
        "Warnings": notes,
    }
    metadata["Description"] = describe(metadata, grid, denoised=denoised)
    return PreparedRun(data, region, samples, repetition_time, metadata, grid, release)


def _in_place_of_cosines(chosen: Strategy, asked: float | None, notes: list[str]) -> Strategy:
    """Filter where the strategy's cosines, which are its high-pass filter, are not in the table."""
    if asked is None:
        chosen = replace(chosen, high_pass=HIGH_PASS)
        what = f"a high-pass filter at {HIGH_PASS:g} Hz took their place"
    elif chosen.high_pass is None:
        what = "no high-pass filter was wanted: slow drifts stay"
    else:
        what = f"the high-pass filter at {chosen.high_pass:g} Hz stands for them"
    notes.append(f"The confounds hold no cosines (fMRIPrep makes none for short runs); {what}.")
    return chosen


def _fit_filter(chosen: Strategy, repetition_time: float, notes: list[str]) -> Strategy:
    """Fit the filter's cut-offs to the run."""
    nyquist = 0.5 / repetition_time
    high_pass, low_pass = chosen.high_pass, chosen.low_pass
    if low_pass is not None and low_pass >= nyquist:
        notes.append(
            f"The low-pass filter at {low_pass:g} Hz was left out: a repetition time of {repetition_time:g} s holds no "
            f"frequency above {nyquist:.3g} Hz."
        )
        low_pass = None
    if high_pass is not None and high_pass >= (low_pass or nyquist):
        raise InputError(
            f"no frequency is above a high-pass of {high_pass:g} Hz and below {low_pass or nyquist:.3g} Hz; lower "
            "`high_pass` or raise `low_pass`."
        )
    return replace(chosen, high_pass=high_pass, low_pass=low_pass)


def _make_operator(
    chosen: Strategy, nuisance: Nuisance, kept: np.ndarray, repetition_time: float, notes: list[str]
) -> np.ndarray:
    """Make the matrix that cleans; refuse to regress everything."""
    operator = temporal_operator(
        kept,
        nuisance.regressors.to_numpy(),
        repetition_time=repetition_time,
        high_pass=chosen.high_pass,
        low_pass=chosen.low_pass,
        detrend=chosen.detrend,
    )
    degrees = residual_degrees_of_freedom(operator)
    if degrees < 1:
        raise InputError(
            f"{kept.sum()} volumes are left, and {nuisance.label} with its filter takes all of their degrees of "
            "freedom; choose a smaller strategy (`strategy`), a wider filter (`high_pass` 0, `low_pass` 0) "
            "or censor less (a higher `fd_threshold`)."
        )
    if degrees < FEW_DEGREES:
        notes.append(f"Only {degrees:.0f} degrees of freedom are left in each time series.")
    return operator.astype(np.float32)


def _resample(
    data: np.ndarray,
    release: Callable[[], None],
    bold: BoldFile,
    grid: Grid,
    mask_image: ImageLike | None,
    smoothing_fwhm: float,
    kept: np.ndarray,
    notes: list[str],
) -> tuple[np.ndarray, dict[str, Any]]:
    """Read the run into `data` (T, n_voxels); give the region that it covers, (n_voxels,), and what was found.

    Smoothing would have to be divided by what of its kernel lies on voxels with data: a constant for every voxel of
    the grid, which the z-score divides by anyway. So nothing is divided; the region ends where the data do.
    """
    resample = make_resampler(bold.shape, bold.affine, grid, smoothing_fwhm=smoothing_fwhm)
    mask = None
    if mask_image is not None:
        mask, decided = read_mask(mask_image, bold)
        notes.extend(decided)
    # Before the long part: does the mask, or at least the field of view, cover the brain?
    reach = np.ones(bold.shape, dtype=bool) if mask is None else mask
    covered = mask_on_grid(reach, bold.affine, grid)
    check_coverage(covered, bold)
    found, doubts = check_overlap(mask, covered, bold, grid) if mask is not None else ({}, [])
    contents = Contents(bold, mask)
    for index, volume in _kept(bold, kept, release):
        data[index] = resample(contents.add(index, volume))
    contents.check_volumes()
    if mask is None:
        mask, how = estimate_mask(contents.mean, bold.affine)
        notes.append(f"The run has no brain mask; one was made from {how}.")
        covered = mask_on_grid(mask, bold.affine, grid)
        check_coverage(covered, bold, made_from=how)
        found, doubts = check_overlap(mask, covered, bold, grid, is_estimated=True)
    support, leaky, counts, lost = contents.holdings(mask)
    if leaky.any():  # known only now: once more, without what would be smoothed into others
        contents = Contents(bold, mask)
        for index, volume in _kept(bold, kept, release):
            data[index] = resample(np.where(leaky, 0, contents.add(index, volume)))
        contents.check_volumes()
    notes.extend([*doubts, *lost])
    region = mask_on_grid(mask & support, bold.affine, grid)
    try:
        check_coverage(region, bold)
    except InputError as error:  # the mask passed: it is the data that cover little
        raise InputError(f"{error} {' '.join(lost)}") from error
    return region, counts | found


def _kept(bold: BoldFile, kept: np.ndarray, release: Callable[[], None]) -> Iterator[tuple[int, np.ndarray]]:
    """Give the kept volumes of a run with their numbers."""
    for index, volume in enumerate(bold.volumes()):
        if kept[index]:
            yield index, volume
            if index % BLOCK == 0:
                release()
