"""What this machine and this job may use: processors, memory, and where caches may be written."""

from __future__ import annotations

import os
import re
import resource
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from ...errors import UsageError

__all__ = [
    "available_memory_gb",
    "available_processors",
    "cache_environment",
    "memory_in_gb",
    "peak_memory_gb",
    "restart_peak_memory",
    "was_sent_by_scheduler",
]

_CGROUPS = Path("/sys/fs/cgroup")
_OWN_CGROUP = Path("/proc/self/cgroup")
_UNITS = {"K": 1e-6, "M": 1e-3, "G": 1.0, "T": 1e3}
LEAST_MEMORY_GB = 0.1
"""Less is a slip of the unit."""

_ALLOCATIONS: Mapping[str, tuple[str, ...]] = {
    "SLURM_JOB_ID": ("SLURM_CPUS_PER_TASK", "SLURM_CPUS_ON_NODE"),
    "PBS_JOBID": ("NCPUS", "PBS_NP", "PBS_NUM_PPN"),
    "LSB_JOBID": ("LSB_DJOB_NUMPROC",),
    "SGE_TASK_ID": ("NSLOTS",),
}
"""Variables that say in a job of Slurm, PBS, LSF or Grid Engine how many processors it has; the first known counts."""

_THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")


def memory_in_gb(text: str, *, unit: str = "M", option: str = "--mem") -> float:
    """Read an amount of memory in GB (10^9 bytes).

    Parameters
    ----------
    text : str
        A number, with its unit or without.
    unit : {"K", "M", "G", "T"}
        Of a number without one.
    option : str
        Who asks, for the message.

    Raises
    ------
    UsageError
        If the unit is unknown, or the amount is too small for anything to run.

    >>> memory_in_gb("8G"), memory_in_gb("8000"), memory_in_gb("500 MB"), memory_in_gb("0.5t")
    (8.0, 8.0, 0.5, 500.0)
    """
    match = re.fullmatch(r"([0-9]*\.?[0-9]+)\s*([KMGT]?)(I?B)?", text.strip().upper())
    if match is None or (match[3] and not match[2]):
        raise UsageError(f"{option} {text}: give an amount with its unit, for example 8G or 500M.")
    amount = float(match[1]) * _UNITS[match[2] or unit]
    if amount < LEAST_MEMORY_GB:
        alone = "" if match[2] else f" (a number alone is in {unit}B)"
        raise UsageError(
            f"{option} {text}: give an amount with its unit, for example 8G{alone}; {amount * 1e3:g} MB is too little."
        )
    return amount


def available_processors(environment: Mapping[str, str] = os.environ) -> int:
    """Count the processors this process may use: its affinity, its cgroup's quota, and what a scheduler gave it.

    >>> available_processors({"SLURM_JOB_ID": "7", "SLURM_CPUS_PER_TASK": "1"})
    1
    """
    try:
        allowed = len(os.sched_getaffinity(0))
    except AttributeError:  # macOS
        allowed = os.cpu_count() or 1
    quota = _cgroup_processors()
    limits = [int(quota)] if quota else []
    given = _allocated_processors(environment)
    return max(1, min([allowed, *limits, *([given] if given else [])]))


def available_memory_gb(environment: Mapping[str, str] = os.environ) -> float:
    """Give the memory this process may use, in GB: of the machine, its cgroups and its allocation the least."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limits = [
        int(text)
        for name in ("memory.max", "memory/memory.limit_in_bytes")
        for text in _cgroup_values(name)
        if text.isdigit()
    ]
    given = _allocated_memory(environment)
    return min([total, *limits, *([given] if given else [])]) / 1e9


def was_sent_by_scheduler(environment: Mapping[str, str] = os.environ) -> bool:
    """Tell whether this process is a job of a cluster's scheduler.

    >>> was_sent_by_scheduler({"SLURM_JOB_ID": "7"}), was_sent_by_scheduler({})
    (True, False)
    """
    return not _ALLOCATIONS.keys().isdisjoint(environment)


def _allocated_processors(environment: Mapping[str, str]) -> int | None:
    """Read how many processors a scheduler gave this job; without cgroups nothing else tells.

    A Slurm job of one task that did not ask for processors has those of ``SLURM_CPUS_ON_NODE``.
    """
    for job, names in _ALLOCATIONS.items():
        if job in environment:
            given = (environment.get(name, "") for name in names)
            return next((int(text) for text in given if text.isdecimal() and int(text) > 0), None)
    return None


def _allocated_memory(environment: Mapping[str, str]) -> float | None:
    """Read how many bytes Slurm gave this job on this node (it counts in MiB; 0: all there is)."""
    if "SLURM_JOB_ID" not in environment:
        return None
    of_node, of_processor = (environment.get(f"SLURM_MEM_PER_{what}", "") for what in ("NODE", "CPU"))
    if of_node.isdecimal() and int(of_node):
        return int(of_node) * 2.0**20
    on_node = environment.get("SLURM_CPUS_ON_NODE", "")
    n_processors = int(on_node) if on_node.isdecimal() else _allocated_processors(environment)
    return int(of_processor) * (n_processors or 1) * 2.0**20 if of_processor.isdecimal() and int(of_processor) else None


def _cgroup_processors() -> float | None:
    quotas = [text.split() for text in _cgroup_values("cpu.max")]
    quotas += [
        [quota, period]
        for quota, period in zip(
            _cgroup_values("cpu/cpu.cfs_quota_us"), _cgroup_values("cpu/cpu.cfs_period_us"), strict=False
        )
    ]
    processors = [int(q) / int(period) for q, period in quotas if q.isdigit() and int(period) > 0]
    return min(processors, default=None)


def _cgroup_values(name: str) -> list[str]:
    """Read a limit from the cgroup of this process and from all above it (versions 1 and 2)."""
    controller, _, file = name.rpartition("/")
    with suppress(OSError):
        for line in _OWN_CGROUP.read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            if controller in controllers.split(","):
                root = _CGROUPS / controller
                below = Path(path.lstrip("/"))
                folders = [root / below, *(root / parent for parent in below.parents)]
                return [text for folder in dict.fromkeys(folders) for text in _first_line(folder / file)]
    return []


def _first_line(path: Path) -> list[str]:
    with suppress(OSError):
        return [path.read_text().strip()]
    return []


def cache_environment(work_dir: Path, environment: Mapping[str, str]) -> dict[str, str]:
    """Say which variables to set before heavy imports, so that nothing is written to HOME and nothing is fetched.

    Caches that the user has placed elsewhere stay there. Numerical libraries get one thread; nodes that use more
    (training, extraction) set their own number.

    >>> cache_environment(Path("/w"), {"MPLCONFIGDIR": "/mine"})["TEMPLATEFLOW_HOME"]
    '/w/caches/templateflow'
    """
    caches = work_dir / "caches"
    wanted = {
        "MPLCONFIGDIR": str(caches / "matplotlib"),
        "MPLBACKEND": "Agg",
        "TEMPLATEFLOW_HOME": str(caches / "templateflow"),
        "TEMPLATEFLOW_AUTOUPDATE": "off",
        "NIPYPE_CONFIG_DIR": str(caches / "nipype"),
        "NIPYPE_NO_ET": "1",
        "NO_ET": "1",
        # Python's own note about the semaphores of a killed worker would come after the verdict.
        "PYTHONWARNINGS": "ignore::UserWarning:multiprocessing.resource_tracker",
        **dict.fromkeys(_THREAD_VARIABLES, "1"),
    }
    return {name: value for name, value in wanted.items() if name not in environment}


def restart_peak_memory() -> None:
    """Forget the peak memory of this process so far (Linux; elsewhere the peak is that of the whole process)."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def peak_memory_gb() -> float:
    """Give the peak resident memory of this process since `restart_peak_memory`, in GB."""
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024 / 1e9
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9
