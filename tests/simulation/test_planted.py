"""The head and the planted networks: densities, overlaps, places."""

import nibabel as nib
import numpy as np
import pytest

from scaae_nipype.errors import UsageError
from scaae_nipype.grid import Grid, load_grid
from scaae_nipype.simulation import fit_tissues, planted_networks, random_networks, source_grid


@pytest.mark.parametrize("voxel_size", [3.0, 4.0, 5.0, 8.0])
def test_the_source_grid_holds_the_whole_brain(voxel_size):
    grid = source_grid(voxel_size)
    litres = grid.n_voxels * voxel_size**3 / 1e6
    assert 1.8 < litres < 2.0  # the bundled MNI brain mask, with ventricles
    for axis in range(3):
        ends = grid.mask.any(axis=tuple(a for a in range(3) if a != axis))[[0, -1]]
        assert not ends.any(), "the brain touches the edge of the field of view"


def test_the_source_grid_is_oriented_unlike_the_models():
    assert nib.aff2axcodes(source_grid(4).affine) == ("R", "A", "S")
    assert nib.aff2axcodes(load_grid().affine) == ("L", "A", "S")


@pytest.mark.parametrize("voxel_size", [0.5, 11, float("nan")])
def test_an_absurd_voxel_size_is_refused(voxel_size):
    with pytest.raises(UsageError, match="from 1 to 10 mm"):
        source_grid(voxel_size)


def test_tissues_lie_where_anatomy_has_them():
    grid = source_grid(4)
    tissues = fit_tissues(grid)

    world = nib.affines.apply_affine(grid.affine, np.argwhere(grid.mask))

    def at(*place):
        return np.argmin(((world - place) ** 2).sum(axis=1))

    corpus_callosum, ventricle, precuneus = at(0, 22, 2), at(-8, -2, 18), at(0, -66, 38)
    assert tissues.white[at(26, -20, 34)] > 0.8
    assert tissues.white[corpus_callosum] > tissues.grey[corpus_callosum]
    assert tissues.csf[ventricle] > 0.5
    assert tissues.grey[precuneus] > 0.5
    assert tissues.white_mask.sum() > 1000
    assert tissues.csf_mask.sum() > 50
    assert not (tissues.white_mask & tissues.csf_mask).any()
    assert 8400 < tissues.baseline.min() <= tissues.baseline.max() < 12100


@pytest.mark.parametrize("where", ["source", "model"])
def test_networks_have_the_densities_of_templates_and_all_overlap(where):
    networks = planted_networks(source_grid(4) if where == "source" else load_grid())
    assert networks.maps.dtype == np.float32
    np.testing.assert_allclose(networks.maps.max(axis=1), 1)
    assert networks.maps.min() >= 0
    assert ((networks.densities > 0.03) & (networks.densities < 0.13)).all()
    pairs = networks.overlaps[np.triu_indices(len(networks), 1)]
    assert (pairs > 0).all()
    assert pairs.max() < 0.2  # and yet they are different networks
    np.testing.assert_allclose(np.diag(networks.overlaps), 1)


def test_networks_are_continuous_not_masks(networks):
    inside = networks.maps[networks.binary]
    assert len(np.unique(inside.round(3))) > 200


def test_networks_are_roughly_bilateral(head, networks):
    mirror = np.flip(head.volumes(networks.maps), axis=1)  # the grid's x axis is symmetric about the midline
    assert head.affine[0, 3] == -80
    assert head.shape[0] == 21
    for network, mirrored in zip(networks.maps, head.vectors(mirror), strict=True):
        assert np.corrcoef(network, mirrored)[0, 1] > 0.3


def test_networks_are_not_the_default_templates():
    grid = load_grid()
    labels = grid.read_vectors(_shipped("seitzman2018_dseg_4mm.nii.gz"))
    binary = planted_networks(grid).binary
    for label in range(1, int(labels.max()) + 1):
        template = labels == label
        iou = (binary & template).sum(axis=1) / (binary | template).sum(axis=1)
        assert iou.max() < 0.45


def _shipped(name):
    from importlib import resources

    return resources.files("scaae_nipype.data") / name


def test_jitter_moves_a_participants_networks_a_little(head, networks):
    own = planted_networks(head, jitter=3.0, rng=np.random.default_rng(0))
    again = planted_networks(head, jitter=3.0, rng=np.random.default_rng(0))
    np.testing.assert_array_equal(own.maps, again.maps)
    r = [np.corrcoef(a, b)[0, 1] for a, b in zip(own.maps, networks.maps, strict=True)]
    assert min(r) > 0.7
    assert max(r) < 0.999


def test_jitter_needs_a_generator(head):
    with pytest.raises(UsageError, match="random generator"):
        planted_networks(head, jitter=1.0)


def test_a_mask_without_some_network_is_refused():
    whole = source_grid(4)
    frontal = whole.mask.copy()
    frontal[:, :42] = False  # far from the cerebellum
    with pytest.raises(UsageError, match="outside the brain mask"):
        planted_networks(Grid(whole.affine, frontal))


def test_random_networks_are_template_like_and_differ_by_seed(head):
    one, two = (random_networks(head, 6, rng=np.random.default_rng(seed)) for seed in (0, 1))
    assert ((one.densities > 0.03) & (one.densities < 0.15)).all()
    assert not np.allclose(one.maps, two.maps)
    np.testing.assert_array_equal(one.maps, random_networks(head, 6, rng=np.random.default_rng(0)).maps)
    with pytest.raises(UsageError, match="at least two"):
        random_networks(head, 1, rng=np.random.default_rng(0))


def test_the_table_lists_networks_like_template_labels(networks):
    table = networks.table()
    assert list(table.columns) == ["index", "name", "density"]
    assert table["index"].tolist() == list(range(1, len(networks) + 1))
    assert table.name.is_unique
