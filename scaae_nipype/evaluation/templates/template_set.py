"""Network templates: read from a file or by name, resampled to a grid, binarised by one rule per kind of image."""

from __future__ import annotations

import difflib
import os
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Literal

import nibabel as nib
import numpy as np

from ...errors import InputError, UsageError
from ...grid import Grid
from ...maps import THRESHOLD, binarise
from ...words import counted, percent
from .smith2009 import SMITH_NAMES, fetch_smith2009, find_smith2009, smith2009_folders
from .template_images import in_mask, on_grid, read_templates
from .template_kinds import Kind, Recognised, as_labels, checked_kind, recognise
from .template_names import NameTable, label_names, map_names, read_names

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

TEMPLATE_NAMES = ("default", "smith2009")
"""Templates that are known by name: shipped, and looked for on this machine."""

GIVEN = "not recognised but given"
"""Why an image is of its kind where nobody had to recognise it."""

LOST = 0.5
"""Templates with a smaller share of their voxels inside the model's brain mask are named."""

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
        Sentences on what a user should check: templates that cannot be scored, a kind that was hard to tell.
    reason : str
        What told the kind.
    image_voxels : int array, (n_templates,), or None
        Voxels of each template in its image, by the same rule.
    share_in_mask : float array, (n_templates,), or None
        Share of those that lie in the brain mask of the model's whole grid; NaN for a template without voxels.
    """

    names: tuple[str, ...]
    continuous: np.ndarray | None
    binary: np.ndarray
    source: str
    kind: Kind
    grid: Grid
    warnings: tuple[str, ...] = ()
    reason: str = ""
    image_voxels: np.ndarray | None = None
    share_in_mask: np.ndarray | None = None

    @property
    def voxels(self) -> np.ndarray:
        """Voxels of each template on the grid, (n_templates,)."""
        return self.binary.sum(axis=1)

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


def check_templates(spec: str | os.PathLike) -> None:
    """Refuse what is neither a known name nor a file; whether the file holds templates is for `load_templates` to see.

    Raises
    ------
    UsageError
    """
    if str(spec) in TEMPLATE_NAMES or Path(spec).is_file():
        return
    if Path(spec).is_dir():
        raise UsageError(f"Templates '{spec}': is a folder; give one image: labels, or 4D with one map per volume.")
    near = difflib.get_close_matches(str(spec).lower(), TEMPLATE_NAMES, n=1)
    hint = f" (did you mean {near[0]}?)" if near else ""
    raise UsageError(f"Templates '{spec}': neither a file nor one of {', '.join(TEMPLATE_NAMES)}{hint}.")


def load_templates(
    spec: str | os.PathLike,
    *,
    grid: Grid,
    labels: str | os.PathLike | None = None,
    kind: Kind | Literal["auto"] = "auto",
    what: Literal["template", "atlas"] = "template",
) -> TemplateSet:
    """Load templates onto a grid and binarise them.

    ============  ===========================================  ==========  =======================================
    kind          recognised by                                resampled   voxels of the binary template
    ============  ===========================================  ==========  =======================================
    labels        one volume of (nearly) whole numbers, equal  nearest     those that carry the label
                  between most neighbours; one value below 0
                  counts as background
    thresholded   more than half of the values inside the      nearest     values > 0
                  brain mask are exactly 0, and there are
                  none between 0 and 0.3 of the highest
    continuous    values down to nearly 0, or below            linearly    values > 0.3 × the map's own maximum
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
        Names: a table with a column ``name`` (or ``label`` …) and, for a label image, ``index``; for a 4D image one
        row per volume. `read_names` says what else is read. Without it a table of the same name beside the image is
        taken, if there is one.
    kind : str
        Says what the image holds where the rule above would be wrong.
    what : str
        What messages call it.

    Raises
    ------
    UsageError
        If `spec` is neither a known name nor a file.
    InputError
        If the image cannot be read, its kind cannot be told, no template has a voxel in the mask, or the label table
        does not fit.

    >>> from scaae_nipype.grid import load_grid
    >>> templates = load_templates("default", grid=load_grid())
    >>> templates.kind, templates.names[:3]
    ('labels', ('Auditory', 'CinguloOpercular', 'DefaultMode'))
    """
    if str(spec) == "default":
        if checked_kind(kind, what) not in (None, "labels"):
            raise UsageError(f"`{what}_kind` {kind}: the default templates are labels; give an image, or leave it out.")
        data = resources.files("scaae_nipype.data")
        with (
            resources.as_file(data / "seitzman2018_dseg_4mm.nii.gz") as image,
            resources.as_file(data / "seitzman2018_dseg.tsv") as table,
        ):
            source = "Networks of Seitzman et al. (2018), grey matter within 12 mm of a region (shipped)"
            return _load(image, grid, labels or table, "labels", source, what)
    if str(spec) == "smith2009":
        path = find_smith2009()
        return _load(path, grid, labels, kind, f"Smith et al. (2009), {path.name}", what)
    check_templates(spec)
    path = Path(spec)
    return _load(path, grid, labels, kind, path.name, what)


def _load(path: Path, grid: Grid, labels: str | os.PathLike | None, kind: str, source: str, what: str) -> TemplateSet:
    table = Path(labels) if labels is not None else _table_beside(path)
    if table is not None and not table.is_file():
        raise UsageError(f"{table}: there is no such file; `{what}_labels` is a table of names.")
    stamps = tuple((str(file), file.stat().st_mtime_ns, file.stat().st_size) for file in (path, table) if file)
    key = (*stamps, grid.checksum, kind, source, what)
    if key not in _loaded:
        while len(_loaded) >= MOST_LOADED:
            _loaded.pop(next(iter(_loaded)))
        _loaded[key] = _made(path, grid, None if table is None else read_names(table), kind, source, what)
    return _loaded[key]


def _made(path: Path, grid: Grid, table: NameTable | None, kind: str, source: str, what: str) -> TemplateSet:
    asked = checked_kind(kind, what)
    image, warnings = read_templates(path)
    values = np.asanyarray(image.dataobj)
    if not (values > 0).any():
        raise InputError(f"{path}: holds no value above 0, so no template has a voxel.")
    inside = in_mask(image, grid)
    if not (values[inside] > 0).any():
        raise InputError(f"{path}: no template has a voxel in the model's brain mask: {_places(image, grid)}.")
    named = () if table is None or table.indices is None else table.indices
    if asked is None:
        found = recognise(
            values,
            lambda: float((on_grid(image, grid, "nearest") == 0).mean()),
            source=path.name,
            what=what,
            named=named,
        )
    else:
        found = Recognised(asked, GIVEN)
    of_kind = _of_labels if found.kind == "labels" else _of_maps
    made = of_kind(path, image, grid, inside, table, source, found, what)
    said = (*warnings, *found.warnings, *(() if table is None else table.warnings), *made.warnings, *_lost(made))
    return replace(made, warnings=said)


def _of_labels(
    path: Path,
    image: nib.Nifti1Image,
    grid: Grid,
    inside: np.ndarray,
    table: NameTable | None,
    source: str,
    found: Recognised,
    what: str,
) -> TemplateSet:
    named = () if table is None or table.indices is None else table.indices
    labels = as_labels(np.asanyarray(image.dataobj), source=path.name, what=what, named=named)
    known = labels.indices.tolist()
    if table is None:
        indices, names = known, tuple(f"label{index}" for index in known)
    else:
        indices, names = label_names(known, table, path)
    codes = on_grid(nib.Nifti1Image(labels.codes[..., None].astype(np.float32), image.affine), grid, "nearest")[0]
    places = [known.index(index) + 1 if index in known else 0 for index in indices]
    binary = np.rint(codes).astype(int) == np.where(places, places, -1)[:, None]
    counts = [np.bincount(own.ravel(), minlength=len(known) + 1) for own in (labels.codes, labels.codes[inside])]
    total, kept = (np.where(places, count[places], 0) for count in counts)
    reason = found.reason
    if any(value < 0 for value in labels.background):
        reason += f"; background {', '.join(map(str, labels.background))}"
    return _finished(names, None, binary, source, replace(found, reason=reason), grid, total, kept, labels.warnings)


def _of_maps(
    path: Path,
    image: nib.Nifti1Image,
    grid: Grid,
    inside: np.ndarray,
    table: NameTable | None,
    source: str,
    found: Recognised,
    what: str,
) -> TemplateSet:
    continuous, least = None, np.zeros(image.shape[3])
    if found.kind == "continuous":
        continuous = on_grid(image, grid, "linear")
        binary = binarise(continuous, THRESHOLD)
        least = THRESHOLD * continuous.max(axis=1)
    else:
        binary = on_grid(image, grid, "nearest") > 0
    names = _map_names(len(binary), table, path)
    total, kept = np.zeros((2, len(binary)), dtype=int)
    for number, volume in enumerate(np.moveaxis(np.asanyarray(image.dataobj), -1, 0)):
        above = (volume > 0) & (volume > least[number])
        total[number], kept[number] = above.sum(), above[inside].sum()
    return _finished(names, continuous, binary, source, found, grid, total, kept, ())


def _finished(
    names: tuple[str, ...],
    continuous: np.ndarray | None,
    binary: np.ndarray,
    source: str,
    found: Recognised,
    grid: Grid,
    total: np.ndarray,
    kept: np.ndarray,
    warnings: tuple[str, ...],
) -> TemplateSet:
    for array in (continuous, binary):
        if array is not None:
            array.flags.writeable = False  # the next caller gets the same set
    share = np.divide(kept, total, out=np.full(len(total), np.nan), where=total > 0)
    return TemplateSet(
        names,
        continuous,
        binary,
        source,
        found.kind,
        grid,
        warnings,
        found.reason,
        image_voxels=total,
        share_in_mask=share,
    )


def _lost(templates: TemplateSet) -> list[str]:
    """Say which templates are not, or not whole, on the model's grid, and why."""
    said = []
    assert templates.image_voxels is not None and templates.share_in_mask is not None
    for name, voxels, total, share in zip(
        templates.names, templates.voxels, templates.image_voxels, templates.share_in_mask, strict=True
    ):
        if not total or not share:
            said.append(f"Template {name} has no voxel in the model's brain mask.")
        elif not voxels:
            said.append(
                f"Template {name} is lost: its {counted(total, 'voxel')} of the image fall between those "
                "of the model's grid."
            )
        elif share < LOST:
            said.append(
                f"Template {name} lies mostly outside the model's brain mask: {percent(share)} of its {total} "
                "voxels are inside."
            )
    return said


def _places(image: nib.Nifti1Image, grid: Grid) -> str:
    """Say where an image and the brain are."""
    filled = np.argwhere((np.asanyarray(image.dataobj) > 0).any(axis=3))
    boxes = []
    for affine, voxels in ((image.affine, filled), (grid.affine, np.argwhere(grid.mask))):
        corners = nib.affines.apply_affine(affine, np.array([voxels.min(axis=0), voxels.max(axis=0)]))
        low, high = np.sort(corners, axis=0)
        boxes.append(", ".join(f"{axis} {a:.0f} to {b:.0f}" for axis, a, b in zip("xyz", low, high, strict=True)))
    return f"its values lie at {boxes[0]} mm, the mask at {boxes[1]} mm; is the image in MNI space?"


def _table_beside(path: Path) -> Path | None:
    table = path.with_name(path.name.removesuffix(".gz").removesuffix(".nii") + ".tsv")
    return table if table.is_file() else None


def _map_names(count: int, table: NameTable | None, image: Path) -> tuple[str, ...]:
    if table is not None:
        return map_names(count, table, image)
    if count == len(SMITH_NAMES) and any(word in image.name.lower() for word in ("smith", "rsn10")):
        return SMITH_NAMES
    return tuple(f"map{number:02d}" for number in range(1, count + 1))
