import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from scaae_nipype.errors import InputError, UsageError
from scaae_nipype.evaluation import coverage, find_smith2009, iou, load_templates
from scaae_nipype.evaluation.templates.smith2009 import SMITH_NAMES, fetch_smith2009
from scaae_nipype.grid import Grid, load_grid


@pytest.fixture
def save(tmp_path, grid):
    def save(volumes, name="templates.nii.gz", affine=grid.affine):
        save.path = tmp_path / name
        nib.save(nib.Nifti1Image(volumes, affine), save.path)
        return save.path

    return save


@pytest.fixture
def table(tmp_path):
    def table(file="names.tsv", **columns):
        pd.DataFrame(columns).to_csv(tmp_path / file, sep="\t", index=False, na_rep="n/a")
        return tmp_path / file

    return table


@pytest.fixture
def labels():
    volume = np.zeros((8, 8, 8), np.int16)
    volume[1:4, 1:7, 1:7], volume[4:7, 1:7, 1:7] = 3, 7
    return volume


def test_default_templates_are_the_shipped_networks():
    grid = load_grid()
    templates = load_templates("default", grid=grid)
    assert templates.kind == "labels"
    assert templates.continuous is None
    assert "DefaultMode" in templates.names
    assert (templates.density > 0.01).all()
    assert (templates.density < 0.15).all()
    assert not templates.warnings
    assert (templates.binary.sum(axis=0) <= 1).all()


def test_label_image_with_table(grid, save, table, labels):
    names = table(index=[0, 7, 3], name=["background", "right", "left"])
    templates = load_templates(save(labels), grid=grid, labels=names)
    assert templates.names == ("right", "left")
    assert templates.binary.sum(axis=1).tolist() == [108, 108]
    np.testing.assert_array_equal(grid.volumes(templates.binary)[1], labels == 3)


def test_label_image_without_table_is_named_by_its_labels(grid, save, labels):
    assert load_templates(save(labels), grid=grid).names == ("label3", "label7")


def test_table_beside_the_image_is_found(grid, save, table, labels):
    table("atlas.tsv", index=[3, 7], label=["left", "right"])
    assert load_templates(save(labels, "atlas.nii.gz"), grid=grid).names == ("left", "right")


def test_label_image_on_another_grid_is_resampled_to_the_nearest_label(grid, save, labels):
    fine = np.kron(labels, np.ones((2, 2, 2), np.int16))
    affine = np.diag([2.0, 2, 2, 1])
    affine[:3, 3] = -1  # the centres of eight fine voxels around each coarse one
    templates = load_templates(save(fine, affine=affine), grid=grid)
    np.testing.assert_array_equal(grid.volumes(templates.binary)[0], labels == 3)


def test_continuous_maps_are_cut_at_their_own_maximum_inside_the_mask(grid, save):
    maps = np.random.default_rng(0).standard_normal((8, 8, 8, 2)).astype("f4")
    maps[0, 0, 0] = 1000  # outside the mask: must not count
    templates = load_templates(save(maps), grid=grid)
    assert templates.kind == "continuous"
    assert templates.names == ("map01", "map02")
    inside = grid.vectors(np.moveaxis(maps, -1, 0))
    np.testing.assert_array_equal(templates.continuous, inside)
    np.testing.assert_array_equal(templates.binary, inside > 0.3 * inside.max(axis=1, keepdims=True))


def test_not_a_number_in_a_continuous_map_does_not_spread(grid, save):
    maps = np.ones((8, 8, 8, 1), "f4") + np.arange(8, dtype="f4")[:, None, None, None]
    maps[0] = np.nan
    shifted = grid.affine.copy()
    shifted[0, 3] = 1
    assert np.isfinite(load_templates(save(maps, affine=shifted), grid=grid, kind="continuous").continuous).all()


def test_thresholded_maps_are_recognised_and_kept_as_they_are(grid, save):
    maps = np.zeros((8, 8, 8, 2), "f4")
    maps[2:4, 2:4, 2:4, 0], maps[3:6, 3:6, 3, 1] = 5.0, 0.5
    maps[3, 3, 3, 1] = 90.0  # a continuous map would lose all but this voxel
    templates = load_templates(save(maps), grid=grid)
    assert templates.kind == "thresholded"
    assert templates.continuous is None
    np.testing.assert_array_equal(grid.volumes(templates.binary), np.moveaxis(maps, -1, 0) > 0)
    as_continuous = load_templates(save(maps), grid=grid, kind="continuous")
    assert as_continuous.binary.sum(axis=1).tolist() == [8, 1]


def test_names_of_maps_come_one_per_row_in_the_order_of_the_index(grid, save, table):
    maps = np.random.default_rng(0).standard_normal((8, 8, 8, 2)).astype("f4")
    assert load_templates(save(maps), grid=grid, labels=table(name=["a", "b"])).names == ("a", "b")
    assert load_templates(save(maps), grid=grid, labels=table(index=[1, 0], name=["a", "b"])).names == ("b", "a")


def test_ten_smith_maps_are_named_by_their_order(grid, save):
    maps = np.random.default_rng(0).standard_normal((8, 8, 8, 10)).astype("f4")
    assert load_templates(save(maps, "PNAS_Smith09_rsn10.nii.gz"), grid=grid).names == SMITH_NAMES
    assert load_templates(save(maps, "other.nii.gz"), grid=grid).names[0] == "map01"
    assert load_templates(save(maps[..., :9], "smith.nii.gz"), grid=grid).names[0] == "map01"


def test_smith2009_is_found_in_a_data_folder(tmp_path, save, monkeypatch, grid):
    maps = np.random.default_rng(0).standard_normal((8, 8, 8, 10)).astype("f4")
    (tmp_path / "smith_2009").mkdir()
    path = save(maps, "smith_2009/PNAS_Smith09_rsn10.nii.gz")
    assert find_smith2009([tmp_path / "nothing", tmp_path]) == path
    monkeypatch.setenv("NILEARN_DATA", str(tmp_path))
    templates = load_templates("smith2009", grid=grid)
    assert templates.names == SMITH_NAMES
    assert templates.source == "Smith et al. (2009), PNAS_Smith09_rsn10.nii.gz"


def test_missing_smith2009_says_where_it_was_looked_for_and_how_to_get_it(tmp_path):
    with pytest.raises(UsageError, match=r"PNAS_Smith09_rsn10.*fetch_atlas_smith_2009") as error:
        find_smith2009([tmp_path])
    assert str(tmp_path) in str(error.value)


def test_smith2009_is_fetched_only_where_it_is_missing_and_a_dead_network_is_one_line(tmp_path, save, monkeypatch):
    monkeypatch.setenv("NILEARN_DATA", str(tmp_path))
    for variable in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(variable, "http://127.0.0.1:9")  # nobody listens there
    for variable in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(variable, raising=False)
    with pytest.raises(UsageError, match=r"'smith2009': cannot be fetched \(.*give the file itself"):
        fetch_smith2009()
    (tmp_path / "smith_2009").mkdir(exist_ok=True)
    path = save(np.ones((8, 8, 8, 10), "f4"), "smith_2009/PNAS_Smith09_rsn10.nii.gz")
    assert fetch_smith2009() == path


def test_templates_are_resampled_once_until_their_files_change(grid, save, table, labels):
    first = load_templates(save(labels), grid=grid)
    assert load_templates(save.path, grid=grid) is first
    elsewhere = Grid(grid.affine, grid.mask & (np.arange(8) > 2))
    assert load_templates(save.path, grid=elsewhere).binary.shape != first.binary.shape
    assert load_templates(save.path, grid=grid, labels=table(index=[3, 7], name=["a", "b"])).names == ("a", "b")
    assert load_templates(save(labels[::-1].copy() * 2), grid=grid).names == ("label6", "label14")


def test_coverage_is_the_share_of_a_template_inside_the_region(grid, save, labels):
    templates = load_templates(save(labels), grid=grid)
    region = grid.mask.copy()
    region[4:] = False
    region[3, 1:4] = False
    region = Grid(grid.affine, region)
    np.testing.assert_allclose(coverage(templates, region), [(108 - 18) / 108, 0])
    local = templates.inside(region)
    assert local.binary.shape == (2, 90)
    assert local.binary[0].all()
    assert local.warnings == ("Template label7 lies outside the run's field of view.",)


def test_a_regions_own_maximum_does_not_move_the_threshold(grid, save):
    maps = np.random.default_rng(0).random((8, 8, 8, 1)).astype("f4") + 0.1
    maps[6, 6, 6] = 3.0
    templates = load_templates(save(maps), grid=grid)
    region = grid.mask.copy()
    region[6, 6, 6] = False
    local = templates.inside(Grid(grid.affine, region))
    assert local.binary.sum() == templates.binary.sum() - 1


def test_a_region_beyond_the_models_mask_is_refused(grid, save, labels):
    templates = load_templates(save(labels), grid=grid)
    with pytest.raises(InputError, match="not a part of the model's brain mask"):
        templates.inside(Grid(grid.affine, np.ones((8, 8, 8), bool)))
    with pytest.raises(InputError, match="not a part of the model's brain mask"):
        coverage(templates, Grid(2 * grid.affine, grid.mask))


def test_a_template_without_voxels_stays_and_is_named(grid, save, table, labels):
    names = table(index=[3, 7, 9], name=["left", "right", "lost"])
    templates = load_templates(save(labels), grid=grid, labels=names)
    assert templates.names == ("left", "right", "lost")
    assert templates.warnings == ("Template lost has no voxel in the model's brain mask.",)
    assert np.isnan(coverage(templates, grid)[2])


def test_templates_elsewhere_are_refused(grid, save, labels):
    far = grid.affine.copy()
    far[:3, 3] = 500
    with pytest.raises(InputError, match="no template has a voxel"):
        load_templates(save(labels, affine=far), grid=grid)
    with pytest.raises(InputError, match="no template has a voxel"):
        load_templates(save(np.zeros((8, 8, 8), "i2")), grid=grid)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"index": [3], "name": ["left"]}, r"no row for label 7 .*\(1 labels lack one\)"),
        ({"name": ["left", "right"]}, "no column 'index'"),
        ({"index": [3, 7], "title": ["left", "right"]}, "no column 'name'; its columns are index, title"),
        ({"index": [3, 7], "name": ["left", "left"]}, "the name left occurs twice"),
        ({"index": [3, 7], "name": ["left", None]}, "column 'name' has an empty cell"),
        ({"index": [3, 3], "name": ["left", "right"]}, "an index occurs twice"),
        ({"index": ["three", "7"], "name": ["left", "right"]}, "something else than whole numbers"),
        ({"index": [3.5, 7], "name": ["left", "right"]}, "something else than whole numbers"),
    ],
)
def test_a_table_that_does_not_fit_a_label_image_is_refused(grid, save, table, labels, columns, message):
    with pytest.raises(InputError, match=message):
        load_templates(save(labels), grid=grid, labels=table(**columns))


def test_a_table_that_does_not_fit_a_4d_image_is_refused(grid, save, table):
    maps = np.random.default_rng(0).standard_normal((8, 8, 8, 2)).astype("f4")
    with pytest.raises(InputError, match="has 3 rows for the 2 maps"):
        load_templates(save(maps), grid=grid, labels=table(name=["a", "b", "c"]))


def test_what_is_no_template_is_refused(grid, save, tmp_path, labels):
    with pytest.raises(UsageError, match="'smith2010': neither a file nor one of default, smith2009"):
        load_templates("smith2010", grid=grid)
    broken = tmp_path / "broken.nii.gz"
    broken.write_bytes(b"no image")
    with pytest.raises(InputError, match=r"broken\.nii\.gz: cannot be read as an image"):
        load_templates(broken, grid=grid)
    with pytest.raises(InputError, match="has 5 dimensions"):
        load_templates(save(np.ones((8, 8, 8, 2, 2), "f4")), grid=grid)
    with pytest.raises(UsageError, match="kind 'masks': choose one of"):
        load_templates(save(labels), grid=grid, kind="masks")


@pytest.mark.reference
def test_smith_maps_come_out_as_the_authors_threshold_them(shared):
    folder = shared / "data/templates"
    grid = load_grid(folder / "adhd200_mask_4mm.nii.gz")
    ours = load_templates(folder / "smith2009_rsn10_2mm.nii.gz", grid=grid)
    theirs = load_templates(folder / "smith2009_rsn10_thresholded_4mm.nii.gz", grid=grid)
    assert (ours.kind, theirs.kind) == ("continuous", "thresholded")
    assert ours.names == theirs.names == SMITH_NAMES
    np.testing.assert_array_equal(np.diag(iou(ours.binary, theirs.binary)), 1.0)
    published = [4.2, 2.5, 8.4, 3.7, 3.9, 7.8, 12.6, 7.9, 4.2, 5.8]
    np.testing.assert_allclose(100 * ours.density, published, atol=0.05)
