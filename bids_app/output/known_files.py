"""By what a file is known again: its place in its dataset, its size, its time of change or its content."""

from __future__ import annotations

import hashlib
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, Literal

__all__ = ["FileNotes", "KnownFiles", "named_by_place"]

FileNotes = Mapping[str, Mapping[str, Any]]
"""Name of a file, which does not depend on where its dataset lies, to what was noted of it.

Noted are ``size`` (bytes) and ``sha256``, of inputs ``mtime_ns`` as well. Records of earlier versions have absolute
paths as names of inputs and no checksums, and note nothing of outputs.
"""


def named_by_place(files: Iterable[Path], roots: Iterable[Path]) -> dict[str, Path]:
    """Name files by their place below the innermost of the datasets that hold them.

    Where files of two datasets have the same place there, the later one is numbered, in the order of `files`.

    >>> named_by_place([Path("/a/sub-1/x.nii"), Path("/a/derivatives/b/y.nii")], [Path("/a"), Path("/a/derivatives/b")])
    {'sub-1/x.nii': PosixPath('/a/sub-1/x.nii'), 'y.nii': PosixPath('/a/derivatives/b/y.nii')}
    """
    inner_first = sorted(set(roots), key=lambda root: -len(root.parts))
    named: dict[str, Path] = {}
    for file in dict.fromkeys(files):
        root = next((root for root in inner_first if file.is_relative_to(root)), file.parent)
        place = name = file.relative_to(root).as_posix()
        number = 2
        while name in named:
            name, number = f"{place} ({number})", number + 1
        named[name] = file
    return named


class KnownFiles:
    """Compares files with what was noted of them, and notes them; each is read once at most.

    Parameters
    ----------
    by : {"content", "time"}
        What an input with another time of change is: read and compared by checksum, or another one.
    verify : bool
        Whether all files are read and compared by checksum.
    """

    def __init__(self, by: Literal["content", "time"] = "content", *, verify: bool = False):
        self.by, self.verify = by, verify
        self._digests: dict[tuple[Path, int, int], str] = {}

    def note_inputs(self, files: Mapping[str, Path]) -> dict[str, dict[str, Any]]:
        """Note inputs that are there by size and time of change, and by checksum if content counts."""
        noted: dict[str, dict[str, Any]] = {}
        for name, path in files.items():
            if (about := _size_and_time(path)) is not None:
                noted[name] = dict(about)
                if self.by == "content" and (digest := self._digest(path)):
                    noted[name]["sha256"] = digest
        return noted

    def note_outputs(self, root: Path, names: Iterable[str]) -> dict[str, dict[str, Any]]:
        """Note outputs that are there, by size and checksum; names are places below `root`."""
        noted: dict[str, dict[str, Any]] = {}
        for name in dict.fromkeys(names):
            about = _size_and_time(root / name)
            if about is not None:
                noted[name] = {"size": about["size"]}
                if digest := self._digest(root / name):
                    noted[name]["sha256"] = digest
        return noted

    def changed_inputs(self, noted: FileNotes, today: Mapping[str, Path]) -> set[str]:
        """Name the inputs that are not what was noted, were not there then, or are not any more."""
        known = _by_today_s_names(noted, today)
        return {
            name
            for name in {**known, **today}
            if name not in known or name not in today or not self._is_same_input(today[name], known[name])
        }

    def has_other_times(self, noted: FileNotes, today: Mapping[str, Path]) -> bool:
        """Tell whether inputs were known by their content alone, which a new note spares the next call."""
        known = _by_today_s_names(noted, today)
        return any(
            known[name].get("sha256") and (_size_and_time(path) or {}).get("mtime_ns") != known[name].get("mtime_ns")
            for name, path in today.items()
            if name in known
        )

    def fault_of_output(self, path: Path, noted: Mapping[str, Any]) -> str:
        """Say what is wrong with an output, in words that follow its name; empty where it is as it was written."""
        about = _size_and_time(path)
        if about is None:
            return "is missing"
        size, digest = noted.get("size"), noted.get("sha256")
        if size is not None and about["size"] != size:
            return f"is not as it was written ({about['size']} bytes, not {size})"
        if self.verify and digest is not None and self._digest(path) != digest:
            return "is not as it was written (another checksum)"
        return ""

    def _is_same_input(self, path: Path, noted: Mapping[str, Any]) -> bool:
        about, digest = _size_and_time(path), noted.get("sha256")
        if about is None or about["size"] != noted.get("size"):
            return False
        same_time = bool(about["mtime_ns"] == noted.get("mtime_ns"))
        if digest is None or self.by == "time":
            return same_time
        return (same_time and not self.verify) or self._digest(path) == digest

    def _digest(self, path: Path) -> str:
        """Give a file's SHA-256; empty where it cannot be read."""
        try:
            about = path.stat()
            key = (path, about.st_size, about.st_mtime_ns)
            if key not in self._digests:
                with path.open("rb") as file:
                    self._digests[key] = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError:
            return ""
        return self._digests[key]


def _size_and_time(path: Path) -> dict[str, int] | None:
    """Give size and time of change; None of what is no file."""
    try:
        about = path.stat()
    except OSError:
        return None
    return {"size": about.st_size, "mtime_ns": about.st_mtime_ns} if stat.S_ISREG(about.st_mode) else None


def _by_today_s_names(noted: FileNotes, today: Mapping[str, Path]) -> FileNotes:
    """Name what was noted as today: earlier versions noted absolute paths, which end in the place in the dataset."""
    if not any(PurePosixPath(name).is_absolute() for name in noted):
        return noted
    longest_first = sorted(today, key=len, reverse=True)
    renamed = {}
    for name, about in noted.items():
        parts = PurePosixPath(name).parts
        places = (place for place in longest_first if parts[-len(PurePosixPath(place).parts) :] == Path(place).parts)
        renamed[next(places, name)] = about
    return renamed
