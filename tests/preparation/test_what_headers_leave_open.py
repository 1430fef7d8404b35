"""Where a brain lies and when a volume was taken is never guessed in silence."""

import nibabel as nib
import numpy as np
import pytest

from scaae_nipype.errors import InputError
from scaae_nipype.files import read_json
from scaae_nipype.interfaces.preparation import PrepareRun
from scaae_nipype.options import Preparation
from scaae_nipype.preparation import prepare_run


def change_header(path, **fields):
    """Write fields of a header as they are, without nibabel's care."""
    image = nib.load(path)
    data = np.asanyarray(image.dataobj)
    image = nib.Nifti1Image(data, None, image.header)
    for name, value in fields.items():
        if isinstance(value, tuple):
            image.header[name][value[0]] = value[1]
        else:
            image.header[name] = value
    nib.save(image, path)


def set_transforms(path, sform, qform, *, codes):
    image = nib.load(path)
    image = nib.Nifti1Image(np.asanyarray(image.dataobj), None, image.header)
    image.header.set_sform(sform, code=codes[0])
    image.header.set_qform(qform, code=codes[1])
    nib.save(image, path)


def moved(affine, x=0.0, y=0.0, z=0.0, degrees=0.0):
    turn, angle = np.eye(4), np.deg2rad(degrees)
    turn[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    turn[:3, 3] = x, y, z
    return turn @ affine


def prepare(files, grid, **arguments):
    settings = {name: arguments.pop(name) for name in Preparation.__dataclass_fields__ if name in arguments}
    preparation = Preparation(**{"strategy": "none", **settings})
    return prepare_run(files.bold, grid=grid, preparation=preparation, **{"mask": files.mask, **arguments})


class TestRepetitionTime:
    @pytest.mark.parametrize(
        ("pixdim", "units", "said"),
        [
            (1.0, 2, "gives 1 without a unit of time"),  # what nibabel writes of an array and an affine
            (0.0, 2, "gives 0"),
            (0.0, 10, "gives 0"),
            (np.nan, 10, "gives nan"),
            (2000.0, 2, "gives 2000 without a unit of time"),
            (2.0, 2 | 32, "in hz, not in time"),
            (2.0, 2 | 40, "in ppm, not in time"),
        ],
    )
    def test_a_header_that_leaves_it_open_needs_another_source(self, make_run, grid, pixdim, units, said):
        files = make_run()
        change_header(files.bold, pixdim=(4, pixdim), xyzt_units=units)
        with pytest.raises(InputError, match=rf"repetition time is not known: its header .*{said}") as caught:
            prepare(files, grid)
        assert "`repetition_time`" in str(caught.value)
        assert "\n" not in str(caught.value)
        run = prepare(files, grid, repetition_time=2.0)
        assert (run.metadata["RepetitionTime"], run.metadata["RepetitionTimeSource"]) == (2.0, "argument")

    def test_one_second_with_its_unit_is_one_second(self, make_run, grid):
        run = prepare(make_run(repetition_time=1.0), grid)
        assert (run.metadata["RepetitionTime"], run.metadata["RepetitionTimeSource"]) == (1.0, "header")
        assert run.metadata["Warnings"] == []

    def test_another_number_without_a_unit_is_taken_as_seconds_and_said(self, make_run, grid):
        files = make_run()
        change_header(files.bold, pixdim=(4, 2.5), xyzt_units=0)
        metadata = prepare(files, grid).metadata
        assert metadata["RepetitionTime"] == 2.5
        assert any("taken as 2.5 s" in text and "without a unit" in text for text in metadata["Warnings"])

    @pytest.mark.parametrize(("pixdim", "units"), [(2000.0, 10), (2.0, 18), (2000.0, 26)])
    def test_a_unit_that_makes_it_impossible_is_refused(self, make_run, grid, pixdim, units):
        files = make_run()
        change_header(files.bold, pixdim=(4, pixdim), xyzt_units=units)
        with pytest.raises(InputError, match=r"of (2000|0\.002) s \(header\) is impossible \(expected 0\.1 to 20 s\)"):
            prepare(files, grid)

    @pytest.mark.parametrize(("pixdim", "units", "agrees"), [(2.004, 10, True), (2000.0, 18, True), (1.0, 10, False)])
    def test_sources_that_disagree_by_more_than_rounding_are_told(self, make_run, grid, pixdim, units, agrees):
        files = make_run()
        change_header(files.bold, pixdim=(4, pixdim), xyzt_units=units)
        metadata = prepare(files, grid, repetition_time=2.0, repetition_time_source="RepetitionTime of x.json").metadata
        told = [text for text in metadata["Warnings"] if "repetition times disagree" in text]
        assert bool(told) is not agrees
        assert metadata["RepetitionTimeSource"] == "RepetitionTime of x.json"
        if told:
            assert "2 s (RepetitionTime of x.json), which was used" in told[0]
            assert "gives 1 sec" in told[0]

    def test_the_interface_takes_it_with_its_source(self, make_run, grid, tmp_path, monkeypatch):
        files = make_run()
        change_header(files.bold, pixdim=(4, 1.0), xyzt_units=0)
        (tmp_path / "node").mkdir()
        monkeypatch.chdir(tmp_path / "node")
        node = PrepareRun(in_file=files.bold, in_mask=files.mask, strategy="none")
        node.inputs.grid_mask = grid.save(tmp_path / "grid.nii.gz")
        with pytest.raises(InputError, match="repetition time is not known"):
            node.run()
        node.inputs.trait_set(repetition_time=2.0, repetition_time_source="a paper", known=["It was long ago."])
        metadata = read_json(node.run().outputs.out_metadata)
        assert (metadata["RepetitionTimeSource"], metadata["Warnings"]) == ("a paper", ["It was long ago."])

    def test_volumes_along_a_fifth_axis_have_no_time(self, make_run, grid):
        files = make_run()
        image = nib.load(files.bold)
        flat = np.asanyarray(image.dataobj)
        header = image.header.copy()
        nib.save(nib.Nifti1Image(flat[..., None, :], image.affine, header), files.bold)
        with pytest.raises(InputError, match="its volumes along a fifth axis"):
            prepare(files, grid)
        run = prepare(files, grid, repetition_time=2.0)
        assert any("has 5 axes; its 60 volumes" in text for text in run.metadata["Warnings"])
        last = nib.Nifti1Image(flat[..., None], image.affine, header)
        last.header.set_xyzt_units("mm", "sec")
        last.header["pixdim"][4] = 2.0
        nib.save(last, files.bold)
        np.testing.assert_array_equal(prepare(files, grid).data, run.data)

    def test_an_intent_that_is_no_time_series_is_told(self, make_run, grid):
        files = make_run()
        change_header(files.bold, intent_code=1002)
        assert any("it holds 'label', not a time series" in text for text in prepare(files, grid).metadata["Warnings"])


class TestPlace:
    def test_an_image_without_sform_and_qform_has_none(self, make_run, grid):
        files = make_run()
        change_header(files.bold, sform_code=0, qform_code=0)
        with pytest.raises(InputError, match=r"bold\.nii\.gz: its header has neither sform nor qform"):
            prepare(files, grid)

    def test_a_mask_without_them_neither(self, make_run, grid):
        files = make_run()
        change_header(files.mask, sform_code=0, qform_code=0)
        with pytest.raises(InputError, match=r"mask\.nii\.gz: its header has neither sform nor qform"):
            prepare(files, grid)

    @pytest.mark.parametrize(
        ("units", "factor", "words"), [(9, 1e-3, "in meter"), (11, 1e3, "in micron"), (10, 1e-3, "voxels of")]
    )
    def test_lengths_that_are_not_in_mm_are_refused(self, make_run, grid, units, factor, words):
        files = make_run()
        image = nib.load(files.bold)
        affine = np.diag([factor, factor, factor, 1]) @ image.affine
        other = nib.Nifti1Image(np.asanyarray(image.dataobj), affine)
        other.header.set_xyzt_units(units % 8, 8)
        other.header["pixdim"][4] = 2
        nib.save(other, files.bold)
        with pytest.raises(InputError, match=rf"bold\.nii\.gz: its (header|affine) .*{words}"):
            prepare(files, grid)

    @pytest.mark.parametrize("codes", [(1, 1), (4, 4), (2, 1)])
    def test_transforms_that_disagree_by_centimetres_are_refused_with_both(self, make_run, grid, codes):
        files = make_run()
        affine = nib.load(files.bold).affine
        set_transforms(files.bold, affine, moved(affine, x=24, z=-32), codes=codes)
        with pytest.raises(InputError) as caught:
            prepare(files, grid)
        said = str(caught.value)
        assert f"sform (code {codes[0]}) [5 0 0 -50; 0 5 0 -55; 0 0 5 -45]" in said
        assert f"qform (code {codes[1]}) [5 0 0 -26; 0 5 0 -55; 0 0 5 -77]" in said
        assert "disagree by up to 40 mm at the image's corners (centre moved by 24, 0, -32 mm" in said

    def test_a_standard_space_beside_the_scanners_is_taken_with_a_warning(self, make_run, grid):
        files = make_run()
        affine = nib.load(files.bold).affine
        expected = prepare(files, grid)
        set_transforms(files.bold, affine, moved(affine, y=30, degrees=20), codes=(4, 1))
        run = prepare(files, grid)
        (said,) = [text for text in run.metadata["Warnings"] if "disagree" in text]
        assert "turned by 20 degrees" in said
        assert said.endswith("the sform is taken.")
        np.testing.assert_array_equal(run.data, expected.data)

    @pytest.mark.parametrize(("shift", "codes"), [(0.3, (4, 4)), (40.0, (4, 0))])
    def test_rounding_and_transforms_without_a_code_are_nothing(self, make_run, grid, shift, codes):
        files = make_run()
        affine = nib.load(files.bold).affine
        set_transforms(files.bold, affine, moved(affine, x=shift), codes=codes)
        assert prepare(files, grid).metadata["Warnings"] == []

    def test_the_qform_counts_where_the_sform_has_no_code(self, make_run, grid):
        files = make_run()
        affine = nib.load(files.bold).affine
        expected = prepare(files, grid)
        set_transforms(files.bold, moved(affine, x=50), affine, codes=(0, 4))
        np.testing.assert_allclose(prepare(files, grid).data, expected.data, atol=1e-3)

    def test_talairach_and_a_pixdim_of_its_own_are_told(self, make_run, grid):
        files = make_run()
        change_header(files.bold, sform_code=3, qform_code=0)
        assert any("Talairach" in text for text in prepare(files, grid).metadata["Warnings"])
        change_header(files.bold, pixdim=(1, 2.0))
        assert any("pixdim says voxels of 2 x 5 x 5 mm" in text for text in prepare(files, grid).metadata["Warnings"])

    def test_a_mask_with_another_affine_is_refused_with_the_distance(self, make_run, grid):
        files = make_run()
        mask = nib.load(files.mask)
        nib.save(nib.Nifti1Image(np.asanyarray(mask.dataobj), moved(mask.affine, y=7)), files.mask)
        with pytest.raises(InputError, match=r"mask\.nii\.gz: .* another affine, which puts a corner 7 mm elsewhere"):
            prepare(files, grid)
        nib.save(nib.Nifti1Image(np.asanyarray(mask.dataobj), moved(mask.affine, y=0.2)), files.mask)
        assert prepare(files, grid).region.any()


class TestOverlap:
    @pytest.fixture
    def at(self, make_run):
        """Give a run whose brain is as large as the grid's, at another place."""

        def make(**move):
            files = make_run()
            affine = moved(np.diag([4.4, 4.4, 4.4, 1]), x=-42, y=-50, z=-36)
            for path in (files.bold, files.mask):
                image = nib.load(path)
                nib.save(nib.Nifti1Image(np.asanyarray(image.dataobj), moved(affine, **move), image.header), path)
            return files

        return make

    def test_a_brain_in_its_place_is_none_of_these(self, at, grid):
        metadata = prepare(at(), grid).metadata
        assert not any("lie outside" in text for text in metadata["Warnings"])
        assert metadata["MaskOutsideModel"] < 0.1
        assert np.abs(metadata["MaskCentreOffset"]).max() < 5

    def test_a_brain_that_is_centimetres_away_is_told_with_the_way_back(self, at, grid):
        (said,) = [text for text in prepare(at(y=12), grid).metadata["Warnings"] if "lie outside" in text]
        assert "if it were moved by +0, -16, +0 mm" in said, "to the voxel of 8 mm"

    def test_a_brain_that_is_far_away_is_refused(self, at, grid):
        with pytest.raises(
            InputError, match=r"bold\.nii\.gz: .* lie outside of the model's brain, and .* if it were moved"
        ):
            prepare(at(y=36, x=12), grid)

    def test_a_slab_and_a_loose_mask_are_in_their_place(self, make_run, grid):
        files = make_run()
        assert not any("lie outside" in text for text in prepare(files, grid).metadata["Warnings"])
        for path in (files.bold, files.mask):
            nib.save(nib.load(path).slicer[:, :, :9], path)
        assert prepare(files, grid).region.any(), "a slab of a large mask is no proof of another place"


class TestSoftMasks:
    @pytest.mark.parametrize(
        ("factor", "dtype", "said"),
        [
            (1.0, "f4", "holds probabilities; it was cut at 0.5"),
            (100.0, "f4", "holds percent; it was cut at 50"),
            (255.0, "u1", "holds values from 0 to 255; it was cut at 127.5"),
        ],
    )
    def test_a_soft_mask_is_cut_at_half(self, make_run, grid, factor, dtype, said):
        from scipy.ndimage import gaussian_filter

        files = make_run()
        mask = nib.load(files.mask)
        soft = gaussian_filter(np.asanyarray(mask.dataobj).astype("f4"), 1.2)
        nib.save(nib.Nifti1Image((soft >= 0.5).astype("u1"), mask.affine), files.mask)
        expected = prepare(files, grid)
        nib.save(
            nib.Nifti1Image(np.rint(soft * factor).astype(dtype) if dtype == "u1" else soft * factor, mask.affine),
            files.mask,
        )
        run = prepare(files, grid)
        np.testing.assert_array_equal(run.region, expected.region)
        assert any(said in text for text in run.metadata["Warnings"])

    @pytest.mark.parametrize("values", [(0, 1), (0, 255), (0, 0.3), (-1, 1)])
    def test_two_values_are_a_mask_without_a_word(self, make_run, grid, values):
        files = make_run()
        expected = prepare(files, grid)
        mask = nib.load(files.mask)
        nib.save(
            nib.Nifti1Image(np.where(np.asanyarray(mask.dataobj) > 0, *values[::-1]).astype("f4"), mask.affine),
            files.mask,
        )
        run = prepare(files, grid)
        np.testing.assert_array_equal(run.region, expected.region)
        assert run.metadata["Warnings"] == expected.metadata["Warnings"]

    def test_labels_are_inside_and_nan_is_outside(self, make_run, grid):
        files = make_run()
        expected = prepare(files, grid)
        mask = nib.load(files.mask)
        labels = np.asanyarray(mask.dataobj).astype("f4") * (1 + np.arange(mask.shape[0]) % 3)[:, None, None]
        labels[labels == 0] = np.nan
        nib.save(nib.Nifti1Image(labels, mask.affine), files.mask)
        run = prepare(files, grid)
        np.testing.assert_array_equal(run.region, expected.region)
        told = " ".join(run.metadata["Warnings"])
        assert "holds 3 labels; all of them count as inside" in told
        assert "without a number, which count as outside" in told

    def test_other_numbers_are_no_mask(self, make_run, grid):
        files = make_run()
        mask = nib.load(files.mask)
        nib.save(
            nib.Nifti1Image(np.random.default_rng(0).normal(500, 90, mask.shape).astype("f4"), mask.affine), files.mask
        )
        with pytest.raises(
            InputError, match=r"mask\.nii\.gz: the mask holds values up to .* make it a mask of 0 and 1"
        ):
            prepare(files, grid)
