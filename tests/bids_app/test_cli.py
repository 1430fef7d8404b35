"""The command line: what is understood, what is refused, and how fast it answers."""

import json
import os
import re
import stat
import subprocess
import sys

import pytest

from scaae_nipype.bids_app.cli import main
from scaae_nipype.bids_app.settings.asked import settings_of
from scaae_nipype.bids_app.settings.command_line import parse
from scaae_nipype.errors import UsageError
from scaae_nipype.options import BASELINES, Evaluation, Nulls, Preparation, Training

LIGHT = "import sys; from scaae_nipype.bids_app.cli import main; code = main(sys.argv[1:]); sys.exit(code)"


@pytest.fixture
def settings(tmp_path, monkeypatch):
    """Give a maker of settings from a command line."""
    (tmp_path / "in").mkdir()
    monkeypatch.chdir(tmp_path)

    def make(*options, level="participant"):
        return settings_of(parse(["in", "out", level, *options]))

    return make


def test_three_positionals_are_enough(settings, tmp_path):
    made = settings()
    assert (made.bids_dir, made.output_dir) == (tmp_path / "in", tmp_path / "out")
    assert made.work_dir == tmp_path / "work" / "scaae_nipype"
    assert (made.preparation, made.evaluation, made.nulls) == (Preparation(), Evaluation(), Nulls())
    assert (made.training, made.preset) == (Training(), "pointwise")
    assert made.nprocs >= made.omp_nthreads >= 1
    assert made.memory_gb > 0.1


@pytest.mark.parametrize(
    ("options", "name", "value"),
    [
        (["--participant-label", "01", "sub-02", "01"], "participants", ("01", "02")),
        (["--participant_label", "01"], "participants", ("01",)),
        (["--session-id", "ses-a"], "sessions", ("a",)),
        (["--session_label", "b"], "sessions", ("b",)),
        (["-t", "rest", "nback"], "tasks", ("rest", "nback")),
        (["--run-id", "01"], "runs", ("01",)),
        (["--space", "MNI152NLin6Asym:res-2"], "spaces", ("MNI152NLin6Asym:res-2",)),
        (["--n_cpus", "3"], "nprocs", 3),
        (["--nthreads=3", "--omp-nthreads", "8"], "omp_nthreads", 3),
        (["--mem", "8G"], "memory_gb", 8.0),
        (["--mem_mb", "500"], "memory_gb", 0.5),
        (["--mem-gb", "1.5"], "memory_gb", 1.5),
        (["--dummy-scans", "4"], "dummy_scans", 4),
        (["-f", "0.3"], "fd_threshold", 0.3),
        ([], "baselines", ("smoothed", "context", "group_pca", "pca")),
        (["--baselines", "none"], "baselines", ()),
        (["--baselines", "ica", "volume", "cap"], "baselines", ("cap", "ica")),
        (["--baselines", "all"], "baselines", BASELINES),
        (["--preset", "tiny"], "baselines", ("smoothed", "group_pca", "pca")),
        (["--mode", "paper"], "baselines", ("smoothed", "group_pca", "pca")),
        (["--preset", "tiny", "--baselines", "all"], "baselines", tuple(n for n in BASELINES if n != "context")),
        (["--atlas", "default"], "atlas", "default"),
        (["--atlas", "default", "--signed-maps"], "output_options", ("save_signed", "baselines", "atlas")),
        ([], "n_surrogates", 0),
        ([], "output_options", ("baselines",)),
        (["--surrogates", "99"], "output_options", ("baselines", "n_surrogates", "n_surrogate_templates")),
        (["--surrogates", "19"], "n_surrogate_templates", 99),
        ([], "n_surrogate_templates", 0),
        (["--surrogate-templates", "199"], "output_options", ("baselines", "n_surrogate_templates")),
        (["--surrogates", "99", "--surrogate_templates", "0"], "output_options", ("baselines", "n_surrogates")),
        (["--mode", "paper", "--surrogates", "19"], "n_surrogates", 19),
        ([], "n_folds", 0),
        (["--surrogates", "19", "--cross_fit", "5"], "n_folds", 5),
        (["-p", "athena"], "low_pass", None),  # the strategy's
        (["-p", "none", "-f", "0"], "fd_threshold", 0.0),
        (["-p", "none", "--high-pass", "0.01"], "high_pass", 0.01),
        (["--preset", "tiny", "--train-volumes", "160"], "train_volumes", 160),
        (["--preset", "tiny", "--train-processes", "2"], "processes", 2),
        (["-vv"], "verbosity", 2),
        (["--mode", "paper"], "preset", "published"),
        (["--mode", "paper"], "strategy", "published-code"),
        (["--mode", "paper", "--preset", "tiny", "-p", "24P"], "strategy", "24P"),
        (["--skip_bids_validation"], "level", "participant"),
    ],
)
def test_options(settings, options, name, value):
    assert settings(*options).value_of(name) == value


def test_baselines_are_those_of_the_evaluation():
    from scaae_nipype.evaluation import BASELINES as MADE

    assert {*BASELINES, "volume"} == set(MADE)


def test_further_datasets(settings, tmp_path):
    (tmp_path / "xcpd").mkdir()
    made = settings("-d", "clean=xcpd", "in")
    assert dict(made.datasets) == {"clean": tmp_path / "xcpd", "in": tmp_path / "in"}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--nonsense"], "Unrecognized arguments: --nonsense"),
        (["--mem", "8"], "--mem 8: give an amount with its unit, for example 8G"),
        (["--nprocs", "0"], "--nprocs 0: must be 1 or larger"),
        (["--fd-thresh", "-1"], "--fd-thresh -1.0: must be 0 or larger"),
        (["--smoothing", "inf"], "--smoothing inf"),
        (["--repetition-time", "2000"], "--repetition-time 2000: must be 0.1 to 20, in s"),
        (["--repetition-time", "nan"], "--repetition-time nan: must be"),
        (["--high-pass", "0.2", "--low-pass", "0.1"], "--high-pass 0.2 must be lower than --low-pass 0.1"),
        (["--dummy-scans", "some"], "invalid number value: 'some'"),
        (["-p", "24Q"], "did you mean 24p"),
        (["-d", "a=in", "a=in"], "each name once"),
        (["-d", "a=nowhere"], "--derivatives a=.*nowhere: there is no such folder"),
        (["--bids-filter-file", "missing.json"], "--bids-filter-file missing.json: there is no such file"),
        (["--cross-fit", "2"], "--cross-fit 2 has no effect without --surrogates.*give --surrogates 99 too"),
        (["--cross-fit", "1", "--surrogates", "99"], "--cross-fit 1: must be 0 .*or 2 or larger"),
        (["--cross-fit", "-3", "--surrogates", "99"], "--cross-fit -3: must be 0 .*or 2 or larger"),
        (["--cross-fit", "2", "--surrogates", "99", "--model", "m"], "--cross-fit 2 has no effect with --model"),
        (["--model", "m", "--preset", "tiny"], "--preset has no effect with --model"),
        (["--model", "m", "--retrain"], "--retrain has no effect with --model"),
        (["--train-volumes", "0"], "--train-volumes 0"),
        (["--train-volumes", "160"], "--train-volumes has no effect with --preset pointwise"),
        (["--train-processes", "0"], "--train-processes 0: must be 1 or larger"),
        (["--train-processes", "2"], "--train-processes has no effect with --preset pointwise"),
        (["-w", "in/work"], "lies inside the input dataset .* choose another --work-dir"),
        (["--baselines", "svm"], "--baselines svm: unknown; choose from smoothed, context, group_pca, pca"),
        (["--preset", "tiny", "--baselines", "context"], "--baselines context has no effect with --preset tiny"),
        (["--baselines", "all", "pca"], "--baselines all pca: all goes alone"),
        (["--surrogates", "18"], "--surrogates 18: must be 0 .*, or 19 or larger"),
        (["--surrogates", "-1"], "--surrogates -1: must be 0"),
        (["--surrogate-templates", "18"], "--surrogate-templates 18: must be 0 .no spatial null., or 19 or larger"),
        (["--surrogates", "many"], "invalid int value: 'many'"),
        (["--atlas", "x.nii.gz", "--atlas-labels", "none.tsv"], "--atlas-labels none.tsv: there is no such file"),
    ],
)
def test_impossible_options(settings, options, words):
    with pytest.raises(UsageError, match=words):
        settings(*options)


def test_labels_without_an_atlas(settings, tmp_path):
    (tmp_path / "labels.tsv").touch()
    with pytest.raises(UsageError, match=r"--atlas-labels has no effect without --atlas"):
        settings("--atlas-labels", "labels.tsv")


def test_kinds_of_templates_and_atlas(settings, tmp_path):
    (tmp_path / "maps.nii.gz").touch()
    made = settings("--templates", "maps.nii.gz", "--template-kind", "labels", "--atlas", "maps.nii.gz")
    assert (made.evaluation.template_kind, made.evaluation.atlas_kind) == ("labels", "auto")
    assert settings("--atlas", "maps.nii.gz", "--atlas_kind", "continuous").evaluation.atlas_kind == "continuous"
    with pytest.raises(UsageError, match=r"--template-kind: invalid choice: 'masks'"):
        settings("--template-kind", "masks")
    with pytest.raises(UsageError, match=r"--template-kind has no effect without --templates FILE"):
        settings("--template-kind", "labels")
    for without in ([], ["--atlas", "default"]):
        with pytest.raises(UsageError, match=r"--atlas-kind has no effect without --atlas FILE"):
            settings(*without, "--atlas-kind", "labels")


def test_output_in_the_input(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in").mkdir()

    def make(output):
        return settings_of(parse(["in", output, "participant"]))

    assert make("in/derivatives/scaae").output_dir == tmp_path / "in" / "derivatives" / "scaae"
    for output in ("in", "in/out", "in/derivatives", "./in/../in"):
        with pytest.raises(UsageError, match="never written to"):
            make(output)
    (tmp_path / "link").symlink_to(tmp_path / "in")
    with pytest.raises(UsageError, match="never written to"):
        make("link/out")


def test_a_configuration_file_stands_behind_the_command_line(settings, tmp_path):
    (tmp_path / "options.yml").write_text(
        "nprocs: 2\ntask_id: [rest, nback]\nparticipant-label: 01\nretrain: true\nwrite-graph: false\nlow-pass: null\n"
    )
    made = settings("--config-file", "options.yml")
    assert (made.nprocs, made.tasks, made.participants, made.retrain) == (2, ("rest", "nback"), ("01",), True)
    assert (made.write_graph, made.preparation.low_pass) == (False, None)
    assert settings("--config_file", "options.yml", "--nprocs", "5", "-t", "x").nprocs == 5
    (tmp_path / "options.json").write_text(json.dumps({"mem": "4G", "smoothing": 4, "retrain": False}))
    made = settings("--config-file", "options.json")
    assert (made.memory_gb, made.preparation.smoothing_fwhm, made.retrain) == (4.0, 4.0, False)


@pytest.mark.parametrize(("name", "content"), [("o.yml", "nprocs: 2\n"), ("o.json", '{"nprocs": 2}')])
def test_configuration_file_with_a_byte_order_mark(settings, tmp_path, name, content):
    (tmp_path / name).write_text(content, encoding="utf-8-sig")
    assert settings("--config-file", name).nprocs == 2
    (tmp_path / name).write_text(content, encoding="utf-16")
    assert settings("--config-file", name).nprocs == 2


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("o.yml", "nprocz: 2", "--config-file o.yml: Unrecognized arguments: --nprocz"),
        ("o.json", "{", "--config-file o.json: is not valid JSON"),
        ("o.yml", "a: [", "--config-file o.yml: is not valid YAML"),
        ("o.yml", "just text", "holds no options"),
        ("o.yml", "config-file: other.yml", "names another configuration file"),
        ("missing.yml", None, "cannot be read"),
    ],
)
def test_unusable_configuration_file(settings, tmp_path, name, content, words):
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(UsageError, match=words):
        settings("--config-file", name)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["in", "out", "group"], "out: holds no results of anybody; run the participant level first"),
        (["in", "out", "group", "--permutations", "0"], "--permutations 0: must be 1 or larger"),
        (
            ["in", "out", "group", "--group-by", "age", "--covariates", "age"],
            "--group-by age: is one of --covariates too",
        ),
        (["nowhere", "out", "participant"], "nowhere: there is no such folder"),
        (["in", "file/out", "participant"], "cannot be a folder, because .*file is a file"),
        ([], "The following arguments are required: bids_dir"),
    ],
)
def test_wrong_usage_is_one_line_and_64(tmp_path, monkeypatch, capsys, arguments, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in").mkdir()
    (tmp_path / "file").touch()
    assert main(arguments) == 64
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert re.search(words, lines[0])


@pytest.mark.parametrize("option", ["--version", "--help"])
def test_answers_without_heavy_imports_and_with_a_home_nobody_may_write_to(tmp_path, option):
    home = tmp_path / "home"
    home.mkdir()
    home.chmod(stat.S_IRUSR | stat.S_IXUSR)
    environment = {**os.environ, "HOME": str(home), "PYTHONPATH": ""}
    result = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", LIGHT, option],
        env=environment,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=True,
    )
    assert "scaae-bids" in result.stdout
    heavy = {"numpy", "torch", "nipype", "nibabel", "pandas", "bids", "nilearn", "yaml"}
    imported = {line.rpartition("|")[2].strip() for line in result.stderr.splitlines()}
    assert not imported & heavy
    assert len(imported) < 300  # 130 modules: 0.1 s
    assert not list(home.iterdir())


def test_a_reader_that_leaves_early_ends_nothing(scaae_bids, tmp_path):
    command = f"set -o pipefail; {scaae_bids} {tmp_path} out participant 2>&1 | true"
    for _ in range(3):  # whether the program writes before or after its reader has left
        told = subprocess.run(["bash", "-c", command], capture_output=True, text=True, cwd=tmp_path)
        assert told.returncode == 64 and told.stderr == "", told
    command = f"set -o pipefail; {scaae_bids} --help | head -1"
    told = subprocess.run(["bash", "-c", command], capture_output=True, text=True, cwd=tmp_path)
    assert (told.returncode, told.stderr, len(told.stdout.splitlines())) == (0, "", 1)


@pytest.mark.parametrize("level", ["participant", "group", "submit"])
def test_without_a_home_no_library_says_a_word(scaae_bids, tmp_path, level):
    (tmp_path / "in").mkdir()
    environment = {"PATH": "/usr/bin:/bin", "HOME": "/proc/nowhere"}
    command = [scaae_bids, tmp_path / "in", tmp_path / "out", level]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode != 0
    assert len(done.stderr.splitlines()) == 1, done.stderr
