"""The ten network maps of Smith et al. (2009): found on this machine, or fetched where that is asked for."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from ...errors import UsageError
from ...files import PathLike
from ...words import one_line

__all__ = ["SMITH_NAMES", "fetch_smith2009", "find_smith2009"]

SMITH_NAMES = (
    *("MedialVisual", "OccipitalPole", "LateralVisual", "DefaultMode", "Cerebellum", "Sensorimotor", "Auditory"),
    *("ExecutiveControl", "RightFrontoparietal", "LeftFrontoparietal"),
)
"""The ten maps of Smith et al. (2009), in the order of their file."""

SMITH_FILES = ("smith_2009/PNAS_Smith09_rsn10.nii*", "tpl-*/tpl-*Smith2009*.nii*")
"""Where nilearn's fetcher, and anybody who follows templateflow's layout, put the maps below a data folder."""


def find_smith2009(folders: Iterable[PathLike] | None = None) -> Path:
    """Find the ten Smith et al. (2009) maps on this machine; nothing is fetched.

    Parameters
    ----------
    folders : paths, optional
        Data folders to search; nilearn's and templateflow's by default.

    Raises
    ------
    UsageError
        If there is no such file.
    """
    if folders is None:
        from nilearn.datasets import get_data_dirs

        folders = [*get_data_dirs()]
        with suppress(RuntimeError):  # a user without a name, as in many containers, has no home
            folders.append(Path("~/.cache/templateflow").expanduser())
    searched = [Path(folder) for folder in folders]
    for folder in searched:
        for pattern in SMITH_FILES:
            for path in sorted(folder.glob(pattern)):
                return path
    raise UsageError(
        f"Templates 'smith2009': no {SMITH_FILES[0]} in {', '.join(map(str, searched))}; get it with "
        '`python -c "from nilearn.datasets import fetch_atlas_smith_2009 as get; get()"` '
        "or give the file itself as templates."
    )


def fetch_smith2009() -> Path:
    """Get the ten Smith et al. (2009) maps from the authors' site, by nilearn, unless they are on this machine.

    Raises
    ------
    UsageError
        If they cannot be fetched.
    """
    from nilearn.datasets import fetch_atlas_smith_2009

    with suppress(UsageError):
        return find_smith2009()
    try:
        fetch_atlas_smith_2009(dimension=10, resting=True, verbose=0)
    except Exception as error:  # whatever stands between this machine and the site
        reason = one_line(error)[:120]
        raise UsageError(
            f"Templates 'smith2009': cannot be fetched ({type(error).__name__}: {reason}); get them where there is a "
            "network, or give the file itself as templates."
        ) from error
    return find_smith2009()
