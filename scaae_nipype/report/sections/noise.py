"""Whether the noise of a run kept its level: what else than dynamics, or a task, a test over time can find."""

from __future__ import annotations

from typing import Any

from ...words import listed, number

__all__ = ["noise_changes", "noise_sentences"]

_MEASURES = {
    "Variance": "the variance over voxels goes from {before} to {after}",
    "Smoothness": "the smoothness from {before} to {after} mm FWHM",
    "Motion": "framewise displacement from {before} to {after} mm",
}


def noise_changes(noise: Any) -> str:
    """Say what of the noise changed, and when, as ``Stationarity`` of a sidecar has it; empty where nothing did."""
    if not isinstance(noise, dict) or not isinstance(noise.get("P"), int | float) or noise["P"] > 0.05:
        return ""
    changed = [
        f"{words.format(before=number(own.get('Before'), 3), after=number(own.get('After'), 3))} from volume "
        f"{number(own.get('Volume'), 0)} on (p = {number(own.get('P'), 3)})"
        for name, words in _MEASURES.items()
        if isinstance(own := noise.get(name), dict) and own.get("P", 1) <= 0.05
    ]
    return f"The noise of the run changes while it is measured: {'; '.join(changed)}."


def noise_sentences(noise: Any, *, rejected: bool) -> list[str]:
    """Say beside the p of a temporal null whether the noise of the run kept its level."""
    if not isinstance(noise, dict) or not isinstance(noise.get("P"), int | float):
        return []
    if changes := noise_changes(noise):
        end = "so the rejection may be that, and no dynamics" if rejected else "though the test did not reject it"
        return [f"{changes} Surrogates are the same from the first volume to the last, {end}."]
    followed = listed(name.lower() for name in _MEASURES if isinstance(noise.get(name), dict))
    return [f"The noise of the run keeps its level: {followed} do not change (p = {number(noise['P'], 3)})."]
