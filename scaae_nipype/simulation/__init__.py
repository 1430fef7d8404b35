"""Runs and datasets with planted networks, so that what a method finds can be held against the truth.

Networks that overlap and vary in time (`networks`, `timecourses`) are covered by noise, drift, motion and a global
signal (`noise`, `motion`) on a brain of any resolution (`tissues`); `run` puts one run together, with fMRIPrep's
confounds (`confounds`), and `dataset` writes many of them as an fMRIPrep-style derivative dataset.
"""

from ..lazy import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
