"""How well maps agree with templates and with each other, beside what needs no network: arrays and files, no model."""

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
from .run import RunMaps, gradual_change_run, overlap_table, read_run, score_maps, score_run
from .templates import TemplateSet, coverage, find_smith2009, load_templates

__all__ = [
    "THRESHOLD",
    "RunMaps",
    "TemplateSet",
    "average_precision",
    "best_of_n",
    "binarise",
    "chance_iou",
    "coverage",
    "dice",
    "find_smith2009",
    "gradual_change_run",
    "iou",
    "lag_curve",
    "lagged_iou",
    "load_templates",
    "overlap_table",
    "pearson_r",
    "rank_scores",
    "read_run",
    "scale",
    "score_maps",
    "score_run",
    "size_matched_iou",
    "threshold_curve",
]
