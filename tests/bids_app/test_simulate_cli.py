"""The command ``scaae-simulate``, called as users call it."""

import subprocess
import sys
from dataclasses import fields

import pytest

from scaae_nipype.bids_app.simulate_cli import PRESETS, REGIMES, build_parser, main
from scaae_nipype.files import read_json
from scaae_nipype.simulation import REGIMES as SIMULATED_REGIMES
from scaae_nipype.simulation import RunSettings

COMMAND = [sys.executable, "-m", "scaae_nipype.bids_app.simulate_cli"]
SMALL = ["--voxel-size", "10", "--volumes", "8", "--participants", "1"]


def test_help_names_every_option():
    result = subprocess.run([*COMMAND, "--help"], capture_output=True, text=True, check=True)
    for option in ("--preset", "--snr", "--motion-spikes", "--global-signal", "--seed", "--task"):
        assert option in result.stdout


def test_help_imports_nothing_heavy():
    code = "import scaae_nipype.bids_app.simulate_cli as c, sys; c.build_parser().format_help(); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"numpy", "nibabel", "nilearn", "torch", "nipype", "pandas"} & set(loaded)
    assert len(loaded) < 300  # 90 modules beside Python's own: 0.05 s


def test_options_agree_with_the_library():
    options = vars(build_parser().parse_args(["out"]))
    offered = {field.name: options[field.name] for field in fields(RunSettings) if field.name in options}
    assert RunSettings(**offered) == RunSettings()
    assert set(offered) >= {"regime", "snr", "ar1", "drift", "motion_spikes", "global_signal", "repetition_time"}
    assert REGIMES == SIMULATED_REGIMES
    for preset in PRESETS.values():
        assert set(preset) <= set(options)


def test_it_writes_and_says_what(tmp_path, capsys):
    out = tmp_path / "data"
    assert main([str(out), *SMALL, "--regime", "mixture", "--tr", "1.5", "--seed", "7", "--noise-ar1", "0.1"]) == 0
    said = capsys.readouterr().out
    assert "sub-01_task-rest" in said
    assert "8 volumes of 1.5 s" in said
    assert str(out / "sourcedata" / "truth") in said
    parameters = read_json(out / "sourcedata/truth/parameters.json")
    assert parameters["Seed"] == 7
    assert parameters["Run"]["regime"] == "mixture"
    assert parameters["Run"]["ar1"] == 0.1
    assert main([str(out), *SMALL, "--regime", "mixture", "--tr", "1.5", "--seed", "7", "--noise-ar1", "0.1"]) == 0
    assert "nothing was written" in capsys.readouterr().out


def test_options_win_over_the_preset(tmp_path):
    assert main([str(tmp_path), "--preset", "demo", *SMALL]) == 0
    parameters = read_json(tmp_path / "sourcedata/truth/parameters.json")
    assert parameters["Participants"] == 1
    assert parameters["Run"]["n_volumes"] == 8
    assert parameters["Run"]["motion_spikes"] == PRESETS["demo"]["motion_spikes"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--snr", "-1"], "snr is -1"),
        (["--task", "--regime", "stationary"], "no states that a task could drive"),
        (["--participants", "0"], "number of participants is 0"),
    ],
)
def test_impossible_wishes_end_in_one_line_and_64(tmp_path, capsys, arguments, message):
    assert main([str(tmp_path / "data"), *arguments]) == 64
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert message in said


@pytest.mark.parametrize("arguments", [["--regime", "chaos"], ["--volumes", "many"], ["--preset", "big"], ["--what"]])
def test_unknown_options_end_in_64(tmp_path, arguments):
    with pytest.raises(SystemExit) as raised:
        main([str(tmp_path / "data"), *arguments])
    assert raised.value.code == 64


def test_a_strangers_folder_ends_in_one_line_and_1(tmp_path, capsys):
    (tmp_path / "thesis.doc").write_text("precious")
    assert main([str(tmp_path), *SMALL]) == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "was not written by scaae-simulate" in said
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.doc"]
