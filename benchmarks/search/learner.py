"""A variant of the network while it learns."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from benchmarks.search.head import Head
from benchmarks.search.measures import loss
from benchmarks.search.network import ViewAttention
from benchmarks.search.variants import Variant
from benchmarks.search.views import Shown

__all__ = ["Learner"]

AVERAGED = 0.998
"""How much of the averaged weights each step keeps."""

WARM_UP, KEPT = 100, 300
"""Steps in which the learning rate rises; losses that are kept to be averaged."""


@dataclass
class Learner:
    """A variant in training."""

    name: str
    variant: Variant
    network: ViewAttention
    averaged: ViewAttention
    optimiser: torch.optim.Optimizer
    losses: list[Tensor]
    n_steps: int = 0

    @staticmethod
    def new(name: str, variant: Variant, head: Head, gain: Tensor) -> Learner:
        torch.manual_seed(variant.seed)
        network = ViewAttention(variant.shape, head.coarse if variant.shape.around else None).to(head.device)
        network.gain.copy_(gain)
        averaged = ViewAttention(variant.shape, head.coarse if variant.shape.around else None).to(head.device)
        averaged.load_state_dict(network.state_dict())
        optimiser = torch.optim.AdamW(
            network.parameters(), lr=variant.rate, weight_decay=variant.decay, fused=head.device.type == "cuda"
        )
        return Learner(name, variant, network, averaged, optimiser, [])

    def step(self, shown: Shown, raw: Tensor, centred: Tensor, *, progress: float) -> None:
        """Take a step on volumes of one run; `progress` from 0 to 1 decides the learning rate."""
        share = self.variant.raw
        lowest = -math.inf if self.variant.signed else 0.0
        above = share * raw.clamp(min=lowest) + (1 - share) * centred.clamp(min=lowest)
        rate = self.variant.rate * min(1, (self.n_steps + 1) / WARM_UP) * 0.5 * (1 + math.cos(math.pi * progress))
        for group in self.optimiser.param_groups:
            group["lr"] = max(rate, 1e-5)
        device = shown.channels.device.type
        with torch.autocast(device, torch.bfloat16, enabled=device == "cuda"):
            found = self.network(shown)
        value = loss(found, above, (-centred).clamp(min=0), amplitude=self.variant.amplitude)
        self.optimiser.zero_grad(set_to_none=True)
        value.backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self.optimiser.step()
        self.n_steps += 1
        keep = min(AVERAGED, self.n_steps / (self.n_steps + 10))
        with torch.no_grad():
            torch._foreach_lerp_(list(self.averaged.parameters()), list(self.network.parameters()), 1 - keep)
        self.losses.append(value.detach())
        del self.losses[:-KEPT]

    def state(self) -> dict[str, Any]:
        return {
            "network": self.network.state_dict(),
            "averaged": self.averaged.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "losses": [float(value) for value in self.losses],
            "n_steps": self.n_steps,
        }

    def restore(self, state: dict[str, Any]) -> None:
        self.network.load_state_dict(state["network"])
        self.averaged.load_state_dict(state["averaged"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.losses, self.n_steps = [torch.tensor(x) for x in state["losses"]], state["n_steps"]
