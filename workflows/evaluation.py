"""A run's networks are compared with templates, with each other, with a task, and with what needs no training."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Literal

from nipype.interfaces.utility import IdentityInterface
from nipype.pipeline import engine as pe
from niworkflows.engine.workflows import LiterateWorkflow

from ..errors import UsageError
from ..evaluation.scores.rules import rule_of
from ..interfaces.evaluation import (
    AssignStates,
    GradualChange,
    LockToEvents,
    MatchTemplates,
    RegionTimeCourses,
    ScoreBaselines,
)
from .arguments import as_names, check_resources

__all__ = ["EVALUATED", "EVALUATION_STEPS", "init_evaluation_wf"]

EVALUATED = (
    *("template_iou", "template_scores", "overlap", "threshold_curve", "evaluation_metadata", "gradual_change"),
    *("states", "state_metrics", "transitions", "state_maps", "states_metadata"),
    *("baselines", "baselines_metadata", "region_tables", "regions_metadata", "event_locking", "events_metadata"),
)
"""What comes out; the last line only as far as it was asked for."""

EVALUATION_STEPS = ("match_templates", "states", "baselines", "regions", "events")
"""Nodes that have an ``out_metadata`` with warnings."""

_METHODS_AT_ONCE = 2
"""Threads of `MatchTemplates`, which has four methods to score: more would hardly help."""

_KNOWN = {"default": "networks of @seitzman2020", "smith2009": "networks of @smith2009"}


def init_evaluation_wf(
    *,
    templates: str = "default",
    template_labels: str | None = None,
    template_kind: str = "auto",
    mode: Literal["calibrated", "paper"] = "calibrated",
    state_cutoff: float | None = None,
    cutoffs_given: bool = False,
    baselines: Sequence[str] = (),
    atlas: str | None = None,
    atlas_labels: str | None = None,
    atlas_kind: str = "auto",
    with_events: bool = False,
    seed: int = 0,
    device: str = "auto",
    n_procs: int = 1,
    mem_gb: float = 1.0,
    baselines_mem_gb: float = 1.5,
    parts: Collection[str] | None = None,
    name: str = "evaluation_wf",
) -> LiterateWorkflow:
    """Build the evaluation of one run.

    Parameters
    ----------
    templates : str
        ``default``, ``smith2009`` or an image.
    template_labels : str, optional
        Table with their names.
    template_kind : {"auto", "continuous", "labels", "thresholded"}
        What the image holds; ``auto`` recognises it.
    mode : str
        Which score decides on states, and from where on.
    state_cutoff : float, optional
        The least score of a state, instead of the mode's.
    cutoffs_given : bool
        Whether the input ``state_cutoffs`` says what it is for every method.
    baselines : sequence of str
        Baselines to compute besides the volume itself; ``context`` and ``untrained`` need the input ``model_dir``.
    atlas, atlas_labels : str, optional
        Image and table of the regions whose mean FBN is written.
    atlas_kind : str
        As `template_kind`.
    with_events : bool
        Whether the run has a task, whose table is given to the input ``events``.
    seed : int
        Of the decompositions.
    device : str
    n_procs : int
        CPU threads of the untrained network, and at most of scoring.
    mem_gb, baselines_mem_gb : float
        Of every step, and of the baselines.
    parts : collection of str, optional
        Which of ``evaluation`` (scores against templates, gradual change), ``states``, ``baselines``, ``regions`` and
        ``events`` are computed, as far as they are asked for; by default all of them.
    name : str

    Inputs
    ------
    in_file, in_mask, in_samples
        A prepared run.
    fbn_maps, signed_maps, codes
        Its networks; the last two are optional.
    grid_mask
        Mask of the model's grid.
    model_dir
        Model folder, for the baselines ``context`` and ``untrained``.
    state_cutoffs
        JSON of the spatial null, for ``cutoffs_given``.
    events, repetition_time, start_time
        Table of events, and when volumes were taken (s).
    scores, state_sequence
        ``template_scores`` and ``states`` as they were computed before, where `parts` leaves them out.

    Outputs
    -------
    template_iou, template_scores, overlap, threshold_curve, evaluation_metadata, gradual_change
    states, state_metrics, transitions, state_maps, states_metadata
    baselines, baselines_metadata, region_tables, regions_metadata, event_locking, events_metadata

    Raises
    ------
    TraitError, UsageError
        At once, where an argument cannot be, or has no effect.
    """
    check_resources(device=device, n_procs=n_procs, mem_gb=mem_gb, baselines_mem_gb=baselines_mem_gb)
    if cutoffs_given and state_cutoff is not None:
        raise UsageError("`state_cutoff` has no effect with `cutoffs_given`: leave one out.")
    if atlas_labels and not atlas:
        raise UsageError("`atlas_labels` has no effect without `atlas`: give the image that they name.")
    baselines = as_names(baselines)
    workflow = LiterateWorkflow(name=name)
    workflow.__desc__ = _description(templates, mode, "null" if cutoffs_given else state_cutoff, baselines, with_events)
    prepared = ["in_file", "in_mask", "in_samples"]
    given = [*prepared, "fbn_maps", "signed_maps", "codes", "grid_mask", "events", "repetition_time", "start_time"]
    given += ["state_cutoffs", "model_dir", "scores", "state_sequence"]
    inputnode = pe.Node(IdentityInterface(fields=given), name="inputnode")
    outputnode = pe.Node(IdentityInterface(fields=list(EVALUATED)), name="outputnode")
    labels = {"template_labels": template_labels} if template_labels else {}
    against = {"templates": templates, "template_kind": template_kind, **labels}
    volumes = [(field, field) for field in (*prepared, "grid_mask")]
    maps = [*volumes, ("fbn_maps", "fbn_maps")]

    def node(interface, name: str, *, n_procs: int = 1, mem_gb: float = mem_gb) -> pe.Node:
        return pe.Node(interface, name=name, n_procs=n_procs, mem_gb=mem_gb)

    def is_due(part: str) -> bool:
        return parts is None or part in parts

    scores, sequence = (inputnode, "scores"), (inputnode, "state_sequence")
    if is_due("evaluation"):
        match = node(MatchTemplates(mode=mode, **against), "match_templates", n_procs=min(n_procs, _METHODS_AT_ONCE))
        change = node(GradualChange(), "gradual_change")
        scores = match, "out_scores"
        out = [("out_iou", "template_iou"), ("out_scores", "template_scores"), ("out_overlap", "overlap")]
        out += [("out_thresholds", "threshold_curve"), ("out_metadata", "evaluation_metadata")]
        workflow.connect(
            [
                (inputnode, match, maps),
                (inputnode, change, [(field, field) for field in (*prepared, "fbn_maps")]),
                (match, outputnode, out),
                (change, outputnode, [("out_table", "gradual_change")]),
            ]
        )
    if is_due("states"):
        cutoff = {} if state_cutoff is None else {"cutoff": state_cutoff}
        states = node(AssignStates(mode=mode, **against, **cutoff), "states")
        sequence = states, "out_states"
        out = [("out_states", "states"), ("out_metrics", "state_metrics"), ("out_transitions", "transitions")]
        out += [("out_maps", "state_maps"), ("out_metadata", "states_metadata")]
        workflow.connect(
            [
                (inputnode, states, [*maps, ("signed_maps", "signed_maps")]),
                (scores[0], states, [(scores[1], "scores")]),
                (states, outputnode, out),
            ]
        )
        if cutoffs_given:
            workflow.connect([(inputnode, states, [("state_cutoffs", "cutoffs")])])
    if baselines and is_due("baselines"):
        network = {"device": device, "num_threads": n_procs} if {"context", "untrained"} & {*baselines} else {}
        scored = node(
            ScoreBaselines(names=list(baselines), seed=seed, **network, **against),
            "baselines",
            n_procs=n_procs if "untrained" in baselines else 1,
            mem_gb=baselines_mem_gb,
        )
        if network:
            workflow.connect([(inputnode, scored, [("model_dir", "model_dir")])])
        out = [("out_overlap", "baselines"), ("out_metadata", "baselines_metadata")]
        workflow.connect([(inputnode, scored, [*volumes, ("codes", "codes")]), (scored, outputnode, out)])
    if atlas and is_due("regions"):
        labels = {"atlas_labels": atlas_labels} if atlas_labels else {}
        regions = node(RegionTimeCourses(atlas=atlas, atlas_kind=atlas_kind, **labels), "regions")
        out = [("out_tables", "region_tables"), ("out_metadata", "regions_metadata")]
        workflow.connect([(inputnode, regions, maps), (regions, outputnode, out)])
    if with_events and is_due("events"):
        events = node(LockToEvents(), "events", mem_gb=0.3)
        task = [(field, field) for field in ("events", "repetition_time", "start_time")]
        out = [("out_table", "event_locking"), ("out_metadata", "events_metadata")]
        workflow.connect(
            [
                (inputnode, events, task),
                (scores[0], events, [(scores[1], "scores")]),
                (sequence[0], events, [(sequence[1], "states")]),
                (events, outputnode, out),
            ]
        )
    return workflow


def _description(
    templates: str, mode: str, state_cutoff: float | Literal["null"] | None, baselines: Sequence[str], with_events: bool
) -> str:
    rule = rule_of(mode, None if state_cutoff == "null" else state_cutoff)
    least = f"{rule.cutoff:g}"
    if state_cutoff == "null":
        least = "the 95th percentile of the best score of the run's maps with surrogate templates"
    also = f" So were baselines: {', '.join(baselines)}." if baselines else ""
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
        f"themselves, which need no network, were scored the same way.{also} Each volume was given the state of its "
        f"most similar template, by {rule.score_in_words}, or none below {least}; "
        f"transitions were counted within contiguous volumes.{task} "
    )
