"""Networks, channel weights and codes of every volume of a run, from one pass through the attention path."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import nibabel as nib
import numpy as np
import torch
from torch import nn

from ...errors import ModelError
from ...grid import Grid
from ...maps import BRANCHES, scale
from ...options import Training
from ...words import counted
from ..device import check_device
from ..network.linear import LinearNetwork
from ..network.pointwise import PointwiseSCAAE
from ..presets import CODE_SIZE
from ..runs import RunLike, volumes_of
from ..weights import Model
from .fused import FusedReader
from .neighbours import neighbours_of, seconds_of, time_width_of
from .threads import map_in_threads

__all__ = ["Extractor", "RunNetworks", "bf16_is_fast", "extract_networks", "resolve_device"]

AGREEMENT = 0.999
"""Smallest correlation of bf16 and fp32 FBNs at which bf16 is used."""

AT_ONCE = {"cpu": 1, "cuda": 8}
"""Volumes of one batch where convolutions take the time: more gain nothing, and take memory."""

LIGHT_AT_ONCE = {"cpu": 4, "cuda": 32}
"""The same of networks without any: what they do once a batch, and reading components from memory, counts."""


@dataclass(frozen=True, eq=False)
class RunNetworks:
    """What the network gives for a run of T volumes, of which some may not have been kept."""

    signed: np.ndarray
    """FBNs per branch after the sign, before equation 9, inside the region and outside: (2, n_kept, n_voxels)."""
    channel_weights: np.ndarray
    """Equation 6: (n_kept, channels)."""
    codes: np.ndarray
    """(n_kept, 64), or as many numbers as the preset's context has."""
    kept: np.ndarray
    """bool, (T,)."""
    region: np.ndarray
    """The evaluation region: bool, (n_voxels,)."""
    grid: Grid
    """The model's."""
    repetition_time: float
    """In s; 0 where it is not known."""
    precision: str = "fp32"
    """That the network computed in."""
    time_width: float = 0.0
    """How far the network looked around a volume in time: standard deviation in s, 0 for not at all."""

    def maps(self, branch: str, *, signed: bool = False) -> np.ndarray:
        """Give the FBNs of ``fbn1`` or ``fbn2``, after equation 9 or signed, before it: float32, (T, n_voxels).

        They are 0 outside the region and where a volume was not kept.
        """
        own = self.signed[BRANCHES.index(branch)][:, self.region]
        maps = np.zeros((len(self.kept), self.grid.n_voxels), dtype=np.float32)
        maps[np.ix_(self.kept, self.region)] = own if signed else scale(own)
        return maps

    def to_image(self, branch: str, *, signed: bool = False) -> nib.Nifti1Image:
        """Give the same maps as a 4D image (int16 with a slope)."""
        return self.grid.image(self.maps(branch, signed=signed), self.repetition_time)


def bf16_is_fast(device: torch.device) -> bool:
    """Tell whether a device computes in bf16 natively."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    capabilities = torch.cpu.get_capabilities()
    return any(capabilities.get(name) for name in ("avx512_bf16", "amx_bf16", "arm_bf16"))


def resolve_device(name: str) -> torch.device:
    """Turn ``auto``, ``cpu``, ``cuda`` or ``cuda:1`` into a device that exists.

    Raises
    ------
    UsageError
        If this is no name of a device.
    ModelError
        If CUDA is asked for and not there.
    """
    check_device(name)
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    device = torch.device(name)
    # By the number that was typed: torch.device takes cuda:256 for cuda:0.
    if device.type == "cuda" and int(name.partition(":")[2] or 0) >= torch.cuda.device_count():
        there = torch.cuda.device_count()
        found = counted(there, "CUDA device") if there else "no CUDA device"
        raise ModelError(f"Device {name!r} is asked for, but PyTorch finds {found}; use `device` cpu or auto.")
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise ModelError(f"Device {name!r} is asked for, but PyTorch finds none; use `device` cpu or auto.")
    return device


def _full_fp32(device: torch.device) -> AbstractContextManager[object]:
    """Compute fp32 in full on CUDA: its default, TF32, moves maps by 0.005 SD, and a device must not change results."""
    return torch.backends.cudnn.flags(enabled=True, allow_tf32=False) if device.type == "cuda" else nullcontext()


def _precision_on(device: torch.device, model: Model) -> str:
    """Decide where the work is done: the card was written where the model was fitted, which may be elsewhere."""
    wanted = str(model.card.get("Precision", "fp32"))
    is_emulated = wanted == "bf16" and not bf16_is_fast(device)
    return "fp32" if is_emulated and not model.card.get("PrecisionDemanded") else wanted


class Extractor:
    """A model made ready to extract networks: the fused path at the card's precision, on a device.

    A model whose card says ``bf16`` computes in it where the device does so natively, else in fp32: emulated, it is
    several times slower; where somebody demanded bf16 (``PrecisionDemanded``), it is used all the same. It is checked
    once, on a noise volume, against fp32; where they disagree, fp32 is used. `precision` says what is.
    """

    def __init__(self, model: Model, *, device: torch.device | None = None):
        self.model = model
        self.device = device or torch.device("cpu")
        self.precision = _precision_on(self.device, model)
        self.read: nn.Module = self._reader(torch.bfloat16 if self.precision == "bf16" else torch.float32)
        self.agreement_with_fp32 = self._agreement() if self.precision == "bf16" else 1.0
        if not self.agreement_with_fp32 >= AGREEMENT:  # nor is NaN
            self.precision, self.read = "fp32", self._reader(torch.float32)
        branches = model.card.get("Branches") or [{"Sign": 1}, {"Sign": 1}]
        self.signs = np.array([branch["Sign"] for branch in branches], dtype=np.float32)

    def _reader(self, dtype: torch.dtype) -> FusedReader:
        return FusedReader(self.model.network, dtype=dtype).to(self.device).eval()

    @torch.inference_mode()
    def _agreement(self) -> float:
        """Give the lowest correlation of this path's FBNs with fp32 ones, on one volume of noise."""
        volume = self.model.noise().to(self.device)
        readers = (self.read, self._reader(torch.float32))
        pairs = [self.model.vectors(read(volume).maps.cpu())[0] for read in readers]
        return float(min(np.corrcoef(a, b)[0, 1] for a, b in zip(*pairs, strict=True)))

    def batches(
        self,
        vectors: np.ndarray,
        batch_size: int | None = None,
        *,
        rested: np.ndarray | None = None,
        averaged: float = 1.0,
    ) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Yield signed maps (batch, 2, n_voxels), channel weights (batch, channels) and codes (batch, size) in order.

        On a CPU every thread works on volumes of its own: layers that wait for memory and layers that compute then
        overlap, and no thread waits for another. `rested` and `averaged` are the same volumes averaged with their
        neighbours in time, for a model that looks at these, and how many volumes count in that.
        """
        on_cpu = self.device.type == "cpu"
        if batch_size is None:
            is_light = isinstance(self.model.network, PointwiseSCAAE | LinearNetwork)
            batch_size = (LIGHT_AT_ONCE if is_light else AT_ONCE).get(self.device.type, AT_ONCE["cuda"])
        parts = (slice(start, start + batch_size) for start in range(0, len(vectors), batch_size))
        batches = ((vectors[part], None if rested is None else rested[part], averaged) for part in parts)
        return map_in_threads(self._read, batches) if on_cpu else map(self._read, batches)

    @torch.inference_mode()
    def _read(self, batch: tuple[np.ndarray, np.ndarray | None, float]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        vectors, rested, averaged = batch
        with _full_fp32(self.device):
            volumes = self.model.volumes(vectors).to(self.device)
            if rested is None:
                reading = self.read(volumes)
            else:
                reading = self.read(volumes, self.model.volumes(rested).to(self.device), averaged)
        maps = self.model.vectors(reading.maps.cpu()) * self.signs[:, None]
        return maps, reading.channel_weights.float().cpu().numpy(), reading.code.float().cpu().numpy()


def extract_networks(
    model: Model,
    run: RunLike,
    *,
    device: str | torch.device = Training.device,
    batch_size: int | None = None,
    progress: Callable[[int], object] | None = None,
) -> RunNetworks:
    """Extract the networks of every volume.

    Parameters
    ----------
    model : Model
    run : PreparedRun, image or array
        A model-ready run on the model's grid: what `prepare_run` gives, or a z-scored 4D image or array (T, n_voxels),
        where volumes that are 0 everywhere were not kept, and voxels that always are lie outside the region.
    device : str or torch.device
        ``auto`` (a GPU if there is one), ``cpu``, ``cuda``, ``cuda:1`` …
    batch_size : int, optional
        Volumes at once, on a CPU for each thread; the result does not depend on it. Default: 1 on a CPU and 8 on CUDA,
        of networks without convolutions 4 and 32.
    progress : callable, optional
        Called with the number of volumes done since the last call.

    Raises
    ------
    ModelError
        If the run lies on another grid than the model, there is no such device, or maps are not finite.
    InputError
        If the image cannot be read, no volume is kept, or the model looks at neighbours in time and the run's
        repetition time is not known.
    """
    volumes = volumes_of(run, model.grid)
    vectors = volumes.vectors
    around = neighbours_of(model, seconds_of(volumes.kept, volumes.repetition_time))
    rested, averaged = (None, 1.0) if around is None else (around.rested(vectors), around.averaged)
    extractor = Extractor(model, device=resolve_device(device) if isinstance(device, str) else device)
    channels = 2 * model.network.preset.branch_features
    signed = np.empty((2, *vectors.shape), dtype=np.float32)
    weights = np.empty((len(vectors), channels), dtype=np.float32)
    codes = np.empty((len(vectors), model.network.preset.context or CODE_SIZE), dtype=np.float32)
    done = 0
    for maps, channel_weights, code in extractor.batches(vectors, batch_size, rested=rested, averaged=averaged):
        if not all(np.isfinite(values).all() for values in (maps, channel_weights, code)):
            where = f"volumes {done + 1} to {done + len(maps)}" if len(maps) > 1 else f"volume {done + 1}"
            raise ModelError(
                f"{model.card.get('Name', 'The model')}: what it gives for {where} of {len(vectors)} is not finite; "
                "take another model, or fit it again."
            )
        here = slice(done, done + len(maps))
        signed[:, here], weights[here], codes[here] = maps.swapaxes(0, 1), channel_weights, code
        done = here.stop
        if progress is not None:
            progress(len(maps))
    of_run = (volumes.kept, volumes.region, model.grid, volumes.repetition_time)
    return RunNetworks(signed, weights, codes, *of_run, precision=extractor.precision, time_width=time_width_of(model))
