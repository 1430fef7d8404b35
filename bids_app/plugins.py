"""Which of Nipype's plugins runs the nodes; one that cannot is refused in one line before anything runs."""

from __future__ import annotations

import difflib
import getpass
import importlib.util
import math
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from nipype.pipeline import plugins
from nipype.pipeline.plugins import LinearPlugin
from nipype.pipeline.plugins.base import PluginBase

from ..errors import UsageError
from .workers import WatchfulMultiProcPlugin

__all__ = ["check_plugin_file", "choose_plugin"]

_COMMANDS = MappingProxyType(
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

_MODULES = MappingProxyType({"IPython": ("IPython", "ipyparallel")})
"""Plugins that need Python packages which do not come with this one."""

_HERE = ("Linear", "MultiProc", "LegacyMultiProc")
"""Plugins that run nodes on this machine. The last is run as the second: Nipype's waits for dead workers for ever."""


def choose_plugin(
    plugin_file: Path | None, *, nprocs: int, memory_gb: float, arguments: Mapping[str, Any]
) -> PluginBase:
    """Make the plugin that a file asks for; without one nodes run in this process, or in `nprocs` workers.

    Parameters
    ----------
    plugin_file : Path or None
        YAML or JSON: ``plugin``, perhaps ``plugin_args``.
    nprocs : int
    memory_gb : float
        What nodes that run at the same time may declare, where the file says nothing else.
    arguments : mapping
        Plugin arguments of ours: ``status_callback``, ``log_file``, ``echo``.

    Raises
    ------
    UsageError
        If the file is wrong, or the plugin cannot run here.
    """
    given: dict[str, Any] = {}
    if plugin_file is None:
        name = "Linear" if nprocs == 1 else "MultiProc"
    else:
        name, given = check_plugin_file(plugin_file)
    if name == "Linear":
        return LinearPlugin(plugin_args={**given, **arguments})
    if name in _HERE:
        limits = {"n_procs": nprocs, "memory_gb": memory_gb, "raise_insufficient": False}
        kept = {option: value for option, value in given.items() if option != "mp_context"}  # workers are ours
        return WatchfulMultiProcPlugin(plugin_args={**limits, **kept, **arguments})
    if name in _COMMANDS:
        _name_user()
    try:
        return getattr(plugins, f"{name}Plugin")(plugin_args={**given, **arguments})
    except Exception as error:  # plugins look at their arguments in ways of their own
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UsageError(f"--use-plugin {plugin_file}: {name} cannot be started like this ({reason}).") from error


def check_plugin_file(path: Path) -> tuple[str, dict[str, Any]]:
    """Read a plugin file; see that the plugin exists, waits for its jobs, and finds here what it needs.

    Returns
    -------
    name : str
    plugin_args : dict

    Raises
    ------
    UsageError
    """
    name, given = _read(path)
    try:
        _check_limits(given)
        _check_there(name)
    except UsageError as error:
        raise UsageError(f"--use-plugin {path}: {error}") from None
    return name, given


def _read(path: Path) -> tuple[str, dict[str, Any]]:
    import yaml

    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        name, given = content["plugin"], content.get("plugin_args") or {}
    except (OSError, ValueError, KeyError, TypeError, yaml.YAMLError) as error:
        raise UsageError(
            f"--use-plugin {path}: must hold `plugin: NAME`, perhaps `plugin_args:` ({' '.join(str(error).split())})."
        ) from error
    if not isinstance(given, dict):
        raise UsageError(f"--use-plugin {path}: `plugin_args` must hold names and values, not {given!r}.")
    known = [*_HERE, *_COMMANDS, *_MODULES]
    if name not in known:
        by_small_letters = {other.lower(): other for other in known}
        near = difflib.get_close_matches(str(name).lower(), by_small_letters, n=1)
        raise UsageError(
            f"--use-plugin {path}: {name} is no Nipype plugin that waits for its jobs; "
            + (f"did you mean {by_small_letters[near[0]]}?" if near else f"there are {', '.join(known)}.")
        )
    return name, given


def _check_limits(given: Mapping[str, Any]) -> None:
    for name, least in (("n_procs", 1), ("max_jobs", 1), ("n_gpu_procs", 0)):
        if name in given and (type(given[name]) is not int or given[name] < least):
            raise UsageError(f"`plugin_args`: {name} must be a whole number, {least} or larger, not {given[name]!r}.")
    memory = given.get("memory_gb", 1)
    if isinstance(memory, bool) or not isinstance(memory, int | float) or not 0 < memory < math.inf:
        raise UsageError(f"`plugin_args`: memory_gb must be a number above 0, not {memory!r}.")
    if given.get("scheduler", "tsort") not in ("tsort", "mem_thread"):
        raise UsageError(f"`plugin_args`: scheduler must be tsort or mem_thread, not {given['scheduler']!r}.")


def _check_there(name: str) -> None:
    """See that what the plugin works with is installed."""
    missing = [program for program in _COMMANDS.get(name, ()) if shutil.which(program) is None]
    if missing:
        raise UsageError(f"{name} needs the program {missing[0]}, which is not on this machine (PATH).")
    missing = [module for module in _MODULES.get(name, ()) if importlib.util.find_spec(module) is None]
    if missing:
        raise UsageError(f"{name} needs the Python package {missing[0]}, which is not installed here.")


def _name_user() -> None:
    """Set LOGNAME, with which Nipype names jobs; containers and cron leave it out."""
    try:
        name = getpass.getuser()
    except (OSError, KeyError):  # a user without a name, as in many containers
        name = f"user{os.getuid()}"
    os.environ.setdefault("LOGNAME", name)
