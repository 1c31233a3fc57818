"""The checker finds each way of corrupting what a sound scenario has left, by its name."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from arena_tui.codec import sealed
from arena_tui.events import Envelope, Event, LogEvent, RunEnd, RunStart
from arena_tui.events import Gap as LostRange
from arena_tui.store.database import Database
from arena_tui.store.ingest import Ingest
from tests.faults.chaos.checker import Checker
from tests.faults.chaos.holdings import Event as ChaosEvent
from tests.faults.chaos.holdings import Holding, item_of, read_record, read_store
from tests.faults.chaos.ledger import Ledger, read_ledgers

EPOCH = 1_700_000_000_000
LOST = range(5, 8)
EVENTS = 12


class Sound:
    """A store and a record of one run of twelve events, of which three are told as lost."""

    def __init__(self, folder: Path) -> None:
        self.ledger = folder / "p.ledger"
        self.db = folder / "s.duckdb"
        self.record = folder / "s.jsonl"
        ledger = Ledger(self.ledger, "p", "p/1")
        batch: list[Envelope | LostRange] = []
        for number in range(1, EVENTS + 1):
            text = ledger.emit("r", "x" * number, last=number == EVENTS)
            event: Event = LogEvent(text=text)
            if number == 1:
                event = RunStart(game="chaos", label=text)
            elif number == EVENTS:
                event = RunEnd(reason=text)
            if number == LOST[0]:
                batch.append(LostRange("r", EPOCH, LOST[0], LOST[-1], "reset"))
            elif number not in LOST:
                batch.append(Envelope("r", EPOCH, number, *sealed(event)))
        ledger.closed()
        database = Database(str(self.db))
        asyncio.run(database.write(lambda connection: Ingest().commit(connection, batch, [])))
        database.close()
        with self.record.open("w") as file:
            for each in batch:
                fields = {"run_id": "r", "epoch": EPOCH}
                if isinstance(each, LostRange):
                    fields |= {"kind": "gap", "from_seq": each.from_seq, "to_seq": each.to_seq,
                               "reason": each.reason}  # fmt: skip
                else:
                    fields |= {"seq": each.seq} | json.loads(each.raw)
                file.write(json.dumps(fields) + "\n")

    def change(self, query: str) -> None:
        with duckdb.connect(str(self.db)) as connection:
            connection.execute(query)

    def found(self, *, strict: bool = False) -> set[str]:
        """Names of the violations in the store and the record."""
        checker = Checker(*read_ledgers([self.ledger]), strict=strict)
        checker.check(read_store(self.db, "s"))
        checker.check(read_record(self.record, "s's record"))
        return {each.name for each in checker.violations}


@pytest.fixture
def sound(tmp_path: Path) -> Sound:
    return Sound(tmp_path)


def test_nothing_is_found_where_nothing_is_wrong(sound: Sound) -> None:
    assert sound.found() == set()


def test_a_loss_that_is_told_is_one_all_the_same_where_nothing_may_be_lost(sound: Sound) -> None:
    assert sound.found(strict=True) == {"acknowledged lost"}


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("DELETE FROM events WHERE seq = 9", {"hole", "missing", "totals", "unbalanced"}),
        ("DELETE FROM events WHERE seq = 12", {"missing", "totals"}),
        ("INSERT INTO events FROM events WHERE seq = 9", {"doubled", "totals", "unbalanced"}),
        ("UPDATE events SET payload = (SELECT payload FROM events WHERE seq = 9) WHERE seq = 10",
         {"doubled", "missing"}),
        ("UPDATE events SET seq = CASE seq WHEN 9 THEN 10 ELSE 9 END WHERE seq IN (9, 10)",
         {"disordered"}),
        ("UPDATE events SET payload = replace(payload, 'xxxxxxxxx', 'xxxxxyxxx') WHERE seq = 9",
         {"altered", "missing"}),
        ("UPDATE events SET payload = replace(payload, ' 9 ', ' 8 ') WHERE seq = 9",
         {"altered", "missing"}),
        ("DELETE FROM gaps", {"hole", "missing", "totals", "unbalanced"}),
        ("UPDATE gaps SET to_seq = 8", {"doubled", "gap too wide", "totals", "unbalanced"}),
        ("UPDATE gaps SET from_seq = 4",
         {"doubled", "gap too wide", "missing", "totals", "unbalanced"}),
        ("UPDATE gaps SET to_seq = 6", {"hole", "missing", "totals", "unbalanced"}),
        ("UPDATE runs SET lost = 4", {"totals"}),
        ("INSERT INTO quarantine VALUES ('r', 1, 1, 'no event', '', now()::TIMESTAMP)",
         {"quarantined"}),
    ],
)  # fmt: skip
def test_a_corrupted_store_is_found_out(sound: Sound, query: str, names: set[str]) -> None:
    sound.change(query)

    assert sound.found() == names


@pytest.mark.parametrize(
    ("corrupt", "names"),
    [
        (lambda lines: lines[:2] + lines[3:], {"hole", "missing"}),
        (lambda lines: lines[:-1], {"missing"}),
        (lambda lines: lines[:2] + lines[1:], {"doubled"}),
        (lambda lines: [lines[0], lines[2], lines[1], *lines[3:]],
         {"hole", "doubled", "disordered"}),
        (lambda lines: [each for each in lines if '"gap"' not in each], {"hole", "missing"}),
        (lambda lines: [each.replace("xx", "x", 1) for each in lines], {"altered", "missing"}),
    ],
)  # fmt: skip
def test_a_corrupted_record_is_found_out(
    sound: Sound, corrupt: Callable[[list[str]], list[str]], names: set[str]
) -> None:
    lines = sound.record.read_text().splitlines(keepends=True)
    sound.record.write_text("".join(corrupt(lines)))

    assert sound.found() == names


def test_a_run_that_nobody_holds_is_missing_unless_the_server_forgot_it(sound: Sound) -> None:
    sound.change("DELETE FROM events; DELETE FROM gaps; DELETE FROM runs")
    sound.record.write_text("")

    assert sound.found(strict=True) == {"missing"}
    assert sound.found(strict=False) == set()


def test_an_unknown_number_covers_whatever_is_missing_there(sound: Sound) -> None:
    sound.change("DELETE FROM events WHERE seq > 9; UPDATE runs SET events = 6, seq = 9")
    sound.change(f"INSERT INTO gaps VALUES ('r', {EPOCH}, 10, 9, 'unknown', now()::TIMESTAMP)")

    assert sound.found() == set()


def test_a_gap_where_nothing_is_missing_is_false_where_nothing_can_be_lost(sound: Sound) -> None:
    sound.change(f"INSERT INTO gaps VALUES ('r', {EPOCH}, 10, 9, 'unknown', now()::TIMESTAMP)")

    assert "gap for nothing" in sound.found(strict=True)


def test_what_closing_said_was_not_published_may_be_missing_and_no_more(sound: Sound) -> None:
    sound.change("DELETE FROM events WHERE seq > 10; UPDATE runs SET events = 7, seq = 10")
    lines = sound.ledger.read_text().splitlines()
    record = sound.record.read_text()

    def closing(unpublished: int) -> set[str]:
        sound.ledger.write_text("\n".join([*lines[:-1], f"c p/1 {unpublished} gone", ""]))
        return sound.found()

    assert closing(2) == set()
    assert closing(1) == {"missing"}
    assert sound.record.read_text() == record


def test_what_the_server_still_has_must_be_stored(sound: Sound) -> None:
    held = read_store(sound.db, "s")
    server = Holding("server")
    for seq in (LOST[0], EVENTS, EVENTS + 1):
        fields = {"kind": "log", "epoch": EPOCH, "seq": seq, "text": "t"}
        server.add("r", item_of(fields))
    checker = Checker({}, {})
    checker.check_unread(server, held)

    assert [each.name for each in checker.violations] == ["unread"]
    assert f"1 events on the server, {EPOCH}-{EVENTS + 1}" in checker.violations[0].evidence


@pytest.mark.parametrize(
    ("seq", "strict", "doubled"), [(1, False, False), (1, True, True), (3, False, True)]
)
def test_an_event_may_stand_again_only_first_in_the_next_epoch_of_a_server_that_forgot(
    sound: Sound, seq: int, strict: bool, doubled: bool
) -> None:
    columns = "turn, kind, agent_id, ts, payload"
    sound.change(
        f"INSERT INTO events SELECT run_id, {EPOCH + 1}, {seq}, {columns} FROM events "
        "WHERE seq = 9; "
        f"UPDATE events SET epoch = {EPOCH + 1}, seq = seq - 8 WHERE seq > 9"
    )

    assert ("doubled" in sound.found(strict=strict)) == doubled


@pytest.mark.parametrize(
    ("killed", "strict", "missing"),
    [(True, False, False), (True, True, True), (False, False, True)],
)
def test_what_a_killed_process_published_before_anybody_saw_it_nobody_can_tell(
    tmp_path: Path, killed: bool, strict: bool, missing: bool
) -> None:
    path = tmp_path / "p.ledger"
    ledger = Ledger(path, "p", "p/1")
    for number in range(1, 4):
        ledger.emit("r", "x")
        ledger.acked("r", [number])
    if not killed:
        ledger.closed()
    ledger.begin("p/2")
    held = [
        ChaosEvent(
            EPOCH, seq, "run_end" if seq == 2 else "log", ledger.emit("r", "y", last=seq == 2)
        )
        for seq in (1, 2)
    ]
    ledger.closed()

    checker = Checker(*read_ledgers([path]), strict=strict)
    checker.check(Holding("s", {"r": held}))

    assert ("missing" in {each.name for each in checker.violations}) == missing
    assert checker.accounts["s"].unseen == (0 if missing else 3)
