"""What a job checks before it starts: its machine, its work folder, and what would stop every run."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Literal

from ...errors import ModelError, ScaaeError, UsageError
from ...words import did_you_mean, plural
from ..engine.plugin_file import read_plugin_file
from ..engine.plugins import check_plugin_file
from ..engine.trust import refuse_others
from ..settings.console import Console
from ..settings.settings import Settings
from .model_store import check_model

__all__ = [
    "check_before_start",
    "check_cuda",
    "check_machine",
    "check_models_there",
    "make_work_dir",
    "remove_if_empty",
]


def check_machine(settings: Settings) -> None:
    """Refuse a plugin file or a device that cannot be used.

    Raises
    ------
    UsageError
    """
    if settings.plugin_file is not None:
        check_plugin_file(settings.plugin_file)
    if not settings.reports_only:
        check_cuda(settings)


def check_cuda(settings: Settings) -> None:
    """See that the CUDA device that was asked for is there; where steps run on other machines, it may be on those.

    Raises
    ------
    UsageError
        If it is not.
    """
    device = settings.training.device
    if not device.startswith("cuda"):
        return
    if settings.plugin_file is not None and not read_plugin_file(settings.plugin_file).is_local:
        return
    import torch

    there = torch.cuda.device_count()
    if int(device.partition(":")[2] or 0) >= there:  # torch.device would take cuda:256 for cuda:0
        found = f"{there or 'no'} {plural(there, 'CUDA device')}"
        raise UsageError(f"`device` {device}: PyTorch finds {found} on this machine; give cpu or auto.")


def check_before_start(settings: Settings, console: Console) -> None:
    """Find out early what would stop every run: templates, preset, the model that was given.

    Raises
    ------
    ScaaeError
    """
    if settings.fetch_templates and not settings.dry_run:
        from ...evaluation.templates.smith2009 import fetch_smith2009

        fetch_smith2009()
    if settings.model is not None:
        check_model(settings.model)  # before the templates, which its mask is read for
    wanted = settings.evaluation
    if settings.dry_run or wanted.templates != "default" or wanted.template_labels is not None:
        _check_templates(settings, "template", console)
    if wanted.atlas is not None:
        _check_templates(settings, "atlas", console)


def check_models_there(folders: Iterable[Path]) -> None:
    """Load models of the output dataset once, where all is to be verified.

    Raises
    ------
    ModelError
    """
    for folder in folders:
        try:
            check_model(folder)
        except ModelError as error:
            raise ModelError(f"{error} Give --retrain to replace it.") from error


def _check_templates(settings: Settings, what: Literal["template", "atlas"], console: Console) -> None:
    """Say what is taken as templates, or as atlas, and of which kind; refuse what is neither."""
    from ...evaluation import load_templates
    from ...evaluation.templates.template_account import template_lines
    from ...grid import load_grid

    wanted = settings.evaluation
    image, labels, kind = wanted.templates, wanted.template_labels, wanted.template_kind
    if what == "atlas":
        image, labels, kind = wanted.atlas or "default", wanted.atlas_labels, wanted.atlas_kind
    mask = None if settings.model is None else settings.model / "mask.nii.gz"
    try:
        grid = load_grid(mask if mask is not None and mask.is_file() else None)
        found = load_templates(image, grid=grid, labels=labels, kind=kind, what=what)
    except ScaaeError as error:
        names = ("default", "smith2009")
        # Of what is not there, `load_templates` has named the nearest already.
        near = did_you_mean(image, names) if image not in names and Path(image).exists() else ""
        raise type(error)(
            f"`{'templates' if what == 'template' else 'atlas'}`: {str(error).rstrip('.') + near if near else error}"
        ) from error
    console.say("\n".join(template_lines(found, what=what)))


def make_work_dir(settings: Settings) -> list[Path]:
    """Make the work folder, private to its owner: it holds files that are unpickled.

    Returns
    -------
    list of Path
        The folders that were not there before, the innermost first.

    Raises
    ------
    UsageError
        If it cannot be made, or somebody else could have put files into it.
    """
    folder = settings.work_dir
    made = [place for place in (folder / "caches", folder, *folder.parents) if not os.path.lexists(place)]
    try:
        if os.path.lexists(folder):
            refuse_others(folder)
            if settings.clean_work_dir:
                shutil.rmtree(folder)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        refuse_others(folder)
        folder.chmod(0o700)
        (folder / "caches").mkdir(exist_ok=True)
    except UsageError as error:
        raise UsageError(f"{error} Or choose another --work-dir.") from error
    except OSError as error:
        raise UsageError(
            f"{folder}: cannot be used as work folder ({error.strerror}); choose another --work-dir."
        ) from error
    return made


def remove_if_empty(made: Iterable[Path]) -> None:
    """Remove folders that a refused call has made, as far as nobody has put anything there since."""
    with suppress(OSError):
        for folder in made:
            folder.rmdir()
