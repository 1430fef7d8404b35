"""Network templates: read from a file or by name, resampled to a grid, binarised by one rule per kind of image."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Literal

import nibabel as nib
import numpy as np

from ..errors import InputError, UsageError
from ..files import read_image, read_table
from ..grid import Grid
from .overlap import THRESHOLD, binarise

__all__ = [
    "SMITH_NAMES",
    "TEMPLATE_NAMES",
    "TemplateSet",
    "check_templates",
    "coverage",
    "fetch_smith2009",
    "find_smith2009",
    "load_templates",
    "smith2009_folders",
]

Kind = Literal["continuous", "labels", "thresholded"]

TEMPLATE_NAMES = ("default", "smith2009")
"""Templates that are known by name: shipped, and looked for on this machine."""

SMITH_NAMES = (
    *("MedialVisual", "OccipitalPole", "LateralVisual", "DefaultMode", "Cerebellum", "Sensorimotor", "Auditory"),
    *("ExecutiveControl", "RightFrontoparietal", "LeftFrontoparietal"),
)
"""The ten maps of Smith et al. (2009), in the order of their file."""

SMITH_FILES = ("smith_2009/PNAS_Smith09_rsn10.nii*", "tpl-*/tpl-*Smith2009*.nii*")
"""Where nilearn's fetcher, and anybody who follows templateflow's layout, put the maps below a data folder."""

MOSTLY_ZERO = 0.5
"""Maps with a larger share of exact zeros inside the brain have been thresholded before."""


MOST_LOADED = 4
"""Template sets that a process keeps: a worker scores run after run against the same ones."""

_loaded: dict[tuple, TemplateSet] = {}


@dataclass(frozen=True, eq=False)
class TemplateSet:
    """Network templates over the mask of a grid.

    Attributes
    ----------
    names : tuple of str
        One per template, unique.
    continuous : float32 array, (n_templates, n_voxels), or None
        Unthresholded maps; None where the source holds labels or thresholded maps.
    binary : bool array, (n_templates, n_voxels)
    source : str
        What was loaded, in words, for tables and reports.
    kind : "continuous", "labels" or "thresholded"
    grid : Grid
        The voxels that the arrays hold.
    warnings : tuple of str
        One sentence per template that cannot be scored.
    """

    names: tuple[str, ...]
    continuous: np.ndarray | None
    binary: np.ndarray
    source: str
    kind: Kind
    grid: Grid
    warnings: tuple[str, ...] = ()

    @property
    def values(self) -> np.ndarray:
        """What correlations are taken with: the continuous maps, or the binary ones where there are none."""
        return self.binary if self.continuous is None else self.continuous

    @property
    def density(self) -> np.ndarray:
        """Share of the grid's mask that each template takes, (n_templates,)."""
        return self.binary.mean(axis=1)

    def inside(self, region: Grid) -> TemplateSet:
        """Cut the templates to an evaluation region; thresholds stay those of the whole grid.

        Raises
        ------
        InputError
            If the region is not a part of the templates' grid.
        """
        voxels = _part(region, self.grid)
        outside = ~self.binary[:, voxels].any(axis=1) & self.binary.any(axis=1)
        return replace(
            self,
            continuous=None if self.continuous is None else self.continuous[:, voxels],
            binary=self.binary[:, voxels],
            grid=region,
            warnings=self.warnings
            + tuple(f"Template {self.names[i]} lies outside the run's field of view." for i in np.flatnonzero(outside)),
        )


def coverage(templates: TemplateSet, region: Grid) -> np.ndarray:
    """Share of every template's voxels that lie inside an evaluation region.

    Parameters
    ----------
    templates : TemplateSet
        On the model's whole grid.
    region : Grid
        The evaluation region, a part of that grid.

    Returns
    -------
    float array, (n_templates,)
        NaN for a template without voxels.
    """
    total = templates.binary.sum(axis=1)
    kept = templates.binary[:, _part(region, templates.grid)].sum(axis=1)
    return np.divide(kept, total, out=np.full(len(total), np.nan), where=total > 0)


def _part(region: Grid, grid: Grid) -> np.ndarray:
    same_space = region.shape == grid.shape and np.allclose(region.affine, grid.affine, atol=1e-3)
    if not same_space or (region.mask & ~grid.mask).any():
        raise InputError("The evaluation region is not a part of the model's brain mask; give the mask of its model.")
    return grid.vectors(region.mask)


def smith2009_folders() -> list[Path]:
    """List the folders in which nilearn and templateflow keep what they fetched."""
    from nilearn.datasets import get_data_dirs

    return [*map(Path, get_data_dirs()), Path("~/.cache/templateflow").expanduser()]


def find_smith2009(folders: Iterable[str | os.PathLike] | None = None) -> Path:
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
    folders = smith2009_folders() if folders is None else [Path(folder) for folder in folders]
    for folder in folders:
        for pattern in SMITH_FILES:
            for path in sorted(folder.glob(pattern)):
                return path
    raise UsageError(
        f"Templates 'smith2009': no {SMITH_FILES[0]} in {', '.join(map(str, folders))}; get it with "
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
        reason = " ".join(str(error).split())[:120]
        raise UsageError(
            f"Templates 'smith2009': cannot be fetched ({type(error).__name__}: {reason}); get them where there is a "
            "network, or give the file itself as templates."
        ) from error
    return find_smith2009()


def check_templates(spec: str | os.PathLike) -> None:
    """Refuse what is neither a known name nor a file; whether the file holds templates is for `load_templates` to see.

    Raises
    ------
    UsageError
    """
    if str(spec) in TEMPLATE_NAMES or Path(spec).is_file():
        return
    near = difflib.get_close_matches(str(spec).lower(), TEMPLATE_NAMES, n=1)
    hint = f" (did you mean {near[0]}?)" if near else ""
    raise UsageError(f"Templates '{spec}': neither a file nor one of {', '.join(TEMPLATE_NAMES)}{hint}.")


def load_templates(
    spec: str | os.PathLike,
    *,
    grid: Grid,
    labels: str | os.PathLike | None = None,
    kind: Kind | Literal["auto"] = "auto",
) -> TemplateSet:
    """Load templates onto a grid and binarise them.

    ============  ===========================================  ==========  =======================================
    kind          recognised by                                resampled   voxels of the binary template
    ============  ===========================================  ==========  =======================================
    labels        one volume of whole numbers, none negative   nearest     those that carry the label
    thresholded   more than half of the values inside the      nearest     values > 0
                  brain mask are exactly 0
    continuous    anything else                                linearly    values > 0.3 × the map's own maximum
                                                                           inside the mask
    ============  ===========================================  ==========  =======================================

    Parameters
    ----------
    spec : str or path
        ``"default"`` (networks of Seitzman et al. 2018, shipped), ``"smith2009"`` (must be on this machine), or an
        image: 4D with one map per volume, or labels.
    grid : Grid
        The model's whole grid; `TemplateSet.inside` cuts the result to a run's region.
    labels : path, optional
        Table with a column ``name`` (or ``label``) and, for a label image, ``index``; for a 4D image one row per
        volume. Without it a table of the same name beside the image is taken, if there is one.
    kind : str
        Says what the image holds where the rule above would be wrong.

    Raises
    ------
    UsageError
        If `spec` is neither a known name nor a file.
    InputError
        If the image cannot be read, no template has a voxel in the mask, or the label table does not fit.

    >>> from scaae_nipype.grid import load_grid
    >>> templates = load_templates("default", grid=load_grid())
    >>> templates.kind, templates.names[:3]
    ('labels', ('Auditory', 'CinguloOpercular', 'DefaultMode'))
    """
    if str(spec) == "default":
        data = resources.files("scaae_nipype.data")
        with (
            resources.as_file(data / "seitzman2018_dseg_4mm.nii.gz") as image,
            resources.as_file(data / "seitzman2018_dseg.tsv") as table,
        ):
            source = "Networks of Seitzman et al. (2018), grey matter within 12 mm of a region (shipped)"
            return _load(image, grid, labels or table, "labels", source)
    if str(spec) == "smith2009":
        path = find_smith2009()
        return _load(path, grid, labels, kind, f"Smith et al. (2009), {path.name}")
    check_templates(spec)
    path = Path(spec)
    return _load(path, grid, labels, kind, path.name)


def _load(path: Path, grid: Grid, labels: str | os.PathLike | None, kind: str, source: str) -> TemplateSet:
    table = Path(labels) if labels is not None else _table_beside(path)
    stamps = tuple((str(file), file.stat().st_mtime_ns, file.stat().st_size) for file in (path, table) if file)
    key = (*stamps, grid.checksum, kind, source)
    if key not in _loaded:
        while len(_loaded) >= MOST_LOADED:
            _loaded.pop(next(iter(_loaded)))
        _loaded[key] = _resampled(path, grid, table, kind, source)
    return _loaded[key]


def _resampled(path: Path, grid: Grid, table: Path | None, kind: str, source: str) -> TemplateSet:
    image = _read(path)
    found = _recognise(image, grid) if kind == "auto" else kind
    continuous = None
    if found == "labels":
        values = np.rint(_on_grid(image, grid, "nearest")[0]).astype(int)
        known = np.unique(np.rint(np.asanyarray(image.dataobj))).astype(int)
        indices, names = _label_names(known[known > 0], table, path)
        binary = values == np.array(indices, dtype=int)[:, None]
    elif found == "thresholded":
        binary = _on_grid(image, grid, "nearest") > 0
        names = _map_names(len(binary), table, path)
    elif found == "continuous":
        continuous = _on_grid(image, grid, "linear")
        binary = binarise(continuous, THRESHOLD)
        names = _map_names(len(binary), table, path)
    else:
        raise UsageError(f"Templates of kind '{kind}': choose one of auto, continuous, labels, thresholded.")
    filled = binary.any(axis=1)
    if not filled.any():
        raise InputError(f"{path}: no template has a voxel in the model's brain mask: is the image in MNI space?")
    warnings = tuple(f"Template {names[i]} has no voxel in the model's brain mask." for i in np.flatnonzero(~filled))
    for array in (continuous, binary):
        if array is not None:
            array.flags.writeable = False  # the next caller gets the same set
    return TemplateSet(names, continuous, binary, source, found, grid, warnings)  # type: ignore[arg-type]


def _read(path: Path) -> nib.Nifti1Image:
    """Read an image whole, as 4D, with 0 where a value is not finite: interpolation would spread NaN."""
    values, image = read_image(path)
    values = np.nan_to_num(values, posinf=0, neginf=0)
    if values.ndim not in (3, 4):
        raise InputError(f"{path}: has {values.ndim} dimensions; templates are a 3D label image or a 4D image.")
    return nib.Nifti1Image(values.reshape(*values.shape[:3], -1), image.affine)


def _recognise(image: nib.Nifti1Image, grid: Grid) -> Kind:
    values = np.asanyarray(image.dataobj)
    if values.shape[3] == 1 and values.min() >= 0 and np.array_equal(values, np.rint(values)):
        return "labels"
    return "thresholded" if (_on_grid(image, grid, "nearest") == 0).mean() > MOSTLY_ZERO else "continuous"


def _on_grid(image: nib.Nifti1Image, grid: Grid, interpolation: str) -> np.ndarray:
    """Resample a 4D image to the voxels of the grid's mask: (n_volumes, n_voxels), 0 outside the image."""
    if grid.matches(image):
        return np.asanyarray(image.dataobj)[grid.mask].T
    from nilearn.image import resample_img

    resampled = resample_img(image, grid.affine, grid.shape, interpolation=interpolation)
    return np.asanyarray(resampled.dataobj)[grid.mask].T


def _table_beside(path: Path) -> Path | None:
    table = path.with_name(path.name.removesuffix(".gz").removesuffix(".nii") + ".tsv")
    return table if table.is_file() else None


def _label_names(known: np.ndarray, path: Path | None, image: Path) -> tuple[list[int], tuple[str, ...]]:
    """Pair the labels of an image with names; rows of the table whose label the image lacks stay, as empty ones."""
    if path is None:
        return known.tolist(), tuple(f"label{index}" for index in known)
    table = read_table(path)
    if "index" not in table:
        raise InputError(f"{path}: has no column 'index', which a table for the label image {image} needs.")
    if not all(isinstance(index, int | float) and index == int(index) for index in table["index"].dropna().tolist()):
        raise InputError(f"{path}: column 'index' holds something else than whole numbers.")
    table = table[table["index"].fillna(0) > 0]  # 0 is the background
    indices = table["index"].astype(int).tolist()
    names = _names(table, path)
    if len(set(indices)) < len(indices):
        raise InputError(f"{path}: an index occurs twice.")
    missing = sorted(set(known.tolist()) - set(indices))
    if missing:
        raise InputError(f"{path}: has no row for label {missing[0]} of {image} ({len(missing)} labels lack one).")
    return indices, names


def _map_names(count: int, path: Path | None, image: Path) -> tuple[str, ...]:
    if path is None:
        if count == len(SMITH_NAMES) and any(word in image.name.lower() for word in ("smith", "rsn10")):
            return SMITH_NAMES
        return tuple(f"map{number:02d}" for number in range(1, count + 1))
    table = read_table(path)
    if len(table) != count:
        raise InputError(f"{path}: has {len(table)} rows for the {count} maps of {image}; it needs one row per map.")
    return _names(table.sort_values("index") if "index" in table else table, path)


def _names(table, path: Path) -> tuple[str, ...]:
    column = next((column for column in ("name", "label") if column in table), None)
    if column is None:
        raise InputError(f"{path}: has no column 'name'; its columns are {', '.join(map(str, table.columns))}.")
    if table[column].isna().any():
        raise InputError(f"{path}: column '{column}' has an empty cell.")
    names = tuple(str(name).strip() for name in table[column])
    doubled = sorted({name for name in names if names.count(name) > 1})
    if doubled:
        raise InputError(f"{path}: the name {doubled[0]} occurs twice.")
    return names
