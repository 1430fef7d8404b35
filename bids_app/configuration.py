"""What of the settings changes results, and the rule that one output dataset holds one configuration."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .._version import __version__
from ..errors import InputError, ModelError, UsageError
from ..files import read_json, write_json
from .settings import SURROGATE_TEMPLATES, Settings

__all__ = ["CONFIGURATION_FILE", "check_output", "claim_output", "configuration", "configuration_hash", "file_checksum"]

CONFIGURATION_FILE = Path("logs", "configuration.json")
"""Where an output dataset says how it was made."""


def configuration(settings: Settings) -> dict[str, Any]:
    """Collect what changes results; processors, folders and the choice of runs do not.

    Files (a strategy, templates, a model) count by their content, not by where they are.

    Raises
    ------
    ModelError, UsageError
        If a file that is named in the settings cannot be read.
    """
    training = {
        "Preset": settings.preset,
        "TrainVolumes": settings.train_volumes,
        "Precision": settings.precision,
    }
    usual = settings.surrogate_templates == (SURROGATE_TEMPLATES if settings.surrogates else 0)
    return {
        "Version": ".".join(__version__.split(".")[:2]),
        "Mode": settings.mode,
        **({} if settings.concatenated == "parts" else {"Concatenated": settings.concatenated}),
        "NuisanceRegressors": _by_content(settings.nuisance),
        "DummyScans": settings.dummy_scans,
        "FramewiseDisplacementThreshold": settings.fd_threshold,
        "HighPass": settings.high_pass,
        "LowPass": settings.low_pass,
        "SmoothingFWHM": settings.smoothing_fwhm,
        **({} if settings.repetition_time is None else {"RepetitionTime": settings.repetition_time}),
        "Model": None if settings.model is None else model_checksum(settings.model),
        **(training if settings.model is None else {}),
        "Seed": settings.seed,
        "Templates": _by_content(settings.templates),
        "TemplateLabels": None if settings.template_labels is None else file_checksum(settings.template_labels),
        **({} if settings.template_kind == "auto" else {"TemplateKind": settings.template_kind}),
        "Baselines": list(settings.baselines),
        "Surrogates": settings.surrogates,
        **({} if usual else {"SurrogateTemplates": settings.surrogate_templates}),
        **({"CrossFit": settings.cross_fit} if settings.cross_fit else {}),
        "Atlas": None if settings.atlas is None else _by_content(settings.atlas),
        "AtlasLabels": None if settings.atlas_labels is None else file_checksum(settings.atlas_labels),
        **({} if settings.atlas_kind == "auto" else {"AtlasKind": settings.atlas_kind}),
    }


def configuration_hash(content: Mapping[str, Any]) -> str:
    """Give the first 12 digits of a configuration's SHA-256.

    >>> configuration_hash({"Seed": 0, "Mode": "paper"}) == configuration_hash({"Mode": "paper", "Seed": 0})
    True
    """
    return hashlib.sha256(json.dumps(dict(content), sort_keys=True).encode()).hexdigest()[:12]


def check_output(output_dir: Path, content: Mapping[str, Any]) -> None:
    """Refuse to mix two configurations in one output dataset.

    Raises
    ------
    UsageError
        If results of another configuration are there; the message names the settings that differ.
    """
    try:
        earlier = read_json(output_dir / CONFIGURATION_FILE)
    except InputError:
        return
    differences = [name for name in {**earlier, **content} if earlier.get(name) != content.get(name)]
    if differences and _has_results(output_dir):
        changes = "; ".join(f"{name}: {earlier.get(name)} there, {content.get(name)} now" for name in differences)
        raise UsageError(
            f"{output_dir}: holds results of another configuration ({changes}); "
            "choose another output_dir, or the same settings."
        )


def claim_output(output_dir: Path, content: Mapping[str, Any]) -> None:
    """Note in an output dataset which configuration it holds; one under which nothing was computed is replaced.

    Raises
    ------
    UsageError
        As `check_output`.
    """
    check_output(output_dir, content)
    write_json(content, output_dir / CONFIGURATION_FILE)


def _has_results(output_dir: Path) -> bool:
    return any(output_dir.glob("models/*/card.json")) or any(output_dir.glob("sub-*/**/func/*_desc-*"))


def model_checksum(folder: Path) -> str:
    """Give the checksum of a model's weights as its card has it, which loading the model verifies.

    Raises
    ------
    ModelError
        If there is no readable card with a checksum.
    """
    try:
        return str(read_json(folder / "card.json")["WeightsSHA256"])
    except InputError as error:
        raise ModelError(f"{folder}: is not a model folder ({error})") from error
    except KeyError:
        raise ModelError(f"{folder}: its card has no WeightsSHA256; take an undamaged copy of the model.") from None


def file_checksum(path: Path) -> str:
    """Give a file's name and the first 12 digits of its SHA-256.

    Raises
    ------
    UsageError
        If the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            return f"{path.name} sha256:{hashlib.file_digest(file, 'sha256').hexdigest()[:12]}"
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror}).") from error


def _by_content(name_or_file: str) -> str:
    path = Path(name_or_file)
    return file_checksum(path) if path.is_absolute() else name_or_file
