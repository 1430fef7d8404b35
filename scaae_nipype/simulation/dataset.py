"""Write simulated runs as an fMRIPrep-style derivative dataset, with the truth beside them in ``sourcedata/truth``."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path, PurePath
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd

from .._version import __version__
from ..derivatives.names import run_folder, run_stem
from ..errors import InputError, UsageError
from ..files import PathLike, read_json, write_json, write_table, write_text
from ..grid import Grid
from ..images import image_4d, write_image
from .planted import PlantedNetworks, planted_networks
from .simulate import RunSettings, SimulatedRun, simulate_run
from .timecourses import Block
from .tissues import source_grid
from .truth_files import PARAMETERS, TRUTH, courses_path, networks_path

__all__ = ["FAVOURED_NETWORK", "TRUTH", "WrittenDataset", "task_blocks", "write_dataset"]

SPACE = "MNI152NLin2009cAsym"

GENERATOR = "scaae-simulate"

FAVOURED_NETWORK = "default-posterior"
"""The network whose state attracts patients more when groups are asked to differ."""

INDIVIDUALITY = 0.2
"""Standard deviation, between participants, of the logarithm with which each state attracts."""

BLOCK_SECONDS, PAUSE_SECONDS = 20.0, 10.0
"""Length of a task's blocks and of the rest between them."""

N_CONDITIONS = 3


@dataclass(frozen=True)
class WrittenDataset:
    """What `write_dataset` did.

    Parameters
    ----------
    folder : Path
    files : tuple of Path
        All files of the dataset, relative to `folder`.
    fresh : bool
        False if the folder held this very dataset already, and nothing was written.
    """

    folder: Path
    files: tuple[Path, ...]
    fresh: bool


def write_dataset(
    out_dir: PathLike,
    *,
    n_participants: int = 2,
    n_sessions: int = 1,
    n_runs: int = 1,
    settings: RunSettings | None = None,
    voxel_size: float = 4.0,
    task: bool = False,
    group_difference: float = 0.0,
    network_jitter: float = 0.0,
    seed: int = 0,
    report: Callable[[str], None] | None = None,
) -> WrittenDataset:
    """Simulate a dataset. The same arguments give the same bytes; more participants leave the first ones as they were.

    Parameters
    ----------
    out_dir : path
        New, empty, or an earlier output of this function (which is replaced).
    n_participants, n_sessions, n_runs : int
        One session or one run gives file names without ``ses-`` or ``run-``.
    settings : RunSettings, optional
        Of every run; the reference setting by default.
    voxel_size : float
        In mm.
    task : bool
        Make ``task-blocks`` with ``events.tsv``, whose conditions drive three networks, instead of ``task-rest``.
    group_difference : float
        Added to the attraction (1) of the state `FAVOURED_NETWORK` in patients, who are every second participant.
    network_jitter : float
        Standard deviation in mm by which regions differ between participants.
    seed : int
    report : callable, optional
        Is told the name of every finished run.

    Raises
    ------
    UsageError
        If an argument is out of range.
    InputError
        If `out_dir` holds something else, or cannot be written.
    """
    settings = settings or RunSettings()
    for name, number in (("participants", n_participants), ("sessions", n_sessions), ("runs", n_runs)):
        if number < 1:
            raise UsageError(f"The number of {name} is {number}; it has to be 1 or more.")
    _check(settings, task, group_difference, network_jitter, seed)
    out_dir = Path(out_dir)
    _refuse_others(out_dir)
    parameters = {
        "Generator": GENERATOR,
        "Version": __version__,
        "Participants": n_participants,
        "Sessions": n_sessions,
        "Runs": n_runs,
        "VoxelSize": voxel_size,
        "Task": task,
        "GroupDifference": group_difference,
        "NetworkJitter": network_jitter,
        "Seed": seed,
        "Run": {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(settings).items()},
    }
    earlier = read_json(out_dir / PARAMETERS) if (out_dir / PARAMETERS).is_file() else {}
    files = tuple(Path(name) for name in earlier.pop("Files", ()))
    if earlier == parameters and all((out_dir / name).is_file() for name in files):
        return WrittenDataset(out_dir, files, fresh=False)
    grid = source_grid(voxel_size)
    networks = planted_networks(grid)
    writer = _Writer(_cleared(out_dir), grid, voxel_size)
    participants = _participants(n_participants, networks, group_difference, seed)
    writer.dataset(participants)
    writer.networks(networks, networks_path())
    for number, participant in enumerate(participants.itertuples(), start=1):
        label = str(participant.participant_id).removeprefix("sub-")
        own = networks
        if network_jitter > 0:
            own = planted_networks(grid, jitter=network_jitter, rng=np.random.default_rng((seed, number)))
            writer.networks(own, networks_path(label))
        attraction = tuple(float(getattr(participant, f"attraction{k}")) for k in range(len(networks)))
        for session in range(1, n_sessions + 1):
            for run_number in range(1, n_runs + 1):
                entropy = np.random.SeedSequence((seed, number, session, run_number))
                blocks = task_blocks(settings, len(networks), np.random.default_rng(entropy)) if task else ()
                entities = {"sub": label, "task": "blocks" if task else "rest"}
                if n_sessions > 1:
                    entities["ses"] = f"{session:02d}"
                if n_runs > 1:
                    entities["run"] = str(run_number)
                run = simulate_run(
                    grid=grid,
                    seed=entropy,
                    settings=replace(settings, occupancy=attraction),
                    networks=own,
                    blocks=blocks,
                )
                writer.run(entities, run)
                if report:
                    report(run_stem(entities))
    names = sorted(str(path.relative_to(out_dir)) for path in writer.files)
    write_json({**parameters, "Files": names}, out_dir / PARAMETERS)
    return WrittenDataset(out_dir, tuple(map(Path, names)), fresh=True)


def task_blocks(settings: RunSettings, n_networks: int, rng: np.random.Generator) -> tuple[Block, ...]:
    """Lay out a block design: three conditions in random order, 20 s each, with 10 s of rest before each.

    >>> blocks = task_blocks(RunSettings(n_volumes=60), 9, np.random.default_rng(0))
    >>> [(block.onset, block.duration) for block in blocks], sorted({block.network for block in blocks})
    ([(10.0, 20.0), (40.0, 20.0), (70.0, 20.0)], [0, 3, 6])
    """
    driven = np.linspace(0, n_networks, N_CONDITIONS, endpoint=False).astype(int)
    period = BLOCK_SECONDS + PAUSE_SECONDS
    n_blocks = int((settings.n_volumes * settings.repetition_time - PAUSE_SECONDS) // period)
    order = np.concatenate([rng.permutation(driven) for _ in range(n_blocks // N_CONDITIONS + 1)])[:n_blocks]
    return tuple(
        Block(PAUSE_SECONDS + period * index, BLOCK_SECONDS, int(network)) for index, network in enumerate(order)
    )


def _check(settings: RunSettings, task: bool, group_difference: float, network_jitter: float, seed: int) -> None:
    if not group_difference > -1:
        raise UsageError(f"The group difference is {group_difference:g}; it has to be above -1.")
    if not network_jitter >= 0:
        raise UsageError(f"The network jitter is {network_jitter:g} mm; it has to be 0 or more.")
    if seed < 0:
        raise UsageError(f"The seed is {seed}; it has to be 0 or more.")
    if task and settings.regime == "stationary":
        raise UsageError("The stationary regime has no states that a task could drive; choose another regime.")
    shortest = N_CONDITIONS * (BLOCK_SECONDS + PAUSE_SECONDS) + PAUSE_SECONDS
    if task and settings.n_volumes * settings.repetition_time < shortest:
        raise UsageError(f"The runs are too short for a task; give them {shortest:g} s or more.")


def _refuse_others(out_dir: Path) -> None:
    """Refuse a folder that holds anything else than an output of this simulator, and one that is none."""
    try:
        occupied = out_dir.exists() and any(out_dir.iterdir())
    except OSError as error:
        raise InputError(f"{out_dir}: cannot be written ({error.strerror}); choose another folder.") from error
    if occupied:
        description = out_dir / "dataset_description.json"
        makers = read_json(description).get("GeneratedBy") if description.is_file() else None
        if not (isinstance(makers, list) and len(makers) == 1 and makers[0].get("Name") == GENERATOR):
            raise InputError(
                f"{out_dir}: is not empty and was not written by {GENERATOR}; choose a new folder or empty it."
            )


def _cleared(out_dir: Path) -> Path:
    """Make the folder; remove what an earlier run of this simulator left in it."""
    try:
        for folder in (*out_dir.glob("sub-*"), out_dir / TRUTH):
            if folder.is_dir():
                shutil.rmtree(folder)
        out_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{out_dir}: cannot be written ({error.strerror}); choose another folder.") from error
    return out_dir


def _participants(n_participants: int, networks: PlantedNetworks, group_difference: float, seed: int) -> pd.DataFrame:
    """Draw participants: sites and diagnoses in turn, an age, and how strongly each state attracts."""
    digits = max(2, len(str(n_participants)))
    rows = []
    for number in range(1, n_participants + 1):
        rng = np.random.default_rng((seed, number, 0))
        patient = number % 2 == 0
        attraction = np.exp(INDIVIDUALITY * rng.standard_normal(len(networks)))
        if patient:
            attraction[networks.names.index(FAVOURED_NETWORK)] *= 1 + group_difference
        rows.append(
            {
                "participant_id": f"sub-{number:0{digits}d}",
                "site": ("north", "south")[(number - 1) // 2 % 2],
                "diagnosis": "patient" if patient else "control",
                "age": round(float(rng.uniform(18, 60)), 1),
                **{f"attraction{k}": value for k, value in enumerate(attraction)},
            }
        )
    return pd.DataFrame(rows)


class _Writer:
    """Writes the files of one dataset and remembers them."""

    def __init__(self, folder: Path, grid: Grid, voxel_size: float):
        self.folder, self.grid = folder, grid
        self.resolution = f"{voxel_size:g}".replace(".", "p")
        self.voxels = f"{voxel_size:g} mm isotropic"
        self.files: list[Path] = []

    def add(self, write: Callable[[Any, Path], Path], content: Any, name: str | PurePath) -> None:
        """Write a file by one of the functions for that."""
        self.files.append(write(content, self.folder / name))

    def dataset(self, participants: pd.DataFrame) -> None:
        """Write what belongs to all participants; the description first, by which the folder is known as ours."""
        maker = {"Name": GENERATOR, "Version": __version__, "Description": "Simulation with planted networks"}
        self.add(
            write_json,
            {
                "Name": "Simulated runs with planted functional networks",
                "BIDSVersion": "1.10.0",
                "DatasetType": "derivative",
                "License": "CC0",
                "Authors": ["The scaae-nipype developers"],
                "GeneratedBy": [maker],
            },
            "dataset_description.json",
        )
        self.add(write_text, README, "README")
        # fMRIPrep's confounds have no place in the validator's schema yet.
        self.add(write_text, "*_timeseries.*\n", ".bidsignore")
        shown = ["participant_id", "site", "diagnosis", "age"]
        self.add(write_table, participants[shown], "participants.tsv")
        self.add(write_json, PARTICIPANT_COLUMNS, "participants.json")
        self.add(write_table, participants.drop(columns=shown[1:]), TRUTH / "attraction.tsv")

    def networks(self, networks: PlantedNetworks, image: Path) -> None:
        self.add(write_image, self.grid.image(networks.maps), image)
        self.add(write_table, networks.table(), image.with_name(image.name.replace(".nii.gz", ".tsv")))

    def run(self, entities: dict[str, str], run: SimulatedRun) -> None:
        """Write one run and its truth."""
        stem = run_stem(entities)
        plain = run_folder(entities) / stem
        in_space = f"{plain}_space-{SPACE}_res-{self.resolution}"
        about = {"Resolution": self.voxels}
        self.add(write_image, _bold_image(run), f"{in_space}_desc-preproc_bold.nii.gz")
        self.add(
            write_json,
            {
                "TaskName": entities["task"],
                "RepetitionTime": run.settings.repetition_time,
                "SkullStripped": True,
                "Description": f"Simulated BOLD, regime {run.settings.regime}",
                **about,
            },
            f"{in_space}_desc-preproc_bold.json",
        )
        self.add(
            write_image, self.grid.image(np.ones(self.grid.n_voxels, dtype=bool)), f"{in_space}_desc-brain_mask.nii.gz"
        )
        self.add(
            write_json,
            {"Type": "Brain", "Description": "Voxels that are simulated", **about},
            f"{in_space}_desc-brain_mask.json",
        )
        self.add(write_table, run.confounds, f"{plain}_desc-confounds_timeseries.tsv")
        self.add(write_json, run.confounds_metadata, f"{plain}_desc-confounds_timeseries.json")
        if run.blocks:
            events = [(block.onset, block.duration, run.networks.names[block.network]) for block in run.blocks]
            columns = ["onset", "duration", "trial_type"]
            self.add(write_table, pd.DataFrame(events, columns=columns), f"{plain}_events.tsv")
        truth = pd.DataFrame(run.time_courses.bold, columns=list(run.networks.names))
        truth.insert(0, "volume", np.arange(len(truth)))
        self.add(write_table, truth, courses_path(stem))
        self.add(write_table, _states(run), TRUTH / f"{stem}_states.tsv")


def _bold_image(run: SimulatedRun) -> nib.Nifti1Image:
    """Make the 4D image volume by volume, in whole units of intensity as scanners write them."""
    grid, n_volumes = run.grid, run.settings.n_volumes
    data = np.zeros((*grid.shape, n_volumes), dtype=np.int16, order="F")
    for volume in range(n_volumes):
        intensities = np.rint(run.bold(slice(volume, volume + 1))[0])
        data[..., volume][grid.mask] = np.clip(intensities, 0, np.iinfo(np.int16).max)
    return image_4d(data, grid.affine, run.settings.repetition_time, slope=1.0)


def _states(run: SimulatedRun) -> pd.DataFrame:
    """List the state of every volume by name: at its time, and the one that dominates its BOLD signal."""
    names = np.array([*run.networks.names, None], dtype=object)
    return pd.DataFrame(
        {
            "volume": np.arange(run.settings.n_volumes),
            "neural_state": names[run.time_courses.neural_states],
            "state": names[run.time_courses.states],
            "motion_spike": np.isin(np.arange(run.settings.n_volumes), run.spikes).astype(int),
        }
    )


README = """\
Simulated resting-state or task fMRI in the form of fMRIPrep derivatives. Every run holds planted networks that overlap
and vary in time, under noise, drift, motion and a global signal. Nothing here was measured on a person.

sourcedata/truth holds the truth: the networks (networks.nii.gz, networks.tsv), for every run the time course of each
network after the haemodynamic response (*_timecourses.tsv) and the states (*_states.tsv), how strongly each state
attracts each participant (attraction.tsv), and all settings (parameters.json).
"""

PARTICIPANT_COLUMNS = {
    "site": {"Description": "Where the participant was scanned (simulated)"},
    "diagnosis": {
        "Description": "Group (simulated)",
        "Levels": {"control": "Reference group", "patient": "Group whose states may be visited differently"},
    },
    "age": {"Description": "Age (simulated)", "Units": "year"},
}
