"""Two jobs on one thing: one works, the other waits, and the dead hold nothing."""

import errno
import multiprocessing
import os
import time
from pathlib import Path

import pytest

from scaae_nipype.bids_app.engine.locks import LEASE_SECONDS, Lock
from scaae_nipype.bids_app.job.model_store import ModelStore
from scaae_nipype.errors import ModelError, ScaaeError
from scaae_nipype.grid import load_grid

FORK = multiprocessing.get_context("fork")


def write_model(folder: Path, checksum: str) -> Path:
    from scaae_nipype.files import write_json

    folder.mkdir(parents=True)
    write_json({"WeightsSHA256": checksum}, folder / "card.json")
    (folder / "weights.safetensors").touch()
    load_grid().save(folder / "mask.nii.gz")
    return folder


def get_model(root, name, replacing, barrier, results):
    """Ask the store for a model, as a job does; runs in a process of its own."""
    made = []

    def make():
        made.append(name)
        time.sleep(4)
        return write_model(Path(root, "work", name), f"checksum of {name}")

    barrier.wait()
    said = []
    found = ModelStore(Path(root, "out"), "model").get(make, replacing=replacing, say=said.append)
    results.put((name, bool(made), found.checksum, said))


def race(tmp_path, replacing=None):
    barrier, results = FORK.Barrier(2), FORK.Queue()
    jobs = [
        FORK.Process(target=get_model, args=(str(tmp_path), name, replacing, barrier, results)) for name in ("a", "b")
    ]
    for job in jobs:
        job.start()
    answers = [results.get(timeout=60) for _ in jobs]
    for job in jobs:
        job.join()
    return answers


def test_two_jobs_train_one_model(tmp_path):
    answers = race(tmp_path)
    trained = [name for name, made, _, _ in answers if made]
    assert len(trained) == 1
    assert {checksum for _, _, checksum, _ in answers} == {f"checksum of {trained[0]}"}
    said = [line for name, made, _, lines in answers if not made for line in lines]
    assert said
    assert said[0].startswith("Waiting for another job (process ")
    assert said[0].endswith("to finish fitting the model.")


def test_two_jobs_that_retrain_replace_the_model_once(tmp_path):
    write_model(tmp_path / "out" / "models" / "model", "old")
    answers = race(tmp_path, replacing="old")
    assert sum(made for _, made, _, _ in answers) == 1
    assert "old" not in {checksum for _, _, checksum, _ in answers}
    assert [path.name for path in (tmp_path / "out" / "models").glob("*") if not path.name.startswith(".")] == ["model"]


def take_and_die(path, taken):
    lock = Lock(Path(path), "it")
    assert lock.try_acquire()
    taken.set()
    time.sleep(0.2)
    os._exit(9)


def take_and_stay(path, taken, released):
    with Lock(Path(path), "it"):
        taken.set()
        released.wait()


def test_the_lock_of_a_dead_process_is_free(tmp_path):
    path, taken = tmp_path / "it.lock", FORK.Event()
    job = FORK.Process(target=take_and_die, args=(str(path), taken))
    job.start()
    assert taken.wait(30)
    job.join()
    assert path.exists()
    assert Lock(path, "it").try_acquire()


def test_the_lock_of_a_living_process_is_not(tmp_path):
    path, taken, released = tmp_path / "it.lock", FORK.Event(), FORK.Event()
    job = FORK.Process(target=take_and_stay, args=(str(path), taken, released))
    job.start()
    assert taken.wait(30)
    lock = Lock(path, "it")
    assert not lock.try_acquire()
    assert lock.owner.startswith(f"process {job.pid} on ")
    released.set()
    job.join()
    assert lock.try_acquire()


def write_lock_of_another_machine(path, lease_seconds=LEASE_SECONDS):
    first = Lock(path, "it", lease_seconds=lease_seconds)
    assert first.try_acquire()
    elsewhere = path.read_text()
    first.release()
    lines = [f"host=elsewhere-{line}" if line.startswith("host=") else line for line in elsewhere.splitlines()]
    path.write_text("\n".join(lines) + "\n")


def test_a_lock_from_another_machine_that_gives_no_sign_of_life_is_taken_over(tmp_path):
    path = tmp_path / "it.lock"
    write_lock_of_another_machine(path, lease_seconds=4)
    waiting, said = Lock(path, "it", lease_seconds=4), []
    assert not waiting.try_acquire()
    waiting.acquire(said.append)
    assert "elsewhere-" in said[0]
    assert waiting.owner.startswith(f"process {os.getpid()} on ") and "elsewhere-" not in waiting.owner


@pytest.mark.parametrize(("age", "is_free"), [(LEASE_SECONDS + 60, True), (LEASE_SECONDS - 60, False)])
def test_a_lock_from_another_machine_is_free_at_once_if_its_time_is_over_long_since(tmp_path, age, is_free):
    """A node went down in the night: its participant's next task need not watch the lock for three minutes first."""
    path = tmp_path / "logs" / ".claims" / "sub-01.lock"
    write_lock_of_another_machine(path)
    then = time.time() - age
    os.utime(path, (then, then))
    lock = Lock(path, "sub-01")
    assert lock.try_acquire() is is_free
    assert ("elsewhere-" in lock.owner) is not is_free
    lock.release()
    assert not list(path.parent.glob(".time-*"))


def test_an_old_lock_of_a_living_process_here_is_not_free(tmp_path):
    """A machine that was suspended wakes up: its processes live, and go on."""
    path, taken, released = tmp_path / "it.lock", FORK.Event(), FORK.Event()
    job = FORK.Process(target=take_and_stay, args=(str(path), taken, released))
    job.start()
    assert taken.wait(30)
    then = time.time() - 10 * LEASE_SECONDS
    os.utime(path, (then, then))
    assert not Lock(path, "it").try_acquire()
    released.set()
    job.join()


def test_a_damaged_model_is_named_or_replaced(tmp_path):
    store = ModelStore(tmp_path / "out", "model")
    store.folder.mkdir(parents=True)
    (store.folder / "card.json").write_text("{")
    with pytest.raises(ModelError, match=r"out/models/model: is not a model folder .* Give --retrain to replace it\."):
        store.find()
    replacing = ModelStore(tmp_path / "out", "model", may_be_damaged=True)
    assert replacing.get(lambda: write_model(tmp_path / "new", "fresh")).checksum == "fresh"
    assert store.find().checksum == "fresh"


def test_a_model_that_cannot_be_written_leaves_the_old_one(tmp_path):
    store = ModelStore(tmp_path / "out", "model")
    write_model(store.folder, "old")
    with pytest.raises(ModelError, match="the model cannot be written"):
        store.get(lambda: tmp_path / "nowhere", replacing="old")
    assert store.find().checksum == "old"
    assert not list(store.folder.parent.glob(".writing-*"))


def test_a_full_disk_is_one_line(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("filelock._marker.write_all", full)
    with pytest.raises(ScaaeError, match=r"\.claims: no lock can be written for sub-01 \(No space left on device\)\."):
        Lock(tmp_path / ".claims" / "sub-01.lock", "sub-01").acquire()
