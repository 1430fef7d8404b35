"""What killed jobs leave in an output dataset, and nobody else needs: files half written, locks of dead processes."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from shutil import rmtree

from ...files import writer_of
from .locks import Lock

__all__ = ["clear_locks", "remove_half_written", "tidy"]


def tidy(root: Path, participants: Iterable[str]) -> None:
    """Remove what killed calls have left in an output dataset at `root`, where these participants are concerned."""
    own = [folder for label in participants for folder in (root / f"sub-{label}").glob("**/")]
    remove_half_written([root, root / "logs", root / "models", *own])
    clear_locks(root / "logs" / ".claims")
    clear_locks(root / "models", ".*.lock")


def remove_half_written(folders: Iterable[Path]) -> None:
    """Remove what processes of this machine that are dead were writing right in these folders."""
    for folder in folders:
        for path in folder.glob(".writing-*"):
            writer = writer_of(path)
            if writer is not None and not _is_alive(writer):
                with suppress(OSError):
                    rmtree(path) if path.is_dir() else path.unlink()


def clear_locks(folder: Path, pattern: str = "*.lock") -> None:
    """Remove the locks in a folder that dead processes have left, and the folder where nothing else is in it."""
    for path in folder.glob(pattern):
        lock = Lock(path, path.stem)
        if lock.try_acquire():
            lock.release()
    with suppress(OSError):
        folder.rmdir()


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # somebody else's
        return True
    return True
