import json

import numpy as np
import pandas as pd
import pytest

from scaae_nipype.errors import InputError, UsageError
from scaae_nipype.files import write_json, write_table
from scaae_nipype.preparation.censoring import count_dummy_scans, framewise_displacement
from scaae_nipype.preparation.confounds import choose_nuisance, read_confounds
from scaae_nipype.preparation.strategies import STRATEGIES, read_strategy, strategy_names

N = 60
MOTION = [f"{kind}_{axis}" for kind in ("trans", "rot") for axis in "xyz"]


@pytest.fixture
def choose(make_run, tmp_path):
    """Choose the regressors of a strategy from a table without some columns."""
    files = make_run(N)

    def choose_(strategy, *, drop=(), **arguments):
        table = files.table.drop(columns=[c for c in files.table if any(c.startswith(d) for d in drop)])
        path = tmp_path / "sub-01_acq-odd.x_desc-confounds_timeseries.tsv"  # nilearn would not find such a name
        write_table(table, path)
        metadata = files.confounds.with_suffix(".json")
        arguments = {"confounds_metadata": metadata, **arguments}
        return choose_nuisance(
            read_strategy(strategy), read_confounds(path, N), n_volumes=N, confounds_file=path, **arguments
        )

    return choose_


@pytest.mark.parametrize(
    ("name", "n"),
    [
        *[("none", 0), ("none+gsr", 1), ("published-code", 0), ("24P", 24), ("24P+gsr", 25), ("36P", 36)],
        *[("36P-gsr", 32), ("36P+gsr", 36), ("24P-gsr", 24), ("athena", 10), ("athena+gsr", 11)],
        *[("acompcor", 12 + 10 + 3), ("acompcor+gsr", 26), ("auto", 26), ("auto+gsr", 27)],
    ],
)
def test_strategies_have_the_regressors_they_are_known_for(choose, name, n):
    nuisance = choose(name)
    columns = list(nuisance.regressors)
    assert len(columns) == n
    assert any("global_signal" in column for column in columns) == (name in ("36P", "36P+gsr") or name.endswith("+gsr"))
    assert np.isfinite(nuisance.regressors.to_numpy()).all()
    assert nuisance.warnings == ()


def test_athena_is_what_the_papers_data_went_through(choose):
    strategy = read_strategy("athena")
    assert (strategy.high_pass, strategy.low_pass, strategy.fd_threshold) == (0.009, 0.08, None)
    columns = [*MOTION, "csf", "white_matter", "polynomial2", "polynomial3"]
    assert sorted(choose("athena").regressors) == sorted(columns)


def test_published_code_only_detrends():
    strategy = read_strategy("published-code")
    assert (strategy.high_pass, strategy.low_pass, strategy.detrend, strategy.fd_threshold) == (None, None, True, None)


def test_acompcor_brings_cosines_instead_of_a_filter(choose):
    assert read_strategy("acompcor").high_pass is None
    columns = list(choose("acompcor").regressors)
    assert [c for c in columns if c.startswith("cosine")] == ["cosine00", "cosine01", "cosine02"]
    masks = [int(c[-2:]) % 3 for c in columns if c.startswith("a_comp_cor")]
    assert set(masks) == {1, 2}, "components of the combined mask were taken"


def test_auto_takes_what_there_is_and_says_so(choose):
    assert choose("auto").label == "auto: 24P + WM + CSF"
    assert choose("auto+gsr").label == "auto+gsr: 24P + WM + CSF + GSR"
    without = choose("auto", drop=("trans", "rot"))
    assert (without.label, list(without.regressors)) == ("auto: WM + CSF", ["csf", "white_matter"])
    assert without.warnings == (
        "The confounds hold no regressors of head motion (of 24 wanted), so the data keep its effects.",
    )
    smaller = choose("auto", drop=("trans_x_power2",))
    assert (smaller.label, len(smaller.regressors.columns)) == ("auto: 12P + WM + CSF", 14)
    assert "only 12 regressors of head motion" in smaller.warnings[0]
    nothing = choose("auto", drop=("trans", "rot", "csf", "white"))
    assert (nothing.label, nothing.regressors.shape, len(nothing.warnings)) == ("auto: no regressors", (N, 0), 2)


def test_auto_goes_without_a_table():
    nuisance = choose_nuisance(read_strategy("auto"), None, n_volumes=N)
    assert nuisance.warnings == ("No confound was regressed: the run has no table of confounds.",)
    assert nuisance.regressors.shape == (N, 0)


@pytest.mark.parametrize(
    ("name", "drop", "missing"),
    [
        ("24P", ("rot_z_derivative1",), r"rot_z_derivative1, rot_z_derivative1_power2; there are trans_x, "),
        ("36P", ("global_signal",), "global_signal, global_signal_derivative1"),
        ("36P", ("csf",), "csf, csf_derivative1"),
        ("athena", ("white_matter",), "missing: white_matter;"),
        ("acompcor", ("a_comp_cor",), "CompCor components of WM"),
    ],
)
def test_a_strategy_by_name_is_refused_where_columns_are_missing(choose, name, drop, missing):
    with pytest.raises(InputError, match=rf"confounds_timeseries\.tsv: {name} needs columns .*{missing}"):
        choose(name, drop=drop)


def test_the_global_signal_that_was_asked_for_is_not_optional(choose):
    with pytest.raises(InputError, match=r"auto\+gsr needs columns that are missing: global_signal;"):
        choose("auto+gsr", drop=("global_signal",))
    with pytest.raises(InputError, match=r"auto\+gsr needs a table"):
        choose_nuisance(read_strategy("auto+gsr"), None, n_volumes=N)


def test_acompcor_knows_the_newer_names_of_components(make_run, tmp_path):
    table = make_run(N).table
    names = {f"a_comp_cor_{i:02d}": f"{'wc'[i % 2]}_comp_cor_{i // 2:02d}" for i in range(12)}
    path = write_table(table.rename(columns=names), tmp_path / "confounds.tsv")
    masks = {"w": "WM", "c": "CSF"}
    write_json({name: {"Mask": masks[name[0]]} for name in names.values()}, tmp_path / "confounds.json")
    nuisance = choose_nuisance(read_strategy("acompcor"), read_confounds(path, N), n_volumes=N, confounds_file=path)
    components = [name for name in nuisance.regressors if "comp_cor" in name]
    assert sorted(components) == [f"{tissue}_comp_cor_{i:02d}" for tissue in "cw" for i in range(5)]


def test_columns_of_other_programs_do_no_harm(make_run, tmp_path):
    table = make_run(N).table.assign(myOwnColumn=1.0)
    path = write_table(table, tmp_path / "confounds.tsv")
    nuisance = choose_nuisance(read_strategy("24P"), read_confounds(path, N), n_volumes=N, confounds_file=path)
    np.testing.assert_allclose(nuisance.regressors["rot_x"], table["rot_x"], rtol=1e-5)


def test_acompcor_needs_the_description_of_its_columns(choose, tmp_path):
    with pytest.raises(InputError, match=r"CompCor components of WM \(by .*none\.json\)"):
        choose("acompcor", confounds_metadata=tmp_path / "none.json")


def test_a_strategy_by_name_needs_a_table():
    with pytest.raises(InputError, match=r"strategy 36P needs a table of confounds, and the run has none"):
        choose_nuisance(read_strategy("36P"), None, n_volumes=N)


def test_a_users_file_chooses_columns_by_wildcards(choose, tmp_path):
    path = tmp_path / "mine.json"
    content = {"columns": ["rot_?", "csf"], "high_pass": 0, "low_pass": 0.1, "polynomials": 2, "detrend": False}
    write_json({**content, "fd_threshold": 0.3}, path)
    strategy = read_strategy(path)
    assert (strategy.high_pass, strategy.low_pass, strategy.fd_threshold) == (None, 0.1, 0.3)
    nuisance = choose(path)
    assert nuisance.label == "file mine.json"
    assert list(nuisance.regressors) == ["rot_x", "rot_y", "rot_z", "csf", "polynomial1", "polynomial2"]
    write_json({"columns": ["trans_q*"]}, path)
    with pytest.raises(InputError, match=r"no column matches 'trans_q\*', which file mine\.json asks for \(near"):
        choose(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            {"columns": ["csf"], "highpass": 0.1},
            r"does not understand highpass; the keys are columns, .* did you mean high_pass\?",
        ),
        ({"high_pass": 0.1}, '"columns", the list of confounds to regress, is missing'),
        ({"columns": "csf"}, "columns must be a list of column names, not 'csf'"),
        ({"columns": [], "high_pass": "0.1"}, "high_pass must be a frequency in Hz, or null, not '0.1'"),
        ({"columns": [], "low_pass": -1}, "low_pass must be a frequency"),
        ({"columns": [], "detrend": 1}, "detrend must be true or false, not 1"),
        ({"columns": [], "polynomials": 2.5}, "polynomials must be a whole number"),
        ({"columns": [], "fd_threshold": True}, "fd_threshold must be a displacement in mm"),
    ],
)
def test_a_wrong_users_file_is_refused(tmp_path, content, message):
    path = tmp_path / "mine.json"
    path.write_text(json.dumps(content))
    with pytest.raises(UsageError, match=rf"mine\.json: .*{message}"):
        read_strategy(path)


def test_names_are_found_in_any_case_and_near_misses_are_named():
    assert read_strategy("ACOMPCOR").name == "acompcor"
    assert read_strategy("36p-GSR").name == "36P-gsr"
    with pytest.raises(UsageError, match=r"36Q: no nuisance strategy has this name \(there are auto, .* mean 36p\?"):
        read_strategy("36Q")
    assert len(strategy_names()) == 2 * len(STRATEGIES) == len({read_strategy(n).name for n in strategy_names()})


def test_a_table_of_another_run_is_refused(tmp_path):
    path = write_table(pd.DataFrame({"csf": range(5)}), tmp_path / "confounds.tsv")
    with pytest.raises(InputError, match=r"has 5 rows, but the run has 60 volumes"):
        read_confounds(path, N)


def test_gaps_in_a_regressor_are_refused_and_its_beginning_is_filled(make_run, tmp_path):
    table = make_run(N).table.copy()
    strategy = read_strategy(write_json({"columns": ["csf*"]}, tmp_path / "mine.json"))
    regressors = choose_nuisance(strategy, table, n_volumes=N).regressors
    assert regressors["csf_derivative1"][0] == table["csf_derivative1"][1]
    table.loc[30, "csf"] = np.inf
    with pytest.raises(InputError, match="csf lack values in the middle of the run"):
        choose_nuisance(strategy, table, n_volumes=N)
    table["csf"] = "text"
    with pytest.raises(InputError, match="a confound is not a number"):
        choose_nuisance(strategy, table, n_volumes=N)


def test_dummy_volumes_and_displacement_come_from_the_table():
    table = pd.DataFrame({"non_steady_state_outlier00": [1, 0, 0, 0], "non_steady_state_outlier01": [0, 1, 0, 0]})
    assert count_dummy_scans(table, None, []) == 2
    assert count_dummy_scans(table[[]], None, []) == count_dummy_scans(None, None, []) == 0
    assert np.isnan(framewise_displacement(table, 4)).all()
    table["framewise_displacement"] = ["n/a", "0.5", "1", "0"]
    np.testing.assert_array_equal(framewise_displacement(table, 4), [np.nan, 0.5, 1, 0])
