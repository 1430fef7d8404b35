"""The attention over views: equations 3 to 8 of the paper, the same at every voxel.

A stem and a trunk read the views of a voxel, two branches make features and spatial attention of them, channel
attention pools the gated features over the brain, and a network is the channel-weighted sum of a branch's maps before
their sigmoid. What a volume as a whole looks like, and how far other runs can be trusted, scales and shifts the stem.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.search.views import BASIC, CHANNELS, N_ABOUT, N_AGREED, N_MORE, N_SKEWED, Shown

__all__ = ["Shape", "ViewAttention", "padded"]

HEADS = 2
"""Learned combinations of components, of principal and of rotated ones each."""


FIRST_GUESS = {"calm_above": 0.0, "calm_mine_held": 0.0, "above": -1.0, "calm_own_above": -1.0, "calm12": -1.0}
OTHERWISE = -2.5
"""How much of a view an untrained network hands on, before the sigmoid of channel attention."""


@dataclass(frozen=True)
class Shape:
    """What a network is like.

    Parameters
    ----------
    views : tuple of str
    width, depth : int
        Features of stem and trunk; layers of the trunk.
    branch : int
        Features of a branch, and its attention maps.
    combine : bool
        Learn how far each component of other runs is trusted in a volume, as further views.
    calm : bool
        These look at the neighbours in time as well.
    around : bool
        A depthwise 3 x 3 x 3 convolution at twice the voxel size in the trunk.
    handed : bool
        Every view is an attention map of its own, and the network knows the width in time and the run's own numbers.
    agreed : bool
        The network knows how far halves of the other runs agree.
    skewed : bool
        It knows the skewness of shares in volumes left out, too.
    lead : float
        Weight, times the square of that agreement, of the best view (``mine_held`` where the run may be looked at, else
        ``above``) that branch 1 hands on whatever channel attention says.
    """

    views: tuple[str, ...] = BASIC
    width: int = 48
    depth: int = 1
    branch: int = 16
    combine: bool = False
    calm: bool = False
    around: bool = False
    handed: bool = False
    agreed: bool = False
    skewed: bool = False
    lead: float = 0.0

    @property
    def inputs(self) -> int:
        return len(self.views) + (2 * HEADS if self.combine else 0)

    def operations(self, n_voxels: int) -> float:
        """Give the operations of the network for one volume, views not included (2 for a multiplication and sum)."""
        per_voxel = self.inputs * self.width + self.depth * self.width**2
        per_voxel += 2 * (self.width * self.branch + 2 * self.branch**2)
        per_voxel += 2 * self.inputs if self.handed else self.inputs * 2 * self.branch
        per_voxel += 2 * self.branch
        if self.combine:
            per_voxel += 44 * HEADS
        if self.around:
            per_voxel += self.width * 27 / 8 + 2 * self.width
        return 2.0 * per_voxel * n_voxels


class ViewAttention(nn.Module):
    """Attention over views.

    Parameters
    ----------
    shape : Shape
    coarse : tuple, optional
        `Head.coarse`, needed with `Shape.around`.
    """

    chosen: Tensor

    def __init__(self, shape: Shape, coarse: tuple[tuple[int, ...], Tensor] | None = None):
        super().__init__()
        self.shape = shape
        self.register_buffer("chosen", torch.tensor([CHANNELS.index(name) for name in shape.views]), persistent=False)
        self.register_buffer("gain", torch.ones(len(CHANNELS)))
        self.n_about = N_ABOUT + N_MORE if shape.handed else N_ABOUT
        if shape.agreed:
            self.n_about += N_AGREED
        if shape.skewed:
            self.n_about += N_SKEWED
        n_global = len(shape.views) + self.n_about
        self.about = nn.Sequential(nn.Linear(n_global, 32), nn.GELU(), nn.Linear(32, 2 * shape.width))
        self.stem = nn.Linear(shape.inputs, shape.width)
        self.trunk = nn.ModuleList(nn.Linear(shape.width, shape.width) for _ in range(shape.depth))
        self.features = nn.ModuleList(nn.Linear(shape.width, shape.branch) for _ in range(2))
        self.spatial = nn.ModuleList(
            nn.Sequential(nn.Linear(shape.branch, shape.branch), nn.GELU(), nn.Linear(shape.branch, shape.branch))
            for _ in range(2)
        )
        hidden, n_maps = 16, shape.branch
        if shape.handed:
            hidden, n_maps = 32, shape.branch + shape.inputs
            self.hand = nn.Parameter(torch.ones(2, shape.inputs))
        else:
            self.direct = nn.Linear(shape.inputs, 2 * shape.branch, bias=False)
        self.channel = nn.Sequential(
            nn.Linear(2 * shape.branch + n_global, hidden),
            nn.GELU(),
            nn.Linear(hidden, hidden),
            nn.GELU(),
            nn.Linear(hidden, 2 * n_maps),
            nn.Sigmoid(),
        )
        if shape.combine:
            self.trust = nn.Sequential(nn.Linear(9, 32), nn.GELU(), nn.Linear(32, 32), nn.GELU(), nn.Linear(32, HEADS))
        if shape.around:
            assert coarse is not None
            self.coarse_shape = coarse[0]
            self.register_buffer("cell", coarse[1], persistent=False)
            count = torch.zeros(int(torch.tensor(coarse[0]).prod()), device=coarse[1].device)
            count.index_add_(0, coarse[1], torch.ones_like(coarse[1], dtype=count.dtype))
            self.register_buffer("count", count.clamp(min=1), persistent=False)
            self.kernel = nn.Parameter(torch.randn(shape.width, 1, 3, 3, 3) * 0.05)
            self.mix = nn.Linear(shape.width, shape.width)
        with torch.no_grad():  # an untrained network hands views on, branch 2 upside down
            for layer in self.spatial:
                layer[-1].weight.mul_(0.3)
            about: nn.Linear = self.about[-1]  # type: ignore[assignment]
            about.weight.mul_(0.1)
            if shape.handed:
                self._hand_on_first_guess()
            else:
                self.direct.weight.normal_(std=0.02)

    def _hand_on_first_guess(self) -> None:
        last: nn.Linear = self.channel[-2]  # type: ignore[assignment]
        last.weight.mul_(0.3)
        last.bias.zero_()
        bias = last.bias.unflatten(0, (2, -1))[:, self.shape.branch :]
        bias.fill_(OTHERWISE)
        for number, name in enumerate(self.shape.views):
            bias[0, number] = FIRST_GUESS.get(name, OTHERWISE)
            bias[1, number] = FIRST_GUESS.get(name.replace("below", "above"), OTHERWISE)
            upside_down = "below" in name
            self.hand[0, number] = 0.0 if upside_down else 1.0
            self.hand[1, number] = 1.0 if upside_down else -1.0
            if not upside_down and ("above" in name or "mine" in name):
                self.hand[1, number] = 0.0

    def combined(self, shown: Shown) -> Tensor:
        """Weigh components by what their codes say: (n_volumes, n_voxels, 2 * HEADS)."""
        codes, calm = shown.codes, shown.calm_codes if self.shape.calm else shown.codes
        power = calm.square() * shown.maps.square().sum(dim=1)
        share = power / power.sum(dim=1, keepdim=True).clamp(min=1e-6)
        own = torch.stack([codes, calm, calm.abs(), share.sqrt()], dim=2).clamp(-6, 6)
        gains = self.trust(torch.cat([own, shown.traits.expand(len(codes), -1, -1)], dim=2))
        weighted = gains * calm[..., None]  # (n, components, HEADS)
        rotated = shown.traits[:, 3] > 0
        n_main = int((~rotated).sum())
        mixed = [
            torch.einsum("nkh,kv->nvh", w, m)
            for w, m in zip(
                weighted.split([n_main, len(rotated) - n_main], dim=1),
                shown.maps.split([n_main, len(rotated) - n_main]),
                strict=True,
            )
        ]
        return torch.cat(mixed, dim=2)

    def forward(self, shown: Shown) -> Tensor:
        """Give the maps of both branches: (n_volumes, 2, n_voxels)."""
        views = shown.channels[..., self.chosen] * self.gain[self.chosen].to(shown.channels.dtype)
        if self.shape.combine:
            views = torch.cat([views, 3 * self.combined(shown).to(views.dtype)], dim=2)
        views = views.to(self.stem.weight.dtype) if not torch.is_autocast_enabled(views.device.type) else views
        known = shown.about[: self.n_about].expand(len(views), -1)
        about = torch.cat([shown.strengths[:, self.chosen], known], dim=1)
        scale, shift = self.about(about).chunk(2, dim=1)
        x = functional.gelu(self.stem(views) * (1 + scale)[:, None] + shift[:, None])
        for layer in self.trunk:
            x = functional.gelu(layer(x)) + x
        if self.shape.around:
            x = x + self._around(x)
        width = self.shape.branch
        direct = None if self.shape.handed else self.direct(views)
        logits, gated = [], []
        for branch, (features, spatial) in enumerate(zip(self.features, self.spatial, strict=True)):
            own = functional.gelu(features(x))
            maps = spatial(own)
            if direct is not None:
                maps = maps + direct[..., branch * width : (branch + 1) * width]
            logits.append(maps)
            gated.append(torch.sigmoid(maps) * own)
        pooled = torch.cat(gated, dim=2).float().mean(dim=1)
        weights = self.channel(torch.cat([pooled, about], dim=1)).unflatten(1, (2, -1))
        both = torch.stack(
            [(maps @ weights[:, n, :width, None].to(maps.dtype))[..., 0] for n, maps in enumerate(logits)], dim=1
        ).float()
        if self.shape.handed:
            handed = (weights[..., width:] * self.hand).mT
            if self.shape.lead:
                handed = handed + self._lead(shown)
            both = both + (views @ handed.to(views.dtype)).mT.float()
        return both

    def _lead(self, shown: Shown) -> Tensor:
        """Weigh what leads by how far halves of the other runs agree: (inputs, 2)."""
        looked = shown.about[N_ABOUT + N_MORE - 1] > 0
        agreed = shown.about[N_ABOUT + N_MORE :][:N_AGREED].mean()
        first = self.shape.views.index("calm_mine_held" if bool(looked) else "calm_above")
        weights = torch.zeros(self.shape.inputs, 2, device=shown.about.device)
        weights[first, 0] = self.shape.lead * agreed.square()
        return weights

    def _around(self, x: Tensor) -> Tensor:
        n, _, width = x.shape
        cells = x.new_zeros((n, len(self.count), width)).index_add(1, self.cell, x)  # type: ignore[arg-type]
        cells = cells / self.count[:, None].to(x.dtype)  # type: ignore[index]
        boxes = cells.mT.unflatten(2, self.coarse_shape)
        found = functional.conv3d(boxes, self.kernel.to(boxes.dtype), padding=1, groups=width)
        return functional.gelu(self.mix(found.flatten(2).mT)).index_select(1, self.cell)  # type: ignore[arg-type]


def padded(state: dict[str, Tensor], network: ViewAttention) -> dict[str, Tensor]:
    """Give weights that were trained when there were fewer channels, or less was known, the size of a network's."""
    gain = state["gain"]
    more = {"gain": torch.cat([gain, gain.new_ones(len(CHANNELS) - len(gain))])}
    for name in ("about.0.weight", "channel.0.weight"):  # what is known comes last
        missing = network.state_dict()[name].shape[1] - state[name].shape[1]
        more[name] = functional.pad(state[name], (0, missing))
    return state | more
