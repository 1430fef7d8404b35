"""What a reader of the group's page must know about the networks before looking at the figures."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ..errors import InputError
from ..words import percent
from .findings import CHANNEL_RANGE, DENSE, SIGN_AGREEMENT
from .group_views import Group
from .page import Banner

__all__ = ["group_banners"]


def group_banners(group: Group) -> list[Banner]:
    """Collect what the participants' pages warn of: undertrained, saturated, inverted, uncertain, unselective."""
    try:
        runs = group.table("runs", ["run"])
    except InputError:
        return []
    found = []
    if (_numbers(runs, "undertrained") > 0).any():
        text = (
            "It has seen too few volumes for its maps to have settled: branches may still be inverted or mark most of "
            "the brain. The tables show that the processing works; do not interpret them."
        )
        found.append(Banner("The model is undertrained", text))
    for branch in (1, 2):
        density = _numbers(runs, f"density_fbn{branch}")
        dense = int((density > DENSE).sum())
        if dense:
            text = (
                f"In {dense} of {len(runs)} runs it marks more than {percent(DENSE)} of the brain in a volume, "
                f"{percent(density.mean())} on average over all runs. Such a map is no network: it overlaps "
                "everything, and its overlap from volume to volume is high whatever the brain does."
            )
            found.append(Banner(f"Branch {branch} is saturated", text))
        agreement = _numbers(runs, f"sign_agreement_fbn{branch}").min()
        if agreement < SIGN_AGREEMENT:
            text = (
                f"Only {percent(agreement)} of the volumes agree on it: in part of the volumes this branch shows "
                "deactivation as activation, or nothing that follows the data."
            )
            found.append(Banner(f"The sign of branch {branch} is uncertain", text))
        against = int((_numbers(runs, f"inverted_fbn{branch}") > 0).sum())
        if against:
            text = (
                f"In {against} of {len(runs)} runs it runs against the input volumes, and in paper mode no sign is "
                "applied, as in the published code: what it shows as active is deactivated."
            )
            found.append(Banner(f"Branch {branch} is inverted", text))
    flat = int((_numbers(runs, "channel_weight_range") < CHANNEL_RANGE).sum())
    if flat:
        text = (
            f"In {flat} of {len(runs)} runs all channel weights of all volumes lie within a range narrower than "
            f"{CHANNEL_RANGE}: every channel enters the network map with nearly the same weight. The maps are then "
            "what a fixed local filter of the volume gives; nothing is chosen automatically."
        )
        found.append(Banner("Channel attention selects nothing", text))
    return found


def _numbers(runs: pd.DataFrame, column: str) -> pd.Series:
    if column not in runs:
        return pd.Series(np.nan, index=runs.index)
    return pd.to_numeric(runs[column], errors="coerce")
