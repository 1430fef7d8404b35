"""Nipype interfaces of the model: train it, extract networks with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nipype.interfaces.base import (
    BaseInterfaceInputSpec,
    Directory,
    File,
    InputMultiObject,
    OutputMultiObject,
    SimpleInterface,
    TraitedSpec,
    isdefined,
    traits,
)

from ..files import read_json

__all__ = ["ConfirmNetworks", "ExtractNetworks", "TrainModel"]


class _TrainModelInputSpec(BaseInterfaceInputSpec):
    in_files = InputMultiObject(File(exists=True), mandatory=True, desc="prepared runs (4D, on the model's grid)")
    in_samples = InputMultiObject(
        File(exists=True), mandatory=True, desc="table of volumes of each run (column 'kept')"
    )
    in_metadata = InputMultiObject(File(exists=True), desc="what was done to each run (JSON)")
    run_names = InputMultiObject(traits.Str, desc="name of each run, for the model card")
    grid_mask = File(exists=True, desc="mask of the model's grid (default: the shipped one)")
    preset = traits.Str("contextual", usedefault=True, desc="network to fit")
    mode = traits.Enum("calibrated", "paper", usedefault=True, desc="training recipe")
    train_volumes = traits.Either(
        "auto", traits.Range(low=1), default="auto", usedefault=True, desc="volumes to show in training"
    )
    seed = traits.Int(0, usedefault=True, desc="seed of the weights and of the order of volumes")
    precision = traits.Enum("auto", "bf16", "fp32", usedefault=True, desc="precision of training and extraction")
    device = traits.Str("auto", usedefault=True, nohash=True, desc="auto, cpu, cuda, cuda:1 …")
    processes = traits.Range(
        low=1, value=1, usedefault=True, nohash=True, desc="devices or processes that share the work"
    )
    num_threads = traits.Int(0, usedefault=True, nohash=True, desc="CPU threads (0: torch decides)")
    checkpoint_dir = Directory(nohash=True, desc="where checkpoints and logs go (default: the node's folder)")


class _TrainModelOutputSpec(TraitedSpec):
    model_dir = Directory(exists=True, desc="model folder: weights, card, mask")


class TrainModel(SimpleInterface):
    """Fit a network to the volumes of many prepared runs: train it, or fit its context in closed form."""

    input_spec = _TrainModelInputSpec
    output_spec = _TrainModelOutputSpec

    def _run_interface(self, runtime):
        from ..grid import load_grid
        from ..model.cache import cache_run
        from ..model.job import start_job

        inputs, folder = self.inputs, Path(runtime.cwd)
        _limit_threads(inputs.num_threads)
        mask = inputs.grid_mask if isdefined(inputs.grid_mask) else None
        grid = load_grid(mask)
        caches = [
            cache_run(image, samples, grid, folder / "cache" / f"run-{number:05d}.npy")
            for number, (image, samples) in enumerate(zip(inputs.in_files, inputs.in_samples, strict=True))
        ]
        job = {
            "cache_files": [str(path) for path in caches],
            "grid_mask": mask,
            "training": {
                "preset": inputs.preset,
                "mode": inputs.mode,
                "volumes": None if inputs.train_volumes == "auto" else inputs.train_volumes,
                "seed": inputs.seed,
                "precision": inputs.precision,
                "device": inputs.device,
                "processes": inputs.processes,
            },
            "card": _training_card(
                inputs.in_metadata if isdefined(inputs.in_metadata) else [],
                inputs.run_names if isdefined(inputs.run_names) else inputs.in_files,
            ),
            "work_dir": inputs.checkpoint_dir if isdefined(inputs.checkpoint_dir) else str(folder / "training"),
            "model_dir": str(folder / "model"),
        }
        self._results["model_dir"] = str(start_job(job, folder))
        for path in caches:
            path.unlink()
        return runtime


def _training_card(metadata_files, run_names):
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


class _ExtractNetworksInputSpec(BaseInterfaceInputSpec):
    in_file = File(exists=True, mandatory=True, desc="prepared run (4D, on the model's grid)")
    in_mask = File(exists=True, mandatory=True, desc="evaluation region on the model's grid")
    in_samples = File(exists=True, mandatory=True, desc="table of volumes (column 'kept')")
    model_dir = Directory(exists=True, mandatory=True, desc="model folder")
    run_name = traits.Str(nohash=True, desc="what the progress bar calls the run (default: the file's name)")
    save_signed = traits.Bool(False, usedefault=True, desc="also write the signed maps before equation 9")
    device = traits.Str("auto", usedefault=True, nohash=True, desc="auto, cpu, cuda, cuda:1 …")
    num_threads = traits.Int(0, usedefault=True, nohash=True, desc="CPU threads (0: torch decides)")


class _ExtractNetworksOutputSpec(TraitedSpec):
    fbn_maps = OutputMultiObject(File(exists=True), desc="FBNs of branch 1 and 2 (4D), after equation 9")
    signed_maps = OutputMultiObject(File(exists=True), desc="the same before equation 9, if asked for")
    channel_weights = File(exists=True, desc="channel weights of every volume (TSV)")
    codes = File(exists=True, desc="code of every volume (TSV)")
    out_metadata = File(exists=True, desc="model, precision, sign and density of the branches (JSON)")


class ExtractNetworks(SimpleInterface):
    """Turn every volume of a prepared run into functional brain networks."""

    input_spec = _ExtractNetworksInputSpec
    output_spec = _ExtractNetworksOutputSpec

    def _run_interface(self, runtime):
        from ..model.run import extract_run

        inputs = self.inputs
        _limit_threads(inputs.num_threads)
        outputs = extract_run(
            inputs.in_file,
            inputs.in_mask,
            inputs.in_samples,
            inputs.model_dir,
            out_dir=runtime.cwd,
            save_signed=inputs.save_signed,
            name=inputs.run_name if isdefined(inputs.run_name) else None,
            device=inputs.device,
        )
        self._results.update(outputs)
        return runtime


class _ConfirmNetworksInputSpec(BaseInterfaceInputSpec):
    fbn_maps = InputMultiObject(File(exists=True), mandatory=True, desc="FBNs that were extracted again")
    fbn_maps_there = InputMultiObject(File(exists=True), mandatory=True, desc="FBNs as they are there")
    signed_maps = InputMultiObject(File(exists=True), mandatory=True, desc="before equation 9, of the same extraction")


class _ConfirmNetworksOutputSpec(TraitedSpec):
    signed_maps = OutputMultiObject(File(exists=True), desc="the same: they belong to the FBNs that are there")


class ConfirmNetworks(SimpleInterface):
    """See that networks that were extracted once more are those that are there."""

    input_spec = _ConfirmNetworksInputSpec
    output_spec = _ConfirmNetworksOutputSpec

    def _run_interface(self, runtime):
        from ..model.run import check_same_maps

        for made, there in zip(self.inputs.fbn_maps, self.inputs.fbn_maps_there, strict=True):
            check_same_maps(made, there)
        self._results["signed_maps"] = self.inputs.signed_maps
        return runtime


def _limit_threads(n_threads: int) -> None:
    """Make torch keep to the node's threads; it takes all cores otherwise."""
    if n_threads > 0:
        import torch

        torch.set_num_threads(n_threads)
