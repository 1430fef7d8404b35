"""The program that disturbs calls does disturb them, and finds that what is resumed is what nobody disturbed."""

import re

import pytest

from benchmarks.faults import Study, main


@pytest.mark.slow
def test_calls_that_are_killed_again_and_again_end_as_the_reference(tmp_path, capfd):
    assert main([str(tmp_path / "study"), "--chains", "1", "--only", "participant-level"]) == 0
    said = capfd.readouterr().out
    kills = re.search(r"^(\d+) kills, 0 other faults; 1 of 1 datasets as the reference$", said, re.MULTILINE)
    assert kills and int(kills[1]) > 0, said


def test_what_differs_is_named(tmp_path):
    study = Study(tmp_path)
    for name, text in (("reference", "a"), ("other", "b")):
        (tmp_path / name / "logs").mkdir(parents=True)
        (tmp_path / name / "logs" / "CITATION.md").write_text(text)
    (tmp_path / "other" / "logs" / ".claims").mkdir()
    assert study.differences_in_logs("other") == ["differs: logs/CITATION.md", "left: .claims"]
    assert study.counts("differs: sub-01/func/sub-01_desc-overlap_metrics.tsv", "participant")
    assert not study.counts("differs: sub-01/log/sub-01_task-rest.json", "participant")
    assert not study.counts("only before: group/desc-runs_metrics.tsv", "participant")
    assert study.counts("only before: group/desc-runs_metrics.tsv", "group")
