"""A run's networks are compared with templates, with each other, with a task, and with what needs no training."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from nipype.pipeline import engine as pe
from niworkflows.engine.workflows import LiterateWorkflow

from ..derivatives.names import results_of
from ..errors import UsageError
from ..evaluation.scores.rules import rule_of
from ..interfaces.base import FunctionInterface
from ..interfaces.evaluation import (
    AssignStates,
    ComparePlanted,
    GradualChange,
    LockToEvents,
    MatchTemplates,
    RegionTimeCourses,
    ScoreBaselines,
)
from ..options import OF_MODEL, Evaluation
from .connections import PLANTED, PREPARED_RUN, TASK, begin, results, same
from .resources import Resources, in_groups

__all__ = ["EVALUATED", "EVALUATION_STEPS", "init_evaluation_wf"]

EVALUATED = results_of("evaluation", "states", "baselines", "regions", "events", "planted")
"""What comes out; of the last four steps only as far as it was asked for."""

EVALUATION_STEPS = ("match_templates", "states", "baselines", "regions", "events", "planted")
"""Nodes that have an ``out_metadata`` with warnings."""

_METHODS_AT_ONCE = 2
"""Threads of `MatchTemplates`, which has four methods to score: more would hardly help."""

_KNOWN = {"default": "networks of @seitzman2020", "smith2009": "networks of @smith2009"}


@in_groups
def init_evaluation_wf(
    evaluation: Evaluation = Evaluation(),
    *,
    cutoffs_given: bool = False,
    with_events: bool = False,
    with_planted: bool = False,
    resources: Resources = Resources(),
    parts: Collection[str] | None = None,
    name: str = "evaluation_wf",
) -> LiterateWorkflow:
    """Build the evaluation of one run.

    Parameters
    ----------
    evaluation : Evaluation
        Templates, baselines (`OF_MODEL` need the input ``model_dir``), atlas, rule of states.
    cutoffs_given : bool
        Whether the input ``state_cutoffs`` says what the least score of a state is for every method.
    with_events : bool
        Whether the run has a task, whose table is given to the input ``events``.
    with_planted : bool
        Whether the run is simulated, and what was planted in it is given to the inputs ``planted_networks``,
        ``planted_courses``.
    resources : Resources
    parts : collection of str, optional
        Which of ``evaluation`` (scores against templates, gradual change), ``states``, ``baselines``, ``regions``,
        ``events`` and ``planted`` are computed, as far as they are asked for; by default all of them.
    name : str

    Inputs
    ------
    in_file, in_mask, in_samples
        A prepared run.
    fbn_maps, signed_maps, code
        Its networks; the last two are optional.
    grid_mask
        Mask of the model's grid.
    model_dir
        Model folder, for the baselines that are parts of it.
    state_cutoffs
        JSON of the spatial null, for ``cutoffs_given``.
    chance_templates
        From `init_surrogate_templates_wf`, with the same seed and as many sets or more: what scores are by chance. Made
        for every run if not given.
    events, repetition_time, start_time
        Table of events, and when volumes were taken (s).
    planted_networks, planted_courses
        Of a simulated run, for ``with_planted``.
    template_scores, states
        As they were computed before, where `parts` leaves them out.

    Outputs
    -------
    template_iou, overlap, threshold_curve, gradual_change, template_scores, evaluation_metadata
    states, state_metrics, transitions, state_maps, states_metadata
    baselines, baselines_metadata, regions, regions_metadata, events, events_metadata
    planted, planted_maps, planted_metadata

    Raises
    ------
    TraitError, UsageError
        At once, where an argument cannot be, or has no effect.
    """
    if cutoffs_given and evaluation.state_cutoff is not None:
        raise UsageError("`state_cutoff` has no effect with `cutoffs_given`: leave one out.")
    baselines, against = evaluation.baselines, evaluation.given("templates", "template_labels", "template_kind")
    given = [*PREPARED_RUN, "fbn_maps", "signed_maps", "code", "grid_mask", "model_dir", *TASK, *PLANTED]
    given += ["state_cutoffs", "chance_templates", "template_scores", "states"]
    description = _description(evaluation, cutoffs_given=cutoffs_given, with_events=with_events)
    workflow, inputnode, outputnode = begin(name, given, EVALUATED, description)
    workflow.add_nodes([inputnode, outputnode])  # also where none of its parts is due
    volumes = same(*PREPARED_RUN, "grid_mask")
    maps = [*volumes, *same("fbn_maps")]
    chance = [("chance_templates", "surrogates")]

    def node(
        interface: FunctionInterface, name: str, *, n_procs: int = 1, mem_gb: float = resources.evaluation_mem_gb
    ) -> pe.Node:
        return pe.Node(interface, name=name, n_procs=n_procs, mem_gb=mem_gb)

    def is_due(part: str) -> bool:
        return parts is None or part in parts

    match, states = inputnode, inputnode  # what was computed before, where it is not due
    if is_due("evaluation"):
        at_once = min(resources.n_procs, _METHODS_AT_ONCE)
        scored_by = evaluation.given("mode", "n_chance_templates", "seed")
        match = node(MatchTemplates(**scored_by, **against), "match_templates", n_procs=at_once)
        change = node(GradualChange(), "gradual_change")
        workflow.connect(
            [
                (inputnode, match, [*maps, *chance]),
                (inputnode, change, same(*PREPARED_RUN, "fbn_maps")),
                (match, outputnode, results("evaluation", without="gradual_change")),
                (change, outputnode, same("gradual_change")),
            ]
        )
    if is_due("states"):
        states = node(AssignStates(**evaluation.given("mode", "state_cutoff", "seed"), **against), "states")
        cutoffs = same("state_cutoffs") if cutoffs_given else []
        workflow.connect(
            [
                (inputnode, states, [*maps, *same("signed_maps"), *cutoffs]),
                (match, states, [("template_scores", "scores")]),
                (states, outputnode, results("states")),
            ]
        )
    if baselines and is_due("baselines"):
        of_model = bool({*OF_MODEL} & {*baselines})
        network = {"device": resources.device, "num_threads": resources.n_procs} if of_model else {}
        scored = node(
            ScoreBaselines(**evaluation.given("baselines", "n_chance_templates", "seed"), **network, **against),
            "baselines",
            n_procs=resources.n_procs if "untrained" in baselines else 1,
            mem_gb=resources.baselines_mem_gb,
        )
        needed = same("code", "model_dir") if of_model else same("code")
        workflow.connect(
            [(inputnode, scored, [*volumes, *needed, *chance]), (scored, outputnode, results("baselines"))]
        )
    if evaluation.atlas and is_due("regions"):
        regions = node(RegionTimeCourses(**evaluation.given("atlas", "atlas_labels", "atlas_kind")), "regions")
        workflow.connect([(inputnode, regions, maps), (regions, outputnode, results("regions"))])
    if with_events and is_due("events"):
        events = node(LockToEvents(), "events", mem_gb=0.3)
        workflow.connect(
            [
                (inputnode, events, same(*TASK)),
                (match, events, [("template_scores", "scores")]),
                (states, events, same("states")),
                (events, outputnode, results("events")),
            ]
        )
    if with_planted and is_due("planted"):
        planted = node(ComparePlanted(), "planted")
        workflow.connect(
            [
                (inputnode, planted, [*same(*PREPARED_RUN, *PLANTED, "fbn_maps", "signed_maps", "model_dir")]),
                (planted, outputnode, results("planted")),
            ]
        )
    return workflow


def _description(evaluation: Evaluation, *, cutoffs_given: bool, with_events: bool) -> str:
    templates, rule = evaluation.templates, rule_of(evaluation.mode, evaluation.state_cutoff)
    least = "what at most 5 % of noise volumes as smooth as the maps reach" if rule.by_noise else f"{rule.cutoff:g}"
    if cutoffs_given:
        least = "the 95th percentile of the best score of the run's maps with surrogate templates"
    also = f" So were baselines: {', '.join(evaluation.baselines)}." if evaluation.baselines else ""
    chance = (
        f" Scores were held against those with {evaluation.n_chance_templates} sets of surrogate templates (Gaussian "
        "fields after anamorphosis with the templates' values and variogram)."
        if evaluation.n_chance_templates
        else ""
    )
    task = (
        " States and scores were correlated with the events of the task, convolved with the canonical haemodynamic "
        "response (nilearn, @nilearn), and tested by circular shifts of the task with the maximum statistic over "
        "templates."
        if with_events
        else ""
    )
    return (
        "FBNs were binarised at 0.3 of their range within the evaluation region, the part of the model's brain mask "
        "where the run has data, and compared by intersection over union (IoU) with templates "
        f"({_KNOWN.get(templates, Path(templates).name)}) and with the FBNs of later volumes; the prepared volumes "
        f"themselves, which need no network, were scored the same way.{also}{chance} Each volume was given the state "
        f"of its most similar template, by {rule.score_in_words}, or none below {least}; "
        f"transitions were counted within contiguous volumes.{task} "
    )
