"""Many prepared runs become one model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from nipype.interfaces.utility import IdentityInterface
from nipype.pipeline import engine as pe
from niworkflows.engine.workflows import LiterateWorkflow

from ..interfaces.model import TrainModel

__all__ = ["FITTED_PRESET", "init_training_wf"]

FITTED_PRESET = "contextual"
"""The preset whose attention ships: training fits its context alone."""


def init_training_wf(
    *,
    run_names: Sequence[str],
    preset: str = "contextual",
    mode: Literal["calibrated", "paper"] = "calibrated",
    train_volumes: Literal["auto"] | int = "auto",
    seed: int = 0,
    precision: Literal["auto", "fp32", "bf16"] = "auto",
    device: str = "auto",
    checkpoint_dir: str | None = None,
    processes: int = 1,
    n_procs: int = 1,
    mem_gb: float = 4.0,
    name: str = "training_wf",
) -> LiterateWorkflow:
    """Build the training of one model on all runs that are connected.

    Parameters
    ----------
    run_names : sequence of str
        Of the runs, in the order of the inputs; they go into the model card.
    preset, mode : str
        Network and recipe.
    train_volumes : "auto" or int
        Volumes shown to the network.
    seed : int
    precision, device : str
    checkpoint_dir : str, optional
        Where an interrupted training goes on; the node's folder by default.
    processes : int
        Devices (CUDA) or processes (CPU) that share the training of an autoencoder.
    n_procs : int
        CPU threads.
    mem_gb : float
    name : str

    Inputs
    ------
    in_files, in_samples, in_metadata
        Lists, one entry a run.

    Outputs
    -------
    model_dir
    """
    workflow = LiterateWorkflow(name=name)
    workflow.__desc__ = (
        "The context of a spatial and channel-wise attention network (SCAAE, @scaae), whose attention had been trained "
        f"on simulated volumes, was fitted to {len(run_names)} run{'s' if len(run_names) != 1 else ''} by reduced-rank "
        "regression of neighbouring volumes. One branch of it marks what is above the mean of a voxel over the "
        "run, the other what is below. "
        if preset == FITTED_PRESET
        else f"A spatial and channel-wise attention autoencoder (SCAAE, @scaae; preset *{preset}*, mode *{mode}*, seed "
        f"{seed}) was trained on {len(run_names)} run{'s' if len(run_names) != 1 else ''} with Adam and a mean squared "
        "error loss (PyTorch, @pytorch). "
    )
    train = pe.Node(
        TrainModel(
            run_names=list(run_names),
            preset=preset,
            mode=mode,
            train_volumes=train_volumes,
            seed=seed,
            precision=precision,
            device=device,
            processes=processes,
            **({"checkpoint_dir": checkpoint_dir} if checkpoint_dir else {}),
        ),
        name="train",
        n_procs=n_procs,
        mem_gb=mem_gb,
    )
    fields = ["in_files", "in_samples", "in_metadata"]
    inputnode = pe.Node(IdentityInterface(fields=fields), name="inputnode")
    outputnode = pe.Node(IdentityInterface(fields=["model_dir"]), name="outputnode")
    workflow.connect(
        [
            (inputnode, train, [(field, field) for field in fields]),
            (train, outputnode, [("model_dir", "model_dir")]),
        ]
    )
    return workflow
