"""Makes a large store of synthetic runs, as if they had been played at the same time."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Final

import msgspec

from arena_tui.store.database import Connection, Database
from arena_tui.store.schema import CURSORS_VIEW

LONGEST: Final = "stored-000000"
"""The run that has a fifth of all events, and is not over."""

TURN_EVENTS: Final = 7
"""Events of one turn: it begins, an observation, a prompt, an answer, an action, its result, a
metric."""

_EVENTS_PER_RUN: Final = 10_000
_LIVE: Final = 50
_AGENTS: Final = msgspec.json.encode(
    [{"id": "gpt-x", "name": "gpt-x", "spec": "llm:gpt-x"}, {"id": "random", "name": "random"}]
).decode()

_EVENTS: Final = """
INSERT INTO events
WITH numbered AS (
    SELECT n, n - n // 5 - 1 AS m FROM range({events}) AS numbers(n)
), placed AS (
    SELECT n, if(n % 5 = 0, 0, 1 + m // ({live} * {each}) * {live} + m % ({live} * {each})
        % least({live}, {short} - m // ({live} * {each}) * {live})) AS run,
        if(n % 5 = 0, n // 5, m % ({live} * {each})
        // least({live}, {short} - m // ({live} * {each}) * {live})) + 1 AS seq
    FROM numbered WHERE n % 5 = 0 OR m < {short} * {each}
), told AS (
    SELECT *, (seq - 2) // {turn} + 1 AS turn_number, (seq - 2) % {turn} AS step,
        if((seq - 2) // {turn} % 2 = 0, 'gpt-x', 'random') AS agent,
        TIMESTAMP '2026-01-01' + to_milliseconds(n) AS happened
    FROM placed
), kinds AS (
    SELECT *, CASE
        WHEN seq = 1 THEN 'run_start' WHEN seq = {each} AND run > 0 THEN 'run_end'
        WHEN seq % 1999 = 0 THEN 'error'
        ELSE ['turn_start', 'observation', 'llm_prompt', 'llm_response', 'action', 'action_result',
              'metric'][step + 1] END AS kind
    FROM told
)
SELECT 'stored-' || lpad(run::VARCHAR, 6, '0'), 1, seq,
    if(kind IN ('run_start', 'run_end'), NULL, turn_number), kind,
    if(kind IN ('run_start', 'run_end'), NULL, agent), happened,
    printf('{{"kind":"%s","ts":"%sZ"', kind, strftime(happened, '%Y-%m-%dT%H:%M:%S.%f'))
    || if(kind IN ('run_start', 'run_end'), '',
          printf(',"agent_id":"%s","turn":%d', agent, turn_number))
    || CASE kind
        WHEN 'run_start' THEN ',"game":"synth","agents":{agents}'
        WHEN 'turn_start' THEN printf(',"player":"%s"', agent)
        WHEN 'observation' THEN printf(',"text":". . x .\\nmove %d"', turn_number)
        WHEN 'llm_prompt' THEN printf(
            ',"model":"gpt-x","messages":[{{"role":"user","content":"Turn %d. Your move?"}}]',
            turn_number)
        WHEN 'llm_response' THEN printf(
            ',"text":"I play column %d.","model":"gpt-x","input_tokens":%d,"output_tokens":%d',
            turn_number % 7, 100 + turn_number % 50, turn_number % 9 + 1)
            || if(turn_number % 3 = 0, '', ',"cost_usd":0.001')
        WHEN 'action' THEN printf(',"action":"column %d"', turn_number % 7)
        WHEN 'action_result' THEN printf(',"ok":true,"reward":%d', turn_number % 2)
        WHEN 'metric' THEN printf(',"name":"material","value":%d', turn_number % 12)
        WHEN 'error' THEN printf(
            ',"where":"agent","message":"rate limit %d: retry in 60 s"', seq // 1999)
        ELSE ',"status":"finished","outcome":{{"gpt-x":1,"random":-1}}' END || '}}'
FROM kinds
"""
_RUNS: Final = """
INSERT INTO runs (run_id, epoch, seq, game, agents, status, outcome, turns, events, errors, lost,
                  input_tokens, output_tokens, cost_usd, started_at, ended_at, last_at)
SELECT run_id, 1, max(seq), 'synth', '{agents}',
    if(bool_or(kind = 'run_end'), 'finished', 'running'),
    if(bool_or(kind = 'run_end'), '{{"gpt-x":1.0,"random":-1.0}}', '{{}}'),
    max(coalesce(turn, 0)), count(*), count(*) FILTER (kind = 'error'), 0,
    sum((payload->>'input_tokens')::BIGINT) FILTER (kind = 'llm_response'),
    sum((payload->>'output_tokens')::BIGINT) FILTER (kind = 'llm_response'),
    sum((payload->>'cost_usd')::DOUBLE) FILTER (kind = 'llm_response'),
    min(ts), max(ts) FILTER (kind = 'run_end'), max(ts)
FROM events GROUP BY run_id
"""


async def make_store(path: str, events: int) -> None:
    """Make a store with about so many events; see `fill`."""
    database = Database(path)
    await database.write(partial(fill, events=events))
    await database.aclose()


def write_lines(path: str, lines: Path, most: int) -> None:
    """Write the events of a store to a file as JSON lines, at most so many."""
    database = Database(path, only_read=True)
    try:
        rows = database.read_now(
            lambda reader: reader.execute(f"SELECT payload FROM events LIMIT {most}").fetchall()
        )
    finally:
        database.close()
    lines.write_text("".join(f"{payload}\n" for (payload,) in rows), encoding="utf-8")


def fill(connection: Connection, events: int, per_run: int = _EVENTS_PER_RUN) -> None:
    """Fill an empty store with about so many events, `per_run` of them in a run as a mean.

    Events are stored in the order of their times, those of 50 runs (or of all, if there are fewer)
    among each other. One of them is `LONGEST`.
    """
    runs = max(2, events // per_run)
    short = runs - 1
    sizes = {
        "events": events, "short": short, "live": min(_LIVE - 1, short), "turn": TURN_EVENTS,
        "each": max(2, (events - events // 5) // short), "agents": _AGENTS,
    }  # fmt: skip
    connection.execute(_EVENTS.format(**sizes))
    connection.execute(_RUNS.format(**sizes))
    connection.execute(CURSORS_VIEW)
