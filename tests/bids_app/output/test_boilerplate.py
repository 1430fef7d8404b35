"""The Methods text alone (``--boilerplate-only``), and options that denoised runs do not follow."""

import os
import signal
from pathlib import Path

import pytest

from scaae_nipype.bids_app.cli import main
from scaae_nipype.bids_app.settings.asked import settings_of
from scaae_nipype.bids_app.settings.command_line import parse
from scaae_nipype.preparation.strategies import choose_strategy


@pytest.fixture
def call(tmp_path, monkeypatch, capsys, tree):
    """Give a caller of the program in this process: exit code and what it printed."""
    environment, handler = dict(os.environ), signal.getsignal(signal.SIGTERM)
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str) -> tuple[int, str]:
        code = main([str(tree.root), "out", *arguments])
        printed = capsys.readouterr()
        assert "Traceback" not in printed.out + printed.err
        assert len(printed.err.splitlines()) <= 1
        return code, printed.err or printed.out

    yield call
    os.environ.clear()
    os.environ.update(environment)
    signal.signal(signal.SIGTERM, handler)


def denoised(tree, stem):
    """Write one run as XCP-D does."""
    space = "space-MNI152NLin2009cAsym_res-2"
    tree.add(f"{stem}_{space}_desc-denoised_bold.json", content='{"RepetitionTime": 2.0}')
    return tree.add(f"{stem}_{space}_desc-denoised_bold.nii.gz")


def written(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_the_methods_text_alone(call, tree, tmp_path):
    tree.run("sub-01_task-rest")
    denoised(tree, "sub-02_task-rest")
    options = ["--surrogates", "99", "--smoothing", "5", "--mode", "paper", "-p", "36P", "--baselines", "cap"]
    code, said = call("participant", "--boilerplate-only", *options)
    assert (code, said.splitlines()[-1]) == (
        0,
        f"Methods text: {tmp_path / 'out/logs/CITATION.md'}. Nothing was computed.",
    )
    assert "Will run" not in said
    assert written(tmp_path / "out") == ["logs/CITATION.bib", "logs/CITATION.md"]
    text = (tmp_path / "out/logs/CITATION.md").read_text(encoding="utf-8")
    for words in ("kernel of 5 mm FWHM", "*36P*", "had been denoised before", "preset *published*, mode *paper*"):
        assert words in text
    assert "99 surrogates" in text and "cap" in text
    assert "None" not in text and "weights" not in text
    assert "@article" in (tmp_path / "out/logs/CITATION.bib").read_text(encoding="utf-8")


def test_the_methods_text_of_a_context_that_is_yet_to_be_fitted(call, tree, tmp_path):
    tree.run("sub-01_task-rest")
    assert call("train", "--preset", "contextual", "--boilerplate-only")[0] == 0
    text = (tmp_path / "out/logs/CITATION.md").read_text(encoding="utf-8")
    assert "preset *contextual*, mode *calibrated*) on each volume and its context" in " ".join(text.split())
    assert "the context was fitted by reduced-rank regression" in " ".join(text.split())


def test_the_methods_text_of_pointwise_views_that_are_yet_to_be_fitted(call, tree, tmp_path):
    tree.run("sub-01_task-rest")
    assert call("train", "--boilerplate-only")[0] == 0
    text = " ".join((tmp_path / "out/logs/CITATION.md").read_text(encoding="utf-8").split())
    assert "preset *pointwise*, mode *calibrated*), the same at every voxel, over views of each volume" in text
    assert "reduced-rank" not in text


def test_the_methods_text_of_components_that_are_yet_to_be_fitted(call, tree, tmp_path):
    tree.run("sub-01_task-rest")
    assert call("train", "--preset", "linear", "--boilerplate-only")[0] == 0
    text = " ".join((tmp_path / "out/logs/CITATION.md").read_text(encoding="utf-8").split())
    assert "There was no attention (preset *linear*, mode *calibrated*" in text
    assert "each volume, smoothed, was projected on the leading principal components (PyTorch" in text
    assert "None" not in text


@pytest.mark.parametrize(
    ("options", "option"),
    [
        (["-p", "36P"], "--nuisance-regressors"),
        (["--high-pass", "0.01"], "--high-pass"),
        (["--low-pass", "0.1"], "--low-pass"),
    ],
)
def test_options_that_no_run_would_follow_are_refused(call, tree, options, option):
    denoised(tree, "sub-01_task-rest")
    code, line = call("participant", "--dry-run", *options)
    assert code == 64
    assert f"{option} has no effect: all runs were denoised before" in line
    assert not Path("out").exists()


def test_options_that_come_to_the_same_on_denoised_runs_are_fine(call, tree):
    denoised(tree, "sub-01_task-rest")
    for options in (
        [],
        ["-p", "none"],
        ["-p", "auto"],
        ["--high-pass", "0"],
        ["--fd-thresh", "0.3"],
        ["--mode", "paper"],
    ):
        code, said = call("participant", "--dry-run", *options)
        assert (code, "not applied" in said) == (0, False)


def test_options_that_some_runs_do_not_follow_are_said_of_these(call, tree):
    tree.run("sub-01_task-rest")
    denoised(tree, "sub-02_task-rest")
    code, said = call("participant", "--dry-run", "-p", "36P", "--low-pass", "0.1")
    assert code == 0
    (line,) = [line for line in said.splitlines() if "not applied" in line]
    assert line == (
        "sub-02_task-rest_space-MNI152NLin2009cAsym: --nuisance-regressors, --low-pass: not applied, because this run "
        "was denoised before."
    )


def test_what_runs_get_of_strategy_and_filter(tmp_path, monkeypatch):
    """A strategy whose cosines are its filter leaves it to the run's table whether there has to be another."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in").mkdir()

    def made(*options):
        return settings_of(parse(["in", "out", "participant", *options])).preparation

    assert made("-p", "36P").of_denoised().strategy == "none"
    assert choose_strategy(made("-p", "36P")).name == "36P"
    for options, cutoff in (
        ([], None),
        (["-p", "acompcor"], None),
        (["-p", "acompcor", "--high-pass", "0"], 0.0),
        (["-p", "acompcor", "--high-pass", "0.02"], 0.02),
    ):
        assert made(*options).high_pass == cutoff
        assert made(*options).of_denoised().high_pass is None
    assert choose_strategy(made()).high_pass == 0.008
