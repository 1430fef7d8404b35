"""What a volume needs to be in a state: which score decides, and from where on."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType

from ...errors import UsageError

__all__ = ["RULES", "Rule", "rule_of"]


@dataclass(frozen=True)
class Rule:
    """The score that decides, and the least of it that a state needs."""

    score: str
    cutoff: float
    by_noise: bool = False
    """Whether states need what noise as smooth as the maps hardly reaches (`noise_cutoff`) in place of `cutoff`, which
    is then for what must be the same for a run and its surrogates."""

    @property
    def score_in_words(self) -> str:
        """Name the score as texts do."""
        return {"iou": "IoU", "size_matched_iou": "size-matched IoU"}[self.score]


RULES = MappingProxyType({"paper": Rule("iou", 0.3), "calibrated": Rule("size_matched_iou", 0.2, by_noise=True)})
"""Per mode. The paper leaves out volumes below IoU 0.3. The calibrated cut is on a score that no rescaling of the map
moves, and is found for the maps: at most 5 % of noise volumes as smooth as they are reach it. Its fixed 0.2 is what the
*best* of 150 unsmoothed volumes of real runs reached with a template, on average."""


def rule_of(mode: str, cutoff: float | None = None) -> Rule:
    """Give the rule of a mode, with another cut-off if one is given.

    Raises
    ------
    UsageError
        For an unknown mode.

    >>> rule_of("paper"), rule_of("calibrated", cutoff=0.25)
    (Rule(score='iou', cutoff=0.3, by_noise=False), Rule(score='size_matched_iou', cutoff=0.25, by_noise=False))
    """
    if mode not in RULES:
        raise UsageError(f"Mode '{mode}' is unknown; choose from {', '.join(RULES)}.")
    rule = RULES[mode]
    return rule if cutoff is None else Rule(rule.score, float(cutoff))
