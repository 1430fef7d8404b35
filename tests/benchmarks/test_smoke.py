"""Every benchmark runs at its smallest setting, on a coarse grid, and leaves a result that can be read again."""

import importlib
import json
import sys
from functools import cache
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from scaae_nipype.grid import Grid, load_grid
from scaae_nipype.preparation.prepared import PreparedRun

MODULES = (
    *("ablations", "calibration", "coarse", "cuda", "engine", "group", "measures", "planted", "recovery"),
    *("recovery_real", "scale", "start", "variants"),
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


def test_recovery(bench, call, monkeypatch, tmp_path):
    module = bench.recovery
    run_of = cache(module.planted_run)
    monkeypatch.setattr(module, "TUNING", range(1))
    monkeypatch.setattr(module, "REPORTED", range(1, 3))
    monkeypatch.setattr(
        module, "planted_run", lambda regime, snr, seed, **_: run_of(regime, snr, min(seed, 100), grid=bench.grid)
    )
    said = call(module, "quick", "--regimes", "exclusive", "--seeds", "1")
    found = read(tmp_path / "recovery.json")
    assert set(found) == {"exclusive 0.5 0", "exclusive 0.5 1"}
    reported = found["exclusive 0.5 1"]
    assert {"volume", "scaae_24_runs", "context_3_runs", "first_guess_24_runs", "untrained"} <= set(reported)
    assert all(-1 <= scores["r"] <= 1 for scores in reported.values())
    assert "SCAAE, context of 24 runs" in said and call(module, "report") == said


def test_recovery_of_real_people(bench, call, monkeypatch, tmp_path):
    module, shared = bench.recovery_real, tmp_path / "shared"
    (shared / "tools").mkdir(parents=True)
    (shared / "tools" / "make_real_dataset.py").touch()
    region = np.ones(bench.grid.n_voxels, bool)
    region[::7] = False

    def prepared(folder, label, grid):
        data = bench.planted.planted_run("exclusive", 0.5, int(label), grid=grid).data[:40]
        samples = pd.DataFrame({"volume": np.arange(40), "kept": 1})
        return PreparedRun(data * region, region, samples, 2.0, {}, bench.grid)

    read_templates = module.load_templates
    monkeypatch.setattr(module, "SHARED", shared)
    monkeypatch.setattr(module, "PEOPLE", (("1",), ("2",)))
    monkeypatch.setattr(module, "prepared", prepared)
    monkeypatch.setattr(module, "load_templates", lambda path, grid: read_templates("default", grid=grid))
    said = call(module)
    found = read(tmp_path / "recovery_real.json")
    assert set(found) == {"1", "2"}
    assert {"fbn1", "fbn2", "first_guess", "volume"} <= set(found["1"])
    assert "## People 1" in said and "best filter of all" in said
    assert call(module, "report") == said


def test_calibration(bench, call, monkeypatch, tmp_path):
    monkeypatch.setattr(bench.calibration, "TRAINING_RUNS", 1)
    module = bench.calibration
    call(module, "temporal", "--arms", "stationary", "--runs", "1", "--surrogates", "19")
    call(module, "spatial", "--maps", "2", "--spatial-surrogates", "19")
    call(module, "noise", "--arms", "smoother", "louder", "--runs", "1")
    call(module, "lag", "--lag-runs", "2", "--surrogates", "2")
    found = read(tmp_path / "calibration.json")
    temporal, spatial = (
        found["temporal | network | stationary | 19 surrogates"],
        found["spatial | noise maps | 19 surrogates"],
    )
    assert set(temporal) == {"300"} and 0 < temporal["300"]["p"] <= 1
    assert set(spatial) == {"0", "1"}
    assert set(temporal["300"]["noise"]) == set(found["noise | louder"]["300"])
    before = (tmp_path / "calibration.json").stat().st_mtime_ns
    call(module, "spatial", "--maps", "2", "--spatial-surrogates", "19")
    assert (tmp_path / "calibration.json").stat().st_mtime_ns == before, "what is known is computed again"
    assert "run or map rejected at 5 %: " in call(module, "report")


def test_calibration_of_group_tests(bench, call, monkeypatch, tmp_path):
    module = bench.calibration
    monkeypatch.setattr(module.groups, "AT_ONCE", 2)
    call(module, "group", "--studies", "2")
    found = read(tmp_path / "calibration.json")
    assert len(found) == len(module.groups.DESIGNS)
    assert all(units["0"]["studies"] == 2 for units in found.values())
    assert "studentised any: " in call(module, "report")


@pytest.mark.parametrize("bench", [2], indirect=True)
def test_start_and_ablations(bench, call, monkeypatch, tmp_path):
    monkeypatch.setattr(bench.start, "VOLUMES_PER_RUN", 30)
    call(bench.start, "--studies", "1", "--volumes", "16", "--out", tmp_path)
    card = read(tmp_path / "start_4mm.json")
    assert card["VolumesSeen"] == 16 and 0 < card["FinalLoss"] < 2
    assert (tmp_path / "start_4mm.safetensors").stat().st_size > 100_000
    module = bench.ablations
    monkeypatch.setattr(module, "STUDIES", 1)
    monkeypatch.setattr(module, "SHOWN", {"contextual": 200, "autoencoder": 200})
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
    small = {"n_volumes": 12, "n_templates": 3}
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


def test_judge(bench, call, monkeypatch, tmp_path):
    module = bench.judge_run
    own = [rival for rival in module.RIVALS if not rival.needs_others][:2]
    others = [rival for rival in module.RIVALS if rival.needs_others][:1]
    plant = next(plant for plant in module.LEVELS["quick"] if plant.noise != "residuals")
    monkeypatch.setattr(module, "RIVALS", [*own, *others])
    monkeypatch.setattr(module, "CONTEXTS", (1,))
    monkeypatch.setattr(module, "N_SEEDS", {"quick": (1, 1), "full": (1, 1)})
    monkeypatch.setitem(module.LEVELS, "quick", [plant])
    monkeypatch.setattr(module, "SETS", 5)
    said = call(module, "quick")
    found = read(tmp_path / "judge.json")
    assert {key.rpartition(" | ")[2] for key in found} == {"0", "1"}
    assert any(method.startswith("bound: ") for method in found[next(iter(found))])
    assert any(row.startswith("| ") for row in said.splitlines())


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
