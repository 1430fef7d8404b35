"""Malformed files that a call as a whole reads, each with the line that refuses it and the exit code."""

import gzip
import json
import os
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import nibabel as nib
import numpy as np

from scaae_nipype.bids_app.exits import EXIT_NOTHING, EXIT_USAGE


class BadCall(NamedTuple):
    """A file that is given with an option."""

    option: str
    name: str  # of the file
    content: str | bytes | Callable[[Path], object]
    words: str  # regular expression
    code: int = EXIT_USAGE


DEEP = "[" * 3000 + "]" * 3000
BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]\n" for a, b in pairwise("abcdefgh")
)


def _image(shape: tuple[int, ...] = (12, 12, 12), value: float = 0, dtype: str = "f4") -> Callable[[Path], None]:
    def write(path: Path) -> None:
        nib.save(nib.Nifti1Image(np.full(shape, value, dtype), np.diag([4.0, 4, 4, 1])), path)

    return write


def _lie(path: Path) -> None:
    header = nib.Nifti1Header()
    header.set_data_shape((1000, 1000, 1000))
    header.set_data_dtype("f8")
    path.write_bytes(gzip.compress(header.binaryblock + bytes(4)))


def _loop(path: Path) -> None:
    path.symlink_to(path)


def _folder(path: Path) -> None:
    path.mkdir()


def _device(path: Path) -> None:
    path.symlink_to("/dev/zero")


FILTER, CONFIG, PLUGIN, STRATEGY = "--bids-filter-file", "--config-file", "--use-plugin", "-p"
TEXTS = (
    *(
        BadCall(option, name, make, rf"{name}: {words}")
        for option in (FILTER, CONFIG, PLUGIN)
        for name, make, words in (
            ("pipe.json", os.mkfifo, r"cannot be read \(it is no regular file\)"),
            ("loop.json", _loop, r"cannot be read \(Too many levels of symbolic links\)"),
            ("folder.json", _folder, r"cannot be read \(it is a folder, no regular file\)"),
            ("device.json", _device, r"cannot be read \(it is no regular file\)"),
        )
    ),
    *(
        BadCall(option, "deep.json", '{"bold": ' + DEEP + "}", r"nested more than 100 deep")
        for option in (FILTER, CONFIG, PLUGIN, STRATEGY)
    ),
    *(
        BadCall(option, "open.json", "[" * 100_000, r"is not valid JSON")
        for option in (FILTER, CONFIG, PLUGIN, STRATEGY)
    ),
    *(
        BadCall(
            option,
            "list.json",
            "[1, 2]",
            r"json: (a filter file holds an object|holds no options|must hold `plugin|holds no JSON object)",
        )
        for option in (FILTER, CONFIG, PLUGIN, STRATEGY)
    ),
    *(
        BadCall(option, "empty.json", "", r"is not valid JSON: Expecting|is not valid JSON \(Expecting")
        for option in (FILTER, CONFIG, PLUGIN, STRATEGY)
    ),
    *(
        BadCall(
            option,
            "latin.json",
            '{"é": 1}'.encode("latin-1"),
            r"is not in UTF-8|is not UTF-8 text|does not understand é",
        )
        for option in (FILTER, CONFIG, PLUGIN, STRATEGY)
    ),
    *(BadCall(option, "bomb.yaml", BOMB, r"more than 10000 entries|JSON") for option in (CONFIG, PLUGIN)),
    *(BadCall(option, "itself.yaml", "a: &a [*a]\n", r"nested more than 100 deep") for option in (CONFIG, PLUGIN)),
    *(
        BadCall(
            option,
            "run.yaml",
            "a: !!python/object/apply:os.system [touch ran]\n",
            r"Unrecognized arguments: --a|could not determine a constructor for the tag",
        )
        for option in (CONFIG, PLUGIN)
    ),
    BadCall(FILTER, "number.json", '{"bold": {"run": 1' + "0" * 400 + "}}", r'"run" must be a label'),
    BadCall(FILTER, "nobold.json", '{"t1w": {}}', r'"bold" entry'),
    BadCall(FILTER, "entity.json", '{"bold": {"sesion": "1"}}', r"did you mean"),
    BadCall(FILTER, "object.json", '{"bold": {"run": {"a": 1}}}', r'"run" must be a label'),
    BadCall(FILTER, "long.json", json.dumps({"bold": {"run": [[1] * 10**5]}}), r'"run" must be a label'),
    BadCall(CONFIG, "unknown.yaml", "nprocz: 2\n", r"nprocz"),
    BadCall(CONFIG, "twice.yaml", "nprocs: 2\nnprocs: 3\n", r"nprocs twice"),
    BadCall(CONFIG, "table.yaml", "nprocs: {a: 1}\n", r"nprocs holds a table"),
    BadCall(CONFIG, "half.toml", "nprocs = ", r"is not valid TOML"),
    BadCall(CONFIG, "tabs.yaml", "nprocs:\t\t2\n\t- x", r"is not valid YAML"),
    BadCall(CONFIG, "long.yaml", "nprocs: " + "9" * 10_000 + "\n", r"nprocs"),
    BadCall(CONFIG, "large.yaml", "# " + "x" * 300_000, r"is larger than 256 KiB"),
    BadCall(CONFIG, "deep.toml", "nprocs = " + "[" * 5000 + "]" * 5000, r"not valid TOML .*nested more than 100 deep"),
    BadCall(CONFIG, "dots.toml", ".".join(["a"] * 20_000) + " = 1", r"not valid TOML .*more than 100 dots"),
    BadCall(CONFIG, "digits.toml", "nprocs = " + "9" * 5000, r"not valid TOML"),
    BadCall(CONFIG, "many.json", "{" + ",".join(f'"k{i}": 1' for i in range(20_000)) + "}", r"arguments: --k0"),
    BadCall(CONFIG, "two.yaml", "nprocs: 1\n---\nnprocs: 2\n", r"expected a single document"),
    BadCall(CONFIG, "key.yaml", "? [nprocs]\n: 1\n", r"found unhashable key"),
    BadCall(CONFIG, "nul.json", '{"work-dir": "a\\u0000b"}', r"can be no path, it has a NUL byte"),
    BadCall(CONFIG, "control.yaml", "nprocs: \x01\n", r"special characters are not allowed"),
    *(
        BadCall(PLUGIN, f"{kind}.yaml", f"plugin: !!{kind} {value}\n", r"not of the type that its tag says")
        for kind, value in (("bool", "maybe"), ("int", '""'), ("float", '""'), ("timestamp", "x"))
    ),
    BadCall(PLUGIN, "date.yaml", "plugin: 2001-99-99\n", r"must hold `plugin: NAME`.*month must be in"),
    BadCall(PLUGIN, "merge.yaml", "<<: [1]\nplugin: Linear\n", r"is not valid YAML"),
    BadCall(PLUGIN, "batch.yaml", "plugin: SLURM\nplugin_args: {sbatch_args: [5]}\n", r"sbatch_args must be text"),
    BadCall(PLUGIN, "half.yaml", "plugin: MultiProc\nplugin_args: {n_procs: 1.5}\n", r"n_procs must be a whole number"),
    BadCall(PLUGIN, "minus.yaml", "plugin: MultiProc\nplugin_args: {memory_gb: -1}\n", r"memory_gb must be a number"),
    BadCall(FILTER, "key.json", json.dumps({"bold": {"k" * 10**5: "x"}}), r'" is no entity of BIDS'),
    BadCall(FILTER, "signs.json", '{"bold": {"task": "a\\nb\\u001b[31m"}}', r"task-a\\nb\\x1b\[31m"),
    BadCall(FILTER, "utf16.json", '{"bold": {}}'.encode("utf-16"), r"in UTF-16 or no text"),
    BadCall(STRATEGY, "names.json", '{"columns": [5, null]}', r"columns must be a list of column names"),
    BadCall(STRATEGY, "power.json", '{"columns": ["csf"], "polynomials": 1000000}', r"whole number from 0 to 10"),
    BadCall(STRATEGY, "band.json", '{"columns": ["csf"], "high_pass": 1, "low_pass": 0.1}', r"must be lower than"),
    BadCall(PLUGIN, "name.yaml", "plugin: 5\n", r"must hold `plugin: NAME`"),
    BadCall(PLUGIN, "other.yaml", "plugin: Sbatch\n", r"is no Nipype plugin"),
    BadCall(PLUGIN, "args.yaml", "plugin: MultiProc\nplugin_args: 7\n", r"plugin_args must hold names and values"),
    BadCall(
        PLUGIN, "procs.yaml", "plugin: MultiProc\nplugin_args: {n_procs: many}\n", r"n_procs must be a whole number"
    ),
    BadCall(PLUGIN, "nan.yaml", "plugin: MultiProc\nplugin_args: {n_procs: .nan}\n", r"n_procs must be a whole number"),
    BadCall(PLUGIN, "inf.yaml", "plugin: MultiProc\nplugin_args: {n_procs: .inf}\n", r"n_procs must be a whole number"),
    BadCall(
        PLUGIN,
        "digits.json",
        '{"plugin": "MultiProc", "plugin_args": {"memory_gb": 1' + "0" * 400 + "}}",
        r"memory_gb must be a number",
    ),
    BadCall(
        PLUGIN,
        "values.yaml",
        "plugin: MultiProc\nplugin_args: {n_procs: [" + "1, " * 5000 + "]}\n",
        r"n_procs must be a whole number",
    ),
    BadCall(STRATEGY, "columns.json", '{"columns": 5}', r"columns must be a list"),
    BadCall(STRATEGY, "none.json", "{}", r'"columns".* is missing'),
    BadCall(
        STRATEGY,
        "digits.json",
        '{"columns": ["csf"], "high_pass": 1' + "0" * 400 + "}",
        r"high_pass must be a frequency",
    ),
    BadCall(STRATEGY, "nan.json", '{"columns": ["csf"], "fd_threshold": NaN}', r"fd_threshold must be a displacement"),
    BadCall(STRATEGY, "truth.json", '{"columns": ["csf"], "polynomials": true}', r"polynomials must be a whole number"),
    BadCall(STRATEGY, "key.json", '{"column": ["csf"]}', r"does not understand column"),
)

TEMPLATES, ATLAS = "--templates", "--atlas"
IMAGES = tuple(
    BadCall(option, name, content, words, EXIT_NOTHING)
    for option in (TEMPLATES, ATLAS)
    for name, content, words in (
        ("text.nii.gz", "no image", r"cannot be read as an image"),
        ("empty.nii.gz", "", r"cannot be read as an image"),
        ("lie.nii.gz", _lie, r"its header claims 1000x1000x1000 values"),
        ("zeros.nii.gz", _image(), r"holds no value above 0, so no template has a voxel"),
        ("nan.nii.gz", _image(value=np.nan), r"holds no value above 0, so no template has a voxel"),
        ("complex.nii.gz", _image(dtype="c8"), r"holds values of type complex64"),
    )
)

OTHERS = (
    (("--work-dir", "x" * 300), r"can be no path", EXIT_USAGE),
    (("--work-dir", "~nosuchuser/w"), r"~nosuchuser", EXIT_USAGE),
    (("--model", "m" * 300), r"can be no path", EXIT_USAGE),
    (("--work-dir", "w\udcff"), r"w\\xff\S*: its name is not in UTF-8", EXIT_USAGE),
    (("--model", "m\udcff"), r"m\\xff: its name is not in UTF-8", EXIT_USAGE),
    (("--templates", "t" * 5000), r"can be no path", EXIT_USAGE),
    (("-p", "s" * 5000), r"can be no path", EXIT_USAGE),
    (("--bids-filter-file", "f" * 5000), r"can be no path", EXIT_USAGE),
    (("--participant-label", "l" * 5000), r"no such participant", EXIT_USAGE),
    (("--derivatives", f"a={'d' * 5000}"), r"can be no path", EXIT_USAGE),
)
"""Values that no file system takes."""
