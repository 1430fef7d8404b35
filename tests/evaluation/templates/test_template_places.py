"""Images that are no templates, or lie elsewhere than the brain: refused in one line, or named."""

import nibabel as nib
import numpy as np
import pytest
from brain_and_blobs import AFFINE, SHAPE, SIZES, blobs, six_labels

from scaae_nipype.errors import InputError, UsageError
from scaae_nipype.evaluation import load_templates
from scaae_nipype.grid import load_grid


def test_what_is_no_image_of_numbers_is_refused_in_one_line(brain, save, tmp_path):
    colours = np.zeros(SHAPE, dtype=[("R", "u1"), ("G", "u1"), ("B", "u1")])
    with pytest.raises(InputError, match=r"holds colours"):
        load_templates(save(colours), grid=brain)
    with pytest.raises(InputError, match=r"holds values of type complex64"):
        load_templates(save(np.ones(SHAPE, np.complex64)), grid=brain)
    with pytest.raises(InputError, match="has 2 dimensions"):
        load_templates(save(np.ones((5, 5), "f4")), grid=brain)
    surface = nib.gifti.GiftiImage(darrays=[nib.gifti.GiftiDataArray(np.ones(9, "f4"))])
    nib.save(surface, tmp_path / "surface.func.gii")
    with pytest.raises(InputError, match="is no volume image"):
        load_templates(tmp_path / "surface.func.gii", grid=brain)
    with pytest.raises(UsageError, match="is a folder; give one image"):
        load_templates(tmp_path, grid=brain)
    with pytest.raises(UsageError, match="`template_kind` continuous: the default templates are labels"):
        load_templates("default", grid=load_grid(), kind="continuous")


def test_an_image_that_leaves_open_where_it_lies_is_refused(brain, save, tmp_path):
    image = nib.Nifti1Image(six_labels(), None)
    image.header.set_zooms((4, 4, 4))
    nib.save(image, tmp_path / "unplaced.nii.gz")
    with pytest.raises(InputError, match=r"unplaced\.nii\.gz: its header has neither sform nor qform"):
        load_templates(tmp_path / "unplaced.nii.gz", grid=brain)
    nib.save(nib.AnalyzeImage(six_labels(), np.diag([4.0, 4, 4, 1])), tmp_path / "old.img")
    with pytest.raises(InputError, match=r"old\.img: is an Analyze file, which does not say where it lies"):
        load_templates(tmp_path / "old.img", grid=brain)


def test_doubts_about_the_place_of_an_image_are_passed_on(brain, save):
    image = nib.Nifti1Image(six_labels(), AFFINE)
    image.set_qform(AFFINE, code=3)
    image.set_sform(AFFINE, code=3)
    nib.save(image, save(six_labels()))
    assert any("Talairach space, not in MNI space" in text for text in load_templates(save.path, grid=brain).warnings)


def test_other_formats_that_say_their_place_are_read(brain, tmp_path):
    nib.save(nib.MGHImage(six_labels().astype(np.int32), AFFINE.astype("f4")), tmp_path / "aparc.mgz")
    templates = load_templates(tmp_path / "aparc.mgz", grid=brain)
    assert (templates.voxels.tolist(), templates.warnings) == (SIZES, ())


# ---- where it lies -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["labels", "maps"])
def test_an_image_beside_the_brain_is_refused_with_both_places(brain, save, kind):
    values = six_labels() if kind == "labels" else blobs().astype("f4")
    far = AFFINE.copy()
    far[:3, 3] += 1000
    with pytest.raises(
        InputError, match=r"no template has a voxel in the model's brain mask: its values lie at x 9\d\d to"
    ):
        load_templates(save(values, affine=far), grid=brain)
    other_grid = np.diag([2.0, 2, 2, 1])
    other_grid[:3, 3] = -500
    with pytest.raises(InputError, match=r"is the image in MNI space\?"):
        load_templates(save(values, affine=other_grid), grid=brain)


def test_flipped_axes_do_not_matter(brain, save):
    flipped = AFFINE @ np.diag([-1.0, 1, 1, 1])
    flipped[0, 3] = AFFINE[0, 0] * (SHAPE[0] - 1) + AFFINE[0, 3]
    plain = load_templates(save(six_labels()), grid=brain)
    turned = load_templates(save(six_labels()[::-1], affine=flipped), grid=brain)
    np.testing.assert_array_equal(turned.binary, plain.binary)
    turned = load_templates(save(blobs()[::-1].astype("f4"), affine=flipped), grid=brain)
    np.testing.assert_array_equal(turned.binary, load_templates(save(blobs().astype("f4")), grid=brain).binary)


def test_templates_that_lie_mostly_outside_the_brain_are_named(brain, save):
    labels = np.zeros(SHAPE, np.int16)
    labels[0:3, 5:10, 5:10], labels[5:8, 5:10, 5:10], labels[0:2, 15:20, 5:10] = 1, 2, 3
    templates = load_templates(save(labels), grid=brain)
    np.testing.assert_allclose(templates.share_in_mask, [1 / 3, 1, 0])
    assert templates.warnings == (
        "Template label1 lies mostly outside the model's brain mask: 33 % of its 75 voxels are inside.",
        "Template label3 has no voxel in the model's brain mask.",
    )


def test_labels_that_fall_between_the_voxels_of_the_grid_are_named(brain, save):
    """A label of one voxel of 1.3 mm is lost between voxels of 4 mm; whoever counts regions has to know."""
    fine = np.zeros((70, 75, 65), np.int16)
    fine[20:32, 20:32, 20:32], fine[46, 46, 46] = 1, 2
    affine = np.diag([4 / 3, 4 / 3, 4 / 3, 1])
    affine[:3, 3] = AFFINE[:3, 3] - 4 / 3 * 0.3
    templates = load_templates(save(fine, affine=affine), grid=brain)
    assert templates.names == ("label1", "label2")
    assert templates.voxels.tolist() == [64, 0]
    assert templates.image_voxels.tolist() == [12**3, 1]
    assert templates.warnings == (
        "Template label2 is lost: its 1 voxel of the image fall between those of the model's grid.",
    )
