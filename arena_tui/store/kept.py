"""What a store has of each run: the counts that its account needs, and nothing else of the run."""

from __future__ import annotations

from typing import Final, NamedTuple

from arena_tui.store.reading import Reader

_RUNS: Final = """
SELECT run_id, coalesce(game, ''), label, epoch, seq, events, lost, coalesce(lost_unknown, 0)
FROM runs ORDER BY started_at DESC NULLS LAST, run_id
"""


class Kept(NamedTuple):
    """What is stored of one run, in all its epochs.

    Attributes:
        epoch, seq: The newest event, or the end of the newest gap.
        lost: Events in gaps of known length; lost_unknown: gaps of unknown length.
    """

    run_id: str
    game: str
    label: str | None
    epoch: int
    seq: int
    events: int
    lost: int
    lost_unknown: int


def read_kept(reader: Reader) -> list[Kept]:
    """All stored runs, newest first."""
    return [Kept(*row) for row in reader.execute(_RUNS).fetchall()]
