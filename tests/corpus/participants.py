"""Malformed inputs of one participant, each with what its line has to say."""

import gzip
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from .dataset import N_VOLUMES, SHAPE, Corpus, exchange, exchange_header
from .tables import OF_RUNS, WIDE_CONFOUNDS


class Bad(NamedTuple):
    """One way to spoil a file of a run."""

    kind: str  # which file
    name: str
    words: str  # regular expression
    spoil: Callable[[Path, Corpus], object]


def _link(path: Path, target: Path | str) -> None:
    path.unlink()
    path.symlink_to(target)


def _pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


ODD_FILES = (
    ("pipe", r"no regular file", lambda path, corpus: _pipe(path)),
    ("loop", r"Too many levels of symbolic links", lambda path, corpus: _link(path, path)),
    ("folder", r"is a folder", lambda path, corpus: _folder(path)),
    ("device", r"no regular file", lambda path, corpus: _link(path, "/dev/zero")),
    ("dangling", r"content .*not here", lambda path, corpus: _link(path, "nowhere")),
    ("empty", r"is empty \(0 bytes\)", lambda path, corpus: exchange(path, "")),
)
"""What is no file, whichever file should be there."""


def _values(change: Callable[[np.ndarray], object], dtype: str = "f4") -> Callable[[Path, Corpus], None]:
    def spoil(path: Path, corpus: Corpus) -> None:
        values = corpus.volumes.astype(dtype) if "bold" in path.name else corpus.mask.astype(dtype)
        changed = change(values)
        image = corpus.image(values if changed is None else changed)
        exchange(path, gzip.compress(image.to_bytes(), 1))

    return spoil


def _header(**fields) -> Callable[[Path, Corpus], None]:
    return lambda path, corpus: exchange_header(path, **fields)


def _set(key, value) -> Callable[[np.ndarray], None]:
    return lambda values: values.__setitem__(key, value)


def _cut(part: float) -> Callable[[Path, Corpus], None]:
    return lambda path, corpus: exchange(path, path.read_bytes()[: int(part * path.stat().st_size)])


def _flip(position: float) -> Callable[[Path, Corpus], None]:
    def spoil(path: Path, corpus: Corpus) -> None:
        content = bytearray(path.read_bytes())
        content[int(position * len(content))] ^= 0xFF
        exchange(path, bytes(content))

    return spoil


def _text(text: str | bytes) -> Callable[[Path, Corpus], None]:
    return lambda path, corpus: exchange(path, text)


def _tiny_lie(path: Path, corpus: Corpus) -> None:
    header = corpus.image(corpus.volumes).header.copy()
    header.set_data_shape((1000, 1000, 1000))
    header.set_data_dtype("f8")
    exchange(path, gzip.compress(header.binaryblock + bytes(4)))


def _dims(*dims: int) -> Callable[[Path, Corpus], None]:
    return _header(dim=(len(dims), *dims, *(1,) * (7 - len(dims))))


DAMAGED = (
    ("text", r"cannot be read as a NIfTI image", _text("this is no image")),
    ("html", r"cannot be read", _text("<!DOCTYPE html><html><body>404</body></html>")),
    ("notgzip", r"cannot be read", _text(b"\x1f\x8b" + b"\x00" * 100)),
    ("emptygzip", r"cannot be read", _text(gzip.compress(b""))),
    ("headeronly", r"cannot be read", lambda path, corpus: exchange(path, gzip.compress(bytes(352)))),
    ("lie", r"its header claims 1000x1000x1000 values", _tiny_lie),
    ("magic", r"Cannot work out file type", _header(magic=b"xyz")),
    ("datatype", r"data code 999 not recognized", _header(datatype=999)),
    ("rgb", r"\('R', 'u1'\).*(an image of real numbers is needed|cannot hold more than)", _header(datatype=128)),
    ("complex", r"complex64.*(an image of real numbers is needed|cannot hold more than)", _header(datatype=32)),
    ("zerodim", r"its header claims the shape 24x0x24", _dims(24, 0, 24, 24)),
    ("negative", r"its header claims the shape 24x30x-24", _dims(24, 30, -24, 24)),
    ("offsetnan", r"cannot be read", _header(vox_offset=np.nan)),
    ("offsetinf", r"cannot be read", _header(vox_offset=np.inf)),
    ("offsetfar", r"its header claims .*954 MiB", _header(vox_offset=1e9)),
    ("offsetback", r"cannot be read", _header(vox_offset=-400)),
    ("affinenan", r"its affine is singular", _header(srow_x=np.nan, srow_y=np.nan)),
    ("affineinf", r"its affine is singular", _header(srow_z=np.inf)),
    ("flat", r"its affine is singular", _header(srow_x=0)),
    ("noplace", r"neither sform nor qform", _header(sform_code=0, qform_code=0)),
    ("metres", r"lengths are in meter", _header(xyzt_units=1 + 8)),
    (
        "hugevoxels",
        r"which no image of a brain has",
        _header(srow_x=(8000, 0, 0, 0), srow_y=(0, 8000, 0, 0), srow_z=(0, 0, 8000, 0)),
    ),
    ("cut", r"\(Compressed file ended before", _cut(0.5)),
    ("cutend", r"\(Compressed file ended before", lambda path, corpus: exchange(path, path.read_bytes()[:-6])),
    ("flipped", r"cannot be read \((Error -3 while decompressing|CRC check failed)", _flip(0.5)),
)
"""Images that are damaged, whether of the run or of its mask."""

BOLD = (
    ("series32767", r"its header claims 24x30x24x32767 values .*cannot hold more than", _dims(24, 30, 24, 32767)),
    ("series3d", r"a 4D image with several volumes is needed", _values(lambda values: values[..., 0])),
    ("one", r"a 4D image with several volumes is needed", _values(lambda values: values[..., :1])),
    ("two", r"has 24 rows, but the run has 2 volumes", _values(lambda values: values[..., :2])),
    ("sixaxes", r"a 4D image with several volumes is needed", _dims(24, 30, 24, 12, 2, 1)),
    ("zeros", r"no values but 0", _values(_set(..., 0))),
    ("nan", r"volume 5 has values that are not finite", _values(_set((..., 5), np.nan))),
    ("inf", r"volume 7 has values that are not finite", _values(_set((..., 7), np.inf))),
    ("constant", r"no voxel in its brain mask varies over time", _values(_set(..., 1000))),
    ("intercept", r"Valid slope but invalid intercept", _header(scl_inter=np.inf, scl_slope=1)),
    ("large", r"not finite \(NaN, infinite, or above 1e\+30\)", _values(lambda values: values * np.float32(1e33))),
    ("double", r"above 1e\+30", _values(lambda values: values * 1e297, "f8")),
    (
        "denormal",
        r"its largest value is .*too small to compute with",
        _values(lambda values: values * np.float32(1e-42)),
    ),
    (
        "denormaldouble",
        r"its largest value is .*too small to compute with",
        _values(lambda values: values * 1e-318, "f8"),
    ),
)

MASKS = (
    ("zeros", r"the brain mask is empty", _values(_set(..., 0), "u1")),
    ("grid", r"lies on another grid", _values(lambda values: values[:-1], "u1")),
    ("place", r"lies on another grid", _header(srow_x=(8, 0, 0, -60))),
    ("nan", r"the brain mask is empty", _values(_set(..., np.nan))),
    (
        "corner",
        r"of the MNI brain lies inside this run's brain mask",
        _values(lambda values: np.eye(30, 24)[None].repeat(24, 0) * (np.arange(24) < 2)[:, None, None], "u1"),
    ),
)

DEEP = "[" * 3000 + "]" * 3000
JSON = (
    ("brackets", r"is not valid JSON", _text("[" * 100_000)),
    ("deep", r"nested more than 100 deep", _text('{"RepetitionTime": ' + DEEP + "}")),
    ("list", r"holds no JSON object", _text("[2.0]")),
    ("number", r"holds no JSON object", _text("2.0")),
    ("text", r"is not valid JSON", _text("RepetitionTime: 2")),
    ("half", r"is not valid JSON", _text('{"RepetitionTime": 2.0')),
    ("comment", r"is not valid JSON", _text('{"RepetitionTime": 2.0, // s\n}')),
    ("utf16", r"UTF-16", _text('{"RepetitionTime": 2.0}'.encode("utf-16"))),
    ("bytes", r"no text", _text(bytes(range(256)))),
)
REPETITION_TIMES = tuple(
    (
        name,
        r"RepetitionTime is .*(not a positive number of seconds|impossible in seconds)",
        _text(json.dumps({"RepetitionTime": value})),
    )
    for name, value in {
        "digits": 10**400,
        "exponent": float("inf"),
        "nan": float("nan"),
        "word": "two",
        "truth": True,
        "pair": [2.0, 2.0],
        "object": {"s": 2},
        "zero": 0,
        "minus": -2,
        "milli": 2000,
        "denormal": 5e-324,
        "huge": 1e30,
    }.items()
)
SIDECARS = (
    *REPETITION_TIMES,
    ("timing", r"VolumeTiming", _text('{"VolumeTiming": [0, 2, 1]}')),
    ("timinghuge", r"VolumeTiming", _text('{"VolumeTiming": [0, 1' + "0" * 400 + "]}")),
    ("timingshort", r"VolumeTiming lists 3 volumes", _text('{"VolumeTiming": [0, 2, 4]}')),
    (
        "both",
        r"RepetitionTime is 2 s and VolumeTiming",
        _text(json.dumps({"RepetitionTime": 2, "VolumeTiming": list(range(0, 72, 3))})),
    ),
    ("delay", r"DelayTime is", _text('{"RepetitionTime": 2, "DelayTime": 1' + "0" * 400 + "}")),
    ("start", r"StartTime is", _text('{"RepetitionTime": 2, "StartTime": "late"}')),
)


def _table(header: str, cell: str, n_rows: int = N_VOLUMES) -> Callable[[Path, Corpus], None]:
    rows = "\n".join("\t".join([cell] * (header.count("\t") + 1)) for _ in range(n_rows))
    return _text(f"{header}\n{rows}\n")


_NAMES = "white_matter\tcsf\tframewise_displacement"
CONFOUNDS = (
    ("rows", r"has 21 rows, but the run has 24 volumes", _table(_NAMES, "0.1", 21)),
    ("commas", r"separated by commas", _text("white_matter,csf\n" + "0.1,0.2\n" * 24)),
    ("semicolons", r"separated by semicolons", _text("white_matter;csf\n" + "0.1;0.2\n" * 24)),
    ("words", r"not a number", _table(_NAMES, "high")),
    ("ragged", r"line 2 has 2 cells, and the header 3", _text(_NAMES + "\n" + "0.1\t0.2\n" * 24)),
    ("headeronly", r"has 0 rows, but the run has 24 volumes", _text(_NAMES + "\n")),
    ("quote", r"line 2 has 1 cells, and the header 3", _text(_NAMES + '\n"0.1\t0.2\t0.3\n' + "0.1\t0.2\t0.3\n" * 23)),
    ("digits", r"holds inf, which is no displacement", _table(_NAMES, "9" * 400)),
    ("infinite", r"holds inf, which is no displacement", _table(_NAMES, "inf")),
    ("huge", r"Only 0 of 24 volumes are left", _table(_NAMES, "1e300")),
    ("moved", r"Only 0 of 24 volumes are left", _table(_NAMES, "99")),
    ("nul", r"has 0 rows, but the run has 24 volumes", _text(b"\0" * 1000)),
    ("wide", r"has 100001 columns, and no such table has more than 10000", _text(WIDE_CONFOUNDS)),
    ("bomb", r"is empty; use the table of confounds", _text(gzip.compress(b"\t" * 10**6))),
)

LABELS = {
    "x[1]": r"its label 'x\[1\]' has a \[",
    "x*": r"its label 'x\*' has a \*",
    "x?": r"its label 'x\?' has a \?",
    "back\\slash": r"has a \\",
    "l" * 180: "its labels are too long",
    "é" * 90: "its labels are too long",
    "a\nb": "cannot be printed: rename it",
    "a\x1b[31m": "cannot be printed: rename it|has a \\[",
}
BORNE = ("a b", "é", "(x)", "a%s", "日本", "p+q")

HARMLESS = (
    *((f"confoundssidecar{name}", "confounds_sidecar", spoil) for name, _, spoil in JSON[:2]),
    ("eventspipe", "events", lambda path, corpus: _pipe(path)),
    *((f"events{name}", "events", _text(content)) for name, content in OF_RUNS.items()),
)
"""Damage to what is not needed, which costs nothing, or the test against events alone."""

BAD = (
    *(Bad(kind, *one) for kind in ("bold", "mask", "sidecar", "confounds") for one in ODD_FILES),
    *(Bad(kind, *one) for kind in ("bold", "mask") for one in DAMAGED),
    *(Bad("bold", *one) for one in BOLD),
    *(Bad("mask", *one) for one in MASKS),
    *(Bad("sidecar", *one) for one in JSON),
    *(Bad("sidecar", *one) for one in SIDECARS),
    *(Bad("confounds", *one) for one in CONFOUNDS),
)


def make_corpus(root: Path) -> Corpus:
    """Write all of them, one participant each, beside the healthy one."""
    assert SHAPE == (24, 30, 24)  # which the headers above lie about
    corpus = Corpus(root)
    for bad in BAD:
        label = f"{bad.kind.replace('_', '')}{bad.name}"
        corpus.add(label, bad.words)
        bad.spoil(corpus.path(label, bad.kind), corpus)
    for label, words in LABELS.items():
        corpus.add(label, words)
    for label, kind, spoil in HARMLESS:
        corpus.add(label, "")
        spoil(corpus.path(label, kind), corpus)
    for label in BORNE[:2]:
        corpus.add(label, "")
    return corpus
