"""An honest judge: rivals in classes by what they may see, bounds, two generators, chance beside every score.

`rivals` and `decompositions` hold the methods, `bounds` what knowing the planted maps would give, `plants` the
planted data, `chance` and `scores` how maps are scored against truth and against surrogates of it, `people` the same
on real runs, and `run` (``python -m benchmarks.judge``) fills and prints the tables. `seeds` keeps choosing and
reporting apart.
"""
