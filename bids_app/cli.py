"""The command line of ``scaae-bids``: which options there are, and how a call ends."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .._version import __version__
from ..errors import ScaaeError, UsageError
from ..signals import handle_stop_signals, stop_text
from .engine.machine import memory_in_gb
from .exits import EXIT_FAILED, EXIT_NOTHING, EXIT_USAGE
from .settings.config_file import ConfigFile, read_config_file
from .settings.console import Console
from .settings.group_options import add_group_options
from .settings.parsing import Collect, HelpFormatter, Parser, number_or_auto, with_dashes
from .settings.spelling import with_options
from .settings.vocabulary import PRESETS, STRATEGIES, lines
from .settings.without_effect import check_effects

__all__ = ["main", "parse", "parser"]

_POSITIONALS = ("bids_dir", "output_dir", "analysis_level")

_INTRODUCTION = """\
Functional brain networks from every single fMRI volume, for fMRIPrep-style derivatives.

examples:
  scaae-bids /data /out participant --dry-run
      what would run, and what is skipped for which reason
  scaae-bids /data /out participant --participant-label 01 02 --nprocs 4 --mem 8G
      networks, tables and reports of two participants
  scaae-bids /data /out group --group-by diagnosis --covariates age
      tables over all participants in /out

documentation: README.md and docs/usage.md in the source of scaae-nipype
"""

_EXIT_CODES = "exit codes: 0 all done; 1 something failed; 64 wrong usage; 70 nothing could be built"


def parser() -> Parser:
    """Build the parser of ``scaae-bids``; every option has a default."""
    made = Parser(
        prog="scaae-bids",
        usage="scaae-bids BIDS_DIR OUTPUT_DIR {participant,group,train} [OPTION ...]",
        description=_INTRODUCTION,
        epilog=_EXIT_CODES,
        formatter_class=HelpFormatter,
        allow_abbrev=False,
    )
    made.add_argument("bids_dir", help="derivative dataset to read, or a raw dataset with derivatives/ inside")
    made.add_argument("output_dir", help="dataset to write")
    made.add_argument(
        "analysis_level",
        metavar="analysis_level",
        choices=["participant", "group", "train"],
        help="what to do\nparticipant: everything, run by run\ntrain: stop when there is a model\n"
        "group: tables over participants, from what the participant level wrote",
    )
    made.add_argument("--version", action="version", version=f"scaae-bids {__version__}", help="say which version")
    for add in (_add_selection, _add_preparation, _add_method, add_group_options, _add_conduct, _add_resources):
        add(made)
    return made


def _add_selection(made: argparse.ArgumentParser) -> None:
    group = made.add_argument_group("what to read")
    labels: dict[str, Any] = {"action": Collect, "by_comma": True, "nargs": "+", "metavar": "LABEL"}
    group.add_argument("--participant-label", **labels, help="participants, with or without sub- (default: all)")
    group.add_argument("--session-label", "--session-id", **labels, help="sessions (default: all)")
    group.add_argument("-t", "--task-id", **labels, help="tasks (default: all)")
    group.add_argument("--run-id", **labels, help="runs, labels as in the file names (default: all)")
    group.add_argument(
        "--space",
        **labels,
        help="which spaces to read (default: MNI152NLin2009cAsym, else MNI152NLin6Asym, else another MNI space)",
    )
    group.add_argument(
        "--concatenated",
        choices=["parts", "whole"],
        default="parts",
        help="what is read where there are several runs and their concatenation: runs, or the latter (default: parts)",
    )
    group.add_argument("--bids-filter-file", metavar="FILE", help="JSON with pybids queries, as for fMRIPrep")
    group.add_argument("--bids-database-dir", metavar="DIR", help="where the index of the input is kept between calls")
    group.add_argument("--reindex-bids", action="store_true", help="make that index anew")
    group.add_argument(
        "-d",
        "--derivatives",
        "--datasets",
        action=Collect,
        nargs="+",
        metavar="NAME=PATH",
        help="further derivative datasets to read",
    )
    group.add_argument(
        "--skip-bids-validation",
        "--skip-bids-validator",
        action="store_true",
        help="known from other BIDS Apps; derivative datasets are never validated here",
    )


def _add_preparation(made: argparse.ArgumentParser) -> None:
    group = made.add_argument_group("how runs are prepared")
    group.add_argument(
        "-p",
        "--nuisance-regressors",
        dest="nuisance",
        metavar="NAME|FILE",
        help="nuisance strategy, with +gsr or -gsr behind where wanted, or a JSON file that describes one (default: "
        f"auto; in paper mode: published-code)\n{lines(STRATEGIES)}",
    )
    group.add_argument(
        "--dummy-scans",
        type=number_or_auto,
        metavar="auto|N",
        help="volumes to leave out at the start (default: auto, as the confounds mark them; in paper mode: 0)",
    )
    group.add_argument(
        "-f",
        "--fd-thresh",
        "--fd-threshold",
        dest="fd_threshold",
        type=float,
        metavar="MM",
        help="leave out volumes with more framewise displacement, 0: none (default: the strategy's, 0.5 with auto)",
    )
    group.add_argument(
        "--high-pass", type=float, metavar="HZ", help="0: none (default: the strategy's, 0.008 with auto)"
    )
    group.add_argument("--low-pass", type=float, metavar="HZ", help="0: none (default: the strategy's, none with auto)")
    group.add_argument(
        "--smoothing",
        "--smoothing-fwhm",
        dest="smoothing_fwhm",
        type=float,
        default=6.0,
        metavar="MM",
        help="full width at half maximum, 0: none (default: 6)",
    )
    group.add_argument(
        "--repetition-time",
        type=float,
        metavar="S",
        help="time from volume to volume in s, of all runs, where sidecars and headers are silent or wrong "
        "(default: what they say)",
    )


def _add_method(made: argparse.ArgumentParser) -> None:
    group = made.add_argument_group("networks and scores")
    group.add_argument(
        "--mode", choices=["calibrated", "paper"], help="paper: the published recipe (default: calibrated)"
    )
    group.add_argument(
        "--preset",
        metavar="NAME",
        help=f"network to fit (default: contextual; in paper mode: published)\n{lines(PRESETS)}",
    )
    group.add_argument("--model", metavar="DIR", help="apply this model instead of fitting one")
    group.add_argument("--retrain", action="store_true", help="replace the model in output_dir")
    group.add_argument(
        "--train-volumes",
        type=number_or_auto,
        metavar="auto|N",
        help="volumes shown to the network in training (default: auto)",
    )
    group.add_argument(
        "--templates",
        metavar="NAME|FILE",
        help="default (networks of Seitzman et al. 2018), smith2009, or a 4D or label image (default: default)",
    )
    group.add_argument("--template-labels", metavar="FILE", help="table with the names of the templates")
    kinds = ["auto", "continuous", "labels", "thresholded"]
    group.add_argument(
        "--template-kind",
        choices=kinds,
        default="auto",
        help="what the image of templates holds (default: auto, recognised)",
    )
    group.add_argument(
        "--fetch-templates",
        action="store_true",
        help="get the maps of smith2009 from the network where they are missing",
    )
    group.add_argument(
        "--baselines",
        action=Collect,
        by_comma=True,
        nargs="+",
        metavar="NAME",
        help="what is scored beside the networks and the volume itself: smoothed, context, pca, cap, ica, dictionary, "
        "windows, encoder_lasso, untrained, all or none; all takes minutes per run (default: smoothed context pca)",
    )
    group.add_argument(
        "--atlas",
        metavar="NAME|FILE",
        help="label or 4D image: write the mean FBN of every region and volume (default: none)",
    )
    group.add_argument("--atlas-labels", metavar="FILE", help="table with the names of the atlas' regions")
    group.add_argument(
        "--atlas-kind",
        choices=kinds,
        default="auto",
        help="what the image of the atlas holds (default: auto, recognised)",
    )
    group.add_argument(
        "--surrogates",
        type=int,
        default=0,
        metavar="N",
        help="null models: test whether a run is more than a stationary mixture, against N surrogates of it (19 or "
        "more, better 99) that go through the network too, which takes N times the extraction; matches with templates "
        "are tested as well (default: 0, no such test)",
    )
    group.add_argument(
        "--surrogate-templates",
        type=int,
        metavar="N",
        help="null model: test whether maps match templates better than N sets of surrogate templates, as smooth and "
        "as dense but elsewhere; 19 or more (default: 99 with --surrogates, else 0, no such test)",
    )
    group.add_argument(
        "--cross-fit",
        type=int,
        default=0,
        metavar="K",
        help="with --surrogates: split the participants whose runs train the model into K parts, train K more models, "
        "each without one part, and take the temporal null of a run through the one that has not seen its participant; "
        "maps and all else stay those of the main model; takes K more trainings (default: 0, p is then in-sample)",
    )
    group.add_argument("--signed-maps", action="store_true", help="write the maps before equation 9 too")
    group.add_argument(
        "--precision", choices=["auto", "fp32", "bf16"], default="auto", help="of the network (default: auto)"
    )
    group.add_argument("--device", default="auto", metavar="NAME", help="auto, cpu, cuda, cuda:1 … (default: auto)")
    group.add_argument("--random-seed", type=int, default=0, metavar="N", help="(default: 0)")


def _add_conduct(made: argparse.ArgumentParser) -> None:
    group = made.add_argument_group("conduct")
    group.add_argument(
        "--config-file",
        metavar="FILE",
        help="options as YAML, JSON or TOML, fMRIPrep's config.toml too; the command line wins",
    )
    group.add_argument("--dry-run", action="store_true", help="say what would run and stop")
    group.add_argument("--reports-only", action="store_true", help="write the reports of finished participants again")
    group.add_argument(
        "--boilerplate-only", action="store_true", help="write the Methods text (logs/CITATION.md, .bib) and stop"
    )
    group.add_argument("--stop-on-first-crash", action="store_true", help="do not go on with other runs")
    group.add_argument("--notrack", action="store_true", help="known from other BIDS Apps; nothing is ever sent here")
    group.add_argument("-v", "--verbose", action="count", default=0, help="say more; -vv: Nipype's words too")


def _add_resources(made: argparse.ArgumentParser) -> None:
    group = made.add_argument_group("machine")
    group.add_argument(
        "--nprocs",
        "--nthreads",
        "--n-cpus",
        type=int,
        metavar="N",
        help="processors to use in all (default: those there are)",
    )
    group.add_argument(
        "--omp-nthreads", type=int, metavar="N", help="processors to use for one step (default: as --nprocs)"
    )
    group.add_argument(
        "--train-processes",
        type=int,
        default=1,
        metavar="N",
        help="GPUs, or processes of the CPU, that share the training of an autoencoder (default: 1)",
    )
    memory = group.add_mutually_exclusive_group()
    for option, unit, text in (
        ("--mem", "M", "memory to use, in MB or with its unit: 8000, 8G (default: 90%% of what is there)"),
        ("--mem-mb", "M", "the same in MB"),
        ("--mem-gb", "G", "the same in GB"),
    ):
        memory.add_argument(option, dest="memory_gb", type=_memory(option, unit), metavar="N", help=text)
    group.add_argument(
        "--use-plugin", "--nipype-plugin-file", metavar="FILE", help="Nipype plugin and its arguments, YAML or JSON"
    )
    group.add_argument(
        "-w",
        "--work-dir",
        default="work",
        metavar="DIR",
        help="intermediate results, private to you, in a folder scaae_nipype inside (default: work)",
    )
    group.add_argument("--clean-workdir", action="store_true", help="empty the work folder first")
    group.add_argument("--resource-monitor", action="store_true", help="write time and memory of every step to logs/")
    group.add_argument("--write-graph", action="store_true", help="draw the workflows into logs/")


def _memory(option: str, unit: str) -> Any:
    return lambda text: memory_in_gb(text, unit=unit, option=option)


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Parse a command line; options of ``--config-file`` stand where the command line says nothing.

    Returns
    -------
    Namespace
        Options, and besides them ``asked`` and ``configured`` (names of those that the command line and the file
        set), ``filters`` (queries inside the file) and ``notes`` (what has no effect).

    Raises
    ------
    UsageError
        If an option is unknown or its value impossible.
    """
    arguments = [with_dashes(argument) for argument in arguments]
    made = parser()
    made.check_names(arguments)
    config = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    config.add_argument("--config-file")
    file = config.parse_known_args(arguments)[0].config_file
    read = ConfigFile(())
    if file:
        try:
            read = read_config_file(Path(file), made)
            configured = vars(made.parse_args([".", ".", "participant", *read.arguments]))
            if made.repeated:
                raise UsageError(f"{made.repeated[0]}; leave one out.")
        except UsageError as error:
            raise UsageError(f"--config-file {file}: {error}") from error
        made.set_defaults(**{name: value for name, value in configured.items() if name not in _POSITIONALS})
    options = made.parse_args(arguments)
    options.asked, options.configured = made.given(arguments), made.given(read.arguments)
    options.filters = None if options.bids_filter_file else read.filters
    options.notes = [
        *read.notes,
        *(f"Note: {text}: the last one counts." for text in made.repeated),
        *check_effects(
            level=options.analysis_level, asked=options.asked, configured=options.configured, spell=made.spelling
        ),
    ]
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    """Run ``scaae-bids`` and give its exit code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        options = parse(arguments)
        from .settings.settings import Settings

        settings = Settings.from_options(options)
    except UsageError as error:
        return _refuse(error, EXIT_USAGE)
    handle_stop_signals()
    try:
        from .output.verdict import Call

        call = Call(settings.output_dir, ["scaae-bids", *arguments], Console(settings.verbosity))
        if settings.level == "group":
            from .group.group_call import run
        else:
            from .job.participant_call import run

        return run(settings, call)
    except UsageError as error:
        return _refuse(error, EXIT_USAGE)
    except ScaaeError as error:
        return _refuse(error, EXIT_NOTHING)
    except KeyboardInterrupt as stop:
        print(f"scaae-bids: {stop_text(stop)}", file=sys.stderr)
        return EXIT_FAILED


def _refuse(error: ScaaeError, code: int) -> int:
    print(f"scaae-bids: {with_options(str(error))}", file=sys.stderr)
    return code
