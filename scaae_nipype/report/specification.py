"""What the participant report shows, as data: sections, figures, tables, sentences, captions.

Each item names the files it needs (meanings in the registry of names). Where one is missing the report says so.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure

from ..derivatives.reading import Run
from . import null_views, state_views, views
from .page import Table

__all__ = ["HOW_TO_READ", "RUN_SECTIONS", "FigureItem", "RunSection", "SentenceItem", "TableItem"]


@dataclass(frozen=True)
class FigureItem:
    """A figure of a run: `draw` makes it, `caption` and `alt` describe it."""

    key: str
    title: str
    draw: Callable[[Run], Figure]
    needs: Sequence[str]
    caption: str
    alt: str
    vector: bool = True


@dataclass(frozen=True)
class TableItem:
    """A table of a run."""

    make: Callable[[Run], Table]
    needs: Sequence[str] = ()


@dataclass(frozen=True)
class SentenceItem:
    """Sentences that a run's numbers give."""

    write: Callable[[Run], Sequence[str]]
    needs: Sequence[str] = ()
    as_list: bool = False


@dataclass(frozen=True)
class RunSection:
    """A section of a run; an optional one is shown where the last file that any of its items needs is there."""

    key: str
    title: str
    items: Sequence[FigureItem | TableItem | SentenceItem]
    optional: bool = False


HOW_TO_READ = (
    "A functional brain network (FBN) is one map per fMRI volume and attention branch, scaled to 0–1 within the run's "
    "evaluation region and squared (equation 9 of the SCAAE paper). It is drawn, and counted as overlap, where it "
    "exceeds 0.3. That threshold is the paper's and is never tuned.",
    "Scores called best are the highest of all volumes of the run, so they grow with the number of volumes, for noise "
    "as well. Compare best-of-20 (the expected highest of 20 volumes drawn at random) or the mean over volumes.",
    "IoU at 0.3 is bounded by size: a map that marks 36 % of the brain cannot exceed an IoU of 0.14 with a template of "
    "5 %. Average precision (AP) and size-matched IoU do not depend on scaling or threshold: these two decide.",
    "Look at the volume itself first. It stands beside the network in every comparison because a map has to beat "
    "it to be worth its training, and so it has to beat the filters and decompositions below it: a volume that was "
    "smoothed, rectified and squared often matches the templates as well.",
    "A high overlap of consecutive volumes is mostly the slow spectrum of fMRI, not a property of the network: "
    "band-passed noise does it too. Read it against the dotted chance level and the volume's own curve, and never "
    "across runs of different repetition times.",
    "Overlap with a template is not proof of a network: any smooth map overlaps something. The section Null models, "
    "where there is one, holds matches against equally smooth templates that lie elsewhere.",
)
"""What a reader must know; each point is one of the ways in which the numbers mislead."""

_PAIR = ("fbn1", "fbn2", "region", "samples")

RUN_SECTIONS = (
    RunSection(
        "networks",
        "Networks of single volumes",
        (
            SentenceItem(views.branch_sentences, ("fbn1", "fbn2")),
            FigureItem(
                "mosaic",
                "FBNs of volumes spread over the run",
                views.spread_mosaic,
                _PAIR,
                "Axial slices of both branches over the MNI152 template; left is left. Shown where the FBN exceeds "
                "0.3, on one colour scale for all volumes. Volumes count from 0; time counts from the start of the "
                "file.",
                "Axial brain slices with the functional brain networks of both branches at volumes spread over the "
                "run.",
                vector=False,
            ),
            FigureItem(
                "best",
                "Volumes that match a template best",
                views.best_mosaic,
                (*_PAIR, "overlap"),
                "The volumes with the highest average precision (AP) of the whole run, for the templates that are "
                "matched best. The highest of many: some volume matches every template to some degree.",
                "Axial brain slices of the volumes whose networks match a template best, one line per template.",
                vector=False,
            ),
            FigureItem(
                "density",
                "How much of the brain each branch marks",
                views.density,
                ("fbn1", "fbn2", "region"),
                "Share of the evaluation region above 0.3 in every kept volume. Templates of resting-state networks "
                "usually cover 1 to 14 %.",
                "Line plot of the share of the brain marked by each branch over time.",
            ),
        ),
    ),
    RunSection(
        "templates",
        "Overlap with known networks",
        (
            SentenceItem(views.template_sentences, ("overlap",)),
            SentenceItem(views.overlap_sentences, ("overlap",)),
            FigureItem(
                "scores",
                "Scores per template, network and volume",
                views.overlap_scores,
                ("overlap",),
                "Filled: best of 20 volumes; hollow: mean over volumes. Ordered by the network's AP. Dotted black: "
                "what a map unrelated to the template scores. IoU at 0.3 is bounded by the sizes of map and template.",
                "Dot plot of IoU, size-matched IoU and average precision with every template for both branches and for "
                "the volume itself; the same numbers stand in the table below.",
            ),
            FigureItem(
                "iou",
                "IoU with every template over time",
                views.template_iou,
                ("templateiou",),
                "Both branches on one colour scale; dropped volumes are light grey. A bright row says that the "
                "template is matched at all times; a bright column that one volume matches many templates.",
                "Heat maps of the overlap of every volume's networks with every template, templates against time.",
            ),
            FigureItem(
                "thresholds",
                "How IoU hangs on the threshold",
                views.threshold_curves,
                ("thresholdcurve",),
                "Every score of IoU in this report is taken at the dotted line. Where curves cross, which method is "
                "better by IoU is a matter of the threshold: average precision and size-matched IoU have none. Right: "
                "how much a map marks.",
                "Line plots of the mean overlap with templates, and of the share of the brain marked, against the "
                "threshold, for both branches and for the volume itself.",
            ),
            TableItem(views.overlap_table, ("overlap",)),
        ),
    ),
    RunSection(
        "baselines",
        "Beside what needs no trained network",
        (
            SentenceItem(state_views.compare_sentences, ("overlap", "baselines")),
            FigureItem(
                "comparison",
                "Every method with every template (the paper's Figure 5)",
                state_views.compare_figure,
                ("overlap", "baselines"),
                "Expected best of 20 candidates; brighter is better, the best method of a line is framed. Left of the "
                "white line: the network. smoothed²: the volume smoothed with a Gaussian (σ in mm), rectified and "
                "squared. Denoised: projected on the run's components. ICA, dictionary, window ICA, encoder + LASSO: "
                "components of the run, no volumes. Context: the model's linear part alone. Untrained: the same "
                "network before training.",
                "Heat map of average precision and size-matched IoU, templates against methods, with the numbers.",
            ),
            TableItem(state_views.compare_table, ("overlap", "baselines")),
        ),
        optional=True,
    ),
    RunSection(
        "gradual",
        "Gradual change",
        (
            SentenceItem(views.gradual_sentences, ("gradualchange",)),
            FigureItem(
                "lags",
                "Overlap of two volumes against the time between them",
                views.gradual_change,
                ("gradualchange",),
                "Dotted: overlap of unrelated maps of the same density p, p / (2 − p). Pairs across a dropped volume "
                "do not count. Where the network's curve follows the volume's, gradual change is the data's, not the "
                "network's.",
                "Line plot of the mean overlap of two volumes against their lag in seconds, with chance levels.",
            ),
        ),
    ),
    RunSection(
        "states",
        "States",
        (
            SentenceItem(state_views.state_sentences, ("statemetrics",), as_list=True),
            FigureItem(
                "sequence",
                "State of every volume",
                state_views.sequence,
                ("states", "statemetrics"),
                "Grey: volumes that were left out; nothing is counted across them. White: unassigned. Only states that "
                "appear are drawn.",
                "Timeline of the state of every volume, for both branches and for the volume itself.",
            ),
            FigureItem(
                "transitions",
                "Transitions between states (the paper's Figure 6)",
                state_views.graphs,
                ("statemetrics", "transitions"),
                "Width of an arrow: how often the state at its end follows the one at its start, on one scale for all "
                "graphs. Size of a circle, and the number: share of the kept volumes. Counted from one volume to the "
                "next, both kept and assigned; staying is not drawn.",
                "Graphs of the transitions between states; the same numbers are in the table of transitions.",
            ),
            TableItem(state_views.state_table, ("statemetrics",)),
            FigureItem(
                "statemaps",
                "Mean network of each state",
                state_views.state_mosaic,
                ("statemetrics", "fbn1states", "fbn2states"),
                "Mean of the signed maps (before equation 9) of the volumes in each state, in standard deviations of "
                "the map; the 15 % of the voxels furthest from its mean are shown. Volumes were chosen by the "
                "template, so some likeness to it is certain.",
                "Axial brain slices of the mean network of each state, one line per state, the branches side by side.",
                vector=False,
            ),
        ),
    ),
    RunSection(
        "nulls",
        "Null models",
        (
            SentenceItem(null_views.match_sentences, ("matches",), as_list=True),
            TableItem(null_views.match_table, ("matches",)),
            SentenceItem(null_views.dynamics_sentences, ("dynamicsnull",), as_list=True),
            TableItem(null_views.dynamics_table, ("dynamicsnull",)),
            TableItem(null_views.lag_table, ("dynamicsnull",)),
        ),
        optional=True,
    ),
    RunSection(
        "events",
        "States and task",
        (
            SentenceItem(state_views.event_sentences, ("events",), as_list=True),
            FigureItem(
                "locking",
                "How scores and states follow each condition",
                state_views.event_figure,
                ("events",),
                "Correlation with the events convolved with the canonical haemodynamic response. Dots: corrected "
                "p ≤ 0.05. Grey: the state never appears.",
                "Heat maps of the correlation of scores and states with every condition, for both branches and for "
                "the volume itself.",
            ),
            TableItem(state_views.event_table, ("events",)),
        ),
        optional=True,
    ),
    RunSection(
        "regions",
        "Regions of the atlas",
        (
            SentenceItem(views.region_sentences, ("fbn1regions",)),
            FigureItem(
                "courses",
                "Mean network value of every region over time",
                state_views.region_courses,
                ("fbn1regions", "fbn2regions"),
                "Both branches on one colour scale; dropped volumes are light grey. The numbers are in the tables "
                "desc-regionsfbn1 and desc-regionsfbn2.",
                "Heat maps of the mean network value of every atlas region over time, regions against time.",
            ),
        ),
        optional=True,
    ),
    RunSection(
        "channels",
        "Channel attention and code",
        (
            SentenceItem(views.channel_sentences, ("channelweights",)),
            FigureItem(
                "weights",
                "Channel weights over time",
                views.channel_weights,
                ("channelweights",),
                "Left: the colours span only the range that occurs. Right: mean and range of each channel on the whole "
                "scale from 0 to 1, which shows how much, or how little, is selected.",
                "Heat map of the weight of every channel over time, and the range of each channel on the scale 0 to 1.",
            ),
            FigureItem(
                "code",
                "The network's code over time",
                views.code,
                ("code",),
                "Every number of the code, centred and scaled by its SD over the run.",
                "Heat map of the numbers of the network's code over time.",
            ),
        ),
    ),
    RunSection(
        "data",
        "What was done to the data",
        (
            SentenceItem(views.warnings, as_list=True),
            FigureItem(
                "motion",
                "Motion and dropped volumes",
                views.motion,
                ("samples",),
                "Framewise displacement as the confounds give it. Dropped volumes are zero in the images and n/a in "
                "the tables.",
                "Line plot of framewise displacement over time with the dropped volumes shaded.",
            ),
            FigureItem(
                "region",
                "Evaluation region",
                views.region,
                ("region",),
                "All scores are computed inside this outline: the model's mask where the run has data.",
                "Outline of the evaluation region on axial slices of the MNI152 template.",
                vector=False,
            ),
            TableItem(views.settings_table),
        ),
    ),
)
"""Sections of every run, in the order of the page."""
