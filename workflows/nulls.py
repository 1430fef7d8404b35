"""A run and its networks are held against what chance gives: surrogate templates, surrogate runs."""

from __future__ import annotations

from nipype.interfaces.utility import IdentityInterface
from nipype.pipeline import engine as pe
from niworkflows.engine.workflows import LiterateWorkflow

from ..interfaces.nulls import CheckDynamics, CheckMatches, SurrogateTemplates
from .arguments import check_folds, check_resources

__all__ = ["NULLS", "NULL_STEPS", "init_nulls_wf", "init_surrogate_templates_wf"]

NULLS = ("match_p", "matches", "matches_metadata", "dynamics_null", "dynamics_null_metadata")
"""What comes out."""

NULL_STEPS = ("check_matches", "check_dynamics")
"""Nodes that have an ``out_metadata`` with warnings."""


def init_surrogate_templates_wf(
    *,
    templates: str = "default",
    template_labels: str | None = None,
    template_kind: str = "auto",
    n_surrogates: int = 199,
    seed: int = 0,
    mem_gb: float = 1.0,
    name: str = "surrogate_templates_wf",
) -> LiterateWorkflow:
    """Build the making of surrogate templates: once for all runs with the same templates and model grid.

    Parameters
    ----------
    templates, template_labels, template_kind
        As for `init_nulls_wf`.
    n_surrogates : int
        Sets of surrogate templates, 19 or more.
    seed : int
    mem_gb : float
    name : str

    Inputs
    ------
    grid_mask
        Mask of the model's grid.

    Outputs
    -------
    surrogate_templates
    """
    workflow = LiterateWorkflow(name=name)
    labels = {"template_labels": template_labels} if template_labels else {}
    inputnode = pe.Node(IdentityInterface(fields=["grid_mask"]), name="inputnode")
    outputnode = pe.Node(IdentityInterface(fields=["surrogate_templates"]), name="outputnode")
    make = pe.Node(
        SurrogateTemplates(
            templates=templates, template_kind=template_kind, n_surrogates=n_surrogates, seed=seed, **labels
        ),
        name="make_surrogates",
        n_procs=1,
        mem_gb=mem_gb,
    )
    workflow.connect(
        [
            (inputnode, make, [("grid_mask", "grid_mask")]),
            (make, outputnode, [("out_file", "surrogate_templates")]),
        ]
    )
    return workflow


def init_nulls_wf(
    *,
    templates: str = "default",
    template_labels: str | None = None,
    template_kind: str = "auto",
    mode: str = "calibrated",
    spatial: bool = True,
    n_surrogates: int = 99,
    n_folds: int = 0,
    seed: int = 0,
    device: str = "auto",
    n_procs: int = 1,
    spatial_mem_gb: float = 2.0,
    temporal_mem_gb: float = 4.0,
    name: str = "nulls_wf",
) -> LiterateWorkflow:
    """Build the null models of one run.

    Parameters
    ----------
    templates : str
        ``default``, ``smith2009`` or an image.
    template_labels : str, optional
        Table with their names.
    template_kind : {"auto", "continuous", "labels", "thresholded"}
        What the image holds; ``auto`` recognises it.
    mode : str
        Whose rule assigns states, and whose score is tested.
    spatial : bool
        Whether matches with templates are tested; needs the input ``surrogate_templates``.
    n_surrogates : int
        Surrogate runs of the temporal null: every one of them goes through the network. 0 leaves it out; else 19 or
        more.
    n_folds : int
        Of cross-fitting, for the description: 0 where ``model_dir`` is the model that the FBNs are of.
    seed : int
        Of the surrogates of the run, and that which the surrogate templates were made with.
    device : str
    n_procs : int
        CPU threads of the network.
    spatial_mem_gb, temporal_mem_gb : float
    name : str

    Inputs
    ------
    in_file, in_mask, in_samples
        A prepared run.
    fbn_maps
        Its FBNs after equation 9.
    model_dir
        Model folder, for the temporal null: the run and its surrogates go through it.
    grid_mask
        Mask of the model's grid.
    run_name
        The run's name in model cards.
    surrogate_templates
        From `init_surrogate_templates_wf`.

    Outputs
    -------
    match_p, matches, matches_metadata
        The spatial null.
    dynamics_null, dynamics_null_metadata
        The temporal null.
    """
    check_folds(n_folds)
    check_resources(device=device, n_procs=n_procs, spatial_mem_gb=spatial_mem_gb, temporal_mem_gb=temporal_mem_gb)
    workflow = LiterateWorkflow(name=name)
    workflow.__desc__ = _description(spatial, n_surrogates, n_folds)
    prepared = ["in_file", "in_mask", "in_samples"]
    fields = [*prepared, "fbn_maps", "model_dir", "grid_mask", "run_name", "surrogate_templates"]
    inputnode = pe.Node(IdentityInterface(fields=fields), name="inputnode")
    outputnode = pe.Node(IdentityInterface(fields=list(NULLS)), name="outputnode")
    settings = {"templates": templates, "template_kind": template_kind, "mode": mode} | (
        {"template_labels": template_labels} if template_labels else {}
    )
    as_they_are = [(field, field) for field in [*prepared, "grid_mask"]]
    if spatial:
        matches = pe.Node(CheckMatches(seed=seed, **settings), name="check_matches", n_procs=1, mem_gb=spatial_mem_gb)
        workflow.connect(
            [
                (
                    inputnode,
                    matches,
                    [*as_they_are, ("fbn_maps", "fbn_maps"), ("surrogate_templates", "surrogates")],
                ),
                (
                    matches,
                    outputnode,
                    [("out_volumes", "match_p"), ("out_matches", "matches"), ("out_metadata", "matches_metadata")],
                ),
            ]
        )
    if n_surrogates:
        dynamics = pe.Node(
            CheckDynamics(n_surrogates=n_surrogates, seed=seed, device=device, num_threads=n_procs, **settings),
            name="check_dynamics",
            n_procs=n_procs,
            mem_gb=temporal_mem_gb,
        )
        workflow.connect(
            [
                (inputnode, dynamics, [*as_they_are, ("model_dir", "model_dir"), ("run_name", "run_name")]),
                (
                    dynamics,
                    outputnode,
                    [("out_table", "dynamics_null"), ("out_metadata", "dynamics_null_metadata")],
                ),
            ]
        )
    return workflow


def _description(spatial: bool, n_surrogates: int, n_folds: int) -> str:
    sentences = []
    if spatial:
        sentences.append(
            "Overlap with templates was tested against surrogate templates with the same values and variogram "
            "(Gaussian fields after anamorphosis), with the maximum over templates. "
        )
    if n_surrogates:
        sentences.append(
            f"Dynamics were tested against {n_surrogates} surrogates of the run with one common random phase per "
            f"frequency for all voxels [@prichard1994], {_passed_through(n_folds)}; a rejection means that the run "
            "is not stationary, linear and Gaussian. "
        )
    return "".join(sentences)


def _passed_through(n_folds: int) -> str:
    if not n_folds:
        return "passed through the same network"
    return (
        "which passed, like the run itself, through a network of the same kind that was fitted to the runs of other "
        f"participants ({n_folds}-fold cross-fitting over participants)"
    )
