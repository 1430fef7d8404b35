"""The file that says with which Nipype plugin steps run: read and checked before anything does."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ...errors import UsageError
from ...opening import parse_json
from ...words import did_you_mean, one_line, shown
from ..user_text import load_yaml, read_user_file

__all__ = ["BATCH", "LOCAL", "PACKAGES", "PluginFile", "read_plugin_file"]

BATCH = MappingProxyType(
    {
        "SLURM": ("sbatch", "squeue"),
        "PBS": ("qsub", "qstat"),
        "SGE": ("qsub", "qstat"),
        "LSF": ("bsub", "bjobs"),
        "OAR": ("oarsub", "oarstat"),
        "Condor": ("condor_qsub", "condor_q"),
    }
)
"""Plugins that hand nodes to a batch system, and by which of its programs."""

PACKAGES = MappingProxyType({"IPython": ("IPython", "ipyparallel")})
"""Plugins that need Python packages which do not come with this one."""

LOCAL = ("Linear", "MultiProc", "LegacyMultiProc")
"""Plugins that run nodes on this machine. The last is run as the second: Nipype's waits for dead workers for ever."""

_WANTED = "must hold `plugin: NAME`, perhaps `plugin_args:`"

_SCHEDULERS = ("tsort", "mem_thread")

_NUMBERS = {"n_procs": int, "memory_gb": float, "maxtasksperchild": int, "max_jobs": int}
_TEXTS = ("sbatch_args", "qsub_args", "bsub_args", "oarsub_args", "template", "jobid_re")
_SWITCHES = ("raise_insufficient", "non_daemon", "dont_resubmit_completed_jobs")


@dataclass(frozen=True)
class PluginFile:
    """A Nipype plugin and its arguments."""

    name: str  # such as SLURM
    arguments: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_local(self) -> bool:
        """Whether steps run on this machine."""
        return self.name in LOCAL


def read_plugin_file(path: Path) -> PluginFile:
    """Read ``plugin: NAME``, perhaps with ``plugin_args:``, from YAML or JSON.

    Raises
    ------
    UsageError
        If the file says something else, or there is no such plugin.
    """
    try:
        content = _content(path)
        name, arguments = content.get("plugin"), content.get("plugin_args") or {}
        unknown = [str(key) for key in content if key not in ("plugin", "plugin_args")]
        if unknown:
            near = did_you_mean(unknown[0], ("plugin", "plugin_args"))
            raise UsageError(f"{_WANTED}, and nothing like {unknown[0]}{near or '.'}")
        if not isinstance(name, str):
            raise UsageError(f"{_WANTED}.")
        if not isinstance(arguments, dict):
            raise UsageError(f"plugin_args must hold names and values, not {shown(arguments)}.")
        _check_name(name)
        _check_arguments(arguments)
    except UsageError as error:
        raise UsageError(f"--use-plugin {path}: {error}") from error
    return PluginFile(name, arguments)


def _content(path: Path) -> dict[str, Any]:
    import yaml

    text = read_user_file(path)
    try:
        content = parse_json(text) if path.suffix.lower() == ".json" else load_yaml(text, yaml.SafeLoader)
    except ValueError as error:
        kind = "JSON" if path.suffix.lower() == ".json" else "YAML"
        raise UsageError(f"{_WANTED} (it is not valid {kind}: {one_line(error)[:300]}).") from error
    if not isinstance(content, dict):
        raise UsageError(f"{_WANTED}.")
    return content


def _check_name(name: str) -> None:
    waiting = (*LOCAL, *BATCH, *PACKAGES)
    if name not in waiting:
        near = did_you_mean(name, waiting) or "; try SLURM."
        raise UsageError(f"{name} is no Nipype plugin that waits for its jobs{near}")


def _check_arguments(arguments: Mapping[str, Any]) -> None:
    for name, value in arguments.items():
        if name in _NUMBERS:
            number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
            if not number or value <= 0 or (_NUMBERS[name] is int and value != int(value)):
                what = "whole number" if _NUMBERS[name] is int else "number"
                raise UsageError(f"plugin_args: {name} must be a {what} above 0, not {shown(value)}.")
        elif name in _TEXTS and not isinstance(value, str):
            raise UsageError(f"plugin_args: {name} must be text, not {shown(value)}.")
        elif name in _SWITCHES and not isinstance(value, bool):
            raise UsageError(f"plugin_args: {name} must be true or false, not {shown(value)}.")
        elif name == "n_gpu_procs" and (type(value) is not int or value < 0):
            raise UsageError(f"plugin_args: n_gpu_procs must be a whole number, 0 or larger, not {shown(value)}.")
        elif name == "scheduler" and value not in _SCHEDULERS:
            raise UsageError(f"plugin_args: scheduler must be {' or '.join(_SCHEDULERS)}, not {shown(value)}.")
