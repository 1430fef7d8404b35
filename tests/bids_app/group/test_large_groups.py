"""Groups of many runs say how far they are."""

import pytest
from runs_by_hand import write_run

from scaae_nipype.bids_app.group import group_call, group_inputs


@pytest.mark.parametrize(("many", "is_said"), [(3, True), (100, False)])
def test_progress_is_said_of_large_groups(folders, group, monkeypatch, many, is_said):
    for module in (group_call, group_inputs):
        monkeypatch.setattr(module, "MANY_RUNS", many)
    for label in ("01", "02", "03"):
        write_run(folders[1], label)
    code, said = group()
    assert code == 0
    assert ("Reading tables: 1 of 3 runs" in said) is is_said
    assert ("Making tables" in said) is is_said
    assert "\r" not in said
