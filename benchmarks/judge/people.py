"""The same methods on real people: all splits of six into three and three, one region, chance, intervals over people.

Needs the reference material beside the checkout. Of these people's data the repetition time, the motion and which side
is left are not known; the header says 1 s, and seconds of filters in time count in that.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache, partial
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.judge.chance import kept_ranks, moved_maps
from benchmarks.judge.decompositions import independent_maps
from benchmarks.judge.network import JUDGED, NETWORKS
from benchmarks.judge.report import frame_of
from benchmarks.judge.rivals import CLASSES, RIVALS, Rival, Setting, label_of
from benchmarks.judge.runs import Group, Run
from benchmarks.judge.search import SEARCH
from benchmarks.judge.seeds import TUNING, choose_settings
from benchmarks.planted import grid_of_model
from scaae_nipype.evaluation.scores.overlap import best_of_n, pearson_r, rank_scores
from scaae_nipype.evaluation.templates.loading import load_templates
from scaae_nipype.evaluation.templates.template_set import TemplateSet
from scaae_nipype.files import write_json
from scaae_nipype.grid import Grid
from scaae_nipype.preparation import PreparedRun, prepare_run

__all__ = ["SUMMARIES", "bootstrap", "judge_people", "load_people", "report_people", "splits", "summaries", "table_of"]

SHARED = Path(__file__).resolve().parents[3] / "shared"
TEMPLATES = SHARED / "data" / "templates" / "smith2009_rsn10_2mm.nii.gz"
PEOPLE = ("007", "018", "067", "107", "112", "133")

RESULTS = Path(__file__).parents[1] / "results" / "judge_people.json"
PLANTED = RESULTS.with_name("judge.json")
CACHE = RESULTS.with_name("judge")

WHOLE_RUN = Rival(
    "independent components themselves, no volumes",
    "run",
    lambda: lambda run: independent_maps(run.alone, sigma=4.0, count=20),
)
"""Twenty maps of the whole run: what a decomposition finds, which gives no map of a moment."""

SETS_PER_PERSON = 4
"""Sets of surrogate templates that each person's maps are held against; every person has others."""

SUMMARIES = ("best_of_20_average_precision", "mean_average_precision", "mean_size_matched_iou", "best_of_20_r")

REPLICATES = 4000


@cache
def load_people() -> Mapping[str, Run]:
    """Prepare the six people's runs; all lie on one region, which every one of them covers.

    Raises
    ------
    FileNotFoundError
        Where the reference material is not beside the checkout.
    """
    source = SHARED / "tools" / "make_real_dataset.py"
    if not source.exists():
        raise FileNotFoundError(f"The real data is not at {SHARED}; this benchmark needs the reference material.")
    grid = grid_of_model()
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, str(source), folder], check=True, stdout=subprocess.DEVNULL)
        runs = {label: _prepared(Path(folder), label, grid) for label in PEOPLE}
        region = np.logical_and.reduce([run.region for run in runs.values()])
        inside = Grid(grid.affine, grid.volumes(region))
        return {
            label: Run(np.asarray(run.data)[run.kept][:, region], inside, run.repetition_time)
            for label, run in runs.items()
        }


def _prepared(folder: Path, label: str, grid: Grid) -> PreparedRun:
    stem = folder / f"sub-{label}" / "func" / f"sub-{label}_task-rest"
    space = f"{stem}_space-MNI152NLin6Asym_desc"
    return prepare_run(
        f"{space}-preproc_bold.nii.gz",
        grid=grid,
        mask=f"{space}-brain_mask.nii.gz",
        confounds=f"{stem}_desc-confounds_timeseries.tsv",
    )


def splits(people: Sequence[str] = PEOPLE) -> list[tuple[tuple[str, ...], tuple[str, ...]]]:
    """Give every choice of half of the people to fit to, and the others, who are scored; each with its reverse.

    >>> len(splits()), splits("abcd")[:2]
    (20, [(('a', 'b'), ('c', 'd')), (('c', 'd'), ('a', 'b'))])
    """
    halves = [fitted for fitted in combinations(people, len(people) // 2) if people[0] in fitted]
    pairs = [(fitted, tuple(one for one in people if one not in fitted)) for fitted in halves]
    return [half for pair in pairs for half in (pair, pair[::-1])]


def summaries(
    maps: np.ndarray, templates: np.ndarray, moved: Sequence[np.ndarray], binary: np.ndarray
) -> dict[str, Any]:
    """Score one method's maps of one person with templates, and with sets of surrogates of them.

    Branch and sign are the best for all templates together, in the expected best AP of 20 volumes: chosen for the
    templates and again for each set of surrogates.

    Parameters
    ----------
    maps : float array, (n_volumes, n_voxels) or (n_branches, n_volumes, n_voxels)
        Maps of one branch are offered in both signs; branches as they are.
    templates : float array, (n_templates, n_voxels)
    moved : sequence of float array, (n_templates, n_voxels)
        Surrogates of the templates' values.
    binary : bool array, (n_templates, n_voxels)
        The templates' voxels; surrogates have theirs where they are highest, as many.

    Returns
    -------
    dict
        Summary to values per template; ``chance`` the same, mean over surrogates.
    """
    sizes = binary.sum(axis=1)
    sets = [(templates, binary)]
    for values in moved:
        cut = np.stack([np.sort(row)[-size] for row, size in zip(values, sizes, strict=True)])
        sets.append((values, values >= cut[:, None]))
    members = np.concatenate([one for _, one in sets])
    continuous = np.concatenate([one for one, _ in sets])
    candidates = np.stack([maps, -maps]) if maps.ndim == 2 else maps
    found: dict[str, list[np.ndarray]] = {name: [] for name in SUMMARIES}
    for signed in candidates:
        precision, matched = rank_scores(signed, members)
        r = np.nan_to_num(pearson_r(signed, continuous))
        values = (best_of_n(precision), precision.mean(axis=0), matched.mean(axis=0), best_of_n(r))
        for name, value in zip(SUMMARIES, values, strict=True):
            found[name].append(value.reshape(len(sets), -1))
    stacked = {name: np.stack(values) for name, values in found.items()}  # candidates, sets, templates
    best = stacked[SUMMARIES[0]].mean(axis=2).argmax(axis=0)
    chosen = {name: values[best, np.arange(len(sets))] for name, values in stacked.items()}
    result = {name: values[0].round(5).tolist() for name, values in chosen.items()}
    return result | {"chance": {name: values[1:].mean(axis=0).round(5).tolist() for name, values in chosen.items()}}


def settings_for_people(
    known: Mapping[str, Mapping[str, Any]], rivals: Sequence[Rival]
) -> Iterator[tuple[Rival, Setting]]:
    """Give rivals with the settings that tuning seeds of planted data chose for AP; filters with all widths."""
    frame = frame_of(known)
    frame = frame[frame["seed"].isin(TUNING)] if not frame.empty else frame
    for rival in rivals:
        chosen = set()
        if not frame.empty:
            for _, part in frame[frame["others"] == (3 if rival.needs_others else 0)].groupby("plant"):
                chosen.add(choose_settings(part, "average_precision").get(rival.name))
        for setting in rival.settings:
            if label_of(setting) in chosen or rival.name.startswith(("volume", "smoothed")) or len(rival.settings) == 1:
                yield rival, setting


def judge_people(*, networks: Sequence[Rival], search: bool = False, n_splits: int | None = None) -> None:
    """Add to the results what they lack: methods of one run once a person, the others once a split and person.

    Parameters
    ----------
    networks : sequence of Rival
        The product's, or none.
    search : bool
        Whether the network of the search is judged, too.
    n_splits : int, optional
        Only the first so many of the ten splits, both ways round.
    """
    people = load_people()
    region = next(iter(people.values())).grid
    templates = load_templates(TEMPLATES, grid=grid_of_model())
    inside = templates.inside(region)
    known: dict[str, dict[str, Any]] = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    planted = json.loads(PLANTED.read_text()) if PLANTED.exists() else {}
    wanted = list(settings_for_people(planted, (*RIVALS, WHOLE_RUN, *(SEARCH if search else ()))))
    alone = [(rival, setting) for rival, setting in wanted if not rival.needs_others]
    shared = [(rival, setting) for rival, setting in wanted if rival.needs_others]
    shared += [(one, setting) for one in networks if one.needs_others for setting in one.settings]
    for label in people:
        _add(known, f"- > {label}", alone, None, people[label], inside, templates, region)
    for fitted, scored in splits(tuple(people))[: None if n_splits is None else 2 * n_splits]:
        group = Group([people[label] for label in fitted])
        for label in scored:
            _add(known, f"{'+'.join(fitted)} > {label}", shared, group, people[label], inside, templates, region)


def _add(
    known: dict[str, dict[str, Any]],
    key: str,
    wanted: Sequence[tuple[Rival, Setting]],
    group: Group | None,
    run: Run,
    inside: TemplateSet,
    templates: TemplateSet,
    region: Grid,
) -> None:
    missing = [(r, s) for r, s in wanted if f"{r.name} | {label_of(s)}" not in known.get(key, {})]
    if not missing:
        return
    started = time.monotonic()
    moved = _moved_templates(inside, templates, region, PEOPLE.index(key.split(" > ")[1]))
    scores = {}
    for rival, setting in missing:
        maps = rival.fit(group, **setting)(run)
        scores[f"{rival.name} | {label_of(setting)}"] = summaries(maps, inside.values, moved, inside.binary)
    known.setdefault(key, {}).update(scores)
    write_json(known, RESULTS)
    print(f"{key}: {len(missing)} methods, {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)


def _moved_templates(inside: TemplateSet, templates: TemplateSet, region: Grid, person: int) -> list[np.ndarray]:
    """Give one person's sets of surrogate templates, cut to the region as the templates are."""
    path = CACHE / "surrogates templates.npy"
    ranks = kept_ranks(templates.values, templates.grid, n_surrogates=SETS_PER_PERSON * len(PEOPLE), path=path)
    own = ranks[person * SETS_PER_PERSON : (person + 1) * SETS_PER_PERSON]
    cut = templates.grid.vectors(region.mask)
    return [moved_maps(one[:, cut], inside.values) for one in own]


def table_of(known: Mapping[str, Mapping[str, Any]], summary: str) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Give, per method, scores and chance: (n_people, n_templates) each, mean over the splits that scored a person.

    Splits in which a method is missing that others have are left out: all methods are compared on the same ones.
    """
    known = _complete(known)
    found: dict[str, dict[str, list[tuple[list[float], list[float]]]]] = {}
    for key, methods in known.items():
        label = key.split(" > ")[1]
        for method, values in methods.items():
            pair = values[summary], values["chance"][summary]
            found.setdefault(method, {}).setdefault(label, []).append(pair)
    result = {}
    for method, own in found.items():
        if len(own) == len(PEOPLE):
            mean = np.array([np.mean(own[label], axis=0) for label in sorted(own)])  # (n_people, 2, n_templates)
            result[method] = mean[:, 0], mean[:, 1]
    return result


def _complete(known: Mapping[str, Mapping[str, Any]]) -> Mapping[str, Mapping[str, Any]]:
    split_methods = {method for key, methods in known.items() if not key.startswith("- >") for method in methods}
    return {key: methods for key, methods in known.items() if key.startswith("- >") or split_methods <= set(methods)}


def bootstrap(values: np.ndarray, *, replicates: int = REPLICATES, seed: int = 0) -> tuple[float, float, float]:
    """Give the mean over people and templates with its 95 % interval: people are drawn anew, then templates.

    Parameters
    ----------
    values : float array, (n_people, n_templates)

    >>> bootstrap(np.full((3, 4), 0.5))
    (0.5, 0.5, 0.5)
    """
    rng = np.random.default_rng(seed)
    n_people, n_templates = values.shape
    people = rng.integers(n_people, size=(replicates, n_people))
    templates = rng.integers(n_templates, size=(replicates, n_templates))
    drawn = values[people].mean(axis=1)  # (replicates, n_templates)
    means = np.take_along_axis(drawn, templates, axis=1).mean(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    return float(values.mean()), float(low), float(high)


def report_people(known: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Give the lines of the people's tables: every method of every class, and the network less each of them."""
    tables = {summary: table_of(known, summary) for summary in SUMMARIES}
    first = tables[SUMMARIES[0]]
    if not first:
        yield "No person was judged yet."
        return
    n_splits = sum(not key.startswith("- >") for key in _complete(known)) // len(PEOPLE)
    yield f"Six people, ten templates, {n_splits} of the ten splits, both ways round. First table of a class: score /"
    yield "by chance / above chance. Then: a network less each method, above chance, with the 95 % interval of a"
    yield "bootstrap over people, then templates. There is no bound: what is planted in people is not known.\n"
    sees_of = {rival.name: rival.sees for rival in (*RIVALS, WHOLE_RUN, *SEARCH, *NETWORKS)}
    heads = [name.replace("_", " ").replace("average precision", "AP").replace("iou", "IoU") for name in SUMMARIES]
    ours = [method for method in first if method.partition(" | ")[0] in JUDGED]
    for sees, title in CLASSES.items():
        methods = [method for method in first if sees_of[method.partition(" | ")[0]] == sees]
        methods.sort(key=lambda one: -float(np.subtract(*first[one]).mean()))
        contents: list[tuple[str, Callable[[Table, str], str]]] = [("", _levels)]
        contents += [(f", {name.partition(' | ')[0]} less each", partial(_differences, network=name)) for name in ours]
        for content, cells_of in contents:
            yield f"### {title}{content}\n"
            yield f"| method | {' | '.join(heads)} |"
            yield "| --- |" + " --- |" * len(heads)
            for method in methods:
                family, _, setting = method.partition(" | ")
                cells = [cells_of(tables[summary], method) for summary in SUMMARIES]
                yield f"| {family}{f' ({setting})' if setting else ''} | {' | '.join(cells)} |"
            yield ""


Table = Mapping[str, tuple[np.ndarray, np.ndarray]]


def _levels(table: Table, method: str) -> str:
    score, chance = table[method]
    return f"{score.mean():.3f} / {chance.mean():.3f} / {(score - chance).mean():.3f}"


def _differences(table: Table, method: str, *, network: str) -> str:
    if network not in table or method == network:
        return "–"
    mean, low, high = bootstrap(np.subtract(*table[network]) - np.subtract(*table[method]))
    return f"{mean:+.3f} [{low:+.3f}, {high:+.3f}]"
