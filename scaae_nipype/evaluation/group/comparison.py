"""Do participants differ with a column of their table? Outcomes against a number or a category."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from ...errors import InputError
from ...files import as_numbers
from ...options import Evaluation
from .permutation import PermutationTest, freedman_lane

__all__ = ["MOST_LEVELS", "compare_outcomes", "design"]

MOST_LEVELS = 5
"""A column of numbers with more distinct values than this is a number (age); otherwise its values are categories."""


def design(values: pd.Series, *, most_levels: int = MOST_LEVELS) -> tuple[pd.DataFrame, str]:
    """Make the columns that code a column of the participants' table in a linear model.

    Parameters
    ----------
    values : Series of str
        Missing ones are NaN.
    most_levels : int
        Numbers with no more distinct values than this are categories.

    Returns
    -------
    columns : DataFrame
        One column for a number; for a category one per level but the first, in the order of their names, 1 where a
        participant has it. NaN where the value is missing.
    contrast : str
        What a positive effect means.

    Raises
    ------
    InputError
        If all values are equal, or text has as many levels as there are participants.

    >>> columns, contrast = design(pd.Series(["adhd", "control", None, "adhd"]))
    >>> columns["control"].tolist(), contrast
    ([0.0, 1.0, nan, 0.0], 'control - adhd')
    """
    numbers = as_numbers(values)
    levels = sorted(values.dropna().unique())
    if len(levels) < 2:
        raise InputError("has the same value for everybody: there is nothing to compare.")
    if numbers[values.notna()].notna().all() and len(levels) > most_levels:
        return numbers.astype(float).to_frame(str(values.name)), f"per unit of {values.name}"
    if len(levels) > max(2, len(values.dropna()) / 2):
        raise InputError(f"has {len(levels)} levels for {len(values.dropna())} participants: too many to compare.")
    columns = pd.DataFrame({level: (values == level).astype(float).where(values.notna()) for level in levels[1:]})
    return columns, f"{levels[1]} - {levels[0]}" if len(levels) == 2 else "any difference"


def compare_outcomes(
    families: Mapping[str, pd.DataFrame],
    people: pd.DataFrame,
    column: str,
    *,
    covariates: Sequence[str] = (),
    site: str | None = None,
    n_permutations: int = 2000,
    seed: int = Evaluation.seed,
) -> pd.DataFrame:
    """Test families of outcomes against a column of the participants' table: Welch's t under permutation.

    Parameters
    ----------
    families : mapping
        Name of a family to a table of outcomes, indexed by participant; the maximum statistic is
        taken over its columns. Outcomes that fewer than half of the participants have are left out.
    people : DataFrame
        Indexed by participant: the columns `column`, `covariates` and `site`.
    column : str
    covariates : sequence of str
        Columns of numbers or categories.
    site : str, optional
        Permuted within its levels, which are also covariates.
    n_permutations, seed : int

    Returns
    -------
    DataFrame
        A row per outcome: ``family``, ``outcome``, ``effect``, ``contrast``, ``n_participants``, ``estimate``,
        ``statistic_name`` (t or F), ``statistic``, ``degrees_of_freedom``, ``p``, ``p_corrected`` (within the family).

    Raises
    ------
    InputError
        If nobody has all of the columns, or the effect cannot be told from covariates and site.
    """
    used = [column, *covariates, *([site] if site else [])]
    complete = people[used].dropna()
    if complete.empty:
        raise InputError(f"'{column}': no participant has a value in all of {', '.join(used)}.")
    try:
        effect, contrast = design(complete[column])
        nuisance = [design(complete[name], most_levels=1)[0] for name in covariates if complete[name].nunique() > 1]
        tables = []
        for family, table in families.items():
            outcomes = table.reindex(complete.index).dropna(axis=1, how="all")
            outcomes = outcomes.loc[:, outcomes.notna().sum() > len(outcomes) / 2]
            if outcomes.empty:
                continue
            found = freedman_lane(
                outcomes.to_numpy(dtype=float),
                effect.to_numpy(),
                pd.concat(nuisance, axis=1).to_numpy() if nuisance else None,
                blocks=complete[site].to_numpy() if site else None,
                n_permutations=n_permutations,
                seed=seed,
            )
            tables.append(_test_table(found, family, list(outcomes.columns), column, contrast, effect.shape[1]))
    except InputError as error:
        raise InputError(f"'{column}' {error}") from error
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()


def _test_table(
    found: PermutationTest, family: str, outcomes: Sequence[str], column: str, contrast: str, n_columns: int
) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "family": family,
            "outcome": outcomes,
            "effect": column,
            "contrast": contrast,
            "n_participants": found.n,
            "estimate": found.estimate,
            "statistic_name": "t" if n_columns == 1 else "F",
            "statistic": found.statistic,
            "degrees_of_freedom": found.degrees_of_freedom,
            "p": found.p,
            "p_corrected": found.p_corrected,
        }
    ).replace([np.inf, -np.inf], np.nan)
