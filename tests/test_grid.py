"""The grid: in and out of it, and what ships."""

import gzip

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaae_nipype.errors import InputError
from scaae_nipype.files import read_table
from scaae_nipype.grid import AFFINE, SHAPE, Grid, load_grid
from tools.shipped_templates import brain_grid, seitzman_labels


@pytest.fixture(scope="module")
def grid():
    return load_grid()


def test_the_shipped_mask_and_templates_are_what_their_recipe_makes(grid):
    import scaae_nipype.data

    folder = scaae_nipype.data.__path__[0]
    assert brain_grid().checksum == grid.checksum
    labels, table = seitzman_labels(grid)
    np.testing.assert_array_equal(grid.read_vectors(f"{folder}/seitzman2018_dseg_4mm.nii.gz"), labels)
    assert read_table(f"{folder}/seitzman2018_dseg.tsv").equals(table)
    shares = np.bincount(labels)[1:] / grid.n_voxels
    assert shares.min() >= 0.01
    assert shares.max() < 0.15


def test_the_shipped_mask_is_close_to_the_papers(shared, grid):
    paper = load_grid(shared / "data/templates/adhd200_mask_4mm.nii.gz")
    assert paper.shape == grid.shape == SHAPE
    np.testing.assert_allclose(paper.affine, AFFINE)
    common = (paper.mask & grid.mask).sum()
    assert 2 * common / (paper.n_voxels + grid.n_voxels) > 0.95


def test_world_coordinates_of_the_grid():
    x, y, z = nib.affines.apply_affine(AFFINE, [10, 20, 30])
    assert (x, y, z) == (96 - 40, 80 - 132, 120 - 70)


@given(st.data())
def test_vectors_and_volumes_are_inverse_and_the_box_is_tight(data):
    shape = tuple(data.draw(st.integers(1, 5)) for _ in range(3))
    mask = np.array(data.draw(st.lists(st.booleans(), min_size=int(np.prod(shape)), max_size=int(np.prod(shape)))))
    mask = mask.reshape(shape)
    if not mask.any():
        with pytest.raises(InputError, match="is empty"):
            Grid(np.eye(4), mask)
        return
    grid = Grid(np.eye(4), mask)
    vectors = np.arange(2 * grid.n_voxels, dtype=np.float32).reshape(2, -1) + 1
    volumes = grid.volumes(vectors)
    np.testing.assert_array_equal(grid.vectors(volumes), vectors)
    assert not volumes[:, ~mask].any()
    inside = np.zeros_like(mask)
    inside[grid.box] = True
    assert not (mask & ~inside).any()
    assert mask[grid.box].any(axis=(1, 2)).all() or min(grid.box_shape) >= 1
    edges = [mask[grid.box].take(i, axis=axis).any() for axis in range(3) for i in (0, -1)]
    assert all(edges)


def test_images_survive_the_disk(grid, tmp_path):
    vectors = np.random.default_rng(0).standard_normal((40, grid.n_voxels), dtype=np.float32)
    nib.save(grid.image(vectors, 1.5), tmp_path / "run.nii.gz")
    image = nib.load(tmp_path / "run.nii.gz")
    assert grid.matches(image)
    assert image.header.get_zooms()[3] == 1.5
    assert image.header.get_xyzt_units() == ("mm", "sec")
    np.testing.assert_allclose(grid.read_vectors(tmp_path / "run.nii.gz"), vectors, atol=1e-3)
    nib.save(grid.image(vectors[0] > 0), tmp_path / "mask.nii.gz")
    assert load_grid(tmp_path / "mask.nii.gz").n_voxels == (vectors[0] > 0).sum()


@pytest.mark.parametrize("stored", [np.int16, np.uint8, np.float32])
def test_stored_numbers_are_scaled_as_nibabel_does(grid, tmp_path, stored):
    values = np.random.default_rng(0).integers(0, 200, (*grid.shape, 40)).astype(stored)
    image = nib.Nifti1Image(values, grid.affine)
    image.header.set_slope_inter(0.37, -3.0)
    for name in ("scaled.nii.gz", "scaled.nii"):
        nib.save(image, tmp_path / name)
        expected = nib.load(tmp_path / name).get_fdata()[grid.mask].T.astype(np.float32)
        np.testing.assert_array_equal(grid.read_vectors(tmp_path / name), expected)


def test_the_checksum_tells_spaces_apart_but_not_files(grid, tmp_path):
    grid.save(tmp_path / "a.nii")
    assert load_grid(tmp_path / "a.nii").checksum == grid.checksum
    assert Grid(grid.affine + np.eye(4) * 0.1, grid.mask).checksum != grid.checksum
    assert Grid(grid.affine, grid.mask[:, :, :-1]).checksum != grid.checksum


def test_unusable_images_are_one_line(grid, tmp_path):
    (tmp_path / "text.nii.gz").write_bytes(gzip.compress(b"no image"))
    with pytest.raises(InputError, match=r"text\.nii\.gz: cannot be read as a mask image"):
        load_grid(tmp_path / "text.nii.gz")
    nib.save(nib.Nifti1Image(np.zeros((3, 3, 3), "u1"), np.eye(4)), tmp_path / "empty.nii")
    with pytest.raises(InputError, match=r"empty\.nii: The brain mask of the grid is empty"):
        load_grid(tmp_path / "empty.nii")
    with pytest.raises(InputError, match="lies on another grid"):
        grid.read_vectors(tmp_path / "empty.nii")
    whole = grid.save(tmp_path / "mask.nii.gz").read_bytes()
    (tmp_path / "cut.nii.gz").write_bytes(whole[:-300])
    with pytest.raises(InputError, match=r"cut\.nii\.gz: cannot be read"):
        grid.read_vectors(tmp_path / "cut.nii.gz")
