"""The command ``scaae-simulate``: a dataset with planted networks, to try the tools on data whose truth is known."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Any

from scaae_nipype import __version__
from scaae_nipype.bids_app.exits import EXIT_FAILED, EXIT_OK, EXIT_USAGE
from scaae_nipype.bids_app.settings.parsing import LeavingParser
from scaae_nipype.errors import ScaaeError, UsageError

__all__ = ["PRESETS", "build_parser", "main"]

REGIMES = ("exclusive", "mixture", "stationary", "deactivations")
"""As in `scaae_nipype.simulation.REGIMES`, repeated so that ``--help`` needs no import."""

PRESETS: dict[str, dict[str, Any]] = {
    "demo": {"participants": 8, "n_volumes": 60, "voxel_size": 4.0, "motion_spikes": 1, "snr": 1.0},
}
"""Defaults that a preset replaces; options given on the command line win."""


def build_parser() -> LeavingParser:
    """Describe the command line."""
    parser = LeavingParser(
        prog="scaae-simulate",
        description="Write an fMRIPrep-style dataset of simulated runs with planted, overlapping networks that vary in "
        "time. The truth goes to OUT/sourcedata/truth.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("out", metavar="OUT", help="new or empty folder, or an earlier output of this command")
    parser.add_argument("--version", action="version", version=f"scaae-simulate {__version__}")
    parser.add_argument(
        "--preset", choices=sorted(PRESETS), default=argparse.SUPPRESS, help="demo: eight short runs, made in seconds"
    )
    dataset = parser.add_argument_group("dataset")
    dataset.add_argument("--participants", type=int, default=2, metavar="N", help="number of participants")
    dataset.add_argument("--sessions", type=int, default=1, metavar="N", help="sessions of each participant")
    dataset.add_argument("--runs", type=int, default=1, metavar="N", help="runs of each session")
    dataset.add_argument("--voxel-size", type=float, default=4.0, metavar="MM", help="edge length of a voxel")
    dataset.add_argument(
        "--task", action="store_true", help="a block design with events.tsv that drives three networks, not rest"
    )
    dataset.add_argument(
        "--group-difference",
        type=float,
        default=0.0,
        metavar="X",
        help="how much more the posterior default state attracts patients (1 doubles it)",
    )
    dataset.add_argument(
        "--network-jitter", type=float, default=0.0, metavar="MM", help="spread of regions between participants (SD)"
    )
    dataset.add_argument("--seed", type=int, default=0, metavar="S", help="same seed, same data")
    signal = parser.add_argument_group("signal")
    signal.add_argument(
        "--regime",
        choices=REGIMES,
        default="exclusive",
        help="exclusive states, soft mixture, stationary mixture without states, or states with deactivations",
    )
    signal.add_argument("--volumes", dest="n_volumes", type=int, default=150, metavar="T", help="volumes of a run")
    signal.add_argument("--tr", dest="repetition_time", type=float, default=2.0, metavar="S", help="repetition time")
    signal.add_argument(
        "--snr", type=float, default=0.5, metavar="X", help="amplitude at a network's peak over the noise's SD"
    )
    signal.add_argument("--dwell", dest="mean_dwell", type=float, default=12.0, metavar="S", help="mean dwell time")
    noise = parser.add_argument_group("noise (amounts in standard deviations of the noise)")
    noise.add_argument(
        "--noise-smoothness", dest="noise_smoothness_fwhm", type=float, default=4.0, metavar="MM", help="FWHM"
    )
    noise.add_argument("--noise-ar1", dest="ar1", type=float, default=0.3, metavar="X", help="lag-1 correlation")
    noise.add_argument("--drift", type=float, default=0.5, metavar="X", help="slow drift")
    noise.add_argument("--global-signal", type=float, default=0.3, metavar="X", help="global signal")
    noise.add_argument("--head-motion", type=float, default=1.0, metavar="X", help="slow motion, times the usual")
    noise.add_argument("--motion-spikes", type=int, default=0, metavar="N", help="sudden movements in a run")
    noise.add_argument("--dummies", dest="n_dummies", type=int, default=0, metavar="N", help="unsteady first volumes")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; give 0 (done), 1 (could not write) or 64 (impossible wish)."""
    parser = build_parser()
    parser.check_names(sys.argv[1:] if argv is None else argv)
    preset = getattr(parser.parse_args(argv), "preset", None)
    parser.set_defaults(**PRESETS.get(preset or "", {}))
    options = vars(parser.parse_args(argv))
    try:
        return _simulate(options)
    except UsageError as error:
        code, message = EXIT_USAGE, str(error)
    except (ScaaeError, OSError) as error:
        code, message = EXIT_FAILED, str(error)
    print(f"scaae-simulate: {message}", file=sys.stderr)
    return code


def _simulate(options: dict[str, Any]) -> int:
    from dataclasses import fields

    from scaae_nipype.simulation import RunSettings, write_dataset

    settings = RunSettings(**{f.name: options[f.name] for f in fields(RunSettings) if f.name in options})
    written = write_dataset(
        options["out"],
        n_participants=options["participants"],
        n_sessions=options["sessions"],
        n_runs=options["runs"],
        settings=settings,
        voxel_size=options["voxel_size"],
        task=options["task"],
        group_difference=options["group_difference"],
        network_jitter=options["network_jitter"],
        seed=options["seed"],
        report=lambda stem: print(f"  {stem}", flush=True),
    )
    if not written.fresh:
        print(f"{written.folder}: this very dataset is there already, nothing was written.")
        return EXIT_OK
    size = sum((written.folder / name).stat().st_size for name in written.files)
    print(
        f"{written.folder}: {len(written.files)} files, {size / 1e6:.1f} MB; regime {settings.regime}, "
        f"{settings.n_volumes} volumes of {settings.repetition_time:g} s, SNR {settings.snr:g}, seed {options['seed']}."
    )
    print(f"The truth is in {written.folder / 'sourcedata' / 'truth'}.")
    return EXIT_OK


if __name__ == "__main__":
    sys.exit(main())
