"""The Lightning trainer: devices, checkpoints, exact resume, logs."""

from __future__ import annotations

import logging
import signal
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pandas as pd
import torch
from lightning.fabric.plugins.environments import ClusterEnvironment, LightningEnvironment, TorchElasticEnvironment
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from torch.utils.data import DataLoader

from ...errors import Interrupted, ModelError
from ...files import replacing
from ...progress import Progress
from ...signals import listen
from .learner import Learner, StepsTold
from .volumes import VolumeCache, VolumeStream

__all__ = ["fit"]

_PART = "from-step-"

CHECKPOINT_EVERY = 200
"""Volumes between two checkpoints: what a killed training loses at most."""


def fit(
    learner: Learner,
    cache: VolumeCache,
    *,
    seed: int,
    bf16: bool,
    device: torch.device,
    processes: int,
    callbacks: Sequence[pl.Callback],
    identity: dict[str, Any],
    work_dir: Path,
    progress: Progress,
) -> pl.Trainer:
    """Fit a network to cached volumes, from the last checkpoint if there is one.

    The order of the volumes depends on `seed`. With `bf16`, precision is mixed: weights and optimiser stay in fp32.
    `processes` are the devices (CUDA) or processes (CPU, started by ``torchrun``) that share every batch. `identity`
    says what this training is: a checkpoint of another one is refused, and ``batch_size`` is read from it.

    Raises
    ------
    ModelError
        If a checkpoint is of another training, or cannot be read or written.
    Interrupted
        If a signal asked for the end; there is a checkpoint then.
    """
    environment = _environment()
    checkpoints = work_dir / "checkpoints"
    last = _last_checkpoint(checkpoints, identity)
    batch_size = identity["batch_size"]
    learner.last_loss = last[1].get("loss") if last else None
    start, every = int(last[1]["global_step"]) if last else 0, max(1, CHECKPOINT_EVERY // batch_size)
    stream = VolumeStream(
        cache,
        batch_size=batch_size,
        seed=seed,
        start=start,
        rank=environment.global_rank(),
        world_size=max(environment.world_size(), 1),
    )
    with _quiet_lightning():
        trainer = pl.Trainer(
            accelerator="gpu" if device.type == "cuda" else "cpu",
            devices=[device.index] if device.index is not None else processes,
            strategy="ddp" if processes > 1 else "auto",
            plugins=[environment],
            precision="bf16-mixed" if bf16 else "32-true",
            sync_batchnorm=device.type == "cuda" and processes > 1,
            max_steps=learner.n_steps,
            callbacks=[
                *callbacks,
                _Checkpoint(identity, dirpath=checkpoints, every_n_train_steps=every),
                StepsTold(progress, batch_size=batch_size, n_steps=learner.n_steps),
                SaveOnSignal(checkpoints),
            ],
            logger=[
                CSVLogger(work_dir, name="csv", version=f"{_PART}{start}", flush_logs_every_n_steps=every),
                TensorBoardLogger(work_dir, name="tensorboard", version=""),
            ],
            log_every_n_steps=1,
            enable_progress_bar=False,
            enable_model_summary=False,
            use_distributed_sampler=False,
            default_root_dir=work_dir,
        )
        loader = DataLoader(stream, batch_size=None)
        hears = signal.getsignal(signal.SIGINT)
        try:
            trainer.fit(learner, loader, ckpt_path=str(last[0]) if last else None, weights_only=True)
        except OSError as error:
            raise ModelError(
                f"{work_dir}: training stopped, a checkpoint or log cannot be written ({error.strerror or error}). "
                "Free some space and start again: training goes on from the last checkpoint."
            ) from error
        except SystemExit as error:  # Lightning makes it of an interruption, and is deaf to Ctrl-C from then on
            if threading.current_thread() is threading.main_thread():
                signal.signal(signal.SIGINT, hears)
            stopped = error.__context__
            raise (stopped if isinstance(stopped, KeyboardInterrupt) else KeyboardInterrupt()) from None
    if trainer.is_global_zero:
        _join_logs(work_dir / "csv")
    return trainer


def _join_logs(folder: Path) -> None:
    """Write ``metrics.csv`` from the logs of a training that went on several times: Lightning begins a new one each."""
    starts = sorted(int(path.name.removeprefix(_PART)) for path in folder.glob(f"{_PART}*"))
    parts = []
    for start, end in zip(starts, [*starts[1:], None], strict=True):
        file = folder / f"{_PART}{start}" / "metrics.csv"
        if file.exists():
            part = pd.read_csv(file)
            parts.append(part if end is None else part[part["step"] < end])  # the rest was done again
    if parts:
        with replacing(folder / "metrics.csv") as temporary:
            pd.concat(parts).to_csv(temporary, index=False)


def _environment() -> ClusterEnvironment:
    """Take part in a ``torchrun`` job if there is one; ignore Slurm's variables, which describe the job around us."""
    return TorchElasticEnvironment() if TorchElasticEnvironment.detect() else LightningEnvironment()


class _Checkpoint(ModelCheckpoint):
    """Keep the last checkpoint, with what it is a checkpoint of."""

    def __init__(self, identity: dict[str, Any], **kwargs: Any):
        super().__init__(filename="{step}", save_top_k=1, enable_version_counter=False, **kwargs)
        self.identity = identity

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Add the identity, and the loss, which a training that has no step left could not tell again."""
        checkpoint["identity"] = self.identity
        checkpoint["loss"] = pl_module.last_loss


class SaveOnSignal(pl.Callback):
    """Save and stop when told to: SIGUSR1 (Slurm warns before a requeue), SIGTERM, SIGHUP (a terminal goes away)."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.received: signal.Signals | None = None
        self.is_saved = False
        self.listening = ExitStack()

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Listen, in place of Lightning, which would stop without a checkpoint."""
        self.listening.callback(listen(self._note))

    def _note(self, number: signal.Signals) -> None:
        self.received = number

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any) -> None:
        """Save between two steps, where the state is whole; of several processes, all after the same step."""
        if not trainer.strategy.reduce_boolean_decision(self.received is not None, all=False):
            return
        path = self.folder / f"step={trainer.global_step}.ckpt"
        trainer.save_checkpoint(path)
        for older in self.folder.glob("step=*.ckpt"):
            if older != path and trainer.is_global_zero:
                older.unlink()
        self.is_saved = True

    def on_train_batch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any) -> None:
        """Stop, now that the last step has been logged too."""
        if self.is_saved:
            self._stop(trainer)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Give the signals back, or stop after the very last step."""
        if self.is_saved:
            self._stop(trainer)
        self.listening.close()

    def _stop(self, trainer: pl.Trainer) -> None:
        self.listening.close()
        by = f" by {self.received.name}" if self.received else ""
        raise Interrupted(
            f"Training was interrupted{by} after {trainer.global_step} of {trainer.max_steps} steps; the same command "
            "goes on from there."
        )


def _last_checkpoint(folder: Path, identity: dict[str, Any]) -> tuple[Path, dict[str, Any]] | None:
    """Find the newest checkpoint; refuse one that is damaged or belongs to another training."""
    files = sorted(folder.glob("step=*.ckpt"), key=lambda path: int(path.stem.split("=")[1]))
    if not files:
        return None
    try:
        content = torch.load(files[-1], map_location="cpu", weights_only=True)
    except Exception as error:
        raise ModelError(f"{files[-1]}: is a damaged checkpoint; remove it to train from the one before.") from error
    theirs = content.get("identity", {})
    different = sorted(key for key in identity if theirs.get(key) != identity[key])
    if different:
        raise ModelError(
            f"{files[-1]}: is a checkpoint of another training (another {', '.join(different)}); remove {folder} to "
            "start again."
        )
    return files[-1], content


@contextmanager
def _quiet_lightning() -> Iterator[None]:
    """Keep Lightning's tips and device banners, and what is no concern of users, off the screen."""
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="lightning")
            # DDP and channels-last kernels of one voxel: the same numbers in another order, copied once more.
            warnings.filterwarnings("ignore", message="Grad strides do not match bucket view strides")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
