"""Many prepared runs become one model."""

from __future__ import annotations

from collections.abc import Sequence

from nipype.pipeline import engine as pe
from niworkflows.engine.workflows import LiterateWorkflow

from ..errors import UsageError
from ..interfaces.model import TrainModel
from ..model.presets import CONTEXTUAL_PRESET, LINEAR_PRESET, POINTWISE_PRESET
from ..options import Training
from ..words import counted
from .connections import begin, same
from .resources import check_memory, check_processors, in_groups

__all__ = ["init_training_wf"]


@in_groups
def init_training_wf(
    training: Training = Training(),
    *,
    run_names: Sequence[str],
    checkpoint_dir: str | None = None,
    n_procs: int = 1,
    mem_gb: float = 4.0,
    name: str = "training_wf",
) -> LiterateWorkflow:
    """Build the training of one model on all runs that are connected.

    Parameters
    ----------
    training : Training
        Network, recipe, seed, device …
    run_names : sequence of str
        Of the runs, in the order of the inputs; they go into the model card.
    checkpoint_dir : str, optional
        Where an interrupted training goes on; the node's folder by default.
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
    check_processors(n_procs)
    check_memory(mem_gb=mem_gb)
    if isinstance(run_names, str):
        raise UsageError(f"`run_names` must be a list with a name for each run, not {run_names!r}.")
    fields = ["in_files", "in_samples", "in_metadata"]
    workflow, inputnode, outputnode = begin(name, fields, ["model_dir"], _description(training, len(run_names)))
    train = pe.Node(
        TrainModel(
            run_names=list(run_names),
            **training.given(),
            **({"checkpoint_dir": checkpoint_dir} if checkpoint_dir else {}),
        ),
        name="train",
        n_procs=n_procs,
        mem_gb=mem_gb,
    )
    workflow.connect([(inputnode, train, same(*fields)), (train, outputnode, same("model_dir"))])
    return workflow


def _description(training: Training, n_runs: int) -> str:
    preset, train_volumes = training.preset, training.train_volumes
    runs = counted(n_runs, "run")
    if preset == CONTEXTUAL_PRESET:
        return (
            f"The context of a spatial and channel-wise attention network (SCAAE, @scaae; preset *{preset}*), whose "
            f"attention had been trained on simulated volumes, was fitted to {runs} by reduced-rank regression of "
            "neighbouring volumes. One branch of it marks what is above the mean of a voxel over the run, the other "
            "what is below. "
        )
    if preset == POINTWISE_PRESET:
        return (
            f"The views of a pointwise attention network (SCAAE, @scaae; preset *{preset}*), whose attention had been "
            f"trained on simulated volumes, were fitted to {runs}: principal components and non-negative parts. One "
            "branch of it marks what is above the mean of a voxel over the run, the other what is below. "
        )
    if preset == LINEAR_PRESET:
        return (
            f"Principal components were fitted to {runs} (preset *{preset}*): there is no attention. One branch is the "
            "projection of a volume on them, the other its negative. "
        )
    shown = "" if train_volumes == "auto" else f"{train_volumes} volumes, repetitions included, of "
    return (
        f"A spatial and channel-wise attention autoencoder (SCAAE, @scaae; preset *{preset}*, mode *{training.mode}*, "
        f"seed {training.seed}) was trained on {shown}{runs} with Adam and a mean squared error loss (PyTorch, "
        "@pytorch). "
    )
