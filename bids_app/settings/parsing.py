"""How a command line is read: what is typed twice, misspelt, or known from other BIDS Apps."""

from __future__ import annotations

import argparse
import difflib
import re
import shutil
import sys
import textwrap
from collections.abc import Iterable, Sequence
from typing import Any, NoReturn

from ...errors import UsageError
from ...words import capitalised, did_you_mean, one_line
from ..exits import EXIT_USAGE

__all__ = ["Collect", "HelpFormatter", "LeavingParser", "Parser", "number_or_auto", "with_dashes"]

ELSEWHERE = {
    "--output-spaces": "that is fMRIPrep's; say with --space which spaces of its output are read here",
    "--output-space": "that is fMRIPrep's; say with --space which spaces of its output are read here",
    "--template": "say with --space which MNI space is read, or with --templates what networks are compared with",
    "--fd-spike-threshold": "the threshold for leaving volumes out is --fd-thresh here",
    "--lower-bpf": "the high-pass filter is --high-pass here",
    "--upper-bpf": "the low-pass filter is --low-pass here",
    "--disable-bandpass-filter": "give --high-pass 0 --low-pass 0 here",
    "--denoise-strategy": "the nuisance strategy is -p, --nuisance-regressors here",
    "--strategy": "the nuisance strategy is -p, --nuisance-regressors here",
    "--confounds": "the nuisance strategy is -p, --nuisance-regressors here",
    "--gsr": "put +gsr behind the nuisance strategy: -p auto+gsr",
    "--tr": "the repetition time is read from the sidecars",
    "--seed": "did you mean --random-seed?",
    "--gpu": "did you mean --device cuda?",
    "--cuda": "did you mean --device cuda?",
    "--cpu": "did you mean --device cpu?",
}
"""Options that users of other programs will try, and what to do instead."""

_OF_FMRIPREP = (
    *("--fs-license-file", "--fs-subjects-dir", "--fs-no-reconall", "--no-submm-recon", "--cifti-output", "--level"),
    *("--use-syn-sdc", "--force-syn", "--skull-strip-template", "--skull-strip-t1w", "--anat-only", "--longitudinal"),
    *("--low-mem", "--me-output-echos", "--use-aroma", "--bold2anat-dof", "--bold2t1w-dof", "--ignore", "--force"),
    *("--output-layout", "--md-only-boilerplate", "--slice-time-ref", "--medial-surface-nan", "--anat-derivatives"),
)
"""Options about steps that are over when this program reads their results."""


class HelpFormatter(argparse.RawDescriptionHelpFormatter):
    """Keep line breaks of help texts, and name the value of an option once, whatever other names it has."""

    def __init__(self, prog: str):
        super().__init__(prog, max_help_position=26, width=min(100, max(60, shutil.get_terminal_size().columns - 2)))

    def _split_lines(self, text: str, width: int) -> list[str]:
        # a second line of the same paragraph is moved in, where the paragraphs are a list
        first, *listed = text.split("\n")
        wrapped = textwrap.wrap(one_line(first), width)
        for line in listed:
            wrapped += textwrap.wrap(line, width, initial_indent="  ", subsequent_indent="    ")
        return wrapped

    def _format_action_invocation(self, action: argparse.Action) -> str:
        if not action.option_strings or action.nargs == 0:
            return super()._format_action_invocation(action)
        value = self._format_args(action, self._get_default_metavar_for_optional(action))
        return f"{', '.join(action.option_strings)} {value}"


class Parser(argparse.ArgumentParser):
    """A parser that raises what is wrong instead of leaving the program, and names what was probably meant."""

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.typed: dict[str, Any] = {}
        self.repeated: list[str] = []
        for name in (None, "store"):
            self.register("action", name, Once)

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        self.typed, self.repeated = {}, []
        return super().parse_known_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        message = _with_nearest_choice(message)
        raise UsageError(f"{capitalised(message)} (see {self.prog} --help).")

    def check_names(self, arguments: Iterable[str]) -> None:
        """Refuse options that do not exist, before their values are taken for something else.

        Raises
        ------
        UsageError
            Which one, and the nearest.
        """
        known = self._option_string_actions
        for argument in arguments:
            if argument == "--":
                return
            name = argument.partition("=")[0]
            if name.startswith("--"):
                if name not in known and not self._abbreviates(name):
                    self.error(f"unrecognized arguments: {name}{self._hint(name)}")
            elif len(name) > 2 and re.match("-[A-Za-z]", name):
                # argparse would read -task-id as -t with the value "ask-id"
                long = self._nearest(f"-{with_dashes(name)}", cutoff=0.85)
                if long and not set(name[1:]) <= {"v"}:
                    self.error(f"unrecognized arguments: {name}; did you mean {long}?")
                self._check_letter(name)
            elif re.fullmatch("-[A-Za-z]", name):
                self._check_letter(name)

    def _abbreviates(self, name: str) -> bool:
        return self.allow_abbrev and any(option.startswith(name) for option in self._option_string_actions)

    def _check_letter(self, name: str) -> None:
        if name[:2] not in self._option_string_actions:
            self.error(f"unrecognized arguments: {name}{self._hint(f'-{name}')}")

    def _hint(self, name: str) -> str:
        if name in ELSEWHERE and name not in self._option_string_actions:
            return f"; {ELSEWHERE[name]}"
        if name in _OF_FMRIPREP:
            return "; it is about fMRIPrep's own steps, whose results are read here: leave it out"
        near = self._nearest(name)
        return f"; did you mean {near}?" if near else ""

    def _nearest(self, name: str, cutoff: float = 0.6) -> str | None:
        long = [option for option in self._option_string_actions if option.startswith("--")]
        return next(iter(difflib.get_close_matches(with_dashes(name).lower(), long, n=1, cutoff=cutoff)), None)

    def given(self, arguments: Sequence[str]) -> frozenset[str]:
        """Name what a command line sets itself, by the names that the parsed options have."""
        known = self._option_string_actions
        names = (argument.partition("=")[0] for argument in arguments)
        letters = (name if name.startswith("--") else name[:2] for name in names if name.startswith("-"))
        return frozenset(known[name].dest for name in letters if name in known)

    def option(self, name: str) -> argparse.Action:
        """Give the option of this name."""
        return self._option_string_actions[name]


class LeavingParser(Parser):
    """The same, for programs that leave at once with the exit code of wrong usage."""

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(EXIT_USAGE, f"{self.prog}: {_with_nearest_choice(message)}\n")


def _with_nearest_choice(message: str) -> str:
    found = re.search(r"invalid choice: '(.*)' \(choose from (.*)\)$", message)
    return message + (did_you_mean(found[1], re.findall(r"[\w.+-]+", found[2])) if found else "")


class Collect(argparse.Action):
    """Values of an option that may be given several times: all of them; those of a configuration file are replaced.

    Parameters
    ----------
    by_comma : bool
        Whether ``a,b`` is two values: of labels and names, which have no commas.
    """

    def __init__(self, *args: Any, by_comma: bool = False, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.by_comma = by_comma

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any, option_string: Any = None
    ) -> None:
        earlier = getattr(namespace, self.dest)
        earlier = [] if earlier is self.default or earlier is None else earlier
        if self.by_comma:
            values = [part for value in values for part in value.split(",") if part]
            if not values:
                parser.error(f"argument {option_string}: expected at least one argument")
        setattr(namespace, self.dest, [*earlier, *values])


class Once(argparse.Action):
    """A single value; of several different ones the last counts, as in every shell, and the parser notes it."""

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any, option_string: Any = None
    ) -> None:
        typed = parser.typed if isinstance(parser, Parser) and option_string else {}
        if typed.setdefault(self.dest, values) != values:
            assert isinstance(parser, Parser)
            parser.repeated.append(f"{option_string} is given twice, as {typed[self.dest]} and as {values}")
            typed[self.dest] = values
        setattr(namespace, self.dest, values)


def number_or_auto(text: str) -> int | str:
    """Read a whole number, or ``auto``."""
    return text if text == "auto" else int(text)


number_or_auto.__name__ = "number"  # what argparse calls the type in "invalid number value"


def with_dashes(argument: str) -> str:
    """Take ``--participant_label`` for ``--participant-label``, as other BIDS Apps do.

    >>> with_dashes("--mem_gb=4"), with_dashes("sub_1")
    ('--mem-gb=4', 'sub_1')
    """
    if not argument.startswith("--"):
        return argument
    name, equals, value = argument.partition("=")
    return name.replace("_", "-") + equals + value
