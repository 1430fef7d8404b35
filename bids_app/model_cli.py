"""The command ``scaae-model``: import published weights, look at a model, check it."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from scaae_nipype import __version__
from scaae_nipype.bids_app.exits import EXIT_FAILED, EXIT_OK, EXIT_USAGE
from scaae_nipype.bids_app.settings.parsing import LeavingParser
from scaae_nipype.errors import ScaaeError, UsageError

__all__ = ["build_parser", "main"]


def build_parser() -> LeavingParser:
    """Describe the command line."""
    parser = LeavingParser(prog="scaae-model", description="Import, inspect and check SCAAE models.")
    parser.add_argument("--version", action="version", version=f"scaae-model {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="{import,info,verify}")
    importing = commands.add_parser("import", help="turn weights in the published layout (.pth) into a model folder")
    importing.add_argument("weights", type=Path, help="PyTorch file with a plain state dict; nothing in it is executed")
    importing.add_argument("out", type=Path, nargs="?", help="model folder to write (default: the file's name)")
    importing.add_argument(
        "--mask", type=Path, required=True, help="brain mask (NIfTI) of the grid they were trained on"
    )
    importing.add_argument(
        "--precision", choices=("fp32", "bf16"), default="fp32", help="precision of extraction (default: fp32)"
    )
    importing.add_argument("--name", help="name of the model (default: the file's name)")
    for name, text in (
        ("info", "print what a model is"),
        ("verify", "check a model's files and compare its fast path"),
    ):
        commands.add_parser(name, help=text).add_argument("model", type=Path, help="model folder")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; give its exit code."""
    options = build_parser().parse_args(argv)
    try:
        if options.command == "import":
            _import(options.weights, options.out, mask=options.mask, precision=options.precision, name=options.name)
        elif options.command == "info":
            _info(options.model)
        else:
            _verify(options.model)
    except ScaaeError as error:
        print(f"scaae-model: {error}", file=sys.stderr)
        return EXIT_USAGE if isinstance(error, UsageError) else EXIT_FAILED
    return EXIT_OK


def _import(weights: Path, out: Path | None, *, mask: Path, precision: str, name: str | None) -> None:
    from scaae_nipype.grid import load_grid
    from scaae_nipype.model import PRESETS, Model, save_model
    from scaae_nipype.model.extraction.selftest import compare_paths
    from scaae_nipype.model.network.autoencoder import SCAAE
    from scaae_nipype.model.published import read_published_weights
    from scaae_nipype.model.weights import new_network

    grid = load_grid(mask)
    network = new_network(PRESETS["published"], grid, seed=0).eval()
    assert isinstance(network, SCAAE)
    read_published_weights(weights, network)
    card = {
        "Name": name or weights.stem,
        "Mode": "paper",
        "Precision": precision,
        **({"PrecisionDemanded": True} if precision == "bf16" else {}),
        "Source": f"imported from {weights.name} in the layout of the published implementation",
        "Branches": [{"Sign": 1, "SignAgreement": None, "Flagged": False}] * 2,
        "Training": {"Undertrained": None},
        "Licence": "not stated",
    }
    model = Model(network, grid, card)
    if precision != "fp32":
        compare_paths(model)  # before anything is written
    folder = save_model(model, out or weights.with_suffix(""))
    print(f"Wrote {folder}: {model.card['Parameters']:,} parameters, mask of {grid.n_voxels:,} voxels.")


def _info(folder: Path) -> None:
    from scaae_nipype.model import load_model

    print(json.dumps(load_model(folder).card, indent=2))


def _verify(folder: Path) -> None:
    from scaae_nipype.model import load_model
    from scaae_nipype.model.extraction.selftest import compare_paths

    model = load_model(folder)
    print(f"{folder}: files complete, checksum, mask and shapes are right ({model.card['Preset']} preset).")
    for line in compare_paths(model):
        print(line)
