"""The tables of the recovery benchmark, in Markdown: ``python -m benchmarks.recovery report > docs/recovery.md``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pandas as pd

__all__ = ["report"]

DECIDING = {"r": "r", "average_precision": "AP", "size_matched_iou": "size-matched IoU"}
SCORES = DECIDING | {
    "iou": "IoU at 0.3",
    "amplitude_r": "amplitude r",
    "state_accuracy": "state accuracy",
    "transition_error": "transition error",
    "below_r": "r, deactivated",
    "below_average_precision": "AP, deactivated",
    "below_size_matched_iou": "size-matched IoU, deactivated",
}
"""Column of the results to heading; those before the fourth decide."""

REGIMES = {
    "exclusive": "Exclusive states",
    "mixture": "Soft mixture",
    "stationary": "Stationary mixture without states",
    "deactivations": "States with a deactivated partner",
}

NAMES = {
    "untrained": "untrained SCAAE, no context",
    "volume": "the volume itself",
    "pca_projection": "the run's principal components (20)",
    "ica_projection": "the run's independent components (20)",
    "cap_centroid": "co-activation pattern (k-means, 10)",
}
PATTERNS = {
    r"scaae_(\d+)_runs": r"**SCAAE, context of \1 runs**",
    r"context_(\d+)_runs": r"context of \1 runs alone (linear)",
    r"first_guess_(\d+)_runs": r"context of \1 runs with smoothing, no attention (linear)",
    r"smoothed_(\d+)mm": r"smoothed, σ \1 mm",
    r"smoothed_squared_(\d+)mm": r"smoothed, σ \1 mm, rectified and squared",
}

HEADING = """# All tables of the recovery benchmark

Made by `python -m benchmarks.recovery report` from `benchmarks/results/recovery.json`. How it was done, and what it
means: [evidence.md](evidence.md). The planted networks' peak amplitude is SNR times the noise's standard deviation.
Means ± SD over seeds. Filters were chosen on seeds 0–9, one for each score.
"""


def report(known: dict[str, Any], tuning: range, reported: range) -> Iterator[str]:
    """Give the lines of the page: an overview of all regimes and SNRs, then every score of each.

    Parameters
    ----------
    known : dict
        ``"regime SNR seed"`` to method to score to value.
    tuning, reported : range
        Seeds that filters are chosen on, and those that are reported.
    """
    yield from HEADING.splitlines()
    scores = _table(known)
    parts = {}
    for regime in REGIMES:
        for snr, part in scores[scores["regime"] == regime].groupby("snr"):
            ours = part[part["seed"].isin(reported)]
            if not ours.empty:
                parts[regime, snr] = ours, _best_filters(part[part["seed"].isin(tuning)])
    yield from _overview(parts)
    for (regime, snr), (ours, filters) in parts.items():
        yield f"\n## {REGIMES[regime]}, SNR {snr:g}\n"
        yield from _all_scores(ours, filters)
        yield ""
        yield from _wins(ours, filters)


def _table(known: dict[str, Any]) -> pd.DataFrame:
    """Lay out all scores: a row per regime, SNR, seed and method."""
    rows = []
    for key, methods in known.items():
        regime, snr, seed = key.split()
        about = {"regime": regime, "snr": float(snr), "seed": int(seed)}
        rows += [about | {"method": method} | scores for method, scores in methods.items()]
    return pd.DataFrame(rows)


def _best_filters(tuning: pd.DataFrame) -> dict[str, str]:
    """Choose the filter with the highest mean for each score that decides."""
    means = tuning[tuning["method"].str.startswith("smoothed")].groupby("method")[list(DECIDING)].mean()
    return {score: str(means[score].idxmax()) for score in DECIDING}


def _named(method: str) -> str:
    if method in NAMES:
        return NAMES[method]
    for pattern, replacement in PATTERNS.items():
        match = re.fullmatch(pattern, method)
        if match:
            return match.expand(replacement)
    return method


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _overview(parts: dict[tuple[str, float], tuple[pd.DataFrame, dict[str, str]]]) -> Iterator[str]:
    """Give AP of the methods that matter most, a line per regime and SNR, and how often SCAAE is better."""
    columns = {
        "volume": "volume",
        "untrained": "untrained",
        "filter": "best filter",
        "pca_projection": "PCA",
        "ica_projection": "ICA",
        "context_3_runs": "context, 3 runs",
        "scaae_3_runs": "**SCAAE, 3 runs**",
        "context_24_runs": "context, 24 runs",
        "scaae_24_runs": "**SCAAE, 24 runs**",
    }
    yield "\n## Average precision at a glance\n"
    yield "Context: the linear part of the model alone. Wins: seeds on which SCAAE (24 runs · 3 runs) is better than"
    yield "the volume, the untrained network and the best filter.\n"
    yield _row(["regime, SNR", "seeds", *columns.values(), "wins"])
    yield _row(["---"] * (len(columns) + 3))
    for (regime, snr), (ours, filters) in parts.items():
        score = "average_precision"
        wide = ours.pivot(index="seed", columns="method", values=score)
        wide["filter"] = wide[filters[score]]
        rivals = wide[["volume", "untrained", "filter"]].max(axis=1)
        wins = " · ".join(f"{(wide[f'scaae_{runs}_runs'] > rivals).sum()} of {len(wide)}" for runs in (24, 3))
        values = [f"{wide[column].mean():.3f}" if column in wide else "–" for column in columns]
        yield _row([f"{REGIMES[regime]}, {snr:g}", str(len(wide)), *values, wins])


def _all_scores(ours: pd.DataFrame, filters: dict[str, str]) -> Iterator[str]:
    """Give every score of every method, the filters that were chosen among them."""
    rows = ours[~ours["method"].str.startswith("smoothed") | ours["method"].isin(filters.values())]
    shown = [score for score in SCORES if score in rows and rows[score].notna().any()]
    summary = rows.groupby("method")[shown].agg(["mean", "std"])
    yield _row(["", *(SCORES[score] for score in shown)])
    yield _row(["---"] * (len(shown) + 1))
    for method in summary.sort_values(("average_precision", "mean"), ascending=False).index:
        best = " and ".join(DECIDING[score] for score, chosen in filters.items() if chosen == method)
        cells = [f"{summary.loc[method, (s, 'mean')]:.3f} ± {summary.loc[method, (s, 'std')]:.3f}" for s in shown]
        yield _row([_named(method) + (f" (best filter in {best})" if best else ""), *cells])


def _wins(ours: pd.DataFrame, filters: dict[str, str]) -> Iterator[str]:
    """Count on how many seeds each fitted model is better than what it has to beat, and than its own linear part."""
    for name in ("scaae_24_runs", "scaae_3_runs"):
        for score, chosen in filters.items():
            wide = ours.pivot(index="seed", columns="method", values=score)
            rivals = {"the volume": "volume", "the best filter": chosen, "the untrained network": "untrained"}
            rivals["its context alone"] = name.replace("scaae", "context")
            better = (f"{label} on {int((wide[name] > wide[rival]).sum())}" for label, rival in rivals.items())
            yield f"* {_named(name)}, {DECIDING[score]}: better than {', '.join(better)} of {len(wide)} seeds."
