"""The SQL console, driven by keys."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from textual.events import Paste
from textual.pilot import Pilot

from arena_tui.errors import UsageError
from arena_tui.events import LogEvent
from arena_tui.services.answers import write_answer
from arena_tui.store.console import Result
from arena_tui.tui.render.sql import EXAMPLES, row_cells
from arena_tui.tui.screens.run import RunScreen
from arena_tui.tui.screens.sql import SqlScreen
from arena_tui.tui.widgets.query_line import QueryLine
from arena_tui.tui.widgets.question import Question
from tests.tui.scenario import Scenario, Tape
from tests.tui.test_screens import running, settled, text_of
from tests.waiting import until

ENDLESS = "WITH RECURSIVE a(n) AS (SELECT 1 UNION ALL SELECT 1 FROM a) SELECT count(*) FROM a"


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the log is, and what was asked."""
    monkeypatch.setenv("ARENA_LOG", str(tmp_path / "log"))
    return tmp_path / "queries.jsonl"


async def ask(app: Scenario, pilot: Pilot[int], query: str) -> str:
    """The screen once the query is answered."""
    if not isinstance(app.screen, SqlScreen):
        await pilot.press("4")
        await settled(app, pilot)
    app.screen.query_one(QueryLine).put(query)
    app.screen.query_one(QueryLine).focus()
    await pilot.press("enter")
    return await settled(app, pilot)


async def test_it_says_what_can_be_asked_and_what_gives_examples() -> None:
    app = Scenario()
    async with running(app) as pilot:
        await pilot.press("4")
        empty = await settled(app, pilot)
        await pilot.press("up")
        await settled(app, pilot)
        first = app.screen.query_one(QueryLine).value
        await pilot.press("enter")
        answered = await settled(app, pilot)

    assert "4 SQL" in empty
    assert "One SELECT over the tables of the store" in empty
    assert first in empty
    assert "game" in answered.splitlines()[3]
    assert "chess" in answered


async def test_all_examples_fit_into_80_columns_and_are_answered() -> None:
    app = Scenario()
    async with running(app, (80, 24)) as pilot:
        await pilot.press("4")
        empty = await settled(app, pilot)
        answered = [await ask(app, pilot, each) for each in EXAMPLES]

    assert [each for each in EXAMPLES if each in empty] == list(EXAMPLES)
    assert "…" not in "\n".join(empty.splitlines()[2:-3])
    for each in answered:
        assert " row" in each.splitlines()[2]


async def test_rows_have_names_types_and_a_dim_null() -> None:
    app = Scenario()
    async with running(app) as pilot:
        screen = await ask(
            app, pilot, "SELECT game, turns * 1000 AS t, label FROM runs WHERE game IN "
            "('chess', 'leduc_poker') ORDER BY game",
        )  # fmt: skip

    lines = screen.splitlines()
    assert lines[1].strip().startswith("SELECT game")
    assert " 2 rows · " in lines[2]
    assert lines[3].split() == ["game", "t", "label"]
    assert lines[4].split() == ["chess", "7000", "null"]
    assert lines[5].split() == ["leduc_poker", "1000", "evening"]
    assert lines[4].index("7000") + 4 == lines[5].index("1000") + 4
    assert row_cells([None, "null"]) == [("null", "dim"), ("null", "text")]


async def test_hostile_text_is_shown_and_does_nothing() -> None:
    tape = Tape("01ARENA00000000000000000BAD", "chess", ["a"])
    tape.add(LogEvent, text="\x1b]52;c;aGk=\a\x1b[31mred\u202e")
    app = Scenario([tape])
    async with running(app) as pilot:
        screen = await ask(
            app, pilot,
            "SELECT payload->>'text' AS \"\x1b[2Jname\" FROM events WHERE kind = 'log'",
        )  # fmt: skip
        sent = text_of(app, styles=True)

    assert "␛]52;c;aGk=␇␛[31mred" in screen
    assert "␛[2Jname" in screen
    assert "\x1b]52" not in sent
    assert "\u202e" not in sent


async def test_an_error_is_told_and_the_cursor_stands_there() -> None:
    app = Scenario()
    async with running(app) as pilot:
        screen = await ask(app, pilot, "  SELECT game, nosuch FROM runs")
        line = app.screen.query_one(QueryLine)

        assert app.focused is line
        assert line.value[line.cursor_position :] == "nosuch FROM runs"
    assert '"nosuch" not found' in screen


@pytest.mark.parametrize("query", ["DELETE FROM runs", "FROM read_text('/etc/passwd')"])
async def test_what_does_more_than_read_is_refused(query: str) -> None:
    app = Scenario()
    async with running(app) as pilot:
        refused = await ask(app, pilot, query)
        counted = await ask(app, pilot, "SELECT count(*) AS n FROM runs")

    assert "only one SELECT" in refused or "cannot read from read_text()" in refused
    assert counted.splitlines()[4].split() == ["7"]


async def test_escape_ends_an_endless_query_and_the_screen_goes_on_meanwhile() -> None:
    app = Scenario()
    async with running(app) as pilot:
        await pilot.press("4")
        await settled(app, pilot)
        screen = app.screen
        screen.query_one(QueryLine).put(ENDLESS)
        await pilot.press("enter")
        database = app.runtime.database
        await until(lambda: database.reads)  # type: ignore[union-attr]
        await app.settle()
        await pilot.pause()
        during = text_of(app)
        await pilot.press("escape")
        ended = await settled(app, pilot)
        await until(lambda: not database.reads)  # type: ignore[union-attr]

        assert app.screen is screen
        assert "running for 1 s   esc ends it" in during
        assert "ended before it was done" in ended
        await pilot.press("escape")
        await settled(app, pilot)
        assert app.screen.name == "Live"


async def test_leaving_ends_the_query() -> None:
    app = Scenario()
    async with running(app) as pilot:
        await pilot.press("4")
        await settled(app, pilot)
        app.screen.query_one(QueryLine).put(ENDLESS)
        await pilot.press("enter")
        database = app.runtime.database
        await until(lambda: database.reads)  # type: ignore[union-attr]
        app.action_go("History")
        await settled(app, pilot)

        await until(lambda: not database.reads)  # type: ignore[union-attr]


async def test_a_newer_query_takes_the_place_of_one_that_runs() -> None:
    app = Scenario()
    async with running(app) as pilot:
        await pilot.press("4")
        await settled(app, pilot)
        line = app.screen.query_one(QueryLine)
        line.put(ENDLESS)
        await pilot.press("enter")
        await until(lambda: app.runtime.database.reads)  # type: ignore[union-attr]
        screen = await ask(app, pilot, "SELECT 42 AS n")
        await until(lambda: not app.runtime.database.reads)  # type: ignore[union-attr]

    assert screen.splitlines()[4].split() == ["42"]
    assert "1 row · " in screen


async def test_many_rows_are_cut_scrolled_and_said() -> None:
    app = Scenario()
    async with running(app) as pilot:
        screen = await ask(app, pilot, "SELECT a FROM range(1000000) t(a)")
        await pilot.press("end")
        last = await settled(app, pilot)

    assert "first 10,000 rows of more" in screen
    assert last.splitlines()[-3].split() == ["9999"]


async def test_tab_completes_names_and_the_line_says_what_there_is() -> None:
    app = Scenario()
    async with running(app) as pilot:
        await pilot.press("4")
        await settled(app, pilot)
        await pilot.press(*"select pay")
        hint = await settled(app, pilot)
        await pilot.press("tab", *" from ev", "tab", *" wh", "tab", "tab")
        await settled(app, pilot)
        value = app.screen.query_one(QueryLine).value

    assert hint.splitlines()[2].strip() == "payload"
    assert value == "select payload from events where"


async def test_up_and_down_bring_what_was_asked_also_by_an_earlier_process(state: Path) -> None:
    state.write_text('"SELECT 1 AS old"\nbroken\n')
    app = Scenario()
    async with running(app) as pilot:
        await ask(app, pilot, "SELECT 2 AS fresh")
        line = app.screen.query_one(QueryLine)
        line.put("draft")
        line.focus()
        seen = []
        for key in ("up", "up", "up", "down", "down"):
            await pilot.press(key)
            await settled(app, pilot)
            seen.append(line.value)

    assert seen == [
        "SELECT 2 AS fresh", "SELECT 1 AS old", "SELECT 1 AS old", "SELECT 2 AS fresh", "draft",
    ]  # fmt: skip
    assert [json.loads(each) for each in state.read_text().splitlines()] == [
        "SELECT 1 AS old",
        "SELECT 2 AS fresh",
    ]
    assert state.stat().st_mode & 0o777 == 0o600


async def test_a_pasted_query_of_several_lines_becomes_one_of_the_same_meaning() -> None:
    app = Scenario()
    async with running(app) as pilot:
        await pilot.press("4")
        await settled(app, pilot)
        app.screen.query_one(QueryLine).post_message(Paste("SELECT 1 -- one\n  , '--2'\nAS b"))
        await settled(app, pilot)
        await pilot.press("enter")
        screen = await settled(app, pilot)
        value = app.screen.query_one(QueryLine).value

    assert value == "SELECT 1 /* one */ , '--2' AS b"
    assert screen.splitlines()[4].split() == ["1", "--2"]


async def test_a_row_opens_its_run_at_its_event() -> None:
    app = Scenario()
    async with running(app) as pilot:
        await ask(
            app, pilot,
            "SELECT run_id, seq FROM events WHERE kind = 'error' AND run_id LIKE '%C02E'",
        )  # fmt: skip
        await pilot.press("enter")
        screen = await settled(app, pilot)

        assert isinstance(app.screen, RunScreen)
        assert "leduc_poker · c02e" in screen
        assert "429 rate limited" in screen
        await pilot.press("escape")
        await settled(app, pilot)
        assert isinstance(app.screen, SqlScreen)
        await ask(app, pilot, "SELECT 1 AS run_id")
        await pilot.press("enter")
        assert "only a row with a run_id opens a run" in await settled(app, pilot)


def test_a_home_that_nobody_has_is_an_error_in_one_line() -> None:
    found = Result(columns=[("a", "INTEGER")], rows=[[1]])

    with pytest.raises(UsageError, match=r"cannot write ~nobody-here/a\.csv: No such file"):
        write_answer(found, "~nobody-here/a.csv")


async def test_rows_are_written_to_a_new_file(tmp_path: Path) -> None:
    app = Scenario()
    async with running(app) as pilot:
        await ask(app, pilot, "SELECT 'a,b' AS x, NULL AS y, TIMESTAMP '2026-01-02 03:04:05' AS z")
        refusals = []
        for name in ("out.csv", "out.tsv", "out.jsonl", "out.csv", "out.doc"):
            await pilot.press("w", *str(tmp_path / name), "enter")
            said = await settled(app, pilot)
            refusals.append("is there already" in said or "no kind that can be written" in said)
            if app.screen.query_one(Question).display:
                await pilot.press("escape")
                await settled(app, pilot)

    assert refusals == [False, False, False, True, True]
    assert (tmp_path / "out.csv").read_text() == 'x,y,z\n"a,b",,2026-01-02 03:04:05\n'
    assert (tmp_path / "out.tsv").read_text() == "x\ty\tz\na,b\t\t2026-01-02 03:04:05\n"
    assert json.loads((tmp_path / "out.jsonl").read_text()) == {
        "x": "a,b", "y": None, "z": "2026-01-02T03:04:05Z",
    }  # fmt: skip
    assert sorted(each.name for each in tmp_path.glob("out*")) == [
        "out.csv",
        "out.jsonl",
        "out.tsv",
    ]


async def test_rows_are_copied_as_tsv(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    app = Scenario()
    async with running(app) as pilot:
        await ask(app, pilot, "SELECT 1 AS a, 'two' AS b")
        await pilot.press("y")
        said = await settled(app, pilot)

    assert "1 rows as TSV" in said or "1 row as TSV" in said
    assert (tmp_path / "copied.json").read_text() == "a\tb\n1\ttwo\n"


async def test_columns_that_do_not_fit_come_into_sight() -> None:
    app = Scenario()
    async with running(app, (80, 24)) as pilot:
        first = await ask(app, pilot, "FROM runs")
        await pilot.press("right", "right")
        moved = await settled(app, pilot)
        await pilot.press("left")
        back = await settled(app, pilot)

    assert first.splitlines()[3].split()[:3] == ["run_id", "epoch", "seq"]
    assert moved.splitlines()[3].split()[0] == "seq"
    assert back.splitlines()[3].split()[0] == "epoch"


async def test_without_a_store_it_says_so() -> None:
    app = Scenario(store=False)
    async with running(app) as pilot:
        screen = await ask(app, pilot, "FROM runs")

    assert "Nothing is stored: started with --no-store." in screen


async def test_an_empty_store_has_no_rows() -> None:
    app = Scenario([])
    async with running(app) as pilot:
        screen = await ask(app, pilot, "FROM runs")

    assert "No rows." in screen
    assert "0 rows · " in screen
