"""A trained model on disk: safetensors, a card that says what it is, and the mask of its grid."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import torch
from safetensors.torch import load, save_file

from .._version import __version__
from ..errors import InputError, ModelError, UsageError
from ..files import PathLike, replacing, replacing_folder, write_json
from ..grid import Grid, load_grid
from ..opening import read_bytes
from .folder import CARD, GROUP_PCA, MASK, WEIGHTS, check_model_folder, read_card
from .group_pca import GroupPCA
from .network.autoencoder import SCAAE
from .network.contextual import ContextualSCAAE
from .network.linear import LinearNetwork
from .network.pointwise import PointwiseSCAAE
from .presets import Preset, preset_named

__all__ = ["FORMAT_VERSION", "Model", "Network", "load_model", "new_network", "save_model"]

FORMAT_VERSION = 1

LARGEST_WEIGHTS = 4 * 2**30
"""Bytes of the largest file of weights that is read. The published layers on a 4 mm grid have some 30 MB."""

Network = SCAAE | ContextualSCAAE | PointwiseSCAAE | LinearNetwork


@dataclass
class Model:
    """A network in evaluation mode, the space it works in and the card that describes it."""

    network: Network
    grid: Grid
    card: dict[str, Any] = field(default_factory=dict)
    """See the documentation of the model card; keys used in code are ``Precision``, ``Mode`` and ``Branches``."""
    group_pca: GroupPCA | None = None
    """Principal components of the runs that the network was fitted to."""

    @property
    def box(self) -> tuple[slice, slice, slice]:
        """The part of the grid that the network works on."""
        return network_box(self.network.preset, self.grid)

    def volumes(self, vectors: np.ndarray) -> torch.Tensor:
        """Put in-mask vectors (batch, n_voxels) on the network's field: (batch, 1, X, Y, Z), float32."""
        return torch.from_numpy(self.grid.volumes(np.asarray(vectors, dtype=np.float32))[(..., *self.box)]).unsqueeze(1)

    def noise(self) -> torch.Tensor:
        """Make a volume of noise, always the same, on the network's field: (1, 1, X, Y, Z)."""
        return self.volumes(np.random.default_rng(0).standard_normal((1, self.grid.n_voxels), dtype=np.float32))

    def vectors(self, maps: torch.Tensor) -> np.ndarray:
        """Take the mask's voxels of maps on the network's field: (…, X, Y, Z) to (…, n_voxels), float32."""
        return maps.float().numpy()[..., self.grid.mask[self.box]]


def network_box(preset: Preset, grid: Grid) -> tuple[slice, slice, slice]:
    """Give the part of the grid that a preset works on."""
    if preset.field == "brain":
        return grid.box
    x, y, z = (slice(0, size) for size in grid.shape)
    return x, y, z


def new_network(preset: Preset, grid: Grid, *, seed: int) -> Network:
    """Make an untrained network; the same seed gives the same weights and leaves torch's own random state alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        box = network_box(preset, grid)
        if preset.pointwise:
            return PointwiseSCAAE(preset, mask=grid.mask[box], voxel_sizes=grid.voxel_sizes)
        if preset.linear:
            return LinearNetwork(preset, mask=grid.mask[box], voxel_sizes=grid.voxel_sizes)
        if preset.context:
            return ContextualSCAAE(preset, mask=grid.mask[box], voxel_sizes=grid.voxel_sizes)
        x, y, z = (s.stop - s.start for s in box)
        return SCAAE(preset, field=(x, y, z))


def save_model(model: Model, folder: PathLike) -> Path:
    """Write a model folder, complete or not at all.

    The weights' checksum, the grid and the versions are added to the card.

    Raises
    ------
    ModelError
        If a weight is not finite, or the folder cannot be written (disk full, no permission); an older model there
        stays as it was.
    """
    folder = Path(folder)
    if name := _not_finite(model):
        raise ModelError(f"{folder}: the model is not written, because {name} holds values that are not finite.")
    tensors = {name: tensor.contiguous().cpu() for name, tensor in model.network.state_dict().items()}
    try:
        with replacing_folder(folder) as new:
            new.mkdir()
            with replacing(new / WEIGHTS) as weights:  # safetensors makes files private
                save_file(tensors, weights)
            model.grid.save(new / MASK)
            model.card = _complete(model, new / WEIGHTS)
            if model.group_pca is not None:
                model.group_pca.save(new / GROUP_PCA)
                model.card["GroupPCA"] = model.group_pca.about | {"SHA256": _sha256(new / GROUP_PCA)}
            write_json(model.card, new / CARD)
    except (OSError, safetensors.SafetensorError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ModelError(f"{folder}: the model cannot be written ({reason}).") from error
    return folder


def _complete(model: Model, weights: Path) -> dict[str, Any]:
    grid = model.grid
    return {
        **model.card,
        "FormatVersion": FORMAT_VERSION,
        "Preset": model.network.preset.name,
        "Grid": {"Shape": list(grid.shape), "Affine": grid.affine.tolist(), "MaskChecksum": grid.checksum},
        "WeightsSHA256": _sha256(weights),
        "Parameters": sum(parameter.numel() for parameter in model.network.parameters()),
        "Versions": {"scaae-nipype": __version__, "torch": torch.__version__, "python": platform.python_version()},
    }


def load_model(folder: PathLike) -> Model:
    """Load a model folder and check that its parts belong together. Nothing in it is executed.

    Raises
    ------
    ModelError
        If a file is missing or damaged, or card, mask and weights do not fit each other.
    """
    folder = Path(folder)
    check_model_folder(folder)
    try:
        card = read_card(folder)
        grid = load_grid(folder / MASK)
        if card["FormatVersion"] > FORMAT_VERSION:
            raise ModelError(f"{folder}: was written by a newer version of this program; update it to use the model.")
        preset = preset_named(card["Preset"])
        if card["Grid"]["MaskChecksum"] != grid.checksum:
            raise ModelError(f"{folder}: {MASK} is not the mask that the card describes; take an undamaged copy.")
        weights = _as_described(folder / WEIGHTS, card["WeightsSHA256"])
        of_pca = _as_described(folder / GROUP_PCA, card["GroupPCA"]["SHA256"]) if "GroupPCA" in card else None
    except InputError as error:  # names the file
        raise ModelError(str(error)) from error
    except UsageError as error:
        raise ModelError(f"{folder / CARD}: {error}") from error
    except KeyError as error:
        raise ModelError(f"{folder / CARD}: has no {error.args[0]}; take an undamaged copy of the model.") from error
    network = new_network(preset, grid, seed=0)
    try:
        tensors = load(weights)
        _refuse_types(tensors, network, folder / WEIGHTS)
        network.load_state_dict(tensors)
    except safetensors.SafetensorError as error:
        raise ModelError(f"{folder / WEIGHTS}: is truncated or damaged; take an undamaged copy.") from error
    except RuntimeError as error:
        first = str(error).splitlines()[-1].strip(" \t.")
        raise ModelError(
            f"{folder / WEIGHTS}: does not hold the weights of preset {preset.name!r}, which the card names ({first})."
        ) from error
    group_pca = None
    if of_pca is not None:
        try:
            group_pca = GroupPCA.load(of_pca, card["GroupPCA"], path=folder / GROUP_PCA, n_voxels=grid.n_voxels)
        except InputError as error:
            raise ModelError(f"{error} Take an undamaged copy of the model.") from error
    model = Model(network.eval(), grid, card, group_pca)
    if name := _not_finite(model):
        raise ModelError(f"{folder}: {name} holds values that are not finite; take an undamaged copy, or fit it again.")
    return model


def _as_described(path: Path, checksum: str) -> bytes:
    """Read a file once, check it against the card, and give what was checked.

    Tensors are made from these bytes: safetensors' own reading of files keeps some memory for every tensor (0.8.0).
    """
    content = read_bytes(path, most=LARGEST_WEIGHTS) if path.is_file() else b""
    if hashlib.sha256(content).hexdigest() != checksum:
        raise ModelError(
            f"{path.parent}: {path.name} differs from what the card describes (damaged?); take an undamaged copy."
        )
    return content


def _refuse_types(tensors: Mapping[str, torch.Tensor], network: Network, path: Path) -> None:
    """Refuse whole, logical and complex numbers in place of weights, which would be rounded or cut without a word."""
    for name, own in network.state_dict().items():
        theirs = tensors.get(name, own)
        if own.is_floating_point() and not theirs.is_floating_point():
            kind = str(theirs.dtype).removeprefix("torch.")
            raise ModelError(f"{path}: {name} holds values of type {kind}, no weights; take an undamaged copy.")


def _not_finite(model: Model) -> str:
    """Name a tensor of a model that holds NaN or infinite values; empty where all are numbers."""
    tensors = model.network.state_dict()
    bad = (name for name, tensor in tensors.items() if tensor.is_floating_point() and not tensor.isfinite().all())
    if (name := next(bad, "")) or model.group_pca is None:
        return name
    return "" if np.isfinite(model.group_pca.maps).all() else GROUP_PCA


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
