"""Benchmarks: every figure is measured together with its floor and its peers.

A *floor* is the least work that could do the job, a *peer* an alternative implementation. They
alternate round by round, so that load on the machine affects all of them alike. Nothing of the
product imports this package; it may import libraries that the layers forbid elsewhere: `duckdb`,
`sqlite3` and `pyarrow` in `store*.py`, `pipeline.py` and `flood.py`, `textual` in `ui*.py`.
"""
