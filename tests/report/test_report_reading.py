"""Runs, models and images of an output dataset are found by what they are, and warned about by what they say."""

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from scaae_nipype.derivatives.names import output_path
from scaae_nipype.derivatives.reading import find_runs
from scaae_nipype.errors import InputError
from scaae_nipype.files import read_json, write_json
from scaae_nipype.report.banners import banners, failures
from scaae_nipype.report.participant_page import _subtitle
from scaae_nipype.report.sections.data import settings_table
from scaae_nipype.report.sections.model import cards_of, model_blocks
from scaae_nipype.report.sections.networks import branch_sentences


def touch(root: Path, meaning: str = "region", **entities: str) -> None:
    path = root / output_path(entities, meaning)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()


def titles(root: Path, participant: str = "01") -> list[str]:
    return [run.title for run in find_runs(root, participant)]


def test_runs_are_called_by_what_differs(tmp_path):
    for session, run in (("a", "1"), ("a", "2"), ("b", "1")):
        touch(tmp_path, sub="01", ses=session, task="rest", run=run, space="MNI")
    assert titles(tmp_path) == ["ses-a task-rest run-1", "ses-a task-rest run-2", "ses-b task-rest run-1"]


def test_an_entity_that_only_one_run_has_tells_them_apart(tmp_path):
    touch(tmp_path, sub="01", task="rest")
    touch(tmp_path, sub="01", task="rest", acq="fast")
    assert titles(tmp_path) == ["task-rest", "task-rest acq-fast"]


def test_one_run_is_called_by_its_task(tmp_path):
    touch(tmp_path, sub="01", task="rest", run="01", space="MNI")
    assert titles(tmp_path) == ["task-rest"]


def test_any_file_of_the_registry_makes_a_run_and_others_do_not(tmp_path):
    touch(tmp_path, "overlap", sub="01", task="nback")
    touch(tmp_path, "fbn2", sub="01", task="rest")
    (tmp_path / "sub-01/func/sub-01_task-other_desc-preproc_bold.nii.gz").touch()
    assert titles(tmp_path) == ["task-nback", "task-rest"]


def test_participants_whose_labels_begin_alike_are_kept_apart(tmp_path):
    touch(tmp_path, sub="011", task="rest")
    with pytest.raises(InputError, match="no outputs of participant 01;"):
        find_runs(tmp_path, "01")


def found(root: Path) -> list[tuple[str, str]]:
    runs = find_runs(root, "01")
    return [(banner.title, banner.text) for banner in banners(runs, cards_of(runs))]


def options_to_metadata(dataset: Path, tmp_path: Path, changes: dict) -> Path:
    """A dataset with one sidecar, whose model metadata differ from the good ones."""
    run = find_runs(dataset, "01")[0]
    sidecar = read_json(run.path("fbn1", ".json"))
    touch(tmp_path, **run.entities)
    write_json(
        {**sidecar, "Model": {**sidecar["Model"], **changes}}, find_runs(tmp_path, "01")[0].path("fbn1", ".json")
    )
    return tmp_path


@pytest.mark.parametrize(
    ("changes", "title", "detail"),
    [
        ({"Undertrained": True}, "The model is undertrained (abc123)", "do not interpret"),
        (
            {"Branches": [{"Sign": 1, "SignAgreement": 0.89, "MeanDensity": 0.2}]},
            "The sign of branch 1 (89 % of the volumes agree) is uncertain",
            "fewer than 90 %",
        ),
        (
            {"Branches": [{"SignAgreement": 1.0}, {"SignAgreement": None, "Flagged": True}]},
            "The sign of branch 2 (n/a of the volumes agree) is uncertain",
            "polarity",
        ),
        ({"Branches": [{}, {"MeanDensity": 0.61}]}, "Branch 2 is saturated", "task-rest, branch 2: 61 %"),
        ({"Branches": 2 * [{"MeanDensity": 0.7}]}, "Branches 1 and 2 are saturated", "task-rest, branch 1: 70 %"),
        ({"Branches": [{"Sign": 1, "MeasuredSign": -1}]}, "Branch 1 is inverted", "paper mode"),
        (
            {"TimeWidth": 2.5},
            "Networks are of a volume and its neighbours in time (σ 2.5 s)",
            "surrogates of the run saw",
        ),
        ({"ChannelWeightRange": [0.45, 0.54]}, "Channel attention selects nothing", "task-rest: 0.45 to 0.54"),
    ],
)
def test_banners(dataset, tmp_path, changes, title, detail):
    ((shown, text),) = found(options_to_metadata(dataset, tmp_path, changes))
    assert shown == title
    assert detail in text


def test_of_a_network_without_attention_nothing_is_said_of_its_channels(dataset, tmp_path):
    runs = find_runs(options_to_metadata(dataset, tmp_path, {"ChannelWeightRange": [1.0, 1.0]}), "01")
    model = runs[0].model["ModelName"]
    (banner,) = banners(runs, {model: {"Preset": "linear"}})
    assert _subtitle({model: {"Preset": "linear"}}).startswith("Projections on the group's principal components, one")
    assert _subtitle({model: {"Preset": "contextual"}}).startswith("Maps of spatial and channel-wise attention (SCAAE")
    assert banner.title == "There is no attention (preset linear)" and "branch 1 upside down" in banner.text
    (banner,) = banners(runs, {model: {"Preset": "contextual"}})
    assert banner.title == "Channel attention selects nothing"


@pytest.mark.parametrize(("linear", "told"), [(0.8, True), (0.2, False), (None, False), ("much", False)])
def test_a_fit_that_looks_like_a_gaussian_process_is_told(dataset, tmp_path, linear, told):
    runs = find_runs(dataset, "01")
    shown = [banner.title for banner in banners(runs, {"of all runs": {"Context": {"Linear": linear}}})]
    title = "The runs look as if networks wandered, not as if they took turns (of all runs)"
    assert (title in shown) is told


@pytest.mark.parametrize(
    ("context", "told"), [({"Mixed": 0.9, "Linear": 0.0}, True), ({"Mixed": 1, "Linear": 1}, False)]
)
def test_a_fit_of_mixed_networks_is_told_unless_they_wander(dataset, tmp_path, context, told):
    shown = [banner.title for banner in banners(find_runs(dataset, "01"), {"model": {"Context": context}})]
    assert ("The runs look as if several networks were active in most volumes (model)" in shown) is told


@pytest.mark.parametrize(
    ("leads", "told"),
    [({"own PCA": 1.5}, True), ({"own PCA": 0.3}, False), ({"group PCA": 1.0}, False), ([1.5], False), (None, False)],
)
def test_a_run_that_its_own_components_lead_is_told(dataset, tmp_path, leads, told):
    shown = [banner.title for banner in banners(find_runs(dataset, "01"), {"alone": {"Context": {"Leads": leads}}})]
    assert ("The run's own principal components lead the networks (alone)" in shown) is told


def test_branches_say_what_they_mark_where_that_is_by_design(make_dataset, dataset):
    run = find_runs(make_dataset(n=8, Branches=[{"Marks": f"{side} the mean"} for side in ("above", "below")]), "01")[0]
    assert run.branch_titles == ["FBN branch 1: above the mean", "FBN branch 2: below the mean"]
    (said,) = branch_sentences(run.branches)
    assert "branch 2 what is below the mean" in said and "state of branch 2 is less active than usual" in said
    learnt = find_runs(dataset, "01")[0]
    assert learnt.branch_titles == ["FBN branch 1", "FBN branch 2"] and branch_sentences(learnt.branches) == []


def test_a_sidecar_that_knows_one_branch_names_both(dataset, tmp_path):
    run = find_runs(options_to_metadata(dataset, tmp_path, {"Branches": [{"Marks": "above the mean"}]}), "01")[0]
    assert run.branch_titles == ["FBN branch 1: above the mean", "FBN branch 2"]


@pytest.mark.parametrize(
    "changes",
    [
        {"ChannelWeightRange": [0.40, 0.51]},
        {"TimeWidth": 0.0},
        {"TimeWidth": "x"},
        {"Branches": [{"SignAgreement": 0.9, "MeanDensity": 0.6, "Sign": -1, "MeasuredSign": -1}]},
        {"Branches": None, "ChannelWeightRange": None, "Undertrained": None},
        {"Branches": "x", "ChannelWeightRange": ["a"]},
    ],
)
def test_no_banner_on_the_right_side_of_a_limit(dataset, tmp_path, changes):
    assert not found(options_to_metadata(dataset, tmp_path, changes))


def test_an_undertrained_card_is_enough(make_dataset):
    assert found(make_dataset(n=4, training={"Undertrained": True}))[0][0] == "The model is undertrained (abc123)"


def test_a_model_trained_by_reconstruction_is_left_to_its_seed(make_dataset):
    loss = "mean squared error over the brain mask"
    ((title, text),) = found(make_dataset(n=4, training={"Loss": loss}))
    assert title == "Another seed may give other networks (abc123)"
    assert "correlated at 0.22 to 0.44 on average" in text


def test_the_model_is_found_by_its_checksum_whatever_its_folder_is_called(make_dataset):
    root = make_dataset(n=4, ModelName="another name")
    (root / "models" / "abc123").rename(root / "models" / "light-0f3a")
    run = find_runs(root, "01")[0]
    assert run.model_folder == root / "models" / "light-0f3a"
    assert run.card["Training"]["Volumes"] == 292


def test_a_model_of_another_checksum_is_not_taken_for_it(make_dataset):
    root = make_dataset(n=4, ModelName="elsewhere", ModelChecksum="f" * 64)
    run = find_runs(root, "01")[0]
    assert run.model_folder is None
    (block,) = model_blocks("elsewhere", run.card, [run])
    assert block.paragraphs == ["This dataset does not keep the card of model elsewhere."]


def test_density_is_counted_inside_the_region_and_volumes_are_read_as_they_are(make_dataset):
    run = find_runs(make_dataset(n=8), "01")[0]
    networks = run.networks("fbn1", [3])
    image = nib.load(run.path("fbn1"))
    values = image.get_fdata()
    assert np.isnan(networks.density[[0, 1, 4]]).all()  # two dummies and the spike
    assert networks.density[3] == pytest.approx((values[..., 3][run.region.mask] > 0.3).mean())
    np.testing.assert_allclose(networks.volumes[3], values[..., 3], rtol=1e-5)
    assert set(networks.volumes) == {3}


def test_repetition_time_comes_from_the_header_where_no_sidecar_tells(make_dataset):
    root = make_dataset(n=4)
    for path in root.glob("sub-01/func/*.json"):
        path.unlink()
    assert find_runs(root, "01")[0].repetition_time == pytest.approx(2.0)


def test_unknown_settings_are_shown_too(make_dataset):
    root = make_dataset(n=4)
    path = find_runs(root, "01")[0].path("fbn1", ".json")
    sidecar = read_json(path)
    sidecar["Preparation"] |= {"SomethingNew": 71.5, "HighPass": None}
    write_json(sidecar, path)
    rows = {row[0].text: row[1].text for row in settings_table(find_runs(root, "01")[0]).rows}
    assert rows["SomethingNew"] == "71.5"
    assert rows["High-pass"] == "none"
    assert "Warnings" not in rows


def test_runs_that_failed_are_named_at_the_top_with_their_reason(tmp_path):
    log = tmp_path / "sub-01" / "log"
    for stem, content in {
        "sub-01_task-a": {"status": "failed", "message": "no volume is left."},
        "sub-01_task-b": {"status": "finished", "message": ""},
    }.items():
        write_json(content, log / f"{stem}.json")
    (log / "sub-01_task-c.json").write_text("{")
    (banner,) = failures(tmp_path, "01")
    assert banner.title == "1 run failed" and "sub-01_task-a: no volume is left." in banner.text
    assert list(failures(tmp_path, "02")) == []
