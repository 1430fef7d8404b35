"""The search's parts: views, contexts, the simulator in torch and resumable training."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.optimize import nnls

torch.set_num_threads(1)

from benchmarks.search.context import fit_context, ideal_context, nonnegative, orthonormal, temporal_smoothing  # noqa: E402
from benchmarks.search.head import Head, Smoothing, make_head  # noqa: E402
from benchmarks.search.measures import loss, scores  # noqa: E402
from benchmarks.search.network import ViewAttention  # noqa: E402
from benchmarks.search.studies import Design, noise_fields, random_maps, simulate  # noqa: E402
from benchmarks.search.train import Training  # noqa: E402
from benchmarks.search.variants import VARIANTS  # noqa: E402
from benchmarks.search.views import CHANNELS, EVERYTHING, N_SKEWED, Viewer  # noqa: E402
from scaae_nipype.simulation.tissues import source_grid  # noqa: E402

LINEAR = [name for name in CHANNELS if not any(x in name for x in ("above", "below", "own", "mine"))]


@pytest.fixture(scope="module")
def head(tmp_path_factory) -> Head:
    path = tmp_path_factory.mktemp("head") / "head.npz"
    np.savez(path, **make_head(source_grid(10)))
    return Head.load(path)


@pytest.fixture(scope="module")
def study(head):
    return simulate(head, Design(seed=1, n_others=4, n_targets=1, n_volumes=60, snr=1.5, n_motion=0))


def test_smoothing_keeps_a_constant_and_its_adjoint_is_one(head):
    smooth = Smoothing(head, 12.0)
    one, a, b = torch.ones(1, head.n_voxels), *torch.randn(2, 1, head.n_voxels)
    assert torch.allclose(smooth(one), one, atol=1e-5)
    assert torch.allclose((a * smooth(b)).sum(), (smooth.adjoint(a) * b).sum(), rtol=1e-4)


def test_the_projection_on_a_known_context_gives_it_back(head):
    maps = random_maps(head, Design(seed=0, n_networks=1), np.random.default_rng(0))
    data = torch.linspace(-1, 1, 20)[:, None] * maps
    context = ideal_context(data[None], maps, repetition_time=2.0)
    shown = Viewer(head).show(data, context, repetition_time=2.0)
    for name in ("rank4", "rank32"):
        assert torch.allclose(shown.channels[..., CHANNELS.index(name)], data, atol=1e-4), name


def test_views_are_linear_in_the_volume_but_for_the_nonnegative_ones(head, study):
    context = fit_context(head, study.others, repetition_time=2.0)
    viewer, data = Viewer(head), study.targets[0].data[:12]
    a, b = data[:6], data[6:]
    show = lambda x: viewer.show(x, context, repetition_time=2.0).channels[..., [CHANNELS.index(n) for n in LINEAR]]  # noqa: E731
    assert torch.allclose(show(2 * a - 3 * b), 2 * show(a) - 3 * show(b), atol=1e-3)
    above = CHANNELS.index("above")
    channels = viewer.show(-a, context, repetition_time=2.0).channels[..., above]
    assert not torch.allclose(channels, -viewer.show(a, context, repetition_time=2.0).channels[..., above], atol=1e-2)


def test_views_of_neighbours_in_time_are_the_views_smoothed_in_time(head, study):
    context = fit_context(head, study.others, repetition_time=2.0)
    data = study.targets[0].data
    channels = Viewer(head).show(data, context, repetition_time=2.0).channels
    calm = temporal_smoothing(len(data), 2.0)
    found = channels[..., CHANNELS.index("calm_rank8")]
    assert torch.allclose(found, calm @ channels[..., CHANNELS.index("rank8")], atol=1e-3)


def test_a_context_finds_the_planted_networks_and_trusts_their_space_more_than_the_rest(head):
    # a mixture: exclusive states sum to a constant, which z-scoring takes out, and span one dimension less
    design = Design(seed=3, regime="mixture", n_others=8, n_volumes=80, n_networks=4, snr=1.5, n_motion=0)
    study = simulate(head, design)
    context = fit_context(head, study.others, repetition_time=2.0)
    kept = context.maps[:8]
    assert torch.allclose(kept @ kept.T, torch.eye(8), atol=1e-3)
    maps = study.maps / study.targets[0].spread
    unit = maps / maps.norm(dim=1, keepdim=True)
    assert (unit @ kept.T).norm(dim=1).min() > 0.8
    assert context.persistence[:4].mean() > context.persistence[10:20].mean() + 0.2
    assert context.stability[:4].mean() > context.stability[10:20].mean() + 0.2
    assert context.parts.min() >= 0
    assert (unit @ context.parts.T).amax(dim=1).min() > 0.7


def test_rows_are_made_orthonormal_and_nonnegative_shares_are_those_of_scipy():
    random = np.random.default_rng(0)
    rows = torch.from_numpy(random.standard_normal((5, 40)).astype(np.float32))
    unit = orthonormal(rows)
    assert torch.allclose(unit @ unit.T, torch.eye(5), atol=1e-5)
    assert torch.allclose(unit.T @ (unit @ rows.T), rows.T, atol=1e-4)
    parts, volumes = random.random((4, 30)), random.standard_normal((6, 30))
    found = nonnegative(
        *(torch.from_numpy(x.astype(np.float32)) for x in (volumes @ parts.T, parts)), n_iterations=2000
    )
    assert np.allclose(found, [nnls(parts.T, volume)[0] for volume in volumes], atol=1e-3)


def test_without_neighbours_and_own_parts_a_volume_is_shown_as_if_it_were_alone(head, study):
    context = fit_context(head, study.others, repetition_time=2.0)
    viewer, data = Viewer(head), study.targets[0].data
    show = lambda x: viewer.show(x, context, repetition_time=2.0, channels=EVERYTHING, time_sigma=0.0, own=False)  # noqa: E731
    whole, alone = show(data), show(data[:3])
    assert torch.allclose(whole.channels[:3], alone.channels, atol=1e-4)
    assert torch.allclose(whole.strengths[:3], alone.strengths, atol=1e-4)
    assert torch.equal(whole.about, alone.about)


def test_a_view_leads_as_far_as_halves_of_the_other_runs_agree(head, study):
    context = fit_context(head, study.others, repetition_time=2.0)
    assert 0 < float(context.agreement.mean()) <= 1
    shown = Viewer(head).show(
        study.targets[0].data, context, repetition_time=2.0, channels=EVERYTHING, time_sigma=0.0, own=False
    )
    torch.manual_seed(0)
    network = ViewAttention(VARIANTS["chosen"].shape)
    plain = ViewAttention(replace(VARIANTS["chosen"].shape, lead=0.0))
    plain.load_state_dict(network.state_dict())
    with torch.inference_mode():
        difference = network(shown) - plain(shown)
    above = shown.channels[..., CHANNELS.index("calm_above")]
    assert torch.allclose(difference[:, 0], 30 * context.agreement.mean().square() * above, atol=1e-3)
    assert not difference[:, 1].any()


def test_runs_of_different_repetition_times_are_fitted_together(head, study):
    alike = fit_context(head, study.others, repetition_time=2.0)
    each = fit_context(head, study.others, repetition_time=[2.0] * 4)
    assert torch.allclose(alike.maps, each.maps)
    mixed = fit_context(head, study.others, repetition_time=[2.0, 1.0, 2.0, 3.0])
    assert torch.isfinite(mixed.maps).all() and not torch.allclose(alike.maps, mixed.maps)


def test_no_other_runs_give_an_empty_context_and_finite_views(head, study):
    context = fit_context(head, study.others[:0], repetition_time=2.0)
    shown = Viewer(head).show(study.targets[0].data, context, repetition_time=2.0)
    assert context.n_runs == 0 and not context.maps.any()
    assert all(torch.isfinite(x).all() for x in (shown.channels, shown.codes, shown.traits, shown.about))


def test_noise_has_unit_spread_and_a_planted_network_its_amplitude_over_it(head):
    generator = torch.Generator().manual_seed(0)
    noise = noise_fields(head, 400, 12.0, generator)
    assert abs(float(noise.std()) - 1) < 0.02
    assert noise.std(dim=0).min() > 0.8  # also at the border of the mask
    design = Design(seed=3, n_others=0, n_targets=1, n_volumes=200, n_networks=3, snr=0.5, mean_dwell=20)
    run = simulate(head, design).targets[0]
    assert run.maps.amax(dim=1).allclose(torch.ones(3))
    assert 0.45 < float(run.courses.max()) < 0.6  # a plateau keeps the height SNR, the response overshoots a little


def test_people_differ_in_place_by_as_much_as_is_asked(head):
    apart = [
        simulate(head, Design(seed=4, n_others=0, n_targets=6, n_volumes=20, jitter=jitter)).targets
        for jitter in (0.0, 6.0)
    ]
    for targets, same in zip(apart, (True, False), strict=True):
        centres = torch.stack(
            [(run.maps[:, :, None] * head.places).sum(1) / run.maps.sum(1, keepdim=True) for run in targets]
        )
        assert (float(centres.std(dim=0).max()) < 1e-3) is same


def test_scores_of_the_truth_are_perfect_and_the_loss_is_nothing(head, study):
    run = study.targets[0]
    found = scores(run.planted(), run.planted(), run.courses, run.maps)
    assert found["average_precision"] == pytest.approx(1) and found["size_matched_iou"] == pytest.approx(1)
    maps = torch.stack([run.planted(), run.centred().clamp(max=0).neg()], dim=1)
    assert float(loss(maps, run.planted(), run.centred().clamp(max=0).neg(), amplitude=0.5)) < 1e-3
    scrambled = maps * torch.rand(len(maps), 1, 1)
    shape, strength = (float(loss(scrambled, run.planted(), maps[:, 1], amplitude=a)) for a in (0.0, 1.0))
    assert shape < 1e-3 < strength


@pytest.fixture
def small(monkeypatch):
    import benchmarks.search.learner as learner
    import benchmarks.search.train as train

    easy = Design(seed=5, n_others=3, n_targets=2, n_volumes=24, n_networks=5, snr=2.0, n_motion=0)
    monkeypatch.setattr(train, "draw_design", lambda number, tiny: replace(easy, seed=number % 2))
    monkeypatch.setattr(train, "VALIDATION", train.VALIDATION[:1])
    monkeypatch.setattr(learner, "WARM_UP", 5)


def test_training_lowers_the_loss_on_a_tiny_problem(head, tmp_path, small, monkeypatch):
    training = Training(head, ["combine"], tmp_path, tiny=True)
    shown = list(training.runs_of(0))
    monkeypatch.setattr(training, "runs_of", lambda number: shown)
    for _ in range(15):
        training.step(0.0)
    losses = [float(value) for value in training.learners[0].losses]
    assert np.mean(losses[-4:]) < np.mean(losses[:4]) - 0.02


def test_a_training_that_was_stopped_goes_on_to_the_same_weights(head, tmp_path, small):
    whole = Training(head, ["pointwise", "around"], tmp_path / "whole", tiny=True)
    for progress in (0.0, 0.5):
        whole.step(progress)
    first = Training(head, ["pointwise", "around"], tmp_path / "parts", tiny=True)
    first.step(0.0)
    first.look()
    second = Training(head, ["pointwise", "around"], tmp_path / "parts", tiny=True)
    assert (second.shown, second.study, len(second.curve)) == (first.shown, 1, 1)
    second.step(0.5)
    for a, b in zip(whole.learners, second.learners, strict=True):
        for (name, left), right in zip(a.averaged.state_dict().items(), b.averaged.state_dict().values(), strict=True):
            assert torch.equal(left, right), name


def trained_and_kept(head: Head, name: str, folder: Path) -> tuple[Training, Path]:
    """Train one variant for a study, and keep its weights and curve as those that ship are kept."""
    training = Training(head, [name], folder / "first", tiny=True)
    training.step(0.0)
    training.look()
    kept = (training.out / "weights.npz").rename(folder / "kept.npz")
    (training.out / "curve.json").rename(folder / "kept_curve.json")
    return training, kept


def test_a_network_that_knows_more_begins_as_the_one_that_it_goes_on_from(head, tmp_path, small):
    first, kept = trained_and_kept(head, "few", tmp_path)
    second = Training(head, ["skewed"], tmp_path / "second", tiny=True, seed=1, start=kept, targets=1)
    ((ways, _),) = second.runs_of(0)
    shown = ways["product"].pick(torch.arange(4))
    assert torch.allclose(first.learners[0].averaged(shown), second.learners[0].network(shown), atol=1e-5)
    second.step(0.0)
    learned = second.learners[0].network.about[0].weight[:, -N_SKEWED:]
    assert learned.abs().max() > 0
    second.run(minutes=9, volumes=second.shown + 20, every=0)
    assert set(second.curve[-1]["scores"]) >= {"skewed, volume", "skewed, time", "view near12, time"}
    assert not any(name.endswith((", own", ", everything")) for name in second.curve[-1]["scores"])


def test_a_training_goes_on_from_weights_that_were_trained_before(head, tmp_path, small):
    first, kept = trained_and_kept(head, "few_small", tmp_path)
    second = Training(head, ["few_small"], tmp_path / "second", tiny=True, seed=1, start=kept)
    assert (second.shown, second.study) == (first.shown, 0)
    for (name, left), right in zip(
        first.learners[0].averaged.state_dict().items(),
        second.learners[0].network.state_dict().values(),
        strict=True,
    ):
        assert torch.equal(left, right), name
    second.run(minutes=9, volumes=first.shown + 20, every=600)
    assert [look["volumes"] for look in second.curve] == [first.shown, second.shown]
    assert second.shown >= first.shown + 20
    with pytest.raises(ValueError, match="'few_small' is a network of another shape than 'combine'"):
        Training(head, ["combine"], tmp_path / "third", tiny=True, start=kept)
