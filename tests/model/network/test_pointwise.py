"""The pointwise network: what its views are, what leads it, and how it is fitted, kept and applied."""

import numpy as np
import pytest
import torch
from scipy.optimize import nnls

from scaae_nipype.errors import ModelError, UsageError
from scaae_nipype.evaluation.nulls.surrogate_runs import PhaseSurrogates
from scaae_nipype.grid import Grid, smooth
from scaae_nipype.model import PRESETS, Training, extract_networks, load_model, save_model
from scaae_nipype.model.extraction.functions import context_function, untrained_function
from scaae_nipype.model.extraction.selftest import compare_paths
from scaae_nipype.model.network.parts import fit_parts, nonnegative, sparse_components
from scaae_nipype.model.network.pointwise import LEADS, VIEWS
from scaae_nipype.model.training import fitted_pointwise
from scaae_nipype.model.training.fitted_pointwise import linear_share, load_pointwise, mixed_share
from scaae_nipype.model.training.train import train_on_caches
from scaae_nipype.model.weights import new_network

WANTED = Training(preset="pointwise")


@pytest.fixture
def trained(cache_files, grid, tmp_path):
    return train_on_caches(cache_files, grid, training=WANTED, work_dir=tmp_path / "work")[0]


def test_non_negative_shares_are_those_of_scipy():
    random = np.random.default_rng(0)
    parts = np.maximum(random.standard_normal((4, 50)), 0).astype(np.float32)
    volumes = random.standard_normal((6, 50)).astype(np.float32)
    found = nonnegative(torch.from_numpy(volumes @ parts.T), torch.from_numpy(parts), n_iterations=2000)
    expected = np.stack([nnls(parts.T.astype(float), volume.astype(float))[0] for volume in volumes])
    np.testing.assert_allclose(found.numpy(), expected, atol=2e-3)


def test_parts_of_runs_that_take_turns_are_found_and_trusted():
    """Two disjoint networks, one at a time, under noise: two parts are these, and halves of the runs agree on them."""
    random = np.random.default_rng(1)
    networks = np.zeros((2, 400), dtype=np.float32)
    networks[0, :80], networks[1, 150:220] = 1, 1
    courses = np.repeat(random.integers(0, 2, 60), 8)
    volumes = 2 * networks[courses] + random.standard_normal((480, 400)).astype(np.float32)
    volumes = (volumes - volumes.mean(axis=0)) / volumes.std(axis=0)
    runs = [torch.from_numpy(run) for run in np.split(volumes, [100, 260, 300])]  # of several lengths
    seconds = [2.0 * np.arange(len(run)) for run in runs]
    fitted = fit_parts(runs, seconds, smooth=lambda rows: rows, adjoint=lambda rows: rows)
    unit = networks / np.linalg.norm(networks, axis=1, keepdims=True)
    alike = fitted.parts.numpy() @ unit.T
    assert (alike.max(axis=0) > 0.85).all()
    noise = [torch.from_numpy(random.standard_normal(run.shape).astype(np.float32)) for run in runs]
    of_noise = fit_parts(noise, seconds, smooth=lambda rows: rows, adjoint=lambda rows: rows)
    assert fitted.agreement[alike.argmax(axis=0)].min() > 0.5 > 0.3 > of_noise.agreement.mean()
    assert fitted.persistence[0] > 0.5 > fitted.persistence[4:].max()
    assert (fitted.n_runs, fitted.n_volumes) == (4, 480)


@pytest.mark.parametrize("turns", [True, False])
def test_shares_are_skewed_where_networks_take_turns_and_not_where_they_wander(turns):
    """Twelve disjoint networks, one of fourteen states at a time, or Gaussian courses that are as slow."""
    random = np.random.default_rng(2)
    networks = np.kron(np.eye(12), np.ones(40)).astype(np.float32)
    if turns:
        courses = np.eye(14)[np.repeat(random.integers(0, 14, 150), 6)][:, :12]
    else:
        white = random.standard_normal((905, 12))
        courses = np.stack([np.convolve(one, np.ones(6) / 6, mode="valid") for one in white.T], axis=1)
    volumes = (courses / courses.std(axis=0)) @ networks + random.standard_normal((900, 480))
    volumes = ((volumes - volumes.mean(axis=0)) / volumes.std(axis=0)).astype(np.float32)
    runs = [torch.from_numpy(run) for run in np.split(volumes, 3)]
    seconds = [2.0 * np.arange(len(run)) for run in runs]
    fitted = fit_parts(runs, seconds, smooth=lambda rows: rows, adjoint=lambda rows: rows)
    skewness = fitted.skewness
    assert (skewness.shape, fitted.duration) == ((12,), 1800)
    assert (skewness.diff() <= 0).all()
    assert skewness.mean() > 1 if turns else abs(float(skewness.mean())) < 0.1
    known = float(skewness.mean()), float(fitted.agreement.mean())
    shares = [linear_share(*known, duration) for duration in (fitted.duration, 300.0)]
    assert shares[0] == 0 if turns else shares[0] > 0.5
    assert shares[1] == 0  # of a few minutes nothing is said
    mixed = mixed_share(*known, fitted.duration)
    assert mixed == 0 if turns else mixed >= shares[0]


def test_sparse_components_are_the_planted_networks_and_unmix_them():
    random = np.random.default_rng(4)
    networks = np.pad(np.kron(np.eye(10), np.ones(40)), ((0, 0), (0, 200))).astype(np.float32)
    turned = np.linalg.qr(random.standard_normal((10, 10)))[0].astype(np.float32)
    components, unmixing = sparse_components(torch.from_numpy((turned @ networks / np.sqrt(40)).astype(np.float32)))
    alike = np.corrcoef(networks, components.numpy())[:10, 10:]
    np.testing.assert_allclose(np.sort(np.abs(alike), axis=1)[:, -1], 1, atol=0.01)
    np.testing.assert_allclose((alike > 0.5).sum(axis=0), 1)  # each once, the long tail upwards
    volumes = random.standard_normal((5, 10)).astype(np.float32) @ networks
    np.testing.assert_allclose(volumes @ unmixing.numpy().T @ components.numpy(), volumes, atol=1e-3)


def _noisy_run(grid, seed, n_volumes=120):
    """Slow, weak courses of five smooth networks that all runs share, under noise of a run's own; z-scored."""
    random = np.random.default_rng(seed)
    networks = smooth(np.random.default_rng(0).standard_normal((5, grid.n_voxels)).astype(np.float32), grid, 12.0)
    courses = smooth_in_time(random.standard_normal((n_volumes, 5)))
    volumes = 0.3 * courses @ (networks / networks.std(axis=1, keepdims=True))
    volumes += random.standard_normal(volumes.shape)
    return ((volumes - volumes.mean(axis=0)) / volumes.std(axis=0)).astype(np.float32)


@pytest.fixture
def of_one_run(grid, tmp_path):
    caches = [_cached(_noisy_run(grid, 1), tmp_path / "one")]
    return train_on_caches(caches, grid, training=WANTED, work_dir=tmp_path / "work")[0]


@torch.inference_mode()
def test_a_short_run_that_was_fitted_alone_is_recognised_and_no_other(of_one_run, grid):
    """So are its surrogates, or a null model would go through another network than the run."""
    run, other = (_noisy_run(grid, seed) for seed in (1, 2))
    surrogate = PhaseSurrogates(run, np.ones(len(run), dtype=bool)).draw(np.random.default_rng(0)).astype(np.float32)

    def recognised(volumes):
        return of_one_run.network.recognise(of_one_run.volumes(volumes)).tolist()

    for own in (run, 0.1 * run, surrogate, run[1:] + run[:-1]):
        assert recognised(own) == pytest.approx([1] * len(own))
    assert recognised(other) == [0] * len(other)
    assert recognised(np.zeros_like(run[:1])) == [0]
    assert 0 < recognised(run[:1] + 0.2 * other[:1])[0] < 1


@torch.inference_mode()
def test_own_components_lead_in_place_of_the_groups_in_volumes_of_the_very_run(of_one_run, grid):
    network = of_one_run.network
    run, other = (of_one_run.volumes(_noisy_run(grid, seed)[:20]) for seed in (1, 2))
    own, group = LEADS.index("own PCA"), LEADS.index("group PCA")
    shares, recognised = network.vectors(network.near8(run)) @ network.components.T, network.recognise(run)[:, None]
    torch.testing.assert_close(network.lead(run)[:, own], recognised * (shares[:, :8] @ network.components[:8]))
    torch.testing.assert_close(network.lead(run)[:, group], (1 - recognised) * (shares @ network.components))
    assert not network.lead(other)[:, own].any()
    assert (network.lead(other)[:, group].std(dim=1) > 0).all()
    # It is as strong beside the network as the card says.
    attended = network.attend(network.see(run))[0][:, 0]
    led = network.leads[own] * network.all_leads(run)[:, own]
    told = of_one_run.card["Context"]["Leads"]["own PCA"]
    assert 0 < told == pytest.approx(float((led.var(dim=1).mean() / attended.var(dim=1).mean()).sqrt()), rel=0.2)


def test_a_run_of_more_volumes_than_can_be_known_again_is_fitted_as_before(grid, tmp_path, monkeypatch):
    monkeypatch.setattr(fitted_pointwise, "FAMILIAR", 119)
    caches = [_cached(_noisy_run(grid, 1), tmp_path / "one")]
    model, _ = train_on_caches(caches, grid, training=WANTED, work_dir=tmp_path / "work")
    assert model.card["Context"]["Leads"]["own PCA"] == 0
    assert not model.network.familiar.any()


@torch.inference_mode()
def test_where_several_runs_were_fitted_none_is_recognised(trained, vectors):
    assert trained.card["Training"]["Runs"] > 1
    assert trained.card["Context"]["Leads"]["own PCA"] == 0
    assert not trained.network.recognise(trained.volumes(vectors)).any()


def test_a_model_of_before_there_were_as_many_leads_reads_as_it_did(trained, vectors, grid):
    later = ("independent", "unmixing", "familiar")
    state = {name: one for name, one in trained.network.state_dict().items() if name not in later}
    state["leads"] = state["leads"][:2]
    older = new_network(PRESETS["pointwise"], grid, seed=0)
    older.load_state_dict(state)
    volumes = trained.volumes(vectors[:2])
    with torch.inference_mode():
        torch.testing.assert_close(older.read(volumes).maps, trained.network.read(volumes).maps)


def test_independent_components_lead_runs_of_mixed_networks(grid, tmp_path):
    """Ten networks that wander, for half an hour: the group's ICA leads, and what it adds is in the networks."""
    random = np.random.default_rng(5)
    networks = smooth(random.standard_normal((10, grid.n_voxels)).astype(np.float32), grid, 8.0)
    networks *= networks > np.quantile(networks, 0.9, axis=1, keepdims=True)
    courses = smooth_in_time(random.standard_normal((900, 10)))
    signal = courses @ (networks / networks.std(axis=1, keepdims=True))
    volumes = signal + random.standard_normal(signal.shape)
    volumes = ((volumes - volumes.mean(axis=0)) / volumes.std(axis=0)).astype(np.float32)
    caches = [_cached(run, tmp_path / str(n)) for n, run in enumerate(np.split(volumes, 3))]
    model, _ = train_on_caches(caches, grid, training=WANTED, work_dir=tmp_path / "work")
    told = model.card["Context"]
    assert told["Mixed"] > 0.9
    assert told["Leads"]["group ICA"] == pytest.approx(2 - told["Linear"], abs=0.2)
    assert float(model.network.leads[LEADS.index("group ICA")]) > 0
    with torch.inference_mode():
        led = model.network.lead(model.volumes(volumes[:20]))[:, LEADS.index("group ICA")].numpy()
    assert np.mean([np.corrcoef(*pair)[0, 1] for pair in zip(led, signal[:20], strict=True)]) > 0.8


def smooth_in_time(rows):
    return np.stack([np.convolve(one, np.ones(6) / 6, mode="same") for one in rows.T], axis=1)


def test_too_few_volumes_are_refused():
    with pytest.raises(ModelError, match="Only 5 volumes are kept; a context needs 8"):
        fit_parts([torch.zeros(5, 9)], [np.arange(5.0)], smooth=lambda rows: rows, adjoint=lambda rows: rows)


def test_views_are_what_they_are_called(trained, vectors, grid):
    network = trained.network
    with torch.inference_mode():
        seen = network.see(trained.volumes(vectors[:3]))
    views = dict(zip(VIEWS, seen.views.movedim(2, 0).numpy(), strict=True))
    np.testing.assert_array_equal(views["volume"], vectors[:3])
    for sigma in (8, 12):
        np.testing.assert_allclose(views[f"near{sigma}"], smooth(vectors[:3], grid, sigma), atol=0.05)
    maps = network.context.decode.numpy()[:8]
    np.testing.assert_allclose(views["rank8"], vectors[:3] @ maps.T @ maps, atol=1e-4)
    np.testing.assert_allclose(views["trusted"], context_function(trained, grid)(vectors[:3]), atol=1e-4)
    assert views["above"].min() >= 0
    assert np.corrcoef(views["above"].ravel(), vectors[:3].ravel())[0, 1] > 0
    assert np.corrcoef(views["below"].ravel(), vectors[:3].ravel())[0, 1] < 0


def test_leads_are_added_to_branch_1_and_taken_from_branch_2(trained, vectors):
    network, volumes = trained.network, trained.volumes(vectors[:2])
    with torch.inference_mode():
        attended, _ = network.attend(network.see(volumes))
        led = network.leads @ network.lead(volumes)
        maps = network.vectors(network.read(volumes).maps[:, :1]), network.vectors(network.read(volumes).maps[:, 1:])
    torch.testing.assert_close(maps[0], attended[:, 0] + led)
    torch.testing.assert_close(maps[1], attended[:, 1] - led)


def test_the_card_says_what_the_network_sees_and_how_far_it_is_led(trained, cache_files, grid, tmp_path):
    card = trained.card
    assert (card["Precision"], card["Views"], card["Start"]["Name"]) == ("fp32", list(VIEWS), "pointwise")
    assert len(card["Context"]["Reliability"]) == 32
    assert set(card["Context"]["Leads"]) == set(LEADS)
    assert all(0 <= share <= 2 for share in card["Context"]["Leads"].values())
    assert card["Training"]["Volumes"] == card["Context"]["Volumes"] == 16
    assert [branch["Marks"] for branch in card["Branches"]] == ["above the mean", "below the mean"]
    shipped = new_network(PRESETS["pointwise"], grid, seed=5)
    load_pointwise(shipped)
    for name, tensor in trained.network.named_parameters():
        assert name.startswith("context.") or torch.equal(tensor, dict(shipped.named_parameters())[name]), name
    again, _ = train_on_caches(cache_files, grid, training=WANTED, work_dir=tmp_path / "again")
    for name, tensor in trained.network.state_dict().items():
        assert torch.equal(tensor, again.network.state_dict()[name]), name


def test_a_saved_model_reads_the_same_one_by_one_or_together(trained, vectors, tmp_path):
    loaded = load_model(save_model(trained, tmp_path / "model"))
    alone, together = extract_networks(trained, vectors[:3]), extract_networks(loaded, vectors[:3], batch_size=3)
    np.testing.assert_allclose(alone.signed, together.signed, atol=1e-3 * alone.signed.std())
    assert (alone.codes.shape, alone.channel_weights.shape) == ((3, 32), (3, 32))
    assert np.isfinite(alone.signed).all()
    assert "agree" in compare_paths(loaded)[0]


def test_a_volume_of_zeros_and_one_run_give_numbers(grid, vectors, tmp_path):
    model, _ = train_on_caches([_cached(vectors, tmp_path)], grid, training=WANTED, work_dir=tmp_path / "one")
    maps = extract_networks(model, np.concatenate([vectors[:1], 1e-6 * vectors[:1]])).signed
    assert np.isfinite(maps).all()


def _cached(vectors, folder):
    from scaae_nipype.model.training.volumes import write_cache

    return write_cache(vectors, folder / "one.npy")


def test_untrained_it_has_neither_weights_nor_context_nor_leads(trained, vectors, grid):
    maps = untrained_function(trained, Grid(grid.affine, grid.mask))(vectors[:2])
    assert maps.shape == (2, 2, grid.n_voxels)
    assert np.isfinite(maps).all()


@pytest.mark.parametrize(
    ("given", "message"),
    [({"train_volumes": 80}, "`train_volumes` has no effect"), ({"precision": "bf16"}, "computes in fp32")],
)
def test_what_has_no_effect_is_refused(given, message, cache_files, grid, tmp_path):
    with pytest.raises(UsageError, match=message):
        train_on_caches(cache_files, grid, training=Training(preset="pointwise", **given), work_dir=tmp_path)


def test_volumes_may_be_read_in_batches_of_any_size(trained, vectors):
    alone, together = (extract_networks(trained, vectors, device="cpu", batch_size=size) for size in (1, 5))
    np.testing.assert_allclose(together.signed, alone.signed, atol=1e-5 * alone.signed.std())
    np.testing.assert_allclose(together.codes, alone.codes, atol=1e-4)


def test_voxels_may_go_through_the_layers_in_blocks_of_any_size(trained, vectors, monkeypatch):
    network = trained.network
    with torch.inference_mode():
        seen = network.see(trained.volumes(vectors[:2]))
        monkeypatch.setattr("scaae_nipype.model.network.pointwise.VOXELS_AT_ONCE", seen.views.shape[1])
        maps, weights = network.attend(seen)
        monkeypatch.setattr("scaae_nipype.model.network.pointwise.VOXELS_AT_ONCE", 97)
        in_blocks = network.attend(seen)
        alone = [network.attend(network.see(trained.volumes(vectors[n : n + 1]))) for n in (0, 1)]
    torch.testing.assert_close(in_blocks, (maps, weights))
    torch.testing.assert_close(tuple(torch.cat(one) for one in zip(*alone, strict=True)), (maps, weights))
