"""Every warning has words of its own, and is given the figures they need."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest

import arena_tui
from arena_tui.broker.warned import Code, Figure, Warned, worded

CODES = get_args(Code)

WORDS: dict[Code, tuple[dict[str, Figure], str]] = {
    "on_trouble_failed": (
        {"command": "notify-send", "why": "No such file or directory"},
        "on_trouble: notify-send: No such file or directory",
    ),
    "high_water": (
        {"lag": 8_000, "percent": 80},
        "run a: 8,000 events not yet acked by store, 80 % of capacity",
    ),
    "overflow": ({}, "run a: overflow, store is losing events"),
    "overflow_over": (
        {"lost": 1_200}, "run a: store keeps up again, 1,200 events were lost",
    ),
    "read_too_late": ({"events": 1_200}, "run a: 1,200 events were gone before they were read"),
    "stream_renewed": (
        {"lost": 1_200}, "run a: its stream was made anew in Redis, 1,200 events lost",
    ),
    "stream_gone": ({}, "run a: its stream is gone from Redis"),
    "run_given_up": (
        {"lost": None}, "run a: it does not come back, an unknown number of events lost",
    ),
    "run_missing": ({}, "run a: it is no longer in Redis, and what store lacks is lost"),
    "run_renamed": (
        {"wanted": "b"}, "run a: the run id b is taken, so this run has another one"
    ),
    "run_left_out": ({"why": "run a has no game"}, "left a run out: run a has no game"),
    "entry_set_aside": (
        {"entry": "7-1", "why": "no payload"}, "run a: set entry 7-1 aside: no payload",
    ),
    "server_risk": (
        {"risk": "redis x forgets everything", "advice": "CONFIG SET appendonly yes"},
        "redis x forgets everything: CONFIG SET appendonly yes",
    ),
    "link_down": ({"why": "no connection to redis x"}, "no connection to redis x: trying again"),
    "link_restored": (
        {"place": "redis x", "away_s": 2.04}, "redis x works again, after 2.0 s",
    ),
    "task_restarted": (
        {"task": "reader of redis x", "why": "KeyError(1)"},
        "the reader of redis x failed and is started again: KeyError(1)",
    ),
    "work_failed": (
        {"work": "the heartbeat", "why": "KeyError(1)"},
        "the heartbeat failed and goes on: KeyError(1): see the log",
    ),
    "events_unpublished": (
        {"events": 2_000, "why": "no"}, "2,000 events could not be published: no: see the log",
    ),
    "account_off": (
        {"account": "broker", "equation": "not acked <= in flight", "expected": 1_000,
         "found": 2_000},
        "the account of broker does not add up: not acked <= in flight, but 1,000 are expected "
        "and 2,000 found",
    ),
    "prices_unknown": (
        {"why": "ImportError: no"},
        "cannot look up what models cost: ImportError: no: name prices in the settings file",
    ),
    "consumer_failed": ({"why": "no"}, "store: no; events are held and tried again"),
    "consumer_restored": ({}, "store works again"),
    "consumer_not_closed": ({"why": "no"}, "store cannot be closed: no"),
    "consumer_not_started": ({"why": "no"}, "store cannot start: no; it is tried again"),
    "consumer_elsewhere": (
        {"owner": "process 7"},
        "store runs in process 7: it is started here when that one ends",
    ),
    "consumer_left_out": ({"why": "no"}, "the installed consumer store is left out: no"),
    "client_dropped": (
        {"seconds": 30}, "store took nothing for 30 s: it was dropped, and can reconnect",
    ),
    "request_refused": (
        {"peer": "::1", "why": "no valid token"},
        "refused an HTTP request from ::1: no valid token",
    ),
    "script_failed": ({"script": "x.py", "why": "no"}, "x.py failed: no: see the log"),
    "file_missing": ({"file": "x"}, "x does not exist yet: waiting for it"),
    "file_unreadable": (
        {"file": "x", "why": "Is a directory"}, "cannot read x: Is a directory: trying again",
    ),
    "file_replaced": ({"file": "x"}, "x was replaced: reading it from its beginning"),
    "file_cut_short": ({"file": "x"}, "x was cut short: reading it from its beginning"),
    "file_rewritten": ({"file": "x"}, "x was written anew: reading it from its beginning"),
    "file_damaged": (
        {"file": "x", "why": "it ends in the middle"},
        "x: it ends in the middle: what was read until there is kept",
    ),
    "file_left": ({"file": "x"}, "x is no longer followed: see the log, start again"),
    "line_refused": ({"file": "x", "line": 1_200, "why": "no"}, "x line 1200: no"),
    "lines_refused": ({"file": "x", "lines": 1_200}, "x: 1,200 lines are not events: see the log"),
    "values_coerced": (
        {"field": "data.x", "why": "nan", "events": 1_200},
        "run a: an event could not be kept as given (data.x: nan): see its field coerced; "
        "1,200 such events so far",
    ),
    "events_refused": (
        {"why": "it has ended", "events": 1_200},
        "run a: an event was refused (it has ended); 1,200 so far",
    ),
    "store_log_cut": (
        {"bytes": 1_200, "kept": "b"},
        "the store's write-ahead log was damaged: its last 1,200 bytes could not be read; "
        "the damaged one is b",
    ),
    "store_log_mended": (
        {"whole": 1_100, "bytes": 1_200, "kept": "b"},
        "the store's write-ahead log was damaged: kept what was whole (1,100 of 1,200 bytes); "
        "the damaged one is b",
    ),
    "store_moved": (
        {"kept": "b", "why": "no"},
        "the store could not be read and was moved to b; a new one was begun (no)",
    ),
    "store_log_left": (
        {"path": "a", "kept": "b"},
        "no store was at a, but a write-ahead log: it is b now, put it beside its store",
    ),
    "store_rewritten": (
        {"path": "a"}, "the store's file was gone: a was written anew with all it held",
    ),
    "lost_with_owner": (
        {"events": 3},
        "run a: 3 of its events were lost, before they were stored, with the process that had the "
        "store open",
    ),
    "store_not_shared": (
        {"why": "b"},
        "other processes cannot use the store meanwhile: b",
    ),
    "store_read_only": ({"path": "a"}, "the store a may only be read: nothing is stored"),
    "no_log": ({"why": "cannot write the log x"}, "cannot write the log x"),
    "metrics_unwritten": (
        {"file": "x", "why": "Is a directory"},
        "cannot write the metrics to x: Is a directory: trying again",
    ),
}  # fmt: skip


def warned(code: Code, figures: dict[str, Figure]) -> Warned:
    return Warned(1, 0.0, code, "a", "store", figures)


def calls() -> Iterator[tuple[str, Code, set[str] | None]]:
    """Where the package warns: the place, the code, and the names of the figures, None where they
    are added further on."""
    for path in Path(arena_tui.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            match node:
                case ast.Call(
                    func=ast.Attribute(attr=called),
                    args=[ast.Constant(value=str(code)), *_],
                    keywords=keywords,
                ) if code in CODES:
                    figures = {each.arg for each in keywords if each.arg}
                    at_once = called in ("add", "_warn")
                    yield f"{path.name}:{node.lineno}", code, figures if at_once else None


@pytest.mark.parametrize("code", CODES)
def test_every_warning_is_worded_in_one_line_with_its_figures(code: Code) -> None:
    figures, words = WORDS[code]

    assert worded(warned(code, figures)) == str(warned(code, figures)) == words


def test_every_warning_is_given_the_figures_that_its_words_need() -> None:
    lacking = [
        f"{place}: {code} lacks {', '.join(sorted(lacks))}"
        for place, code, given in calls()
        if given is not None and (lacks := WORDS[code][0].keys() - given)
    ]

    assert lacking == []


def test_every_warning_is_given_somewhere() -> None:
    given = {code for _, code, _ in calls()}

    assert set(CODES) - given == set()


def test_what_a_user_wrote_is_no_template() -> None:
    told = warned("run_left_out", {"why": "{lost:,} {why}"})

    assert str(told) == "left a run out: {lost:,} {why}"
