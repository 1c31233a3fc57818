"""Measures this machine: each figure beside its floor and its peers, in the same run.

A *floor* is the least work that could do the job, a *peer* what one would use otherwise. They take
turns, round by round, so that a busy machine is unfair to nobody. Nothing of the product imports
this package; it may import the libraries it compares with where the layers forbid them elsewhere:
`duckdb`, `sqlite3` and `pyarrow` in `store*.py` and `pipeline.py`, `textual` in `ui*.py`.
"""
