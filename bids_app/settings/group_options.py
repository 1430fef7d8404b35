"""What is asked at the group level."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ...errors import UsageError
from .parsing import Collect

__all__ = ["GroupOptions", "add_group_options"]

_OPTIONS = {"group_by": "group-by", "site": "site-column", "covariates": "covariates", "predict": "predict"}


@dataclass(frozen=True)
class GroupOptions:
    """Columns of ``participants.tsv``, and how often they are permuted.

    Parameters
    ----------
    group_by : str or None
        Column that participants are compared by.
    site : str or None
        Column of sites; None for ``site``, where there is such a column.
    covariates : tuple of str
        Of comparisons, besides motion.
    predict : str or None
        Column that is predicted from the codes.
    n_permutations : int
    """

    group_by: str | None = None
    site: str | None = None
    covariates: tuple[str, ...] = ()
    predict: str | None = None
    n_permutations: int = 2000

    def __post_init__(self):
        if self.n_permutations < 1:
            raise UsageError(f"--permutations {self.n_permutations}: must be 1 or larger.")
        if self.group_by in self.covariates:
            raise UsageError(f"--group-by {self.group_by}: is one of --covariates too; leave one out.")

    @classmethod
    def from_options(cls, given: Mapping[str, Any]) -> GroupOptions:
        """Take them from a parsed command line."""
        return cls(
            group_by=given["group_by"],
            site=given["site_column"],
            covariates=tuple(dict.fromkeys(given["covariates"] or ())),
            predict=given["predict"],
            n_permutations=given["permutations"],
        )

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns that were asked for."""
        asked = (self.group_by, self.site, *self.covariates, self.predict)
        return tuple(dict.fromkeys(column for column in asked if column))

    def option_of(self, column: str) -> str:
        """Name the option that asked for a column."""
        single = {option: getattr(self, name) for name, option in _OPTIONS.items() if name != "covariates"}
        return next((option for option, asked in single.items() if asked == column), "covariates")


def add_group_options(made: argparse.ArgumentParser) -> None:
    """Add the options of the group level to the command line."""
    group = made.add_argument_group("group level (columns of participants.tsv)")
    group.add_argument(
        "--group-by", metavar="COLUMN", help="compare participants by this column, for example diagnosis"
    )
    group.add_argument(
        "--site-column",
        metavar="COLUMN",
        help="permute and cross-validate by site (default: site, where there is such a column)",
    )
    group.add_argument(
        "--covariates",
        action=Collect,
        nargs="+",
        metavar="COLUMN",
        help="of comparisons, besides motion, which always is one (default: none)",
    )
    group.add_argument("--predict", metavar="COLUMN", help="predict this column from the networks' codes")
    group.add_argument("--permutations", type=int, default=2000, metavar="N", help="of tests (default: 2000)")
