"""Tables of confounds as people have them: what stops a run, what does not, and what is said."""

import gzip
import re

import numpy as np
import pandas as pd
import pytest
from nilearn.interfaces.fmriprep import load_confounds

from scaae_nipype.errors import InputError, UsageError
from scaae_nipype.files import write_json, write_table
from scaae_nipype.options import Preparation
from scaae_nipype.preparation import prepare_run
from scaae_nipype.preparation.censoring import count_dummy_scans, framewise_displacement
from scaae_nipype.preparation.confounds import choose_nuisance, read_confounds
from scaae_nipype.preparation.strategies import read_strategy, refuse_on_denoised
from scaae_nipype.workflows import init_prepare_run_wf

N = 60


@pytest.fixture
def files(make_run):
    """Give a run of 60 volumes with all of fMRIPrep's columns."""
    return make_run(N)


@pytest.fixture
def choose(files, tmp_path):
    """Choose the regressors of a strategy from the table with some cells replaced."""

    def choose(strategy, **columns):
        table = files.table.copy()
        for name, values in columns.items():
            table[name] = values
        path = write_table(table, tmp_path / "edited.tsv")
        return choose_nuisance(
            read_strategy(strategy),
            read_confounds(path, N),
            n_volumes=N,
            confounds_file=path,
            confounds_metadata=files.confounds.with_suffix(".json"),
        )

    return choose


def with_cell(value, row=11):
    """Give a column of numbers with one other cell."""
    return [value if index == row else f"{index / 7:.4f}" for index in range(N)]


@pytest.mark.parametrize(
    ("value", "advice"),
    [
        ("0,123", "write decimals with a point, not a comma"),
        ("-1,2e-3", "write decimals with a point, not a comma"),
        ("-", "write n/a where a value is missing"),
        ("NA", "write n/a where a value is missing"),
        ("null", "write n/a where a value is missing"),
        ("high", "repair the table"),
        ("1_000", "repair the table"),
        ("True", "repair the table"),
    ],
)
def test_text_among_numbers_is_named_with_table_column_row_and_value(choose, value, advice):
    place = rf"edited\.tsv: a confound is not a number: column rot_x, row 12 \(line 13 of the file\), holds '{value}'"
    for strategy in ("24P", "auto"):
        with pytest.raises(InputError, match=rf"{place}; {advice}"):
            choose(strategy, rot_x=with_cell(value))


def test_whole_columns_with_decimal_commas(choose):
    with pytest.raises(InputError, match=r"column csf, row 1 .*, holds '0,00'; write decimals with a point"):
        choose("auto", csf=[f"{index},00" for index in range(N)])


def test_columns_that_are_not_used_do_not_stop_a_run(choose):
    odd = {"csf": "0,1", "comment": "größer", "framewise_displacement": "-", "white_matter": np.inf}
    assert choose("24P", **odd).warnings == ()


def test_infinity_is_named_with_its_row(choose):
    with pytest.raises(InputError, match=r"csf lack values in the middle of the run \(csf is inf in row 12\)"):
        choose("auto", csf=with_cell("inf"))
    with pytest.raises(InputError, match=r"csf lack values in the middle of the run \(csf is n/a in row 12\)"):
        choose("auto", csf=with_cell("n/a"))
    with pytest.raises(InputError, match=r"csf is inf in row 1\)"):
        choose("auto", csf=with_cell("inf", row=0))


@pytest.mark.parametrize("kind", ["gzip", "mark", "utf-16", "latin-1", "tabs at the end", "blank lines at the end"])
def test_the_same_table_in_other_wrappings(files, tmp_path, kind):
    text = files.table.assign(comment="größer").to_csv(sep="\t", index=False, na_rep="n/a")
    content = {
        "gzip": gzip.compress(text.encode()),
        "mark": text.encode("utf-8-sig"),
        "utf-16": text.encode("utf-16"),
        "latin-1": text.encode("latin-1"),
        "tabs at the end": text.replace("\n", "\t\n").encode(),
        "blank lines at the end": (text + "\r\n\r\n").encode(),
    }[kind]
    path = tmp_path / "wrapped.tsv"
    path.write_bytes(content)
    table = read_confounds(path, N)
    pd.testing.assert_frame_equal(table[list(files.table)], files.table, check_exact=True)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"\n\n", "is empty"),
        (b"csf\trot_x\n", "has 0 rows, but the run has 60 volumes"),
        (b"csf,rot_x\n1,2\n", "its header is separated by commas, not by tabs"),
        (b"csf;rot_x\n1,0;2,0\n", "its header is separated by semicolons, not by tabs"),
        (b"csf  rot_x\n1 2\n", "its header is separated by spaces, not by tabs"),
        (b"csf\trot_x\n1\t2\n1\n", r"is not a tab-separated table \(line 3 has 1 cells, and the header 2\)"),
        (b"csf\trot_x\n1\t2\t3\n", r"is not a tab-separated table \(line 2 has 3 cells, and the header 2\)"),
        (b"\x1f\x8bbroken", "cannot be read"),
    ],
)
def test_what_is_no_table_is_one_line(tmp_path, content, words):
    path = tmp_path / "broken.tsv"
    path.write_bytes(content)
    with pytest.raises(InputError, match=rf"broken\.tsv: {words}") as caught:
        read_confounds(path, N)
    assert "\n" not in str(caught.value)


def test_columns_of_one_name(files, tmp_path):
    """Equal ones are one column; different ones are refused where they are used."""
    path, table = tmp_path / "twice.tsv", files.table

    def chosen(name, extra, strategy):
        both = pd.concat([table, extra.rename(name)], axis=1)
        both.to_csv(path, sep="\t", index=False, na_rep="n/a")
        return choose_nuisance(read_strategy(strategy), read_confounds(path, N), n_volumes=N, confounds_file=path)

    assert list(chosen("csf", table["csf"], "athena").regressors).count("csf") == 1
    assert chosen("csf", table["rot_x"], "24P").warnings == ()
    with pytest.raises(InputError, match=r"twice\.tsv: has two columns csf that differ; leave one out"):
        chosen("csf", table["rot_x"], "auto")


# ---- columns without values ---------------------------------------------------------------------------------------


def test_auto_takes_what_there_is_and_says_what_was_empty(choose):
    nuisance = choose("auto", csf="n/a")
    assert nuisance.label == "auto: 24P + WM"
    assert "white_matter" in nuisance.regressors and "csf" not in nuisance.regressors
    (said,) = nuisance.warnings
    assert said == (
        "The confounds hold only 1 regressor of white matter and CSF (of 2 wanted; csf: n/a in every row), so the "
        "data may keep some of its effects."
    )
    motion = {f"rot_z{ending}": "n/a" for ending in ("", "_derivative1", "_power2", "_derivative1_power2")}
    nuisance = choose("auto", **motion)
    assert (nuisance.label, len(nuisance.regressors.columns)) == ("auto: 20P + WM + CSF", 22)
    assert "only 20 regressors of head motion (of 24 wanted; rot_z, rot_z_derivative1, " in nuisance.warnings[0]


def test_a_strategy_by_name_says_that_a_column_is_empty_not_that_it_is_missing(choose, tmp_path):
    for strategy in ("athena", "36P", "auto+gsr"):
        words = rf"{re.escape(strategy)} needs columns that hold no values \(n/a in every row\): "
        with pytest.raises(InputError, match=words):
            choose(strategy, csf="n/a", global_signal="n/a")
    path = write_json({"columns": ["csf"]}, tmp_path / "mine.json")
    with pytest.raises(InputError, match=r"file mine\.json needs columns that hold no values .*: csf"):
        choose(path, csf="n/a")


def test_constant_columns_are_said(choose):
    assert choose("athena", csf=0.0).warnings == ("csf is the same in every volume: regressing that changes nothing.",)
    (said,) = choose("auto", csf=3.5, white_matter=0).warnings
    assert said == "csf, white_matter are the same in every volume: regressing that changes nothing."


def test_names_from_before_fmriprep_1_2_are_named(files, tmp_path):
    old = files.table.rename(columns={"csf": "CSF", "white_matter": "WhiteMatter"})
    path = write_table(old, tmp_path / "old.tsv")
    given = {"n_volumes": N, "confounds_file": path}
    (said,) = choose_nuisance(read_strategy("auto"), read_confounds(path, N), **given).warnings
    assert "; there is WhiteMatter, which would have to be called white_matter)" in said
    with pytest.raises(InputError, match=r"athena needs columns that are missing.*there is WhiteMatter, which would"):
        choose_nuisance(read_strategy("athena"), read_confounds(path, N), **given)


# ---- framewise displacement and dummy volumes ---------------------------------------------------------------------


def prepared(files, grid, **arguments):
    settings = {name: arguments.pop(name) for name in Preparation.__dataclass_fields__ if name in arguments}
    given = {"mask": files.mask, "confounds": files.confounds, **arguments}
    return prepare_run(files.bold, grid=grid, preparation=Preparation(**settings), **given)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ("n/a", "No volume was censored for motion: the column framewise_displacement is n/a in every row."),
        (0.0, "No volume was censored for motion: the column framewise_displacement is 0 in every row."),
        (
            ["n/a", *["0.1"] * 8, "n/a", "n/a", *["0.1"] * (N - 11)],
            "framewise_displacement is n/a in 2 volumes after the first (9, 10, counted from 0), which were kept "
            "whatever their motion.",
        ),
    ],
)
def test_displacement_without_values_is_said_truly(make_run, grid, values, words):
    files = make_run(N)
    write_table(files.table.assign(framewise_displacement=values), files.confounds)
    run = prepared(files, grid)
    assert words in run.metadata["Warnings"]
    assert run.kept.all()


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("0,4", r"column framewise_displacement, row 12 \(line 13 of the file\), holds '0,4'; write decimals"),
        ("-0.4", r"column framewise_displacement, row 12, holds -0\.4, which is no displacement in mm"),
        ("inf", "column framewise_displacement, row 12, holds inf, which is no displacement"),
    ],
)
def test_displacement_that_is_none_stops_a_run_only_if_it_is_used(make_run, grid, value, words):
    files = make_run(N)
    write_table(files.table.assign(framewise_displacement=with_cell(value)), files.confounds)
    with pytest.raises(InputError, match=rf"confounds\.tsv: .*{words}"):
        prepared(files, grid, fd_threshold=50)
    run = prepared(files, grid, fd_threshold=0)
    assert run.samples["framewise_displacement"].isna().all()
    assert any("Framewise displacement is unknown" in text for text in run.metadata["Warnings"])


def test_marks_of_dummy_volumes_may_be_booleans_but_not_words(tmp_path):
    path = tmp_path / "marks.tsv"
    for marks, count in ((("True", "FALSE"), 1), (("1.0", "0"), 1), (("1", "n/a"), 1), (("false", "false"), 0)):
        path.write_text("non_steady_state_outlier00\tcsf\n" + "".join(f"{mark}\t1\n" for mark in marks))
        assert count_dummy_scans(read_confounds(path, 2), path, []) == count
    path.write_text("non_steady_state_outlier00\tcsf\nyes\t1\n0\t1\n")
    with pytest.raises(InputError, match=r"marks\.tsv: .*column non_steady_state_outlier00, row 1 .*'yes'"):
        count_dummy_scans(read_confounds(path, 2), path, [])
    path.write_text("non_steady_state_outlier00\tcsf\n1\t1\n0.5\t1\n")
    with pytest.raises(InputError, match=r"row 2, holds 0\.5, and marks are 1 or 0; .*`dummy_scans`"):
        count_dummy_scans(read_confounds(path, 2), path, [])


def test_words_in_marks_do_no_harm_where_the_number_of_dummy_volumes_is_given(make_run, grid):
    files = make_run(N)
    write_table(files.table.assign(non_steady_state_outlier00="yes"), files.confounds)
    assert prepared(files, grid, dummy_scans=2).metadata["NumberOfDummyScans"] == 2


def test_displacement_from_numbers_and_from_text():
    table = pd.DataFrame({"framewise_displacement": ["n/a", "0.5", 1, 0.25]})
    np.testing.assert_array_equal(framewise_displacement(table, 4), [np.nan, 0.5, 1, 0.25])


# ---- aCompCor -----------------------------------------------------------------------------------------------------


def test_columns_are_those_that_nilearn_takes(files, tmp_path):
    """By a published implementation: aCompCor with cosines, and 36P."""
    folder = tmp_path / "fmriprep"
    folder.mkdir()
    stem = folder / "sub-01_task-rest"
    table = write_table(files.table, f"{stem}_desc-confounds_timeseries.tsv")
    sidecar = table.with_suffix(".json")
    sidecar.write_bytes(files.confounds.with_suffix(".json").read_bytes())
    image = folder / "sub-01_task-rest_desc-preproc_bold.nii.gz"
    image.touch()
    for name, asked in (
        ("acompcor", {"strategy": ("motion", "compcor", "high_pass"), "motion": "derivatives", "n_compcor": 5}),
        ("36P", {"strategy": ("motion", "wm_csf", "global_signal"), "wm_csf": "full", "global_signal": "full"}),
    ):
        theirs, _ = load_confounds(str(image), demean=False, compcor="anat_separated", **asked)
        ours = choose_nuisance(read_strategy(name), read_confounds(table, N), n_volumes=N, confounds_file=table)
        assert set(ours.regressors) == set(theirs)
        np.testing.assert_allclose(ours.regressors[list(theirs)].iloc[1:], theirs.iloc[1:], rtol=1e-12)


def test_a_filter_takes_the_place_of_cosines_that_a_short_run_has_not(make_run, grid):
    files = make_run(N)
    without = files.table.drop(columns=[name for name in files.table if name.startswith("cosine")])
    write_table(without, files.confounds)
    run = prepared(files, grid, strategy="acompcor")
    assert run.metadata["HighPass"] == 0.008
    said = "The confounds hold no cosines (fMRIPrep makes none for short runs); "
    assert f"{said}a high-pass filter at 0.008 Hz took their place." in run.metadata["Warnings"]
    assert "high-pass filtering (0.008 Hz" in run.metadata["Description"]
    again = prepared(files, grid, strategy="acompcor", high_pass=0.02)
    assert again.metadata["HighPass"] == 0.02
    assert f"{said}the high-pass filter at 0.02 Hz stands for them." in again.metadata["Warnings"]
    none = prepared(files, grid, strategy="acompcor", high_pass=0)
    assert none.metadata["HighPass"] is None
    assert f"{said}no high-pass filter was wanted: slow drifts stay." in none.metadata["Warnings"]


def test_fewer_components_than_usual_are_taken_and_said(choose):
    nuisance = choose("acompcor", a_comp_cor_13="n/a", a_comp_cor_10="n/a")
    assert nuisance.warnings == ("The confounds hold only 3 of 5 components of WM.",)
    assert sum("comp_cor" in name for name in nuisance.regressors) == 8


def test_newer_names_tell_the_tissue_without_a_sidecar(files, tmp_path):
    names = {f"a_comp_cor_{i:02d}": f"{'wc'[i % 2]}_comp_cor_{i // 2:02d}" for i in range(12)}
    newer = files.table.drop(columns=[f"a_comp_cor_{i:02d}" for i in range(12, 15)]).rename(columns=names)
    path = write_table(newer, tmp_path / "newer.tsv")
    nuisance = choose_nuisance(read_strategy("acompcor"), read_confounds(path, N), n_volumes=N, confounds_file=path)
    components = {name for name in nuisance.regressors if "comp_cor" in name}
    assert components == {f"{tissue}_comp_cor_{i:02d}" for tissue in "cw" for i in range(5)}


def test_older_names_without_a_sidecar_are_refused_with_the_reason(files, tmp_path):
    path = write_table(files.table, tmp_path / "alone.tsv")
    with pytest.raises(InputError, match=r"CSF \(by .*alone\.json\), a file that is not there, and names such as"):
        choose_nuisance(read_strategy("acompcor"), read_confounds(path, N), n_volumes=N, confounds_file=path)


# ---- runs that were denoised before -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "name"),
    [({"strategy": "36P"}, "strategy"), ({"high_pass": 0.01}, "high_pass"), ({"low_pass": 0.1}, "low_pass")],
)
def test_what_would_have_no_effect_on_a_denoised_run_is_refused(make_run, grid, arguments, name):
    with pytest.raises(UsageError, match=f"`{name}` has no effect with `denoised`"):
        prepared(make_run(N), grid, denoised=True, **arguments)
    with pytest.raises(UsageError, match=f"`{name}` has no effect with `denoised`"):
        init_prepare_run_wf(Preparation(**arguments), denoised=True)


def test_what_comes_to_the_same_on_a_denoised_run_is_fine():
    for strategy in ("auto", "none"):
        for cutoff in (None, 0):
            assert refuse_on_denoised(Preparation(strategy, high_pass=cutoff, low_pass=cutoff)) is None
