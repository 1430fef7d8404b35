"""The pointwise preset's shipped attention is what the search chose."""

import numpy as np
import pytest
import torch

from benchmarks.judge.search import NAME, WEIGHTS, head_of
from benchmarks.search.context import fit_context
from benchmarks.search.score import load_network, read
from benchmarks.search.views import N_AGREED, Viewer
from scaae_nipype.model import PRESETS, Model
from scaae_nipype.model.network.parts import SECONDS
from scaae_nipype.model.training.fitted_pointwise import load_pointwise
from scaae_nipype.model.weights import new_network
from scaae_nipype.simulation.tissues import source_grid


def test_product_and_search_give_the_same_networks():
    """With the search's own context, of a volume without neighbours in time."""
    grid = source_grid(10)
    random = torch.Generator().manual_seed(0)
    runs = torch.randn(3, 40, 6, generator=random) @ torch.randn(6, grid.n_voxels, generator=random)
    runs = runs + torch.randn(runs.shape, generator=random)
    runs = runs / runs.std(dim=1, keepdim=True)
    context = fit_context(head_of(grid), runs, repetition_time=SECONDS)
    chosen = load_network(WEIGHTS, NAME)
    shown = Viewer(head_of(grid)).show(
        runs[0, :3], context, repetition_time=SECONDS, channels=chosen.shape.views, time_sigma=0.0, own=False
    )
    expected = read(chosen, shown)

    network = new_network(PRESETS["pointwise"], grid, seed=0).eval()
    load_pointwise(network)
    with torch.inference_mode():
        network.context.encode.copy_(context.persistence[:, None] * context.maps)
        network.context.decode.copy_(context.maps)
        network.parts.copy_(context.parts)
        network.about.copy_(torch.cat([shown.about[:15], shown.about[-N_AGREED:]]))
        network.lead_parts.mul_(shown.about[-N_AGREED:].mean().square())
        volumes = Model(network, grid, {}).volumes(runs[0, :3].numpy())
        found = network.vectors(network.read(volumes).maps[:, :1]), network.vectors(network.read(volumes).maps[:, 1:])
    assert expected.std() > 0
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one.numpy(), other, atol=1e-3 * other.std())
    assert float(context.agreement.mean()) == pytest.approx(float(shown.about[-N_AGREED:].mean()))
