"""What the network looks at: linear views of a volume, and what other runs say about it.

Channels are named; a variant of the network takes some of them. All but ``above`` and ``below`` are linear in the
volume. Channels that begin with ``calm`` look at the volume and its neighbours in time.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from benchmarks.search.context import Context, fit_context, nonnegative, temporal_smoothing
from benchmarks.search.head import Head, Smoothing

__all__ = ["BASIC", "CALM", "CALM_OWN", "CALM_PARTS", "CHANNELS", "OWN", "PARTS", "Shown", "Viewer"]

SIGMAS = (8.0, 12.0, 16.0)
RANKS = (4, 8, 16, 32)
BASIC = ("volume", "near8", "near12", "near16", "rank4", "rank8", "rank16", "rank32", "trusted")
"""The volume, smoothed, projected on components of other runs, and on all of them, each shrunk by its persistence."""

PARTS = ("above", "below")
"""Non-negative combinations of non-negative parts that come closest to the volume, and to its negative."""

CALM = ("calm8", "calm_rank4", "calm_rank8", "calm_rank16", "calm_trusted")
CALM_PARTS = ("calm_above", "calm_below")
OWN = ("own4", "own8", "own_trusted", "mine")
"""Projections on the components of the run itself, smoothed in space and time; ``mine`` is ``above`` with parts that
are fitted to the run, starting from those of others."""

CALM_OWN = ("calm_own4", "calm_own8", "calm_own_trusted", "calm_mine")
CHANNELS = (*BASIC, *PARTS, *CALM, *CALM_PARTS, *OWN, *CALM_OWN)

HELD = 0.5
"""Weight of other people's part beside the run's own evidence for it, in that of an average part."""

N_ABOUT = 12
"""Numbers about the context: stability and persistence in four bands each, runs, repetition time, volumes' share."""

BANDS = ((0, 4), (4, 8), (8, 16), (16, 32))


@dataclass(frozen=True, eq=False)
class Shown:
    """Volumes of one run as the network sees them.

    Parameters
    ----------
    channels : Tensor, (n_volumes, n_voxels, len(CHANNELS))
    strengths : Tensor, (n_volumes, len(CHANNELS))
        Logarithm of each channel's root mean square in the volume.
    about : Tensor, (N_ABOUT,)
        The context.
    codes, calm_codes : Tensor, (n_volumes, n_components)
        Of principal and rotated components, in their spread over the other runs.
    traits : Tensor, (n_components, 5)
        Stability, persistence, rank, whether rotated, logarithm of spread.
    maps : Tensor, (n_components, n_voxels)
        Times their spread: codes · maps is a view.
    """

    channels: Tensor
    strengths: Tensor
    about: Tensor
    codes: Tensor
    calm_codes: Tensor
    traits: Tensor
    maps: Tensor

    def pick(self, volumes: Tensor, voxels: Tensor | None = None) -> Shown:
        """Take some volumes, and of them some voxels."""
        channels, maps = self.channels[volumes], self.maps
        if voxels is not None:
            channels, maps = channels[:, voxels], maps[:, voxels]
        return Shown(
            channels,
            self.strengths[volumes],
            self.about,
            self.codes[volumes],
            self.calm_codes[volumes],
            self.traits,
            maps,
        )


class Viewer:
    """Makes views of volumes on a head."""

    def __init__(self, head: Head):
        self.head = head
        self.smoothings = [Smoothing(head, sigma) for sigma in SIGMAS]

    def show(self, data: Tensor, context: Context, *, repetition_time: float, channels: tuple = CHANNELS) -> Shown:
        """Show a whole prepared run (n_volumes, n_voxels); channels that are not asked for are left zero."""
        calm = temporal_smoothing(len(data), repetition_time).to(data.device)
        near = [smoothing(data) for smoothing in self.smoothings]
        codes = data @ context.maps.T
        parts = _shares(data, context.parts)
        views = {"volume": data} | {f"near{sigma:g}": view for sigma, view in zip(SIGMAS, near, strict=True)}
        for rank in RANKS:
            views[f"rank{rank}"] = codes[:, :rank] @ context.maps[:rank]
        views["trusted"] = (codes * context.persistence) @ context.maps
        for name, sign in (("above", 1.0), ("below", -1.0)):
            views[name] = nonnegative(sign * data @ context.parts.T, context.parts) @ context.parts
        if any(name.startswith("calm") for name in channels):
            calm_codes = calm @ codes
            views["calm8"] = calm @ near[0]
            for rank in RANKS[:3]:
                views[f"calm_rank{rank}"] = calm_codes[:, :rank] @ context.maps[:rank]
            views["calm_trusted"] = (calm_codes * context.persistence) @ context.maps
            calm_data = calm @ (data @ context.parts.T)
            for name, sign in (("calm_above", 1.0), ("calm_below", -1.0)):
                views[name] = nonnegative(sign * calm_data, context.parts) @ context.parts
        if any("own" in name or "mine" in name for name in channels):
            own = fit_context(self.head, data[None], repetition_time=repetition_time)
            own_codes = data @ own.maps.T
            for prefix, seen in (("", own_codes), ("calm_", calm @ own_codes)):
                for rank in RANKS[:2]:
                    views[f"{prefix}own{rank}"] = seen[:, :rank] @ own.maps[:rank]
                views[f"{prefix}own_trusted"] = (seen * own.persistence) @ own.maps
            mine = _personal(near[0], calm @ (data @ context.parts.T), context.parts)
            for prefix, seen in (("", data @ mine.T), ("calm_", calm @ (data @ mine.T))):
                views[f"{prefix}mine"] = nonnegative(seen, mine) @ mine
        shown = data.new_zeros((*data.shape, len(CHANNELS)), dtype=torch.bfloat16 if data.is_cuda else torch.float32)
        strengths = data.new_zeros((len(data), len(CHANNELS)))
        for number, name in enumerate(CHANNELS):
            if name in views and (name in channels):
                shown[..., number] = views[name]
                strengths[:, number] = torch.log(views[name].square().mean(dim=1).sqrt() + 0.01)
        spread = torch.cat([context.spread, context.part_spread])
        both = torch.cat([codes, parts], dim=1) / spread.clamp(min=1e-6)
        both = both * (spread > 0)
        maps = torch.cat([context.maps, context.parts]) * spread[:, None]
        about = _about(context, repetition_time)
        return Shown(shown, strengths, about, both, calm @ both, _traits(context, self.head.n_voxels), maps)


def _personal(near: Tensor, products: Tensor, parts: Tensor) -> Tensor:
    """Fit non-negative parts to one person's smoothed run, held back towards those of others."""
    shares = nonnegative(products, parts)
    shares = shares - shares.mean(dim=0)
    gram = shares.T @ shares
    held = HELD * gram.diagonal().mean() + 1e-6
    maps = torch.linalg.solve(gram + held * torch.eye(len(gram), device=gram.device), shares.T @ near + held * parts)
    return functional.normalize(maps.clamp(min=0), dim=1)


def _shares(data: Tensor, parts: Tensor) -> Tensor:
    """Give the least-squares shares of parts in volumes, a little shrunk: (n_volumes, n_parts)."""
    gram = parts @ parts.T + 0.02 * torch.eye(len(parts), device=data.device)
    return torch.linalg.solve(gram, parts @ data.T).T


def _about(context: Context, repetition_time: float) -> Tensor:
    bands = [trait[a:b].mean() for trait in (context.stability, context.persistence) for a, b in BANDS]
    there = context.maps.square().sum(dim=1).mean()
    others = (math.log1p(context.n_runs) / 3, math.log(repetition_time), float(context.n_runs > 0))
    return torch.stack([*bands, there, *(there.new_tensor(value) for value in others)])


def _traits(context: Context, n_voxels: int) -> Tensor:
    spread = torch.cat([context.spread, context.part_spread])
    count, rotated = len(context.spread), len(context.part_spread)
    ones = spread.new_ones(rotated)
    return torch.stack(
        [
            torch.cat([context.stability, context.stability[:rotated].mean() * ones]),
            torch.cat([context.persistence, context.part_persistence]),
            torch.cat([torch.arange(count, device=spread.device) / count, 0.2 * ones]),
            torch.cat([torch.zeros_like(context.spread), ones]),
            torch.log(spread / math.sqrt(n_voxels) + 0.01),
        ],
        dim=1,
    )
