"""Templates, read from a file, an image or by name: resampled to a grid, binarised by one rule per kind of image."""

from __future__ import annotations

import difflib
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Literal

import nibabel as nib
import numpy as np

from ...errors import InputError, UsageError
from ...files import PathLike
from ...grid import Grid, load_grid
from ...images import ImageLike, name_of
from ...maps import THRESHOLD, binarise
from ...options import Evaluation
from ...words import counted, percent
from .label_images import as_labels
from .smith2009 import SMITH_NAMES, find_smith2009
from .template_images import in_mask, on_grid, read_templates
from .template_kinds import GIVEN, Recognised, checked_kind, recognise
from .template_names import NameTable, label_names, map_names, read_names
from .template_set import TemplateSet

__all__ = ["TEMPLATE_NAMES", "check_templates", "load_templates"]

TEMPLATE_NAMES = ("default", "smith2009")
"""Templates that are known by name: shipped, and looked for on this machine."""

LOST = 0.5
"""Templates with a smaller share of their voxels inside the model's brain mask are named."""

MOST_LOADED = 4
"""Template sets that a process keeps: a worker scores run after run against the same ones."""

_loaded: dict[tuple[object, ...], TemplateSet] = {}


def check_templates(spec: PathLike) -> None:
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
    spec: ImageLike = Evaluation.templates,
    *,
    grid: Grid | None = None,
    labels: PathLike | None = None,
    kind: str = Evaluation.template_kind,
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
    spec : str, path or image
        ``"default"`` (networks of Seitzman et al. 2018, shipped), ``"smith2009"`` (must be on this machine), or an
        image: 4D with one map per volume, or labels.
    grid : Grid, optional
        The model's whole grid; by default that of the shipped mask. `TemplateSet.inside` cuts the result to a run's
        region.
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

    >>> templates = load_templates("default")
    >>> templates.kind, templates.names[:3]
    ('labels', ('Auditory', 'CinguloOpercular', 'DefaultMode'))
    """
    grid = load_grid() if grid is None else grid
    if isinstance(spec, nib.spatialimages.SpatialImage):
        return _load(spec, grid, labels, kind, Path(name_of(spec)).name, what)
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


def _load(image: ImageLike, grid: Grid, labels: PathLike | None, kind: str, title: str, what: str) -> TemplateSet:
    path, in_memory = Path(name_of(image)), isinstance(image, nib.spatialimages.SpatialImage)
    table = Path(labels) if labels is not None else _table_beside(path)
    if table is not None and not table.is_file():
        raise UsageError(f"{table}: there is no such file; `{what}_labels` is a table of names.")
    if in_memory:
        return _read(image, path, grid, table, kind, title, what)
    stamps = tuple((str(file), file.stat().st_mtime_ns, file.stat().st_size) for file in (path, table) if file)
    key = (*stamps, grid.checksum, kind, title, what)
    if key not in _loaded:
        while len(_loaded) >= MOST_LOADED:
            _loaded.pop(next(iter(_loaded)))
        _loaded[key] = _read(image, path, grid, table, kind, title, what)
    return _loaded[key]


def _table_beside(path: Path) -> Path | None:
    table = path.with_name(path.name.removesuffix(".gz").removesuffix(".nii") + ".tsv")
    return table if table.is_file() else None


def _read(
    image: ImageLike, path: Path, grid: Grid, table: Path | None, kind: str, title: str, what: str
) -> TemplateSet:
    names = None if table is None else read_names(table)
    asked = checked_kind(kind, what)
    whole, warnings = read_templates(image)
    source = _Source(whole, path, grid, names, title, what)
    found = source.recognised() if asked is None else Recognised(asked, GIVEN)
    made = source.of_labels(found) if found.kind == "labels" else source.of_maps(found)
    said = (*warnings, *found.warnings, *(() if names is None else names.warnings), *made.warnings, *_lost(made))
    return replace(made, warnings=said)


class _Source:
    """An image of templates, read whole, and what goes with it.

    Raises
    ------
    InputError
        If the image holds nothing above 0 inside the brain mask.
    """

    def __init__(self, image: nib.Nifti1Image, path: Path, grid: Grid, table: NameTable | None, title: str, what: str):
        self.image, self.path, self.grid, self.table, self.title, self.what = image, path, grid, table, title, what
        self.values = np.asanyarray(image.dataobj)
        if not (self.values > 0).any():
            raise InputError(f"{path}: holds no value above 0, so no template has a voxel.")
        self.inside = in_mask(image, grid)
        if not (self.values[self.inside] > 0).any():
            raise InputError(f"{path}: no template has a voxel in the model's brain mask: {_places(image, grid)}.")
        self.named = () if table is None or table.indices is None else table.indices

    def recognised(self) -> Recognised:
        """Recognise what the image holds."""
        return recognise(
            self.values,
            lambda: float((on_grid(self.image, self.grid, "nearest") == 0).mean()),
            source=self.path.name,
            what=self.what,
            named=self.named,
        )

    def of_labels(self, found: Recognised) -> TemplateSet:
        """Make a template of the voxels of each label."""
        labels = as_labels(self.values, source=self.path.name, what=self.what, named=self.named)
        known = labels.indices.tolist()
        if self.table is None:
            indices, names = known, tuple(f"label{index}" for index in known)
        else:
            indices, names = label_names(known, self.table, self.path)
        as_image = nib.Nifti1Image(labels.codes[..., None].astype(np.float32), self.image.affine)
        codes = on_grid(as_image, self.grid, "nearest")[0]
        places = [known.index(index) + 1 if index in known else 0 for index in indices]
        binary = np.rint(codes).astype(int) == np.where(places, places, -1)[:, None]
        both = labels.codes, labels.codes[self.inside]
        counts = [np.bincount(own.ravel(), minlength=len(known) + 1) for own in both]
        total, kept = (np.where(places, count[places], 0) for count in counts)
        if any(value < 0 for value in labels.background):
            background = ", ".join(map(str, labels.background))
            found = replace(found, reason=f"{found.reason}; background {background}")
        return self._finished(names, binary, found, total, kept, warnings=labels.warnings)

    def of_maps(self, found: Recognised) -> TemplateSet:
        """Make a template of each volume."""
        continuous, least = None, np.zeros(self.image.shape[3])
        if found.kind == "continuous":
            continuous = on_grid(self.image, self.grid, "linear")
            binary = binarise(continuous, THRESHOLD)
            least = THRESHOLD * continuous.max(axis=1)
        else:
            binary = on_grid(self.image, self.grid, "nearest") > 0
        names = self._map_names(len(binary))
        total, kept = np.zeros((2, len(binary)), dtype=int)
        for number, volume in enumerate(np.moveaxis(self.values, -1, 0)):
            above = (volume > 0) & (volume > least[number])
            total[number], kept[number] = above.sum(), above[self.inside].sum()
        return self._finished(names, binary, found, total, kept, continuous=continuous)

    def _map_names(self, count: int) -> tuple[str, ...]:
        if self.table is not None:
            return map_names(count, self.table, self.path)
        if count == len(SMITH_NAMES) and any(word in self.path.name.lower() for word in ("smith", "rsn10")):
            return SMITH_NAMES
        return tuple(f"map{number:02d}" for number in range(1, count + 1))

    def _finished(
        self,
        names: tuple[str, ...],
        binary: np.ndarray,
        found: Recognised,
        total: np.ndarray,
        kept: np.ndarray,
        *,
        continuous: np.ndarray | None = None,
        warnings: tuple[str, ...] = (),
    ) -> TemplateSet:
        for array in (continuous, binary):
            if array is not None:
                array.flags.writeable = False  # the next caller gets the same set
        share = np.divide(kept, total, out=np.full(len(total), np.nan), where=total > 0)
        return TemplateSet(
            names,
            continuous,
            binary,
            self.title,
            found.kind,
            self.grid,
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
