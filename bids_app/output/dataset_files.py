"""The output dataset around the runs' files: its description, what validators should ignore, participants."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from ..._version import __version__
from ...derivatives.names import output_name, output_path, outputs, run_folder
from ...errors import InputError, UsageError
from ...files import read_json, read_text, write_json, write_table, write_text
from ..engine.locks import Lock
from ..inputs.datasets import participants_of
from ..inputs.participants import first_table
from ..inputs.plan import Inputs, RunInput
from ..inputs.query import nearest
from ..settings.configuration import has_results

__all__ = [
    "BIDS_VERSION",
    "all_outputs",
    "check_writable",
    "dataset_description",
    "ignore",
    "is_whole_page",
    "part_of",
    "participants_with_results",
    "sources_of",
    "wanted_outputs",
    "write_dataset_files",
    "write_participants",
]

BIDS_VERSION = "1.10.0"

_IGNORED = (
    "*.html",
    "sub-*/figures",
    "figures",
    "group",
    "log",
    "models",
    "*_boldmap.*",
    "*_metrics.*",
    "*_relmat.*",
    "*_timeseries.*",
    "*_components.*",
)
"""What BIDS has no name for (patterns as the validator understands them: folders without a trailing slash)."""

_README = """\
Functional brain networks (FBNs) of every single fMRI volume, made by scaae-nipype {version}.

sub-XX.html                      report: start here
sub-XX/[ses-YY/]func/            what was computed, each file with a JSON sidecar:
{files}
models/                          the model that was applied, with its card; with --cross-fit those of the folds
group.html, group/               report and tables over participants, after the group level
logs/CITATION.md                 text for a Methods section, with references
logs/status.json                 how the last call ended, and what became of every run
logs/scaae-bids_*.json, *.log    the same of every call, and what it said
sub-XX/log/                      a record of every run, and details of crashes

Images lie on a 4 mm grid in MNI space and keep the number of volumes of the input. Volumes that were not used (dummy
scans, motion) are zero in images and n/a in tables.
"""


def check_writable(output_dir: Path) -> None:
    """Make the output folder, and see that it can be written to.

    Raises
    ------
    UsageError
    """
    probe = output_dir / f".writable-{os.getpid()}"
    try:
        output_dir.mkdir(parents=True, exist_ok=True)
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise UsageError(
            f"{output_dir}: cannot be written to ({error.strerror}); choose another output_dir or its permissions."
        ) from error


def wanted_outputs(run: RunInput, *, options: Collection[str] = ()) -> list[str]:
    """List the outputs of a run, below the output dataset.

    Besides those that are always there, they are those that `options` (`Settings.output_options`) ask for, and, where
    the run has a table of events or is simulated, what is computed from that.
    """
    asked, folder = {None, *options, *run.beside}, run_folder(run.entities)
    return [
        f"{folder}/{output_name(run.entities, meaning)}"
        for meaning, entry in outputs().items()
        if entry.get("option") in asked
    ]


def all_outputs(run: RunInput) -> list[str]:
    """List whatever may have been written for a run, below the output dataset."""
    return [str(output_path(run.entities, meaning)) for meaning in outputs()]


def part_of(name: str) -> str:
    """Say which part of a run's scores a file belongs to; ``signed_maps`` is one too, for all else it is empty.

    >>> [part_of(f"sub-1_{ending}") for ending in ("desc-overlap_metrics.tsv", "res-4_desc-fbn1_boldmap.nii.gz")]
    ['evaluation', '']
    """
    for entry in outputs().values():
        ending = f"_desc-{entry['entities']['desc']}_{entry['suffix']}"
        if name.endswith((ending + entry["extension"], f"{ending}.json")):
            early = "signed_maps" if entry.get("option") == "save_signed" else ""
            return early if entry["step"] in ("preparation", "networks") else entry["step"]
    return ""


def sources_of(run: RunInput, model: str, roots: Mapping[str, Path]) -> list[str]:
    """Name the files that a run's outputs come from, as BIDS URIs into the datasets that hold them.

    A file may lie in another dataset than the run (fMRIPrep's mask of an XCP-D run), and a dataset inside another one:
    the innermost counts.
    """
    files = [file for file in (run.bold, run.mask, run.confounds, run.events) if file is not None]
    return [*(_uri(file, roots) for file in files), f"bids::models/{model}/weights.safetensors"]


def _uri(file: Path, roots: Mapping[str, Path]) -> str:
    holding = {name: root for name, root in roots.items() if file.is_relative_to(root)}
    name = max(holding, key=lambda name: len(holding[name].parts))
    return f"bids:{name}:{file.relative_to(holding[name]).as_posix()}"


def dataset_description(inputs: Inputs, *, configuration: str, container: str | None) -> dict[str, Any]:
    """Describe the output dataset, with the hash of the settings and the tag of the container image this runs in."""
    ours: dict[str, Any] = {
        "Name": "scaae-nipype",
        "Version": __version__,
        "Description": "Functional brain networks of every fMRI volume by spatial and channel-wise attention",
        "ConfigurationHash": configuration,
    }
    if container:
        ours["Container"] = {"Type": "docker", "Tag": container}
    descriptions = {name: _description(root) for name, root in inputs.roots.items()}
    earlier: list[dict[str, Any]] = []
    for description in descriptions.values():
        for entry in _dicts(description.get("GeneratedBy")):
            if entry.get("Name") and entry not in earlier:
                earlier.append(entry)
    authors = next((authors for d in descriptions.values() if (authors := d.get("Authors"))), None)
    return {
        "Name": "Functional brain networks of single fMRI volumes",
        "BIDSVersion": BIDS_VERSION,
        "DatasetType": "derivative",
        **({"Authors": authors} if authors else {}),
        "GeneratedBy": [ours, *earlier],
        "SourceDatasets": [
            {"URL": root.as_uri(), **({"DOI": doi} if (doi := descriptions[name].get("DatasetDOI")) else {})}
            for name, root in inputs.roots.items()
        ],
        "DatasetLinks": {name: root.as_uri() for name, root in inputs.roots.items()},
        "HowToAcknowledge": "Please cite what logs/CITATION.md lists, the dataset these derivatives come from, and "
        "the program that preprocessed it.",
    }


def write_dataset_files(
    output_dir: Path, inputs: Inputs, *, configuration: str, container: str | None, work_dir: Path
) -> None:
    """Write what stands at the root of the output dataset."""
    write_json(
        dataset_description(inputs, configuration=configuration, container=container),
        output_dir / "dataset_description.json",
    )
    ignored = list(_IGNORED)
    if work_dir.is_relative_to(output_dir):
        ignored.append(work_dir.relative_to(output_dir).parts[0])
    ignore(output_dir, ignored)
    files = "\n".join(
        f"    …_{entry['suffix']}{entry['extension']}, desc-{entry['entities']['desc']}: {entry['description']}"
        for entry in outputs().values()
    )
    write_text(_README.format(version=__version__, files=files), output_dir / "README")


def ignore(output_dir: Path, patterns: Iterable[str] = _IGNORED) -> None:
    """List what BIDS has no name for in ``.bidsignore``, below what stands there already."""
    path = output_dir / ".bidsignore"
    there = read_text(path, fallback="cp1252").splitlines() if path.is_file() else []
    write_text("\n".join(dict.fromkeys([*there, *patterns])) + "\n", path)


def participants_with_results(output_dir: Path, asked: Collection[str] = ()) -> list[str]:
    """List the participants in the output dataset: all, or those asked for.

    Raises
    ------
    UsageError
        If there is nothing of one of them, or of anybody.
    """
    there = [label for label in participants_of(output_dir) if has_results(output_dir, label)]
    missing = [label for label in asked if label not in there]
    if missing or not there:
        whom = " ".join(f"sub-{label}" for label in missing) or "anybody"
        near = {other: None for label in missing for other in nearest(label, there)}
        hint = f" (nearest: {', '.join(f'sub-{label}' for label in near)})" if near else ""
        raise UsageError(f"{output_dir}: holds no results of {whom}{hint}; run the participant level first.")
    return list(asked) or there


def write_participants(output_dir: Path, inputs: Inputs) -> None:
    """Carry the input's table of participants over, with the rows of those who are in the output.

    One job at a time does: otherwise one that has seen fewer participants may be the last to write.
    """
    with Lock(output_dir / "logs" / ".claims" / "participants.lock", "writing participants.tsv"):
        _write_participants(output_dir, inputs)


def _write_participants(output_dir: Path, inputs: Inputs) -> None:
    there = [f"sub-{label}" for label in participants_of(output_dir)]
    found, _ = first_table(list(inputs.roots.values())[::-1], participants_of(output_dir, *inputs.roots.values()))
    if found is not None and not (rows := found.rows[found.rows["participant_id"].isin(there)]).empty:
        write_table(rows, output_dir / "participants.tsv")
        with suppress(InputError):
            write_json(read_json(found.path.with_suffix(".json")), output_dir / "participants.json")


def is_whole_page(path: Path) -> bool:
    """Tell whether a page is there, to its end."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - 100))
            return b"</html>" in file.read()
    except OSError:
        return False


def _description(root: Path) -> Mapping[str, Any]:
    with suppress(InputError):
        return read_json(root / "dataset_description.json")
    return {}


def _dicts(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
