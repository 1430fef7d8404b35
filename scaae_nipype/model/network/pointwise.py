"""The pointwise network: attention, the same at every voxel, over linear views of a volume.

What a volume's surroundings and other runs say about a voxel comes from the views; the attention only has to weigh
them. This takes a hundredth of the arithmetic of wide convolutions. Where it may look at a volume's neighbours in time,
it sees all views but the volume a second time, of the volume as it is averaged with them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from ..presets import Preset
from .context import Context
from .in_mask import InMask
from .parts import PARTS, RANK, nonnegative
from .reading import Reading
from .smoothing import MaskedSmoothing

__all__ = ["ABOUT", "HANDED", "LEADS", "RESTED", "VIEWS", "PointwiseSCAAE", "Seen"]

VIEWS = ("volume", "near8", "near12", "rank8", "trusted", "above", "below")
"""What the attention looks at: the volume; smoothed (Gaussian, σ 8 and 12 mm); projected on the eight leading
components of other runs; on all of them, each shrunk by its persistence; and the non-negative combinations of their
non-negative parts that are closest to the volume and to its negative."""

HANDED = (*range(len(VIEWS)), *range(1, len(VIEWS)))
"""Views that are attention maps of their own, with a channel weight each: all but the volume in two of them."""

ABOUT = 18
"""Numbers that say how far other runs can be trusted (`FittedParts.about`)."""

RESTED = VIEWS[1:]
"""Views that are made a second time, of the volume and its neighbours in time, where these count."""

LEADS = ("group PCA", "near12", "group ICA", "own PCA")
"""What is added to the networks whatever the attention says, above in branch 1 and upside down in branch 2. The last
takes the place of the first in volumes of the very run, where the fit was to one run."""

PCA_RANK, OWN_RANK, ICA_MAPS, TRUNK, HIDDEN = 12, 8, 10, 2, 32

FAMILIAR, LOOKED_AT = 512, 2048
"""Volumes of a run that can be recognised, and voxels that are looked at for that, at most."""

KNOWN, UNKNOWN = 0.01, 0.05
"""Share of a volume's power that is no combination of a run's volumes: so little is rounding, and a surrogate's
censored volumes; so much says that the volume is of another run."""

VOXELS_AT_ONCE = 8192
"""Voxels that go through all layers together on a processor: what lies between layers then stays in its cache."""

_RMS_FLOOR = 0.01


class Seen(NamedTuple):
    """Volumes as the attention sees them."""

    views: Tensor
    """(batch, n_voxels, len(VIEWS)), or with those of `RESTED` behind them."""
    strengths: Tensor
    """Logarithm of each view's root mean square in the volume: (batch, n_views)."""
    code: Tensor
    """(batch, size)."""
    averaged: float = 1.0
    """How many volumes count where neighbours in time do."""

    @property
    def in_time(self) -> bool:
        """Whether neighbours in time were looked at."""
        return self.views.shape[2] > len(VIEWS)


class PointwiseSCAAE(InMask):
    """Attention (equations 3 to 8 of the paper, with layers of one voxel) over views of a volume.

    Parameters
    ----------
    preset : Preset
    mask : bool array, (X, Y, Z)
        The brain mask on the network's field.
    voxel_sizes : sequence of float
        In mm.
    """

    parts: Tensor
    about: Tensor
    lead_parts: Tensor
    components: Tensor
    few_volumes: Tensor
    independent: Tensor
    unmixing: Tensor
    familiar: Tensor
    looked_at: Tensor
    leads: Tensor
    handed: Tensor
    time_width: Tensor
    time_stem: Tensor
    time_conditions: Tensor
    time_channel: Tensor

    def __init__(self, preset: Preset, *, mask: np.ndarray, voxel_sizes: Sequence[float] | np.ndarray):
        super().__init__(mask)
        self.preset = preset
        n_voxels, width, own = int(mask.sum()), preset.features, preset.branch_features
        self.near4, self.near6, self.near8, self.near12 = (
            MaskedSmoothing(mask, voxel_sizes, sigma) for sigma in (4.0, 6.0, 8.0, 12.0)
        )
        # What is fitted to runs
        self.context = Context(RANK, n_voxels)
        self.register_buffer("parts", torch.zeros(PARTS, n_voxels))
        self.register_buffer("about", torch.zeros(ABOUT))
        self.register_buffer("lead_parts", torch.zeros(()))
        self.register_buffer("components", torch.zeros(PCA_RANK, n_voxels))
        self.register_buffer("few_volumes", torch.ones((), dtype=torch.bool))
        self.register_buffer("independent", torch.zeros(ICA_MAPS, n_voxels))
        self.register_buffer("unmixing", torch.zeros(ICA_MAPS, n_voxels))
        self.register_buffer("familiar", torch.zeros(FAMILIAR, min(LOOKED_AT, n_voxels)))
        self.register_buffer("leads", torch.zeros(len(LEADS)))
        # What was trained, and ships
        n_global = len(VIEWS) + ABOUT
        self.conditions = nn.Sequential(nn.Linear(n_global, HIDDEN), nn.GELU(), nn.Linear(HIDDEN, 2 * width))
        self.stem = nn.Linear(len(VIEWS), width)
        self.trunk = nn.ModuleList(nn.Linear(width, width) for _ in range(TRUNK))
        self.branches = nn.ModuleList(nn.Linear(width, own) for _ in range(2))
        self.spatial = nn.ModuleList(
            nn.Sequential(nn.Linear(own, own), nn.GELU(), nn.Linear(own, own)) for _ in range(2)
        )
        self.channel = nn.Sequential(
            nn.Linear(2 * own + n_global, HIDDEN),
            nn.GELU(),
            nn.Linear(HIDDEN, HIDDEN),
            nn.GELU(),
            nn.Linear(HIDDEN, 2 * (own + len(HANDED))),
            nn.Sigmoid(),
        )
        self.hand = nn.Parameter(torch.zeros(2, len(HANDED)))
        self.register_buffer("handed", torch.tensor(HANDED), persistent=False)
        looked_at = torch.linspace(0, n_voxels - 1, self.familiar.shape[1], dtype=torch.float64).round().long()
        self.register_buffer("looked_at", looked_at, persistent=False)
        # What of the weights of a view belongs to that view in time; where a volume is alone, both are one view.
        self.register_buffer("time_stem", torch.zeros(width, len(RESTED)))
        self.register_buffer("time_conditions", torch.zeros(HIDDEN, len(RESTED) + 1))
        self.register_buffer("time_channel", torch.zeros(HIDDEN, len(RESTED) + 1))
        # Standard deviation in s of the Gaussian over neighbours; 0: every volume alone
        self.register_buffer("time_width", torch.zeros(()))

    def _load_from_state_dict(self, state_dict: dict[str, Tensor], prefix: str, *arguments: Any) -> None:
        """Take weights of before there were neighbours in time or as many leads, too: they counted nothing."""
        since = ("time_stem", "time_conditions", "time_channel", "time_width", "independent", "unmixing", "familiar")
        for name in since:
            state_dict.setdefault(prefix + name, getattr(self, name))
        if (leads := state_dict.get(prefix + "leads")) is not None:
            state_dict[prefix + "leads"] = functional.pad(leads, (0, len(LEADS) - len(leads)))
        super()._load_from_state_dict(state_dict, prefix, *arguments)

    def see(self, volumes: Tensor, rested: Tensor | None = None, averaged: float = 1.0) -> Seen:
        """Make the views of (batch, 1, X, Y, Z), and of the same volumes averaged with their neighbours in time."""
        volume = self.vectors(volumes)
        code = volume @ self.context.encode.T
        views = [volume, *self._look(volumes, volume, code)]
        if rested is not None:
            volume = self.vectors(rested)
            views += self._look(rested, volume, volume @ self.context.encode.T)
        stacked = torch.stack(views, dim=2)
        return Seen(stacked, torch.log(stacked.square().mean(dim=1).sqrt() + _RMS_FLOOR), code, averaged)

    def _look(self, volumes: Tensor, volume: Tensor, code: Tensor) -> tuple[Tensor, ...]:
        """Make all views but the volume itself."""
        projected = volume @ self.context.decode[:8].T
        products = volume @ self.parts.T
        return (
            self.vectors(self.near8(volumes)),
            self.vectors(self.near12(volumes)),
            projected @ self.context.decode[:8],
            code @ self.context.decode,
            nonnegative(products, self.parts) @ self.parts,
            nonnegative(-products, self.parts) @ self.parts,
        )

    def lead(self, volumes: Tensor, rested: Tensor | None = None) -> Tensor:
        """Give the leads, in the order of `LEADS`, before their weights: (batch, len(LEADS), n_voxels)."""
        own = self.recognise(volumes)
        every = torch.ones_like(own)
        counts = torch.stack([1 - own, every, every, own], dim=1)
        return counts[..., None] * self.all_leads(volumes if rested is None else rested)

    def all_leads(self, volumes: Tensor) -> Tensor:
        """Give the leads, whatever run the volumes are of."""
        narrow = self.near8 if bool(self.few_volumes) else self.near4
        shares = self.vectors(narrow(volumes)) @ self.components.T
        projected, own = shares @ self.components, shares[:, :OWN_RANK] @ self.components[:OWN_RANK]
        mixed = (self.vectors(volumes) @ self.unmixing.T) @ self.independent
        return torch.stack([projected, self.vectors(self.near12(volumes)), mixed, own], dim=1)

    def recognise(self, volumes: Tensor) -> Tensor:
        """Say how far volumes are of the one run that the network was fitted to: from 0 to 1, (batch,).

        A run's volumes are combinations of each other, and so are its surrogates; another run's are not, as far as its
        noise is another one. Fitted to several runs, the network recognises none.
        """
        looked_at = self.vectors(volumes)[:, self.looked_at]
        power = looked_at.square().sum(dim=1).clamp(min=torch.finfo(looked_at.dtype).tiny)
        strange = 1 - (looked_at @ self.familiar.T).square().sum(dim=1) / power
        return ((UNKNOWN - strange) / (UNKNOWN - KNOWN)).clamp(0, 1)

    def attend(self, seen: Seen) -> tuple[Tensor, Tensor]:
        """Give the maps of both branches without the leads, (batch, 2, n_voxels), and all channel weights of each.

        Returns
        -------
        maps : Tensor, (batch, 2, n_voxels)
        channel_weights : Tensor, (batch, 2, branch_features + len(HANDED))
        """
        known = self.about.expand(len(seen.views), -1)
        if seen.in_time:
            known = torch.cat([known.new_full((len(known), 1), math.log(seen.averaged)), known], dim=1)
        about = torch.cat([seen.strengths, known], dim=1)
        conditions = self._read_first(self.conditions, about, self.time_conditions, seen.in_time)
        stem = self._apart(self.stem.weight, self.time_stem, seen.in_time)
        blocks = [views.split(VOXELS_AT_ONCE if views.is_cpu else len(views)) for views in seen.views]
        logits, pooled, branches = [], [], self._both_branches()
        for of_volume, condition in zip(blocks, conditions, strict=True):
            scale, shift = condition.chunk(2)
            # What a volume does to the first layer goes into its weights: a pass over all voxels less.
            first = stem * (1 + scale)[:, None], self.stem.bias * (1 + scale) + shift
            found = [self._look_at_voxels(views, first, branches) for views in of_volume]
            logits.append([own for own, _ in found])
            pooled.append(torch.stack([features for _, features in found]).sum(dim=0) / seen.views.shape[1])
        weights = self._read_first(
            self.channel, torch.cat([torch.stack(pooled), about], dim=1), self.time_channel, seen.in_time
        ).unflatten(1, (2, -1))
        own = self.preset.branch_features
        # Of the learned maps of both branches, (2, 2 * own), each branch takes its own.
        learned = torch.stack([functional.pad(weights[:, n, :own], (n * own, own - n * own)) for n in (0, 1)], dim=1)
        shares = weights.new_zeros((len(weights), 2, seen.views.shape[2]))
        places = torch.arange(len(HANDED), device=shares.device) if seen.in_time else self.handed
        shares = shares.index_add(2, places, weights[..., own:] * self.hand)
        shares[:, 0, (len(VIEWS) + RESTED.index("above")) if seen.in_time else VIEWS.index("above")] += self.lead_parts
        maps = [
            torch.cat([a @ one.T + b @ views.T for one, views in zip(*of_volume, strict=True)], dim=1)
            for a, b, of_volume in zip(learned, shares, zip(logits, blocks, strict=True), strict=True)
        ]
        return torch.stack(maps), weights

    def _both_branches(self) -> list[tuple[Tensor, Tensor]]:
        """Give weights and biases of both branches' layers as one layer each: wider ones take less time."""
        own = self.preset.branch_features
        layers: list[tuple[Tensor, Tensor]] = []
        for one, other in (tuple(self.branches), *zip(*self.spatial, strict=True)):
            if isinstance(one, nn.Linear) and isinstance(other, nn.Linear):
                apart = own if layers else 0  # the first layer of both branches looks at the same
                weights = functional.pad(one.weight, (0, apart)), functional.pad(other.weight, (apart, 0))
                layers.append((torch.cat(weights), torch.cat([one.bias, other.bias])))
        return layers

    def _look_at_voxels(
        self, views: Tensor, first: tuple[Tensor, Tensor], branches: Sequence[tuple[Tensor, Tensor]]
    ) -> tuple[Tensor, Tensor]:
        """Give the logits of both branches at some voxels, and the sums of gated features over these.

        Parameters
        ----------
        views : Tensor, (n_voxels, n_views)
        first : tuple of Tensor
            Weights and bias of the first layer, for this volume.
        branches : sequence of tuple of Tensor
            As `_both_branches` gives them.

        Returns
        -------
        logits : Tensor, (n_voxels, 2 * branch_features)
        pooled : Tensor, (2 * branch_features,)
        """
        x = functional.gelu(functional.linear(views, *first))
        for layer in self.trunk:
            x = functional.gelu(layer(x)).add_(x)
        into, wide, narrow = branches
        features = functional.gelu(functional.linear(x, *into))
        logits = functional.linear(functional.gelu(functional.linear(features, *wide)), *narrow)
        return logits, (torch.sigmoid(logits) * features).sum(dim=0)

    def _apart(self, weight: Tensor, in_time: Tensor, looks: bool, before: int = 0) -> Tensor:
        """Part the columns of views into what belongs to the volume alone and to the volume in time.

        The former begin `before` columns from the first; the latter may have one more, of how many volumes count.
        """
        if not looks:
            return weight
        first, views, known = weight.tensor_split([before, before + len(VIEWS)], dim=1)
        alone = views - functional.pad(in_time[:, : len(RESTED)], (1, 0))
        return torch.cat([first, alone, in_time, known], dim=1)

    def _read_first(self, layers: nn.Sequential, values: Tensor, in_time: Tensor, looks: bool) -> Tensor:
        """Apply layers whose first one reads views' strengths."""
        first = layers[0]
        assert isinstance(first, nn.Linear)
        before = first.in_features - len(VIEWS) - ABOUT
        x = functional.linear(values, self._apart(first.weight, in_time, looks, before), first.bias)
        for layer in list(layers)[1:]:
            x = layer(x)
        return x

    def read(self, volumes: Tensor, rested: Tensor | None = None, averaged: float = 1.0) -> Reading:
        """Give networks, channel weights (of the learned maps) and code of volumes.

        Parameters
        ----------
        volumes : Tensor, (batch, 1, X, Y, Z)
        rested : Tensor, optional
            The same, averaged with their neighbours in time; without, every volume is alone.
        averaged : float
            How many volumes count in such an average.
        """
        with torch.autocast(volumes.device.type, enabled=False):
            volumes = volumes.to(self.stem.weight.dtype)
            rested = None if rested is None else rested.to(volumes.dtype)
            seen = self.see(volumes, rested, averaged)
            maps, weights = self.attend(seen)
            led = self.leads @ self.lead(volumes, rested)
            maps = maps + torch.stack([led, -led], dim=1)
        learned = weights[..., : self.preset.branch_features].flatten(1)
        return Reading(self.place(maps), learned, seen.code)

    def forward(self, volumes: Tensor) -> Reading:
        """Read (batch, 1, X, Y, Z)."""
        return self.read(volumes)
