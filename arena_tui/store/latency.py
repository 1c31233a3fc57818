"""Reads how long the answers in a run took. Writes nothing."""

from __future__ import annotations

from typing import Final

from arena_tui.folds.matches import PLAUSIBLE_MAX
from arena_tui.store.reading import Reader

_MEAN: Final = f"""
SELECT avg(told) FROM (
    SELECT TRY_CAST(payload->>'latency_s' AS DOUBLE) AS told FROM events
    WHERE run_id = ? AND kind = 'llm_response' AND contains(payload, '"latency_s"')
) WHERE told BETWEEN 0 AND {PLAUSIBLE_MAX}
"""


def read_latency(reader: Reader, run_id: str) -> float | None:
    """Mean seconds of a run's answers; None where none tells how long it took."""
    ((mean,),) = reader.execute(_MEAN, [run_id]).fetchall()
    return None if mean is None else float(mean)
