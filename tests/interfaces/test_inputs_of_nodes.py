"""What cannot be is refused when an input is set; what contradicts itself, when the node is made or before it runs."""

import logging

import nibabel as nib
import numpy as np
import pytest
from nipype.interfaces.base import TraitError
from nipype.pipeline import engine as pe

from scaae_nipype.errors import InputError, UsageError
from scaae_nipype.evaluation import BASELINES, RULES, assign_states_of_run
from scaae_nipype.files import read_json, write_json
from scaae_nipype.interfaces.evaluation import (
    AssignStates,
    CheckDynamics,
    CheckMatches,
    GradualChange,
    LockToEvents,
    MatchTemplates,
    RegionTimeCourses,
    ScoreBaselines,
    SurrogateTemplates,
)
from scaae_nipype.interfaces.model import ExtractNetworks, TrainModel
from scaae_nipype.interfaces.outputs import ParticipantReport, SaveDerivatives
from scaae_nipype.interfaces.preparation import PrepareRun
from scaae_nipype.model import PRESETS

NOT_A_NUMBER, INFINITE = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("interface", "name", "value", "words"),
    [
        (PrepareRun, "strategy", "36PP", r"`strategy` 36PP: no nuisance strategy .*did you mean 36p\?"),
        (PrepareRun, "strategy", 36, "`strategy` must be auto, .* or a JSON file, not 36"),
        (PrepareRun, "smoothing_fwhm", -3, "`smoothing_fwhm` must be a number from 0 to 50 mm, not -3"),
        (PrepareRun, "smoothing_fwhm", NOT_A_NUMBER, "must be a number from 0 to 50 mm, not nan"),
        (PrepareRun, "smoothing_fwhm", INFINITE, "must be a number from 0 to 50 mm, not inf"),
        (PrepareRun, "smoothing_fwhm", "6", "must be a number from 0 to 50 mm, not '6'"),
        (PrepareRun, "smoothing_fwhm", None, "must be a number from 0 to 50 mm, not None"),
        (PrepareRun, "repetition_time", -1, "must be a number above 0 and at most 60 s, not -1"),
        (PrepareRun, "repetition_time", 0, "must be a number above 0 and at most 60 s, not 0"),
        (PrepareRun, "repetition_time", 2000, "above 0 and at most 60 s, not 2000"),
        (PrepareRun, "high_pass", 125, "must be a number from 0 to 10 Hz"),
        (PrepareRun, "low_pass", -0.1, "must be a number from 0 to 10 Hz"),
        (PrepareRun, "fd_threshold", -0.5, "must be a number from 0 to 100 mm"),
        (PrepareRun, "dummy_scans", -1, "'dummy_scans' .* must be 'auto' or an integer >= 0"),
        (PrepareRun, "dummy_scans", "Auto", "'dummy_scans' .* must be 'auto' or an integer >= 0"),
        (PrepareRun, "in_file", "missing.nii.gz", "'in_file' .* existing file"),
        (TrainModel, "preset", "tinyy", "'preset' .* must be .*'pointwise' or .*'tiny'"),
        (TrainModel, "mode", "papr", "must be 'calibrated' or 'paper'"),
        (TrainModel, "device", "gpu", "`device` gpu: must be auto, cpu, cuda, cuda:N"),
        (TrainModel, "device", "cuda:x", "`device` cuda:x: must be auto"),
        (TrainModel, "train_volumes", 0, "'train_volumes' .* an integer >= 1"),
        (TrainModel, "precision", "fp16", "must be 'auto' or 'fp32' or 'bf16'"),
        (TrainModel, "processes", 0, "an integer >= 1"),
        (TrainModel, "seed", -1, "0 <= an integer <= 4294967295"),
        (TrainModel, "num_threads", -2, "an integer >= 0"),
        (ExtractNetworks, "device", "CPU", "`device` CPU: must be"),
        (ExtractNetworks, "model_dir", "missing", "existing directory"),
        (MatchTemplates, "templates", "smith2008", r"neither a file nor one of .*did you mean smith2009\?"),
        (MatchTemplates, "mode", "", "must be 'calibrated' or 'paper'"),
        (RegionTimeCourses, "atlas", "missing.nii.gz", "'missing.nii.gz': neither a file nor one of default"),
        (GradualChange, "longest_lag", -1.0, "must be a number from 0 to 3600 s"),
        (AssignStates, "state_cutoff", 2, "must be a number from 0 to 1, not 2"),
        (LockToEvents, "repetition_time", NOT_A_NUMBER, "above 0 and at most 60 s, not nan"),
        (LockToEvents, "start_time", INFINITE, "must be a number from -60 to 60 s"),
        (ScoreBaselines, "baselines", ["smoothd"], "must be .*'smoothed'"),
        (ScoreBaselines, "baselines", [], "'baselines'"),
        (ScoreBaselines, "n_components", 0, "an integer >= 1"),
        (SurrogateTemplates, "n_surrogate_templates", 9, "an integer >= 19"),
        (CheckMatches, "seed", 0.5, "an integer"),
        (CheckDynamics, "n_surrogates", 0, "an integer >= 19"),
        (CheckDynamics, "state_cutoff", -0.1, "must be a number from 0 to 1"),
    ],
)
def test_what_cannot_be_is_refused_when_it_is_set(interface, name, value, words):
    with pytest.raises(TraitError, match=words):
        interface(**{name: value})
    with pytest.raises(TraitError, match=words):
        pe.Node(interface(), "later").inputs.trait_set(**{name: value})


@pytest.mark.parametrize(
    ("interface", "inputs", "words"),
    [
        (PrepareRun, {"denoised": True, "strategy": "36P"}, "PrepareRun: `strategy` has no effect with `denoised`"),
        (
            PrepareRun,
            {"denoised": True, "high_pass": 0.01, "low_pass": 0.1},
            "`high_pass` and `low_pass` have no effect",
        ),
        (PrepareRun, {"high_pass": 0.1, "low_pass": 0.08}, "`high_pass` 0.1 must be lower than `low_pass` 0.08"),
        (TrainModel, {"train_volumes": 99}, "`train_volumes` has no effect with `preset` pointwise"),
        (TrainModel, {"processes": 2}, "`processes` has no effect with `preset` pointwise"),
        (ParticipantReport, {"participant": "sub-01"}, "`participant` sub-01: must be a label .* without sub-"),
        (SaveDerivatives, {"entities": {"task": "rest"}}, "`entities`: sub, the participant's label, is missing"),
        (SaveDerivatives, {"entities": {"subject": "01"}}, "subject is no short key of a BIDS entity"),
        (SaveDerivatives, {"own_sources": {"nonsense": []}}, "`own_sources`: nonsense is no output"),
    ],
)
def test_what_contradicts_itself_is_refused_when_the_node_is_made(interface, inputs, words):
    with pytest.raises(UsageError, match=words):
        interface(**inputs)


def test_a_contradiction_that_comes_later_is_refused_before_anything_is_read(bold, tmp_path):
    node = PrepareRun(**bold, denoised=True)
    node.inputs.strategy = "24P"
    with pytest.raises(UsageError, match="`strategy` has no effect"):
        node.run(cwd=str(tmp_path))


def test_what_is_consistent_is_taken():
    denoised = PrepareRun(denoised=True, strategy="none", high_pass=0.0, fd_threshold=0.5).inputs
    assert (denoised.strategy, denoised.high_pass, denoised.fd_threshold) == ("none", 0.0, 0.5)
    given = {"strategy": "acompcor-GSR", "high_pass": 0.01, "low_pass": 0.0, "smoothing_fwhm": 4.0, "dummy_scans": 0}
    prepared = PrepareRun(**given | {"smoothing_fwhm": np.float32(4)}).inputs
    assert {name: getattr(prepared, name) for name in given} == given
    training = {"preset": "tiny", "train_volumes": 99, "processes": 2, "device": "cuda:1"}
    assert {name: getattr(TrainModel(**training).inputs, name) for name in training} == training


def test_a_cutoff_is_given_once(tmp_path):
    write_json({}, tmp_path / "cutoffs.json")
    with pytest.raises(OSError, match="mutually exclusive"):
        AssignStates(state_cutoff=0.2, state_cutoffs=str(tmp_path / "cutoffs.json"))


def test_a_strategy_file_is_read_when_it_is_set(tmp_path, monkeypatch):
    (tmp_path / "mine.json").write_text('{"columns": ["csf"], "high_pas": 0.01}')
    with pytest.raises(TraitError, match=r"`strategy` mine\.json: does not understand high_pas"):
        monkeypatch.chdir(tmp_path)
        PrepareRun(strategy="mine.json")
    (tmp_path / "mine.json").write_text('{"columns": ["csf"]}')
    assert PrepareRun(strategy="mine.json").inputs.strategy == str(tmp_path / "mine.json")


def test_a_folder_without_a_model_is_refused(tmp_path):
    with pytest.raises(TraitError, match=r"`model_dir` .*is not a model folder, weights\.safetensors and card\.json"):
        ExtractNetworks(model_dir=str(tmp_path))


def test_choices_are_those_of_the_functions():
    assert set(TrainModel().inputs.trait("preset").handler.values) == set(PRESETS)
    assert set(MatchTemplates().inputs.trait("mode").handler.values) == set(RULES)
    inner = ScoreBaselines().inputs.trait("baselines").inner_traits[0]
    assert set(inner.handler.values) == set(BASELINES) - {"volume"}  # which is scored in any case


def test_relative_paths_are_those_of_where_they_were_set(bold, templates, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert PrepareRun(in_file="bold.nii.gz").inputs.in_file == bold["in_file"]
    assert MatchTemplates(templates="templates.nii.gz").inputs.templates == templates
    (tmp_path / "link.nii.gz").symlink_to("bold.nii.gz")  # as git-annex has them: the name matters, not its target's
    assert PrepareRun(in_file="link.nii.gz").inputs.in_file == str(tmp_path / "link.nii.gz")
    assert TrainModel(in_files=["bold.nii.gz"]).inputs.in_files == [bold["in_file"]]


def test_lists_of_unequal_length_are_named(runs, tmp_path, grid_mask):
    images, tables = [run["in_file"] for run in runs], [run["in_samples"] for run in runs]
    train = TrainModel(in_files=images, in_samples=tables[:1], grid_mask=grid_mask)
    with pytest.raises(UsageError, match=r"TrainModel: `in_files` has 2 entries, `in_samples` 1: give one .* per run"):
        train.run(cwd=str(tmp_path))
    train.inputs.trait_set(in_samples=tables, run_names=["a", "b", "c"])
    with pytest.raises(UsageError, match="`in_files` has 2 entries, `run_names` 3"):
        train.run(cwd=str(tmp_path))
    states = AssignStates(**runs[0], fbn_maps=images, signed_maps=images[:1])
    with pytest.raises(UsageError, match=r"AssignStates: `fbn_maps` has 2 entries, `signed_maps` 1: .* per branch"):
        states.run(cwd=str(tmp_path))
    with pytest.raises(UsageError, match="`fbn_maps` has 2 entries, `signed_maps` 1"):
        assign_states_of_run(**runs[0], fbn_maps=images, signed_maps=images[:1], grid_mask=grid_mask, out_dir=tmp_path)
    save = SaveDerivatives(base_directory=str(tmp_path), entities={"sub": "01"})
    save.inputs.trait_set(fbn_maps=images, regions=tables[:1])
    with pytest.raises(UsageError, match="SaveDerivatives: `fbn_maps` has 2 entries, `regions` 1"):
        save.run(cwd=str(tmp_path))
    save.inputs.trait_set(fbn_maps=[*images, *images], regions=[*tables, *tables])
    with pytest.raises(UsageError, match="`fbn_maps` has 4 entries: there are two branches"):
        save.run(cwd=str(tmp_path))
    assert not (tmp_path / "sub-01").exists()


def test_tables_of_different_runs_are_named(tmp_path):
    (tmp_path / "states.tsv").write_text("kept\tfbn1_state\n1\tA\n1\tA\n")
    (tmp_path / "scores.tsv").write_text("kept\tfbn1_A\n1\t0.1\n")
    (tmp_path / "events.tsv").write_text("onset\tduration\ttrial_type\n0\t1\tgo\n")
    tables = {name: str(tmp_path / f"{name}.tsv") for name in ("states", "scores", "events")}
    with pytest.raises(InputError, match=r"scores\.tsv: has 1 rows, but .*states\.tsv has 2; take the tables of"):
        LockToEvents(**tables, repetition_time=2.0).run(cwd=str(tmp_path))


def test_baselines_say_what_they_need(runs, grid_mask, tmp_path):
    def score(name):
        ScoreBaselines(**runs[0], baselines=[name], grid_mask=grid_mask).run(cwd=str(tmp_path))

    with pytest.raises(UsageError, match="the baseline untrained needs `model_dir`"):
        score("untrained")
    with pytest.raises(UsageError, match="the baseline encoder_lasso needs `code`"):
        score("encoder_lasso")


@pytest.fixture
def log(monkeypatch):
    """Hear Nipype's logger of interfaces."""
    told = []

    class Ear(logging.Handler):
        def emit(self, record):
            told.append((record.levelname, record.getMessage()))

    logger, ear = logging.getLogger("nipype.interface"), Ear()
    logger.addHandler(ear)
    yield told
    logger.removeHandler(ear)


def test_what_preparation_warns_of_is_in_nipypes_log(bold, grid_mask, tmp_path, log):
    prepare = pe.Node(PrepareRun(in_file=bold["in_file"], grid_mask=grid_mask), "prepare", base_dir=str(tmp_path))
    outputs = prepare.run().outputs
    warnings = read_json(outputs.out_metadata)["Warnings"]
    assert len(warnings) >= 2
    assert log == [("WARNING", f"PrepareRun (bold.nii.gz): {text}") for text in warnings]
    assert any("no brain mask" in text for text in warnings)


def test_a_repetition_time_that_the_fit_had_to_assume_is_in_nipypes_log(runs, grid_mask, tmp_path, log):
    image = nib.load(runs[1]["in_file"])
    image.header.set_xyzt_units("mm", "unknown")
    image.header["pixdim"][4] = 0
    nib.save(nib.Nifti1Image(np.asanyarray(image.dataobj), image.affine, image.header), tmp_path / "timeless.nii.gz")
    of_two = {
        "in_files": [runs[0]["in_file"], str(tmp_path / "timeless.nii.gz")],
        "in_samples": [run["in_samples"] for run in runs],
    }
    made = TrainModel(**of_two, grid_mask=grid_mask, device="cpu").run(cwd=str(tmp_path)).outputs
    assert read_json(f"{made.model_dir}/card.json")["Context"]["RunsOfAssumedRepetitionTime"] == 1
    assert log == [("WARNING", "TrainModel: The repetition time of 1 run is not known: the fit took 2 s.")]


def test_what_training_and_evaluation_warn_of_is_in_nipypes_log(runs, grid_mask, templates, tmp_path, log):
    TrainModel(
        in_files=[runs[0]["in_file"]],
        in_samples=[runs[0]["in_samples"]],
        grid_mask=grid_mask,
        preset="tiny",
        train_volumes=8,
        precision="fp32",
        device="cpu",
    ).run(cwd=str(tmp_path))
    assert (
        "WARNING",
        "TrainModel: The model was shown only 8 volumes: its networks are those of an undertrained model.",
    ) in log
    log.clear()
    states = AssignStates(
        **runs[0],
        fbn_maps=[str(tmp_path / "run1_fbn.nii.gz")] * 2,
        state_cutoff=1.0,
        templates=templates,
        grid_mask=grid_mask,
    )
    states.run(cwd=str(tmp_path))
    assert any(text.startswith("AssignStates (run1.nii.gz): No states of fbn1") for _, text in log)


@pytest.mark.parametrize(
    "interface",
    [
        *(PrepareRun, TrainModel, ExtractNetworks, MatchTemplates, GradualChange, AssignStates, LockToEvents),
        *(ScoreBaselines, RegionTimeCourses, SurrogateTemplates, CheckMatches, CheckDynamics),
        *(SaveDerivatives, ParticipantReport),
    ],
)
def test_every_input_and_output_is_explained(interface):
    text = interface.help(returnhelp=True)
    assert "Inputs::" in text and "Outputs::" in text and "a valid <undefined>" not in text
    for spec in (interface.input_spec(), interface.output_spec()):
        for name in spec.copyable_trait_names():
            assert spec.trait(name).desc, name
            assert name in text
