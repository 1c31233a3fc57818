"""Whether a store is whole: counts everything again, in SQL, apart from the code that wrote it."""

from __future__ import annotations

from msgspec import Struct

from arena_tui.store.database import Connection

__all__ = ["Verdict", "verify_store"]

_PER_STREAM = """
WITH stream AS (
    SELECT run_id, epoch, count(*) AS rows, count(DISTINCT seq) AS seqs,
           min(seq) AS first, max(seq) AS last
    FROM events GROUP BY ALL
), gap AS (
    SELECT run_id, epoch, sum(greatest(0, to_seq - from_seq + 1)) AS missing,
           min(from_seq) AS first, max(to_seq) AS last
    FROM gaps WHERE reason <> 'reset' GROUP BY ALL
), overlap AS (
    SELECT run_id, epoch, count(*) AS rows
    FROM gaps JOIN events USING (run_id, epoch)
    WHERE seq BETWEEN from_seq AND to_seq GROUP BY ALL
)
SELECT run_id, epoch, coalesce(stream.rows, 0), coalesce(stream.seqs, 0),
       coalesce(gap.missing, 0), coalesce(overlap.rows, 0),
       least(coalesce(stream.first, gap.first), coalesce(gap.first, stream.first)),
       greatest(coalesce(stream.last, gap.last), coalesce(gap.last, stream.last))
FROM stream FULL JOIN gap USING (run_id, epoch) LEFT JOIN overlap USING (run_id, epoch)
"""
_RECOUNT = """
SELECT run_id, count(*), max(greatest(coalesce(turn, 0), 0)),
       count(*) FILTER (kind = 'error'),
       sum(TRY_CAST(payload->>'input_tokens' AS BIGINT)) FILTER (kind = 'llm_response'),
       sum(TRY_CAST(payload->>'output_tokens' AS BIGINT)) FILTER (kind = 'llm_response'),
       sum(TRY_CAST(payload->>'cost_usd' AS DOUBLE)) FILTER (kind = 'llm_response')
FROM events GROUP BY run_id
"""
_RUNS = """
SELECT run_id, epoch, seq, events, turns, errors, input_tokens, output_tokens, cost_usd, lost,
       status FROM runs
"""


class Verdict(Struct, frozen=True, kw_only=True):
    """One run's check: `problems` is empty when all is well."""

    run_id: str
    events: int
    lost: int
    problems: tuple[str, ...]


def verify_store(connection: Connection) -> list[Verdict]:
    """Check every run: seqs dense from 1, every hole a gap row, no duplicates, cursor = newest
    seq, totals equal to a recount. Sorted by run id."""
    problems: dict[str, list[str]] = {}
    newest: dict[str, tuple[int, int]] = {}
    for run_id, epoch, rows, seqs, missing, overlap, first, last in connection.execute(
        _PER_STREAM
    ).fetchall():
        found = problems.setdefault(run_id, [])
        newest[run_id] = max(newest.get(run_id, (0, 0)), (epoch, last))
        if rows != seqs:
            found.append(f"{rows - seqs} duplicate events")
        if overlap:
            found.append(f"{overlap} events inside gaps")
        if first != 1 or seqs + missing != last:
            found.append(f"{last - seqs - missing} of {last} seqs neither stored nor in a gap")
    recount = {row[0]: row[1:] for row in connection.execute(_RECOUNT).fetchall()}
    gaps = dict(connection.execute(
        "SELECT run_id, sum(greatest(0, to_seq - from_seq + 1)) FROM gaps GROUP BY 1"
    ).fetchall())  # fmt: skip
    verdicts = []
    for run_id, epoch, seq, *totals, lost, _status in connection.execute(_RUNS).fetchall():
        found = problems.pop(run_id, [])
        if (epoch, seq) != newest.get(run_id, (epoch, 0)):
            found.append(f"cursor is {epoch}-{seq}, newest seq is %d-%d" % newest.get(run_id, (0, 0)))
        names = ("events", "turns", "errors", "input_tokens", "output_tokens", "cost_usd")
        for name, folded, counted in zip(
            names, totals, recount.get(run_id, (0, 0, 0, None, None, None)), strict=True
        ):
            if not _same(folded, counted):
                found.append(f"{name} is {folded}, counted {counted}")
        if lost != gaps.get(run_id, 0):
            found.append(f"lost is {lost}, gaps hold {gaps.get(run_id, 0)}")
        verdicts.append(Verdict(run_id=run_id, events=totals[0], lost=lost, problems=tuple(found)))
    verdicts += [
        Verdict(run_id=run_id, events=0, lost=0, problems=(*found, "events without a run"))
        for run_id, found in problems.items()
    ]
    return sorted(verdicts, key=lambda verdict: verdict.run_id)


def _same(folded: float | None, counted: float | None) -> bool:
    if folded is None or counted is None:
        return folded is counted
    return abs(folded - counted) <= 1e-9 * max(1.0, abs(counted))
