"""The Methods text for settings, without computing anything."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ...model.folder import lacking, read_card
from ...workflows import init_networks_wf, init_prepare_run_wf
from ...workflows.model_card import training_sentence
from ..inputs.plan import RunInput
from ..settings.settings import Settings
from .citation import write_methods

__all__ = ["write_boilerplate"]


def write_boilerplate(settings: Settings, runs: Iterable[RunInput], model_dir: Path | None) -> Path:
    """Write the Methods text of what a call would do; give the file.

    What is known of the input decides on some sentences: runs that were denoised before, tasks. Where there is a model
    already, the text tells what it was trained on.
    """
    runs = list(runs)
    card = _planned_card(settings) if model_dir is None else read_card(model_dir)
    kinds = dict.fromkeys(run.denoised for run in runs)
    paragraphs = ["".join(dict.fromkeys(_preparation(settings, denoised=denoised) for denoised in kinds))]
    paragraphs.append(training_sentence(card))
    if settings.level == "participant":
        evaluation = settings.evaluation.of_model(lacking(card))
        with_events = any(run.events is not None for run in runs)
        paragraphs.append(init_networks_wf(evaluation, settings.nulls, with_events=with_events).visit_desc())
    write_methods(settings.output_dir, paragraphs)
    return settings.output_dir / "logs" / "CITATION.md"


def _preparation(settings: Settings, *, denoised: bool) -> str:
    preparation = settings.preparation.of_denoised() if denoised else settings.preparation
    return init_prepare_run_wf(preparation, denoised=denoised).visit_desc()


def _planned_card(settings: Settings) -> Mapping[str, Any]:
    """Say of a model that is yet to be trained what the settings say."""
    from ...model.presets import preset_named

    wanted = settings.training
    card: dict[str, Any] = {"GroupPCA": {}, "Preset": settings.preset, "Mode": wanted.mode, "Seed": wanted.seed}
    if wanted.precision != "auto":
        card["Precision"] = wanted.precision
    if preset_named(wanted.preset).context:
        card["Context"] = {}
    if wanted.time_width:
        card["TimeWidth"] = wanted.time_width
    return card
