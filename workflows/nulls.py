"""A run and its networks are held against what chance gives: surrogate templates, surrogate runs."""

from __future__ import annotations

from nipype.pipeline import engine as pe
from niworkflows.engine.workflows import LiterateWorkflow

from ..derivatives.names import results_of
from ..interfaces.evaluation import CheckDynamics, CheckMatches, SurrogateTemplates
from ..options import USUAL_SURROGATES, Evaluation, Nulls
from .connections import PREPARED_RUN, begin, results, same
from .resources import Resources, check_memory, in_groups

__all__ = ["NULLS", "NULL_STEPS", "init_nulls_wf", "init_surrogate_templates_wf"]

NULLS = results_of("matches", "dynamics_null")
"""What comes out."""

NULL_STEPS = ("check_matches", "check_dynamics")
"""Nodes that have an ``out_metadata`` with warnings."""


@in_groups
def init_surrogate_templates_wf(
    evaluation: Evaluation = Evaluation(),
    *,
    n_surrogate_templates: int = USUAL_SURROGATES,
    mem_gb: float = 1.0,
    name: str = "surrogate_templates_wf",
) -> LiterateWorkflow:
    """Build the making of surrogate templates: once for all runs with the same templates and model grid.

    Parameters
    ----------
    evaluation : Evaluation
        Templates and seed.
    n_surrogate_templates : int
        Sets of surrogate templates, 19 or more.
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
    check_memory(mem_gb=mem_gb)
    workflow, inputnode, outputnode = begin(name, ["grid_mask"], ["surrogate_templates"])
    make = pe.Node(
        SurrogateTemplates(
            n_surrogate_templates=n_surrogate_templates,
            **evaluation.given("templates", "template_labels", "template_kind", "seed"),
        ),
        name="make_surrogates",
        n_procs=1,
        mem_gb=mem_gb,
    )
    workflow.connect([(inputnode, make, same("grid_mask")), (make, outputnode, same("surrogate_templates"))])
    return workflow


@in_groups
def init_nulls_wf(
    evaluation: Evaluation = Evaluation(),
    nulls: Nulls = Nulls(),
    *,
    resources: Resources = Resources(),
    name: str = "nulls_wf",
) -> LiterateWorkflow:
    """Build the null models of one run.

    Parameters
    ----------
    evaluation : Evaluation
        Templates, whose rule assigns states and whose score is tested (mode), and the seed that the surrogate
        templates were made with; the run's surrogates are drawn with it too.
    nulls : Nulls
        Matches with templates are tested where there are surrogate templates (input ``surrogate_templates``), dynamics
        where there are surrogates, each of which goes through the network; ``n_folds`` is for the description: 0 where
        ``model_dir`` is the model that the FBNs are of.
    resources : Resources
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
    given = [*PREPARED_RUN, "fbn_maps", "model_dir", "grid_mask", "run_name", "surrogate_templates"]
    workflow, inputnode, outputnode = begin(name, given, NULLS, _description(nulls))
    settings = evaluation.given("templates", "template_labels", "template_kind", "mode", "seed")
    volumes = same(*PREPARED_RUN, "grid_mask")
    if nulls.n_surrogate_templates:
        matches = pe.Node(
            CheckMatches(**settings), name="check_matches", n_procs=1, mem_gb=resources.spatial_null_mem_gb
        )
        workflow.connect(
            [
                (inputnode, matches, [*volumes, *same("fbn_maps"), ("surrogate_templates", "surrogates")]),
                (matches, outputnode, results("matches")),
            ]
        )
    if nulls.n_surrogates:
        dynamics = pe.Node(
            CheckDynamics(
                n_surrogates=nulls.n_surrogates, device=resources.device, num_threads=resources.n_procs, **settings
            ),
            name="check_dynamics",
            n_procs=resources.n_procs,
            mem_gb=resources.temporal_null_mem_gb,
        )
        workflow.connect(
            [
                (inputnode, dynamics, [*volumes, *same("model_dir", "run_name")]),
                (dynamics, outputnode, results("dynamics_null")),
            ]
        )
    return workflow


def _description(nulls: Nulls) -> str:
    sentences = []
    if nulls.n_surrogate_templates:
        sentences.append(
            "Overlap with templates was tested against surrogate templates with the same values and variogram "
            "(Gaussian fields after anamorphosis), with the maximum over templates. "
        )
    if nulls.n_surrogates:
        passed = "passed through the same network"
        if nulls.n_folds:
            passed = (
                "which passed, like the run itself, through a network of the same kind that was fitted to the runs of "
                f"other participants ({nulls.n_folds}-fold cross-fitting over participants)"
            )
        sentences.append(
            f"Dynamics were tested against {nulls.n_surrogates} surrogates of the run with one common random phase per "
            f"frequency for all voxels [@prichard1994], {passed}; a rejection means that the run is not stationary, "
            "linear and Gaussian. "
        )
    return "".join(sentences)
