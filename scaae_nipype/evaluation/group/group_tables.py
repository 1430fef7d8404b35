"""All tables of the group level, from the tables of the runs, with what a reader has to know about them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd

from ...errors import InputError
from ...files import as_numbers
from ...maps import BRANCHES, DECIDING, NO_NETWORK, SCORES
from ...words import counted, first_few
from ..baselines.candidates import choose_on_other_runs
from .averages import (
    above_chance_table,
    count_participants,
    reliability_table,
    spread_over_participants,
    transition_means,
    unit_means,
)
from .comparison import MOST_LEVELS, compare_outcomes
from .prediction import CodeSummary, code_features, feature_names, predict

__all__ = ["GroupData", "Question", "group_tables", "with_chosen_filters"]

MOST_REFITS = 250
"""Permutations of a prediction, at most."""

NEGLIGIBLE = 1e-3
"""Mean of a number of the code, in its standard deviations, below which it is rounding error."""

_KINDS = ("best_of_20", "mean")
_STATE_VALUES = ("occupancy", "mean_dwell_seconds", "n_visits", "mean_score", "split_half_r")


@dataclass(frozen=True, eq=False)
class GroupData:
    """What the runs' outputs say, joined.

    Parameters
    ----------
    runs : DataFrame
        `group.RUN_COLUMNS`, and as text the columns of the participants' table; NaN where a value is missing.
    overlap, gradualchange : DataFrame
        The runs' tables one below the other, with a column ``run``; the overlap of baselines belongs to the former.
    states, transitions : DataFrame or None
        The same for ``desc-states_metrics`` and ``desc-transitions_relmat``; None where runs have none.
    codes : mapping
        Run to summary of its codes.
    code_names : sequence of str
        Names of the code's numbers.
    """

    runs: pd.DataFrame
    overlap: pd.DataFrame
    gradualchange: pd.DataFrame
    states: pd.DataFrame | None = None
    transitions: pd.DataFrame | None = None
    codes: Mapping[str, CodeSummary] = field(default_factory=dict)
    code_names: Sequence[str] = ()


@dataclass(frozen=True)
class Question:
    """What is asked about the participants, by columns of `GroupData.runs`.

    Parameters
    ----------
    group_by : str or None
        Column to compare participants by.
    site : str or None
        Column within whose levels participants are exchanged, and along which folds are cut.
    covariates : sequence of str
        Besides motion.
    predict : str or None
        Column to predict from the codes.
    n_permutations : int
        Of tests; a prediction, which takes a model per fold and permutation, has at most 250.
    seed : int
    """

    group_by: str | None = None
    site: str | None = None
    covariates: Sequence[str] = ()
    predict: str | None = None
    n_permutations: int = 2000
    seed: int = 0


def group_tables(data: GroupData, question: Question) -> tuple[dict[str, pd.DataFrame], list[str]]:
    """Make the tables of a group.

    Parameters
    ----------
    data : GroupData
    question : Question

    Returns
    -------
    tables : dict
        ``runs``, ``participants`` (Table 1), ``gradual_change`` (Table 2 and the lag curve), ``overlap`` (Figure 5),
        and as far as there is something in them ``above_chance``, ``reliability``, ``states``, ``transitions``,
        ``comparisons``, ``code_features`` and ``predictions``.
    notes : list of str
        What was left out, and what must not be concluded.
    """
    runs, columns = data.runs, [column for column in (question.site, question.group_by) if column]
    columns = list(dict.fromkeys(columns))
    notes = [*_notes_on_runs(runs), *_notes_on_states(data), *_notes_on_columns(runs, question)]
    overlap = with_chosen_filters(data.overlap, runs)
    measures = _measures(data)
    features = _feature_table(data, notes)
    tables = {
        "runs": runs,
        "participants": count_participants(runs, columns),
        "gradual_change": spread_over_participants(
            data.gradualchange,
            runs,
            columns=columns,
            keys=["method", "lag", "lag_seconds"],
            values=["mean_iou", "density", "chance_iou"],
        ),
        "overlap": spread_over_participants(
            overlap, runs, columns=columns, keys=["method", "template"], values=_overlap_values(overlap)
        ),
        "above_chance": above_chance_table(overlap, runs, columns),
        "reliability": reliability_table(measures, runs, keys=["family", "outcome"], values=["value"]),
        "comparisons": _comparisons(measures, runs, question, notes),
        "code_features": features,
        "predictions": _predictions(features, runs, question, notes),
    }
    if data.states is not None:
        values = [value for value in _STATE_VALUES if value in data.states]
        tables["states"] = spread_over_participants(
            data.states, runs, columns=columns, keys=["method", "state"], values=values
        )
    if data.transitions is not None:
        tables["transitions"] = transition_means(data.transitions, runs, columns)
    return {meaning: table for meaning, table in tables.items() if not table.empty}, notes


def _overlap_values(overlap: pd.DataFrame) -> list[str]:
    values = [f"{kind}_{score}" for score in SCORES for kind in (*_KINDS, "best")]
    of_chance = [f"{what}_{kind}_{score}" for what in ("chance", "above") for score in DECIDING for kind in _KINDS]
    return [value for value in (*values, *of_chance, "template_density", "template_coverage") if value in overlap]


def with_chosen_filters(overlap: pd.DataFrame, runs: pd.DataFrame) -> pd.DataFrame:
    """Add, for smoothed volumes, the width that was best in the *other* participants, so that nobody chooses his own.

    Widths are compared by average precision (best of 20), averaged over templates, within a repetition time. Nothing is
    added where there is one participant, or one width.

    Returns
    -------
    DataFrame
        With the methods ``smoothed_chosen`` and ``smoothed_squared_chosen`` below the others.
    """
    score = "best_of_20_average_precision"
    if score not in overlap:
        return overlap
    units = runs.set_index("run")[["participant_id", "repetition_time"]]
    parts = [overlap.drop_duplicates(["run", "method", "template"])]
    for kind in ("smoothed", "smoothed_squared"):
        own = parts[0][parts[0]["method"].astype(str).str.fullmatch(rf"{kind}_[\d.]+mm")].join(units, on="run")
        for _, part in own.groupby("repetition_time"):
            wide = part.pivot_table(index="participant_id", columns="method", values=score, aggfunc="mean").dropna()
            if len(wide) < 2 or wide.shape[1] < 2:
                continue
            chosen = part["participant_id"].map(choose_on_other_runs(wide))
            taken = part[part["method"] == chosen].drop(columns=["participant_id", "repetition_time"])
            parts.append(taken.assign(method=f"{kind}_chosen"))
    return pd.concat(parts, ignore_index=True)


# ---- what is measured per run ------------------------------------------------------------------------------------


def _measures(data: GroupData) -> pd.DataFrame:
    """List everything that is tested and repeated: ``run``, ``family``, ``outcome``, ``value``.

    The maximum statistic is taken within a family; what the volume itself shows, without a network, is one of its own.
    """
    first = data.gradualchange[data.gradualchange["lag"] == 1]
    parts = [_family(first, "IoU of consecutive volumes", [], "mean_iou")]
    parts += [_scores(data.overlap, score) for score in DECIDING if f"best_of_20_{score}" in data.overlap]
    if data.states is not None:
        parts.append(_family(data.states, "occupancy", ["state"], "occupancy"))
        parts.append(_family(data.states, "mean dwell time (s)", ["state"], "mean_dwell_seconds"))
    if data.transitions is not None:
        changes = data.transitions[data.transitions["from"] != data.transitions["to"]]
        leaving = changes.groupby(["run", "method", "from"])["count"].transform("sum")
        changes = changes.assign(change=changes["count"] / leaving.where(leaving > 0))
        parts.append(_family(changes, "probability of a change", ["from", "to"], "change"))
    return pd.concat(parts, ignore_index=True)


def _scores(overlap: pd.DataFrame, score: str) -> pd.DataFrame:
    """List scores with templates: what they have above chance, where that was measured, else as they are.

    Of smoother maps more of a raw score is chance. What lies above it is of the better of two branches, or signs; it is
    listed once.
    """
    above = f"above_best_of_20_{score}"
    if above not in overlap or overlap[above].isna().all():
        return _family(overlap, f"best of 20, {score}, raw", ["template"], f"best_of_20_{score}")
    once = overlap[overlap["method"].isin([BRANCHES[0], NO_NETWORK[0]])]
    found = _family(once, f"best of 20, {score}, above chance", ["template"], above)
    better = {f"{BRANCHES[0]}: ": "better branch: ", f"{NO_NETWORK[0]}: ": "volume, better sign: "}
    return found.assign(outcome=found["outcome"].replace({f"^{own}": new for own, new in better.items()}, regex=True))


def _family(table: pd.DataFrame, family: str, names: Sequence[str], value: str) -> pd.DataFrame:
    table = table[table["method"].isin(BRANCHES + NO_NETWORK)]
    label = table["method"].astype(str)
    for number, name in enumerate(names):
        label = label + (" to " if number else ": ") + table[name].astype(str)
    own = table["method"].map(lambda method: family if method in BRANCHES else f"{family}, no network")
    return pd.DataFrame({"run": table["run"], "family": own, "outcome": label, "value": table[value].astype(float)})


def _people(runs: pd.DataFrame, repetition_time: float) -> pd.DataFrame:
    """Give the participants of one repetition time: their columns, and their mean displacement."""
    own = runs[runs["repetition_time"] == repetition_time]
    people = own.groupby("participant_id", sort=False).first()
    return people.assign(mean_fd=own.groupby("participant_id", sort=False)["mean_fd"].mean())


def _covariates(people: pd.DataFrame, question: Question) -> list[str]:
    motion = ["mean_fd"] if people["mean_fd"].notna().any() else []
    return list(dict.fromkeys([*motion, *question.covariates]))


# ---- questions ---------------------------------------------------------------------------------------------------


def _comparisons(measures: pd.DataFrame, runs: pd.DataFrame, question: Question, notes: list[str]) -> pd.DataFrame:
    if question.group_by is None or runs["participant_id"].nunique() < 2:
        return pd.DataFrame()
    units = unit_means(measures, runs, ["family", "outcome"], ["value"])
    found = []
    for repetition_time in sorted(units["repetition_time"].unique()):
        part, people = units[units["repetition_time"] == repetition_time], _people(runs, repetition_time)
        families = {
            str(family): table.pivot(index="participant_id", columns="outcome", values="value")
            for family, table in part.groupby("family", sort=False)
        }
        try:
            table = compare_outcomes(
                families,
                people,
                question.group_by,
                covariates=_covariates(people, question),
                site=question.site if question.site != question.group_by else None,
                n_permutations=question.n_permutations,
                seed=question.seed,
            )
        except InputError as error:
            notes.append(f"TR {repetition_time:g} s: not compared: {error}")
            continue
        table.insert(0, "repetition_time", repetition_time)
        found.append(table)
    return pd.concat(found, ignore_index=True) if found else pd.DataFrame()


def _feature_table(data: GroupData, notes: list[str]) -> pd.DataFrame:
    rows, without = [], []
    for (participant, repetition_time), own in data.runs.groupby(["participant_id", "repetition_time"], sort=False):
        try:
            features = code_features([data.codes[run] for run in own["run"] if run in data.codes])
        except InputError:
            without.append(str(participant))
            continue
        rows.append((participant, repetition_time, *features))
    if without:
        notes.append(f"No codes of {first_few(without, 3)}: no features of the code.")
    names = feature_names(data.code_names)
    return pd.DataFrame(rows, columns=["participant_id", "repetition_time", *names])


def _predictions(features: pd.DataFrame, runs: pd.DataFrame, question: Question, notes: list[str]) -> pd.DataFrame:
    """Predict the column from the code, and for comparison from motion and covariates alone."""
    if question.predict is None or runs["participant_id"].nunique() < 2:
        return pd.DataFrame()
    rows = []
    if not features.empty and not _mean_tells(features):
        features = features.drop(columns=list(features.filter(regex="^mean_")))
        notes.append(
            "The code's mean over a run is 0 by construction (a linear code of z-scored volumes): predictions rest on "
            "its covariance alone."
        )
    for repetition_time in sorted(features["repetition_time"].unique()):
        part = features[features["repetition_time"] == repetition_time]
        people = _people(runs, repetition_time).loc[part["participant_id"]]
        sited = question.site if question.site != question.predict else None
        usable = people[[question.predict, *([sited] if sited else [])]].notna().all(axis=1).to_numpy()
        target = people.loc[usable, question.predict]
        numbers = as_numbers(target)
        classes = bool(numbers.isna().any() or target.nunique() <= MOST_LEVELS)
        sources = {"code": part.drop(columns=["participant_id", "repetition_time"])[usable].to_numpy(dtype=float)}
        if people["mean_fd"].notna().all():
            sources["motion alone"] = people.loc[usable, ["mean_fd"]].to_numpy(dtype=float)
        try:
            for source, values in sources.items():
                found = predict(
                    values,
                    (target if classes else numbers).to_numpy(),
                    classes=classes,
                    sites=people.loc[usable, sited].to_numpy() if sited else None,
                    n_permutations=min(question.n_permutations, MOST_REFITS),
                    seed=question.seed,
                )
                rows.append({"repetition_time": repetition_time, "target": question.predict, "source": source})
                rows[-1] |= vars(found) | {"blocked": "sites" if found.blocked else "participants"}
        except InputError as error:
            notes.append(f"TR {repetition_time:g} s: not predicted: '{question.predict}' {error}")
    return pd.DataFrame(rows)


def _mean_tells(features: pd.DataFrame) -> bool:
    """Tell whether the mean of some number of the code is more than rounding error beside its spread over volumes."""
    means = features.filter(regex="^mean_")
    numbers = [str(name).removeprefix("mean_") for name in means]
    variances = features[[f"cov_{number}_{number}" for number in numbers]].to_numpy(dtype=float)
    return bool((means.to_numpy(dtype=float) ** 2 > NEGLIGIBLE**2 * variances).any())


# ---- what has to be said -----------------------------------------------------------------------------------------


def _notes_on_runs(runs: pd.DataFrame) -> list[str]:
    notes = []
    people = runs.groupby("repetition_time")["participant_id"].nunique()
    if runs["participant_id"].nunique() == 1:
        notes.append("There is one participant only: means have no spread, and nothing is compared or predicted.")
    if len(people) > 1:
        listed = ", ".join(f"{time:g} s: {count}" for time, count in people.items())
        notes.append(
            f"Runs have different repetition times (participants: {listed}): they are summarised and tested apart, "
            "never compared."
        )
    if runs["task"].nunique() > 1:
        notes.append(
            f"Runs of several tasks ({', '.join(sorted(map(str, runs['task'].unique())))}) are averaged within "
            "participants; choose one (`tasks`)."
        )
    without = runs.groupby("participant_id")["mean_fd"].mean().isna().sum()
    if without == runs["participant_id"].nunique():
        notes.append("No run has framewise displacement: motion is no covariate.")
    elif without:
        notes.append(f"{counted(without, 'participant')} without framewise displacement left out of comparisons.")
    return notes


def _notes_on_states(data: GroupData) -> list[str]:
    if data.states is None:
        return ["The runs have no tables of states: occupancy, dwell times and transitions were not computed."]
    notes = []
    if missing := set(data.runs["run"]) - set(data.states["run"]):
        notes.append(f"{len(missing)} of {len(data.runs)} runs have no table of states, for example {min(missing)}.")
    highest = data.states.groupby("method", sort=False)["occupancy"].max()
    for method in highest.index[highest == 0]:
        named = "the volume itself" if method == "volume" else method
        notes.append(f"No volume of any run is above the cut-off for a state in {named}: it has no states.")
    return notes


def _notes_on_columns(runs: pd.DataFrame, question: Question) -> list[str]:
    used = [question.group_by, question.site, *question.covariates, question.predict]
    people = runs.groupby("participant_id").first()
    missing = {column: int(people[column].isna().sum()) for column in dict.fromkeys(used) if column}
    return [
        f"'{column}': {counted(count, 'participant')} of {len(people)} without a value left out where it is used."
        for column, count in missing.items()
        if count
    ]
