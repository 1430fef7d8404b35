"""What the network looks at: linear views of a volume, and what other runs say about it.

Channels are named; a variant of the network takes some of them. All but ``above``, ``below`` and ``mine`` are linear in
the volume. Channels that begin with ``calm`` look at the volume and its neighbours in time, as wide as is asked: at
width 0 they are the same as those of the volume alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from benchmarks.search.context import (
    TIME_SIGMA,
    Context,
    fit_context,
    nonnegative,
    persistence_of,
    temporal_smoothing,
)
from benchmarks.search.head import Head, Smoothing

__all__ = [
    "BASIC",
    "CALM",
    "CALM_OWN",
    "CALM_PARTS",
    "CHANNELS",
    "CLASSIC",
    "EVERYTHING",
    "N_ABOUT",
    "N_AGREED",
    "N_MORE",
    "N_SKEWED",
    "OWN",
    "PARTS",
    "Shown",
    "Viewer",
]

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
CLASSIC = (*BASIC, *PARTS, *CALM, *CALM_PARTS, *OWN, *CALM_OWN)
"""What the first thirteen variants could choose from."""

WIDE_CALM = ("calm12", "calm16")
OWN_PARTS = ("own_above", "mine_free", "mine_held", "mine_below")
"""``own_above``: the run's own rotated parts. ``mine_free`` and ``mine_held``: ``mine`` with parts held less and more
towards those of others (where there are none, towards the run's own). ``mine_below``: the like for the negative."""

CALM_OWN_PARTS = tuple(f"calm_{name}" for name in OWN_PARTS)
CHANNELS = (*CLASSIC, *WIDE_CALM, *OWN_PARTS, *CALM_OWN_PARTS)

EVERYTHING = tuple(name for name in CHANNELS if name not in ("own4", "calm_own4"))

HELD, FREE, FIRM, OWN_HELD = 0.5, 1.5, 5.0, 1.0
"""Weight of other people's part beside the run's own evidence for it, in that of an average part: of ``mine``,
``mine_free`` and ``mine_held``; the last, of the run's own rotated part before it is refined."""

N_ABOUT = 12
"""Numbers about the context: stability and persistence in four bands each, runs, repetition time, volumes' share."""

N_MORE = 18
"""More of them: persistence of the parts in three bands; width in time; and of the run itself, where it may be looked
at: persistence of its own components (four bands), of its own parts (three), of other people's components (two) and
parts (two) in this run, how like the parts of others its own version of them is, volumes, and that it was looked at."""

N_AGREED = 3
"""And how far halves of the other runs agree on the parts, in three bands."""

N_SKEWED = 3
"""Numbers about how skewed the shares of parts are in volumes left out (`Context.skewness`)."""

BANDS = ((0, 4), (4, 8), (8, 16), (16, 32))


@dataclass(frozen=True, eq=False)
class Shown:
    """Volumes of one run as the network sees them.

    Parameters
    ----------
    channels : Tensor, (n_volumes, n_voxels, len(CHANNELS))
    strengths : Tensor, (n_volumes, len(CHANNELS))
        Logarithm of each channel's root mean square in the volume.
    about : Tensor, (N_ABOUT + N_MORE + N_AGREED + N_SKEWED,)
        The context, the width in time and the run.
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

    def show(
        self,
        data: Tensor,
        context: Context,
        *,
        repetition_time: float,
        channels: tuple[str, ...] = CLASSIC,
        time_sigma: float = TIME_SIGMA,
        own: bool = True,
    ) -> Shown:
        """Show a whole prepared run; channels that are not asked for are left zero.

        Parameters
        ----------
        data : Tensor, (n_volumes, n_voxels)
        context : Context
        repetition_time : float
            In s.
        channels : tuple of str
        time_sigma : float
            Width in time of the ``calm`` channels in s; with 0 these see the volume alone.
        own : bool
            Whether anything may be fitted to the run itself. If not, every volume is shown as if it were alone (but for
            the width in time).
        """
        calm = temporal_smoothing(len(data), repetition_time, time_sigma).to(data.device)

        def rested(rows: Tensor) -> Tensor:
            return calm @ rows if time_sigma else rows

        near = [smoothing(data) for smoothing in self.smoothings]
        codes, products = data @ context.maps.T, data @ context.parts.T
        parts = _shares(data, context.parts)
        views = {"volume": data} | {f"near{sigma:g}": view for sigma, view in zip(SIGMAS, near, strict=True)}
        for sigma, view in zip(SIGMAS, near, strict=True):
            if f"calm{sigma:g}" in channels:
                views[f"calm{sigma:g}"] = rested(view)
        for prefix, seen in (("", codes), ("calm_", rested(codes))):
            for rank in RANKS:
                if f"{prefix}rank{rank}" in channels:
                    views[f"{prefix}rank{rank}"] = seen[:, :rank] @ context.maps[:rank]
            views[f"{prefix}trusted"] = (seen * context.persistence) @ context.maps
        for prefix, seen in (("", products), ("calm_", rested(products))):
            for name, sign in (("above", 1.0), ("below", -1.0)):
                if f"{prefix}{name}" in channels:
                    views[f"{prefix}{name}"] = nonnegative(sign * seen, context.parts) @ context.parts
        about = _about(context, repetition_time, time_sigma, calm)
        if own and any("own" in name or "mine" in name for name in channels):
            seconds = [repetition_time]
            fitted = fit_context(self.head, data[None], repetition_time=repetition_time, agreement=False)
            own_codes = data @ fitted.maps.T
            for prefix, seen in (("", own_codes), ("calm_", rested(own_codes))):
                for rank in RANKS[:2]:
                    views[f"{prefix}own{rank}"] = seen[:, :rank] @ fitted.maps[:rank]
                views[f"{prefix}own_trusted"] = (seen * fitted.persistence) @ fitted.maps
            followed = temporal_smoothing(len(data), repetition_time).to(data.device)  # the fit's own width
            start = context.parts if context.n_runs else fitted.parts
            own_parts = {
                "own_above": _personal(near[0], followed @ (data @ fitted.parts.T), fitted.parts, OWN_HELD),
                "mine": _personal(near[0], followed @ products, context.parts, HELD),
                "mine_free": _personal(near[0], followed @ (data @ start.T), start, FREE),
                "mine_held": _personal(near[0], followed @ (data @ start.T), start, FIRM),
            }
            own_parts["mine_below"] = own_parts["mine_held"]
            for name, maps in own_parts.items():
                sign = -1.0 if name == "mine_below" else 1.0
                for prefix, seen in (("", data @ maps.T), ("calm_", rested(data @ maps.T))):
                    if f"{prefix}{name}" in channels:
                        views[f"{prefix}{name}"] = nonnegative(sign * seen, maps) @ maps
            alike = (own_parts["mine"] * context.parts).sum(dim=1).mean()
            about[N_ABOUT + 4 : N_ABOUT + N_MORE] = torch.cat(
                [
                    _in_bands(fitted.persistence),
                    _in_thirds(fitted.part_persistence),
                    _in_bands(persistence_of(codes[None], seconds))[:2],
                    _in_thirds(persistence_of(products[None], seconds))[:2],
                    about.new_tensor([float(alike), math.log(len(data)) / 5, 1.0]),
                ]
            )
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
        return Shown(shown, strengths, about, both, rested(both), _traits(context, self.head.n_voxels), maps)


def _personal(near: Tensor, products: Tensor, parts: Tensor, weight: float) -> Tensor:
    """Fit non-negative parts to one person's smoothed run, held back by a weight towards those of others."""
    shares = nonnegative(products, parts)
    shares = shares - shares.mean(dim=0)
    gram = shares.T @ shares
    held = weight * gram.diagonal().mean() + 1e-6
    maps = torch.linalg.solve(gram + held * torch.eye(len(gram), device=gram.device), shares.T @ near + held * parts)
    return functional.normalize(maps.clamp(min=0), dim=1)


def _shares(data: Tensor, parts: Tensor) -> Tensor:
    """Give the least-squares shares of parts in volumes, a little shrunk: (n_volumes, n_parts)."""
    gram = parts @ parts.T + 0.02 * torch.eye(len(parts), device=data.device)
    return torch.linalg.solve(gram, parts @ data.T).T


def _in_bands(values: Tensor) -> Tensor:
    return torch.stack([values[a:b].mean() for a, b in BANDS])


def _in_thirds(values: Tensor) -> Tensor:
    """Give the means of the highest, middle and lowest third."""
    return torch.stack([part.mean() for part in values.sort(descending=True).values.tensor_split(3)])


def _about(context: Context, repetition_time: float, time_sigma: float, calm: Tensor) -> Tensor:
    there = context.maps.square().sum(dim=1).mean()
    others = (math.log1p(context.n_runs) / 3, math.log(repetition_time), float(context.n_runs > 0))
    averaged = float(1 / calm.square().sum(dim=1).median())  # volumes that count in the middle of the run
    known = torch.cat(
        [_in_bands(context.stability), _in_bands(context.persistence), there[None], there.new_tensor(others)]
    )
    more = torch.cat([_in_thirds(context.part_persistence), there.new_tensor([math.log(averaged)])])
    agreed = there.new_zeros(N_AGREED) if context.agreement is None else _in_thirds(context.agreement)
    skewed = there.new_zeros(N_SKEWED) if context.skewness is None else _in_thirds(context.skewness).clamp(-1, 3)
    return torch.cat([known, more, there.new_zeros(N_MORE - len(more)), agreed, skewed])


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
