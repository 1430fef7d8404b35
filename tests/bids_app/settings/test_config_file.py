"""Options in files: YAML, JSON, TOML, fMRIPrep's own, other encodings, and what cannot be meant."""

import json

import pytest

from scaae_nipype.bids_app.settings.asked import settings_of
from scaae_nipype.bids_app.settings.command_line import parse
from scaae_nipype.errors import UsageError

FMRIPREP = """
[environment]
cpu_count = 8
version = "23.2.1"

[execution]
bids_dir = "/data/raw"
bids_database_dir = "index"
fs_license_file = "/opt/license.txt"
notrack = true
participant_label = [ "01", "02",]
session_label = [ "pre",]
task_id = "rest"
work_dir = "scratch"
write_graph = false

[workflow]
cifti_output = false
regressors_fd_th = 0.5

[nipype]
memory_gb = 16.5
nprocs = 3
omp_nthreads = 2
plugin = "MultiProc"
stop_on_first_crash = true

[seeds]
master = 43168

[execution.bids_filters.bold]
acquisition = "<Query.NONE: 1>"
run = [ "1", "2",]
ceagent = "<Query.OPTIONAL: 3>"

[execution.bids_filters.t1w]
acquisition = "mprage"

[nipype.plugin_args]
maxtasksperchild = 1
"""


@pytest.fixture
def settings(tmp_path, monkeypatch):
    """Give a maker of settings from a file of options."""
    (tmp_path / "in").mkdir()
    monkeypatch.chdir(tmp_path)

    def make(name, content, *options, level="participant"):
        data = content if isinstance(content, bytes) else content.encode()
        (tmp_path / name).write_bytes(data)
        return settings_of(parse(["in", "out", level, "--config-file", name, *options]))

    return make


def test_fmripreps_configuration_is_read_and_what_means_nothing_here_is_named(settings, tmp_path):
    made = settings("config.toml", FMRIPREP)
    assert (made.participants, made.sessions, made.tasks) == (("01", "02"), ("pre",), ("rest",))
    assert (made.nprocs, made.omp_nthreads, made.memory_gb, made.stop_on_first_crash) == (3, 2, 16.5, True)
    assert (made.work_dir, made.database_dir) == (tmp_path / "scratch" / "scaae_nipype", tmp_path / "index")
    assert made.read_filters() == {"bold": {"acquisition": None, "run": ["1", "2"]}, "t1w": {"acquisition": "mprage"}}
    (note,) = made.notes
    assert note.startswith("--config-file config.toml: is the configuration of fMRIPrep")
    taken, unused = note.split("; not used here: ")
    assert "participant-label" in taken and "mem-gb" in taken and "bids-filter-file" in taken
    for name in ("fs_license_file", "cifti_output", "plugin", "plugin_args", "bids_dir", "cpu_count", "master"):
        assert name in unused


def test_the_filters_of_fmripreps_configuration_choose_runs(settings):

    found = settings("config.toml", FMRIPREP).query().criteria
    assert {(c.key, c.wanted) for c in found} >= {("acq", (None,)), ("run", ("1", "2"))}


def test_the_command_line_wins_over_fmripreps_configuration(settings, tmp_path):
    (tmp_path / "filters.json").write_text(json.dumps({"bold": {"task": "nback"}}))
    made = settings("config.toml", FMRIPREP, "--participant-label", "03", "--bids-filter-file", "filters.json")
    assert made.participants == ("03",)
    assert made.read_filters() == {"bold": {"task": "nback"}}


def test_a_toml_file_of_our_own_options(settings):
    made = settings("o.toml", 'nprocs = 2\nparticipant_label = ["01", "02"]\nsmoothing = 4.0\nretrain = true\n')
    assert (made.nprocs, made.participants, made.preparation.smoothing_fwhm, made.retrain) == (
        2,
        ("01", "02"),
        4.0,
        True,
    )
    assert made.notes == ()


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("o.yml", "work-dir: Ärzte\nsmoothing: 4\n"),
        ("o.json", '{"work-dir": "Ärzte", "smoothing": 4}'),
        ("o.toml", 'work-dir = "Ärzte"\nsmoothing = 4\n'),
    ],
)
def test_a_byte_order_mark_does_no_harm(settings, tmp_path, encoding, name, content):
    made = settings(name, content.encode(encoding))
    assert (made.work_dir.parent, made.preparation.smoothing_fwhm) == (tmp_path / "Ärzte", 4.0)


def test_switches_datasets_and_counts_as_files_have_them(settings, tmp_path):
    (tmp_path / "xcpd").mkdir()
    made = settings("o.yml", "retrain: Yes\ndry-run: No\nverbose: 2\nderivatives:\n  clean: xcpd\nlow-pass:\n")
    assert (made.retrain, made.dry_run, made.verbosity, made.preparation.low_pass) == (True, False, 2, None)
    assert dict(made.datasets) == {"clean": tmp_path / "xcpd"}


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("o.yml", "smothing: 4", r"--smothing; did you mean --smoothing\?"),
        ("o.toml", "nprocz = 4", r"--nprocz; did you mean --nprocs\?"),
        ("o.toml", "[options]\nnprocs = 4", r"Unrecognized arguments: --options"),
        ("o.toml", "[smoothing]\nfwhm = 4", "smoothing holds a table"),
        ("o.toml", "nprocs = ", "is not valid TOML"),
        ("o.yml", "smoothing: 4\nsmoothing: 5", "has smoothing twice; leave one out"),
        ("o.json", '{"smoothing": 4, "smoothing": 5}', "has smoothing twice"),
        ("o.yml", "nprocs: 4\nn-cpus: 5", "given twice, as 4 and as 5"),
        ("o.yml", "retrain: maybe", "retrain is a switch: give true or false, not maybe"),
        ("o.yml", "high-pass: false", "high-pass takes a value, not false"),
        ("o.yml", "smoothing: [4, 5]", "smoothing takes one value, not a list"),
        ("o.yml", "work-dir: Ärzte".encode("latin-1"), r"is not UTF-8 text \(line 1\); save it as UTF-8"),
        ("o.yml", "mode: papr", r"did you mean paper\?"),
    ],
)
def test_what_cannot_be_meant_is_one_line(settings, name, content, words):
    with pytest.raises(UsageError, match=rf"^--config-file {name}: .*{words}"):
        settings(name, content)
