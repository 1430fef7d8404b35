"""What every room says of maps: what the methods that make them are called."""

from __future__ import annotations

__all__ = ["LABELS"]

LABELS = {
    "fbn1": "FBN branch 1",
    "fbn2": "FBN branch 2",
    "volume": "volume itself",
    "volume_negated": "volume, sign turned",
}
"""What the methods of the overlap and gradual-change tables are called for the reader."""
