"""Cross-fitting: nobody's null goes through a model that has seen them, and models are made once."""

import json
from itertools import chain
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaae_nipype.bids_app.job.crossfit import (
    FoldModels,
    check_participants,
    check_training_runs,
    checksums_of_folds,
    fit_missing,
    folds_of,
)
from scaae_nipype.bids_app.job.model_store import ModelStore, StoredModel
from scaae_nipype.derivatives.names import participant_of
from scaae_nipype.errors import ModelError, ScaaeError, UsageError

labels = st.text("abc123", min_size=1, max_size=4)


@st.composite
def studies(draw):
    """Draw participants with one to three runs each, in any order, and a number of folds that they can fill."""
    participants = draw(st.lists(labels, min_size=2, max_size=12, unique=True))
    runs = [f"sub-{p}_run-{n}" for p in participants for n in range(draw(st.integers(1, 3)))]
    return draw(st.permutations(runs)), draw(st.integers(2, len(participants)))


@given(studies())
def test_folds_are_a_partition_and_nobody_is_in_their_own_training_set(study):
    runs, n_folds = study
    folds = folds_of(runs, n_folds)
    left_out = list(chain.from_iterable(fold.participants for fold in folds))
    assert sorted(left_out) == sorted({participant_of(run) for run in runs})  # everybody once
    assert len(folds) == n_folds
    sizes = [len(fold.participants) for fold in folds]
    assert max(sizes) - min(sizes) <= 1
    for fold in folds:
        trained = {participant_of(run) for run in fold.training_runs}
        assert trained and trained.isdisjoint(fold.participants)
        assert trained | set(fold.participants) == set(left_out)
        assert [run for run in runs if run in fold.training_runs] == list(fold.training_runs)  # all runs of the others
        assert len(fold.training_runs) == sum(participant_of(run) not in fold.participants for run in runs)


@given(studies(), st.randoms())
def test_the_split_does_not_depend_on_the_order_of_runs(study, random):
    runs, n_folds = study
    shuffled = random.sample(runs, len(runs))
    assert [f.participants for f in folds_of(runs, n_folds)] == [f.participants for f in folds_of(shuffled, n_folds)]


def test_too_few_participants_are_told_what_to_do():
    with pytest.raises(UsageError, match=r"--cross-fit 3: usable runs are of 2 participants only.*give --cross-fit 2"):
        check_participants(["01", "02", "02"], 3)
    with pytest.raises(UsageError, match=r"one participant only \(sub-01\).*train.*--model.*leave --cross-fit out"):
        check_participants(["01", "01"], 2)
    check_participants(["01", "02"], 2)


@pytest.fixture
def models(tmp_path):
    """Give a main model of three participants, as files, and the places of two folds' models."""
    store = ModelStore(tmp_path, "main")
    main = store.place(model_folder(tmp_path / "made", "main", ["sub-01_a", "sub-01_b", "sub-02_a", "sub-03_a"]))
    return FoldModels(main, store, 2)


def model_folder(folder: Path, checksum: str, runs=()) -> Path:
    folder.mkdir(parents=True)
    (folder / "card.json").write_text(json.dumps({"WeightsSHA256": checksum, "Training": {"Runs": list(runs)}}))
    return folder


def test_models_of_folds_stand_beside_the_main_one_and_are_made_once(models, tmp_path):
    made = []

    def make(fold):
        made.append(fold.label)
        return model_folder(tmp_path / f"{fold.label}-{len(made)}", fold.label, fold.training_runs)

    assert models.there() == {}
    found = fit_missing(models, models.folds, make=make, fail=pytest.fail)
    again = fit_missing(models, models.folds, make=make, fail=pytest.fail)
    assert made == ["fold1of2", "fold2of2"]
    assert set(found) == set(again) == {"01", "02", "03"} and found["01"] == found["03"] != found["02"]
    assert found["02"].folder == tmp_path / "models" / "main-fold2of2"
    assert found["02"].training_runs == ("sub-01_a", "sub-01_b", "sub-03_a")
    told = {"Fold": 2, "NumberOfFolds": 2, "LeftOut": ["02"], "MainModelChecksum": "main"}
    assert found["02"].card["CrossFit"] == told
    assert [fold.number for fold in models.needed({"02", "new"})] == [2]
    assert models.needed(["new"]) == [] and len(models.needed(None)) == 2


def test_models_of_another_main_model_do_not_count(models, tmp_path):
    fit_missing(
        models,
        models.folds,
        make=lambda f: model_folder(tmp_path / f.label, f.label, f.training_runs),
        fail=pytest.fail,
    )
    retrained = FoldModels(StoredModel(models.main.folder, "other", models.main.card), models.store, 2)
    assert len(models.there()) == 2 and retrained.there() == {}
    fit_missing(
        retrained, retrained.folds, make=lambda f: model_folder(tmp_path / f"new-{f.label}", "new"), fail=pytest.fail
    )
    assert {model.checksum for model in retrained.there().values()} == {"new"}
    assert models.there() == {}


def test_unwanted_models_are_made_again_once(models, tmp_path):
    made = []

    def make(fold):
        made.append(fold.label)
        return model_folder(tmp_path / f"{fold.label}-{len(made)}", "same as ever")

    fit_missing(models, models.folds, make=make, fail=pytest.fail)
    unwanted = checksums_of_folds(models.store)
    assert unwanted == dict.fromkeys(["main-fold1of2", "main-fold2of2"], "same as ever")
    again = FoldModels(models.main, models.store, 2, unwanted)
    assert again.there() == {}
    for _ in range(2):
        fit_missing(again, again.folds, make=make, fail=pytest.fail)
    assert made == ["fold1of2", "fold2of2"] * 2 and len(again.there()) == 2


def test_a_damaged_model_of_a_fold_is_that_folds_failure(models, tmp_path):
    def make(fold):
        return model_folder(tmp_path / fold.label, fold.label)

    fit_missing(models, models.folds, make=make, fail=pytest.fail)
    (tmp_path / "models" / "main-fold1of2" / "card.json").write_text("{")
    assert [fold.number for fold in models.there()] == [2]
    failed = {}
    assert set(fit_missing(models, models.folds, make=make, fail=failed.__setitem__)) == {"02"}
    assert "Give --retrain to replace it. Without it" in failed["model of fold 1 of 2"]


def test_a_call_without_the_training_runs_is_told_what_to_do(models):
    fold = models.folds[1]
    check_training_runs(fold, {"sub-01_a", "sub-01_b", "sub-03_a", "more"})
    with pytest.raises(ScaaeError, match=r"2 of the 3 runs that train it are not .*\(sub-01_a …\): run .* train"):
        check_training_runs(fold, {"sub-01_b", "sub-02_a"})


def test_a_fold_that_fails_is_said_with_whom_it_concerns_and_stops_no_other(models, tmp_path):
    failed = {}

    def make(fold):
        if fold.number == 1:
            raise ModelError("too few volumes.")
        return model_folder(tmp_path / fold.label, fold.label)

    found = fit_missing(models, models.folds, make=make, fail=failed.__setitem__)
    assert set(found) == {"02"}
    assert failed == {
        "model of fold 1 of 2": "too few volumes. Without it there is no temporal null of sub-01, sub-03."
    }


def test_the_cost_is_reckoned_from_the_main_model(models):
    assert models.cost_sentence(models.folds).startswith("Cross-fitting: 2 further models, each trained like the main")
    models.main.card["Training"]["Seconds"] = 40.0
    assert "that one took 40 s, so about 80 s in all" in models.cost_sentence(models.folds)
    assert "1 further model," in models.cost_sentence(models.folds[:1])
