"""How well maps agree with templates and with each other, beside what needs no network: arrays and files, no model."""

from ..maps import THRESHOLD, binarise, scale
from .baselines.candidates import BASELINES, Candidates, baselines, choose_on_other_runs
from .baselines.score import score_baselines
from .event_steps import lock_to_events
from .events import condition_regressors, event_locking, read_events
from .group.averages import (
    count_participants,
    reliability_table,
    spread_over_participants,
    transition_means,
    unit_means,
)
from .group.comparison import compare_outcomes
from .group.permutation import freedman_lane
from .group.prediction import code_features, feature_names, predict, summarise_code
from .group.reliability import intraclass_correlation
from .run_maps import RunMaps, read_run
from .scores.gradual_change import lag_curve, lagged_iou
from .scores.match import change_gradually, score_run, tabulate_regions
from .scores.overlap import (
    average_precision,
    best_of_n,
    chance_iou,
    dice,
    iou,
    pearson_r,
    rank_scores,
    size_matched_iou,
    threshold_curve,
)
from .scores.regions import region_means
from .scores.scoring import overlap_table, score_maps
from .state_steps import assign_states
from .states import RULES, Assignment, assign, transition_counts, transition_graph, transition_probabilities
from .templates.template_set import TemplateSet, coverage, find_smith2009, load_templates

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
    "code_features",
    "compare_outcomes",
    "condition_regressors",
    "count_participants",
    "coverage",
    "dice",
    "event_locking",
    "feature_names",
    "find_smith2009",
    "freedman_lane",
    "intraclass_correlation",
    "iou",
    "lag_curve",
    "lagged_iou",
    "load_templates",
    "lock_to_events",
    "overlap_table",
    "pearson_r",
    "predict",
    "rank_scores",
    "read_events",
    "read_run",
    "region_means",
    "reliability_table",
    "scale",
    "score_baselines",
    "score_maps",
    "score_run",
    "size_matched_iou",
    "spread_over_participants",
    "summarise_code",
    "tabulate_regions",
    "threshold_curve",
    "transition_counts",
    "transition_graph",
    "transition_means",
    "transition_probabilities",
    "unit_means",
]
