"""What is different in a container: only folders that are bound lie outside of it and outlive it."""

from __future__ import annotations

import os
import re
from pathlib import Path

from ...errors import UsageError

__all__ = ["check_bound", "own_image"]

_MOUNTS = Path("/proc/self/mountinfo")

_HOW = "-v /yours:{path}{only} (docker, podman) or --bind /yours:{path}{only} (apptainer)"


def own_image() -> str | None:
    """Name the image that this process runs in, if it is one of Apptainer's."""
    return os.environ.get("APPTAINER_CONTAINER") or os.environ.get("SINGULARITY_CONTAINER")


def check_bound(bids_dir: Path, output_dir: Path) -> None:
    """In a container, see that the input is there, and that the output does not vanish with the container.

    Raises
    ------
    UsageError
        If a folder is the container's own.
    """
    if not (os.environ.get("SCAAE_CONTAINER_TAG") or own_image()):
        return
    mounts = _mount_points()
    if not bids_dir.is_dir() or (_is_own(bids_dir, mounts) and not any(bids_dir.iterdir())):
        how = _HOW.format(path=bids_dir, only=":ro")
        raise UsageError(
            f"{bids_dir}: holds nothing, because a container sees only folders that are bound; give {how}."
        )
    if _is_own(output_dir, mounts):
        how = _HOW.format(path=output_dir, only="")
        raise UsageError(f"{output_dir}: is not bound, so that results would vanish with the container; give {how}.")


def _is_own(path: Path, mounts: list[Path]) -> bool:
    """Tell whether a path is on the container's own root."""
    place = Path(os.path.realpath(path))
    holder = max(
        (mount for mount in mounts if place.is_relative_to(mount)), key=lambda mount: len(mount.parts), default=None
    )
    return holder == Path("/")


def _mount_points() -> list[Path]:
    """List where something is mounted; nothing where the kernel does not say."""
    try:
        lines = _MOUNTS.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return []
    return [Path(re.sub(r"\\(\d{3})", lambda code: chr(int(code[1], 8)), line.split()[4])) for line in lines]
