"""Training: budgets, exact resume, several processes, what the card says."""

import json
import os
import resource
import signal
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest
import torch
from lightning.pytorch import Trainer
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tqdm.auto import tqdm

from scaae_nipype.errors import Interrupted, ModelError
from scaae_nipype.grid import load_grid
from scaae_nipype.model import PRESETS, Model, Training, load_model
from scaae_nipype.model.presets import RECIPES
from scaae_nipype.model.training.learner import Learner, SettledNetworks
from scaae_nipype.model.training.processes import start_job
from scaae_nipype.model.training.train import train_on_caches, volume_budget
from scaae_nipype.model.training.trainer import SaveOnSignal
from scaae_nipype.model.training.volumes import write_cache
from scaae_nipype.model.weights import new_network
from scaae_nipype.progress import bar

pytestmark = pytest.mark.xdist_group("training")  # several compare with one undisturbed training


def train(cache_files, grid, folder, **options):
    training = Training(**{"preset": "tiny", "train_volumes": 32, "precision": "fp32", **options})
    return train_on_caches(cache_files, grid, training=training, work_dir=folder, progress=bar)[0]


def weights_of(model):
    return {name: tensor.clone() for name, tensor in model.network.state_dict().items()}


def checkpoints_of(folder):
    return {path.name: path.read_bytes() for path in sorted((folder / "checkpoints").iterdir())}


def logged_steps(folder):
    """Steps whose loss stands in the CSV log, and in TensorBoard's."""
    board = EventAccumulator(str(folder / "tensorboard")).Reload()
    return pd.read_csv(folder / "csv/metrics.csv")["step"].tolist(), [event.step for event in board.Scalars("loss")]


def assert_same_weights(first, second):
    for name, tensor in first.items():
        assert torch.equal(tensor, second[name]), name


def test_budgets():
    calibrated, paper = RECIPES["calibrated"], RECIPES["paper"]
    assert volume_budget(100, calibrated) == 400
    assert volume_budget(10**6, calibrated) == calibrated.largest_budget
    assert volume_budget(10**6, paper) == 20 * 10**6
    assert volume_budget(10**6, paper, 17) == 17


def test_training_lowers_the_loss_of_structured_volumes_and_fills_the_card(grid, tmp_path):
    random = np.random.default_rng(0)
    patterns = np.sin(np.argwhere(grid.mask) @ random.standard_normal((3, 2)) / 2).T
    np.save(tmp_path / "run.npy", (random.standard_normal((12, 2)) @ patterns).astype(np.float16))
    model = train([tmp_path / "run.npy"], grid, tmp_path / "work", train_volumes=320)
    card = model.card
    volumes = model.volumes(np.load(tmp_path / "run.npy").astype(np.float32))
    weights = torch.from_numpy(grid.mask[grid.box].astype(np.float32))
    with torch.inference_mode():
        error = (((model.network(volumes).volumes - volumes) ** 2) * weights).sum() / weights.sum() / len(volumes)
    power = float((volumes**2).sum() / weights.sum() / len(volumes))
    assert float(error) < 0.9 * power, (float(error), power)
    assert card["Training"]["VolumesSeen"] == 320
    assert card["Training"]["Volumes"] == 12
    assert card["Training"]["Undertrained"] is True
    assert card["Precision"] == "fp32"
    assert {branch["Sign"] for branch in card["Branches"]} <= {1, -1}
    assert logged_steps(tmp_path / "work") == (list(range(40)), list(range(40)))


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_the_same_seed_gives_the_same_weights(cache_files, grid, tmp_path, precision):
    first, second = (
        weights_of(train(cache_files, grid, tmp_path / name, train_volumes=16, precision=precision)) for name in "ab"
    )
    assert_same_weights(first, second)
    other = weights_of(train(cache_files, grid, tmp_path / "c", train_volumes=16, precision=precision, seed=1))
    assert any(not torch.equal(first[name], other[name]) for name in first)


@pytest.fixture(scope="module")
def straight(vectors, grid, tmp_path_factory):
    """Give the weights of an undisturbed training on the cached volumes: 20 steps."""
    folder = tmp_path_factory.mktemp("straight")
    cache_files = [write_cache(vectors[:9], folder / "a.npy"), write_cache(vectors[9:], folder / "b.npy")]
    return weights_of(train(cache_files, grid, folder / "work", train_volumes=160))


def test_a_killed_training_goes_on_to_the_same_weights(
    training_script, cache_files, grid, mask_file, tmp_path, monkeypatch, straight
):
    monkeypatch.setattr("scaae_nipype.model.training.trainer.CHECKPOINT_EVERY", 8)
    process = subprocess.Popen(
        [sys.executable, "-c", training_script, "160", "8", tmp_path / "killed", mask_file, *cache_files],
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 120
    while not list((tmp_path / "killed/checkpoints").glob("step=*.ckpt")) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    (checkpoint,) = (tmp_path / "killed/checkpoints").glob("step=*.ckpt")
    done = int(checkpoint.stem.split("=")[1])
    assert done < 20, "the training was over before it was killed"
    n_volumes = 160
    resumed = train(cache_files, grid, tmp_path / "killed", train_volumes=n_volumes)
    assert_same_weights(straight, weights_of(resumed))
    assert resumed.card["Training"]["VolumesSeen"] == n_volumes
    logged = logged_steps(tmp_path / "killed")[0]
    assert logged in (list(range(20)), [*range(done - 1), *range(done, 20)])  # killed between checkpoint and log


def test_a_loss_that_is_not_finite_ends_the_training(grid, tmp_path):
    np.save(tmp_path / "run.npy", np.full((8, grid.n_voxels), np.nan, dtype=np.float16))
    with pytest.raises(ModelError, match="Training diverged: after 0 steps the loss is nan"):
        train([tmp_path / "run.npy"], grid, tmp_path / "work")


def test_a_training_that_is_ended_after_its_last_step_tells_its_loss_all_the_same(
    cache_files, grid, tmp_path, monkeypatch
):
    straight = train(cache_files, grid, tmp_path / "straight")

    def warn(callback, *_):
        callback.received = signal.SIGTERM if callback.received is None else callback.received

    monkeypatch.setattr(SaveOnSignal, "on_train_batch_start", lambda *_: None)
    monkeypatch.setattr(SaveOnSignal, "on_train_start", warn)
    with pytest.raises(KeyboardInterrupt):
        train(cache_files, grid, tmp_path / "ended")
    monkeypatch.undo()
    resumed = train(cache_files, grid, tmp_path / "ended")
    assert resumed.card["Training"]["FinalLoss"] == straight.card["Training"]["FinalLoss"] > 0


@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGTERM])
def test_a_requeued_training_saves_and_goes_on_to_the_same_weights(
    cache_files, grid, tmp_path, monkeypatch, straight, number
):
    """The signal comes within the third step; programs that are warned are tested with the whole job."""
    step = Learner.training_step

    def hear_a_signal_in_the_third_step(learner, vectors, batch_index):
        if learner.global_step == 2:
            os.kill(os.getpid(), number)
        return step(learner, vectors, batch_index)

    with monkeypatch.context() as patched:
        patched.setattr(Learner, "training_step", hear_a_signal_in_the_third_step)
        with pytest.raises(Interrupted, match=f"interrupted by {number.name} after 3 of 20 steps"):
            train(cache_files, grid, tmp_path / "w", train_volumes=160)
    assert list(checkpoints_of(tmp_path / "w")) == ["step=3.ckpt"]
    resumed = train(cache_files, grid, tmp_path / "w", train_volumes=160)
    assert logged_steps(tmp_path / "w") == (list(range(20)), list(range(20)))
    assert_same_weights(straight, weights_of(resumed))


def test_a_checkpoint_of_another_training_is_refused(cache_files, grid, tmp_path, monkeypatch):
    monkeypatch.setattr("scaae_nipype.model.training.trainer.CHECKPOINT_EVERY", 8)
    train(cache_files, grid, tmp_path / "work", train_volumes=16)
    before = checkpoints_of(tmp_path / "work")
    with pytest.raises(ModelError, match=r"checkpoint of another training \(another seed, steps\)"):
        train(cache_files, grid, tmp_path / "work", train_volumes=24, seed=3)
    with pytest.raises(ModelError, match=r"checkpoint of another training \(another preset\)"):
        train(cache_files, grid, tmp_path / "work", train_volumes=16, preset="autoencoder")
    other = [write_cache(np.load(path)[::-1], tmp_path / f"other-{path.name}") for path in cache_files]
    with pytest.raises(ModelError, match=r"checkpoint of another training \(another data\)"):
        train(other, grid, tmp_path / "work", train_volumes=16)
    assert checkpoints_of(tmp_path / "work") == before
    (checkpoint,) = (tmp_path / "work/checkpoints").glob("*.ckpt")
    checkpoint.write_bytes(checkpoint.read_bytes()[:500])
    with pytest.raises(ModelError, match="is a damaged checkpoint"):
        train(cache_files, grid, tmp_path / "work", train_volumes=16)


def test_an_error_leaves_the_bar_in_a_line_of_its_own(cache_files, grid, tmp_path, monkeypatch, capsys):
    """Otherwise the message stands behind the bar, and the bar is drawn once more when Python clears up."""
    step = Learner.training_step

    def fail_in_the_third_step(learner, vectors, batch_index):
        if learner.global_step == 2:
            raise ModelError("the third step fails.")
        return step(learner, vectors, batch_index)

    monkeypatch.setattr(Learner, "training_step", fail_in_the_third_step)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)  # elsewhere lines are written, no bar
    before = set(tqdm._instances)
    with pytest.raises(ModelError, match="the third step fails"):
        train(cache_files, grid, tmp_path / "work", train_volumes=32)
    shown = capsys.readouterr().err
    assert "16/32" in shown  # the bar stops where training did
    assert shown.endswith("\n")
    assert set(tqdm._instances) == before


def test_no_space_for_a_checkpoint_leaves_the_one_before(cache_files, grid, tmp_path, monkeypatch):
    """The system itself refuses to write the second checkpoint (a limit on the size of files stands for the disk)."""
    save, whole = Trainer.save_checkpoint, resource.getrlimit(resource.RLIMIT_FSIZE)

    def save_on_a_full_disk(trainer, *arguments, **options):
        if trainer.global_step >= 3:
            resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, whole[1]))
        try:
            return save(trainer, *arguments, **options)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, whole)

    with monkeypatch.context() as patched:
        patched.setattr("scaae_nipype.model.training.trainer.CHECKPOINT_EVERY", 16)
        patched.setattr(Trainer, "save_checkpoint", save_on_a_full_disk)
        with pytest.raises(ModelError) as stopped:
            train(cache_files, grid, tmp_path / "w", train_volumes=32)
    assert "training stopped, a checkpoint or log cannot be written (File too large)" in str(stopped.value)
    assert "training goes on from the last checkpoint" in str(stopped.value)
    assert list(checkpoints_of(tmp_path / "w")) == ["step=2.ckpt"]
    resumed = train(cache_files, grid, tmp_path / "w", train_volumes=32)
    straight = train(cache_files, grid, tmp_path / "straight", train_volumes=32)
    assert_same_weights(weights_of(straight), weights_of(resumed))


def test_two_processes_train_one_model(cache_files, mask_file, tmp_path, capfd):
    def job(name, processes):
        training = {"preset": "tiny", "train_volumes": 32, "precision": "fp32", "device": "cpu", "processes": processes}
        folder = tmp_path / name
        return start_job(
            {
                "cache_files": [str(path) for path in cache_files],
                "grid_mask": str(mask_file),
                "training": training,
                "card": {"Training": {"Runs": ["a", "b"]}},
                "work_dir": str(folder),
                "model_dir": str(folder / "model"),
            },
            folder,
        )

    one, two = load_model(job("one", 1)), load_model(job("two", 2))
    shown = [line for line in capfd.readouterr().err.replace("\r", "\n").splitlines() if line.strip()]
    assert all(line.startswith("Training: ") for line in shown), "something else than the bars was shown"
    assert two.card["Training"]["VolumesSeen"] == one.card["Training"]["VolumesSeen"] == 32
    assert two.card["Training"]["Runs"] == ["a", "b"]
    # Batch statistics are per process on CPU, so the two trainings are no more than close to each other.
    begin = weights_of(Model(new_network(PRESETS["tiny"], load_grid(mask_file), seed=0), one.grid))
    learned = [name for name, parameter in one.network.named_parameters() if parameter.ndim > 1]
    flat = [
        torch.cat([weights[name].flatten() for name in learned])
        for weights in (weights_of(one), weights_of(two), begin)
    ]
    assert (flat[0] - flat[1]).norm() < 0.5 * (flat[0] - flat[2]).norm()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGTERM])
def test_two_processes_that_are_warned_save_after_the_same_step_and_go_on(cache_files, mask_file, tmp_path, number):
    script = "import sys; from scaae_nipype.model.training.processes import start_job\n"
    script += "from pathlib import Path; import json\n"
    script += "start_job(json.loads(sys.argv[1]), Path(sys.argv[2]))"
    training = {"preset": "tiny", "train_volumes": 800, "precision": "fp32", "device": "cpu", "processes": 2}

    def start(name):
        folder = tmp_path / name
        job = {"cache_files": list(map(str, cache_files)), "grid_mask": str(mask_file), "training": training}
        job |= {"card": {}, "work_dir": str(folder), "model_dir": str(folder / "model")}
        command = [sys.executable, "-c", script, json.dumps(job), folder]
        return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)

    process = start("warned")
    shown = ""
    while "loss=" not in shown and (letter := process.stderr.read(1)):
        shown += letter
    assert "loss=" in shown, shown
    process.send_signal(number)
    shown += process.communicate(timeout=300)[1]
    assert process.returncode != 0
    assert f"interrupted by {number.name} after" in shown
    assert f"Training was interrupted by {number.name}; the same command goes on" in shown
    (checkpoint,) = (tmp_path / "warned/checkpoints").glob("step=*.ckpt")
    assert 0 < int(checkpoint.stem.split("=")[1]) < 100, "the training was over before it was warned"
    for name in ("warned", "straight"):
        process = start(name)
        shown = process.communicate(timeout=300)[1]
        assert process.returncode == 0, shown
    warned, straight = (load_model(tmp_path / name / "model") for name in ("warned", "straight"))
    assert warned.card["Training"]["VolumesSeen"] == 800
    assert_same_weights(weights_of(straight), weights_of(warned))


def test_settled_networks_stop_training_only_after_the_first_steps():
    class Trainer:
        global_step, should_stop = 0, False

    class Quiet(SettledNetworks):
        pass

    maps = np.random.default_rng(0).standard_normal((3, 2, 40))
    learner = Learner.__new__(Learner)
    torch.nn.Module.__init__(learner)
    learner.network, learner.log = torch.nn.Identity(), lambda *_: None
    stop = Quiet(lambda _: maps, interval=2, first=8, patience=2)
    trainer, stopped_at = Trainer(), None
    for step in range(1, 13):
        trainer.global_step = step
        stop.on_train_batch_end(trainer, learner)
        if trainer.should_stop and stopped_at is None:
            stopped_at = step
    assert stopped_at == 8
    assert stop.similarities == pytest.approx([1.0] * 5)
    resumed = SettledNetworks(lambda _: maps, interval=2)
    resumed.load_state_dict(stop.state_dict())
    np.testing.assert_array_equal(resumed.last, stop.last)


def test_bf16_is_refused_where_it_does_not_agree(cache_files, grid, tmp_path, monkeypatch):
    monkeypatch.setattr("scaae_nipype.model.training.train.AGREEMENT", 1.1)
    with pytest.raises(ModelError, match="bf16 is asked for, but its FBNs correlate only"):
        train(cache_files, grid, tmp_path / "work", train_volumes=8, precision="bf16")


def test_unknown_device(cache_files, grid, tmp_path):
    if torch.cuda.is_available():
        pytest.skip("this machine has CUDA")
    with pytest.raises(ModelError, match="PyTorch finds no CUDA device; use `device` cpu"):
        train(cache_files, grid, tmp_path / "work", device="cuda")
