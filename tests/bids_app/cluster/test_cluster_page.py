"""The page on clusters shows what submit writes, for a study of 904 participants."""

import subprocess

import pytest

from tools.cluster_scripts import DOCUMENT, N_PARTICIPANTS, page, study_scripts


@pytest.fixture(scope="module")
def scripts():
    return study_scripts()


def test_the_page_shows_the_scripts_as_they_are_written(scripts):
    text = DOCUMENT.read_text(encoding="utf-8")
    assert page(text, scripts) == text, "run: python -m tools.cluster_scripts"


def test_they_are_scripts_for_all_participants_in_one_array(scripts):
    assert f"{N_PARTICIPANTS} participants with {N_PARTICIPANTS} runs: {N_PARTICIPANTS} due" in scripts[""]
    assert f"--array=1-{N_PARTICIPANTS}%100 participants.sh 0" in scripts["submit.sh"]
    for name in ("train", "participants", "group", "submit"):
        done = subprocess.run(["bash", "-n"], input=scripts[f"{name}.sh"], text=True, capture_output=True)
        assert (done.returncode, done.stderr) == (0, "")


def test_a_page_that_has_no_place_for_a_script_is_refused():
    with pytest.raises(ValueError, match=r"has no place for group\.sh"):
        page("# On a cluster\n", {"group.sh": "#!/bin/bash\n"})
