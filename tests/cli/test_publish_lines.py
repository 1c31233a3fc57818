"""What `publish` takes, what it says of the rest, and whose runs it ends."""

from __future__ import annotations

import gzip
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.cli.test_commands import lines
from tests.cli.test_publish import (
    events,
    feed,
    kinds,
    line,
    publish,
    wait_for_events,
)  # fmt: skip

__all__ = ["publish"]

ODD = [
    '\ufeff{"run_id":"a","kind":"run_start","agents":["x"],"ts":1767225600}\n',
    '{"run_id":"a","kind":"metric","name":"v","value":NaN,"ts":1767225600.5}\r\n',
    '{"run_id":"a","kind":"log","text":"\\ud800","ts":null}\r',
    '{"run_id":"a","kind":"action","agent_id":7,"ts":"2026-01-01T00:00:01"}\n',
    '{"run_id":7,"kind":"log","text":7}\n',
    '\0\0\0{"run_id":"a","kind":"log","text":"after a hole"}\n',
    '{"run_id":"a","kind":"run_end","status":"won"}',
]


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("standard_input", [False, True])
def test_lines_as_programs_write_them_are_published(
    redis_url: str, publish: Any, tmp_path: Path, packed: bool, standard_input: bool
) -> None:
    path = tmp_path / "odd"
    data = "".join(ODD).encode()
    path.write_bytes(gzip.compress(data) if packed else data)

    with path.open("rb") as file:
        child = publish(*([] if standard_input else [str(path)]), stdin=file)
        _, said = child.communicate(timeout=60)

    assert child.returncode == 0
    assert said.splitlines()[-1] == "published 7 events of 2 runs, coerced 3 lines"
    assert said.count("could not be kept as given") == 1
    assert kinds(redis_url, "a") == ["run_start", "metric", "log", "action", "log", "run_end"]
    assert kinds(redis_url, "7") == ["log"]
    marked = [sorted(event.get("coerced", {})) for event in events(redis_url, "a")]
    assert marked == [[], ["value"], ["text"], [], [], ["status"]]


def test_what_is_no_event_is_named_by_file_and_line(publish: Any, tmp_path: Path) -> None:
    path = tmp_path / "odd.jsonl"
    path.write_bytes(
        b'bad\n{"kind":"log"}\r\n\n{"run_id":"a"}\n{"run_id":"a","kind":"log","turn":"x"}'
    )

    child = publish(str(path), "--json")
    out, said = child.communicate(timeout=60)

    assert child.returncode == 1
    assert lines(out) == [{"published": 1, "runs": 1, "coerced": 1, "refused": 3}]
    named = [text.partition(": ")[2] for text in said.splitlines()]
    assert [text.partition(": ")[0] for text in named[:3]] == [
        f"{path} line 1", f"{path} line 2", f"{path} line 4",
    ]  # fmt: skip


def test_of_a_truncated_file_what_was_read_is_published_and_the_rest_named(
    redis_url: str, publish: Any, tmp_path: Path
) -> None:
    path = tmp_path / "cut.jsonl.gz"
    path.write_bytes(gzip.compress(line("a", 0) + line("a", 1)) + gzip.compress(line("a", 2))[:15])

    child = publish(str(path))
    _, said = child.communicate(timeout=60)

    assert child.returncode == 1
    assert said.splitlines() == [
        f"arena-tui: {path}: it ends in the middle of its compressed data: "
        "what was read until there is kept",
        "published 2 events of 1 run",
    ]
    assert kinds(redis_url, "a") == ["log", "log"]


def test_a_run_that_begins_again_after_its_end_is_a_run_of_its_own(
    redis_url: str, publish: Any
) -> None:
    game = line("a", 0, "run_start") + line("a", 1) + line("a", 2, "run_end")

    child = publish()
    _, said = child.communicate((game * 3 + line("a", 9)).decode(), timeout=60)

    assert child.returncode == 1  # for the line after the last end
    assert [kinds(redis_url, run) for run in ("a", "a-2", "a-3")] == [
        ["run_start", "log", "run_end"]
    ] * 3
    assert said.splitlines()[-1] == "published 9 events of 3 runs, refused 1 line"
    assert "the run id a is taken, so this run has another one" in said


def test_a_file_that_is_published_again_is_a_run_of_its_own(redis_url: str, publish: Any) -> None:
    game = (line("a", 0, "run_start") + line("a", 1) + line("a", 2, "run_end")).decode()

    codes = []
    for _ in range(2):
        child = publish()
        child.communicate(game, timeout=60)
        codes.append(child.returncode)

    assert codes == [0, 0]
    assert [kinds(redis_url, run) for run in ("a", "a-2")] == [["run_start", "log", "run_end"]] * 2


def one(publish: Any, data: bytes, *words: str) -> tuple[int, str]:
    """Exit code and last words of a process that publishes just that."""
    child = publish(*words)
    _, said = child.communicate(data.decode(), timeout=60)
    return child.returncode, said.splitlines()[-1]


def test_one_process_an_event_works_to_the_end(redis_url: str, publish: Any) -> None:
    given = [("run_start", ["--keep-open"]), *[("log", [])] * 3, ("run_end", [])]

    done = [one(publish, line("a", 0, kind), *words) for kind, words in given]

    assert done == [(0, "published 1 event of 1 run")] * 5
    assert kinds(redis_url, "a") == ["run_start", "log", "log", "log", "run_end"]


def test_a_producer_that_leaves_does_not_end_the_run_of_another(
    redis_url: str, publish: Any
) -> None:
    first = publish()
    feed(first, line("a", 0, "run_start"))
    wait_for_events(redis_url, "a", 1)

    second = one(publish, line("a", 1) + line("a", 2))
    feed(first, line("a", 3))
    wait_for_events(redis_url, "a", 4)
    third = one(publish, line("a", 4))
    feed(first, line("a", 5))
    _, said = first.communicate(timeout=60)

    assert (second, third) == (
        (0, "published 2 events of 1 run"),
        (0, "published 1 event of 1 run"),
    )
    assert (first.returncode, said) == (0, "published 3 events of 1 run\n")
    assert [event.get("turn") for event in events(redis_url, "a")] == [0, 1, 2, 3, 4, 5, None]
    assert events(redis_url, "a")[-1]["status"] == "stopped"


def test_a_producer_that_is_killed_ends_nothing_and_loses_nothing_of_the_others(
    redis_url: str, publish: Any
) -> None:
    first, killed = publish(), publish()
    feed(first, line("a", 0, "run_start"))
    wait_for_events(redis_url, "a", 1)
    feed(killed, line("a", 1))
    wait_for_events(redis_url, "a", 2)

    killed.send_signal(signal.SIGKILL)
    killed.wait(60)
    third = one(publish, line("a", 2))
    feed(first, line("a", 3) + line("a", 4, "run_end"))
    first.communicate(timeout=60)

    assert (first.returncode, third[0]) == (0, 0)
    assert [event["turn"] for event in events(redis_url, "a")] == [0, 1, 2, 3, 4]


def test_a_run_whose_beginner_was_killed_goes_on_and_is_ended_by_who_brings_its_end(
    redis_url: str, publish: Any
) -> None:
    first = publish()
    feed(first, line("a", 0, "run_start"))
    wait_for_events(redis_url, "a", 1)
    first.kill()
    first.wait(60)

    done = [one(publish, line("a", 1)), one(publish, line("a", 2, "run_end"))]

    assert done == [(0, "published 1 event of 1 run")] * 2
    assert kinds(redis_url, "a") == ["run_start", "log", "run_end"]


def test_who_began_a_run_that_another_has_ended_leaves_in_peace(
    redis_url: str, publish: Any
) -> None:
    first = publish()
    feed(first, line("a", 0, "run_start"))
    wait_for_events(redis_url, "a", 1)

    ending = one(publish, line("a", 1, "run_end"))
    _, said = first.communicate(timeout=60)

    assert ending == (0, "published 1 event of 1 run")
    assert (first.returncode, said) == (0, "published 1 event of 1 run\n")
    assert kinds(redis_url, "a") == ["run_start", "run_end"]
