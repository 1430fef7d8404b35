"""A run from the preprocessed image to its networks, with a finished model."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from nipype.interfaces.utility import IdentityInterface
from nipype.pipeline import engine as pe
from niworkflows.engine.workflows import LiterateWorkflow

from ..files import read_json
from ..model.folder import CARD, MASK, check_model_folder
from .model_card import training_sentence
from .networks import NETWORKS, init_networks_wf
from .preparation import PREPARED, init_prepare_run_wf

__all__ = ["init_scaae_wf"]


def init_scaae_wf(
    *,
    model_dir: str,
    strategy: str = "auto",
    smoothing_fwhm: float = 6.0,
    high_pass: float | None = None,
    low_pass: float | None = None,
    fd_threshold: float | None = None,
    dummy_scans: Literal["auto"] | int = "auto",
    denoised: bool = False,
    repetition_time: float | None = None,
    save_signed: bool = False,
    device: str = "auto",
    n_procs: int = 1,
    name: str = "scaae_wf",
    **evaluation: Any,
) -> LiterateWorkflow:
    """Build everything that happens to one run, for use inside another pipeline.

    Parameters
    ----------
    model_dir : str
        Model folder; the run is prepared on its grid.
    strategy, smoothing_fwhm, high_pass, low_pass, fd_threshold, dummy_scans, denoised, repetition_time
        As for `init_prepare_run_wf`.
    save_signed, device, n_procs
        As for `init_networks_wf`.
    name : str
    **evaluation
        Arguments of `init_networks_wf` and `init_evaluation_wf`: templates, baselines, atlas, n_surrogates …

    Inputs
    ------
    in_file, in_mask, confounds_file, confounds_metadata, repetition_time
        Only the first is required.
    run_name, surrogate_templates, null_model_dir
        For the null models; see `init_networks_wf`.
    events, start_time
        Of the task, for ``with_events``.

    Outputs
    -------
    prepared_file, region, samples, preparation_metadata
        The prepared run.
    fbn_maps, signed_maps, channel_weights, codes, networks_metadata
    template_iou … events_metadata
        Of `init_evaluation_wf`.
    match_p … dynamics_null_metadata
        Of `init_nulls_wf`.

    Raises
    ------
    TraitError, UsageError, ModelError
        At once, where an argument cannot be, two contradict each other, or the folder holds no model.
    """
    model_dir = str(Path(model_dir).absolute())  # nodes run in folders of their own
    check_model_folder(model_dir)
    workflow = LiterateWorkflow(name=name)
    grid_mask = str(Path(model_dir) / MASK)
    prepare = init_prepare_run_wf(
        strategy=strategy,
        smoothing_fwhm=smoothing_fwhm,
        high_pass=high_pass,
        low_pass=low_pass,
        fd_threshold=fd_threshold,
        dummy_scans=dummy_scans,
        denoised=denoised,
        repetition_time=repetition_time,
        grid_mask=grid_mask,
    )
    networks = init_networks_wf(save_signed=save_signed, device=device, n_procs=n_procs, **evaluation)
    networks.__desc__ = f"{training_sentence(read_json(Path(model_dir) / CARD))} {networks.__desc__}"
    networks.inputs.inputnode.model_dir = model_dir
    networks.inputs.inputnode.grid_mask = grid_mask
    fields = ["in_file", "in_mask", "confounds_file", "confounds_metadata", "repetition_time"]
    prepared = ["prepared_file", "region", "samples", "preparation_metadata"]
    more = ["run_name", "surrogate_templates", "null_model_dir", "events", "start_time"]
    inputnode = pe.Node(IdentityInterface(fields=[*fields, *more]), name="inputnode")
    outputnode = pe.Node(IdentityInterface(fields=[*prepared, *NETWORKS]), name="outputnode")
    workflow.connect(
        [
            (inputnode, prepare, [(field, f"inputnode.{field}") for field in fields]),
            (inputnode, networks, [(field, f"inputnode.{field}") for field in (*more, "repetition_time")]),
            (
                prepare,
                networks,
                [(f"outputnode.out_{field}", f"inputnode.in_{field}") for field in ("file", "mask", "samples")],
            ),
            (
                prepare,
                outputnode,
                [(f"outputnode.{field}", name) for field, name in zip(PREPARED, prepared, strict=True)],
            ),
            (networks, outputnode, [(f"outputnode.{field}", field) for field in NETWORKS]),
        ]
    )
    return workflow
