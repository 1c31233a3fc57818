"""Reads ended runs as matches, with what each agent did in them, in two queries. Writes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from arena_tui.folds.matches import NANO, PLAUSIBLE_MAX, Match, Usage, match_of
from arena_tui.folds.totals import saturating_sum
from arena_tui.store.reading import Reader
from arena_tui.store.rows import RUN_COLUMNS, totals_of


def _sum(place: int) -> str:
    """Billionths, added up as whole numbers: of doubles the sum would depend on their order."""
    value = f"TRY_CAST(told[{place}] AS DOUBLE)"
    return (
        f"sum(TRY_CAST(round_even({value} * {NANO}, 0) AS HUGEINT)) "
        f"FILTER ({value} BETWEEN 0 AND {PLAUSIBLE_MAX})"
    )


_USAGE: Final = f"""
SELECT run_id, agent_id, count(*) FILTER (kind = 'action'), count(*) FILTER (refused),
    count(*) FILTER (kind = 'error'),
    sum(TRY_CAST(told[1] AS BIGINT)), sum(TRY_CAST(told[2] AS BIGINT)), {_sum(3)}, {_sum(4)},
    count(*) FILTER (TRY_CAST(told[4] AS DOUBLE) BETWEEN 0 AND {PLAUSIBLE_MAX})
FROM (
    SELECT run_id, agent_id, kind,
        CASE WHEN kind = 'action_result' AND contains(payload, '"ok"')
            THEN payload->>'ok' = 'false' END AS refused,
        CASE WHEN kind = 'llm_response' THEN
            payload->>['input_tokens', 'output_tokens', 'cost_usd', 'latency_s'] END AS told
    FROM events
    WHERE kind IN ('action', 'action_result', 'error', 'llm_response') AND agent_id IS NOT NULL
        AND run_id IN (SELECT run_id FROM runs WHERE {{where}})
)
GROUP BY run_id, agent_id
"""
"""JSON is read only where it has something to say: that is most of the cost."""


def read_matches(
    connection: Reader,
    where: str = "TRUE",
    parameters: Sequence[Any] = (),
    *,
    game: str | None = None,
    since: datetime | None = None,
) -> list[Match]:
    """The ended runs that match; `parse_filter` makes `where` and `parameters`.

    Args:
        game: Only runs of exactly this game.
        since: Only runs that started then or later; UTC.
    """
    conditions, values = [f"({where})", "status <> 'running'"], [*parameters]
    if game is not None:
        conditions.append("game = ?")
        values.append(game)
    if since is not None:
        conditions.append("started_at >= ?")
        values.append(since.replace(tzinfo=None))
    chosen = " AND ".join(conditions)
    usage: dict[str, dict[str, Usage]] = {}
    for row in connection.execute(_USAGE.format(where=chosen), values).fetchall():
        usage.setdefault(row[0], {})[row[1]] = _usage(*row[2:])
    runs = connection.execute(f"SELECT {RUN_COLUMNS} FROM runs WHERE {chosen}", values).fetchall()
    totals = [totals_of(row) for row in runs]
    found = [match_of(each, usage.get(each.run_id, {})) for each in totals]
    return [match for match in found if match is not None]


def _usage(
    actions: int,
    illegal: int,
    errors: int,
    input_tokens: int | None,
    output_tokens: int | None,
    cost_nano: int | None,
    latency_nano: int | None,
    timed: int,
) -> Usage:
    return Usage(
        actions=actions, illegal=illegal, errors=errors,
        input_tokens=saturating_sum(None, input_tokens),
        output_tokens=saturating_sum(None, output_tokens), cost_nano=cost_nano,
        latency_nano=latency_nano or 0, timed=timed,
    )  # fmt: skip
