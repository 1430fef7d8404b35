"""What a model's card says of its training, as sentences for a Methods section."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["training_sentence"]


def training_sentence(card: Mapping[str, Any]) -> str:
    """Say from a model's card how it was trained."""
    training = card.get("Training", {})
    known = isinstance(training.get("Runs"), list) and "VolumesSeen" in training
    shown = (
        f" on {training.get('Volumes')} volumes of {len(training['Runs'])} run(s); {training['VolumesSeen']} volumes, "
        "repetitions included, were shown"
        if known
        else ""
    )
    caution = (
        " This is little training: its networks are those of an undertrained model."
        if training.get("Undertrained")
        else ""
    )
    if "Context" in card:
        fitted = f" on {card['Context']['Volumes']} volumes of {len(training['Runs'])} run(s)" if known else ""
        return (
            f"The network is spatial and channel-wise attention (SCAAE, @scaae; preset *{card.get('Preset')}*, mode "
            f"*{card.get('Mode')}*, precision {card.get('Precision')}, weights {str(card.get('WeightsSHA256'))[:12]}) "
            "on each volume and its context. The attention had been trained on simulated volumes and came with the "
            f"software (PyTorch, @pytorch); the context was fitted{fitted} by reduced-rank regression of neighbouring "
            "volumes, each of its 64 dimensions shrunk by its slope in runs left out. Branch 1 marks what is above the "
            "mean of a voxel over the run, branch 2 what is below."
        )
    return (
        f"The spatial and channel-wise attention autoencoder (SCAAE, @scaae; preset *{card.get('Preset')}*, mode "
        f"*{card.get('Mode')}*, seed {card.get('Seed')}, precision {card.get('Precision')}, weights "
        f"{str(card.get('WeightsSHA256'))[:12]}) was trained with PyTorch (@pytorch){shown}.{caution}"
    )
