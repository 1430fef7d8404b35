"""Make the weights of the product's pointwise network from those of the search: ``python -m benchmarks.search.ship``.

The search's network serves several classes; in a volume without neighbours in time and without the run's own parts
many of its views are the same or empty. What it does with them is added up, exactly; what of the sums belongs to views
that see neighbours in time is kept beside them.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

from benchmarks.judge.search import NAME, WEIGHTS
from benchmarks.search.score import load_network
from benchmarks.search.views import N_ABOUT, N_AGREED, N_MORE
from scaae_nipype.model.network.pointwise import HANDED, RESTED, VIEWS

__all__ = ["shipped_tensors"]

DATA = Path(__file__).parents[2] / "scaae_nipype" / "data"
START = "pointwise"


def shipped_tensors(path: Path = WEIGHTS, name: str = NAME) -> dict[str, torch.Tensor]:
    """Give the tensors of a `PointwiseSCAAE` that are not fitted to runs."""
    network = load_network(path, name)
    shape, state = network.shape, network.state_dict()
    gain = state["gain"][network.chosen]
    n_views = len(shape.views)
    places = {view: [shape.views.index(one) for one in (view, _calm(view)) if one in shape.views] for view in VIEWS}
    order = [places[VIEWS[view]][HANDED[:number].count(view)] for number, view in enumerate(HANDED)]
    # Of the numbers about context and run: those of the context, persistence of its parts, agreement of its halves.
    known = [*range(N_ABOUT), *range(N_ABOUT, N_ABOUT + 3), *range(N_ABOUT + N_MORE, N_ABOUT + N_MORE + N_AGREED)]

    def of_views(weight: torch.Tensor, gains: torch.Tensor | None = None) -> torch.Tensor:
        """Add up the columns of views that are the same."""
        weight = weight[:, :n_views] if gains is None else weight[:, :n_views] * gains
        return torch.stack([weight[:, places[view]].sum(dim=1) for view in VIEWS], dim=1)

    def of_everything(weight: torch.Tensor) -> torch.Tensor:
        return torch.cat([of_views(weight), weight[:, n_views:][:, known]], dim=1)

    rested = [shape.views.index(_calm(view)) for view in RESTED]
    # Behind the views come the numbers of context and run; the width in time is the fourth after the context's.
    with_width = [*rested, n_views + N_ABOUT + 3]

    first, last, branch = "channel.0.weight", "channel.4", shape.branch
    rows = [n * (branch + n_views) + place for n in (0, 1) for place in (*range(branch), *(branch + o for o in order))]
    tensors = {
        "conditions.0.weight": of_everything(state["about.0.weight"]),
        "conditions.0.bias": state["about.0.bias"],
        "conditions.2.weight": state["about.2.weight"],
        "conditions.2.bias": state["about.2.bias"],
        "stem.weight": of_views(state["stem.weight"], gain),
        "stem.bias": state["stem.bias"],
        first: torch.cat([state[first][:, : 2 * branch], of_everything(state[first][:, 2 * branch :])], dim=1),
        "channel.0.bias": state["channel.0.bias"],
        "channel.2.weight": state["channel.2.weight"],
        "channel.2.bias": state["channel.2.bias"],
        f"{last}.weight": state[f"{last}.weight"][rows],
        f"{last}.bias": state[f"{last}.bias"][rows],
        "hand": (state["hand"] * gain)[:, order],
    }
    tensors |= {key.replace("features.", "branches."): state[key] for key in state if key.startswith("features.")}
    tensors |= {key: state[key] for key in state if key.startswith(("trunk.", "spatial."))}
    tensors["time_stem"] = (state["stem.weight"] * gain)[:, rested]
    tensors["time_conditions"] = state["about.0.weight"][:, with_width]
    tensors["time_channel"] = state[first][:, 2 * branch :][:, with_width]
    # The search's lead goes with the square of the agreement; the product fits the factor.
    tensors["lead_parts"] = shape.lead * gain[shape.views.index("calm_above")]
    return {key: tensor.detach().clone().float().contiguous() for key, tensor in tensors.items()}


def _calm(view: str) -> str:
    """Name the view that sees neighbours in time as well."""
    return f"calm_{view}" if not view.startswith("near") else view.replace("near", "calm")


def main() -> None:
    tensors = shipped_tensors()
    save_file(tensors, DATA / f"{START}.safetensors")
    curve = json.loads((WEIGHTS.parent / "search_network_curve.json").read_text())
    numbers = int(sum(np.prod(tensor.shape) for tensor in tensors.values()))
    about = {
        "Name": START,
        "Description": "Attention of the pointwise preset, trained on simulated volumes only",
        "TrainedOn": f"{curve['curve'][-1]['studies']} simulated studies with random networks",
        "VolumesSeen": curve["curve"][-1]["volumes"],
        "Numbers": numbers,
        "Licence": "Apache-2.0",
        "MadeBy": "python -m benchmarks.search.ship",
    }
    (DATA / f"{START}.json").write_text(json.dumps(about, indent=2) + "\n")


if __name__ == "__main__":
    main()
