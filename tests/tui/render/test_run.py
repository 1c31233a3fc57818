"""The parts of the Run screen, and a stored run's preview, as literal text."""

from __future__ import annotations

from datetime import timedelta

import pytest
from msgspec.structs import replace

from arena_tui.events import Delivery, Gap, LogEvent
from arena_tui.folds.density import Density, Mark, density_of
from arena_tui.folds.totals import RunTotals
from arena_tui.folds.view import Instant
from arena_tui.services.playback.playhead import Position
from arena_tui.tui.render.palette import Palette
from arena_tui.tui.render.run import (
    event_cells,
    inspect,
    paint_header,
    paint_scrubber,
    preview,
)
from tests.envelopes import envelope
from tests.tui.scenario import NOW

LOSS = Gap("r", 7, 4, 3, "unknown")
ZONE = timedelta()


def losing() -> Density:
    """Three events, two lost, and a loss of unknown length after the third."""
    at = [NOW + timedelta(seconds=second) for second in (0, 50, 100)]
    run: list[Delivery] = [
        envelope("r", 6, 1, LogEvent(ts=at[0])),
        Gap("r", 6, 2, 3, "trimmed"),
        envelope("r", 6, 4, LogEvent(ts=at[1])),
        Gap("r", 6, 5, 4, "unknown"),
        envelope("r", 6, 5, LogEvent(ts=at[2])),
    ]
    return density_of(run, 12)


@pytest.mark.parametrize("width", [60, 100])
def test_the_header_says_that_events_were_lost_and_that_nobody_knows_how_many(width: int) -> None:
    def header(density: Density | None) -> str:
        position = Position(mode="REPLAY 1x", at=3, last=5)
        return paint_header(Instant(game="go"), position, density, Palette(), width, ZONE).text

    assert "lost ≥2  REPLAY 1x" in header(losing())
    assert "lost 2  REPLAY 1x" in header(replace(losing(), lost_unknown=0))
    assert "lost" not in header(None) + header(replace(losing(), lost=0, lost_unknown=0))


def test_a_loss_of_unknown_length_is_worded_in_list_and_inspector() -> None:
    text = "┄┄ gap: an unknown number of events lost ┄┄"

    assert event_cells(LOSS, ZONE)[-1] == (text, "bad")
    assert inspect(LOSS, ZONE).plain == text


def test_the_scrubber_draws_gaps_and_no_other_mark_hides_one() -> None:
    density = losing()
    bookmark = Mark(place=5, kind="bookmark", slice=5)
    position = Position(at=5, last=5)

    def scrubber(density: Density) -> str:
        return paint_scrubber(density, position, Palette(), 34, ZONE).text

    assert scrubber(density).count("┆") == 2
    assert scrubber(replace(density, marks=(*density.marks, bookmark))) == scrubber(density)


def test_the_preview_of_a_stored_run_says_the_least_that_was_lost() -> None:
    def lost(**fields: int) -> str:
        text = preview(RunTotals(run_id="r", **fields), None, 30, ZONE).plain
        return next(line for line in text.splitlines() if line.startswith("lost"))

    assert lost(lost=12, lost_unknown=1) == "lost    ≥12"
    assert lost(lost=1_200) == "lost    1,200"
