"""The pointwise preset's shipped attention is what the search chose."""

import numpy as np
import pytest
import torch

from benchmarks.judge.search import NAME, WEIGHTS, head_of
from benchmarks.search.context import SIGMA, fit_context
from benchmarks.search.head import Smoothing
from benchmarks.search.score import load_network, read
from benchmarks.search.views import N_AGREED, N_SKEWED, Viewer
from scaae_nipype.model import PRESETS, Model
from scaae_nipype.model.extraction.extractor import extract_networks
from scaae_nipype.model.network.parts import fit_parts
from scaae_nipype.model.runs import Volumes
from scaae_nipype.model.training.fitted_pointwise import load_pointwise
from scaae_nipype.model.weights import new_network
from scaae_nipype.simulation.tissues import source_grid

SECONDS = 2.0
AGREED = slice(-N_AGREED - N_SKEWED, -N_SKEWED)


@pytest.mark.parametrize("width", [0.0, 3.0])
def test_product_and_search_give_the_same_networks(width):
    """With the search's own context, of volumes without neighbours in time and with."""
    grid = source_grid(10)
    random = torch.Generator().manual_seed(0)
    runs = torch.randn(3, 40, 6, generator=random) @ torch.randn(6, grid.n_voxels, generator=random)
    runs = runs + torch.randn(runs.shape, generator=random)
    runs = runs / runs.std(dim=1, keepdim=True)
    context = fit_context(head_of(grid), runs, repetition_time=SECONDS)
    chosen = load_network(WEIGHTS, NAME)
    shown = Viewer(head_of(grid)).show(
        runs[0], context, repetition_time=SECONDS, channels=chosen.shape.views, time_sigma=width, own=False
    )
    expected = read(chosen, shown)

    network = new_network(PRESETS["pointwise"], grid, seed=0).eval()
    load_pointwise(network)
    with torch.inference_mode():
        network.context.encode.copy_(context.persistence[:, None] * context.maps)
        network.context.decode.copy_(context.maps)
        network.parts.copy_(context.parts)
        network.about.copy_(torch.cat([shown.about[:15], shown.about[AGREED]]))
        network.lead_parts.mul_(shown.about[AGREED].mean().square())
        network.time_width.fill_(width)
    found = extract_networks(
        Model(network, grid, {"Precision": "fp32"}),
        Volumes(runs[0].numpy(), np.ones(40, dtype=bool), np.ones(grid.n_voxels, dtype=bool), SECONDS),
        device="cpu",
    )
    assert expected.std() > 0
    assert found.time_width == width
    for one, other in zip(found.signed, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-3 * other.std())
    assert float(context.agreement.mean()) == pytest.approx(float(shown.about[AGREED].mean()))


@pytest.mark.parametrize("times", [(2.0, 2.0, 2.0), (0.7, 0.7, 0.7), (3.0, 1.2, 0.85), (2.0,)])
def test_product_and_search_fit_the_same_whatever_the_repetition_times(times):
    grid = source_grid(10)
    random = torch.Generator().manual_seed(1)
    courses = torch.randn(len(times), 170, 14, generator=random).cumsum(dim=1)
    courses[:, 6:] -= courses[:, :-6].clone()  # what lasts for six volumes
    maps = (torch.rand(14, grid.n_voxels, generator=random) < 0.06).float()  # sparse: independent components are clear
    runs = courses @ maps + torch.randn(*courses.shape[:2], grid.n_voxels, generator=random)
    runs = (runs - runs.mean(dim=1, keepdim=True)) / runs.std(dim=1, keepdim=True)
    expected = fit_context(head_of(grid), runs, repetition_time=times)
    near = Smoothing(head_of(grid), SIGMA)
    seconds = [one * np.arange(170) for one in times]
    with torch.inference_mode():
        found = fit_parts(list(runs), seconds, smooth=near, adjoint=near.adjoint)
    same = (found.maps * expected.maps).sum(dim=1).abs()
    leading = slice(12)  # of the others, some are rounding
    assert same.numpy()[leading] == pytest.approx(1, abs=1e-3)
    for name in ("stability", "persistence", "part_persistence", "agreement", "skewness"):
        own, other = getattr(found, name)[leading], getattr(expected, name)[leading]
        assert own.numpy() == pytest.approx(other.numpy(), abs=0.01), name
    assert (found.parts * expected.parts).sum(dim=1).numpy() == pytest.approx(1, abs=1e-2)
    assert found.repetition_time == pytest.approx(np.exp(np.log(times).mean()))
