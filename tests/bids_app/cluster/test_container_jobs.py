"""Jobs in a container: the scripts are run, with a program in the place of apptainer that notes how it was called."""

import subprocess
from pathlib import Path

import pytest

from scaae_nipype.bids_app.settings.asked import settings_of
from scaae_nipype.bids_app.settings.command_line import parse

NOTES = r"""#!/bin/bash
printf '%s\0' "$@" > "$NOTES"
echo "$APPTAINERENV_SLURM_JOB_ID" > "$NOTES.job"
exit 3
"""


@pytest.fixture
def run_job(study, tmp_path):
    """Run a script of the newest submission: its exit code, and the words that apptainer got."""
    program = tmp_path / "programs" / "apptainer"
    program.write_text(NOTES)
    program.chmod(0o755)

    def run(name: str) -> tuple[int, list[str]]:
        environment = {"PATH": f"{program.parent}:/usr/bin:/bin", "NOTES": str(tmp_path / "notes")}
        environment |= {"SLURM_JOB_ID": "7", "SLURM_ARRAY_TASK_ID": "2"}
        done = subprocess.run(["bash", study.newest / name, "0"], env=environment, capture_output=True, text=True)
        assert done.stderr == ""
        return done.returncode, (tmp_path / "notes").read_text().split("\0")[:-1]

    return run


@pytest.mark.parametrize("level", ["train", "participants", "group"])
def test_every_job_calls_apptainer_with_all_that_it_needs(study, run_job, tmp_path, level):
    image = tmp_path / "an image.sif"
    image.touch()
    study.submit("--image", str(image), "--smoothing", "5")
    code, words = run_job(f"{level}.sh")
    assert code == 3  # the job ends as the container does, for who looks at the queue
    assert words[:3] == ["run", "--cleanenv", "--containall"]
    place = words.index(str(image))
    binds = [words[at + 1].split(":") for at, word in enumerate(words[:place]) if word == "--bind"]
    assert [outside for outside, inside, *_ in binds if outside != inside] == []
    assert {(outside, *mode) for outside, _, *mode in binds} == {
        (str(study.data), "ro"),
        (str(study.out),),
        (str(tmp_path / "w"),),
    }
    assert all(Path(outside).is_dir() for outside, *_ in binds)  # apptainer makes none
    heard = settings_of(parse(words[place + 1 :]))
    assert (heard.bids_dir, heard.output_dir) == (study.data, study.out)
    assert heard.level == {"participants": "participant"}.get(level, level)
    assert heard.participants == (("02",) if level == "participants" else ())
    assert (tmp_path / "notes.job").read_text() == "7\n"


def test_a_gpu_is_shown_to_the_container(study, run_job, tmp_path):
    (tmp_path / "x.sif").touch()
    study.submit("--image", str(tmp_path / "x.sif"), "--device", "cuda")
    assert "--nv" in run_job("participants.sh")[1]


def test_where_there_is_no_apptainer_the_log_says_so(study, tmp_path):
    (tmp_path / "x.sif").touch()
    study.submit("--image", str(tmp_path / "x.sif"))
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "SLURM_ARRAY_TASK_ID": "1", "SLURM_JOB_ID": "7"}
    done = subprocess.run(["bash", study.newest / "participants.sh"], env=environment, capture_output=True, text=True)
    assert done.returncode == 127
    assert "apptainer: command not found" in done.stderr
    assert [path.name for path in study.out.iterdir()] == ["logs"]
