"""What is done with the fitted default: trainings compared, attention tuned on its runs, parts left out."""

import copy
import json
from dataclasses import replace

import numpy as np
import pytest
import torch

torch.set_num_threads(1)

from benchmarks import ablations  # noqa: E402
from benchmarks.judge.plants import Plant  # noqa: E402
from benchmarks.judge.seeds import SeedError  # noqa: E402
from benchmarks.planted import PlantedRun  # noqa: E402
from benchmarks.search import fitted, parts, trainings, tune  # noqa: E402
from scaae_nipype.evaluation.templates.loading import load_templates  # noqa: E402
from scaae_nipype.grid import Grid  # noqa: E402
from scaae_nipype.model import PRESETS, Model  # noqa: E402
from scaae_nipype.model.extraction.functions import network_function  # noqa: E402
from scaae_nipype.model.group_pca import fit_group_pca  # noqa: E402
from scaae_nipype.model.network.pointwise import ICA_MAPS, LEADS, VIEWS  # noqa: E402
from scaae_nipype.model.training.fitted_pointwise import train_pointwise  # noqa: E402
from scaae_nipype.model.training.volumes import VolumeCache  # noqa: E402
from scaae_nipype.model.weights import new_network  # noqa: E402
from scaae_nipype.simulation import PlantedNetworks  # noqa: E402
from scaae_nipype.simulation.tissues import source_grid  # noqa: E402

GRID = source_grid(10)


@pytest.fixture(scope="module")
def runs() -> list[np.ndarray]:
    """Three runs of slow mixtures of six maps, with noise as strong in every volume."""
    random = np.random.default_rng(0)
    maps = np.maximum(random.standard_normal((6, GRID.n_voxels)), 0)
    courses = random.standard_normal((3, 60, 6)).cumsum(axis=1)
    courses -= courses.mean(axis=1, keepdims=True)
    signal = courses / courses.std(axis=1, keepdims=True) @ maps
    noisy = signal + 2 * random.standard_normal(signal.shape)
    return list((noisy / noisy.std(axis=1, keepdims=True)).astype(np.float32))


@pytest.fixture(scope="module")
def model(runs) -> Model:
    group_pca = fit_group_pca(runs, GRID)
    model = Model(new_network(PRESETS["pointwise"], GRID, seed=0).eval(), GRID, {"Precision": "fp32"}, group_pca)
    train_pointwise(model, VolumeCache(runs, [np.arange(60) * 2.0] * 3), group_pca, seed=0)
    network = fitted.attention_of(model)
    with torch.no_grad():  # of so few minutes they do not lead by themselves
        network.independent.copy_(network.components[:ICA_MAPS])
        network.unmixing.copy_(network.components[:ICA_MAPS])
        network.leads[LEADS.index("group ICA")] = 1
    return model


@pytest.fixture(scope="module")
def typical(model, runs):
    return parts.typical_of(model, runs[0], fitted.attention_of(model).about * 0.5)


def test_views_made_once_give_the_networks_of_the_product(model, runs):
    found = fitted.maps_of(fitted.attention_of(model), fitted.show(model, runs[0][:11]))
    np.testing.assert_allclose(found, network_function(model, GRID)(runs[0][:11]), atol=1e-3 * found.std())


def test_reported_seeds_are_refused():
    with pytest.raises(SeedError):
        fitted.planted_run(Plant(), 20)


def test_a_run_is_thinned_with_its_truth(runs):
    networks = PlantedNetworks(GRID, np.zeros((2, GRID.n_voxels)), ("a", "b"))
    run = fitted.thinned(PlantedRun(runs[0], runs[0], networks, np.zeros((60, 2)), np.arange(60)), 3)
    assert run.states.tolist() == list(range(0, 60, 3)) and len(run.truth) == len(run.bold) == len(run.data) == 20


def test_leads_bring_maps_of_two_trainings_together():
    random = np.random.default_rng(0)
    one, other, lead = random.standard_normal((3, 5, 400))
    before, after = (
        trainings.map_r(*pair)
        for pair in ((one, other), (trainings.with_leads(one, [lead], [1]), trainings.with_leads(other, [lead], [1])))
    )
    assert abs(before) < 0.1 and after == pytest.approx(0.5, abs=0.1)
    assert trainings.strength(trainings.with_leads(0 * one, [lead], [1.0])) == 0


def test_every_compared_training_is_there():
    for pair in trainings.PAIRS.values():
        for path, name in pair:
            assert trainings.load_network(path, name).shape.views


def test_neighbours_leave_the_volume_itself_out(runs):
    run = runs[0]
    found = tune.neighbours_of(run, np.array([0, 30]), 3)
    assert found.mean(axis=1) == pytest.approx(0, abs=1e-5) and found.std(axis=1) == pytest.approx(1, abs=1e-4)
    changed = run.copy()
    changed[30] = 100
    np.testing.assert_array_equal(tune.neighbours_of(changed, np.array([30]), 3), found[1:])
    around = run[[27, 28, 29, 31, 32, 33]].mean(axis=0)
    assert np.corrcoef(found[1], around)[0, 1] == pytest.approx(1)
    assert np.corrcoef(found[0], run[1:4].mean(axis=0))[0, 1] == pytest.approx(1)


def test_the_loss_is_nothing_for_what_it_asks_for():
    target = torch.randn(4, 200, generator=torch.Generator().manual_seed(0))
    branches = torch.stack([target.clamp(min=0), (-target).clamp(min=0)], dim=1)
    assert float(tune.tuning_loss(branches, target, "branches")) == pytest.approx(0, abs=1e-5)
    assert float(tune.tuning_loss(3 * branches, target, "difference")) == pytest.approx(0, abs=1e-5)
    assert float(tune.tuning_loss(branches.flip(1), target, "difference")) == pytest.approx(2, abs=1e-5)


@pytest.mark.parametrize("target", ["difference", "branches"])
def test_tuning_predicts_neighbours_better_and_leaves_the_views_alone(model, runs, target):
    setting = tune.Setting(target, rate=3e-3, steps=24, volumes=8, voxels=GRID.n_voxels)
    before = {name: one.clone() for name, one in model.network.state_dict().items()}
    own, losses = tune.tuned(model, runs, setting)
    assert np.mean(losses[-5:]) < np.mean(losses[:5]) - 0.005
    after = own.network.state_dict()
    assert all(torch.equal(one, model.network.state_dict()[name]) for name, one in before.items()), "the original"
    of_runs = ("context.", "parts", "about", "lead_parts", "components", "few_volumes", "leads")
    changed = {name for name, one in before.items() if not torch.equal(one, after[name])}
    assert changed and not any(name.startswith(of_runs) for name in changed)
    again, _ = tune.tuned(model, runs, setting)
    assert all(torch.equal(one, again.network.state_dict()[name]) for name, one in after.items())


def test_weights_that_are_held_stay_nearer(model, runs):
    loose = tune.Setting(rate=1e-3, steps=15, held=0.0, voxels=GRID.n_voxels)

    def distance(setting):
        own, _ = tune.tuned(model, runs, setting)
        pairs = zip(own.network.parameters(), model.network.parameters(), strict=True)
        return sum(float((one - other).detach().square().sum()) for one, other in pairs)

    assert distance(replace(loose, held=0.3)) < 0.5 * distance(loose)


@pytest.mark.parametrize("name", parts.PARTS)
def test_a_part_left_out_changes_the_maps_and_not_the_model(model, runs, typical, name):
    network, views = fitted.attention_of(model), fitted.show(model, runs[1][:9])
    before = {key: one.clone() for key, one in network.state_dict().items()}
    seen = [one.clone() for one in (*views.seen[:3], views.leads)]
    whole = fitted.maps_of(network, views)
    found = parts.leave_out(name, network, views, typical)
    assert found.shape == whole.shape and np.isfinite(found).all()
    assert np.array_equal(found, whole) is (name == parts.WHOLE)
    assert all(torch.equal(one, network.state_dict()[key]) for key, one in before.items())
    assert all(torch.equal(a, b) for a, b in zip(seen, (*views.seen[:3], views.leads), strict=True))


def test_without_learned_maps_only_views_and_leads_are_left(model, runs, typical):
    network, views = fitted.attention_of(model), fitted.show(model, runs[1][:6])
    found = parts.leave_out("no learned maps (views handed on alone)", network, views, typical)[0]
    spanned = torch.cat([views.seen.views.mT, views.leads], dim=1).double().numpy()
    for volume, basis in zip(found.astype(float), spanned, strict=True):
        shares = np.linalg.lstsq(basis.T, volume, rcond=None)[0]
        np.testing.assert_allclose(shares @ basis, volume, atol=1e-3 * volume.std())


def test_constant_channel_weights_are_those_that_were_given(model, runs, typical):
    network, views = fitted.attention_of(model), fitted.show(model, runs[1][:6])
    changed = copy.deepcopy(network)
    with torch.no_grad():
        views = parts.PARTS["channel weights constant"](changed, views, typical)
        _, weights = changed.attend(views.seen)
    assert torch.allclose(weights, typical.weights.expand_as(weights), atol=1e-5)


def test_a_view_that_is_empty_is_measured_as_such(model):
    network = fitted.attention_of(model)
    seen = fitted.show(model, np.zeros((1, GRID.n_voxels), dtype=np.float32)).seen
    views = fitted.show(model, np.ones((1, GRID.n_voxels), dtype=np.float32))
    with torch.no_grad():
        blind = parts.PARTS["no view `near8`"](network, views, None)
    number = VIEWS.index("near8")
    assert float(blind.seen.strengths[0, number]) == pytest.approx(float(seen.strengths[0, number]))


@pytest.fixture
def small(model, runs, monkeypatch, tmp_path):
    """One planted run of one network, in place of the judge's."""
    plant = Plant()
    networks = PlantedNetworks(GRID, np.maximum(runs[0][:3], 0), ("a", "b", "c"))
    truth = np.maximum(runs[1], 0)
    planted = PlantedRun(runs[1], truth, networks, runs[1][:, :3].astype(float), np.arange(60) % 3)
    monkeypatch.setattr(parts, "PLANTS", (plant,))
    for module in (parts, tune):
        monkeypatch.setattr(module, "LEVELS", {"quick": (plant,)})
        monkeypatch.setattr(module, "SEEDS", (0,))
        monkeypatch.setattr(module, "SIZES", (3,))
        monkeypatch.setattr(module, "planted_run", lambda plant, seed: planted)
        monkeypatch.setattr(module, "group_of", lambda *_: fitted.Group([fitted.Run(one, GRID, 2.0) for one in runs]))
        monkeypatch.setattr(module, "fitted_to", lambda group: model)
    parts._fitted.cache_clear()
    yield tmp_path
    parts._fitted.cache_clear()


def test_parts_are_scored_and_go_on_where_they_stopped(small, monkeypatch, capsys):
    path = small / "ablations.json"
    path.write_text(json.dumps({"pointwise: as it is": {"scores": {}}}))
    monkeypatch.setattr(ablations, "RESULTS", path)
    monkeypatch.setattr("sys.argv", ["ablations", "--only", "pointwise"])
    ablations.main()
    found = json.loads(path.read_text())
    assert set(found) == {parts.PREFIX + name for name in parts.PARTS}
    cell = found["pointwise: as it is"]["scores"]["regions, 3 runs"]
    assert cell["map_r"] == [1.0] and len(cell["average_precision"]) == 1
    said = capsys.readouterr()
    assert said.out.partition("\n\n")[0].count("\n| ") == len(parts.PARTS) + 2 and "seed 0" in said.err
    ablations.main()
    assert json.loads(path.read_text()) == found and "seed 0" not in capsys.readouterr().err


def test_settings_are_compared_on_planted_runs_and_one_is_chosen(small, monkeypatch, capsys):
    monkeypatch.setattr(tune, "RESULTS", small / "tune.json")
    settings = {f"{steps} steps": tune.Setting(steps=steps, voxels=400) for steps in (2, 4)}
    monkeypatch.setattr(tune, "SETTINGS", settings)
    monkeypatch.setattr("sys.argv", ["tune", "planted"])
    tune.main()
    found = json.loads((small / "tune.json").read_text())
    assert set(found["planted"]["regions, 3 runs"]) == {tune.UNTUNED, *settings}
    assert tune.best_setting(found["planted"]) in settings
    said = capsys.readouterr()
    assert "Most AP" in said.out and "seed 0" in said.err
    tune.main()
    assert "seed 0" not in capsys.readouterr().err


def test_people_are_scored_with_what_planted_runs_chose(small, model, runs, monkeypatch, capsys):
    labels = ("1", "2", "3", "4")
    region = np.ones(GRID.n_voxels, dtype=bool)
    region[::7] = False
    inside = Grid(GRID.affine, GRID.volumes(region))
    found = {label: fitted.Run(runs[number % 3][:40][:, region], inside, 2.0) for number, label in enumerate(labels)}
    monkeypatch.setattr(tune.people, "PEOPLE", labels)
    monkeypatch.setattr(tune.people, "SETS_PER_PERSON", 2)
    monkeypatch.setattr(tune.people, "CACHE", small)
    monkeypatch.setattr(tune.people, "load_people", lambda: found)
    monkeypatch.setattr(tune, "load_templates", lambda path, grid: load_templates("default", grid=grid))
    for module in (tune, fitted):
        monkeypatch.setattr(module, "grid_of_model", lambda: GRID)
    monkeypatch.setattr(tune, "N_SPLITS", 1)
    monkeypatch.setattr(tune, "SETTINGS", {"two": tune.Setting(steps=2, voxels=400), "more": tune.Setting(steps=4)})
    score = dict.fromkeys(tune.SCORES, 0.5)
    cell = {name: {"0": score} for name in (tune.UNTUNED, "more")} | {"two": {"0": score | {"average_precision": 0.6}}}
    monkeypatch.setattr(tune, "RESULTS", small / "tune.json")
    (small / "tune.json").write_text(json.dumps({"planted": {"regions, 3 runs": cell}}))
    monkeypatch.setattr("sys.argv", ["tune", "people"])
    tune.main()
    kept = json.loads((small / "tune.json").read_text())["people"]
    assert set(kept) == {"1+2 > 3", "1+2 > 4", "3+4 > 1", "3+4 > 2"}
    assert all(set(methods) == {tune.UNTUNED, "two"} for methods in kept.values())
    assert "| two, less as shipped | " in capsys.readouterr().out
