"""Playing a run back, as arithmetic on seqs and times."""

from __future__ import annotations

import random

import pytest

from arena_tui.services.playback.playhead import Playhead


def at(seq: int, *, speed_steps: int = 0) -> Playhead:
    head = Playhead()
    head.place(seq, last=100, live=False)
    for _ in range(speed_steps):
        head.change_speed(1)
    head.play(float(seq))
    return head


def one_a_second(seq: int) -> float:
    return float(seq)


def test_a_second_of_playing_shows_what_happened_in_a_second() -> None:
    assert at(10).advance(3.0, 100, one_a_second) == 13


def test_four_times_the_speed_shows_four_times_as_much() -> None:
    assert at(10, speed_steps=2).advance(3.0, 100, one_a_second) == 22


def test_playing_stops_at_the_last_event() -> None:
    assert at(95).advance(60.0, 100, one_a_second) == 100


def test_playing_waits_for_events_that_are_not_loaded() -> None:
    head = at(10)

    assert head.advance(5.0, 100, lambda seq: float(seq) if seq < 13 else None) == 12


def test_a_long_silence_is_cut_to_two_seconds() -> None:
    head = at(10)

    def after_an_hour(seq: int) -> float:
        return float(seq) + (3_600.0 if seq > 10 else 0.0)

    reached = [head.advance(0.5, 11, after_an_hour) for _ in range(5)]

    assert reached == [10, 10, 10, 11, 11]


def test_one_event_with_a_wrong_clock_delays_playback_by_one_pause() -> None:
    head = at(10)

    def decades_later_at_13(seq: int) -> float:
        return float(seq) + (1.3e9 if seq == 13 else 0.0)

    reached = [head.at]
    for _ in range(6):
        head.place(head.advance(1.0, 100, decades_later_at_13), last=100, live=False)
        reached.append(head.at)

    assert reached == [10, 11, 12, 12, 14, 15, 16]


def test_what_was_waited_for_an_unread_event_is_not_caught_up_with_in_a_burst() -> None:
    head = at(10)
    for _ in range(60):
        head.advance(1.0, 100, lambda _: None)

    assert head.advance(1.0, 100, one_a_second) == 13


def test_a_gap_is_passed_at_once() -> None:
    assert at(10).advance(1.0, 100, lambda seq: 0.0 if seq < 90 else float(seq)) == 89


def test_only_the_newest_event_of_a_live_run_is_followed() -> None:
    head = Playhead()
    states = []
    for seq, live in ((100, True), (99, True), (100, False)):
        head.place(seq, last=100, live=live)
        states.append((head.following, head.mode(live)))

    assert states == [(True, "LIVE ●"), (False, "PAUSED 1x"), (False, "REPLAY 1x")]


def test_the_speed_stays_within_its_steps() -> None:
    head = Playhead()
    for _ in range(20):
        head.change_speed(1)
    fastest = head.speed
    for _ in range(20):
        head.change_speed(-1)

    assert (fastest, head.speed) == (64.0, 0.25)


def test_playing_ends_at_what_it_stops_at() -> None:
    head = at(10)

    assert head.advance(60.0, 100, one_a_second, lambda seq: seq % 7 == 0) == 14
    assert not head.playing
    head.place(14, last=100, live=False)
    head.play(14.0)
    assert head.advance(60.0, 100, one_a_second, lambda seq: seq % 7 == 0) == 21


def test_a_silence_is_said_while_it_is_cut_short() -> None:
    head = at(10)

    def after_an_hour(seq: int) -> float:
        return float(seq) + (3_600.0 if seq > 11 else 0.0)

    said = []
    for _ in range(4):
        head.place(head.advance(1.0, 20, after_an_hour), last=20, live=False)
        head.advance(0.0, 20, after_an_hour)
        said.append((head.at, head.idle_s))

    assert said == [(11, 3_601.0), (11, 3_601.0), (12, None), (13, None)]


@pytest.mark.parametrize("seed", range(20))
def test_at_any_speed_every_event_is_passed_once_and_no_time_is_lost(seed: int) -> None:
    draw = random.Random(seed)
    times = [0.0]
    for _ in range(400):
        times.append(times[-1] + draw.choice((0.0, 0.01, 0.3, 1.9)))
    head, passed, played_s = Playhead(), [1], 0.0
    head.place(1, last=400, live=False)
    head.play(times[1])
    while head.at < 400:
        head.change_speed(draw.choice((-1, 0, 1)))
        tick_s = draw.uniform(0, 0.5)
        played_s += tick_s * head.speed
        before = head.at
        head.place(head.advance(tick_s, 400, times.__getitem__), last=400, live=False)
        passed += range(before + 1, head.at + 1)
        assert times[head.at] - times[1] <= played_s + 1e-6

    assert passed == list(range(1, 401))
    assert played_s - (times[400] - times[1]) <= 0.5 * 64
