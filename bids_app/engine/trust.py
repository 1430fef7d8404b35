"""Whom a folder belongs to: Nipype unpickles what lies in the work folder, and to unpickle is to run.

So nothing is unpickled that this user did not write. That holds for root too, as whom containers often run.
"""

from __future__ import annotations

import grp
import os
import pwd
import stat
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

from nipype.pipeline.engine import base, nodes, utils
from nipype.utils import filemanip

from ...errors import UsageError

__all__ = ["guard_pickles", "refuse_others"]


def refuse_others(path: Path, *, own: bool = True) -> None:
    """See that nobody but this user (and root) could have put something in the place of a file or folder.

    Every folder on the way to it is looked at, those that links lead to and the links themselves.

    Parameters
    ----------
    path : Path
        It exists.
    own : bool
        Whether it must be this user's itself, and no link; else it may be root's.

    Raises
    ------
    UsageError
        Which folder is whose, or who else can write into it.
    """
    path = Path(os.path.abspath(path))  # noqa: PTH100 - resolve would follow the links that are looked at
    user = os.geteuid()
    for place in (*reversed(path.parents), path):
        status = place.lstat()
        is_own = own and place == path
        if is_own and stat.S_ISLNK(status.st_mode):
            raise UsageError(f"{place}: is a link, which is not followed to files that are unpickled; name its target.")
        if status.st_uid not in ({user} if is_own else {0, user, *_unknown_owner()}):
            raise UsageError(
                f"{place}: belongs to another user ({_user(status.st_uid)}; you are {_user(user)}), who could have put "
                "files there that are unpickled."
            )
        if not stat.S_ISLNK(status.st_mode) and (whom := _who_else_writes(status)):
            raise UsageError(
                f"{place}: can be written by {whom}, who could put files there that are unpickled; take that right "
                f"away (chmod go-w {place})."
            )
    real = Path(os.path.realpath(path))
    if real != path:
        refuse_others(real, own=own)


def guard_pickles() -> None:
    """Let Nipype, in this process, unpickle nothing but files of this user in folders that are nobody else's."""
    if hasattr(filemanip.loadpkl, "__wrapped__"):
        return
    guarded = _guarded(filemanip.loadpkl)
    for module in (filemanip, base, nodes, utils):
        module.loadpkl = guarded


def _guarded(load: Callable[[Any], Any]) -> Callable[[Any], Any]:
    @wraps(load)
    def loadpkl(infile: Any) -> Any:
        if os.path.lexists(infile):  # Nipype waits for those that are not there yet
            refuse_others(Path(infile))
        return load(infile)

    return loadpkl


def _who_else_writes(status: os.stat_result) -> str:
    """Name who else can put something into a folder in place of what is there; empty if nobody can."""
    if stat.S_ISDIR(status.st_mode) and status.st_mode & stat.S_ISVTX:
        return ""  # as in /tmp, where everybody moves his own files alone
    if status.st_mode & stat.S_IWOTH:
        return "everybody"
    if status.st_mode & stat.S_IWGRP and not _is_private(status.st_gid):
        return f"the group {_group(status.st_gid)}"
    return ""


def _is_private(gid: int) -> bool:
    """Tell whether a group is root's or holds this user alone, as most systems make one for everybody."""
    if gid == 0:
        return True
    try:
        group, user = grp.getgrgid(gid), pwd.getpwuid(os.geteuid())
    except KeyError:
        return False
    return gid == user.pw_gid and group.gr_name == user.pw_name and set(group.gr_mem) <= {user.pw_name}


def _unknown_owner() -> set[int]:
    """Give the number that stands for the machine's owners, root among them, in a container without their names."""
    try:
        identity = Path("/proc/self/uid_map").read_text().split()
        return (
            set() if identity == ["0", "0", "4294967295"] else {int(Path("/proc/sys/kernel/overflowuid").read_text())}
        )
    except (OSError, ValueError):
        return set()


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"number {uid}"


def _group(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return f"number {gid}"
