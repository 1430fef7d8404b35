"""Images are read with one notion of what a damaged file is, and written compact and whole."""

import nibabel as nib
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from scaae_nipype.errors import GridError, InputError
from scaae_nipype.images import IMAGE_ERRORS, image_4d, quantise, read_image, reading_image, values_of, write_image

AFFINE = np.diag([4.0, 4, 4, 1])
ROWS = arrays(np.float32, (3, 8), elements=st.floats(-1e6, 1e6, width=32))


@pytest.mark.parametrize("kind", IMAGE_ERRORS)
def test_whatever_nibabel_raises_becomes_one_line_that_names_the_file(kind):
    with pytest.raises(InputError, match=r"^a\.nii: cannot be read as a mask \(.*odd words.*\)\.$") as caught:
        _read_badly(kind)
    assert len(str(caught.value).splitlines()) == 1


def _read_badly(kind):
    with reading_image("a.nii", what="a mask"):
        raise kind("odd words" if kind is KeyError else "odd\n  words")


def test_our_own_errors_and_interruptions_pass():
    for kind in (InputError, GridError, KeyboardInterrupt):
        with pytest.raises(kind, match="as it is"), reading_image("a.nii"):
            raise kind("as it is")


@given(ROWS)
@example(np.full((2, 3), 8e-37, dtype=np.float32))
def test_rounding_to_integers_is_off_by_half_a_step_at_most(rows):
    rounded, slope = quantise(rows)
    assert rounded.dtype == np.int16
    assert np.abs(rounded * slope - rows).max() <= 0.51 * slope + 1e-3 * slope
    np.testing.assert_array_equal(rounded == 0, np.abs(rows) <= slope / 2)


def test_what_is_written_is_read_again(tmp_path):
    volumes = np.random.default_rng(0).normal(size=(3, 4, 5, 6)).astype("f4")
    path = write_image(image_4d(volumes, AFFINE, 2.5), tmp_path / "new" / "run.nii.gz")
    values, image = read_image(path)
    np.testing.assert_allclose(values, volumes, atol=np.abs(volumes).max() / 32767)
    np.testing.assert_array_equal(image.affine, AFFINE)
    assert image.header.get_zooms()[3] == 2.5
    assert [path.name for path in path.parent.iterdir()] == ["run.nii.gz"]


def test_images_that_are_no_files_have_values_too():
    volumes = np.arange(8.0).reshape(2, 2, 2)
    with values_of(nib.Nifti1Image(volumes, AFFINE)) as values:
        np.testing.assert_array_equal(values, volumes)
