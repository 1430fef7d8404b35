"""Weights in the layout of the published implementation, read under the names of this one."""

from __future__ import annotations

import pickle
import warnings
from pathlib import Path

import torch
from torch import Tensor

from ..errors import InputError, ModelError
from ..files import PathLike
from ..opening import refuse_odd_file
from ..words import counted
from .network.autoencoder import CODE_EDGE, SCAAE

__all__ = ["published_names", "read_published_weights"]

_BLOCK = {f"conv{i + 1}": f"convolutions.{i}" for i in range(3)} | {f"bn{i + 1}": f"norms.{i}" for i in range(3)}


def _modules() -> dict[str, str]:
    """Map published module names to ours, except for the 64 position-wise networks of the code."""
    modules = {
        "sa_encoder.conv": "attention.stem",
        "sa_encoder.PatchesEmbedding": "encoder.patches",
        "sa_encoder.down_sample": "encoder.halve",
        "decoder.conv": "decoder.stem",
        "decoder.decoder": "decoder.head",
    }
    blocks = {f"sa_encoder.convBlock.{i}": f"attention.trunk.{i}" for i in range(2)}
    blocks |= {f"sa_encoder.convBlock{i + 1}": f"attention.branches.{i}" for i in range(2)}
    blocks |= {f"sa_encoder.conv_blocks.{i}": f"encoder.blocks.{i}" for i in range(3)}
    for theirs, ours in blocks.items():
        modules |= {f"{theirs}.{a}": f"{ours}.{b}" for a, b in _BLOCK.items()}
    for branch in range(2):
        modules[f"sa_encoder.sa{branch + 1}.conv1"] = f"attention.spatial.{branch}.wide"
        modules[f"sa_encoder.sa{branch + 1}.conv2"] = f"attention.spatial.{branch}.narrow"
    for layer in range(3):
        modules[f"sa_encoder.ca.fc{layer + 1}"] = f"attention.channel.layers.{2 * layer}"
    for layer in (0, 3, 6, 9, 10, 13):
        modules |= {
            f"decoder.deconv_list.{layer}.conv.{i}": f"decoder.layers.{layer}.convolutions.{i}" for i in range(3)
        }
        modules[f"decoder.deconv_list.{layer}.bn"] = f"decoder.layers.{layer}.norm"
    modules |= {f"decoder.deconv_list.{layer}": f"decoder.layers.{layer}" for layer in (1, 4, 7, 11)}
    return modules


def published_names(network: SCAAE) -> dict[str, tuple[str, int | None]]:
    """Map every tensor of the published layout to (name, position) of a tensor of `network`.

    The position is the index along the first axis for the 64 small networks, which this implementation holds in one
    tensor, and None otherwise.
    """
    names: dict[str, tuple[str, int | None]] = {}
    own = network.state_dict()
    for theirs, ours in _modules().items():
        for name in own:
            if name.startswith(f"{ours}.") and "." not in name[len(ours) + 1 :]:
                names[f"{theirs}.{name[len(ours) + 1 :]}"] = (name, None)
    for position in range(CODE_EDGE**3):
        for layer in range(3):
            theirs = f"sa_encoder.mlp_list.{position}.{2 * layer}"
            names[f"{theirs}.weight"] = (f"encoder.positions.weights.{layer}", position)
            names[f"{theirs}.bias"] = (f"encoder.positions.biases.{layer}", position)
    return names


def read_published_weights(path: PathLike, network: SCAAE) -> None:
    """Load a state dict in the published layout into a network of the ``published`` preset.

    Only tensors are read (``weights_only=True``): a file with anything else in it is refused, nothing of it is run.

    Raises
    ------
    ModelError
        If the file is no plain state dict, or a tensor is missing, unknown, of another shape or not finite.
    """
    try:
        refuse_odd_file(path)
        Path(path).open("rb").close()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch on old pickles; the errors say enough
            theirs = torch.load(path, map_location="cpu", weights_only=True)
    except InputError as error:
        raise ModelError(str(error)) from error
    except (FileNotFoundError, PermissionError, IsADirectoryError) as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror}).") from error
    except pickle.UnpicklingError as error:
        raise ModelError(
            f"{path}: is no PyTorch file or holds more than tensors, and is refused; save a plain state dict."
        ) from error
    except (OSError, RuntimeError, EOFError, ValueError, KeyError) as error:
        raise ModelError(f"{path}: is truncated, damaged or no PyTorch file; take an undamaged copy.") from error
    if isinstance(theirs, dict) and isinstance(theirs.get("state_dict"), dict):
        theirs = theirs["state_dict"]
    if not isinstance(theirs, dict) or not all(isinstance(value, Tensor) for value in theirs.values()):
        raise ModelError(f"{path}: is not a state dict of tensors.")
    theirs = {name.removeprefix("module."): tensor for name, tensor in theirs.items()}
    names = published_names(network)
    lacking, unknown = names.keys() - theirs.keys(), theirs.keys() - names.keys()
    for problem, found in (("lacks {} of", lacking), ("has {} unknown to", unknown)):
        if found:
            count = problem.format(counted(len(found), "tensor"))
            raise ModelError(f"{path}: {count} the published layout, such as {min(found)!r}.")
    own = network.state_dict()
    with torch.no_grad():
        for name, (target, position) in names.items():
            place = own[target] if position is None else own[target][position]
            if place.shape != theirs[name].shape:
                raise ModelError(
                    f"{path}: {name!r} has shape {tuple(theirs[name].shape)} instead of {tuple(place.shape)}."
                )
            if not torch.isfinite(theirs[name]).all():
                raise ModelError(f"{path}: {name!r} has values that are not finite.")
            place.copy_(theirs[name])
