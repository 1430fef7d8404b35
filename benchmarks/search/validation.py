"""The studies by which trainings are compared: networks of a family that neither training nor benchmark uses."""

from __future__ import annotations

from benchmarks.search.studies import Design

__all__ = ["VALIDATION"]

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
            *((n, "exclusive", 0.5, 0.0) for n in (1, 2)),
            *((n, regime, snr, 0.0) for n in (3, 24) for regime, snr in (("stationary", 0.5), ("mixture", 1.0))),
        ],
        start=900_000,
    )
)
"""Studies of another family of networks, by whose scores variants are compared."""
