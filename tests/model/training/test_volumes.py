"""The cache of training volumes and the order in which they are shown."""

import itertools

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaae_nipype.errors import InputError, ModelError
from scaae_nipype.files import write_table
from scaae_nipype.model.training.volumes import VolumeCache, VolumeStream, cache_run, write_cache


def numbered(*lengths):
    ends = np.cumsum([0, *lengths])
    runs = [np.arange(a, b, dtype=np.float16)[:, None] for a, b in itertools.pairwise(ends)]
    return VolumeCache(runs, [None] * len(runs))


def test_volumes_are_found_across_runs_in_half_precision(cache_files, vectors, grid):
    cache = VolumeCache.open(cache_files, grid)
    assert len(cache) == len(vectors)
    np.testing.assert_allclose(cache.take([0, 8, 9, 15]), vectors[[0, 8, 9, 15]], atol=2e-3)
    assert isinstance(cache.runs[0], np.memmap)


def test_a_sample_is_spread_over_all_runs():
    assert numbered(50, 50).sample(5).ravel().tolist() == [0, 25, 50, 74, 99]
    assert len(numbered(2, 1).sample(10)) == 3


@given(lengths=st.lists(st.integers(1, 7), min_size=1, max_size=4), batch=st.integers(1, 6), seed=st.integers(0, 2**31))
def test_every_epoch_shows_every_volume_once(lengths, batch, seed):
    cache = numbered(*lengths)
    stream = VolumeStream(cache, batch_size=batch, seed=seed)
    n_epochs = 3
    steps = -(-n_epochs * len(cache) // batch)
    shown = np.concatenate([stream.indices(step) for step in range(steps)])[: n_epochs * len(cache)]
    for epoch in shown.reshape(n_epochs, -1):
        assert sorted(epoch) == list(range(len(cache)))


def test_processes_share_each_batch():
    cache = numbered(11)
    whole = next(iter(VolumeStream(cache, batch_size=4, seed=0, start=2))).ravel().tolist()
    shares = [
        next(iter(VolumeStream(cache, batch_size=4, seed=0, start=2, rank=rank, world_size=2))).ravel().tolist()
        for rank in range(2)
    ]
    assert sorted(whole) == sorted(shares[0] + shares[1])
    with pytest.raises(ModelError, match="cannot be shared equally by 3 processes"):
        VolumeStream(cache, batch_size=4, seed=0, world_size=3)


def test_a_prepared_run_is_cached_without_its_dropped_volumes(grid, vectors, tmp_path):
    nib.save(grid.image(vectors, 2.0), tmp_path / "run.nii.gz")
    kept = np.ones(len(vectors), dtype=int)
    kept[[0, 5]] = 0
    write_table(pd.DataFrame({"volume": range(len(kept)), "kept": kept}), tmp_path / "samples.tsv")
    path = cache_run(tmp_path / "run.nii.gz", tmp_path / "samples.tsv", grid, tmp_path / "run.npy")
    cache = VolumeCache.open([path], grid)
    np.testing.assert_allclose(cache.take(range(len(vectors) - 2)), vectors[kept == 1], atol=5e-3)
    np.testing.assert_array_equal(cache.seconds[0], 2.0 * np.flatnonzero(kept))
    write_table(pd.DataFrame({"kept": kept[:-1]}), tmp_path / "samples.tsv")
    with pytest.raises(InputError, match="15 rows for 16 volumes"):
        cache_run(tmp_path / "run.nii.gz", tmp_path / "samples.tsv", grid, tmp_path / "run.npy")


def test_where_no_repetition_time_is_known_there_are_no_times(grid, vectors, tmp_path):
    image = grid.image(vectors[:3], 1.0)
    image.header.set_xyzt_units("mm", "unknown")  # as programs leave it that know none
    nib.save(image, tmp_path / "run.nii.gz")
    write_table(pd.DataFrame({"kept": [1, 1, 1]}), tmp_path / "samples.tsv")
    path = cache_run(tmp_path / "run.nii.gz", tmp_path / "samples.tsv", grid, tmp_path / "run.npy")
    assert VolumeCache.open([path], grid).seconds == [None]


def test_damaged_foreign_and_empty_caches(grid, tmp_path):
    (tmp_path / "bad.npy").write_bytes(b"\x93NUMPY")
    with pytest.raises(ModelError, match=r"bad\.npy: cannot be read"):
        VolumeCache.open([tmp_path / "bad.npy"], grid)
    np.save(tmp_path / "other.npy", np.zeros((3, 7)))
    with pytest.raises(ModelError, match=r"holds \(3, 7\), not volumes of .* voxels"):
        VolumeCache.open([tmp_path / "other.npy"], grid)
    write_cache(np.zeros((3, grid.n_voxels)), tmp_path / "times.npy", np.arange(4.0))
    with pytest.raises(ModelError, match=r"holds 3 volumes and times of \(4,\)"):
        VolumeCache.open([tmp_path / "times.npy"], grid)
    cut = (tmp_path / "times.npy").read_bytes()[:-9]
    (tmp_path / "times.npy").write_bytes(cut)
    with pytest.raises(ModelError, match=r"times\.npy: cannot be read as cached volumes"):
        VolumeCache.open([tmp_path / "times.npy"], grid)
    with pytest.raises(ModelError, match="no volume to train on"):
        VolumeCache.open([], grid)
