"""Train several variants side by side: ``python3 -m benchmarks.search.train --device cuda --minutes 9 --out DIR``.

Studies are simulated as they are needed, every variant sees the same volumes. The state is kept in DIR every minute
and a run goes on from there; it ends by itself in time. What comes out: ``weights.npz`` (all variants, averaged over
the last steps), ``curve.json`` (validation scores against volumes shown), ``state.pt``.

Needs torch, numpy, scipy and ``benchmarks/results/search/head_4mm.npz`` (``python -m benchmarks.search.head``).
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.search.context import fit_context, ideal_context
from benchmarks.search.head import FOLDER, Head
from benchmarks.search.measures import loss, scores
from benchmarks.search.network import ViewAttention
from benchmarks.search.studies import Design, Run, draw_design, simulate
from benchmarks.search.variants import VARIANTS, Variant
from benchmarks.search.views import CHANNELS, Shown, Viewer

__all__ = ["Training", "main"]

BATCH, VOXELS = 48, 6144
"""Volumes of one run in a step; voxels of them, where neighbours in space do not count."""

WHOLE = 12
"""Volumes in a step where they do count, and all voxels are needed."""

IDEAL = 0.08
"""Share of the runs that are shown with the context of an endless study."""

EMPTY = 0.05
"""Share of the runs that are shown with no context though there is one."""

AVERAGED = 0.998
"""How much of the averaged weights each step keeps."""

WARM_UP, KEPT = 100, 300
"""Steps in which the learning rate rises; losses that are kept to be averaged."""

VALIDATION = tuple(
    Design(
        seed=number,
        family="fields",
        n_others=n_others,
        n_targets=1,
        regime=regime,
        snr=snr,
        jitter=jitter,
        n_volumes=120,
        n_networks=9,
        n_motion=24,
        global_signal=0.3,
        background=0.3,
    )
    for number, (n_others, regime, snr, jitter) in enumerate(
        [
            *((n, "exclusive", snr, jitter) for n in (0, 3, 24) for snr in (0.25, 0.5) for jitter in (0.0, 5.0)),
            *((n, regime, 0.5, 0.0) for n in (3, 24) for regime in ("mixture", "deactivations")),
            *((n, "exclusive", 1.0, 0.0) for n in (3, 24)),
        ],
        start=900_000,
    )
)
"""Studies of another family of networks, by whose scores variants are compared."""


@dataclass
class Learner:
    """A variant in training."""

    name: str
    variant: Variant
    network: ViewAttention
    averaged: ViewAttention
    optimiser: torch.optim.Optimizer
    losses: list[Tensor]
    n_steps: int = 0

    @staticmethod
    def new(name: str, variant: Variant, head: Head, gain: Tensor) -> Learner:
        torch.manual_seed(variant.seed)
        network = ViewAttention(variant.shape, head.coarse if variant.shape.around else None).to(head.device)
        network.gain.copy_(gain)
        averaged = ViewAttention(variant.shape, head.coarse if variant.shape.around else None).to(head.device)
        averaged.load_state_dict(network.state_dict())
        optimiser = torch.optim.AdamW(
            network.parameters(), lr=variant.rate, weight_decay=1e-4, fused=head.device.type == "cuda"
        )
        return Learner(name, variant, network, averaged, optimiser, [])

    def step(self, shown: Shown, raw: Tensor, centred: Tensor, *, progress: float) -> None:
        """Take a step on volumes of one run; `progress` from 0 to 1 decides the learning rate."""
        share = self.variant.raw
        above = share * raw.clamp(min=0) + (1 - share) * centred.clamp(min=0)
        rate = self.variant.rate * min(1, (self.n_steps + 1) / WARM_UP) * 0.5 * (1 + math.cos(math.pi * progress))
        for group in self.optimiser.param_groups:
            group["lr"] = max(rate, 1e-5)
        device = shown.channels.device.type
        with torch.autocast(device, torch.bfloat16, enabled=device == "cuda"):
            found = self.network(shown)
        value = loss(found, above, (-centred).clamp(min=0), amplitude=self.variant.amplitude)
        self.optimiser.zero_grad(set_to_none=True)
        value.backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self.optimiser.step()
        self.n_steps += 1
        keep = min(AVERAGED, self.n_steps / (self.n_steps + 10))
        with torch.no_grad():
            torch._foreach_lerp_(list(self.averaged.parameters()), list(self.network.parameters()), 1 - keep)
        self.losses.append(value.detach())
        del self.losses[:-KEPT]

    def state(self) -> dict[str, Any]:
        return {
            "network": self.network.state_dict(),
            "averaged": self.averaged.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "losses": [float(value) for value in self.losses],
            "n_steps": self.n_steps,
        }

    def restore(self, state: dict[str, Any]) -> None:
        self.network.load_state_dict(state["network"])
        self.averaged.load_state_dict(state["averaged"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.losses, self.n_steps = [torch.tensor(x) for x in state["losses"]], state["n_steps"]


class Training:
    """Variants that learn from the same studies.

    Parameters
    ----------
    head : Head
    names : sequence of str
        Of `VARIANTS`.
    out : Path
    tiny : bool
        Studies that a processor can afford.
    seed : int
    most_others : int
        Other runs of a study, at most.
    """

    def __init__(
        self,
        head: Head,
        names: Sequence[str],
        out: Path,
        *,
        tiny: bool = False,
        seed: int = 0,
        most_others: int = 100,
    ):
        self.head, self.out, self.tiny, self.seed, self.most_others = head, out, tiny, seed, most_others
        self.viewer = Viewer(head)
        self.shown, self.study, self.seconds = 0, 0, 0.0
        self.curve: list[dict[str, Any]] = []
        self.validation: list[tuple[Design, Run, Shown, Tensor]] | None = None
        out.mkdir(parents=True, exist_ok=True)
        gain = torch.ones(len(CHANNELS), device=head.device)
        self.learners = [Learner.new(name, VARIANTS[name], head, gain) for name in names]
        self.wanted = tuple(sorted({view for learner in self.learners for view in learner.variant.shape.views}))
        if (out / "state.pt").exists():
            self._restore(torch.load(out / "state.pt", map_location=head.device, weights_only=True))
        else:
            gain = self._gain()
            for learner in self.learners:
                learner.network.gain.copy_(gain)
                learner.averaged.gain.copy_(gain)

    def _gain(self) -> Tensor:
        """Bring all channels to about equal spread, as measured on a few studies."""
        powers = []
        for number in range(3 if self.tiny else 12):
            for shown, *_ in self.runs_of(1_000_000 + number):
                powers.append(shown.channels.float().square().mean(dim=(0, 1)))
        return 1 / (torch.stack(powers).mean(dim=0).sqrt() + 0.05)

    def runs_of(self, number: int) -> list[tuple[Shown, Run]]:
        """Simulate a study and show the runs that are to be read, each with the context of the others."""
        design = draw_design(number, tiny=self.tiny)
        study = simulate(self.head, replace(design, n_others=min(design.n_others, self.most_others)))
        rng = np.random.default_rng([28, number])
        repetition_time = study.design.repetition_time
        fitted = fit_context(self.head, study.others, repetition_time=repetition_time)
        found = []
        for run in study.targets:
            chance, context = rng.random(), fitted
            if chance < IDEAL:
                context = ideal_context(run.data[None], study.maps / run.spread, repetition_time=repetition_time)
            elif chance < IDEAL + EMPTY:
                context = fit_context(self.head, study.others[:0], repetition_time=repetition_time)
            shown = self.viewer.show(run.data, context, repetition_time=repetition_time, channels=self.wanted)
            found.append((shown, run))
        return found

    def step(self, progress: float) -> None:
        """Show one study to all variants."""
        try:
            runs = self.runs_of(self.seed * 100_000_000 + self.study)
        except torch.linalg.LinAlgError:  # a rare study without enough to fit; the next one will do
            runs = []
        for number, (shown, run) in enumerate(runs):
            if not bool(torch.isfinite(shown.channels.sum())):
                continue
            generator = torch.Generator().manual_seed(hash((self.seed, self.study, number)) % 2**31)
            order = torch.randperm(len(run.data), generator=generator)
            for batch in order.split(BATCH):
                if len(batch) < 8:
                    continue
                volumes = batch.to(self.head.device)
                voxels = torch.randperm(self.head.n_voxels, generator=generator)[:VOXELS].to(self.head.device)
                few = shown.pick(volumes, voxels)
                raw, centred = run.planted(volumes), run.centred(volumes)
                for learner in self.learners:
                    if learner.variant.shape.around:
                        learner.step(shown.pick(volumes[:WHOLE]), raw[:WHOLE], centred[:WHOLE], progress=progress)
                    else:
                        learner.step(few, raw[:, voxels], centred[:, voxels], progress=progress)
                self.shown += len(batch)
        self.study += 1

    @torch.inference_mode()
    def validate(self) -> dict[str, dict[str, list[float]]]:
        """Score the averaged weights of all variants, and the best linear views, on the validation studies."""
        if self.validation is None:
            self.validation = [self._validation_run(design) for design in VALIDATION[:: 6 if self.tiny else 1]]
        found: dict[str, dict[str, list[float]]] = {}
        readers: dict[str, Callable[[Shown], Tensor]] = {
            name: (lambda shown, n=name: shown.channels[..., CHANNELS.index(n)].float())
            for name in ("near12", "rank8", "rank16", "above")
            if name in self.wanted
        }
        readers |= {learner.name: (lambda shown, x=learner: self._read(x, shown)) for learner in self.learners}
        for name, reader in readers.items():
            for _, run, shown, volumes in self.validation:
                result = scores(reader(shown), run.planted(volumes), run.courses[volumes], run.maps)
                for key, value in result.items():
                    found.setdefault(name, {}).setdefault(key, []).append(round(value, 4))
        return found

    def _validation_run(self, design: Design) -> tuple[Design, Run, Shown, Tensor]:
        design = replace(design, n_volumes=40, n_others=min(3, design.n_others)) if self.tiny else design
        study = simulate(self.head, design)
        context = fit_context(self.head, study.others, repetition_time=design.repetition_time)
        run = study.targets[0]
        shown = self.viewer.show(run.data, context, repetition_time=design.repetition_time, channels=self.wanted)
        volumes = torch.arange(0, len(run.data), 4, device=self.head.device)
        return design, run, shown.pick(volumes), volumes

    def _read(self, learner: Learner, shown: Shown) -> Tensor:
        return learner.averaged(shown)[:, 0]

    def look(self) -> None:
        """Validate, and keep everything."""
        self.curve.append(
            {
                "volumes": self.shown,
                "studies": self.study,
                "seconds": round(self.seconds, 1),
                "loss": {x.name: round(float(np.mean([float(v) for v in x.losses])), 4) for x in self.learners},
                "scores": self.validate(),
            }
        )
        self.save()
        last = self.curve[-1]
        for name, result in last["scores"].items():
            means = " ".join(f"{key} {np.mean(values):.3f}" for key, values in result.items())
            print(
                f"{self.shown} volumes {self.seconds:.0f} s {name}: loss {last['loss'].get(name)} {means}", flush=True
            )

    def save(self) -> None:
        """Keep state, weights and curve."""
        state = {
            "learners": {learner.name: learner.state() for learner in self.learners},
            "shown": self.shown,
            "study": self.study,
            "seconds": self.seconds,
            "curve": json.dumps(self.curve),
        }
        torch.save(state, self.out / "state.part")
        (self.out / "state.part").replace(self.out / "state.pt")
        weights = {
            f"{learner.name}/{name}": tensor.float().cpu().numpy()
            for learner in self.learners
            for name, tensor in learner.averaged.state_dict().items()
        }
        np.savez_compressed(self.out / "weights.npz", **weights)
        device = torch.cuda.get_device_name() if self.head.device.type == "cuda" else "cpu"
        about = {"device": device, "validation": [vars(design) for design in VALIDATION], "curve": self.curve}
        (self.out / "curve.json").write_text(json.dumps(about))

    def _restore(self, state: dict[str, Any]) -> None:
        for learner in self.learners:
            if learner.name in state["learners"]:
                learner.restore(state["learners"][learner.name])
        self.shown, self.study, self.seconds = state["shown"], state["study"], state["seconds"]
        self.curve = json.loads(state["curve"])

    def run(self, *, minutes: float, volumes: int | None, every: float, spare: float = 20.0) -> None:
        """Train until the minutes (of this call) or the volumes (of all calls) are over.

        The learning rate falls with what is nearer its end. `every` is the time between validations, `spare` what the
        last one and the files may take, both in s.
        """
        started, before, looked = time.monotonic(), self.seconds, time.monotonic()
        while True:
            limit = 60 * minutes - spare
            used = time.monotonic() - started
            self.seconds = before + used
            progress = max(used / limit if volumes is None else 0.0, self.shown / volumes if volumes else 0.0)
            if used >= limit or (volumes and self.shown >= volumes):
                break
            self.step(min(1.0, progress))
            if time.monotonic() - looked > every:
                looked = time.monotonic()
                self.look()
                spare = max(spare, 1.5 * (time.monotonic() - looked) + 3)
        self.look()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--minutes", type=float, default=9.0, help="of this call, everything included")
    parser.add_argument("--volumes", type=int, help="of all calls; the learning rate then follows it")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--head", type=Path)
    parser.add_argument("--only", nargs="*", choices=list(VARIANTS), default=list(VARIANTS))
    parser.add_argument("--tiny", action="store_true", help="8 mm and a few short runs: to see that it works")
    parser.add_argument("--every", type=float, default=60.0, help="seconds between validations")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--most-others", type=int, default=100, help="other runs of a study, at most")
    options = parser.parse_args()
    started = time.monotonic()
    torch.backends.cuda.matmul.allow_tf32 = True
    torch.backends.cudnn.allow_tf32 = True
    head = Head.load(options.head or FOLDER / f"head_{8 if options.tiny else 4}mm.npz", options.device)
    training = Training(
        head, options.only, options.out, tiny=options.tiny, seed=options.seed, most_others=options.most_others
    )
    minutes = options.minutes - (time.monotonic() - started) / 60
    spare = min(25.0, 12 * minutes)
    training.run(minutes=minutes, volumes=options.volumes, every=options.every, spare=spare)


if __name__ == "__main__":
    main()
