"""What every setting changes: the maps, what is computed from them, or neither."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

__all__ = ["EFFECTS", "PARTS", "Effect", "keys_of"]

PARTS = ("evaluation", "states", "baselines", "regions", "events", "matches", "dynamics_null")
"""What is computed from maps, each by a step of its own: the values of ``account`` in the registry of outputs."""

_OF_TEMPLATES = ("evaluation", "states", "baselines", "events", "matches", "dynamics_null")


@dataclass(frozen=True)
class Effect:
    """What a setting changes.

    Parameters
    ----------
    on : {"maps", "scores", "neither"}
        Another value refuses an output dataset that holds results (maps), has its scores computed again or added
        (scores), or does not matter to what is there (neither).
    key : str
        What ``logs/configuration.json`` calls it; empty where it is not noted there.
    parts : tuple of str
        Of `PARTS`: what of the scores depends on it.
    absent : object
        What it means that ``logs/configuration.json`` does not have the key.
    """

    on: Literal["maps", "scores", "neither"]
    key: str = ""
    parts: tuple[str, ...] = ()
    absent: Any = None


_NEITHER = Effect("neither")

EFFECTS: Mapping[str, Effect] = MappingProxyType(
    {
        "nuisance": Effect("maps", "NuisanceRegressors"),
        "dummy_scans": Effect("maps", "DummyScans"),
        "fd_threshold": Effect("maps", "FramewiseDisplacementThreshold"),
        "high_pass": Effect("maps", "HighPass"),
        "low_pass": Effect("maps", "LowPass"),
        "smoothing_fwhm": Effect("maps", "SmoothingFWHM"),
        "repetition_time": Effect("maps", "RepetitionTime"),
        "concatenated": Effect("maps", "Concatenated"),
        "mode": Effect("maps", "Mode"),
        "preset": Effect("maps", "Preset"),
        "model": Effect("maps", "Model"),
        "train_volumes": Effect("maps", "TrainVolumes"),
        "precision": Effect("maps", "Precision"),
        "seed": Effect("maps", "Seed"),
        "templates": Effect("scores", "Templates", _OF_TEMPLATES, "default"),
        "template_labels": Effect("scores", "TemplateLabels", _OF_TEMPLATES),
        "template_kind": Effect("scores", "TemplateKind", _OF_TEMPLATES, "auto"),
        "baselines": Effect("scores", "Baselines", ("baselines",), ()),
        "surrogates": Effect("scores", "Surrogates", ("dynamics_null",), 0),
        "surrogate_templates": Effect("scores", "SurrogateTemplates", ("matches", "states", "events"), 0),
        "cross_fit": Effect("scores", "CrossFit", ("dynamics_null",), 0),
        "atlas": Effect("scores", "Atlas", ("regions",)),
        "atlas_labels": Effect("scores", "AtlasLabels", ("regions",)),
        "atlas_kind": Effect("scores", "AtlasKind", ("regions",), "auto"),
        # A further file of the same maps: due where it is missing, never a reason to compute anything else again.
        "signed_maps": _NEITHER,
        # Which model is applied decides, not how it came to be: records know models by their weights.
        "retrain": _NEITHER,
        # Another processor may round otherwise; results made on several may be put together all the same.
        "device": _NEITHER,
        **dict.fromkeys(("bids_dir", "output_dir", "work_dir", "level", "datasets", "database_dir"), _NEITHER),
        **dict.fromkeys(("participants", "sessions", "tasks", "runs", "spaces", "filter_file"), _NEITHER),
        **dict.fromkeys(("nprocs", "omp_nthreads", "train_processes", "memory_gb", "plugin_file"), _NEITHER),
        **dict.fromkeys(("clean_work_dir", "dry_run", "reports_only", "stop_on_first_crash"), _NEITHER),
        **dict.fromkeys(("resource_monitor", "write_graph", "verbosity", "fetch_templates", "group"), _NEITHER),
        **dict.fromkeys(("asked", "left_open", "notes", "boilerplate_only", "given_filters", "reindex"), _NEITHER),
    }
)
"""Setting (field of `Settings`) to what it changes; every setting is here."""


def keys_of(on: str) -> dict[str, Effect]:
    """Give the settings of one kind by their keys in ``logs/configuration.json``.

    >>> "SmoothingFWHM" in keys_of("maps"), "Templates" in keys_of("scores")
    (True, True)
    """
    return {effect.key: effect for effect in EFFECTS.values() if effect.on == on and effect.key}
