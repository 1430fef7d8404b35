"""Show that a change of the code changes no output: make datasets with the code before and after, and compare them.

``python -m benchmarks.same_outputs make FOLDER [--data DIR] [--program FILE]`` simulates runs (or takes those of
DIR) and makes one output dataset per case in FOLDER; a `scaae-bids` of another environment stands for other code.
``python -m benchmarks.same_outputs compare BEFORE AFTER`` says which files differ and exits with 1 if any does.

Images and arrays are compared by their bytes, decompressed; tables byte for byte; JSON, HTML and Markdown byte for byte
but for times of day, for seconds and memory that were measured, and for the folder that they lie in.
"""

from __future__ import annotations

import argparse
import gzip
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from scaae_nipype.bids_app.simulate_cli import main as simulate

__all__ = ["CASES", "compare", "main", "make"]

CASES = {
    "contextual": "participant --surrogate-templates 19 --atlas default --signed-maps",
    "tiny": "participant --preset tiny --train-volumes 60 --surrogates 19 --cross-fit 2 --smoothing 8 --device cpu "
    "--baselines smoothed pca cap encoder_lasso untrained",
    "paper": "participant --mode paper --preset tiny --train-volumes 60",
    "contextual/group": "group",
}
"""Dataset to the call that makes it; a group level goes into the dataset that it is of."""

_MEASURED = ("Seconds", "SecondsPerVolume", "EstimatedSeconds", "seconds", "peak_memory_gb")

_VARYING = (
    (re.compile(rb"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d)?(\.\d+)?(Z|[+-]\d\d:\d\d)?"), b"TIME"),
    (re.compile(rf'"({"|".join(_MEASURED)})": [\d.e+-]+'.encode()), rb'"\1": MEASURED'),
    (re.compile(rb"(Duration \(s\)</th><td>)[\d.]+"), rb"\1MEASURED"),
)


def make(folder: Path, *, data: Path | None = None, program: str = "scaae-bids") -> None:
    """Make the output datasets of all cases.

    Parameters
    ----------
    folder : Path
        Where they go, with the work folder and what the calls said (``.log``).
    data : Path, optional
        Derivative dataset to read; simulated where there is none.
    program : str
        The `scaae-bids` to call.

    Raises
    ------
    subprocess.CalledProcessError
        If a call fails.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if data is None:
        data = folder / "data"
        simulate([str(data), "--participants", "3", "--volumes", "60", "--task"])
    for name, call in CASES.items():
        out = folder / name.partition("/")[0]
        arguments = [program, data, out, *call.split(), "-w", folder / "work" / name, "--omp-nthreads", "1"]
        print(f"{name}: {' '.join(map(str, arguments))}", flush=True)
        with (folder / f"{name.replace('/', '_')}.log").open("wb") as log:
            subprocess.run(arguments, check=True, stdout=log, stderr=log, env={**os.environ, "OMP_NUM_THREADS": "1"})


def compare(before: Path, after: Path) -> list[str]:
    """List what differs between two folders of output datasets: files that one lacks, and files of other content."""
    old, new = set(_files(before)), set(_files(after))
    lost, added = [f"only before: {name}" for name in old - new], [f"only after: {name}" for name in new - old]
    others = [name for name in old & new if _content(before, name) != _content(after, name)]
    return [*sorted(lost), *sorted(added), *(f"differs: {name}" for name in sorted(others))]


def _files(folder: Path) -> Iterator[str]:
    """List results: neither logs, of which each call has its own, nor work folders and input."""
    for path in folder.rglob("*"):
        parts = path.relative_to(folder).parts
        if path.is_file() and not {"logs", ".claims"} & set(parts) and parts[0] not in ("work", "data"):
            yield "/".join(parts)


def _content(folder: Path, name: str) -> bytes:
    content = (folder / name).read_bytes()
    if name.endswith(".gz"):
        return gzip.decompress(content)
    if not name.endswith((".json", ".html", ".md")):
        return content
    content = content.replace(os.fsencode(folder.resolve()), b"FOLDER")
    for pattern, word in _VARYING:
        content = pattern.sub(word, content)
    return content


def main(arguments: Sequence[str] | None = None) -> int:
    """Make or compare, and give the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    todo = parser.add_subparsers(dest="todo", required=True)
    making = todo.add_parser("make")
    making.add_argument("folder", type=Path)
    making.add_argument("--data", type=Path)
    making.add_argument("--program", default="scaae-bids")
    comparing = todo.add_parser("compare")
    comparing.add_argument("before", type=Path)
    comparing.add_argument("after", type=Path)
    options = parser.parse_args(arguments)
    if options.todo == "make":
        make(options.folder, data=options.data, program=options.program)
        return 0
    different = compare(options.before, options.after)
    print(*different, sep="\n")
    print(
        f"{len(set(_files(options.before)) & set(_files(options.after)))} files in both, {len(different)} differences"
    )
    return int(bool(different))


if __name__ == "__main__":
    sys.exit(main())
