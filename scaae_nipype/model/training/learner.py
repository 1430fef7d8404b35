"""What Lightning needs to know: loss and optimiser, who hears of progress, and when the networks have settled."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import lightning.pytorch as pl
import numpy as np
import torch
from torch import Tensor

from ...errors import ModelError
from ...progress import Advance, Progress, silent
from ..network.autoencoder import SCAAE
from ..presets import Recipe

__all__ = ["Learner", "SettledNetworks", "StepsTold"]

DECAY_STEPS = 10
"""The learning rate falls this often over a training (the paper: every 2 of 20 epochs)."""


class Learner(pl.LightningModule):
    """Training of a network by its reconstruction error (equation 10).

    Parameters
    ----------
    n_steps : int
        Steps of the whole training: the learning rate decays along it.
    place : callable
        Puts in-mask vectors (batch, n_voxels) on the network's field (batch, 1, X, Y, Z).
    mask : bool array, (X, Y, Z)
        The brain mask on the network's field.
    """

    def __init__(
        self,
        network: SCAAE,
        *,
        recipe: Recipe,
        n_steps: int,
        place: Callable[[np.ndarray], Tensor],
        mask: np.ndarray,
    ):
        super().__init__()
        self.network = network.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
        self.recipe, self.n_steps, self.place = recipe, n_steps, place
        weights = torch.from_numpy(mask.astype(np.float32)) if recipe.masked_loss else torch.ones(mask.shape)
        self.last_loss: float | None = None
        self.register_buffer("loss_weights", weights / weights.sum(), persistent=False)

    def training_step(self, vectors: Tensor, batch_index: int) -> Tensor:
        """Give the loss of one batch.

        Raises
        ------
        ModelError
            If it is not finite: from then on, no weight is.
        """
        volumes = self.place(vectors.cpu().numpy()).to(self.device).contiguous(memory_format=torch.channels_last_3d)
        error = self.network(volumes).volumes.float() - volumes
        weights: Tensor = self.loss_weights  # type: ignore[assignment]
        loss = (error.square() * weights).sum() / len(volumes)
        self.last_loss = float(loss.detach())
        if not math.isfinite(self.last_loss):
            raise ModelError(
                f"Training diverged: after {self.trainer.global_step} steps the loss is {self.last_loss}, not a finite "
                "number. Look for extreme values in the runs, or give `precision` fp32 or another `seed`."
            )
        self.log("loss", loss.detach(), on_step=True, on_epoch=False)
        return loss

    def configure_optimizers(self) -> Any:
        """Adam with step decay."""
        optimiser = torch.optim.Adam(self.network.parameters(), lr=self.recipe.learning_rate)
        decay, n_steps = self.recipe.decay, self.n_steps
        schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: decay ** (DECAY_STEPS * step // n_steps))
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


class StepsTold(pl.Callback):
    """Tell how many volumes were shown, and the loss; the first of several processes does."""

    def __init__(self, progress: Progress, *, batch_size: int, n_steps: int):
        self.progress, self.batch_size, self.n_steps = progress, batch_size, n_steps
        self.opened = ExitStack()
        self.advance: Advance | None = None

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Begin, from where a resumed training goes on."""
        progress = self.progress if trainer.is_global_zero else silent
        done, total = (steps * self.batch_size for steps in (trainer.global_step, self.n_steps))
        self.advance = self.opened.enter_context(progress("Training", total, "volume", done))

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any) -> None:
        """Move on by one batch."""
        assert self.advance is not None
        self.advance(self.batch_size, f"loss={float(trainer.callback_metrics['loss']):.3f}")

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """End where all is shown."""
        self.opened.close()

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """End where it stopped."""
        self.opened.close()


class SettledNetworks(pl.Callback):
    """Stop when the networks of a fixed probe set no longer change.

    The paper: "FBNs constructed by the model saved at each epoch were nearly identical."

    Parameters
    ----------
    networks : callable
        Gives the probe set's signed maps, float (n_probe, 2, n_voxels), from the network as it is.
    interval : int
        Steps between two looks.
    first : int
        Step before which training never stops: early networks may stand still before they get anywhere.
    tolerance : float
        Mean absolute correlation with the last look from which on the networks count as settled.
    patience : int
        Settled looks in a row before training stops.
    """

    def __init__(
        self,
        networks: Callable[[SCAAE], np.ndarray],
        *,
        interval: int,
        first: int = 0,
        tolerance: float = 0.995,
        patience: int = 2,
    ):
        self.networks, self.interval, self.first = networks, interval, first
        self.tolerance, self.patience = tolerance, patience
        self.last: np.ndarray | None = None
        self.settled = 0
        self.similarities: list[float] = []

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any) -> None:
        """Look at the probe set."""
        if trainer.global_step % self.interval:
            return
        assert isinstance(pl_module, Learner)
        maps = self.networks(pl_module.network)
        maps = maps - maps.mean(axis=-1, keepdims=True)
        maps /= np.maximum(np.linalg.norm(maps, axis=-1, keepdims=True), 1e-12)
        if self.last is not None:
            similarity = float(np.abs((maps * self.last).sum(axis=-1)).mean())
            self.similarities.append(similarity)
            self.settled = self.settled + 1 if similarity >= self.tolerance else 0
            pl_module.log("probe_similarity", similarity)
        self.last = maps
        if self.settled >= self.patience and trainer.global_step >= self.first:
            trainer.should_stop = True

    def state_dict(self) -> dict[str, Any]:
        """Keep the last look, so that a resumed training stops where an uninterrupted one would."""
        last = None if self.last is None else torch.from_numpy(self.last)
        return {"last": last, "settled": self.settled, "similarities": self.similarities}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up the last look."""
        self.last = None if state_dict["last"] is None else state_dict["last"].numpy()
        self.settled, self.similarities = state_dict["settled"], list(state_dict["similarities"])
