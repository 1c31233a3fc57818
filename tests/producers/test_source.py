"""A file or pipe becomes lines as they arrive, to its end or until told to stop."""

from __future__ import annotations

import asyncio
import os
import threading
import tracemalloc
from collections.abc import Iterator
from io import FileIO
from pathlib import Path

import pytest

from arena_tui.producers.lines import LINE_MAX_BYTES, Line
from arena_tui.producers.source import LineSource
from tests.waiting import until


@pytest.fixture
def pipe() -> Iterator[tuple[FileIO, FileIO]]:
    """The read and the write end."""
    ends = os.pipe()
    with FileIO(ends[0]) as source, FileIO(ends[1], "w") as target:
        yield source, target


async def test_lines_come_as_they_are_written_and_the_last_at_the_end(
    pipe: tuple[FileIO, FileIO],
) -> None:
    source, target = pipe
    found: list[Line] = []
    lines = LineSource(source).until_end(threading.Event())
    reading = asyncio.create_task(asyncio.to_thread(found.extend, lines))

    for number in range(1, 4):
        target.write(b"one\npart")
        await until(lambda: len(found) == number)  # noqa: B023
    target.close()
    await reading

    assert found == [
        Line(1, b"one"), Line(2, b"partone"), Line(3, b"partone"), Line(4, b"part"),
    ]  # fmt: skip


async def test_reading_ends_at_once_when_told_to_stop_and_takes_no_half_line(
    pipe: tuple[FileIO, FileIO],
) -> None:
    source, target = pipe
    found: list[Line] = []
    stop = threading.Event()
    target.write(b"one\nhalf a li")
    lines = LineSource(source).until_end(stop)
    reading = asyncio.create_task(asyncio.to_thread(found.extend, lines))
    await until(lambda: found)

    stop.set()
    await reading

    assert found == [Line(1, b"one")]


def test_what_was_read_before_the_stop_is_still_handed_out(pipe: tuple[FileIO, FileIO]) -> None:
    source, target = pipe
    stop = threading.Event()
    target.write(b"one\ntwo\nhalf a li")
    lines = LineSource(source).until_end(stop)

    first = next(lines)
    stop.set()

    assert [first, *lines] == [Line(1, b"one"), Line(2, b"two")]


def test_a_pipe_with_nothing_to_read_now_says_so_and_goes_on(pipe: tuple[FileIO, FileIO]) -> None:
    source, target = pipe
    os.set_blocking(source.fileno(), False)
    lines = LineSource(source)

    empty = lines.read()
    target.write(b"one\ntw")
    found = list(lines.read() or [])

    assert empty is None
    assert (found, list(lines.rest())) == ([Line(1, b"one")], [Line(2, b"tw")])


def test_of_a_big_file_little_is_held(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes((b"x" * 999 + b"\n") * 20_000)

    with FileIO(path) as file:
        tracemalloc.start()
        count = sum(1 for _ in LineSource(file).until_end(threading.Event()))
        _, peak_bytes = tracemalloc.get_traced_memory()
        tracemalloc.stop()

    assert count == 20_000
    assert peak_bytes < 4 * LINE_MAX_BYTES
