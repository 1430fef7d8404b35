"""The plugin file and the device are looked at before the plan."""

import pytest

from scaae_nipype.bids_app.cli import main
from scaae_nipype.bids_app.engine.plugin_file import read_plugin_file
from scaae_nipype.bids_app.job.before_start import check_cuda
from scaae_nipype.bids_app.settings.asked import settings_of
from scaae_nipype.bids_app.settings.command_line import parse
from scaae_nipype.errors import UsageError


def test_yaml_and_json_with_a_byte_order_mark(tmp_path):
    (tmp_path / "p.yml").write_text("plugin: LegacyMultiProc\nplugin_args: {n_procs: 2, memory_gb: 4.5}\n")
    found = read_plugin_file(tmp_path / "p.yml")
    assert (found.name, found.arguments, found.is_local) == ("LegacyMultiProc", {"n_procs": 2, "memory_gb": 4.5}, True)
    (tmp_path / "p.json").write_bytes(b'\xef\xbb\xbf{"plugin": "SLURM", "plugin_args": {"sbatch_args": "-p long"}}')
    found = read_plugin_file(tmp_path / "p.json")
    assert (found.name, found.arguments["sbatch_args"], found.is_local) == ("SLURM", "-p long", False)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("plugin: MultiProk", r"MultiProk is no Nipype plugin .*; did you mean MultiProc\?"),
        ("plugin: SLURMGraph", r"SLURMGraph is no Nipype plugin that waits for its jobs; did you mean SLURM\?"),
        ("plugin: 3", "must hold `plugin: NAME`"),
        ("plugin_args: {n_procs: 2}", "must hold `plugin: NAME`"),
        ("- SLURM", "must hold `plugin: NAME`"),
        ("", "must hold `plugin: NAME`"),
        ("plugins: SLURM", r"must hold `plugin: NAME`, .* nothing like plugins; did you mean plugin\?"),
        ("plugin: MultiProc\nplugin_args: 4", "plugin_args must hold names and values, not 4"),
        ("plugin: MultiProc\nplugin_args: {n_procs: four}", "n_procs must be a whole number above 0, not 'four'"),
        ("plugin: MultiProc\nplugin_args: {n_procs: 1.5}", r"n_procs must be a whole number above 0, not 1\.5"),
        ("plugin: MultiProc\nplugin_args: {memory_gb: -1}", "memory_gb must be a number above 0, not -1"),
        ("plugin: MultiProc\nplugin_args: {raise_insufficient: 2}", "raise_insufficient must be true or false, not 2"),
        ("plugin: [", "must hold .*not valid YAML"),
    ],
)
def test_a_wrong_file_is_refused_before_the_plan(tmp_path, monkeypatch, capsys, main_dataset, content, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "p.yml").write_text(content)
    with pytest.raises(UsageError, match=rf"--use-plugin .*p\.yml: .*{words}"):
        read_plugin_file(tmp_path / "p.yml")
    monkeypatch.setattr("os.environ", {})
    assert main([str(main_dataset.root), "out", "participant", "--dry-run", "--use-plugin", "p.yml"]) == 64
    printed = capsys.readouterr()
    assert (printed.out, len(printed.err.splitlines())) == ("", 1)


def test_a_device_that_is_not_there_is_refused_before_the_plan(tmp_path, monkeypatch, capsys, main_dataset):
    """A machine with fewer than a thousand GPUs is taken for granted."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("os.environ", {})
    for name, words in (
        ("cuda:999", "--device cuda:999: PyTorch finds "),
        ("gpu", "did you mean cuda?"),
    ):
        for more in ((), ("--dry-run",)):
            assert main([str(main_dataset.root), "out", "participant", "--device", name, *more]) == 64
            printed = capsys.readouterr()
            assert printed.out == ""
            assert words in printed.err
    assert not (tmp_path / "out").exists()


def test_a_device_of_other_machines_is_theirs_to_have(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in").mkdir()
    for plugin, is_refused in (("SLURM", False), ("MultiProc", True)):
        (tmp_path / "p.yml").write_text(f"plugin: {plugin}\n")
        made = settings_of(parse(["in", "out", "participant", "--device", "cuda:999", "--use-plugin", "p.yml"]))
        if is_refused:
            with pytest.raises(UsageError, match="on this machine"):
                check_cuda(made)
        else:
            check_cuda(made)
