"""The command line of ``scaae-bids``: a parser made from the table of options, and what its words become."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..._version import __version__
from ...errors import UsageError
from ...model.presets import PRESETS
from ...preparation.strategies import STRATEGIES
from ..engine.machine import memory_in_gb
from .config_file import ConfigFile, read_config_file
from .option_table import HEADINGS, PAPER, Option
from .parsing import Collect, HelpFormatter, Parser, number_or_auto, with_dashes
from .without_effect import check_effects

__all__ = ["default_in_words", "parse", "parser"]

_POSITIONALS = ("bids_dir", "output_dir", "level")

_INTRODUCTION = """\
Functional brain networks from every single fMRI volume, for fMRIPrep-style derivatives.

examples:
  scaae-bids /data /out participant --dry-run
      what would run, and what is skipped for which reason
  scaae-bids /data /out participant --participant-label 01 02 --nprocs 4 --mem 8G
      networks, tables and reports of two participants, with the model that `train` has fitted
  scaae-bids /data /out group --group-by diagnosis --covariates age
      tables over all participants in /out

documentation: README.md and docs/usage.md in the source of scaae-nipype
"""

_EXIT_CODES = "exit codes: 0 all done; 1 something failed; 64 wrong usage; 70 nothing could be built"

_ELSEWHERE = {
    "what to read": (
        ("--skip-bids-validation", "--skip-bids-validator"),
        "known from other BIDS Apps; derivative datasets are never validated here",
    ),
    "conduct": (("--notrack",), "known from other BIDS Apps; nothing is ever sent here"),
}
"""Switches that change nothing."""

_DEPENDS = {
    "n_surrogate_templates": "99 with --surrogates, else 0, no such test",
    "n_surrogates": "0, no such test",
    "omp_nthreads": "as --nprocs",
}
"""Defaults that depend on other options."""

_MEMORY = (("--mem", "M", None), ("--mem-mb", "M", "the same in MB"), ("--mem-gb", "G", "the same in GB"))


def parser() -> Parser:
    """Build the parser of ``scaae-bids``; what is not given is None, or False for switches."""
    made = Parser(
        prog="scaae-bids",
        usage="scaae-bids BIDS_DIR OUTPUT_DIR {participant,group,train} [OPTION ...]",
        description=_INTRODUCTION,
        epilog=_EXIT_CODES,
        formatter_class=HelpFormatter,
        allow_abbrev=False,
    )
    for name in _POSITIONALS:
        told = Option(name, ()).about
        more: dict[str, Any] = {"metavar": "analysis_level", "choices": told.words} if told.words else {}
        made.add_argument(name, help=told.text, **more)
    made.add_argument("--version", action="version", version=f"scaae-bids {__version__}", help="say which version")
    for heading, listed in HEADINGS.items():
        group = made.add_argument_group(heading)
        for option in listed:
            if option.name == "memory_gb":
                _add_memory(group.add_mutually_exclusive_group(), option)
            else:
                group.add_argument(*option.flags, dest=option.name, help=_help(option), **_arguments(option))
        if heading == "conduct":
            group.add_argument(
                "--config-file",
                metavar="FILE",
                help="options as YAML, JSON or TOML, fMRIPrep's config.toml too; the command line wins",
            )
        if heading in _ELSEWHERE:
            flags, text = _ELSEWHERE[heading]
            group.add_argument(*flags, action="store_true", help=text)
    return made


def _arguments(option: Option) -> dict[str, Any]:
    """Say how argparse reads an option."""
    told = option.about
    if option.kind == "switch":
        return {"action": "store_true"}
    if option.kind == "count":
        return {"action": "count"}
    if option.kind == "several":
        by_comma = option.name not in ("datasets", "covariates")
        return {"action": Collect, "nargs": "+", "metavar": option.metavar, "by_comma": by_comma}
    if "auto" in told.words and told.low is not None:
        return {"type": number_or_auto, "metavar": option.metavar}
    if told.words:
        return {"choices": told.words}
    return {"type": {"int": int, "float": float, "str": str}[option.kind], "metavar": option.metavar}


def _add_memory(group: argparse._MutuallyExclusiveGroup, option: Option) -> None:
    for flag, unit, text in _MEMORY:

        def read(amount: str, flag: str = flag, unit: str = unit) -> float:
            return memory_in_gb(amount, unit=unit, option=flag)

        group.add_argument(flag, dest=option.name, type=read, metavar=option.metavar, help=text or _help(option))


def _help(option: Option) -> str:
    """Write the help of an option: what it is, its default, a line for each name that it takes."""
    text = option.about.text
    if option.name == "baselines":
        text += f": {', '.join(option.about.words)}, all or none"
    if (default := default_in_words(option)) and option.kind not in ("switch", "count"):
        text += f" (default: {default})"
    named: dict[str, str] = {}
    if option.name == "strategy":
        named = {name: strategy.text for name, strategy in STRATEGIES.items()}
    elif option.name == "preset":
        named = {name: preset.description for name, preset in PRESETS.items()}
    return "\n".join([text, *(f"{name}: {what}" for name, what in named.items())])


def default_in_words(option: Option) -> str:
    """Say what it means that an option is not given."""
    default = option.field.default
    if option.name in _DEPENDS:
        return _DEPENDS[option.name]
    if option.about.default == "the strategy's":
        return f"the strategy's, {getattr(STRATEGIES['auto'], option.name) or 'none'} with auto"
    if option.about.default:
        return option.about.default
    if default is None or option.kind == "switch":
        return ""
    words = " ".join(default) if isinstance(default, tuple) else f"{default:g}" if option.kind == "float" else default
    if default == 0 and option.about.zero:
        words = f"0, {option.about.zero}"
    return f"{words}; in paper mode: {PAPER[option.name]}" if option.name in PAPER else f"{words}"


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
    options.filters = None if options.filter_file else read.filters
    options.notes = [
        *read.notes,
        *(f"Note: {text}: the last one counts." for text in made.repeated),
        *check_effects(level=options.level, asked=options.asked, configured=options.configured),
    ]
    return options
