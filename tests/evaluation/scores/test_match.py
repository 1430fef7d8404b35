import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from nipype.pipeline import engine as pe

from scaae_nipype.errors import InputError, UsageError
from scaae_nipype.evaluation import change_gradually, iou, read_run_maps, score_run
from scaae_nipype.evaluation.nulls.surrogate_templates import make_surrogate_templates
from scaae_nipype.files import read_json, read_table, write_table
from scaae_nipype.grid import Grid
from scaae_nipype.images import image_4d
from scaae_nipype.interfaces.evaluation import GradualChange, MatchTemplates

AFFINE = np.diag([4.0, 4, 4, 1])
N_VOLUMES = 30
DROPPED = [0, 1, 12]
SCORES = ("iou", "dice", "size_matched_iou", "average_precision", "r")
SUMMARIES = [
    f"{kind}_{score}" for score in ("average_precision", "size_matched_iou") for kind in ("best_of_20", "mean")
]


def test_score_run_finds_the_planted_volumes(matching, tmp_path):
    _, overlap, *_ = score_run(**matching, out_dir=tmp_path / "out")
    table = read_table(overlap).set_index(["method", "template"])
    assert table.index.levels[0].tolist() == ["fbn1", "fbn2", "volume", "volume_negated"]
    for score in SCORES:
        assert table.loc[("fbn1", "left"), f"best_volume_{score}"] == 20
        assert table.loc[("volume_negated", "left"), f"best_volume_{score}"] == 5
        assert table.loc[("fbn1", "left"), f"best_{score}"] > 0.95
        assert table.loc[("fbn2", "left"), f"best_{score}"] < 0.6
        best, best_of_20, mean = (
            table[f"{kind}_{score}"].drop("outside", level="template") for kind in ("best", "best_of_20", "mean")
        )
        assert (best > best_of_20).all()
        assert (best_of_20 > mean).all()
    assert table.loc[("volume", "left"), "best_iou"] < 0.6
    assert (table["n_volumes"] == N_VOLUMES - len(DROPPED)).all()


def test_overlap_table_has_the_promised_columns(matching, tmp_path):
    _, overlap, *_ = score_run(**matching, out_dir=tmp_path)
    scores = [f"{kind}_{score}" for score in SCORES for kind in ("best", "best_volume", "best_of_20", "mean")]
    assert list(read_table(overlap)) == [
        *("method", "template", "template_density", "template_coverage", "method_density", "n_volumes"),
        *scores,
        *(f"mean_best_template_{score}" for score in SCORES),
        *(f"{column}_{summary}" for summary in SUMMARIES for column in ("chance", "above", "chance_p")),
    ]


def test_what_the_better_branch_has_above_chance_stands_beside_its_scores(matching, tmp_path):
    scores = score_run(**matching, out_dir=tmp_path)
    table = read_table(scores.overlap).set_index(["method", "template"])
    assert read_json(scores.metadata)["Chance"]["NumberOfSets"] == 19
    for name in SUMMARIES:
        both, signs = table.loc["fbn1"], table.loc["volume"]
        for column in ("chance", "above", "chance_p"):
            assert both[f"{column}_{name}"].equals(table.loc["fbn2"][f"{column}_{name}"])
            assert signs[f"{column}_{name}"].equals(table.loc["volume_negated"][f"{column}_{name}"])
        better = np.maximum(both[name], table.loc["fbn2"][name])
        np.testing.assert_allclose(both[f"above_{name}"], better - both[f"chance_{name}"], atol=1e-6)
        assert both[f"chance_p_{name}"].dropna().between(0.05, 1).all()
        assert both.loc["outside", [f"chance_{name}", f"above_{name}", f"chance_p_{name}"]].isna().all()
    assert table.loc[("fbn1", "left"), "chance_p_best_of_20_average_precision"] == 0.05


def test_surrogates_from_a_file_are_those_that_are_made_and_may_be_more(matching, tmp_path):
    made = score_run(**matching, out_dir=tmp_path / "made")
    of = {key: matching[key] for key in ("templates", "grid_mask")}
    file = make_surrogate_templates(**of, n_surrogate_templates=25, out_dir=tmp_path)
    read = score_run(**matching, surrogates=file, out_dir=tmp_path / "read")
    assert made.overlap.read_bytes() == read.overlap.read_bytes()
    with pytest.raises(InputError, match=r"npy: holds 25 sets of surrogate templates; 30 are asked for"):
        score_run(**matching, surrogates=file, n_chance_templates=30, out_dir=tmp_path)
    with pytest.raises(UsageError, match="`n_chance_templates` 5: must be 0"):
        score_run(**matching, n_chance_templates=5, out_dir=tmp_path)


def test_without_chance_the_table_has_scores_alone(matching, tmp_path):
    scores = score_run(**matching, n_chance_templates=0, out_dir=tmp_path)
    assert not read_table(scores.overlap).filter(regex="^(chance|above)").shape[1]
    assert read_json(scores.metadata)["Chance"] == "not measured"


def test_the_threshold_curve_passes_through_the_scores_at_the_papers_threshold(matching, tmp_path):
    scores = score_run(**matching, out_dir=tmp_path)
    overlap, thresholds = scores.overlap, scores.threshold_curve
    curve, table = read_table(thresholds), read_table(overlap).set_index(["method", "template"])
    assert len(curve) == 4 * 3 * 10
    at = curve[curve["threshold"] == 0.3].set_index(["method", "template"])
    for name in ("method_density", "best_iou", "best_of_20_iou", "mean_iou"):
        np.testing.assert_allclose(at[name], table.loc[at.index, name], rtol=1e-5)
    maps = read_run_maps(**{key: matching[key] for key in ("fbn_maps", "in_file", "in_mask", "in_samples")})
    at = curve[(curve["method"] == "fbn2") & (curve["template"] == "left")].set_index("threshold")
    dense = [(maps.fbn["fbn2"][maps.kept] > threshold).mean() for threshold in at.index]
    np.testing.assert_allclose(at["method_density"], dense, rtol=1e-5)
    assert curve.loc[curve["template"] == "outside", ["best_iou", "mean_iou"]].isna().all(axis=None)


def test_density_and_coverage_refer_to_the_region_and_the_models_mask(matching, tmp_path):
    _, overlap, *_ = score_run(**matching, out_dir=tmp_path)
    table = read_table(overlap).set_index(["method", "template"]).loc["fbn1"]
    assert table["template_coverage"].iloc[:2].tolist() == [1.0, 0.5]
    np.testing.assert_allclose(table["template_density"], [2 / 5, 1 / 5, 0], atol=1e-6)


def test_a_template_outside_the_mask_is_named_and_scored_na(matching, tmp_path):
    per_volume, overlap, metadata, *_ = score_run(**matching, out_dir=tmp_path)
    table = read_table(overlap)
    outside = table[table["template"] == "outside"]
    assert outside.filter(regex="^(best|mean)_(?!best)").isna().all(axis=None)
    assert read_table(per_volume)["fbn1_outside"].isna().all()
    content = read_json(metadata)
    assert content["Warnings"] == ["Template outside has no voxel in the model's brain mask."]
    assert content["TemplateLabels"] == ["left", "right", "outside"]
    assert content["Threshold"] == 0.3
    assert content["Templates"] == "networks.nii.gz"


def test_iou_table_has_a_row_per_volume_and_na_where_not_kept(matching, tmp_path):
    per_volume, overlap, *_ = score_run(**matching, out_dir=tmp_path)
    table = read_table(per_volume)
    assert list(table) == ["kept", *(f"fbn{b}_{name}" for b in (1, 2) for name in ("left", "right", "outside"))]
    assert len(table) == N_VOLUMES
    assert np.flatnonzero(table["kept"] == 0).tolist() == DROPPED
    assert np.flatnonzero(table["fbn1_left"].isna()).tolist() == DROPPED
    best = read_table(overlap).set_index(["method", "template"]).loc[("fbn1", "left"), "best_iou"]
    assert table["fbn1_left"].max() == pytest.approx(best)
    assert table["fbn1_left"].idxmax() == 20


def test_threads_change_no_table(matching, tmp_path):
    alone = score_run(**matching, out_dir=tmp_path / "alone")
    together = score_run(**matching, num_threads=3, out_dir=tmp_path / "together")
    assert [path.read_bytes() for path in alone] == [path.read_bytes() for path in together]


def test_change_gradually_covers_branches_and_volume(run, tmp_path):
    table = read_table(change_gradually(**run, out_dir=tmp_path))
    assert list(table) == [
        *("method", "lag", "lag_seconds", "mean_iou", "sd_iou", "n_pairs", "density", "chance_iou"),
    ]
    assert table["method"].unique().tolist() == ["fbn1", "fbn2", "volume"]
    assert table["lag_seconds"].max() == 20.0
    first = table[table["lag"] == 1]
    assert first["n_pairs"].tolist() == [25] * 3  # 2 … 11 and 13 … 29


def test_consecutive_iou_is_that_of_the_thresholded_maps(run, tmp_path):
    table = read_table(change_gradually(**run, out_dir=tmp_path)).set_index(["method", "lag"])
    maps = read_run_maps(**run).fbn["fbn2"] > 0.3
    pairs = [t for t in range(N_VOLUMES - 1) if not {t, t + 1} & set(DROPPED)]
    expected = np.mean([iou(maps[t : t + 1], maps[t + 1 : t + 2])[0, 0] for t in pairs])
    assert table.loc[("fbn2", 1), "mean_iou"] == pytest.approx(expected, rel=1e-5)


def test_interfaces_write_into_their_node_folder(matching, run, tmp_path):
    strings = {key: [*map(str, value)] if key == "fbn_maps" else str(value) for key, value in matching.items()}
    match = pe.Node(MatchTemplates(**strings), name="match", base_dir=str(tmp_path / "work")).run().outputs
    for path in (match.template_iou, match.overlap, match.out_metadata):
        assert str(tmp_path / "work" / "match") in path
    change = GradualChange(**{key: strings[key] for key in run})
    table = pe.Node(change, name="change", base_dir=str(tmp_path / "work")).run().outputs.gradual_change
    direct = change_gradually(**run, out_dir=tmp_path)
    assert read_table(table).equals(read_table(direct))


def test_numbers_of_volumes_must_agree(run, tmp_path, grid):
    short = tmp_path / "short.nii.gz"
    nib.save(image_4d(np.ones((8, 8, 8, 7), "f4"), AFFINE, 2.0), short)
    with pytest.raises(InputError, match=r"short\.nii\.gz: has 7 volumes, but the run's table of samples has 30 rows"):
        read_run_maps(**run | {"fbn_maps": [short]})
    grid.save(tmp_path / "flat.nii.gz")
    with pytest.raises(InputError, match=r"flat\.nii\.gz: has 1 volumes"):
        read_run_maps(**run | {"fbn_maps": [tmp_path / "flat.nii.gz"]})


def test_a_run_without_kept_volumes_or_repetition_time_is_refused(run, tmp_path, grid):
    with pytest.raises(InputError, match=r"samples\.tsv: no volume of the run is kept"):
        write_table(pd.DataFrame({"volume": range(N_VOLUMES), "kept": 0}), run["in_samples"])
        read_run_maps(**run)
    write_table(pd.DataFrame({"volume": range(N_VOLUMES)}), run["in_samples"])
    with pytest.raises(InputError, match=r"samples\.tsv: has no column 'kept'"):
        read_run_maps(**run)
    write_table(pd.DataFrame({"volume": range(N_VOLUMES), "kept": 1}), run["in_samples"])
    nib.save(image_4d(np.ones((8, 8, 8, N_VOLUMES), "f4"), AFFINE, 0.0), run["in_file"])
    with pytest.raises(InputError, match=r"run\.nii\.gz: its header holds no repetition time"):
        read_run_maps(**run)


def test_a_region_of_another_model_is_refused_with_its_file(matching, tmp_path):
    small = np.zeros((8, 8, 8), bool)
    small[2:4, 2:4, 2:4] = True
    Grid(AFFINE, small).save(tmp_path / "small.nii.gz")
    with pytest.raises(InputError, match=r"region\.nii\.gz: The evaluation region is not a part"):
        score_run(**matching | {"grid_mask": tmp_path / "small.nii.gz"}, out_dir=tmp_path)
