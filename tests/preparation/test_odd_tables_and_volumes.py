"""Damaged tables, values that begin late, marks in the middle of a run: said in words that are true."""

import numpy as np
import pytest

from scaae_nipype.errors import InputError, UsageError
from scaae_nipype.files import write_table
from scaae_nipype.options import Preparation
from scaae_nipype.preparation import prepare_run
from scaae_nipype.preparation.confounds import read_confounds

N = 60


def prepare(files, grid, **arguments):
    settings = {name: arguments.pop(name) for name in Preparation.__dataclass_fields__ if name in arguments}
    given = {"mask": files.mask, "confounds": files.confounds, **arguments}
    return prepare_run(files.bold, grid=grid, preparation=Preparation(**settings), **given)


def said(run):
    return " ".join(run.metadata["Warnings"])


def test_a_quote_that_nobody_closes_is_one_line(tmp_path):
    path = tmp_path / "confounds.tsv"
    path.write_text("csf\tcomment\n" + '1\t"moved\n' + f"2\t{'x' * 5000}\n" * 40)
    with pytest.raises(InputError, match=r"confounds\.tsv: is not a tab-separated table .*quote") as caught:
        read_confounds(path, 41)
    assert "\n" not in str(caught.value)


def test_half_a_table_in_utf_16_is_not_read_as_something_else(make_run, grid):
    files = make_run(N)
    files.confounds.write_bytes(files.confounds.read_text().encode("utf-16")[:-1])
    with pytest.raises(InputError, match=r"confounds\.tsv: cannot be read \(.*UTF-16"):
        prepare(files, grid)


def test_confounds_that_begin_late_are_said(make_run, grid):
    files = make_run(N)
    files.table.loc[:24, ["csf", "white_matter"]] = np.nan
    write_table(files.table, files.confounds)
    assert "csf, white_matter have no value in the first 25 volumes; their first ones stand for them" in said(
        prepare(files, grid)
    )
    assert "no value in the first" not in said(prepare(make_run(N), grid)), "derivatives always begin at the second"


@pytest.mark.parametrize(("marked", "n_unmarked"), [([0, 1, 5], 3), ([6], 6)])
def test_marks_of_dummy_volumes_after_unmarked_ones_are_said(make_run, grid, marked, n_unmarked):
    files = make_run(N)
    for index, row in enumerate(marked):
        files.table[f"non_steady_state_outlier{index:02d}"] = (np.arange(N) == row).astype(int)
    write_table(files.table, files.confounds)
    run = prepare(files, grid)
    assert run.metadata["NumberOfDummyScans"] == marked[-1] + 1
    assert f"up to volume {marked[-1]} (counted from 0), {n_unmarked} of which are not marked" in said(run)
    files.table = files.table.drop(columns=[f"non_steady_state_outlier{i:02d}" for i in range(len(marked))])
    write_table(files.table.assign(non_steady_state_outlier00=[1] + [0] * (N - 1)), files.confounds)
    assert "not marked" not in said(prepare(files, grid))


def test_dummy_volumes_that_leave_too_few_are_named_as_the_way_out(make_run, grid):
    with pytest.raises(InputError, match=r"Only 5 of 60 volumes .* or cut off fewer \(`dummy_scans`\)"):
        prepare(make_run(N), grid, dummy_scans=55)


@pytest.mark.parametrize("name", ["FramewiseDisplacement", "Framewise_Displacement"])
def test_displacement_under_another_name_is_named(make_run, grid, name):
    files = make_run(N)
    write_table(files.table.rename(columns={"framewise_displacement": name}), files.confounds)
    words = f"no column framewise_displacement (there is {name}, which would have to be called framewise_displacement)."
    assert words in said(prepare(files, grid))


def test_a_threshold_that_is_no_number_is_refused(make_run, grid):
    with pytest.raises(UsageError, match="`fd_threshold` nan: must be 0 or larger"):
        prepare(make_run(N), grid, fd_threshold=float("nan"))


def test_a_lost_slice_is_said_with_its_share_of_the_brain(make_run, grid):
    files = make_run(N, change=lambda data, table: data.__setitem__((slice(None), slice(None), 9, 10), 0))
    with pytest.raises(InputError, match=r"volume 10 is 0 in 1[0-9]% of the brain; .* `fd_threshold`"):
        prepare(files, grid)
    files = make_run(
        N, change=lambda data, table: data.__setitem__((slice(None), slice(None), slice(6, None), slice(0, 2)), 0)
    )
    with pytest.raises(
        InputError, match=r"volumes 0, 1 are 0 in [6-9][0-9]% of the brain or more; .*\(`dummy_scans` 2\)"
    ):
        prepare(files, grid)


def test_data_of_which_no_mask_can_be_made_ask_for_one(make_run, grid):
    def standardise(data, table):
        data -= data.mean(axis=-1, keepdims=True)
        data /= data.std(axis=-1, keepdims=True)

    with pytest.raises(InputError, match=r"no brain mask, and the one made from .* only 0% of the MNI brain; give"):
        prepare(make_run(N, change=standardise), grid, mask=None)
