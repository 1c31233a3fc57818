"""What playing stops at."""

from __future__ import annotations

import pytest

from arena_tui.errors import UsageError
from arena_tui.events import ErrorEvent, Gap, LogEvent, TurnStart
from arena_tui.services.playback.stops import STOPS, parse_stops, stops_of, stops_text
from tests.envelopes import envelope


def test_words_say_what_to_stop_at() -> None:
    assert parse_stops("Errors, gap") == {"error", "gap"}
    assert parse_stops("all") == set(STOPS)
    assert parse_stops(" ") == frozenset()


def test_an_unknown_word_is_refused_with_those_that_are_known() -> None:
    with pytest.raises(UsageError, match="nothing called 'eror' to stop at: error, gap"):
        parse_stops("gap eror")
    with pytest.raises(UsageError, match="nothing called 'bogus' to stop at"):
        parse_stops("gaps bogus")


def test_what_is_stopped_at_is_said_in_words() -> None:
    assert stops_text(parse_stops("gaps error")) == "playing stops at error, gap"
    assert stops_text(()) == "playing stops at nothing"


def test_an_event_is_what_it_says_and_what_was_made_of_it() -> None:
    error = envelope("a", 7, 1, ErrorEvent(message="Rate limit"))

    assert stops_of(error, False, "") == {"error"}
    assert stops_of(error, True, "rate LIMIT") == {"error", "bookmark", "hit"}
    assert stops_of(envelope("a", 7, 2, TurnStart(turn=1, player="x")), False, "rate") == {"turn"}
    assert stops_of(Gap("a", 7, 2, 3, "trimmed"), False, "x") == {"gap"}
    assert stops_of(envelope("a", 7, 2, LogEvent(text="x")), False, "y") == frozenset()
    assert stops_of(None, False, "x") == frozenset()
