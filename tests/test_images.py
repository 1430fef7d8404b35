"""Images are read with one notion of what a damaged file is, and written compact and whole."""

import gzip
import math
import os
import tracemalloc
import warnings

import nibabel as nib
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from scaae_nipype.errors import GridError, InputError
from scaae_nipype.evaluation.templates.template_images import read_templates
from scaae_nipype.grid import load_grid
from scaae_nipype.headers import header_repetition_time
from scaae_nipype.images import (
    IMAGE_ERRORS,
    image_4d,
    limit_memory,
    open_image,
    quantise,
    read_image,
    reading_image,
    values_of,
    write_image,
)
from scaae_nipype.preparation.stream import open_bold

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


def lying(path, shape, dtype="f8", *, held=b""):
    """Write a header that claims an image of a shape, with other values behind it than so many; its path."""
    header = nib.Nifti1Header()
    header.set_data_dtype(dtype)
    header.set_data_shape(shape)
    header["vox_offset"] = 352
    header.set_sform(AFFINE, code=4)
    content = header.binaryblock + bytes(4) + held
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


@pytest.mark.parametrize("name", ["x.nii", "x.nii.gz"])
def test_a_header_that_claims_more_than_its_file_can_hold_is_refused_before_room_is_made(tmp_path, name):
    path = lying(tmp_path / name, (1000, 1000, 1000))
    tracemalloc.start()
    with pytest.raises(InputError, match=r"its header claims 1000x1000x1000 values of .*7\.45 GiB.*cannot hold"):
        open_image(path)
    assert tracemalloc.get_traced_memory()[1] < 20e6
    tracemalloc.stop()


def test_a_megabyte_that_could_be_more_is_counted_before_room_is_made(tmp_path):
    """A run of 32,767 volumes in a megabyte that unpacks to less than a hundredth of them."""
    path = lying(tmp_path / "x.nii.gz", (12, 12, 12, 32767), "i2", held=np.random.default_rng(0).bytes(10**6))
    assert path.stat().st_size * 1032 > 32767 * 3456
    with pytest.raises(InputError, match=r"12x12x12x32767 .*cannot hold more than"):
        open_image(path)


def test_an_image_of_zeros_is_no_lie(tmp_path):
    path = lying(tmp_path / "x.nii.gz", (256, 256, 256), "f8", held=bytes(256**3 * 8))
    assert path.stat().st_size * 500 < 256**3 * 8
    assert open_image(path).shape == (256, 256, 256)


@pytest.mark.parametrize("kind", ["fifo", "loop", "folder", "device"])
def test_what_is_no_regular_file_is_refused_and_not_waited_for(tmp_path, kind):
    path = tmp_path / "x.nii.gz"
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to(path if kind == "loop" else "/dev/zero")
    for read in (open_image, read_image):
        with pytest.raises(InputError, match=r"x\.nii\.gz: cannot be read"):
            read(path)


def test_an_image_that_does_not_fit_into_the_memory_of_the_job_is_refused(tmp_path):
    write_image(nib.Nifti1Image(np.zeros((50, 50, 50), "u1"), AFFINE), tmp_path / "x.nii.gz")
    limit_memory(0.0004)
    try:
        with pytest.raises(InputError, match=r"x\.nii\.gz: its values take .* GB of memory .*`memory_gb`"):
            read_image(tmp_path / "x.nii.gz")
    finally:
        limit_memory(math.inf)
    assert read_image(tmp_path / "x.nii.gz")[0].shape == (50, 50, 50)


def test_a_surface_is_no_image_in_volumes(tmp_path):
    nib.save(nib.gifti.GiftiImage(), tmp_path / "x.gii")
    with pytest.raises(InputError, match=r"is no volume image but a GiftiImage"):
        open_image(tmp_path / "x.gii")


@given(changes=st.lists(st.tuples(st.integers(0, 351), st.integers(0, 255)), min_size=1, max_size=8))
def test_whatever_stands_in_a_header_it_is_read_or_refused_in_a_line(changes, tmp_path_factory):
    content = bytearray(nib.Nifti1Image(np.ones((3, 4, 5, 2), "i2"), AFFINE).to_bytes())
    for position, value in changes:
        content[position] = value
    path = tmp_path_factory.getbasetemp() / "header.nii"
    path.write_bytes(content)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # of numbers that a damaged slope makes infinite
        for read in (read_image, open_bold, load_grid, read_templates, header_repetition_time):
            try:
                read(path)
            except InputError as error:
                assert "\n" not in str(error) and "header.nii" in str(error)
