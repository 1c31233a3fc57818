"""A game never meets an exception of ours, whatever it records, and every loss is counted."""

from __future__ import annotations

import os
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import arena_tui
from arena_tui.errors import ArenaError, BrokerError, EventError
from arena_tui.events import LogEvent, RunEnd
from arena_tui.producers.run import Run
from arena_tui.store.database import Database
from arena_tui.store.verify import verify_store
from tests.waiting import in_threads

EXAMPLES = 1_000 if os.environ.get("ARENA_FULL") else 60


class Hostile:
    """Raises wherever it is asked for something, but for its name."""

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(name) if name in ("dtype", "get") else AttributeError(name)

    def __repr__(self) -> str:
        return "Hostile()"

    def __str__(self) -> str:
        raise RuntimeError

    __hash__ = None  # type: ignore[assignment]

    def __bool__(self) -> bool:
        raise RuntimeError

    def __eq__(self, _: object) -> bool:
        raise RuntimeError

    def __iter__(self) -> Any:
        raise RuntimeError


class Faulty(dict[str, Any]):
    def items(self) -> Any:
        raise RuntimeError

    def model_dump(self) -> Any:
        raise RuntimeError


scalars: st.SearchStrategy[Any] = st.one_of(
    st.none(), st.booleans(), st.integers(), st.just(2**300), st.floats(), st.text(max_size=5),
    st.text(st.characters(categories=["Cs"]), max_size=2), st.binary(max_size=3),
    st.just("x" * 300_000), st.complex_numbers(), st.datetimes(),
    st.sampled_from([
        np.int64(3), np.array([[1.5, np.nan]]), np.array(["a"]), UUID(int=1), Decimal("NaN"),
        Path("x"), ValueError("x"), Hostile(), Faulty(a=1), object, len, range(10**9), Ellipsis,
        np.zeros(1_000_000), memoryview(b"x"), type("Empty", (), {})(),
    ]),
    st.builds(lambda: (each for each in [1, Hostile()])),
)  # fmt: skip
keys = st.one_of(st.text(max_size=3), st.integers(), st.none())
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.tuples(inner, inner), st.dictionaries(keys, inner),
    ),
    max_leaves=5,
)  # fmt: skip

CALLS: dict[str, int] = {
    "turn": 3, "step": 2, "observation": 4, "llm_prompt": 4, "llm_response": 1, "action": 2,
    "result": 1, "mutation": 3, "fork": 3, "metric": 3, "error": 5, "log": 2, "end": 3, "at": 1,
    "emit": 1,
}  # fmt: skip
"""Methods of a run, and how many arguments they take by position."""

KEYWORDS: dict[str, list[str]] = {
    "llm_response": ["tool_calls", "model", "input_tokens", "cost_usd", "latency_s", "agent_id"],
    "result": ["changed", "reward", "detail"],
    "step": ["observation", "ok", "reward", "detail"],
}


@st.composite
def calls(draw: st.DrawFn) -> tuple[str, list[Any], dict[str, Any]]:
    name = draw(st.sampled_from(sorted(CALLS)))
    least = 0 if name in ("llm_prompt", "llm_response", "result", "end") else 1
    if name in ("mutation", "fork", "metric"):
        least = {"mutation": 2, "fork": 1, "metric": 2}[name]
    given = draw(st.lists(values, min_size=least, max_size=CALLS[name]))
    chosen = draw(st.sets(st.sampled_from(KEYWORDS.get(name, [])))) if name in KEYWORDS else set()
    return name, given, {key: draw(values) for key in sorted(chosen)}


openings = st.fixed_dictionaries({
    "game": values, "agents": values, "run_id": values, "seed": values, "label": values,
    "tags": values, "config": values,
})  # fmt: skip


def test_no_value_in_any_call_in_any_order_raises_into_the_game(tmp_path: Path) -> None:
    path = str(tmp_path / "arena.duckdb")
    arena = arena_tui.connect(db=path)
    runs: list[Run] = []

    @settings(
        max_examples=EXAMPLES, phases=[Phase.generate], deadline=None, database=None,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(openings, st.lists(st.lists(calls(), max_size=6), min_size=1, max_size=3))
    def play(opening: dict[str, Any], threads: list[list[Any]]) -> None:
        opening["run_id"] = f"{len(runs)}-{type(opening['run_id']).__name__}"
        raised: list[BaseException] = []
        with arena.run(**opening) as run:
            runs.append(run)

            def record(given_calls: list[Any]) -> None:
                try:
                    for name, given_values, keywords in given_calls:
                        getattr(run, name)(*given_values, **keywords)
                except BaseException as error:  # noqa: BLE001 - it is what must not be
                    raised.append(error)

            in_threads(*[lambda each=each: record(each) for each in threads])
        assert raised == []

    play()
    coerced, refused = arena.coerced, arena.refused
    with pytest.raises(ArenaError, match=f"{refused:,} events were refused"):
        arena.close()

    database = Database(path)
    assert [verdict for verdict in database.read_now(verify_store) if verdict.problems] == []
    marked = database.read_now(lambda connection: connection.execute(
        "SELECT count(*) FROM events WHERE payload LIKE '%\"coerced\":{%'"
    ).fetchone())  # fmt: skip
    database.close()
    assert marked == (coerced,)
    assert all(run.ended for run in runs)


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "arena.duckdb")


def test_what_comes_after_the_end_of_its_run_is_raised_on_closing(path: str) -> None:
    arena = arena_tui.connect(db=path)
    with arena.run("g", run_id="r") as run:
        run.emit(RunEnd())
        run.action("late")
        run.action("later")

    with pytest.raises(ArenaError, match="2 events were refused: run r has ended"):
        arena.close()


def test_what_comes_after_the_connection_is_counted(path: str) -> None:
    arena = arena_tui.connect(db=path)
    run = arena.run("g", run_id="r")
    run.action("e4")
    arena.close()

    run.action("late")

    assert arena.refused == 1


def test_only_the_first_of_each_is_warned_of(path: str, caplog: pytest.LogCaptureFixture) -> None:
    with arena_tui.connect(db=path) as arena, arena.run("g", run_id="r") as run:
        for _ in range(3):
            run.metric("loss", float("nan"))
            run.turn("first")  # type: ignore[arg-type]

    assert arena.coerced == 6
    assert [record.getMessage() for record in caplog.records if "coerced" in record.message] == [
        "run r: an event could not be kept as given (value: nan): see its field coerced; "
        "1 such events so far"
    ]


@pytest.mark.parametrize(
    ("ok", "results"),
    [(np.array([True, False]), 1), (Hostile(), 1), (np.bool_(False), 1), (np.bool_(True), 0)],
    ids=["array", "hostile", "numpy's False", "numpy's True"],
)
def test_a_step_takes_whatever_is_given_as_ok(path: str, ok: Any, results: int) -> None:
    with arena_tui.connect(db=path) as arena, arena.run("g", run_id="r") as run:
        run.step("e4", ok=ok)

    database = Database(path)
    rows = database.read_now(lambda connection: connection.execute(
        "SELECT count(*) FILTER (kind = 'action'), count(*) FILTER (kind = 'action_result') "
        "FROM events"
    ).fetchone())  # fmt: skip
    database.close()
    assert rows == (1, results)


def test_a_turn_that_was_fitted_is_the_turn(path: str) -> None:
    with arena_tui.connect(db=path) as arena, arena.run("g", run_id="r") as run:
        run.turn(np.int64(4), player=7)  # type: ignore[arg-type]
        run.step("e4")

        assert arena.coerced == 0

    database = Database(path)
    rows = database.read_now(lambda connection: connection.execute(
        "SELECT turn, agent_id FROM events WHERE kind = 'turn_start' ORDER BY seq"
    ).fetchall())  # fmt: skip
    database.close()
    assert rows == [(4, "7"), (5, None)]


@pytest.mark.parametrize("given", ["exp/1", 42, UUID(int=3), "my run #3", "x" * 300])
def test_a_run_id_is_taken_as_people_have_it(path: str, given: Any) -> None:
    with arena_tui.connect(db=path) as arena:
        with arena.run("g", run_id=given) as run:
            pass
        again = run.id

    database = Database(path)
    assert [verdict.run_id for verdict in database.read_now(verify_store)] == [again]
    database.close()


def test_strictly_what_does_not_fit_is_an_error(path: str) -> None:
    with arena_tui.connect(db=path, strict=True) as arena:
        with pytest.raises(EventError, match="not usable"):
            arena.run("g", run_id="my run")
        with arena.run("g") as run:
            with pytest.raises(EventError, match=r"\$\.turn"):
                run.turn("first")  # type: ignore[arg-type]
            with pytest.raises(EventError, match="time zone"):
                run.at(datetime(2026, 1, 1))
            with pytest.raises(EventError, match="no event"):
                run.emit(5)  # type: ignore[arg-type]
            run.end()
            with pytest.raises(BrokerError, match="has ended"):
                run.emit(LogEvent())
