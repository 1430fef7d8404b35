"""What a model's card says of its training, as sentences for a Methods section."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..model.presets import LINEAR_PRESET, POINTWISE_PRESET

__all__ = ["training_sentence"]


def training_sentence(card: Mapping[str, Any]) -> str:
    """Say from a model's card how it was trained; what the card lacks, because it is yet to be, is left out."""
    facts = [f"{name} *{card[key]}*" for name, key in (("preset", "Preset"), ("mode", "Mode")) if card.get(key)]
    facts += [f"seed {card.get('Seed')}"] if "Context" not in card else []
    facts += [f"precision {card['Precision']}"] if card.get("Precision") else []
    facts += [f"weights {str(card['WeightsSHA256'])[:12]}"] if card.get("WeightsSHA256") else []
    about = f"(SCAAE, @scaae; {', '.join(facts)})"
    training = card.get("Training", {})
    known = isinstance(training.get("Runs"), list) and "VolumesSeen" in training
    if "Context" in card and card.get("Preset") == POINTWISE_PRESET:
        seen = f" of {card['Context'].get('Volumes')} volumes of {len(training['Runs'])} run(s)" if known else ""
        return (
            f"The network is attention {about}, the same at every voxel, over views of each volume: itself, smoothed, "
            f"and projected on principal components and non-negative parts{seen}. The attention had been trained on "
            "simulated volumes and came with the software (PyTorch, @pytorch). Where parts of two halves of the runs "
            "agree little, the projection on the group's principal components and the smoothed volume are added. "
            "Branch 1 marks what is above the mean of a voxel over the run, branch 2 what is below."
            + _neighbours(card.get("TimeWidth") or 0)
        )
    if "Context" in card and card.get("Preset") == LINEAR_PRESET:
        context = card["Context"]
        smoothed = "smoothed"
        if context.get("SmoothingSigma"):
            smoothed += f" (Gaussian, standard deviation {context['SmoothingSigma']:g} mm)"
        of_runs = f" of {context.get('Volumes')} volumes of {len(training['Runs'])} run(s)" if known else ""
        return (
            f"There was no attention ({', '.join(facts)}): each volume, {smoothed}, was projected on the "
            f"{context.get('Rank', '')} leading principal components{of_runs} (PyTorch, @pytorch). Branch 1 is the "
            "projection, branch 2 its negative."
        ).replace("the  leading", "the leading")
    if "Context" in card:
        fitted = f" on {card['Context'].get('Volumes')} volumes of {len(training['Runs'])} run(s)" if known else ""
        return (
            f"The network is spatial and channel-wise attention {about} on each volume and its context. The attention "
            "had been trained on simulated volumes and came with the software (PyTorch, @pytorch); the context was "
            f"fitted{fitted} by reduced-rank regression of neighbouring volumes, each of its 64 dimensions shrunk by "
            "its slope in runs left out. Branch 1 marks what is above the mean of a voxel over the run, branch 2 what "
            "is below."
        )
    text = f"The spatial and channel-wise attention autoencoder {about} was trained with PyTorch (@pytorch)"
    if known:
        text += f" on {training.get('Volumes')} volumes of {len(training['Runs'])} run(s); {training['VolumesSeen']} "
        text += "volumes, repetitions included, were shown"
    if training.get("Undertrained"):
        return f"{text}. This is little training: its networks are those of an undertrained model."
    return f"{text}."


def _neighbours(width: float) -> str:
    if not width:
        return ""
    return (
        f" Beside every volume, the network and all parts of it saw the average of the volume with its neighbours in "
        f"time (Gaussian, standard deviation {width:g} s); so did all surrogates."
    )
