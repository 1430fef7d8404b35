"""Make the attention weights that ship: ``python -m benchmarks.start`` (about 40 minutes on 2 cores with bf16 units).

1. Simulates 52 small studies of 3 to 7 runs, each with its own random networks, regime, noise and repetition time.
2. Fits a context to every study, for each run once with and once without itself.
3. Trains the attention path to give, from single volumes, what was planted: branch 1 what is above a voxel's mean,
   branch 2 what is below. Contexts of large studies are imitated by projecting on the planted maps.

No network here is one of the default templates, nor one of those that the recovery benchmark plants. Every step keeps
its results in ``benchmarks/results/start`` and goes on from there. ``--voxel-size 8`` averages the studies to the
coarse grid of the calibration and the ablations, and trains there (4 minutes after the studies are made).
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor

from benchmarks.coarse import START_8MM, coarse_grid, coarse_study
from benchmarks.planted import clean, grid_of_model
from scaae_nipype.files import write_json
from scaae_nipype.grid import Grid
from scaae_nipype.model import PRESETS
from scaae_nipype.model.network.context import fit_context
from scaae_nipype.model.network.contextual import ContextualSCAAE
from scaae_nipype.model.training.fitted_context import on_vectors
from scaae_nipype.model.training.start import START
from scaae_nipype.model.weights import new_network
from scaae_nipype.simulation import random_networks, simulate_run
from scaae_nipype.simulation.noise import noise_volumes
from scaae_nipype.simulation.simulate import NOISE_SD

FOLDER = Path(__file__).parent / "results" / "start"
STUDIES, VOLUMES_PER_RUN = 52, 100
REGIMES = ("exclusive", "mixture", "mixture", "deactivations", "stationary")
BATCH, LEARNING_RATE, WARM_UP = 8, 7e-4, 20
LARGE_STUDIES = 0.1
"""Share of the training volumes whose context imitates that of a large study."""
SHRINKAGE = 0.02
"""Ridge penalty of the projection on the planted maps, relative to their length."""


def simulate_study(number: int, grid: Grid) -> dict[str, np.ndarray]:
    """Simulate the runs of a study: z-scored volumes, and the planted signal as factors in the same units."""
    random = np.random.default_rng([8, number])
    networks = random_networks(
        grid,
        int(random.integers(6, 15)),
        region_sigma=float(random.uniform(8, 20)),
        regions=(2, 10),
        one_sided=0.24,
        rng=random,
    )
    n_runs = int(random.integers(3, 8))
    regime = REGIMES[int(random.integers(len(REGIMES)))]
    settings = {
        "snr": float(np.exp(random.uniform(np.log(0.25), np.log(1.2)))),
        "noise_smoothness_fwhm": float(random.uniform(3, 8)),
        "ar1": float(random.uniform(0.1, 0.5)),
        "repetition_time": float(random.choice([1, 1.5, 2, 2.5, 3])),
        "mean_dwell": float(random.uniform(6, 16)),
    }
    # Spontaneous activity that belongs to no network: smoother than noise, and slower.
    fwhm, share, ar1 = (float(random.uniform(*limits)) for limits in ((10, 25), (0, 1), (0.3, 0.7)))
    study: dict[str, np.ndarray] = {"maps": networks.maps.astype(np.float16), "n_runs": np.array(n_runs)}
    for run in range(n_runs):
        simulated = simulate_run(
            grid=grid,
            seed=int(random.integers(2**31)),
            networks=networks,
            regime=regime,
            n_volumes=VOLUMES_PER_RUN,
            **settings,
        )
        bold = simulated.bold()
        for volume, drawn in zip(bold, noise_volumes(grid, len(bold), fwhm=fwhm, ar1=ar1, rng=random), strict=True):
            volume += np.float32(share * NOISE_SD) * drawn
        cleaned = clean(bold, simulated)
        courses = cleaned.operator @ (settings["snr"] * NOISE_SD * simulated.time_courses.bold)
        study |= {
            f"volumes{run}": cleaned.data.astype(np.float16),
            f"courses{run}": courses.astype(np.float32),
            f"spread{run}": cleaned.spread,
        }
    return study


def add_contexts(study: dict[str, np.ndarray], network: ContextualSCAAE) -> dict[str, np.ndarray]:
    """Add every run's context: of the whole study for odd runs, of the other runs for even ones."""
    near, adjoint = on_vectors(network, network.near), on_vectors(network, network.near.adjoint)
    runs = [study[f"volumes{run}"].astype(np.float32) for run in range(int(study["n_runs"]))]
    size = network.preset.context
    whole = fit_context(runs, size=size, smooth=near, adjoint=adjoint)
    for number, run in enumerate(runs):
        others = [other for other in range(len(runs)) if other != number]
        fitted = whole
        if number % 2 == 0:
            fitted = fit_context([runs[other] for other in others], size=size, smooth=near, adjoint=adjoint)
        study[f"context{number}"] = ((run @ fitted.encode.T) @ fitted.decode).astype(np.float16)
    return study


@dataclass(frozen=True, eq=False)
class TrainingRun:
    """A run of a study: arrays (n_volumes, n_voxels), or factors of them."""

    volumes: np.ndarray
    context: np.ndarray
    courses: np.ndarray
    maps: np.ndarray
    ideal_code: np.ndarray
    ideal_maps: np.ndarray

    def draw(self, volume: int, ideal: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Give a volume, its context and its planted signal."""
        context = self.ideal_code[volume] @ self.ideal_maps if ideal else self.context[volume].astype(np.float32)
        return self.volumes[volume].astype(np.float32), context, self.courses[volume] @ self.maps


def training_runs(study: dict[str, np.ndarray], network: ContextualSCAAE) -> Iterator[TrainingRun]:
    near = on_vectors(network, network.near)
    for run in range(int(study["n_runs"])):
        volumes, courses = study[f"volumes{run}"], study[f"courses{run}"]
        maps = study["maps"].astype(np.float32) / study[f"spread{run}"]
        lengths = np.linalg.norm(maps, axis=1)
        unit = maps / lengths[:, None]
        penalty = SHRINKAGE * np.eye(len(unit), dtype=np.float32)
        code = np.linalg.solve(unit @ unit.T + penalty, unit @ near(volumes.astype(np.float32)).T).T
        slope = np.clip((code * courses * lengths).sum(axis=0) / ((code**2).sum(axis=0) + 1e-9), 0, 1)
        yield TrainingRun(volumes, study[f"context{run}"], courses, maps, code * slope, unit)


def loss(maps: Tensor, planted: Tensor, mask: Tensor) -> Tensor:
    """1 - r of each branch's map with what it should mark: equation 9 makes the scale of a map irrelevant."""
    target = torch.cat([planted.clamp(min=0), (-planted).clamp(min=0)], dim=1)[:, :, mask]
    found = maps[:, :, mask]
    found, target = (x - x.mean(dim=-1, keepdim=True) for x in (found, target))
    r = (found * target).sum(dim=-1) / (found.norm(dim=-1) * target.norm(dim=-1) + 1e-6)
    return 1 - r.mean()


def all_training_runs(network: ContextualSCAAE, n_studies: int, voxel_size: int) -> list[TrainingRun]:
    """Make what is not there yet of the studies on a network's grid, and read them all."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    runs: list[TrainingRun] = []
    for number in range(n_studies):
        runs += training_runs(study_with_contexts(number, network, voxel_size), network)
        print(f"study {number}: {len(runs)} runs", file=sys.stderr, flush=True)
    return runs


def study_with_contexts(number: int, network: ContextualSCAAE, voxel_size: int) -> dict[str, np.ndarray]:
    path = FOLDER / (f"study{number:03d}.npz" if voxel_size == 4 else f"study{number:03d}_{voxel_size}mm.npz")
    if not path.exists():
        if voxel_size == 4:
            made = simulate_study(number, grid_of_model())
        else:
            fine = new_network(PRESETS["contextual"], grid_of_model(), seed=0)
            assert isinstance(fine, ContextualSCAAE)
            made = coarse_study(study_with_contexts(number, fine, 4))
        np.savez(path, **add_contexts(made, network))
    with np.load(path) as study:
        return dict(study)


def train(
    network: ContextualSCAAE,
    runs: list[TrainingRun],
    *,
    n_volumes: int,
    seed: int,
    error: Callable[[Tensor, Tensor, Tensor], Tensor] = loss,
    with_context: bool = True,
    look: Callable[[int], None] | None = None,
) -> list[float]:
    """Train the attention; the volumes' contexts come with them.

    `look` is called with the number of volumes shown, every 200; `error` and `with_context` are for ablations.
    """
    network = network.to(memory_format=torch.channels_last_3d).train()  # type: ignore[call-overload]
    n_steps = n_volumes // BATCH
    optimiser = torch.optim.Adam((p for p in network.parameters() if p.requires_grad), lr=LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda step: min(1, (step + 1) / WARM_UP) * 0.5 * (1 + math.cos(math.pi * step / n_steps))
    )
    random, losses = np.random.default_rng(seed), []
    started = time.monotonic()
    for step in range(n_steps):
        drawn = []
        for _ in range(BATCH):
            run = runs[random.integers(len(runs))]
            sign = np.float32(random.choice([-1, 1]))
            volume, context, planted = run.draw(int(random.integers(len(run.volumes))), random.random() < LARGE_STUDIES)
            drawn.append((sign * volume, sign * context, sign * planted))
        vectors = [torch.from_numpy(np.stack(arrays).astype(np.float32)) for arrays in zip(*drawn, strict=True)]
        volumes, context, planted = (network.place(array) for array in vectors)
        context = context if with_context else torch.zeros_like(context)
        optimiser.zero_grad()
        with torch.autocast("cpu", torch.bfloat16):
            found = network.read(volumes, context=context).maps
        value = error(found.float(), planted, network.mask)  # type: ignore[arg-type]
        value.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        losses.append(float(value.detach()))
        if (step + 1) % 25 == 0:
            seconds = time.monotonic() - started
            print(f"{(step + 1) * BATCH} volumes, {seconds:.0f} s, loss {np.mean(losses[-50:]):.4f}", flush=True)
        if look is not None and (step + 1) % 25 == 0:
            look((step + 1) * BATCH)
            network.train()
    return losses


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--volumes", type=int, default=4800, help="shown in training")
    parser.add_argument("--studies", type=int, default=STUDIES)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--voxel-size", type=int, choices=[4, 8], default=4, help="in mm; 4 is what ships")
    parser.add_argument("--out", type=Path, help="where the weights and their card go")
    options = parser.parse_args()
    network = new_network(
        PRESETS["contextual"], grid_of_model() if options.voxel_size == 4 else coarse_grid(), seed=options.seed
    )
    assert isinstance(network, ContextualSCAAE)
    runs = all_training_runs(network, options.studies, options.voxel_size)
    losses = train(network, runs, n_volumes=options.volumes, seed=options.seed)
    half = {
        name: tensor.half().contiguous()
        for name, tensor in network.state_dict().items()
        if not name.startswith("context.")  # which is fitted to the runs of each study
    }
    name = START if options.voxel_size == 4 else START_8MM.stem
    out = options.out or (FOLDER if options.voxel_size == 4 else START_8MM.parent)
    save_file(half, out / f"{name}.safetensors")
    card = {
        "Name": name,
        "Description": "Attention path of the contextual preset, trained on simulated volumes only",
        "TrainedOn": f"{len(runs)} simulated runs of {options.studies} studies with random networks",
        "VolumesSeen": options.volumes,
        "Seed": options.seed,
        "FinalLoss": round(float(np.mean(losses[-100:])), 4),
        "VoxelSize": float(options.voxel_size),
        "Licence": "Apache-2.0",
        "MadeBy": "python -m benchmarks.start",
    }
    write_json(card, out / f"{name}.json")


if __name__ == "__main__":
    main()
