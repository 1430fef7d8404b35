"""Nipype interfaces of the model: train it, extract networks with it."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

from nipype.interfaces.base import Directory, File, InputMultiObject, OutputMultiObject, TraitedSpec, traits

from ..errors import refuse_unequal
from ..files import read_json
from ..model.folder import CARD
from ..model.presets import check_training
from ..options import Training
from ..progress import bar
from ..words import counted
from .base import FunctionInputSpec, FunctionInterface, limit_threads, taken
from .traits import ExistingFile, ModelFolder, settings_of

__all__ = ["ConfirmNetworks", "ExtractNetworks", "TrainModel"]


class TrainModel(FunctionInterface):
    """Fit a network to the volumes of many prepared runs: train it, or fit its context in closed form."""

    @settings_of(Training)
    class input_spec(FunctionInputSpec):
        in_files = InputMultiObject(ExistingFile(), mandatory=True, desc="prepared runs (4D, on the model's grid)")
        in_samples = InputMultiObject(
            ExistingFile(),
            mandatory=True,
            desc="table of volumes of each run (column 'kept'), in the order of in_files",
        )
        in_metadata = InputMultiObject(
            ExistingFile(), desc="what was done to each run (JSON), in the order of in_files"
        )
        run_names = InputMultiObject(traits.Str, desc="name of each run, for the model card, in the order of in_files")
        grid_mask = ExistingFile(desc="mask of the model's grid (default: the shipped one)")
        num_threads = traits.Range(low=0, value=0, usedefault=True, nohash=True, desc="CPU threads (0: torch decides)")
        checkpoint_dir = Directory(
            nohash=True,
            desc="where checkpoints and logs go, from which an interrupted training goes on (default: the "
            "node's folder, which Nipype empties before it runs the node again)",
        )

        def check_given(self) -> None:
            """Refuse what has no effect on a network that is fitted in closed form."""
            check_training(self.group(Training))

        def check_ready(self) -> None:
            """See that there is one of everything for each run."""
            names = ("in_files", "in_samples", "in_metadata", "run_names")
            refuse_unequal("run", **{name: self.given(name) for name in names})

    class output_spec(TraitedSpec):
        model_dir = Directory(
            exists=True, desc="model folder: weights, card, mask; its name holds the weights' checksum"
        )

    def _compute(self, given: dict[str, Any], folder: Path) -> dict[str, Any]:
        from ..grid import load_grid
        from ..model.training.processes import start_job
        from ..model.training.volumes import cache_run

        limit_threads(given["num_threads"])
        mask = given.get("grid_mask")
        grid = load_grid(mask)
        caches = [
            cache_run(image, samples, grid, folder / "cache" / f"run-{number:05d}.npy")
            for number, (image, samples) in enumerate(zip(given["in_files"], given["in_samples"], strict=True))
        ]
        work_dir = Path(given.get("checkpoint_dir", folder / "training")).absolute()
        job = {
            "cache_files": [str(path) for path in caches],
            "grid_mask": mask,
            "training": asdict(taken(given, Training)),
            "card": _training_card(given.get("in_metadata", []), given.get("run_names", given["in_files"])),
            "work_dir": str(work_dir),
            "model_dir": str(folder / "model"),
        }
        model = _named_by_weights(start_job(job, folder, progress=bar))
        for path in caches:
            path.unlink()
        shutil.rmtree(work_dir / "checkpoints", ignore_errors=True)  # another training must not go on from this one
        return {"model_dir": model}

    def _warnings(self) -> list[str]:
        from ..model.network.parts import ASSUMED_SECONDS

        card = read_json(Path(self._results["model_dir"]) / CARD)
        training, start = card.get("Training", {}), card.get("Start", {})
        warnings = [str(start["Warning"])] if "Warning" in start else []
        if training.get("Undertrained"):
            warnings.append(
                f"The model was shown only {training.get('VolumesSeen')} volumes: its networks are those of an "
                "undertrained model."
            )
        if unknown := card.get("Context", {}).get("RunsOfAssumedRepetitionTime"):
            warnings.append(
                f"The repetition time of {counted(unknown, 'run')} is not known: the fit took {ASSUMED_SECONDS:g} s."
            )
        return warnings


def _named_by_weights(model: Path) -> Path:
    """Put the weights' checksum into the folder's name.

    Whatever comes after it in a pipeline, of ours or not, then has another input when the weights are others: Nipype
    takes a folder for its name.
    """
    named = model.with_name(f"model-{str(read_json(model / CARD)['WeightsSHA256'])[:12]}")
    shutil.rmtree(named, ignore_errors=True)
    return model.rename(named)


def _training_card(metadata_files: Sequence[str], run_names: Sequence[str]) -> dict[str, Any]:
    """Say in the card what the model has seen and how it was prepared."""
    runs = [read_json(path) for path in metadata_files]
    of_the_run = ("NumberOf", "Mask", "Warnings", "RepetitionTime", "Description", "NuisanceRegressors")
    times = [run["RepetitionTime"] for run in runs if "RepetitionTime" in run]
    card: dict[str, Any] = {"Training": {"Runs": [str(name) for name in run_names]}}
    if runs:
        card["Preparation"] = {key: value for key, value in runs[0].items() if not key.startswith(of_the_run)}
    if times:
        card["RepetitionTimeRange"] = [min(times), max(times)]
    return card


class ExtractNetworks(FunctionInterface):
    """Turn every volume of a prepared run into functional brain networks."""

    @settings_of(Training, "device")
    class input_spec(FunctionInputSpec):
        in_file = ExistingFile(mandatory=True, desc="prepared run (4D, on the model's grid)")
        in_mask = ExistingFile(mandatory=True, desc="evaluation region on the model's grid")
        in_samples = ExistingFile(mandatory=True, desc="table of volumes (column 'kept')")
        model_dir = ModelFolder(mandatory=True, desc="model folder (TrainModel, or scaae-bids' OUT/models/NAME)")
        run_name = traits.Str(nohash=True, desc="what the progress bar calls the run (default: the file's name)")
        save_signed = traits.Bool(False, usedefault=True, desc="also write the signed maps before equation 9")
        num_threads = traits.Range(low=0, value=0, usedefault=True, nohash=True, desc="CPU threads (0: torch decides)")

    class output_spec(TraitedSpec):
        fbn_maps = OutputMultiObject(File(exists=True), desc="FBNs of branch 1 and 2 (4D), after equation 9")
        signed_maps = OutputMultiObject(File(exists=True), desc="the same before equation 9, if asked for")
        channel_weights = File(exists=True, desc="channel weights of every volume (TSV)")
        code = File(exists=True, desc="code of every volume (TSV)")
        out_metadata = File(exists=True, desc="model, precision, sign and density of the branches (JSON)")

    def _compute(self, given: dict[str, Any], folder: Path) -> NamedTuple:
        from ..model.extraction.extract_run import extract_run

        limit_threads(given.pop("num_threads"))
        return extract_run(name=given.pop("run_name", None), **given, progress=bar, out_dir=folder)


class ConfirmNetworks(FunctionInterface):
    """See that networks that were extracted once more are those that are there."""

    class input_spec(FunctionInputSpec):
        fbn_maps = InputMultiObject(ExistingFile(), mandatory=True, desc="FBNs that were extracted again")
        fbn_maps_there = InputMultiObject(
            ExistingFile(), mandatory=True, desc="FBNs as they are there, in the order of fbn_maps"
        )
        signed_maps = InputMultiObject(ExistingFile(), mandatory=True, desc="before equation 9, of the same extraction")

        def check_ready(self) -> None:
            """Refuse lists of unequal length."""
            names = ("fbn_maps", "fbn_maps_there", "signed_maps")
            refuse_unequal("branch", **{name: self.given(name) for name in names})

    class output_spec(TraitedSpec):
        signed_maps = OutputMultiObject(File(exists=True), desc="the same: they belong to the FBNs that are there")

    def _compute(self, given: dict[str, Any], folder: Path) -> dict[str, Any]:
        from ..model.extraction.extract_run import check_same_maps

        for made, there in zip(given["fbn_maps"], given["fbn_maps_there"], strict=True):
            check_same_maps(made, there)
        return {"signed_maps": given["signed_maps"]}
