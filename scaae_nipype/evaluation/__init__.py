"""How well maps agree with templates and with each other, beside what needs no network: arrays and files, no model."""

from .baselines import BASELINES, Candidates, baselines, choose_on_other_runs
from .gradual_change import lag_curve, lagged_iou
from .overlap import (
    THRESHOLD,
    average_precision,
    best_of_n,
    binarise,
    chance_iou,
    dice,
    iou,
    pearson_r,
    rank_scores,
    scale,
    size_matched_iou,
    threshold_curve,
)
from .regions import region_means
from .run import RunMaps, read_run
from .scoring import overlap_table, score_maps
from .states import RULES, Assignment, assign, transition_counts, transition_graph, transition_probabilities
from .steps import assign_states, change_gradually, score_baselines, score_run, tabulate_regions
from .templates import TemplateSet, coverage, find_smith2009, load_templates

__all__ = [
    "BASELINES",
    "RULES",
    "THRESHOLD",
    "Assignment",
    "Candidates",
    "RunMaps",
    "TemplateSet",
    "assign",
    "assign_states",
    "average_precision",
    "baselines",
    "best_of_n",
    "binarise",
    "chance_iou",
    "change_gradually",
    "choose_on_other_runs",
    "coverage",
    "dice",
    "find_smith2009",
    "iou",
    "lag_curve",
    "lagged_iou",
    "load_templates",
    "overlap_table",
    "pearson_r",
    "rank_scores",
    "read_run",
    "region_means",
    "scale",
    "score_baselines",
    "score_maps",
    "score_run",
    "size_matched_iou",
    "tabulate_regions",
    "threshold_curve",
    "transition_counts",
    "transition_graph",
    "transition_probabilities",
]
