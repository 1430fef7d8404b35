"""The command line of ``scaae-bids``: which options there are, and how a call ends."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from .._version import __version__
from ..errors import ScaaeError, UsageError
from .group_options import add_group_options
from .resources import memory_in_gb
from .signals import stop_in_order, stop_text

__all__ = ["EXIT_FAILED", "EXIT_NOTHING", "EXIT_OK", "EXIT_USAGE", "main", "parser"]

EXIT_OK, EXIT_FAILED, EXIT_USAGE, EXIT_NOTHING = 0, 1, 64, 70
"""All done; something failed; wrong usage; nothing could be built."""

_POSITIONALS = ("bids_dir", "output_dir", "analysis_level")


class _Parser(argparse.ArgumentParser):
    """A parser that raises what is wrong instead of leaving the program."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message[:1].upper()}{message[1:]} (see scaae-bids --help).")


def parser() -> argparse.ArgumentParser:
    """Build the parser of ``scaae-bids``; every option has a default."""
    made = _Parser(
        prog="scaae-bids",
        description="Functional brain networks from every single fMRI volume, for fMRIPrep-style derivatives.",
        allow_abbrev=False,
    )
    made.add_argument("bids_dir", help="derivative dataset to read, or a raw dataset with derivatives/ inside")
    made.add_argument("output_dir", help="dataset to write")
    made.add_argument(
        "analysis_level",
        choices=["participant", "group", "train"],
        help="participant: everything, run by run; train: stop when there is a model; group: tables over participants, "
        "from what the participant level wrote",
    )
    made.add_argument("--version", action="version", version=f"scaae-bids {__version__}")
    for add in (_add_selection, _add_preparation, _add_method, add_group_options, _add_resources, _add_conduct):
        add(made)
    return made


def _add_selection(made: argparse.ArgumentParser) -> None:
    group = made.add_argument_group("what to read")
    labels: dict[str, Any] = {"nargs": "+", "metavar": "LABEL"}
    group.add_argument("--participant-label", **labels, help="participants, with or without sub- (all)")
    group.add_argument("--session-label", "--session-id", **labels, help="sessions (all)")
    group.add_argument("-t", "--task-id", **labels, help="tasks (all)")
    group.add_argument("--run-id", **labels, help="runs, labels as in the file names (all)")
    group.add_argument(
        "--space",
        **labels,
        help="which spaces to read (MNI152NLin2009cAsym, else MNI152NLin6Asym, else another MNI space)",
    )
    group.add_argument("--bids-filter-file", metavar="FILE", help="JSON with pybids queries, as for fMRIPrep")
    group.add_argument("--bids-database-dir", metavar="DIR", help="where the index of the input is kept between calls")
    group.add_argument(
        "-d",
        "--derivatives",
        "--datasets",
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
        help="auto, none, published-code, athena, 24P, 36P, acompcor, with +gsr or -gsr behind, or a file that "
        "describes a strategy (auto: 24P + white matter + CSF where there are such columns)",
    )
    group.add_argument(
        "--dummy-scans", type=_count_or_auto, metavar="auto|N", help="volumes to leave out at the start (auto)"
    )
    group.add_argument(
        "-f",
        "--fd-thresh",
        "--fd-threshold",
        dest="fd_threshold",
        type=float,
        metavar="MM",
        help="leave out volumes with more framewise displacement, 0: none (what the strategy says: 0.5)",
    )
    group.add_argument("--high-pass", type=float, metavar="HZ", help="0: none (what the strategy says: 0.008)")
    group.add_argument("--low-pass", type=float, metavar="HZ", help="0: none (what the strategy says: none)")
    group.add_argument(
        "--smoothing",
        dest="smoothing_fwhm",
        type=float,
        default=6.0,
        metavar="MM",
        help="full width at half maximum (6)",
    )
    group.add_argument(
        "--repetition-time",
        type=float,
        metavar="S",
        help="time from volume to volume in s, of all runs, where sidecars and headers are silent or wrong (what they "
        "say)",
    )


def _add_method(made: argparse.ArgumentParser) -> None:
    group = made.add_argument_group("networks and scores")
    group.add_argument("--mode", choices=["calibrated", "paper"], help="paper: the published recipe (calibrated)")
    group.add_argument("--preset", metavar="NAME", help="network to fit (contextual; in paper mode: published)")
    group.add_argument("--model", metavar="DIR", help="apply this model instead of fitting one")
    group.add_argument("--retrain", action="store_true", help="replace the model in output_dir")
    group.add_argument(
        "--train-volumes", type=_count_or_auto, metavar="auto|N", help="volumes shown to the network in training (auto)"
    )
    group.add_argument(
        "--templates",
        metavar="NAME|FILE",
        help="default, smith2009, or a 4D or label image (default: networks of Seitzman et al. 2018)",
    )
    group.add_argument("--template-labels", metavar="FILE", help="table with the names of the templates")
    group.add_argument(
        "--fetch-templates",
        action="store_true",
        help="get the maps of smith2009 from the network where they are missing",
    )
    group.add_argument(
        "--baselines",
        nargs="+",
        metavar="NAME",
        help="what is scored beside the networks and the volume itself: smoothed, context, pca, cap, ica, dictionary, "
        "windows, encoder_lasso, untrained, all or none (smoothed context pca: seconds per run; all: minutes)",
    )
    group.add_argument(
        "--atlas", metavar="NAME|FILE", help="label or 4D image: write the mean FBN of every region and volume (none)"
    )
    group.add_argument("--atlas-labels", metavar="FILE", help="table with the names of the atlas' regions")
    group.add_argument(
        "--surrogates",
        type=int,
        default=0,
        metavar="N",
        help="null models: test whether a run is more than a stationary mixture, against N surrogates of it (19 or "
        "more, better 99) that go through the network too, which takes N times the extraction (0: no such test); "
        "matches with templates are tested as well",
    )
    group.add_argument(
        "--surrogate-templates",
        type=int,
        metavar="N",
        help="null model: test whether maps match templates better than N sets of surrogate templates, as smooth and "
        "as dense but elsewhere (19 or more; 99 with --surrogates, else 0: no such test)",
    )
    group.add_argument(
        "--cross-fit",
        type=int,
        default=0,
        metavar="K",
        help="with --surrogates: split the participants whose runs train the model into K parts, train K more models, "
        "each without one part, and take the temporal null of a run through the one that has not seen its participant; "
        "maps and all else stay those of the main model; takes K more trainings (0: none, p is then in-sample)",
    )
    group.add_argument("--signed-maps", action="store_true", help="write the maps before equation 9 too")
    group.add_argument("--precision", choices=["auto", "fp32", "bf16"], default="auto", help="of the network (auto)")
    group.add_argument("--device", default="auto", metavar="NAME", help="auto, cpu, cuda, cuda:1 … (auto)")
    group.add_argument("--random-seed", type=int, default=0, metavar="N", help="(0)")


def _add_resources(made: argparse.ArgumentParser) -> None:
    group = made.add_argument_group("machine")
    group.add_argument(
        "--nprocs", "--nthreads", "--n-cpus", type=int, metavar="N", help="processors to use in all (those there are)"
    )
    group.add_argument("--omp-nthreads", type=int, metavar="N", help="processors to use for one step (as --nprocs)")
    group.add_argument(
        "--train-processes",
        type=int,
        default=1,
        metavar="N",
        help="GPUs, or processes of the CPU, that share the training of an autoencoder (1)",
    )
    memory = group.add_mutually_exclusive_group()
    memory.add_argument(
        "--mem",
        dest="memory_gb",
        type=memory_in_gb,
        metavar="SIZE",
        help="memory with its unit: 8G (90%% of what is there)",
    )
    memory.add_argument(
        "--mem-mb", dest="memory_gb", type=lambda text: memory_in_gb(f"{text}M"), metavar="N", help="the same in MB"
    )
    memory.add_argument(
        "--mem-gb", dest="memory_gb", type=lambda text: memory_in_gb(f"{text}G"), metavar="N", help="the same in GB"
    )
    group.add_argument("--use-plugin", "--nipype-plugin-file", metavar="FILE", help="Nipype plugin settings (YAML)")
    group.add_argument(
        "-w",
        "--work-dir",
        default="work",
        metavar="DIR",
        help="intermediate results, private to you, in a folder scaae_nipype inside (./work)",
    )
    group.add_argument("--clean-workdir", action="store_true", help="empty the work folder first")


def _add_conduct(made: argparse.ArgumentParser) -> None:
    group = made.add_argument_group("conduct")
    group.add_argument("--config-file", metavar="FILE", help="options as JSON or YAML; the command line wins")
    group.add_argument("--dry-run", action="store_true", help="say what would run and stop")
    group.add_argument("--reports-only", action="store_true", help="write the reports of finished participants again")
    group.add_argument("--stop-on-first-crash", action="store_true", help="do not go on with other runs")
    group.add_argument("--resource-monitor", action="store_true", help="write time and memory of every step to logs/")
    group.add_argument("--write-graph", action="store_true", help="draw the workflows into logs/")
    group.add_argument("-v", "--verbose", action="count", default=0, help="say more; -vv: Nipype's words too")


def _count_or_auto(text: str) -> int | str:
    return text if text == "auto" else int(text)


_count_or_auto.__name__ = "number"  # what argparse calls the type in "invalid number value"


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Parse a command line; options of ``--config-file`` stand where the command line says nothing.

    Raises
    ------
    UsageError
        If an option is unknown or its value impossible.
    """
    arguments = [_with_dashes(argument) for argument in arguments]
    config = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    config.add_argument("--config-file")
    file = config.parse_known_args(arguments)[0].config_file
    made = parser()
    if file:
        placeholders = [".", ".", "participant"]
        try:
            options = vars(made.parse_args([*placeholders, *_config_arguments(Path(file))]))
        except UsageError as error:
            raise UsageError(f"--config-file {file}: {error}") from error
        made.set_defaults(**{name: value for name, value in options.items() if name not in _POSITIONALS})
    return made.parse_args(arguments)


def _with_dashes(argument: str) -> str:
    """Take ``--participant_label`` for ``--participant-label``, as other BIDS Apps do.

    >>> _with_dashes("--mem_gb=4"), _with_dashes("sub_1")
    ('--mem-gb=4', 'sub_1')
    """
    if not argument.startswith("--"):
        return argument
    name, equals, value = argument.partition("=")
    return name.replace("_", "-") + equals + value


def _config_arguments(path: Path) -> list[str]:
    """Write the options of a file the way they would be typed."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise UsageError(f"cannot be read ({error.strerror}).") from error
    arguments = []
    for name, value in _mapping(text, path).items():
        option = "--" + str(name).lstrip("-").replace("_", "-")
        if option == "--config-file":
            raise UsageError("names another configuration file; put all options into one.")
        values = [str(item) for item in (value if isinstance(value, list) else [value])]
        if values == ["true"] or value is True:
            arguments.append(option)
        elif values not in (["false"], ["null"], [""]) and value is not None and value is not False:
            arguments += [option, *values]
    return arguments


def _mapping(text: str, path: Path) -> dict[str, Any]:
    try:
        if path.suffix == ".json":
            content = json.loads(text)
        else:
            import yaml

            content = yaml.load(text, Loader=yaml.BaseLoader)  # keeps 01 a label; builds text, lists and mappings only
    except ValueError as error:
        raise UsageError(f"is not valid JSON ({error}).") from error
    except Exception as error:  # yaml's errors share no base with the standard ones
        raise UsageError(f"is not valid YAML ({' '.join(str(error).split())}).") from error
    if not isinstance(content, dict):
        raise UsageError("holds no options; write one per line, for example `nprocs: 2`.")
    return content


def main(arguments: Sequence[str] | None = None) -> int:
    """Run ``scaae-bids`` and give its exit code."""
    try:
        options = parse(sys.argv[1:] if arguments is None else arguments)
        from .settings import Settings

        settings = Settings.from_options(options)
    except UsageError as error:
        return _refuse(error, EXIT_USAGE)
    stop_in_order()
    try:
        if settings.level == "group":
            from .group import run
        else:
            from .runner import run

        return run(settings, command=["scaae-bids", *(sys.argv[1:] if arguments is None else arguments)])
    except UsageError as error:
        return _refuse(error, EXIT_USAGE)
    except ScaaeError as error:
        return _refuse(error, EXIT_NOTHING)
    except KeyboardInterrupt as stop:
        print(f"scaae-bids: {stop_text(stop)}", file=sys.stderr)
        return EXIT_FAILED


def _refuse(error: ScaaeError, code: int) -> int:
    from .spelling import with_options

    print(f"scaae-bids: {with_options(str(error))}", file=sys.stderr)
    return code
