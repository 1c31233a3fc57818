"""Reads how a figure of each agent went over a run's turns, in one query. Writes nothing."""

from __future__ import annotations

from typing import Final

from arena_tui.folds.series import (
    COST,
    METRIC,
    METRICS_MAX,
    REWARD,
    TOKENS,
    Point,
    Series,
    Turns,
    best_series,
)
from arena_tui.store.reading import Reader

_POINTS: Final = f"""
WITH ends AS (SELECT min(turn) AS first, max(turn) AS last FROM events WHERE run_id = $run),
told AS (
    SELECT coalesce(agent_id, '') AS agent, turn, epoch, seq, kind,
        payload->>['name', 'value', 'reward', 'input_tokens', 'output_tokens', 'cost_usd'] AS given
    FROM events WHERE run_id = $run AND turn IS NOT NULL
        AND kind IN ('action_result', 'metric', 'llm_response')
),
figures AS (
    SELECT agent, turn, epoch, seq, unnest(CASE kind
        WHEN 'action_result' THEN [{{'name': '{REWARD}', 'value': TRY_CAST(given[3] AS DOUBLE)}}]
        WHEN 'metric' THEN [{{'name': '{METRIC}' || coalesce(given[1], ''),
                              'value': TRY_CAST(given[2] AS DOUBLE)}}]
        ELSE [
            {{'name': '{TOKENS}', 'value': coalesce(TRY_CAST(given[4] AS DOUBLE) +
                TRY_CAST(given[5] AS DOUBLE), TRY_CAST(given[4] AS DOUBLE),
                TRY_CAST(given[5] AS DOUBLE))}},
            {{'name': '{COST}', 'value': TRY_CAST(given[6] AS DOUBLE)}}
        ] END) AS figure
    FROM told
),
known AS (
    SELECT agent, turn, epoch, seq, figure.name AS name, figure.value AS value
    FROM figures WHERE isfinite(figure.value)
),
metrics AS (
    SELECT name FROM known WHERE starts_with(name, '{METRIC}') GROUP BY 1
    ORDER BY count(*) DESC, name LIMIT {METRICS_MAX}
)
SELECT name, agent,
    (turn - first) * least($slices, last - first + 1) // (last - first + 1) AS slice, sum(value),
    count(*), arg_max(value, (epoch, seq)), any_value(first), any_value(last)
FROM known, ends WHERE NOT starts_with(name, '{METRIC}') OR name IN (FROM metrics)
GROUP BY 1, 2, 3
"""


def read_series(connection: Reader, run_id: str, slices: int) -> Series | None:
    """See `series_of`: the same of a stored run."""
    rows = connection.execute(_POINTS, {"run": run_id, "slices": slices}).fetchall()
    if not rows:
        return None
    points = {
        (name, agent, index): Point(total=total, count=count, newest=newest)
        for name, agent, index, total, count, newest, _, _ in rows
    }
    return best_series(points, Turns(first=rows[0][6], last=rows[0][7], slices=slices))
