"""Which seeds may choose a setting, which are reported, and which make the other runs: refused where they mix."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

__all__ = ["OTHERS", "REPORTED", "TUNING", "SeedError", "choose_settings", "others_of", "require", "summarise"]

TUNING = range(10)
"""Seeds on which widths, ranks and every other setting are chosen."""

REPORTED = range(20, 100)
"""Seeds that tables are of. 10 to 19 were looked at while networks were designed, and are spent."""

OTHERS = range(100, 124)
"""Seeds of the other people's runs."""


class SeedError(ValueError):
    """A seed was used for what it must not be used for."""


def require(seeds: Iterable[int], allowed: range, purpose: str) -> None:
    """Refuse seeds that are not for this purpose.

    Raises
    ------
    SeedError
        Naming the first such seed.

    >>> require([20], TUNING, "choosing settings")
    Traceback (most recent call last):
    benchmarks.judge.seeds.SeedError: Seed 20 is not for choosing settings, which uses seeds 0 to 9 only.
    """
    for seed in seeds:
        if int(seed) not in allowed:
            raise SeedError(f"Seed {seed} is not for {purpose}, which uses seeds {allowed[0]} to {allowed[-1]} only.")


def others_of(seed: int, n_runs: int) -> tuple[int, ...]:
    """Give the seeds of the other people's runs that methods are fitted to for one scored seed.

    Small studies differ from seed to seed, so that an interval over seeds holds the luck of who was studied.

    >>> others_of(20, 3), others_of(21, 3), len(others_of(20, 24))
    ((112, 113, 114), (115, 116, 117), 24)
    """
    places = len(OTHERS) // n_runs
    if not places:
        raise SeedError(f"There are {len(OTHERS)} other runs, not {n_runs}.")
    first = (seed % places) * n_runs
    return tuple(OTHERS[first : first + n_runs])


def choose_settings(scores: pd.DataFrame, score: str, *, lowest: bool = False) -> dict[str, str]:
    """Choose the setting of every family by its mean score over tuning seeds.

    Parameters
    ----------
    scores : DataFrame
        Columns ``seed``, ``family``, ``setting`` and the score.
    score : str
    lowest : bool
        Whether less is better.

    Returns
    -------
    dict from family to setting
        Families without this score are left out.

    Raises
    ------
    SeedError
        If a row is of a seed that is not for tuning.
    """
    require(scores["seed"].unique(), TUNING, "choosing settings")
    means = scores.groupby(["family", "setting"], sort=False)[score].mean().dropna()
    means = -means if lowest else means
    return {str(family): str(part.idxmax()[1]) for family, part in means.groupby(level="family", sort=False)}


def summarise(scores: pd.DataFrame, by: list[str], columns: list[str]) -> pd.DataFrame:
    """Average scores over reported seeds: mean and standard deviation of every column.

    Raises
    ------
    SeedError
        If a row is of a seed that is not for reporting.
    """
    require(scores["seed"].unique(), REPORTED, "reporting")
    return scores.groupby(by, sort=False)[columns].agg(["mean", "std"])
