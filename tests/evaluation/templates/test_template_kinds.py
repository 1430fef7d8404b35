"""Images whose kind has to be told from what is in them; how many voxels come out is known by construction."""

import json

import nibabel as nib
import numpy as np
import pytest
from brain_and_blobs import AFFINE, SHAPE, SIZES, blobs, six_labels
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.ndimage import shift

from scaae_nipype.errors import InputError
from scaae_nipype.evaluation import load_templates, score_run, tabulate_regions
from scaae_nipype.evaluation.templates.template_account import template_lines

ANY = settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

# ---- labels ------------------------------------------------------------------------------------------------------


@ANY
@given(
    factor=st.floats(0.999, 1.001),
    background=st.sampled_from([0, -1, np.nan, -999]),
    dtype=st.sampled_from(["f4", "f8"]),
    first=st.sampled_from([1, 7, 1001, 11101, 2_000_000]),
)
def test_labels_are_labels_whatever_factor_background_and_numbers_they_have(
    brain, save, factor, background, dtype, first
):
    """A scale factor rounds the values of labels, and a background need not be 0: there are six regions, not one."""
    labels = six_labels()
    numbers = np.array([0, 1, 2, 5, 8, 9, 10]) + first - 1
    factor = factor if first < 10 else 1 + (factor - 1) * 1e-5 if first < 20000 else 1.0
    values = np.where(labels > 0, numbers[labels] * factor, background).astype(dtype)
    templates = load_templates(save(values), grid=brain)
    assert templates.kind == "labels"
    assert templates.names == tuple(f"label{number}" for number in numbers[1:])
    assert templates.voxels.tolist() == SIZES
    assert templates.image_voxels.tolist() == SIZES


def test_labels_stored_with_a_scale_factor_are_labels(brain, save):
    """As SPM writes them: int16 with a slope that stretches the largest value over the type's range."""
    slope = 6 / 32767
    path = save(np.rint(six_labels() / slope).astype(np.int16), slope=slope)
    stored = nib.load(path).get_fdata()
    assert not np.array_equal(stored, np.rint(stored))
    templates = load_templates(path, grid=brain)
    assert (templates.kind, templates.voxels.tolist()) == ("labels", SIZES)


def test_neighbouring_huge_labels_stay_apart(brain, save):
    """Numbers that float32 cannot tell apart, as in atlases of the Allen Institute."""
    labels = six_labels().astype(np.int64)
    values = np.where(labels > 0, 312_782_540 + labels, 0)
    for dtype in (np.int32, np.float64):
        templates = load_templates(save(values.astype(dtype), f"{np.dtype(dtype)}.nii.gz"), grid=brain)
        assert templates.voxels.tolist() == SIZES
        assert templates.names[0] == "label312782541"


def test_zero_is_a_label_where_the_background_is_below_it_and_that_is_said(brain, save, tmp_path):
    """Clusterings count from 0 and mark the outside with -1; where 0 is the rest of the brain it is background."""
    labels = six_labels()
    from_zero = np.where(labels > 0, labels - 1, -1)
    templates = load_templates(save(from_zero), grid=brain)
    assert templates.names == tuple(f"label{number}" for number in range(6))
    assert templates.voxels.tolist() == SIZES
    assert any(
        "-1 as background and 0 as a label" in text and "`template_labels`" in text for text in templates.warnings
    )
    outside = np.where(brain.mask, labels, -1)
    templates = load_templates(save(outside, "rest.nii.gz"), grid=brain)
    assert templates.voxels.tolist() == SIZES
    assert any("-1 and 0 as background" in text for text in templates.warnings)
    names = tmp_path / "names.tsv"
    names.write_text("index\tname\n" + "".join(f"{number}\tregion{number}\n" for number in range(7)))
    with_zero = load_templates(tmp_path / "rest.nii.gz", grid=brain, labels=names)
    assert with_zero.names[0] == "region0"
    assert with_zero.voxels[0] == (outside == 0).sum()


@pytest.mark.parametrize("values", [[1], [0, 1], [255], [1, 2]])
def test_masks_are_labels(brain, save, values):
    mask = np.zeros(SHAPE, np.uint8)
    for place, value in enumerate(values):
        mask[4 + 5 * place : 9 + 5 * place, 5:9, 5:9] = value
    templates = load_templates(save(mask), grid=brain)
    assert templates.kind == "labels"
    assert templates.voxels.tolist() == [80] * len([value for value in values if value])


def test_neighbouring_slabs_numbered_in_their_order_are_labels(brain, save):
    """Their numbers change by one from slab to slab, as the steps of a map do, but do not fall off to an edge."""
    for fill in (slice(None), slice(4, 18)):
        slabs = np.zeros(SHAPE, np.int16)
        slabs[:, fill, 4:18] = (1 + np.arange(24) // 4)[:, None, None]
        templates = load_templates(save(slabs), grid=brain)
        assert (templates.kind, len(templates.names)) == ("labels", 6)


def test_parcels_of_a_few_voxels_are_labels(brain, save):
    parcels = 1 + np.arange(12 * 13 * 11).reshape(12, 13, 11)
    parcels = np.kron(np.random.default_rng(0).permutation(parcels.ravel()).reshape(parcels.shape), np.ones((2, 2, 2)))
    templates = load_templates(save(parcels.astype(np.int16)), grid=brain)
    assert (templates.kind, len(templates.names)) == ("labels", 12 * 13 * 11)
    single = np.random.default_rng(0).integers(0, 9, SHAPE).astype(np.int16)
    assert load_templates(save(single), grid=brain).kind == "labels"


def test_labels_that_were_interpolated_or_scaled_are_refused(brain, save):
    """Neither six labels nor one map: whoever knows better can say so."""
    fine = np.kron(six_labels(), np.ones((2, 2, 2))).astype("f4")
    blurred = shift(fine, 0.4, order=1)
    affine = AFFINE @ np.diag([0.5, 0.5, 0.5, 1])
    path = save(blurred, affine=affine)
    with pytest.raises(
        InputError, match=r"image\.nii\.gz: .* as in a label image that was interpolated.*`template_kind`"
    ):
        load_templates(path, grid=brain)
    assert load_templates(path, grid=brain, kind="continuous").kind == "continuous"
    with pytest.raises(InputError, match="its values are not whole numbers"):
        load_templates(path, grid=brain, kind="labels")
    with pytest.raises(InputError, match=r"holds 6 different values above 0 in flat regions.*scale factor"):
        load_templates(save(six_labels() * np.float32(0.13)), grid=brain)


def test_a_4d_image_of_label_images_is_refused(brain, save):
    both = np.stack([six_labels(), np.where(six_labels() > 0, 7 - six_labels(), 0)], axis=-1)
    with pytest.raises(InputError, match=r"its 2 volumes look like label images.*`template_kind`"):
        load_templates(save(both), grid=brain)
    with pytest.raises(InputError, match="has 2 volumes; a label image has one"):
        load_templates(save(both), grid=brain, kind="labels")


def test_one_volume_in_four_or_five_dimensions_is_one_label_image(brain, save):
    for shape in ((*SHAPE, 1), (*SHAPE, 1, 1)):
        templates = load_templates(save(six_labels().reshape(shape)), grid=brain)
        assert templates.voxels.tolist() == SIZES
    maps = load_templates(save(blobs()[:, :, :, None].astype("f4")), grid=brain)
    assert (maps.kind, len(maps.names)) == ("continuous", 6)


# ---- maps --------------------------------------------------------------------------------------------------------


@ANY
@given(
    scale=st.sampled_from([1, 100, 255, 1e-3, 12.5]),
    least=st.floats(0.0, 0.1),
    outside=st.sampled_from([0, np.nan]),
    width=st.floats(2.0, 4.0),
    n=st.integers(1, 6),
)
def test_probability_maps_are_cut_at_their_own_maximum_whatever_their_unit(
    brain, save, scale, least, outside, width, n
):
    """In percent, as shares or as 0 to 255, with 0 or NaN outside: sparse maps were not thresholded before."""
    maps = blobs(width)[..., :n]
    inside = np.moveaxis(maps, -1, 0)[:, brain.mask]
    expected = (inside > 0.3 * inside.max(axis=1, keepdims=True)).sum(axis=1)
    sparse = np.where(maps > max(least, 1e-4), scale * maps, outside).astype("f4")
    templates = load_templates(save(sparse), grid=brain)
    assert templates.kind == "continuous"
    assert templates.voxels.tolist() == expected.tolist()
    assert (templates.voxels < (sparse[brain.mask] > 0).sum(axis=0)).all()


def test_a_sparse_probability_map_has_251_voxels_not_1488(brain, save):
    """Values down to 2 % of the maximum: all above 0 would be six times too many."""
    distances = np.stack(np.indices(SHAPE), axis=-1) - np.array([11.5, 12.5, 10.5])
    order = np.argsort((distances**2).sum(axis=-1), axis=None, kind="stable")
    values = np.zeros(SHAPE).ravel()
    values[order[:251]] = np.linspace(1, 0.301, 251)
    values[order[251:1488]] = np.linspace(0.299, 0.02, 1237)
    templates = load_templates(save(values.reshape(*SHAPE, 1).astype("f4")), grid=brain)
    assert (templates.kind, templates.voxels.tolist()) == ("continuous", [251])
    assert "of a map's highest tenth" in templates.reason
    assert load_templates(save.path, grid=brain, kind="thresholded").voxels.tolist() == [1488]


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32])
def test_whole_percent_are_maps_not_labels(brain, save, dtype):
    percent = np.rint(100 * blobs())
    expected = (np.moveaxis(percent, -1, 0)[:, brain.mask] > 30).sum(axis=1)
    templates = load_templates(save(percent.astype(dtype)), grid=brain)
    assert (templates.kind, templates.voxels.tolist()) == ("continuous", expected.tolist())
    assert not templates.warnings


def test_one_map_in_whole_percent_is_taken_as_a_map_and_said_loudly(brain, save):
    percent = np.rint(100 * blobs()[..., 0]).astype(np.uint8)
    templates = load_templates(save(percent), grid=brain)
    assert (templates.kind, templates.voxels.tolist()) == ("continuous", [(percent[brain.mask] > 30).sum()])
    (warning,) = templates.warnings
    assert "was taken as one map. If it holds labels, say what it holds with `template_kind`" in warning
    assert load_templates(save.path, grid=brain, kind="labels").kind == "labels"


def test_statistics_stored_as_whole_numbers_are_maps(brain, save):
    z = np.rint(np.random.default_rng(0).standard_normal(SHAPE) * 2 + 12 * blobs()[..., 0]).astype(np.int8)
    templates = load_templates(save(z), grid=brain)
    inside = z[brain.mask].astype(float)
    assert (templates.kind, templates.voxels.tolist()) == ("continuous", [(inside > 0.3 * inside.max()).sum()])


def test_a_map_in_few_whole_steps_is_refused_unless_somebody_says_what_it_is(brain, save, tmp_path):
    """Six nested shells may be labels or a rounded map: neither is guessed."""
    steps = np.rint(6 * blobs(4.0)[..., 4]).astype(np.int16)
    with pytest.raises(InputError, match=r"labels or the steps of one map.*`template_kind`.*`template_labels`"):
        load_templates(save(steps), grid=brain)
    assert load_templates(save.path, grid=brain, kind="continuous").voxels.tolist() == [(steps[brain.mask] > 1.8).sum()]
    shells = [(steps[brain.mask] == number).sum() for number in range(1, 7)]
    assert load_templates(save.path, grid=brain, kind="labels").voxels.tolist() == shells
    names = tmp_path / "names.tsv"
    names.write_text("index\tname\n" + "".join(f"{number}\tshell{number}\n" for number in range(1, 7)))
    named = load_templates(save.path, grid=brain, labels=names)
    assert (named.kind, named.voxels.tolist()) == ("labels", shells)


@ANY
@given(cut=st.floats(0.3, 0.8), scale=st.sampled_from([1, 100, 1e-4, 17.0]), n=st.integers(1, 6))
def test_maps_that_were_cut_are_taken_as_they_are(brain, save, cut, scale, n):
    maps = blobs()[..., :n]
    cut_maps = np.where(maps > cut, scale * maps, 0).astype("f4")
    templates = load_templates(save(cut_maps), grid=brain)
    assert templates.kind == "thresholded"
    assert templates.voxels.tolist() == (cut_maps[brain.mask] > 0).sum(axis=0).tolist()


def test_maps_cut_at_a_statistic_keep_their_tails_apart(brain, save):
    """|z| above 3.1, with peaks up to 12: the negative tail is no network."""
    z = 12 * (blobs()[..., :3] - blobs()[..., 3:])
    cut = np.where(np.abs(z) > 3.1, z, 0).astype("f4")
    templates = load_templates(save(cut), grid=brain)
    assert (templates.kind, templates.voxels.tolist()) == ("thresholded", (cut[brain.mask] > 0).sum(axis=0).tolist())


def test_a_set_of_masks_is_taken_as_it_is(brain, save):
    masks = np.stack([six_labels() == number for number in range(1, 7)], axis=-1)
    for name, values in {
        "u1": masks.astype("u1"),
        "f4": 0.5 * masks.astype("f4"),
        "255": 255 * masks.astype("u1"),
    }.items():
        templates = load_templates(save(values, f"{name}.nii.gz"), grid=brain)
        assert (templates.kind, templates.voxels.tolist()) == ("thresholded", SIZES)
    large = np.stack([brain.mask, brain.mask], axis=-1).astype("u1")
    large[2:8, ..., 0] = 0
    templates = load_templates(save(large, "large.nii.gz"), grid=brain)
    assert (templates.kind, templates.voxels.tolist()) == ("thresholded", large[brain.mask].sum(axis=0).tolist())


def test_maps_between_cut_and_uncut_are_refused_unless_somebody_says_what_they_are(brain, save):
    maps = blobs()
    between = np.where(maps > 0.17, maps, 0).astype("f4")
    with pytest.raises(InputError, match=r"cannot tell whether its maps were thresholded before.*`template_kind`"):
        load_templates(save(between), grid=brain)
    as_cut = load_templates(save.path, grid=brain, kind="thresholded").voxels
    as_map = load_templates(save.path, grid=brain, kind="continuous").voxels
    assert as_cut.tolist() == (between[brain.mask] > 0).sum(axis=0).tolist()
    assert (as_map < as_cut).all()


def test_maps_in_few_whole_steps_are_refused_because_rounding_leaves_no_values_near_0(brain, save):
    """z maps rounded to 0, 1, 2, 3 have nothing below a third of their maximum, and nobody cut them."""
    steps = np.rint(3 * blobs()).astype(np.uint8)
    with pytest.raises(InputError, match=r"they hold few different values, the smallest above 0 one step from it"):
        load_templates(save(steps), grid=brain)
    cut = np.where(steps > 1, steps, 0)
    assert load_templates(save(cut), grid=brain).kind == "thresholded"
    percent = np.rint(100 * blobs()).astype(np.uint8)
    percent[percent < 31] = 0
    assert load_templates(save(percent), grid=brain).kind == "thresholded"


def test_labels_below_0_are_not_taken_as_one_map(brain, save):
    """Some atlases number one hemisphere below 0."""
    labels = six_labels()
    with pytest.raises(InputError, match=r"looks like a label image, but has 3 different labels below 0"):
        load_templates(save(np.where(labels > 3, -labels, labels)), grid=brain)
    templates = load_templates(save.path, grid=brain, kind="labels")
    assert templates.voxels.tolist() == SIZES[:3]
    assert any("its 3 different values below 0 all count as background" in text for text in templates.warnings)


def test_rounding_left_behind_by_a_scale_factor_is_no_value(brain, save):
    maps = blobs()
    noisy = np.where(maps > 0.4, maps, 1e-8).astype("f4")
    assert load_templates(save(noisy), grid=brain).voxels.tolist() == (maps[brain.mask] > 0.4).sum(axis=0).tolist()


def test_maps_that_differ_from_the_rest_of_their_set_are_pointed_out(brain, save):
    maps = blobs().astype("f4")
    maps[..., 5][maps[..., 5] < 0.5] = 0
    templates = load_templates(save(maps), grid=brain)
    assert templates.kind == "continuous"
    assert any("1 of 6 maps look otherwise" in text for text in templates.warnings)


# ---- what cannot be used -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [0, np.nan, -2.5])
def test_images_without_a_value_above_0_are_refused(brain, save, value):
    for shape in (SHAPE, (*SHAPE, 3)):
        with pytest.raises(InputError, match="holds no value above 0, so no template has a voxel"):
            load_templates(save(np.full(shape, value, "f4")), grid=brain)


def test_a_map_below_0_in_a_set_is_named(brain, save):
    maps = blobs().astype("f4")
    maps[..., 2] *= -1
    templates = load_templates(save(maps), grid=brain)
    assert templates.voxels[2] == 0
    assert "Template map03 has no voxel in the model's brain mask." in templates.warnings


def test_the_plan_names_kind_reason_and_voxels(brain, save):
    lines = template_lines(load_templates(save(six_labels()), grid=brain))
    assert lines[0] == (
        "Templates: image.nii.gz: 6 labels of one image (one volume of 6 different whole numbers above 0; "
        "`template_kind` says otherwise)."
    )
    assert f"label1 {SIZES[0]} (100 %)" in lines[1]
    many = np.zeros(SHAPE, np.int16)
    numbers = 1 + np.random.default_rng(0).permutation(360).reshape(9, 8, 5)
    many[2:20, 2:18, 2:12] = np.kron(numbers, np.ones((2, 2, 2)))
    lines = template_lines(load_templates(save(many), grid=brain, what="atlas"), what="atlas")
    assert lines[0].startswith("Atlas: image.nii.gz: 360 labels")
    assert "`atlas_kind`" in lines[0]
    assert "8 to 8; the smallest 8: " in lines[1]


def test_sidecars_say_kind_reason_and_voxels(matching, tmp_path):
    given = {name: matching[name] for name in ("in_file", "in_mask", "in_samples", "fbn_maps", "grid_mask")}
    metadata = score_run(**given, templates=matching["templates"], template_kind="labels", out_dir=tmp_path)[2]
    about = json.loads(metadata.read_text())
    assert (about["TemplateKind"], about["TemplateKindReason"]) == ("labels", "not recognised but given")
    assert about["TemplateVoxels"] == {"left": 72, "right": 36, "outside": 0}  # in the run's region
    assert about["TemplateVoxelsInImage"] == {"left": 72, "right": 72, "outside": 64}
    assert about["TemplateShareInModelMask"] == {"left": 1.0, "right": 1.0, "outside": 0.0}
    _, metadata = tabulate_regions(**given, atlas=matching["templates"], out_dir=tmp_path)
    about = json.loads(metadata.read_text())
    assert (about["AtlasKind"], "3 different whole numbers" in about["AtlasKindReason"]) == ("labels", True)
    assert about["RegionVoxels"] == {"left": 72, "right": 36, "outside": 0}
    with pytest.raises(InputError, match="has 3 rows for the 1 maps"):
        tabulate_regions(**given, atlas=matching["templates"], atlas_kind="continuous", out_dir=tmp_path)
