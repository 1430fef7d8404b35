"""The context: what runs have in common, and nothing of their noise."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from scaae_nipype.errors import ModelError
from scaae_nipype.model.network.context import Context, fit_context
from scaae_nipype.model.network.smoothing import MaskedSmoothing


def unchanged(volumes):
    return np.asarray(volumes, dtype=np.float32)


def runs_with(maps, *, n_runs, n_volumes, noise, seed=0):
    """Make runs in which maps come and go slowly, under white noise: volumes, and what is planted in them."""
    random = np.random.default_rng(seed)
    courses = np.cumsum(random.standard_normal((n_runs, n_volumes, len(maps))), axis=1)
    courses -= courses.mean(axis=1, keepdims=True)
    courses /= courses.std(axis=1, keepdims=True)
    planted = courses @ maps
    return planted + noise * random.standard_normal(planted.shape), planted


@pytest.fixture
def maps():
    return np.linalg.qr(np.random.default_rng(1).standard_normal((300, 3)))[0].T * 10


def test_it_finds_the_planted_space_and_denoises_runs_it_has_not_seen(maps):
    seen, _ = runs_with(maps, n_runs=8, n_volumes=60, noise=1.0)
    new, planted = runs_with(maps, n_runs=1, n_volumes=60, noise=1.0, seed=9)
    fitted = fit_context(list(seen), size=10, smooth=unchanged, adjoint=unchanged)
    context = (new[0] @ fitted.encode.T) @ fitted.decode
    projector = maps.T @ np.linalg.pinv(maps.T)
    assert np.linalg.norm(fitted.decode[:3] @ projector) ** 2 > 0.9 * 3  # of three orthonormal directions
    error, before = (np.mean((x - planted[0]) ** 2) for x in (context, new[0]))
    assert error < 0.1 * before


def test_noise_is_not_reliable_and_shared_directions_are(maps):
    seen, _ = runs_with(maps, n_runs=8, n_volumes=60, noise=1.0)
    reliability = fit_context(list(seen), size=10, smooth=unchanged, adjoint=unchanged).reliability
    assert (reliability[:3] > 0.8).all()
    assert reliability[3:].max() < 0.35
    noise, _ = runs_with(np.zeros_like(maps), n_runs=8, n_volumes=60, noise=1.0)
    assert fit_context(list(noise), size=10, smooth=unchanged, adjoint=unchanged).reliability.max() < 0.35


def test_a_single_run_is_left_out_half_by_half(maps):
    seen, _ = runs_with(maps, n_runs=1, n_volumes=120, noise=0.5)
    assert fit_context(list(seen), size=5, smooth=unchanged, adjoint=unchanged).reliability[0] > 0.5


def test_few_volumes_give_fewer_numbers_than_asked_for_and_too_few_are_refused(maps):
    seen, _ = runs_with(maps, n_runs=2, n_volumes=10, noise=1.0)
    fitted = fit_context(list(seen), size=64, smooth=unchanged, adjoint=unchanged)
    assert fitted.encode.shape == fitted.decode.shape == (64, 300)
    assert not fitted.decode[-1].any()
    with pytest.raises(ModelError, match="Only 6 volumes have kept neighbours; a context needs 8"):
        fit_context([run[:5] for run in seen], size=4, smooth=unchanged, adjoint=unchanged)


def test_what_is_thinned_out_keeps_every_run(maps, monkeypatch):
    monkeypatch.setattr("scaae_nipype.model.network.context.MOST_VOLUMES", 40)
    seen, _ = runs_with(maps, n_runs=4, n_volumes=60, noise=1.0)
    assert 36 <= fit_context(list(seen), size=4, smooth=unchanged, adjoint=unchanged).n_volumes <= 44


def test_smoothing_is_part_of_the_code(maps):
    """⟨encode, volume⟩ has to be what the fit saw: ⟨weights, smoothed volume⟩."""
    random = np.random.default_rng(3)
    matrix = np.eye(300) + 0.1 * random.standard_normal((300, 300))
    seen, _ = runs_with(maps, n_runs=4, n_volumes=40, noise=1.0)
    smoothed = fit_context(
        list(seen),
        size=3,
        smooth=lambda x: (x @ matrix.T).astype(np.float32),
        adjoint=lambda x: (x @ matrix).astype(np.float32),
    )
    plain = fit_context(list(seen), size=3, smooth=lambda x: (x @ matrix.T).astype(np.float32), adjoint=unchanged)
    np.testing.assert_allclose(smoothed.encode, plain.encode @ matrix, rtol=1e-3, atol=1e-4)


def test_the_module_computes_what_was_fitted(maps):
    seen, _ = runs_with(maps, n_runs=4, n_volumes=40, noise=1.0)
    fitted = fit_context(list(seen), size=6, smooth=unchanged, adjoint=unchanged)
    module = Context(6, 300)
    module.load(fitted)
    code, context = module(torch.from_numpy(seen[0].astype(np.float32)))
    np.testing.assert_allclose(code.numpy(), seen[0] @ fitted.encode.T, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(context.numpy(), code.numpy() @ fitted.decode, rtol=1e-3, atol=1e-3)


@given(sigma=st.floats(2, 15), seed=st.integers(0, 99))
@settings(max_examples=15, deadline=None)
def test_smoothing_keeps_constants_and_its_adjoint_is_one(sigma, seed):
    random = np.random.default_rng(seed)
    mask = random.random((7, 6, 8)) < 0.7
    smoothing = MaskedSmoothing(mask, (4, 3, 5), sigma).double()
    a, b = torch.from_numpy(random.standard_normal((2, 1, 1, *mask.shape)))
    inside = torch.from_numpy(mask.astype(float))[None, None]
    torch.testing.assert_close(smoothing(inside), inside, atol=1e-5, rtol=0)  # its factors are float32
    torch.testing.assert_close((a * smoothing(b)).sum(), (smoothing.adjoint(a) * b).sum())


def test_smoothing_agrees_with_scipy(grid):
    from scipy.ndimage import gaussian_filter

    vector = np.random.default_rng(0).standard_normal(grid.n_voxels).astype(np.float32)
    volume = grid.volumes(vector)
    widths = 20.0 / grid.voxel_sizes
    expected = gaussian_filter(volume, widths, mode="constant", truncate=4) / np.maximum(
        gaussian_filter(grid.mask.astype(np.float32), widths, mode="constant", truncate=4), 1e-6
    )
    smoothing = MaskedSmoothing(grid.mask, grid.voxel_sizes, 20.0)
    found = smoothing(torch.from_numpy(volume)[None, None])[0, 0].numpy()
    assert np.corrcoef(found[grid.mask], expected[grid.mask])[0, 1] > 0.999
