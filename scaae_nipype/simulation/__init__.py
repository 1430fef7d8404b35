"""Runs and datasets with planted networks, so that what a method finds can be held against the truth.

Networks that overlap and vary in time (`networks`, `timecourses`) are covered by noise, drift, motion and a global
signal (`noise`, `motion`) on a brain of any resolution (`tissues`); `run` puts one run together, with fMRIPrep's
confounds (`confounds`), and `dataset` writes many of them as an fMRIPrep-style derivative dataset.
"""

from .dataset import WrittenDataset, write_dataset
from .planted import PlantedNetworks, planted_networks, random_networks
from .simulate import NOISE_SD, RunSettings, SimulatedRun, simulate_run
from .timecourses import REGIMES, Block
from .tissues import Tissues, fit_tissues, source_grid

__all__ = [
    "NOISE_SD",
    "REGIMES",
    "Block",
    "PlantedNetworks",
    "RunSettings",
    "SimulatedRun",
    "Tissues",
    "WrittenDataset",
    "fit_tissues",
    "planted_networks",
    "random_networks",
    "simulate_run",
    "source_grid",
    "write_dataset",
]
