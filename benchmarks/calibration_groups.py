"""Groups of participants without a difference (or with one): how often does their comparison find one?

Every design has six correlated outcomes (r = 0.3). Each is tested as the product does, and with the pooled spread that
Student's t has, beside it. Designs and numbers are fixed here; the statistic was chosen on other draws.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from scaae_nipype.evaluation.group.permutation import freedman_lane

__all__ = ["AT_ONCE", "DESIGNS", "N_PERMUTATIONS", "Design", "rejections"]

N_OUTCOMES, SHARED, N_PERMUTATIONS, AT_ONCE = 6, 0.3, 199, 100


@dataclass(frozen=True)
class Design:
    """A study that is drawn again and again.

    Parameters
    ----------
    sizes, spreads : tuples of int and of float
        Participants and standard deviation of every group; one group is compared by a number instead.
    noise : {"normal", "heavy", "skewed"}
        Heavy: Student's t of 3 degrees of freedom.
    difference : float
        Of the last group in the first outcome, in standard deviations of the first group.
    confounded : bool
        Motion differs between groups by 1.5 of its standard deviations and drives all outcomes; two sites.
    fan : bool
        Noise grows with the number, or with motion.
    """

    sizes: tuple[int, ...]
    spreads: tuple[float, ...]
    noise: str = "normal"
    difference: float = 0.0
    confounded: bool = False
    fan: bool = False


DESIGNS = {
    "15 and 15, equal spread": Design((15, 15), (1, 1)),
    "20 and 10, equal spread": Design((20, 10), (1, 1)),
    "20 and 10, the 10 spread 3 times": Design((20, 10), (1, 3)),
    "20 and 10, the 20 spread 3 times": Design((20, 10), (3, 1)),
    "25 and 5, the 5 spread 3 times": Design((25, 5), (1, 3)),
    "20 and 10, the 10 spread 3 times, heavy tails": Design((20, 10), (1, 3), "heavy"),
    "20 and 10, the 10 spread 3 times, skewed": Design((20, 10), (1, 3), "skewed"),
    "20 and 10, equal spread, confounded with motion": Design((20, 10), (1, 1), confounded=True),
    "20 and 10, the 10 spread 3 times, confounded with motion": Design((20, 10), (1, 3), confounded=True),
    "20 and 10, noise grows with motion, confounded": Design((20, 10), (1, 1), confounded=True, fan=True),
    "15, 15 and 10, the 10 spread 3 times": Design((15, 15, 10), (1, 1, 3)),
    "a number of 30, equal spread": Design((30,), (1,)),
    "a number of 30, noise grows with its distance from the mean": Design((30,), (1,), fan=True),
    "power: 15 and 15, a difference of 1": Design((15, 15), (1, 1), difference=1),
    "power: 20 and 10, a difference of 1": Design((20, 10), (1, 1), difference=1),
    "power: 15 and 15, confounded, a difference of 1": Design((15, 15), (1, 1), difference=1, confounded=True),
}

_NOISE: dict[str, Callable[[np.random.Generator, tuple[int, int]], np.ndarray]] = {
    "normal": lambda rng, shape: rng.standard_normal(shape),
    "heavy": lambda rng, shape: rng.standard_t(3, shape) / np.sqrt(3),
    "skewed": lambda rng, shape: rng.standard_exponential(shape) - 1,
}


def drawn(design: Design, rng: np.random.Generator) -> dict[str, np.ndarray | None]:
    """Draw a study: the arguments of `freedman_lane`."""
    group = np.repeat(np.arange(len(design.sizes)), design.sizes)
    noise, n = _NOISE[design.noise], len(group)
    outcomes = np.sqrt(1 - SHARED) * noise(rng, (n, N_OUTCOMES)) + np.sqrt(SHARED) * noise(rng, (n, 1))
    outcomes *= np.array(design.spreads)[group][:, None]
    number, motion = rng.standard_normal(n), rng.standard_normal(n) + 1.5 * group
    if design.fan:
        outcomes *= 0.2 + np.abs(motion if design.confounded else number)[:, None]
    outcomes[:, 0] += design.difference * (group == group.max())
    effect = number if len(design.sizes) == 1 else (group[:, None] == np.arange(1, len(design.sizes))).astype(float)
    if not design.confounded:
        return {"outcomes": outcomes, "effect": effect, "nuisance": None, "blocks": None}
    site = np.arange(n) % 2
    return {
        "outcomes": outcomes + motion[:, None] + site[:, None],
        "effect": effect,
        "nuisance": motion,
        "blocks": site,
    }


def rejections(design: Design, seeds: Iterator[tuple[int, ...]]) -> dict[str, int]:
    """Count, over studies, p <= 0.05 of the first outcome alone and corrected, and of any outcome corrected."""
    counts = {f"{kind} {which}": 0 for kind in ("studentised", "pooled") for which in ("own", "corrected", "any")}
    n = 0
    for seed in seeds:
        study = drawn(design, np.random.default_rng(seed))
        n += 1
        for kind in ("studentised", "pooled"):
            found = freedman_lane(**study, pooled=kind == "pooled", n_permutations=N_PERMUTATIONS, seed=seed[-1])
            counts[f"{kind} own"] += int(found.p[0] <= 0.05)
            counts[f"{kind} corrected"] += int(found.p_corrected[0] <= 0.05)
            counts[f"{kind} any"] += int((found.p_corrected <= 0.05).any())
    return {"studies": n, **counts}
