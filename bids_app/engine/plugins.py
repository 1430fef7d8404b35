"""Which of Nipype's plugins runs the nodes; one that cannot is refused in one line before anything runs."""

from __future__ import annotations

import getpass
import importlib.util
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nipype.pipeline import plugins
from nipype.pipeline.plugins import LinearPlugin
from nipype.pipeline.plugins.base import PluginBase

from ...errors import UsageError
from ...words import in_one_line
from .plugin_file import BATCH, LOCAL, PACKAGES, PluginFile, read_plugin_file
from .slurm_nodes import ExplainingSLURMPlugin
from .workers import WatchfulMultiProcPlugin

__all__ = ["check_plugin_file", "choose_plugin"]


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
    if plugin_file is None:
        asked = PluginFile("Linear" if nprocs == 1 else "MultiProc")
    else:
        asked = check_plugin_file(plugin_file)
    name, given = asked.name, asked.arguments
    if name == "Linear":
        return LinearPlugin(plugin_args={**given, **arguments})
    if name in LOCAL:
        limits = {"n_procs": nprocs, "memory_gb": memory_gb, "raise_insufficient": False}
        kept = {option: value for option, value in given.items() if option != "mp_context"}  # workers are ours
        return WatchfulMultiProcPlugin(plugin_args={**limits, **kept, **arguments})
    if name in BATCH:
        _name_user()
    kind = ExplainingSLURMPlugin if name == "SLURM" else getattr(plugins, f"{name}Plugin")
    try:
        return kind(plugin_args={**given, **arguments})
    except Exception as error:  # plugins look at their arguments in ways of their own
        reason = in_one_line(error)
        raise UsageError(f"--use-plugin {plugin_file}: {name} cannot be started like this ({reason}).") from error


def check_plugin_file(path: Path) -> PluginFile:
    """Read a plugin file; see that the plugin exists, waits for its jobs, and finds here what it needs.

    Raises
    ------
    UsageError
    """
    asked = read_plugin_file(path)
    try:
        _check_there(asked.name)
    except UsageError as error:
        raise UsageError(f"--use-plugin {path}: {error}") from None
    return asked


def _check_there(name: str) -> None:
    """See that what the plugin works with is installed."""
    missing = [program for program in BATCH.get(name, ()) if shutil.which(program) is None]
    if missing:
        raise UsageError(f"{name} needs the program {missing[0]}, which is not on this machine (PATH).")
    missing = [module for module in PACKAGES.get(name, ()) if importlib.util.find_spec(module) is None]
    if missing:
        raise UsageError(f"{name} needs the Python package {missing[0]}, which is not installed here.")


def _name_user() -> None:
    """Set LOGNAME, with which Nipype names jobs; containers and cron leave it out."""
    try:
        name = getpass.getuser()
    except (OSError, KeyError):  # a user without a name, as in many containers
        name = f"user{os.getuid()}"
    os.environ.setdefault("LOGNAME", name)
