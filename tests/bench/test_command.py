from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from arena_tui.bench import broker, redis, socket, start
from arena_tui.bench.measure import BenchError, Figure, Plan, Sizes
from arena_tui.bench.redis import measure_redis
from arena_tui.bench.socket import measure_socket
from arena_tui.cli import benching, main
from arena_tui.services.servers import RedisServer

TINY = Sizes(
    deliveries=1_200,
    thread_events=400,
    batches=2,
    pipeline=2_000,
    stall_s=0.05,
    settle_s=0.05,
    watch_s=1.0,
    keys=2,
    redis_events=300,
    redis_stored=500,
    redis_watch_s=1.0,
    socket_events=500,
    socket_watch_s=0.5,
    history=60_000,
    history_lines=1_000,
    jumps=5,
    history_s=0.3,
    flood_s=0.4,
    flood_per_s=500,
    memory_s=0.5,
)
FIELDS = [
    "what", "figure", "unit", "value", "peer", "peer_value", "ratio", "goal", "met", "rounds",
    "spread", "timed", "busy",
]  # fmt: skip
PEERS = {
    "broker": ["floor", "a task and a queue", "encode/broadcaster", "call_soon_threadsafe"],
    "store": ["floor", "sqlite3", "executemany", "pyarrow"],
    "pipeline": ["floor"],
    "ui": ["floor", "ScrollViews", "--low-bandwidth"],
    "history": ["floor", "plain SQL", "summed from the events"],
    "start": ["python -c pass", "a Textual app"],
}
OPTIONAL = {"encode/broadcaster": "broadcaster", "pyarrow": "pyarrow"}


def arguments(*what: str, json: bool = False, **others: Any) -> Namespace:
    return Namespace(
        **{
            "what": what,
            "rounds": 1,
            "json": json,
            "debug": True,
            "db": None,
            "seconds": None,
            "curve": None,
            "save": None,
            "against": None,
            **others,
        }
    )


@pytest.mark.parametrize("what", PEERS)
def test_every_figure_stands_beside_a_peer_of_the_same_run(
    what: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code = benching.bench(arguments(what, json=True), TINY)

    figures = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert code == 0
    for figure in figures:
        assert list(figure) == FIELDS
        assert figure["what"] == what
        assert figure["value"] > 0
        assert figure["peer_value"] >= 0
        assert figure["rounds"] == 1
        assert (figure["met"] is None) == (figure["goal"] is None or figure["busy"] is not None)
    for peer in PEERS[what]:
        if peer in OPTIONAL and find_spec(OPTIONAL[peer]) is None:
            continue
        assert any(peer in figure["peer"] for figure in figures)
    assert any(figure["goal"] for figure in figures)


def some_figures(_plan: Plan) -> Iterator[Figure]:
    for peer, met in (("floor: nothing", None), ("other", False)):
        yield Figure(
            what="start", figure="first frame", unit="s", value=0.3, peer=peer, peer_value=0.12,
            ratio=2.5, goal=None if met is None else "≤ 1.5 ×", met=met, rounds=5,
            spread=1.2, timed=True,
        )  # fmt: skip


@pytest.mark.parametrize(
    ("busy", "verdict", "below"),
    [
        (None, "not met", []),
        ("others took 34 % of the machine", "no verdict",
         ["the machine is busy: others took 34 % of the machine"]),
    ],
)  # fmt: skip
def test_table_names_a_figure_once_and_a_verdict_only_where_the_machine_is_not_busy(
    busy: str | None, verdict: str, below: list[str], capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(start, "measure_start", some_figures)
    monkeypatch.setattr("arena_tui.bench.machine.Machine.busy", lambda _: busy)

    assert benching.bench(arguments("start")) == 0

    assert capsys.readouterr().out.splitlines() == [
        "start, medians of 5 rounds",
        "figure       value    beside          value    ratio  goal",
        "first frame  0.300 s  floor: nothing  0.120 s  2.5 ×",
        f"                      other           0.120 s  2.5 ×  ≤ 1.5 ×  {verdict}",
        *below,
        "",
    ]


def test_what_fails_to_run_ends_with_1_and_keeps_what_was_measured(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(plan: Plan) -> Iterator[Figure]:
        yield from some_figures(plan)
        raise BenchError("it ended")

    monkeypatch.setattr(start, "measure_start", fails)

    assert benching.bench(arguments("start", debug=False)) == 1

    said = capsys.readouterr()
    assert said.err == "arena-tui: start could not be measured to its end: it ended\n"
    assert "first frame" in said.out


def test_a_peer_that_is_not_installed_is_left_out_and_named(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(broker, "find_spec", lambda _name: None)

    assert benching.bench(arguments("broker", json=True), TINY) == 0

    said = capsys.readouterr()
    assert said.err == (
        'arena-tui: encode/broadcaster memory:// is left out: pip install "arena-tui[bench]"\n'
    )
    assert "encode/broadcaster" not in said.out
    assert "a task and a queue" in said.out


@pytest.mark.parametrize(("what", "measures"), [("redis", redis), ("socket", socket)])
def test_without_a_server_it_is_left_out_and_the_way_to_one_is_named(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, what: str,
    measures: ModuleType,
) -> None:  # fmt: skip
    monkeypatch.setattr(measures, "find_server", lambda: None)

    assert benching.bench(arguments(what, json=True)) == 0

    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == (
        f'arena-tui: {what} is left out: no server here: pip install "arena-tui[server]"\n'
    )


@pytest.mark.parametrize(
    ("measure", "who"), [(measure_redis, "the producer"), (measure_socket, "a process")]
)
def test_a_process_that_fails_is_an_error_that_says_why(
    redis_server: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    measure: Callable[[Plan], Iterator[Figure]], who: str,
) -> None:  # fmt: skip
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho no such luck >&2\n")
    python.chmod(0o755)
    monkeypatch.setattr("sys.executable", str(python))

    with pytest.raises(BenchError, match=f"{who} ended: no such luck"):
        list(measure(Plan(folder=tmp_path, rounds=1, sizes=TINY)))


def test_progress_is_only_for_terminals(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def notes(plan: Plan) -> Iterator[Figure]:
        plan.note("round 1")
        yield from some_figures(plan)

    monkeypatch.setattr(start, "measure_start", notes)
    benching.bench(arguments("start"))
    assert capsys.readouterr().err == ""

    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    benching.bench(arguments("start"))
    assert "\r\x1b[Kround 1\r" in capsys.readouterr().err


def test_temporary_stores_are_made_beside_the_given_one_and_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders: list[Path] = []

    def notes(plan: Plan) -> Iterator[Figure]:
        folders.append(plan.folder)
        yield from some_figures(plan)

    monkeypatch.setattr(start, "measure_start", notes)
    benching.bench(arguments("start", db=str(tmp_path / "arena.duckdb")))

    assert folders[0].parent == tmp_path
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["nothing"],
            "measure called 'nothing': use broker, redis, socket, store, pipeline, sse, ui, "
            "history, flood, memory, start",
        ),
        (["broker", "--rounds", "0"], "--rounds 0 measures nothing: use 1 or more"),
        (["flood", "--seconds", "nan"], "--seconds nan measures nothing: use 1 or more"),
        (["store", "--seconds", "9"], "--seconds is for flood and memory: measure one of them"),
        (["ui", "--curve", "x.svg"], "--curve is for memory: measure that"),
        (["memory", "--curve", "/no/such/x.svg"], "cannot write /no/such/x.svg: give a file in"),
        (["store", "--save", "/"], "cannot write /: give a file in a folder that may be written"),
        (["store", "--against", "/no/such"], "cannot compare with /no/such: No such file or"),
        (["--db", "/no/such/x.duckdb"], "no folder /no/such to make temporary stores in"),
    ],
)
def test_wrong_usage_is_one_line(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bench", *words]) == 2

    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
