"""What was planted in a simulated run, and what networks, the group's PCA, a filter and the volume show of it."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from ...derivatives.reading import Run
from ...errors import InputError
from ...images import read_image
from ...maps import BRANCHES
from ...words import capitalised, listed, number
from .. import brains
from ..items import Item, Section
from ..labels import method_label, numbers, ordered_methods
from ..page import Cell, Table

__all__ = ["RUN_SECTION"]

_COLUMNS = ("average_precision", "size_matched_iou", "r", "networks_named")
_HEADINGS = ("Average precision", "Size-matched IoU", "Pearson r", "Networks named (%)")


def planted_sentences(run: Run) -> list[str]:
    """Say who finds most of what was planted."""
    table = run.table("planted", ["method", "n_volumes", *_COLUMNS]).set_index("method")
    sentences = [
        "This run is simulated, so what was there in every volume is known. Each method's map of a volume is held "
        "against the noise-free planted volume; branch 1 of a calibrated network marks what is above a voxel's mean. "
        "Attention that ships with the software was trained on other simulated networks of the same kind, so real ones "
        "are found less well than these (see docs/evidence.md)."
    ]
    for score, word in (("r", "correlation"), ("average_precision", "average precision")):
        values = numbers(table[score]).dropna()
        networks = [name for name in values.index if name in BRANCHES]
        if not networks or len(values) == len(networks):
            continue
        own = str(values[networks].idxmax())
        others = values.drop(networks).sort_values(ascending=False).head(2)
        rivals = listed([f"{method_label(str(name))} {number(value)}" for name, value in others.items()])
        sentences.append(
            f"{capitalised(word)}, mean over volumes: {method_label(own)} {number(values[own])}; {rivals}."
        )
    return sentences


def planted_table(run: Run) -> Table:
    """Tabulate how well every method finds what was planted."""
    table = run.table("planted", ["method", *_COLUMNS]).set_index("method")
    values = table[list(_COLUMNS)].apply(numbers)
    best = values.max()
    rows = []
    for method in ordered_methods(values.index):
        own = values.loc[method]
        written = [number(own[name]) for name in _COLUMNS[:-1]] + [number(100 * own["networks_named"], 0)]
        cells = [Cell(text, strong=bool(own[name] == best[name])) for name, text in zip(_COLUMNS, written, strict=True)]
        rows.append([Cell(method_label(method)), *cells])
    caption = (
        "Means over all kept volumes, against the planted volume (above 0.3 of its maximum for the first two). "
        "Networks named: volumes whose map resembles the strongest planted network most. Bold: the best of a column. "
        "Filters are shown at every width; the best of them was chosen on this very run."
    )
    return Table("Planted and found", ["Method", *_HEADINGS], rows, caption)


def planted_mosaic(run: Run) -> Figure:
    """Draw planted volumes, and what each method shows in the same volumes."""
    about = run.sidecar("planted_maps")
    volumes, methods = about.get("ExampleVolumes", []), about.get("ExampleMethods", [])
    networks = about.get("ExampleNetworks", [])
    values, image = read_image(run.path("planted_maps"))
    if values.ndim != 4 or len(volumes) != len(networks) or values.shape[3] != len(volumes) * len(methods):
        raise InputError(f"{run.path('planted_maps')}: does not hold what its sidecar says.")
    maps = np.moveaxis(values, 3, 0).reshape(len(methods), len(volumes), *values.shape[:3])
    rows = [
        (f"volume {volume} · {network}", [of_method[index] for of_method in maps])
        for index, (volume, network) in enumerate(zip(volumes, networks, strict=True))
    ]
    titles = [name if name == "planted" else method_label(str(name)) for name in methods]
    return brains.fbn_mosaic(rows, image.affine, branches=titles, heights=brains.FEW_HEIGHTS)


RUN_SECTION: Section[Run] = Section(
    "planted",
    "Planted and found",
    (
        Item(planted_sentences, ("planted",)),
        Item(
            planted_mosaic,
            ("planted", "planted_maps"),
            key="examples",
            title="What was planted, and what was found, in the same volumes",
            caption="The volumes in which four of the planted networks are strongest. Left: what was planted, without "
            "noise; then the better branch of the network, the group's PCA of the same training runs, the best filter, "
            "and the volume itself, all scaled by equation 9 and shown where they exceed 0.3.",
            alt="Axial brain slices: planted networks of four volumes, and the maps of four methods in these volumes.",
            vector=False,
        ),
        Item(planted_table, ("planted",)),
    ),
    optional=True,
)
