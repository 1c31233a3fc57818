"""A text is found in all runs, the newest first, by the rule of `History.search`."""

from __future__ import annotations

import asyncio
import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from arena_tui.broker.protocol import Cursor
from arena_tui.cli import main
from arena_tui.events import LogEvent, RunStart
from arena_tui.folds.visible import line_with
from arena_tui.store.database import Database
from arena_tui.store.history import History, read_runs
from arena_tui.store.searching import Hit, Search, Sizes
from tests.cli.test_stored import made
from tests.envelopes import envelope

AT = datetime(2026, 3, 14, 12, tzinfo=UTC)
RUNS = ("old", "new")
SIZES = Sizes()


@pytest.fixture
def filled(path: str) -> str:
    events = []
    for day, run_id in enumerate(RUNS):
        at = AT + timedelta(days=day)
        events.append(envelope(run_id, 1, 1, RunStart(ts=at, game=f"game-{run_id}")))
        for seq in range(2, 3_002):
            text = f"first\n\x1b[31mNeedle {seq} of {run_id}" if seq % 3 == 0 else "hay"
            events.append(envelope(run_id, 1, seq, LogEvent(ts=at, text=text, agent_id="a")))
    made(path, events)
    return path


def all_hits(path: str, text: str, sizes: Sizes = SIZES) -> list[list[Hit]]:
    database = Database(path, only_read=True)
    search = Search(text, database.read_now(read_runs), sizes)
    batches = []
    while not search.is_over:
        batches.append(database.read_now(search.read))
    database.close()
    return batches


def test_hits_are_those_of_the_search_in_a_run_newest_run_first(filled: str) -> None:
    hits = [hit for batch in all_hits(filled, "nEEDLE") for hit in batch]
    database = Database(filled, only_read=True)
    history = History(database)

    async def one_by_one(run_id: str) -> list[int]:
        seqs, at = [], Cursor(0, 0)
        while (found := await history.search(run_id, "nEEDLE 12", at)) is not None:
            seqs.append(found.seq)
            at = found
        return seqs

    some = [hit.seq for hit in hits if hit.run_id == "old" and "Needle 12" in hit.text]
    assert [(hit.run_id, hit.seq) for hit in hits] == [
        (run_id, seq) for run_id in reversed(RUNS) for seq in range(3, 3_002, 3)
    ]
    assert some == asyncio.run(one_by_one("old"))
    assert hits[0] == Hit(
        "new", 1, 3, AT + timedelta(days=1), "log", "a", None, "\x1b[31mNeedle 3 of new"
    )
    database.close()


def test_keys_and_kinds_are_not_found(filled: str) -> None:
    assert sum(map(len, all_hits(filled, "run_start"))) == 0
    assert sum(map(len, all_hits(filled, "agent_id"))) == 0
    assert sum(map(len, all_hits(filled, "game-old"))) == 1


@pytest.mark.parametrize(("first", "step", "most"), [
    (4, 7, 20_000), (400, 900, 20_000), (1_000_000, 2_000_000, 20_000), (4, 50, 100),
])  # fmt: skip
def test_batches_of_any_size_find_the_same_once(
    filled: str, first: int, step: int, most: int
) -> None:
    sizes = Sizes(first, step, most)

    found = [
        (hit.run_id, hit.seq) for batch in all_hits(filled, "needle 3 ", sizes) for hit in batch
    ]
    many = [hit.seq for batch in all_hits(filled, "Needle", sizes) for hit in batch]

    assert found == [("new", 3), ("old", 3)]
    assert many == [*range(3, 3_002, 3)] * 2


def test_a_batch_of_many_events_has_few_hits(filled: str) -> None:
    batches = all_hits(filled, "needle", Sizes(first=10, step=2_000, hits_max=100))

    assert [hit.seq for batch in batches for hit in batch] == [*range(3, 3_002, 3)] * 2
    assert max(map(len, batches)) <= 100


@pytest.mark.parametrize(("text", "wanted", "line"), [
    ("one\ntwo words\nthree", "WORDS", "two words"),
    ("one\ntwo", "one\ntwo", "one\ntwo"),
    ('say "hi"', '"HI"', 'say "hi"'),
    ("a" * 200 + "needle" + "b" * 300, "needle", "…" + "a" * 40 + "needle" + "b" * 114 + "…"),
])  # fmt: skip
def test_an_excerpt_is_the_line_with_the_text(text: str, wanted: str, line: str) -> None:
    event = envelope("run", 1, 1, LogEvent(ts=AT, text=text))

    assert line_with(event.raw.decode(), wanted) == line


def test_the_command_prints_hits_as_lines_and_as_objects(
    filled: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["search", "needle 9 ", "--db", filled]) == 0
    said = capfd.readouterr()
    assert (
        main(["search", "needle", "game:game-old", "--limit", "2", "--json", "--db", filled]) == 0
    )
    objects: list[dict[str, Any]] = list(map(json.loads, capfd.readouterr().out.splitlines()))

    assert [line.split()[0] for line in said.out.splitlines()] == ["new", "old"]
    assert "\x1b" not in said.out
    assert "log" in said.out
    assert "[31mNeedle 9 of new" in said.out
    assert objects == [
        {"run_id": "old", "epoch": 1, "seq": seq, "ts": "2026-03-14T12:00:00Z", "kind": "log",
         "agent_id": "a", "turn": None, "text": f"\x1b[31mNeedle {seq} of old"}
        for seq in (3, 6)
    ]  # fmt: skip


@pytest.mark.parametrize(("words", "said"), [
    (["  "], "nothing to look for"), (["x", "nosuch:1"], "nosuch"),
])  # fmt: skip
def test_a_mistake_is_told(
    filled: str, capfd: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    assert main(["search", *words, "--db", filled]) == 2
    assert said in capfd.readouterr().err


def test_a_search_without_hits_says_so_beside_its_output(
    filled: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["search", "nothing like it", "--db", filled]) == 0
    out, err = capfd.readouterr()
    assert out == ""
    assert re.fullmatch(r"no event contains it, in \d+ runs?\n", err)

    assert main(["search", "nothing like it", "--db", filled, "--json"]) == 0
    assert capfd.readouterr() == ("", "")
