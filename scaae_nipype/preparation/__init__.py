"""A preprocessed BOLD run becomes a model-ready run: resample, smooth, denoise, censor, standardise."""

from .prepare import prepare_run
from .prepared import PreparedFiles, PreparedRun, read_prepared, write_prepared
from .strategies import STRATEGIES, read_strategy, strategy_names

__all__ = [
    "STRATEGIES",
    "PreparedFiles",
    "PreparedRun",
    "prepare_run",
    "read_prepared",
    "read_strategy",
    "strategy_names",
    "write_prepared",
]
