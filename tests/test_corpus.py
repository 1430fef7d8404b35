"""Every malformed input costs its participant, or its call, one line that says why, and nobody else anything."""

import json
import os
import re
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from scaae_nipype.bids_app.cli import main
from scaae_nipype.bids_app.exits import EXIT_NOTHING
from scaae_nipype.bids_app.inputs.find import find_inputs
from scaae_nipype.bids_app.inputs.participants import first_table
from scaae_nipype.errors import InputError
from scaae_nipype.evaluation.events import lock_to_events
from scaae_nipype.evaluation.templates.template_names import read_names
from scaae_nipype.files import read_json, read_table, write_table
from scaae_nipype.preparation import prepare_run

sys.path.insert(0, str(Path(__file__).resolve().parent))

from corpus.calls import IMAGES, OTHERS, TEXTS
from corpus.dataset import N_VOLUMES
from corpus.models import MODELS, make_model, spoilt
from corpus.participants import BAD, LABELS, make_corpus
from corpus.tables import EVENTS, NAMES, PARTICIPANTS


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """Write the corpus."""
    return make_corpus(tmp_path_factory.mktemp("corpus") / "data")


def printable(label):
    return "".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in label)


def expected(corpus):
    return {printable(label): words for label, words in corpus.words.items() if words}


def test_there_are_at_least_150_malformed_inputs():
    assert len(BAD) + len(LABELS) >= 140
    assert len(TEXTS) + len(IMAGES) + len(OTHERS) + len(MODELS) >= 180
    assert len(PARTICIPANTS) + len(EVENTS) + len(NAMES) >= 50


def test_each_participant_fails_alone_in_a_line_when_planned_or_prepared(corpus):
    inputs = find_inputs(corpus.root)
    said = {skip.path.name.partition("_")[0].removeprefix("sub-"): skip.reason for skip in inputs.skipped}
    done = {"healthy"} | {label for label, words in corpus.words.items() if not words}
    for run in inputs.runs:
        label = run.entities["sub"]
        if label in done - {"healthy"}:
            said[label] = ""
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of numbers that are the point here
            try:
                prepare_run(run.bold, mask=run.mask, confounds=run.confounds, repetition_time=run.repetition_time)
                said[label] = ""
            except InputError as error:
                said[label] = str(error)
    assert {label for label, line in said.items() if not line} == done
    wrong = {label: said[label] for label, words in expected(corpus).items() if not re.search(words, said[label])}
    assert not wrong
    assert not [line for line in said.values() if "\n" in line or len(line) > 2100]


@pytest.fixture
def refused(tmp_path, corpus, monkeypatch, capsys):
    """Give a caller of the program in this process that expects to be refused in one line."""
    environment = dict(os.environ)
    monkeypatch.chdir(tmp_path)

    def call(*options, words, code):
        selection = [] if "--model" in options else ["--fit-selection"]
        healthy = ["--participant-label", "healthy", *selection]
        found = main([str(corpus.root), "out", "participant", *healthy, "--dry-run", *options])
        said = capsys.readouterr().err
        assert (found, len(said.splitlines())) == (code, 1), said
        assert re.search(words, said) and len(said) < 2200, said
        assert not Path("ran").exists() and not Path("out").exists()

    yield call
    os.environ.clear()
    os.environ.update(environment)


@pytest.mark.parametrize("bad", [*TEXTS, *IMAGES], ids=lambda bad: f"{bad.option.lstrip('-')}-{bad.name}")
def test_each_malformed_file_of_a_call_is_refused_in_a_line(bad, refused, tmp_path):
    path = tmp_path / bad.name
    if callable(bad.content):
        bad.content(path)
    else:
        path.write_bytes(bad.content.encode() if isinstance(bad.content, str) else bad.content)
    refused(bad.option, str(path), words=bad.words, code=bad.code)


@pytest.mark.parametrize(("options", "words", "code"), OTHERS, ids=lambda value: str(value)[:20])
def test_each_impossible_value_of_an_option_is_refused_in_a_line(options, words, code, refused):
    refused(*options, words=words, code=code)


@pytest.fixture(scope="module")
def healthy_model(tmp_path_factory):
    return make_model(tmp_path_factory.mktemp("model") / "healthy")


@pytest.mark.parametrize("bad", MODELS, ids=lambda bad: bad.name)
def test_each_malformed_model_is_refused_in_a_line(bad, healthy_model, refused, tmp_path):
    refused("--model", str(spoilt(bad, healthy_model, tmp_path / "model")), words=bad.words, code=EXIT_NOTHING)


@pytest.mark.parametrize("bad", NAMES, ids=lambda bad: bad.name)
def test_each_malformed_table_of_names_is_refused_in_a_line(bad, refused, tmp_path):
    path = written(bad, tmp_path / bad.name)
    if bad.words:
        refused("--atlas", "default", "--atlas-labels", str(path), words=bad.words, code=EXIT_NOTHING)
    else:
        assert read_names(path).names


@pytest.mark.parametrize("bad", PARTICIPANTS, ids=lambda bad: bad.name)
def test_each_malformed_table_of_participants_is_told_in_a_line(bad, tmp_path):
    path = written(bad, tmp_path / "participants.tsv")
    table, notes = first_table([tmp_path], ["a", "healthy"])
    assert (table is None) == bool(bad.words)
    assert bad.words == "" or (len(notes) == 1 and re.search(bad.words, notes[0]) and str(path) in notes[0])
    assert not [note for note in notes if "\n" in note or len(note) > 2100]


@pytest.mark.parametrize("bad", EVENTS, ids=lambda bad: bad.name)
def test_each_malformed_table_of_events_costs_the_events_alone(bad, tmp_path):
    path = written(bad, tmp_path / "events.tsv")
    rows = range(N_VOLUMES)
    states = write_table(pd.DataFrame({"kept": 1, "fbn1_state": ["a", "b"] * 12}, index=rows), tmp_path / "states.tsv")
    scores = pd.DataFrame({"fbn1_a": np.linspace(0, 1, N_VOLUMES), "fbn1_b": np.linspace(1, 0, N_VOLUMES)})
    scores = write_table(scores, tmp_path / "scores.tsv")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        done = lock_to_events(states=states, scores=scores, events=path, repetition_time=2.0, out_dir=tmp_path / "out")
    notes = read_json(done.metadata)["Warnings"]
    not_used = [note for note in notes if note.startswith("Events were not used")]
    assert bool(not_used) == bool(bad.words)
    assert bad.words == "" or re.search(bad.words, not_used[0])
    assert not [note for note in notes if "\n" in note or len(note) > 2100]
    assert read_table(done.events)["condition"].nunique() <= 20


def written(bad, path):
    path.write_bytes(bad.content.encode() if isinstance(bad.content, str) else bad.content)
    return path


@pytest.mark.slow
def test_all_of_them_in_one_job_leave_the_healthy_run_whole(corpus, tmp_path):
    """The participant level on the whole corpus, and the healthy participant's results at its end."""
    program = Path(sys.executable).with_name("scaae-bids")
    options = ("--preset", "tiny", "--train-volumes", "8", "--nprocs", "1", "--baselines", "none")
    call = [program, corpus.root, tmp_path / "out", "participant", *options, "--work-dir", tmp_path / "work"]
    done = subprocess.run(call, capture_output=True, text=True, timeout=3000, check=False)
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    status = json.loads((tmp_path / "out" / "logs" / "status.json").read_text())
    failed = {**status["CouldNotRun"], **status["Failed"]}
    said = {name.partition("_")[0].removeprefix("sub-"): line for name, line in failed.items()}
    wrong = {
        label: said.get(label, "")
        for label, words in expected(corpus).items()
        if not re.search(words, said.get(label, ""))
    }
    assert not wrong
    assert not [line for line in said.values() if "unexpected" in line]
    notes = {
        path.parents[1].name: json.loads(path.read_text())["warnings"]
        for path in (tmp_path / "out").glob("*/log/*.json")
    }
    said = {label: " ".join(notes[f"sub-{label}"]) for label in ("eventswide", "eventslatin", "eventstypes")}
    assert "Events were not used" in said["eventswide"] and "Events were not used" in said["eventslatin"]
    assert "20 with most events were tested" in said["eventstypes"]
    assert re.search(r"Events are left out \(is no regular file .*sub-eventspipe", done.stdout)
    finished = {name.partition("_")[0].removeprefix("sub-") for name in status["Finished"]}
    assert finished == {"healthy"} | {label for label, words in corpus.words.items() if not words}
    assert {path.stem for path in (tmp_path / "out").glob("sub-*.html")} == {f"sub-{label}" for label in finished}
