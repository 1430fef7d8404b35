"""Every benchmark runs at its smallest setting, on a coarse grid, and leaves a result that can be read again."""

import importlib
import json
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks.judge.seeds import SeedError
from scaae_nipype.grid import Grid, load_grid
from scaae_nipype.options import Training

MODULES = (
    *(
        "ablations",
        "calibration",
        "coarse",
        "cuda",
        "engine",
        "group",
        "measures",
        "planted",
        "scale",
        "start",
        "variants",
    ),
    *("judge.network", "judge.people", "judge.plants", "judge.run", "search.head", "search.score", "search.train"),
)


@pytest.fixture
def bench(request, monkeypatch, tmp_path):
    """Give the benchmarks by name: results go to a new folder, the grid is coarse (every n-th voxel)."""
    fine = load_grid()
    n = getattr(request, "param", 3)
    grid = Grid(fine.affine @ np.diag([n, n, n, 1.0]), fine.mask[::n, ::n, ::n])
    found = {name: importlib.import_module(f"benchmarks.{name}") for name in MODULES}
    for module in found.values():
        for name in ("grid_of_model", "load_grid"):
            if hasattr(module, name):
                monkeypatch.setattr(module, name, lambda: grid)
        for name in ("RESULTS", "CACHE", "FOLDER"):
            if hasattr(module, name):
                monkeypatch.setattr(module, name, tmp_path / getattr(module, name).name)
    kept = [value for module in found.values() for value in vars(module).values() if hasattr(value, "cache_clear")]
    for function in kept:
        function.cache_clear()
    yield SimpleNamespace(grid=grid, **{name.replace(".", "_"): module for name, module in found.items()})
    for function in kept:
        function.cache_clear()


@pytest.fixture
def call(monkeypatch, capsys):
    """Run a benchmark as its command line does; what it printed."""

    def call(module, *arguments):
        monkeypatch.setattr(sys, "argv", ["benchmark", *map(str, arguments)])
        module.main()
        return capsys.readouterr().out

    return call


def read(path):
    return json.loads(path.read_text())


def test_calibration(bench, call, monkeypatch, tmp_path):
    module = bench.calibration
    monkeypatch.setattr(module, "TRAINING_RUNS", 1)
    monkeypatch.setattr(module, "ARMS", {arm: {**settings, "n_volumes": 80} for arm, settings in module.ARMS.items()})
    for method in ((), ("--method", "contextual")):
        call(module, "temporal", "--arms", "stationary", "--runs", "1", "--surrogates", "19", *method)
    call(module, "spatial", "--maps", "2", "--spatial-surrogates", "19")
    call(module, "noise", "--arms", "smoother", "louder", "--runs", "1")
    call(module, "lag", "--lag-runs", "2", "--surrogates", "2")
    found = read(tmp_path / "calibration.json")
    temporal, spatial = (
        found[f"{module.TEMPORAL} | {Training.preset} | stationary | 19 surrogates"],
        found["spatial | noise maps | 19 surrogates"],
    )
    assert set(temporal) == {"300"} and 0 < temporal["300"]["p"] <= 1
    assert set(spatial) == {"0", "1"}
    assert set(temporal["300"]["noise"]) == set(found["noise | louder"]["300"])
    before = (tmp_path / "calibration.json").stat().st_mtime_ns
    call(module, "spatial", "--maps", "2", "--spatial-surrogates", "19")
    assert (tmp_path / "calibration.json").stat().st_mtime_ns == before, "what is known is computed again"
    said = call(module, "report")
    assert all(
        f"## {title}" in said for title in ("Temporal null", "Did the noise change?", "Lag curve", "Spatial null")
    )
    assert "| the network, `pointwise` | stationary mixture | 19 | " in said
    assert "| the network, `contextual` | stationary mixture | 19 | " in said
    assert f"`{Training.preset}`, the default of the product" in said


def test_calibration_of_group_tests(bench, call, monkeypatch, tmp_path):
    module = bench.calibration
    monkeypatch.setattr(module.groups, "AT_ONCE", 2)
    call(module, "group", "--studies", "2")
    found = read(tmp_path / "calibration.json")
    assert len(found) == len(module.groups.DESIGNS)
    assert all(units["0"]["studies"] == 2 for units in found.values())
    assert "| 20 and 10, equal spread | 2 | 199 | " in call(module, "report")


@pytest.mark.parametrize("bench", [2], indirect=True)
def test_start_and_ablations(bench, call, monkeypatch, tmp_path):
    monkeypatch.setattr(bench.start, "VOLUMES_PER_RUN", 30)
    monkeypatch.setattr(bench.start, "BATCH", 2)
    call(bench.start, "--studies", "1", "--volumes", "16", "--out", tmp_path)
    card = read(tmp_path / "start_4mm.json")
    assert card["VolumesSeen"] == 16 and 0 < card["FinalLoss"] < 2
    assert (tmp_path / "start_4mm.safetensors").stat().st_size > 100_000
    module = bench.ablations
    monkeypatch.setattr(module, "STUDIES", 1)
    monkeypatch.setattr(module, "SHOWN", {"contextual": 50, "autoencoder": 50})
    monkeypatch.setattr(module, "LOOKS", 1)
    monkeypatch.setattr(module, "SCORED", range(10, 11))
    run_of = module.planted
    monkeypatch.setattr(module, "training_volumes", lambda regime, n_runs: [run_of(regime, module.TRAINING).data])
    said = call(module, "--only", "contextual: as it is")
    found = read(tmp_path / "ablations.json")
    assert "exclusive, context of 24 runs" in found["contextual: as it is"]["scores"]
    assert all(-1 <= r <= 1 for scores in found["contextual: as it is"]["scores"].values() for r in scores["r"])
    assert "as it is" in said


def test_engine(bench, call, monkeypatch, tmp_path):
    small, repeated = {"n_volumes": 12, "n_templates": 3}, bench.measures.median_seconds
    monkeypatch.setattr(bench.measures, "median_seconds", lambda function, repeats=1: repeated(function, 1))
    monkeypatch.setattr(bench.engine, "measure", lambda name, **_: getattr(bench.measures, name)(**small))
    said = call(bench.engine, "evaluation")
    (result,) = (tmp_path / "results").glob("evaluation.*.json")
    found = read(result)
    assert {"machine", "rows", "measured"} == set(found)
    assert set(found["measured"]["evaluation"]["seconds"]) == {"scores", "match_templates", "states", "gradual_change"}
    assert said.count("\n| ") == len(found["rows"]) + 2
    with pytest.raises(SystemExit, match="No part of the benchmark is called elsewhere"):
        call(bench.engine, "elsewhere")


def test_cuda_leaves_where_there_is_no_device(bench, call, monkeypatch, tmp_path):
    monkeypatch.setattr(bench.cuda.torch.cuda, "is_available", lambda: False)
    with pytest.raises(SystemExit, match="no CUDA device"):
        call(bench.cuda, tmp_path)
    assert not list(tmp_path.iterdir())


def test_group(bench, call, monkeypatch, tmp_path):
    monkeypatch.setattr(bench.group, "WRITTEN", 6)  # two of them come once more under other labels
    call(bench.group, "--participants", "8", "--out", tmp_path)
    found = read(tmp_path / "group.json")
    assert found["participants"] == 8 and found["processor_seconds"] > 0 and found["peak_mb"] > 100


def test_scale(bench, call, monkeypatch, tmp_path):
    call(bench.scale, "plan", "--participants", "3", "--out", tmp_path)
    found = read(tmp_path / "scale.json")["plan"]
    assert found["participants"] == 3
    assert all(0 < found[which]["processor_seconds"] < 300 for which in ("everybody", "one"))
    said = call(bench.scale, "tree", tmp_path / "tree", "--participants", "2")
    assert said.strip() == str(tmp_path / "tree")
    assert len(list((tmp_path / "tree").rglob("sub-*_bold.nii.gz"))) == 2 * 4 * 2


@pytest.fixture
def small_judge(bench, monkeypatch):
    """Make the judge's levels small: two rivals of one run, one of others, one or two regimes, a seed of each kind."""
    module = bench.judge_run
    own = [rival for rival in module.RIVALS if not rival.needs_others][:2]
    others = [rival for rival in module.RIVALS if rival.needs_others][:1]
    monkeypatch.setattr(module, "RIVALS", [*own, *others])
    monkeypatch.setattr(module, "CONTEXTS", (1,))
    monkeypatch.setattr(module, "N_SEEDS", {"quick": (1, 1), "full": (1, 1)})
    alike = [plant for plant in module.LEVELS["full"] if plant.noise == "simulated" and plant.is_plain][:2]
    monkeypatch.setattr(module, "LEVELS", {"quick": alike[:1], "full": alike})
    monkeypatch.setattr(module, "SETS", 5)
    return module


def test_judge(small_judge, call, tmp_path):
    said = call(small_judge, "quick", "--precision", "fp32")
    found = read(tmp_path / "judge.json")
    assert {key.rpartition(" | ")[2] for key in found} == {"0", "1"}
    assert any(method.startswith("bound: ") for method in found[next(iter(found))])
    assert {"SCAAE", "SCAAE, preset pointwise"} <= {
        method.partition(" | ")[0] for own in found.values() for method in own
    }
    assert any(row.startswith("| SCAAE | ") for row in said.splitlines())
    assert "20 with 1 other runs (settings chosen on 0)." in said
    assert "20 and 21 with 1 other runs" in call(small_judge, "quick", "--precision", "fp32", "--first-seed", "21")
    with pytest.raises(SeedError, match="Seed 19 is not for reporting"):
        call(small_judge, "quick", "--first-seed", "19")


def test_presets_and_numbers_of_other_runs_are_judged_as_asked(small_judge, call, capsys, tmp_path):
    said = call(small_judge, "quick", "--networks", "pointwise", "--others", "0", "2")
    found = read(tmp_path / "judge.json")
    assert {key.rpartition(" | ")[2] for key in found} == {"0", "2"}
    networks = {method.partition(" | ")[0] for own in found.values() for method in own if method.startswith("SCAAE")}
    more = ("", ", in time", ", of the run itself", ", of the run itself and others")
    assert networks == {f"SCAAE, preset pointwise{one}" for one in more}
    assert "20 with 2 other runs (settings chosen on 0)." in said
    assert "| SCAAE, preset pointwise, of the run itself | " in said.split("### C:")[1].split("###")[0]
    for wrong in (("--networks", "published"), ("--others", "7")):
        with pytest.raises(SystemExit):
            call(small_judge, "quick", *wrong)
        assert "invalid choice" in capsys.readouterr().err


def test_the_grid_goes_on_where_it_was_stopped_and_ends_alike(small_judge, call, monkeypatch, tmp_path):
    """Stop after some methods of the grid; a second call computes the others, and those only."""
    judged = small_judge.judge_maps
    counts = []

    def counting(most: int | None):
        def judge_maps(*arguments, **options):
            counts.append(1)
            if most is not None and len(counts) > most:
                raise KeyboardInterrupt
            return judged(*arguments, **options)

        return judge_maps

    def run(most: int | None = None) -> int:
        counts.clear()
        monkeypatch.setattr(small_judge, "judge_maps", counting(most))
        call(small_judge, "full", "--without-networks")
        return len(counts)

    needed = run()
    whole = read(tmp_path / "judge.json")
    assert {key.split(" | ")[0] for key in whole} == {plant.key for plant in small_judge.LEVELS["full"]}
    assert run() == 0, "what is known is computed again"
    (tmp_path / "judge.json").unlink()
    with pytest.raises(KeyboardInterrupt):
        run(most=needed // 2)
    stopped = sum(map(len, read(tmp_path / "judge.json").values()))
    assert 0 < stopped < needed
    assert run() == needed - stopped
    assert read(tmp_path / "judge.json") == whole


def test_judge_of_people(bench, call, monkeypatch, tmp_path):
    module, runs = bench.judge_people, sys.modules["benchmarks.judge.runs"]
    region = np.ones(bench.grid.n_voxels, bool)
    region[::7] = False
    inside = Grid(bench.grid.affine, bench.grid.volumes(region))
    labels = ("1", "2", "3", "4")
    people = {
        label: runs.Run(
            bench.planted.planted_run("exclusive", 0.5, int(label), grid=bench.grid).data[:40][:, region], inside, 2.0
        )
        for label in labels
    }
    read_templates = module.load_templates
    monkeypatch.setattr(module, "PEOPLE", labels)
    monkeypatch.setattr(module, "load_people", lambda: people)
    monkeypatch.setattr(module, "load_templates", lambda path, grid: read_templates("default", grid=grid))
    monkeypatch.setattr(module, "PLANTED", tmp_path / "none.json")
    monkeypatch.setattr(module, "RIVALS", [rival for rival in module.RIVALS if rival.name in ("volume", "smoothed")])
    monkeypatch.setattr(bench.judge_run.people, "SETS_PER_PERSON", 2)
    said = call(bench.judge_run, "people", "--splits", "1", "--precision", "fp32")
    found = read(tmp_path / "judge_people.json")
    assert len(found) == 4 + 4  # every person alone, and once for each way round of the split
    assert any(method.startswith("SCAAE | ") for method in found["1+2 > 3"])
    before = (tmp_path / "judge_people.json").stat().st_mtime_ns
    assert "### B: the volume and other people's runs, SCAAE less each" in said
    assert call(bench.judge_run, "people", "--splits", "1") == said
    assert (tmp_path / "judge_people.json").stat().st_mtime_ns == before, "what is known is computed again"


def test_scores_of_the_search(bench, call, tmp_path):
    module = bench.search_score
    module.FOLDER.mkdir()
    np.savez(module.FOLDER / "head_4mm.npz", **bench.search_head.make_head(bench.grid))
    said = call(
        module, "none", "--seeds", "0", "--snr", "0.5", "--jitter", "0", "--runs", "1", "--results", tmp_path / "x"
    )
    found = read(tmp_path / "x")["exclusive, SNR 0.5, jitter 0 mm, 1 runs"]
    assert found and all(-1 <= seeds["0"]["r"] <= 1 for seeds in found.values())
    assert all(f"| {name} |" in said for name in found)
