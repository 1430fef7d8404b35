import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from nipype.pipeline import engine as pe
from traits.api import TraitError

from scaae_nipype.errors import InputError, UsageError
from scaae_nipype.evaluation import assign_states_of_run, read_run_maps, score_baselines, score_run, tabulate_regions
from scaae_nipype.files import read_json, read_table, write_json, write_table
from scaae_nipype.interfaces.evaluation import AssignStates, RegionTimeCourses, ScoreBaselines

N_VOLUMES = 30
DROPPED = [0, 1, 12]


def strings(arguments):
    return {k: [*map(str, v)] if isinstance(v, list) else str(v) for k, v in arguments.items()}


@pytest.fixture
def volumes(matching):
    return {key: value for key, value in matching.items() if key != "fbn_maps"}


def test_states_in_paper_mode_follow_the_iou_table(matching, tmp_path):
    per_volume = read_table(score_run(**matching, out_dir=tmp_path)[0])
    states, *_ = assign_states_of_run(**matching, mode="paper", out_dir=tmp_path)
    table = read_table(states)
    assert len(table) == N_VOLUMES
    assert np.flatnonzero(table["fbn1_state"].isna()).tolist() == DROPPED
    own = per_volume[["fbn1_left", "fbn1_right"]]
    kept = table["kept"] == 1
    expected = np.where(
        own.max(axis=1) >= 0.3, np.where(own["fbn1_left"] >= own["fbn1_right"], "left", "right"), "unassigned"
    )
    assert table["fbn1_state"][kept].tolist() == expected[kept].tolist()
    np.testing.assert_allclose(table["fbn1_score"], own.max(axis=1), rtol=1e-5)
    np.testing.assert_allclose(table["fbn1_margin"], own.max(axis=1) - own.min(axis=1), rtol=1e-3, atol=1e-5)


def test_calibrated_states_use_the_size_matched_score(matching, tmp_path):
    states, metrics, transitions, maps, metadata = assign_states_of_run(**matching, out_dir=tmp_path)
    about = read_json(metadata)
    assert (about["Mode"], about["Score"]) == ("calibrated", "size_matched_iou")
    assert (about["CutOffSource"], about["NoiseShare"]) == ("noise as smooth as the maps", 0.05)
    assert set(about["CutOff"]) == set(about["NoiseSmoothness"]) == {"fbn1", "fbn2", "volume"}
    table = read_table(states)
    assert table.loc[20, "fbn1_state"] == "left"
    assert table.loc[20, "fbn1_score"] > 0.95
    summary = read_table(metrics).set_index(["method", "state"])
    assert summary.index.levels[0].tolist() == ["fbn1", "fbn2", "volume"]
    assert summary.loc[("fbn1", "left"), "n_volumes"] == (table["fbn1_state"] == "left").sum()
    assert summary.loc[("fbn1", "outside"), "n_volumes"] == 0
    assert "outside" in about["Methods"]["fbn1"]["NeverVisited"]
    pairs = read_table(transitions)
    assert len(pairs) == 3 * 9
    assert pairs.groupby("method")["count"].sum()["fbn1"] <= 25  # consecutive kept pairs
    images = [nib.load(path) for path in maps]
    assert [image.shape for image in images] == [(8, 8, 8, 3)] * 2
    assert not images[0].get_fdata()[..., 2].any()


def test_a_cutoff_that_is_given_wins_and_paper_mode_keeps_its_own(matching, tmp_path):
    *_, given = assign_states_of_run(**matching, state_cutoff=0.25, out_dir=tmp_path / "given")
    *_, paper = assign_states_of_run(**matching, mode="paper", out_dir=tmp_path / "paper")
    assert [(about["CutOff"], about["CutOffSource"]) for about in map(read_json, (given, paper))] == [
        (0.25, "given"),
        (0.3, "mode"),
    ]


def test_states_that_sit_on_spikes_are_named(matching, run, tmp_path):
    found = read_run_maps(**run)
    volume = found.volume.copy()
    volume[[20, 21]] *= 6
    nib.save(found.region.image(volume, 2.5), run["in_file"])
    states, metrics, _, _, metadata = assign_states_of_run(**matching, state_cutoff=0.5, out_dir=tmp_path / "out")
    about, table = read_json(metadata), read_table(states)
    assert {20, 21} <= set(about["Spikes"]) and table.loc[table["spike"] == 1].index.tolist() == about["Spikes"]
    assert table["spike"].isna().to_numpy().nonzero()[0].tolist() == DROPPED
    (named,) = about["Methods"]["fbn1"]["StatesOnSpikes"]
    assert (named["State"], named["Volumes"], named["NumberOfVolumes"]) == ("left", [20], 1)
    counted = read_table(metrics).set_index(["method", "state"])["n_spikes"]
    assert counted["fbn1", "left"] == len(named["Volumes"])


def test_every_method_has_its_own_cutoff_if_matches_were_tested(matching, tmp_path):
    cuts = {"fbn1": 0.5, "fbn2": 0.0, "volume": 2.0}
    told = write_json({"Score": "size_matched_iou", "CutOff": cuts}, tmp_path / "matches.json")
    states, *_, metadata = assign_states_of_run(**matching, state_cutoffs=told, out_dir=tmp_path)
    about, table = read_json(metadata), read_table(states)
    assert about["CutOff"] == cuts == {method: told["CutOff"] for method, told in about["Methods"].items()}
    kept = table["kept"] == 1
    for method, cut in cuts.items():
        assert ((table[f"{method}_state"] != "unassigned") == (table[f"{method}_score"] >= cut))[kept].all()
    assert (table["fbn1_state"] != "unassigned")[kept].any() and (table["fbn1_state"] == "unassigned").any()
    assert "No states of volume: its size-matched IoU with every template stays below 2." in about["Warnings"][-1]
    with pytest.raises(
        InputError, match=r"has no cut-offs of iou for fbn1, fbn2, volume; test the matches in this mode"
    ):
        assign_states_of_run(**matching, mode="paper", state_cutoffs=told, out_dir=tmp_path)


def test_state_maps_are_means_of_the_signed_maps(matching, run, tmp_path):
    run_maps = read_run_maps(**run)
    signed = []
    for branch in ("fbn1", "fbn2"):
        path = tmp_path / f"{branch}signed.nii.gz"
        nib.save(run_maps.region.image(run_maps.volume - 5 * run_maps.kept[:, None], 2.5), path)
        signed.append(path)
    states, _, _, maps, _ = assign_states_of_run(**matching, signed_maps=signed, mode="paper", out_dir=tmp_path / "out")
    left = read_table(states)["fbn1_state"].to_numpy() == "left"
    found = run_maps.region.read_vectors(maps[0])[0]
    np.testing.assert_allclose(found, run_maps.volume[left].mean(axis=0) - 5, atol=2e-3)


def test_scaled_maps_are_not_read_where_scores_and_signed_maps_tell_all(matching, run, tmp_path):
    scores, signed = score_run(**matching, out_dir=tmp_path)[3], run["fbn_maps"][::-1]
    first = assign_states_of_run(**matching, signed_maps=signed, out_dir=tmp_path / "a")
    gone = matching | {"fbn_maps": [tmp_path / "gone1.nii.gz", tmp_path / "gone2.nii.gz"]}
    second = assign_states_of_run(**gone, signed_maps=signed, scores=scores, out_dir=tmp_path / "b")
    for one, other in zip(first[:3], second[:3], strict=True):
        pd.testing.assert_frame_equal(read_table(one), read_table(other), rtol=1e-4)
    assert [path.name for path in first[3]] == [path.name for path in second[3]]


def test_nothing_above_the_cut_is_said_and_the_rest_written(matching, run, tmp_path):
    region = read_run_maps(**run).region
    ramp = np.random.default_rng(0).permutation(np.linspace(0, 1, region.n_voxels)) ** 20  # few voxels above 0.3
    nib.save(region.image(np.tile(ramp, (N_VOLUMES, 1)), 2.5), tmp_path / "fbn2.nii.gz")
    *_, metadata = assign_states_of_run(**matching, mode="paper", out_dir=tmp_path / "out")
    about = read_json(metadata)
    assert about["Methods"]["fbn2"]["AssignedVolumes"] == 0
    assert about["Methods"]["fbn1"]["AssignedVolumes"] > 0
    assert "No states of fbn2: its IoU with every template stays below 0.3." in about["Warnings"]
    assert about["Methods"]["fbn2"]["OccupancyEntropyBits"] is None


def test_an_unknown_mode_is_refused(matching):
    with pytest.raises(UsageError, match="Mode 'loose' is unknown; choose from paper, calibrated"):
        assign_states_of_run(**matching, mode="loose")


def test_baselines_are_scored_as_the_run_is(matching, volumes, tmp_path):
    ours = read_table(score_run(**matching, out_dir=tmp_path)[1])
    table, metadata = score_baselines(**volumes, baselines=["volume", "cap"], out_dir=tmp_path)
    theirs = read_table(table)
    assert list(theirs) == list(ours)
    expected = ours[ours["method"].isin(["volume", "volume_negated"])].reset_index(drop=True)
    found = theirs[theirs["method"] != "cap_centroid"].reset_index(drop=True)
    pd.testing.assert_frame_equal(found, expected, rtol=1e-3, check_dtype=False)
    assert read_json(metadata)["Templates"] == "networks.nii.gz"


def test_components_belong_to_no_volume(volumes, tmp_path):
    table, _ = score_baselines(**volumes, baselines=["ica"], n_components=5, out_dir=tmp_path)
    table = read_table(table)
    components, volumes_denoised = (table[table["method"] == method] for method in ("canica", "ica_projection"))
    assert (components["n_volumes"] == 5).all()
    assert components.filter(like="best_volume").isna().all(axis=None)
    assert components["best_iou"].notna().sum() == 2
    assert (volumes_denoised["n_volumes"] == N_VOLUMES - len(DROPPED)).all()
    assert volumes_denoised["best_volume_iou"].notna().sum() == 2


def test_a_baseline_that_the_run_does_not_allow_is_named_and_the_rest_written(volumes, tmp_path):
    write_table(pd.DataFrame({"kept": np.arange(N_VOLUMES) % 2}), volumes["in_samples"])
    table, metadata = score_baselines(**volumes, baselines=["windows", "pca"], n_components=3, out_dir=tmp_path)
    assert read_table(table)["method"].unique().tolist() == ["pca_projection"]
    assert any("Sliding-window ICA: no window of 60 s keeps 20" in text for text in read_json(metadata)["Warnings"])
    columns = list(read_table(table))
    table, metadata = score_baselines(**volumes, baselines=["windows"], out_dir=tmp_path)
    assert list(read_table(table)) == columns and read_table(table).empty
    assert "The run allows none of the baselines that were asked for." in read_json(metadata)["Warnings"]


def _codes(folder, codes):
    table = pd.DataFrame(codes, columns=["code01", "code02"])
    table.insert(0, "kept", 1)
    table.loc[DROPPED, ["kept", "code01", "code02"]] = [0, np.nan, np.nan]
    return write_table(table, folder / "codes.tsv")


def test_codes_are_read_for_the_kept_volumes(volumes, tmp_path):
    codes = _codes(tmp_path, np.random.default_rng(0).standard_normal((N_VOLUMES, 2)))
    table, _ = score_baselines(**volumes, baselines=["encoder_lasso"], code=codes, out_dir=tmp_path)
    assert (read_table(table)["n_volumes"] == 2).all()
    short = write_table(read_table(codes).iloc[:5], tmp_path / "short.tsv")
    with pytest.raises(InputError, match=r"short\.tsv: has 5 rows for 30 volumes"):
        score_baselines(**volumes, baselines=["encoder_lasso"], code=short)
    holes = read_table(codes)
    holes.loc[20, "code01"] = np.nan
    with pytest.raises(InputError, match=r"holes\.tsv: lacks the features of a kept volume"):
        score_baselines(**volumes, baselines=["encoder_lasso"], code=write_table(holes, tmp_path / "holes.tsv"))


def test_region_tables_hold_the_mean_map_of_each_region(matching, run, tmp_path):
    arguments = run | {"atlas": matching["templates"], "grid_mask": matching["grid_mask"]}
    tables, metadata = tabulate_regions(**arguments, out_dir=tmp_path)
    table = read_table(tables[0])
    assert list(table) == ["kept", "left", "right", "outside"]
    assert np.flatnonzero(table["left"].isna()).tolist() == DROPPED
    assert table["outside"].isna().all()
    assert table["left"].idxmax() == 20
    about = read_json(metadata)
    assert about["SamplingFrequency"] == pytest.approx(0.4)
    assert about["RegionCoverage"] == {"left": 1.0, "right": 0.5, "outside": None}


def test_interfaces_hand_out_the_files_of_the_steps(matching, volumes, run, tmp_path):
    base = str(tmp_path / "work")
    states = pe.Node(AssignStates(**strings(matching)), name="states", base_dir=base).run().outputs
    assert len(states.state_maps) == 2
    assert len(read_table(states.states)) == N_VOLUMES
    assert read_json(states.out_metadata)["Mode"] == "calibrated"
    score = ScoreBaselines(**strings(volumes), baselines=["pca"])
    scored = pe.Node(score, name="baselines", base_dir=base).run().outputs
    assert read_table(scored.baselines)["method"].unique().tolist() == ["pca_projection"]
    atlas = {"atlas": str(matching["templates"]), "grid_mask": str(matching["grid_mask"])}
    regions = pe.Node(RegionTimeCourses(**strings(run), **atlas), name="regions", base_dir=base).run().outputs
    assert len(regions.regions) == 2
    with pytest.raises(TraitError, match="template_kind"):
        AssignStates(template_kind="masks")
    with pytest.raises(TraitError, match="atlas_kind"):
        RegionTimeCourses(atlas_kind="masks")
