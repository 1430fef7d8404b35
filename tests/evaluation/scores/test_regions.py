import nibabel as nib
import numpy as np
from nilearn.maskers import NiftiLabelsMasker

from scaae_nipype.evaluation import region_means
from scaae_nipype.grid import Grid


def test_region_means_are_those_of_nilearns_labels_masker():
    rng = np.random.default_rng(0)
    affine = np.diag([4.0, 4, 4, 1])
    labels = rng.integers(0, 4, (6, 6, 6)).astype("i2")
    data = rng.random((6, 6, 6, 5)).astype("f4")
    grid = Grid(affine, np.ones((6, 6, 6), bool))
    masker = NiftiLabelsMasker(nib.Nifti1Image(labels, affine), standardize=None)
    expected = masker.fit_transform(nib.Nifti1Image(data, affine))
    regions = grid.vectors(np.array([labels == label for label in (1, 2, 3)]))
    np.testing.assert_allclose(region_means(grid.vectors(np.moveaxis(data, -1, 0)), regions), expected, rtol=1e-5)


def test_regions_may_overlap_and_be_empty():
    maps = np.array([[1.0, 2.0, 6.0]])
    regions = np.array([[True, True, True], [False, False, True], [False, False, False]])
    found = region_means(maps, regions)
    np.testing.assert_array_equal(found[0, :2], [3.0, 6.0])
    assert np.isnan(found[0, 2])
