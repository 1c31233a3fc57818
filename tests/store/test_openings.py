"""The first moves of many runs, as the store tells them."""

from __future__ import annotations

from arena_tui.broker.protocol import Cursor
from arena_tui.events import Action, AgentInfo, Event, Fork, RunStart
from arena_tui.folds.openings import Origin
from arena_tui.store.database import Database
from arena_tui.store.filters import parse_filter
from arena_tui.store.openings import MOVES_MAX, read_move, read_openings
from tests.envelopes import envelope
from tests.store_fixture import store
from tests.tui.scenario import NOW


async def keep(database: Database, run_id: str, game: str, moves: list[object]) -> None:
    told: list[Event] = [RunStart(ts=NOW, game=game, agents=[AgentInfo(id="a")])]
    told += [Action(ts=NOW, turn=turn, agent_id="a", action=move)
             for turn, move in enumerate(moves, 1)]  # fmt: skip
    await store(database, [envelope(run_id, 7, seq, each) for seq, each in enumerate(told, 1)])


async def test_the_first_moves_are_read_in_order_of_the_runs_that_match(database: Database) -> None:
    await keep(database, "1", "chess", ["e4", {"to": "e5"}, None, "x" * 500])
    await keep(database, "2", "chess", [str(each) for each in range(40)])
    await keep(database, "3", "go", ["d4"])
    await keep(database, "4", "chess", [])
    where, values = parse_filter("game:chess")

    found = database.read_now(lambda reader: read_openings(reader, where, values))

    assert {each.totals.run_id: each.moves for each in found} == {
        "1": ("e4", '{"to":"e5"}', "", "x" * 120),
        "2": tuple(str(each) for each in range(MOVES_MAX)),
        "4": (),
    }


async def test_a_move_is_found_by_its_number(database: Database) -> None:
    await keep(database, "1", "chess", ["e4", "e5"])

    found = [database.read_now(lambda reader, n=n: read_move(reader, "1", n)) for n in (1, 2, 3)]  # type: ignore[misc]

    assert found == [Cursor(7, 2), Cursor(7, 3), None]


async def test_a_fork_is_told_with_where_it_begins(database: Database) -> None:
    await keep(database, "1", "chess", ["e4"])
    for run_id, seq in (("2", 40), ("3", None)):
        told: list[Event] = [RunStart(ts=NOW, game="chess"),
                             Fork(ts=NOW, parent_run_id="1", parent_seq=seq)]  # fmt: skip
        await store(database, [envelope(run_id, 7, at, each) for at, each in enumerate(told, 1)])

    found = database.read_now(read_openings)

    assert {each.totals.run_id: each.origin for each in found} == {
        "1": None, "2": Origin("1", 40), "3": Origin("1", None),
    }  # fmt: skip
