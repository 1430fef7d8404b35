"""Models of others: folders whose parts agree with their card's checksums, and are something else than they say."""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import safetensors.numpy
import safetensors.torch
import torch

from scaae_nipype.grid import load_grid
from scaae_nipype.model import PRESETS, Model, save_model
from scaae_nipype.model.group_pca import GroupPCA
from scaae_nipype.model.weights import new_network

CARD, WEIGHTS, PCA, MASK = "card.json", "weights.safetensors", "group_pca.safetensors", "mask.nii.gz"


class BadModel(NamedTuple):
    """One way to spoil a model folder."""

    name: str
    words: str  # regular expression
    spoil: Callable[[Path], object]


def make_model(folder: Path) -> Path:
    """Write a healthy model of the smallest preset, untrained."""
    grid = load_grid()
    pca = GroupPCA(np.eye(3, grid.n_voxels, dtype=np.float32), 8.0, 24)
    card = {"Name": "tiny", "Mode": "calibrated", "Branches": [{"Sign": 1}, {"Sign": 1}], "Training": {"Runs": ["a"]}}
    return save_model(Model(new_network(PRESETS["tiny"], grid, seed=0).eval(), grid, card, pca), folder)


def _agree(folder: Path) -> None:
    """Let the card have the checksums of what is there."""
    card = json.loads((folder / CARD).read_text())
    card["WeightsSHA256"] = hashlib.sha256((folder / WEIGHTS).read_bytes()).hexdigest()
    card["GroupPCA"]["SHA256"] = hashlib.sha256((folder / PCA).read_bytes()).hexdigest()
    (folder / CARD).write_text(json.dumps(card))


def _card(**keys: Any) -> Callable[[Path], None]:
    return lambda folder: (folder / CARD).write_text(json.dumps(json.loads((folder / CARD).read_text()) | keys))


def _without(key: str) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        card = json.loads((folder / CARD).read_text())
        del card[key]
        (folder / CARD).write_text(json.dumps(card))

    return spoil


def _write(name: str, content: str | bytes) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
        if name in (WEIGHTS, PCA):
            _agree(folder)

    return spoil


def _cut(name: str, part: float) -> Callable[[Path], None]:
    return lambda folder: _write(name, (folder / name).read_bytes()[: int(part * (folder / name).stat().st_size)])(
        folder
    )


def _odd(name: str, make: Callable[[Path], object]) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        (folder / name).unlink()
        make(folder / name)

    return spoil


def _first(change: Callable[[torch.Tensor], torch.Tensor]) -> Callable[[Path], None]:
    """Change the first tensor of weights."""

    def spoil(folder: Path) -> None:
        tensors = safetensors.torch.load_file(folder / WEIGHTS)
        name = next(name for name, tensor in tensors.items() if tensor.is_floating_point() and tensor.ndim > 1)
        safetensors.torch.save_file(tensors | {name: change(tensors[name])}, folder / WEIGHTS)
        _agree(folder)

    return spoil


def _tensors(change: Callable[[Mapping[str, torch.Tensor]], dict[str, torch.Tensor]]) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        safetensors.torch.save_file(change(safetensors.torch.load_file(folder / WEIGHTS)), folder / WEIGHTS)
        _agree(folder)

    return spoil


def _pca(**arrays: np.ndarray) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        safetensors.numpy.save_file(arrays, folder / PCA)
        _agree(folder)

    return spoil


def _about_pca(**keys: Any) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        card = json.loads((folder / CARD).read_text())
        card["GroupPCA"] |= keys
        (folder / CARD).write_text(json.dumps(card))

    return spoil


ODD = (
    ("pipe", os.mkfifo),
    ("loop", lambda path: path.symlink_to(path)),
    ("folder", lambda path: path.mkdir()),
    ("device", lambda path: path.symlink_to("/dev/zero")),
)
WRONG_TYPES = (
    ("FormatVersion", "1", "a whole number above 0"),
    ("FormatVersion", -3, "a whole number above 0"),
    ("FormatVersion", 10**400, "a whole number above 0"),
    ("Preset", 5, "text"),
    ("Preset", ["tiny"], "text"),
    ("Preset", "a\n\x1b[31m", "text"),
    ("Name", "x" * 10**6, "text"),
    ("Mode", ["paper"], "text"),
    ("Seed", "x", "a whole number"),
    ("Seed", -1, "a whole number"),
    ("Precision", "fp16", "fp32 or bf16"),
    ("Precision", None, "fp32 or bf16"),
    ("PrecisionDemanded", "yes", "true or false"),
    ("Branches", 5, "two objects"),
    ("Branches", [1, 2], "two objects"),
    ("Branches", [{"Sign": "1"}, {}], "two objects"),
    ("Branches", [{"Sign": True}, {}], "two objects"),
    ("Grid", 5, "an object"),
    ("WeightsSHA256", 5, "text"),
    ("GroupPCA", [1], "an object"),
    ("GroupPCA", None, "an object"),
    ("Training", [1], "an object"),
    ("Training", {"Runs": [1, None]}, "a list of names"),
    ("Training", {"VolumesSeen": "many"}, "a whole number"),
    ("Preparation", 5, "an object"),
    ("RepetitionTimeRange", ["a", "b"], "two numbers"),
    ("RepetitionTimeRange", [1], "two numbers"),
    ("CrossFit", [1], "an object"),
    ("Context", 5, "an object"),
    ("Start", 5, "an object"),
)
_DAMAGED, _NO_PCA = r"safetensors: is truncated or damaged", r"group_pca\.safetensors: does not hold the components"
_HEADERS = {
    "longheader": b"\xff" * 8 + b"{}",
    "farheader": (10**15).to_bytes(8, "little") + b"{}",
    "null": (4).to_bytes(8, "little") + b"null",
    "list": (2).to_bytes(8, "little") + b"[]",
    "empty": b"",
}

MODELS = (
    *(
        BadModel(f"{key}{number}", rf"card\.json: {key}.* must be {wanted}", _card(**{key: value}))
        for number, (key, value, wanted) in enumerate(WRONG_TYPES)
    ),
    *(
        BadModel(f"without{key}", rf"card\.json: has no {key}|its card has no {key}", _without(key))
        for key in ("FormatVersion", "Preset", "WeightsSHA256", "Grid")
    ),
    BadModel("newer", r"was written by a newer version", _card(FormatVersion=99)),
    BadModel("preset", r"there is no preset 'huge'", _card(Preset="huge")),
    BadModel("otherpreset", r"does not hold the weights of preset 'autoencoder'", _card(Preset="autoencoder")),
    BadModel("othergrid", r"is not the mask that the card describes", _card(Grid={"MaskChecksum": "x"})),
    BadModel("sigma", r"GroupPCA/SmoothingSigma must be a number of mm", _about_pca(SmoothingSigma=1e300)),
    BadModel("volumes", r"GroupPCA/Volumes must be a whole number", _about_pca(Volumes="x")),
    BadModel("list.json", r"holds no JSON object", _write(CARD, "[1]")),
    BadModel("half.json", r"is not valid JSON", _write(CARD, '{"Preset": ')),
    BadModel("empty.json", r"is not valid JSON", _write(CARD, "")),
    BadModel("deep.json", r"nested more than 100 deep", _write(CARD, '{"a": ' + "[" * 3000 + "]" * 3000 + "}")),
    *(
        BadModel(f"{name}{kind}", rf"{name} missing", _odd(name, make))
        for name in (WEIGHTS, MASK)
        for kind, make in ODD
    ),
    *(BadModel(f"card{kind}", r"card\.json", _odd(CARD, make)) for kind, make in ODD),
    *(BadModel(f"pca{kind}", r"group_pca\.safetensors differs", _odd(PCA, make)) for kind, make in ODD),
    *(BadModel(f"weights{part}", _DAMAGED, _cut(WEIGHTS, part)) for part in (0, 0.001, 0.5, 0.999)),
    *(BadModel(f"pca{part}", _NO_PCA, _cut(PCA, part)) for part in (0.001, 0.5, 0.999)),
    *(BadModel(f"mask{part}", r"mask\.nii\.gz: cannot be read", _cut(MASK, part)) for part in (0, 0.001, 0.5, 0.999)),
    *(BadModel(f"weights{name}", _DAMAGED, _write(WEIGHTS, content)) for name, content in _HEADERS.items()),
    *(BadModel(f"pca{name}", _NO_PCA, _write(PCA, content)) for name, content in _HEADERS.items()),
    BadModel("flipped", r"weights\.safetensors differs", lambda folder: (folder / WEIGHTS).write_bytes(b"x")),
    BadModel("nan", r"holds values that are not finite", _first(lambda tensor: tensor * float("nan"))),
    BadModel("infinite", r"holds values that are not finite", _first(lambda tensor: tensor + float("inf"))),
    BadModel("shape", r"does not hold the weights .*size mismatch", _first(lambda tensor: tensor[:1].clone())),
    *(
        BadModel(
            str(kind),
            rf"holds values of type {str(kind)[6:]}, no weights",
            _first(lambda tensor, kind=kind: tensor.to(kind)),
        )
        for kind in (torch.int32, torch.bool, torch.complex64)
    ),
    BadModel("nothing", r"does not hold the weights", _tensors(lambda tensors: {"x": torch.zeros(1)})),
    BadModel("more", r"does not hold the weights", _tensors(lambda tensors: {**tensors, "n" * 10**5: torch.zeros(1)})),
    BadModel("noname", _NO_PCA, _pca(x=np.zeros((3, 5), "f4"))),
    BadModel("pcashape", r"in place of components of", _pca(maps=np.zeros((3, 5), "f4"))),
    BadModel("pcaaxes", r"in place of components of", _pca(maps=np.zeros(29387, "f4"))),
    BadModel("pcawhole", r"in place of components of", _pca(maps=np.zeros((3, 29387), "i4"))),
    BadModel("pcanone", r"in place of components of", _pca(maps=np.zeros((0, 29387), "f4"))),
    BadModel("pcanan", r"holds values that are not finite", _pca(maps=np.full((3, 29387), np.nan, "f4"))),
)
"""Each in place of a healthy model that is given with ``--model``."""


def spoilt(bad: BadModel, healthy: Path, folder: Path) -> Path:
    """Copy a healthy model and spoil the copy."""
    shutil.copytree(healthy, folder)
    bad.spoil(folder)
    return folder
