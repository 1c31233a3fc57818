"""Turns of many runs in one thread: each run has its own, and those that are gone leave nothing."""

from __future__ import annotations

import gc

from arena_tui.producers.turns import Turn, Turns


def turns_in_memory() -> int:
    gc.collect()
    return sum(type(each) is Turn for each in gc.get_objects())


def test_runs_that_are_gone_are_forgotten_in_time() -> None:
    before = turns_in_memory()
    many = [Turns() for _ in range(500)]
    for number, turns in enumerate(many):
        turns.begin(number, None)
    assert [each.now().number for each in many] == list(range(500))

    del many, turns
    for _ in range(2_000):
        Turns().begin(1, None)

    assert turns_in_memory() - before < 100
