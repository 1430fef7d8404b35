"""Networks are held against what was planted: who finds it has full marks, and the truth of another run is refused."""

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from scaae_nipype.errors import InputError
from scaae_nipype.evaluation import binarise, compare_with_planted
from scaae_nipype.evaluation.planted import N_EXAMPLES, planted_volumes, recovery
from scaae_nipype.files import read_json, read_table, write_table
from scaae_nipype.grid import load_grid

N_VOLUMES, N_NETWORKS = 30, 3


@pytest.fixture
def truth(run, grid, tmp_path):
    """Plant three networks, one after the other, and give branch 1 of the run exactly that; branch 2 its negative."""
    rng = np.random.default_rng(1)
    maps = np.maximum(rng.standard_normal((N_NETWORKS, grid.n_voxels)), 0).astype("f4")
    courses = np.repeat(np.eye(N_NETWORKS), N_VOLUMES // N_NETWORKS, axis=0) * rng.uniform(0.5, 1, (N_VOLUMES, 1))
    nib.save(grid.image(maps), tmp_path / "planted_networks.nii.gz")
    table = pd.DataFrame(courses, columns=["first", "second", "third"])
    write_table(table.assign(volume=range(N_VOLUMES)), tmp_path / "courses.tsv")
    region = load_grid(run["in_mask"])
    inside = grid.vectors(region.mask)
    planted = planted_volumes(maps, courses)[:, inside]
    for number, sign in ((1, 1), (2, -1)):
        nib.save(region.image(sign * planted, 2.5), tmp_path / f"signed{number}.nii.gz")
    return {
        "planted_networks": tmp_path / "planted_networks.nii.gz",
        "planted_courses": tmp_path / "courses.tsv",
        "signed_maps": [tmp_path / f"signed{number}.nii.gz" for number in (1, 2)],
    }


def test_who_finds_exactly_what_was_planted_has_full_marks(run, truth, tmp_path):
    made = compare_with_planted(**run, **truth, out_dir=tmp_path)
    table = read_table(made.planted).set_index("method")
    kept = read_table(run["in_samples"])["kept"] == 1
    assert (table["n_volumes"] == kept.sum()).all()
    np.testing.assert_allclose(table.loc["fbn1", ["average_precision", "size_matched_iou", "r"]], 1, atol=1e-3)
    assert table.loc["fbn1", "networks_named"] == 1
    np.testing.assert_allclose(table.loc["fbn2", "r"], -1, atol=1e-3)
    assert table.loc["fbn2", "networks_named"] == 0
    assert abs(table.loc["volume", "r"]) < 0.1, "noise finds nothing"
    assert {"smoothed_4mm", "smoothed_20mm"} < set(table.index)
    assert not [name for name in table.index if "negated" in name]


def test_examples_are_of_different_networks_and_say_what_they_are(run, truth, tmp_path):
    made = compare_with_planted(**run, **truth, group_pca=lambda volumes: 2 * volumes, out_dir=tmp_path)
    about, kept = read_json(made.metadata), read_table(run["in_samples"])["kept"].to_numpy() == 1
    assert about["ExampleNetworks"] == ["first", "second", "third"][:N_EXAMPLES]
    assert kept[about["ExampleVolumes"]].all()
    assert about["ExampleMethods"][:3] == ["planted", "fbn1", "group_pca"] and about["ExampleMethods"][-1] == "volume"
    values = np.asarray(nib.load(made.planted_maps).dataobj)
    n = len(about["ExampleVolumes"])
    assert values.shape[3] == n * len(about["ExampleMethods"])
    np.testing.assert_allclose(values[..., :n], values[..., n : 2 * n], atol=1e-2)  # branch 1 is the truth
    assert values.max() <= 1.001


def test_the_context_is_held_against_it_where_there_is_one(run, truth, tmp_path):
    made = compare_with_planted(**run, **truth, context=lambda volumes: -volumes, out_dir=tmp_path)
    table = read_table(made.planted).set_index("method")
    np.testing.assert_allclose(table.loc["context", "r"], -table.loc["volume", "r"], atol=1e-5)


@pytest.mark.parametrize("damage", ["a row too few", "a word", "a network too many"])
def test_the_truth_of_another_run_is_refused(run, truth, tmp_path, damage):
    table = read_table(truth["planted_courses"])
    if damage == "a row too few":
        table = table.iloc[:-1]
    elif damage == "a word":
        table = table.astype(object)
        table.iloc[3, 0] = "much"
    else:
        table["fourth"] = 0.0
    write_table(table, truth["planted_courses"])
    with pytest.raises(InputError, match=r"courses.tsv: has \d+ rows and \d time courses of numbers; the run has 30"):
        compare_with_planted(**run, **truth, out_dir=tmp_path)


def test_volumes_in_which_nothing_was_planted_do_not_count():
    rng = np.random.default_rng(0)
    networks = np.maximum(rng.standard_normal((2, 200)), 0)
    planted = planted_volumes(networks, [[1, 0], [0, 1], [0, 0]])
    scores = recovery(
        np.vstack([planted[:2], rng.standard_normal((1, 200))]), planted, binarise(networks), np.array([0, 1, 0])
    )
    assert scores == pytest.approx(
        {"average_precision": 1, "size_matched_iou": 1, "r": 1, "networks_named": 1}, abs=1e-6
    )
    nothing = recovery(planted, np.zeros_like(planted), binarise(networks), np.zeros(3, int))
    assert all(np.isnan(value) for value in nothing.values())
