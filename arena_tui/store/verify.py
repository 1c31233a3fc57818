"""Checks a store's integrity by recounting it in SQL, independently of the code that wrote it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from arena_tui.folds.totals import BIGINT_MAX
from arena_tui.store.reading import Reader, snapshot

_PER_STREAM = """
WITH stream AS (
    SELECT run_id, epoch, count(*) AS rows, count(DISTINCT seq) AS seqs,
           min(seq) AS first, max(seq) AS last
    FROM events GROUP BY ALL
), gap AS (
    SELECT run_id, epoch, sum(greatest(0, to_seq - from_seq + 1)) AS missing,
           min(from_seq) AS first, max(to_seq) AS last
    FROM gaps GROUP BY ALL
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
       sum(TRY_CAST(payload->>'cost_usd' AS DOUBLE)) FILTER (kind = 'llm_response'),
       sum(abs(TRY_CAST(payload->>'cost_usd' AS DOUBLE))) FILTER (kind = 'llm_response')
FROM events GROUP BY run_id
"""
_NO_EVENTS = (0, 0, 0, None, None, None, None)
_ENDS = """
SELECT run_id, epoch, arg_max(coalesce(payload->>'status', 'finished'), seq)
FROM events WHERE kind = 'run_end' GROUP BY ALL
"""
_GAPS = """
SELECT run_id, count(*) FILTER (to_seq >= from_seq), sum(greatest(0, to_seq - from_seq + 1)),
       count(*) FILTER (reason = 'unknown')
FROM gaps GROUP BY run_id
"""
_RUNS = """
SELECT run_id, epoch, seq, status, lost, lost_unknown, events, turns, errors, input_tokens,
       output_tokens, cost_usd FROM runs
"""
_TOTALS = ("events", "turns", "errors", "input_tokens", "output_tokens")


class Verdict(Struct, frozen=True, kw_only=True):
    """Result of checking one run.

    Attributes:
        gaps: Gaps of known length, in which `lost` events were lost.
        lost_unknown: Gaps of unknown length.
        problems: What is wrong with its rows; empty when they are sound.
    """

    run_id: str
    events: int = 0
    gaps: int = 0
    lost: int = 0
    lost_unknown: int = 0
    problems: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether its rows are sound and nothing is missing but what known gaps say."""
        return not self.problems and not self.lost_unknown


def verify_store(reader: Reader) -> list[Verdict]:
    """Check every run against one snapshot of the store; verdicts are sorted by run id.

    Seqs are dense from 1, with a gap row for every hole and no duplicates; the cursor is the newest
    seq; totals and status equal a recount. Safe to run while events are being stored.
    """
    queries = (_PER_STREAM, _RECOUNT, _ENDS, _GAPS, _RUNS)
    streams, counted_rows, end_rows, gap_rows, stored_runs = snapshot(reader, queries)
    problems, newest = _check_seqs(streams)
    recounts = {row[0]: row[1:] for row in counted_rows}
    ends = {row[:2]: row[2] for row in end_rows}
    gaps = {row[0]: row[1:] for row in gap_rows}
    verdicts = []
    for run_id, epoch, seq, status, lost, unknown, *totals, cost in stored_runs:
        found = problems.pop(run_id, [])
        known_gaps, missing, unknown_gaps = gaps.get(run_id, (0, 0, 0))
        *counted, cost_counted, cost_scale = recounts.get(run_id, _NO_EVENTS)
        checks = [
            ("cursor", (epoch, seq), newest.get(run_id, (epoch, 0))),
            ("status", status, ends.get((run_id, epoch), "running")),
            ("lost", lost, missing),
            ("lost_unknown", unknown, unknown_gaps),
            *zip(_TOTALS, totals, (_capped(each) for each in counted), strict=True),
        ]
        if not _close(cost, cost_counted, cost_scale):
            checks.append(("cost_usd", cost, cost_counted))
        found += [
            f"{name} is {_text(stored)}, counted {_text(count)}"
            for name, stored, count in checks
            if stored != count
        ]
        verdicts.append(Verdict(
            run_id=run_id, events=totals[0], gaps=known_gaps, lost=lost,
            lost_unknown=max(unknown or 0, unknown_gaps), problems=tuple(found),
        ))  # fmt: skip
    verdicts += [
        Verdict(run_id=run_id, problems=(*found, "events without a run"))
        for run_id, found in problems.items()
    ]
    return sorted(verdicts, key=lambda verdict: verdict.run_id)


def _check_seqs(streams: Sequence[Any]) -> tuple[dict[str, list[str]], dict[str, tuple[int, int]]]:
    """Problems with each run's seqs, and its newest (epoch, seq)."""
    problems: dict[str, list[str]] = {}
    newest: dict[str, tuple[int, int]] = {}
    for run_id, epoch, rows, seqs, missing, overlap, first, last in streams:
        found = problems.setdefault(run_id, [])
        newest[run_id] = max(newest.get(run_id, (0, 0)), (epoch, last))
        if rows != seqs:
            found.append(f"{rows - seqs} duplicate events")
        if overlap:
            found.append(f"{overlap} events inside gaps")
        if first != 1 or seqs + missing != last:
            found.append(f"{last - seqs - missing} of {last} seqs neither stored nor in a gap")
    return problems, newest


def _capped(count: int | None) -> int | None:
    """The count as the totals column holds it, capped at 64 bits."""
    return None if count is None else min(count, BIGINT_MAX)


def _close(stored: float | None, counted: float | None, scale: float | None) -> bool:
    """Whether two sums of the same numbers, added in different orders, agree up to rounding."""
    if stored is None or counted is None or stored == counted:
        return stored == counted
    return abs(stored - counted) <= 1e-9 * (scale or 0.0)


def _text(value: object) -> str:
    return "-".join(map(str, value)) if isinstance(value, tuple) else str(value)
