"""The page of all rates: ``python -m benchmarks.calibration report > docs/calibration.md``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from scipy.stats import binom, binomtest

from scaae_nipype.model import PRESETS
from scaae_nipype.options import Training

__all__ = ["TEMPORAL", "page", "rate", "share"]

LEVEL = 0.05

TEMPORAL = "temporal null by margin and skewness"
"""What studies of the temporal null are called: by its statistics, so that results of others are never mixed in."""

ARM_WORDS = {
    "stationary": "stationary mixture",
    "exclusive": "exclusive states",
    "stationary_censored": "stationary mixture, about twenty volumes censored",
    "smoother": "stationary mixture, smoother (σ 6 mm more) from the middle on",
    "louder": "stationary mixture, variance doubled in the last third",
}
METHOD_WORDS = {
    "pointwise": "the network, `pointwise`",
    "contextual": "the network, `contextual`",
    "smoothed": "volumes smoothed, σ 8 mm",
    "volume": "the volumes themselves",
}
PARTS = ("any", "variance", "smoothness", "motion")

HEADING = """# Calibration

Made by `python -m benchmarks.calibration report > docs/calibration.md` from `benchmarks/results/calibration.json`,
which `make bench-calibration` fills (seeds from 300 on) and goes on with. [nulls.md](nulls.md) says what the tests are,
and what these rates mean. Rates at p ≤ 0.05, with exact (Clopper-Pearson) 95 % intervals.
"""

RUNS = f"""Runs of 150 volumes (TR 2 s, SNR 0.5) are simulated at 4 mm, prepared as by default, and averaged to 8 mm. A
network is fitted to 24 other runs, so that no p is in-sample: `{Training.preset}`, the default of the product, as it
ships; `contextual` with an attention trained at 8 mm. Tested are margin and skewness (the family `clarity`). Only
exclusive states are dynamics: of all other runs a rejection is false, or due to the noise.
"""

GROUPS = """Six outcomes that correlate with 0.3. One outcome: its p alone; any of six: a corrected p of any outcome.
*Pooled* is Student's t under the same permutations, *studentised* is what the product does. Bold: more than chance
allows of 5 %.
"""


def rate(p: Sequence[float]) -> str:
    """Give the share of p <= 0.05 with its exact (Clopper-Pearson) 95 % interval."""
    return share(sum(value <= LEVEL for value in p), len(p))


def share(found: int, n: int) -> str:
    """Write a share with its exact 95 % interval.

    >>> share(5, 100)
    '5 of 100 (1.6 to 11.3 %)'
    """
    limits = binomtest(found, n).proportion_ci(method="exact")
    return f"{found} of {n} ({100 * limits.low:.1f} to {100 * limits.high:.1f} %)"


def page(known: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Give the lines of the page: temporal null, noise of runs, lag curve, spatial null, group tests."""
    yield HEADING
    for title, about, lines in (
        ("Temporal null", RUNS, _temporal(known)),
        ("Did the noise change?", "The check beside every temporal p, on the same runs.\n", _noise(known)),
        ("Lag curve", "Where the IoU of neighbouring volumes lies among surrogates of smooth noise.\n", _lag(known)),
        ("Spatial null", "Noise maps against templates: the smallest p of any template.\n", _spatial(known)),
        ("Group tests", GROUPS, _groups(known)),
    ):
        rows = list(lines)
        if rows:
            yield f"## {title}\n"
            yield about
            yield from rows
            yield ""


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    if rows:
        for cells in (heads, ["---"] * len(heads), *rows):
            yield f"| {' | '.join(cells)} |"


def _of(known: Mapping[str, Mapping[str, Any]], kind: str) -> Iterator[tuple[list[str], Mapping[str, Any]]]:
    """Give the settings and the units of every study of a kind."""
    for key, units in known.items():
        first, *rest = key.split(" | ")
        if first == kind:
            yield rest, units


def _temporal(known: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    rows = []
    lags = []
    studies = sorted(_of(known, TEMPORAL), key=lambda study: list(METHOD_WORDS).index(study[0][0]))
    for (method, arm, surrogates), units in studies:
        flagged = [unit["noise"]["any"] for unit in units.values() if "noise" in unit]
        both = sum(unit["p"] <= LEVEL and unit["noise"]["any"] <= LEVEL for unit in units.values() if "noise" in unit)
        told = f"{sum(p <= LEVEL for p in flagged)} ({both} of those rejected)" if flagged else "–"
        rejected = rate([unit["p"] for unit in units.values()])
        rows.append([METHOD_WORDS[method], ARM_WORDS[arm], surrogates.split()[0], rejected, told])
        for name in ("fbn1 iou_lag1", "fbn2 iou_lag1"):
            z = [unit["statistics"].get(name, [np.nan])[0] for unit in units.values()]
            z = [value for value in z if value is not None and np.isfinite(value)]
            if method in PRESETS and z:
                lags.append(f"`{method}`, {ARM_WORDS[arm]}, branch {name[3]}: {np.mean(z):.1f}")
    yield from _table(["maps", "runs", "surrogates", "rejected", "noise flagged"], rows)
    arms = {method: {arm for (own, arm, _), _ in studies if own == method} for (method, *_), _ in studies}
    lacking = [arm for arm in ARM_WORDS if arm in set().union(*arms.values()) - arms.get(Training.preset, set())]
    if lacking:
        words = "; ".join(ARM_WORDS[arm] for arm in lacking)
        yield f"\nNot measured with `{Training.preset}`, and a row holds for its maps alone: {words}."
    if lags:
        yield f"\nMean z of the IoU at lag 1: {'; '.join(lags)}."


def _noise(known: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    rows = []
    for (arm,), units in _of(known, "noise"):
        rows.append([ARM_WORDS[arm], *(rate([unit[part] for unit in units.values()]) for part in PARTS)])
    yield from _table(["runs", "any (corrected)", *PARTS[1:]], rows)


def _lag(known: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    rows = []
    for (noise, surrogates), units in _of(known, "lag"):
        z = [unit["z"] for unit in units.values()]
        cells = [noise.split()[-1], str(len(z)), surrogates.split()[0]]
        rows.append([*cells, f"{np.mean(z):.2f} ± {np.std(z, ddof=1):.2f}"])
    yield from _table(["first-order correlation", "runs", "surrogates", "z at lag 1, mean ± SD"], rows)


def _spatial(known: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    rows = []
    for (_, sets), units in _of(known, "spatial"):
        by_smoothness = {unit["smoothness_mm"] for unit in units.values()}
        for smoothness in (None, *sorted(by_smoothness)):
            own = [u["p"] for u in units.values() if smoothness in (None, u["smoothness_mm"])]
            label = "all" if smoothness is None else f"{smoothness:g} mm"
            rows.append([label, sets.split()[0], rate(own)])
    yield from _table(["smoothness (FWHM)", "sets of surrogates", "any template"], rows)


def _groups(known: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    false, power = [], []
    for (design, permutations), units in _of(known, "group"):
        total = {name: sum(unit[name] for unit in units.values()) for name in next(iter(units.values()))}
        n = total["studies"]
        most = binom.ppf(0.975, n, LEVEL)

        def cell(name: str, total: Mapping[str, int] = total, n: int = n, most: float = np.inf) -> str:
            text = f"{100 * total[name] / n:.1f} %"
            return f"**{text}**" if total[name] > most else text

        lead = [design.removeprefix("power: "), str(n), permutations.split()[0]]
        if design.startswith("power"):
            names = ("pooled own", "studentised own", "pooled corrected", "studentised corrected")
            power.append([*lead, *(cell(name) for name in names)])
        else:
            names = ("pooled own", "studentised own", "pooled any", "studentised any")
            false.append([*lead, *(cell(name, most=most) for name in names)])
    lead = ["studies", "permutations", "one outcome: pooled", "studentised"]
    yield from _table(["groups without an effect", *lead, "any of six: pooled", "studentised"], false)
    if power:
        yield "\nA difference of 1 SD in one outcome, found:\n"
    yield from _table(["groups", *lead, "corrected: pooled", "studentised"], power)
