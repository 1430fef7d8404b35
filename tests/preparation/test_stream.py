import math
import tracemalloc

import nibabel as nib
import numpy as np
import pytest

from scaae_nipype.errors import InputError
from scaae_nipype.preparation import stream
from scaae_nipype.preparation.stream import open_bold, read_mask
from scaae_nipype.preparation.timing import choose_timing


def save(path, data, *, scale=None, tr=2.0, unit="sec", affine=None, endianness="<"):
    header = nib.Nifti1Header(endianness=endianness)
    header.set_data_dtype(data.dtype)
    image = nib.Nifti1Image(data, np.eye(4) if affine is None else affine, header)
    if data.ndim == 4:
        image.header.set_zooms((1, 1, 1, tr))
        image.header.set_xyzt_units("mm", unit)
    if scale:
        image.header.set_slope_inter(*scale)
    nib.save(image, path)
    return path


def ramp(dtype, shape=(3, 4, 5, 6)):
    return np.random.default_rng(0).integers(0, 200, size=shape).astype(dtype)


@pytest.mark.parametrize("name", ["run.nii", "run.nii.gz"])
@pytest.mark.parametrize("dtype", ["u1", "i2", ">i2", "f4", "f8"])
@pytest.mark.parametrize("scale", [None, (0.25, -7.0)])
def test_volumes_are_nibabels(tmp_path, name, dtype, scale):
    path = save(tmp_path / name, ramp(dtype), scale=scale, endianness=">" if dtype[0] == ">" else "<")
    expected = nib.load(path).get_fdata()
    volumes = list(open_bold(path).volumes())
    assert len(volumes) == 6
    np.testing.assert_array_equal(np.stack(volumes, axis=-1), expected)
    assert (expected.min() < 0) == (scale is not None)


def test_memory_does_not_grow_with_the_number_of_volumes(tmp_path):
    """Further volumes may take what buffers and Python's bookkeeping need, less than two of 70 volumes."""
    shape, peaks = (40, 40, 40), []
    for n_volumes in (10, 10, 80):  # the first also allocates what is kept for good
        path = save(tmp_path / f"{n_volumes}.nii.gz", ramp("i2", (*shape, n_volumes)))
        tracemalloc.start()
        for _ in open_bold(path).volumes():
            pass
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[2] < peaks[1] + 2 * math.prod(shape) * np.dtype("i2").itemsize


def test_a_reader_may_stop_early(tmp_path, monkeypatch):
    opened, read = [], []

    class Opener(stream.ImageOpener):
        def __init__(self, *arguments, **keywords):
            super().__init__(*arguments, **keywords)
            opened.append(self)

        def read(self, *arguments):
            read.append(arguments)
            return super().read(*arguments)

    bold = open_bold(save(tmp_path / "run.nii.gz", ramp("i2", (3, 4, 5, 40))))
    monkeypatch.setattr(stream, "ImageOpener", Opener)
    volumes = bold.volumes()
    next(volumes)
    volumes.close()
    assert [opener.closed for opener in opened] == [True], "the file stays open"
    assert len(read) <= 2, "more is read than the volume that was asked for and the next"


@pytest.mark.parametrize(
    ("unit", "tr", "seconds"), [("sec", 2.5, 2.5), ("msec", 720, 0.72), ("usec", 8e5, 0.8), ("unknown", 3.0, 3.0)]
)
def test_the_repetition_time_is_in_seconds(tmp_path, unit, tr, seconds):
    bold = open_bold(save(tmp_path / "run.nii", ramp("i2"), tr=tr, unit=unit))
    repetition_time, source, _ = choose_timing(bold)
    assert repetition_time == pytest.approx(seconds)
    assert source == "header"
    assert choose_timing(bold, 1.5)[0] == 1.5


@pytest.mark.parametrize(("tr", "unit"), [(0.0, "sec"), (2000.0, "sec"), (2.0, "msec")])
def test_an_impossible_repetition_time_is_refused(tmp_path, tr, unit):
    bold = open_bold(save(tmp_path / "run.nii", ramp("i2"), tr=tr, unit=unit))
    with pytest.raises(InputError, match=r"run\.nii: the repetition time .*header.* RepetitionTime"):
        choose_timing(bold)
    with pytest.raises(InputError, match=r"of nan s \(sidecar\)"):
        choose_timing(bold, float("nan"), "sidecar")


@pytest.mark.parametrize("name", ["run.nii", "run.nii.gz"])
@pytest.mark.parametrize("part", [0.99, 0.6])
def test_a_truncated_file_is_refused(tmp_path, name, part):
    path = save(tmp_path / name, np.random.default_rng(0).normal(size=(8, 8, 8, 20)).astype("f4"))
    content = path.read_bytes()
    path.write_bytes(content[: int(part * len(content))])
    with pytest.raises(InputError, match=r"volume \d+ of 20 cannot be read .* truncated or damaged"):
        list(open_bold(path).volumes())


def test_a_damaged_file_is_refused(tmp_path):
    path = save(tmp_path / "run.nii.gz", np.random.default_rng(0).normal(size=(8, 8, 8, 20)).astype("f4"))
    content = bytearray(path.read_bytes())
    content[-6] ^= 0xFF  # the checksum, which only a reader that goes on to the end compares
    path.write_bytes(content)
    with pytest.raises(InputError, match="volume 19 of 20 cannot be read"):
        list(open_bold(path).volumes())


def test_other_unusable_files_are_refused(tmp_path):
    with pytest.raises(InputError, match="there is no such file"):
        open_bold(tmp_path / "none.nii.gz")
    (tmp_path / "link.nii.gz").symlink_to(tmp_path / ".git" / "annex" / "key")
    with pytest.raises(InputError, match="datalad get"):
        open_bold(tmp_path / "link.nii.gz")
    (tmp_path / "text.nii.gz").write_text("no image")
    with pytest.raises(InputError, match="cannot be read as a NIfTI image"):
        open_bold(tmp_path / "text.nii.gz")
    with pytest.raises(InputError, match="has the shape 3x4x5; a 4D image"):
        open_bold(save(tmp_path / "3d.nii", ramp("i2", (3, 4, 5))))
    with pytest.raises(InputError, match="has the shape 3x4x5x1; a 4D image"):
        open_bold(save(tmp_path / "one.nii", ramp("i2", (3, 4, 5, 1))))
    with pytest.raises(InputError, match="complex64 values"):
        open_bold(save(tmp_path / "complex.nii", ramp("c8")))
    nib.save(nib.MGHImage(ramp("f4"), np.eye(4)), tmp_path / "run.mgz")
    with pytest.raises(InputError, match="is not a NIfTI image"):
        open_bold(tmp_path / "run.mgz")


def test_a_singular_affine_is_refused(tmp_path):
    path = save(tmp_path / "flat.nii", ramp("i2"))
    raw = bytearray(path.read_bytes())
    raw[254:256] = (1).to_bytes(2, "little")  # sform_code
    raw[252:254] = (0).to_bytes(2, "little")
    raw[280:328] = bytes(48)  # srow_x, srow_y, srow_z
    path.write_bytes(raw)
    with pytest.raises(InputError, match="affine is singular"):
        open_bold(path)


def test_a_mask_must_belong_to_its_run(tmp_path):
    bold = open_bold(save(tmp_path / "run.nii", ramp("i2")))
    mask = np.zeros((3, 4, 5), "u1")
    with pytest.raises(InputError, match=r"empty\.nii: the brain mask is empty"):
        read_mask(save(tmp_path / "empty.nii", mask), bold)
    mask[1, 2, 3] = 1
    assert read_mask(save(tmp_path / "good.nii", mask), bold)[0].sum() == 1
    assert read_mask(save(tmp_path / "good4d.nii", mask[..., None]), bold)[0].sum() == 1
    with pytest.raises(InputError, match=r"lies on another grid \(3x4x4\) than its run run\.nii \(3x4x5"):
        read_mask(save(tmp_path / "shape.nii", mask[:, :, 1:]), bold)
    with pytest.raises(InputError, match=r"another affine, which puts a corner 0\.8 mm elsewhere"):
        read_mask(save(tmp_path / "affine.nii", mask, affine=np.diag([1, 1, 1.2, 1])), bold)


def test_a_damaged_mask_is_refused(tmp_path):
    bold = open_bold(save(tmp_path / "run.nii", ramp("i2", (20, 20, 20, 2))))
    mask = save(tmp_path / "damaged.nii.gz", np.random.default_rng(0).normal(size=(20, 20, 20)).astype("f4"))
    mask.write_bytes(mask.read_bytes()[:-300])
    with pytest.raises(InputError, match=r"damaged\.nii\.gz: the mask cannot be read"):
        read_mask(mask, bold)
