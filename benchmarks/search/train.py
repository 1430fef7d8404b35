"""Train several variants side by side: ``python3 -m benchmarks.search.train --device cuda --minutes 9 --out DIR``.

Studies are simulated as they are needed, every variant sees the same volumes. The state is kept in DIR every minute
and a run goes on from there; it ends by itself in time. What comes out: ``weights.npz`` (all variants, averaged over
the last steps), ``curve.json`` (validation scores against volumes shown), ``state.pt``.

Needs torch, numpy, scipy and ``benchmarks/results/search/head_4mm.npz`` (``python -m benchmarks.search.head``).
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.search.context import Context, fit_context, ideal_context
from benchmarks.search.head import FOLDER, Head
from benchmarks.search.learner import Learner
from benchmarks.search.measures import scores
from benchmarks.search.network import padded
from benchmarks.search.studies import Design, Run, Study, draw_design, simulate
from benchmarks.search.validation import VALIDATION
from benchmarks.search.variants import SETTINGS, VARIANTS, Looks
from benchmarks.search.views import CHANNELS, Shown, Viewer

__all__ = ["Training", "main"]

BATCH, VOXELS = 48, 3072
"""Volumes of one run in a step; voxels of them, where neighbours in space do not count."""

WHOLE = 12
"""Volumes in a step where they do count, and all voxels are needed."""

IDEAL, EMPTY, SOME = 0.1, 0.06, 0.2
"""Shares of the runs that are shown with the context of an endless study, with none, with that of one to three runs of
the study."""

VOLUME_ONLY, OWN_ONLY, TIME_ONLY = 0.3, 0.15, 0.15
"""Shares of the runs that are shown without neighbours in time and the run itself, without the former, and without the
latter."""

ALONE = 0.6
"""Share of the runs that are shown without neighbours in time to variants that never look at the run."""

SELF, COMPANY = 0.15, (0, 0, 1, 2)
"""Share of the runs that are shown with a context that was fitted to the run itself, and to how many others."""

NARROWEST, WIDEST = 1.0, 5.0
"""Least and largest width in time in s, where there is one."""

SAVED = 60.0
"""Seconds after which the state is kept."""


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
    targets : int
        Runs of a study that are shown.
    quiet : float
        Share of the studies with a background whose background is left out.
    start : Path, optional
        Weights that were trained before (and their curve beside them): learners whose networks are of that shape go on
        from them, with studies that they have not seen if `seed` is another.
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
        quiet: float = 0.0,
        start: Path | None = None,
        targets: int = 2,
    ):
        self.head, self.out, self.tiny, self.seed = head, out, tiny, seed
        self.most_others, self.quiet, self.targets = most_others, quiet, targets
        self.viewer = Viewer(head)
        self.shown, self.study, self.seconds = 0, 0, 0.0
        self.shown_before = 0
        self.curve: list[dict[str, Any]] = []
        self.validation: list[tuple[Run, dict[str, Shown], Tensor]] | None = None
        out.mkdir(parents=True, exist_ok=True)
        gain = torch.ones(len(CHANNELS), device=head.device)
        self.learners = [Learner.new(name, VARIANTS[name], head, gain) for name in names]
        self.wanted: dict[Looks, tuple[str, ...]] = {}
        for looks in dict.fromkeys(learner.variant.looks for learner in self.learners):
            own = [learner.variant.shape.views for learner in self.learners if learner.variant.looks == looks]
            self.wanted[looks] = tuple(sorted({view for views in own for view in views}))
        if (out / "state.pt").exists():
            self._restore(torch.load(out / "state.pt", map_location=head.device, weights_only=True))
        elif start is not None:
            self._start_from(start)
        else:
            gain = self._gain()
            for learner in self.learners:
                learner.network.gain.copy_(gain)
                learner.averaged.gain.copy_(gain)

    def _start_from(self, path: Path) -> None:
        """Go on from weights of an earlier training, whose last volumes are in the curve beside them."""
        with np.load(path) as arrays:
            (name,) = {key.split("/")[0] for key in arrays}
            state = {key.split("/")[1]: torch.from_numpy(arrays[key]) for key in arrays}
        for learner in self.learners:
            before = VARIANTS[name].shape
            if before != replace(learner.variant.shape, lead=before.lead, skewed=before.skewed):
                raise ValueError(f"{path}: {name!r} is a network of another shape than {learner.name!r}.")
            learner.network.load_state_dict(padded(state, learner.network))
            learner.averaged.load_state_dict(padded(state, learner.network))
        last = json.loads(path.with_name(f"{path.stem}_curve.json").read_text())["curve"][-1]
        self.shown = self.shown_before = last["volumes"]

    def _gain(self) -> Tensor:
        """Bring all channels to about equal spread, as measured on a few studies."""
        powers = []
        for number in range(2 if self.tiny else 8):
            for shown, _ in self.runs_of(1_000_000 + number):
                powers += [own.channels.float().square().mean(dim=(0, 1)) for own in shown.values()]
        there = torch.stack(powers) > 0
        power = torch.stack(powers).sum(dim=0) / there.sum(dim=0).clamp(min=1)
        return 1 / (power.sqrt() + 0.05)

    def runs_of(self, number: int) -> Iterator[tuple[dict[Looks, Shown], Run]]:
        """Simulate a study and show the runs that are to be read, as each kind of variant may see them."""
        design = draw_design(number, tiny=self.tiny)
        rng = np.random.default_rng([28, number])
        if rng.random() < self.quiet:
            design = replace(design, background=0.0)
        study = simulate(
            self.head, replace(design, n_others=min(design.n_others, self.most_others), n_targets=self.targets)
        )
        repetition_time = study.design.repetition_time
        fitted = fit_context(self.head, study.others, repetition_time=repetition_time)
        for run in study.targets:
            context = self._context(study, run, fitted, rng)
            width = float(rng.uniform(NARROWEST, WIDEST))
            chance = rng.random()
            drawn = (width, True)
            if chance < VOLUME_ONLY:
                drawn = (0.0, False)
            elif chance < VOLUME_ONLY + OWN_ONLY:
                drawn = (0.0, True)
            elif chance < VOLUME_ONLY + OWN_ONLY + TIME_ONLY:
                drawn = (width, False)
            ways = {
                "product": (width if chance >= ALONE else 0.0, False),
                "classic": (3.0, True),
                "any": drawn,
                "volume": (0.0, False),
                "everything": (width, True),
            }
            shown = {
                looks: self.viewer.show(
                    run.data,
                    context,
                    repetition_time=repetition_time,
                    channels=channels,
                    time_sigma=ways[looks][0],
                    own=ways[looks][1],
                )
                for looks, channels in self.wanted.items()
            }
            yield shown, run

    def _context(self, study: Study, run: Run, fitted: Context, rng: np.random.Generator) -> Context:
        """Draw how good a context a run is shown with."""
        chance, few = rng.random(), int(rng.integers(1, 4))
        repetition_time = study.design.repetition_time
        if chance < IDEAL:
            return ideal_context(run.data[None], study.maps / run.spread, repetition_time=repetition_time)
        if chance < IDEAL + EMPTY:
            return fit_context(self.head, study.others[:0], repetition_time=repetition_time)
        if chance < IDEAL + EMPTY + SOME and len(study.others) > few:
            return fit_context(self.head, study.others[:few], repetition_time=repetition_time)
        if chance < IDEAL + EMPTY + SOME + SELF:
            others = study.others[: int(rng.choice(COMPANY))]
            return fit_context(self.head, torch.cat([run.data[None], others]), repetition_time=repetition_time)
        return fitted

    def step(self, progress: float) -> None:
        """Show one study to all variants."""
        number = 0
        try:
            for shown, run in self.runs_of(self.seed * 100_000_000 + self.study):
                if all(bool(torch.isfinite(own.channels.sum())) for own in shown.values()):
                    self._learn(shown, run, number, progress)
                number += 1
        except torch.linalg.LinAlgError:  # a rare study without enough to fit; the next one will do
            pass
        self.study += 1

    def _learn(self, shown: dict[Looks, Shown], run: Run, number: int, progress: float) -> None:
        """Show a run's volumes, in batches."""
        generator = torch.Generator().manual_seed(hash((self.seed, self.study, number)) % 2**31)
        order = torch.randperm(len(run.data), generator=generator)
        for batch in order.split(BATCH):
            if len(batch) < 8:
                continue
            volumes = batch.to(self.head.device)
            voxels = torch.randperm(self.head.n_voxels, generator=generator)[:VOXELS].to(self.head.device)
            few = {looks: own.pick(volumes, voxels) for looks, own in shown.items()}
            raw, centred = run.planted(volumes), run.centred(volumes)
            for learner in self.learners:
                looks = learner.variant.looks
                if learner.variant.shape.around:
                    whole = shown[looks].pick(volumes[:WHOLE])
                    learner.step(whole, raw[:WHOLE], centred[:WHOLE], progress=progress)
                else:
                    learner.step(few[looks], raw[:, voxels], centred[:, voxels], progress=progress)
            self.shown += len(batch)

    @torch.inference_mode()
    def validate(self) -> dict[str, dict[str, list[float]]]:
        """Score the averaged weights of all variants in every setting, and the best linear views."""
        self.prepare_validation()
        assert self.validation is not None
        found: dict[str, dict[str, list[float]]] = {}
        readers: dict[str, Callable[[Shown], Tensor]] = {
            f"view {name}": (lambda shown, n=name: shown.channels[..., CHANNELS.index(n)].float())
            for name in ("near12", "rank8", "calm_above", "calm_mine", "calm_own_above")
            if ("own" not in name and "mine" not in name) or "own" in self._shown_settings()
        }
        readers |= {learner.name: (lambda shown, x=learner: x.averaged(shown)[:, 0]) for learner in self.learners}
        looks = {learner.name: self._settings(learner) for learner in self.learners}
        for name, reader in readers.items():
            for run, ways, volumes in self.validation:
                for setting in (way for way in ways if way in looks.get(name, ways)):
                    result = scores(reader(ways[setting]), run.planted(volumes), run.courses[volumes], run.maps)
                    for key, value in result.items():
                        found.setdefault(f"{name}, {setting}", {}).setdefault(key, []).append(round(value, 4))
        return found

    @staticmethod
    def _settings(learner: Learner) -> tuple[str, ...]:
        """Give the settings that a learner is validated in."""
        only = {
            "classic": ("everything",),
            "volume": ("volume",),
            "everything": ("everything",),
            "product": ("volume", "time"),
        }
        return only.get(learner.variant.looks, tuple(SETTINGS))

    def _shown_settings(self) -> tuple[str, ...]:
        """Give the settings that any of the learners is validated in."""
        wanted = {setting for learner in self.learners for setting in self._settings(learner)}
        return tuple(setting for setting in SETTINGS if setting in wanted)

    @torch.inference_mode()
    def prepare_validation(self) -> None:
        """Make the validation studies, once."""
        if self.validation is None:
            self.validation = [self._validation_run(design) for design in VALIDATION[:: 9 if self.tiny else 1]]

    def _validation_run(self, design: Design) -> tuple[Run, dict[str, Shown], Tensor]:
        design = replace(design, n_volumes=40, n_others=min(3, design.n_others)) if self.tiny else design
        study = simulate(self.head, design)
        context = fit_context(self.head, study.others, repetition_time=design.repetition_time)
        run = study.targets[0]
        volumes = torch.arange(0, len(run.data), 4, device=self.head.device)
        shown = {
            name: self.viewer.show(
                run.data,
                context,
                repetition_time=design.repetition_time,
                channels=CHANNELS,
                time_sigma=width,
                own=own,
            ).pick(volumes)
            for name, (width, own) in ((name, SETTINGS[name]) for name in self._shown_settings())
        }
        return run, shown, volumes

    def look(self) -> None:
        """Validate, and keep everything."""
        losses = {x.name: round(float(np.mean(list(map(float, x.losses)))), 4) for x in self.learners if x.losses}
        self.curve.append(
            {
                "volumes": self.shown,
                "studies": self.study,
                "seconds": round(self.seconds, 1),
                "loss": losses,
                "scores": self.validate(),
            }
        )
        self.save()
        last = self.curve[-1]
        for name, result in last["scores"].items():
            means = " ".join(f"{key} {np.mean(values):.3f}" for key, values in result.items())
            print(f"{self.shown} volumes {self.seconds:.0f} s {name}: {means}", flush=True)

    def save(self) -> None:
        """Keep state, weights and curve."""
        state = {
            "learners": {learner.name: learner.state() for learner in self.learners},
            "shown": self.shown,
            "shown_before": self.shown_before,
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
        self.shown_before = state.get("shown_before", 0)
        self.curve = json.loads(state["curve"])

    def run(self, *, minutes: float, volumes: int | None, every: float, spare: float = 20.0) -> None:
        """Train until the minutes (of this call) or the volumes (of all calls) are over.

        The learning rate falls with the volumes, if they are given, else with the minutes. `every` is the time between
        validations (0: one, at the end), `spare` what the last one and the files may take, both in s.
        """
        started, before = time.monotonic(), self.seconds
        if every:
            self.prepare_validation()
            if self.shown_before and not self.curve:
                self.look()
        looked = saved = begun = time.monotonic()
        while True:
            limit = 60 * minutes - spare
            used = time.monotonic() - started
            self.seconds = before + used
            if volumes:
                progress = (self.shown - self.shown_before) / (volumes - self.shown_before)
            else:
                progress = (time.monotonic() - begun) / (started + limit - begun)
            if used >= limit or (volumes and self.shown >= volumes):
                break
            self.step(min(1.0, progress))
            if time.monotonic() - saved > SAVED:
                self.save()
                saved = time.monotonic()
            if every and time.monotonic() - looked > every:
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
    parser.add_argument("--start", type=Path, metavar="NPZ", help="go on from these weights (their curve beside them)")
    parser.add_argument("--only", nargs="*", choices=list(VARIANTS), default=list(VARIANTS))
    parser.add_argument("--tiny", action="store_true", help="8 mm and a few short runs: to see that it works")
    parser.add_argument("--every", type=float, default=60.0, help="seconds between validations; 0: at the end only")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--most-others", type=int, default=100, help="other runs of a study, at most")
    parser.add_argument("--targets", type=int, default=2, help="runs of a study that are shown")
    parser.add_argument("--quiet", type=float, default=0.0, help="share of backgrounds that are left out")
    options = parser.parse_args()
    started = time.monotonic()
    torch.backends.cuda.matmul.allow_tf32 = True
    torch.backends.cudnn.allow_tf32 = True
    head = Head.load(options.head or FOLDER / f"head_{8 if options.tiny else 4}mm.npz", options.device)
    training = Training(
        head,
        options.only,
        options.out,
        tiny=options.tiny,
        seed=options.seed,
        most_others=options.most_others,
        quiet=options.quiet,
        start=options.start,
        targets=options.targets,
    )
    minutes = options.minutes - (time.monotonic() - started) / 60
    spare = min(25.0, 12 * minutes)
    training.run(minutes=minutes, volumes=options.volumes, every=options.every, spare=spare)


if __name__ == "__main__":
    main()
