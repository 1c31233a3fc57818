"""A file or pipe becomes lines as they arrive, to its end or until told to stop."""

from __future__ import annotations

import asyncio
import gzip
import os
import random
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


TEXT = b"".join(b'{"run_id":"a","kind":"log","turn":%d}\n' % turn for turn in range(300))
LINES = [Line(number, raw) for number, raw in enumerate(TEXT.splitlines(), 1)]
NOISE = b"".join(b"%d\n" % number for number in random.Random(5).sample(range(10**9), 20_000))
MEMBERS = gzip.compress(TEXT[:5_000]) + gzip.compress(b"") + gzip.compress(TEXT[5_000:])


class Piecewise(FileIO):
    """A file that gives some bytes at a time."""

    size = 1

    def read(self, _: int | None = -1, /) -> bytes:
        return super().read(self.size)


def sourced(path: Path, data: bytes, size: int) -> tuple[list[Line], str | None]:
    """All lines of a file with that data, read in pieces of that size; and its damage."""
    path.write_bytes(data)
    with Piecewise(path) as file:
        file.size = size
        source = LineSource(file)
        return [*source.until_end(threading.Event())], source.damage


@pytest.mark.parametrize("size", [1, 7, 100_000])
@pytest.mark.parametrize(
    "data",
    [TEXT, gzip.compress(TEXT), MEMBERS, MEMBERS + b"\0" * 512, TEXT.decode().encode("utf-16"),
     b"\xfe\xff" + TEXT.decode().encode("utf-16-be"),
     gzip.compress(TEXT.decode().encode("utf-16"))],
    ids=["plain", "gzip", "members", "padded", "utf-16", "utf-16 big endian", "both"],
)  # fmt: skip
def test_lines_are_the_same_however_they_are_packed(tmp_path: Path, data: bytes, size: int) -> None:
    assert sourced(tmp_path / "x", data, size) == (LINES, None)


@pytest.mark.parametrize("size", [1_000, 100_000])
@pytest.mark.parametrize("at", [200, 50_000])
def test_of_damaged_data_what_was_read_until_there_is_kept(
    tmp_path: Path, size: int, at: int
) -> None:
    packed = gzip.compress(NOISE)

    cut, why_cut = sourced(tmp_path / "x", packed[:at], size)
    bad, why_bad = sourced(tmp_path / "x", packed[:at] + b"\xff" * 500 + packed[at:], size)

    whole = NOISE.splitlines()
    assert [line.raw for line in cut] == whole[: len(cut)]
    assert [line.raw for line in bad][: len(cut)] == whole[: len(cut)]
    assert len(cut) >= (at > 200)
    assert why_cut == "it ends in the middle of its compressed data"
    assert "damaged" in (why_bad or "")


@pytest.mark.parametrize("data", [b"", b"x", b"\x1f"])
def test_a_file_too_short_to_be_packed_is_read_as_it_is(tmp_path: Path, data: bytes) -> None:
    assert sourced(tmp_path / "x", data, 1) == ([Line(1, data)] if data else [], None)


def test_of_data_that_unpacks_to_a_thousand_times_its_size_little_is_held(tmp_path: Path) -> None:
    path = tmp_path / "x.gz"
    path.write_bytes(gzip.compress((b"x" * 999 + b"\n") * 100_000))

    with FileIO(path) as file:
        tracemalloc.start()
        count = sum(1 for _ in LineSource(file).until_end(threading.Event()))
        _, peak_bytes = tracemalloc.get_traced_memory()
        tracemalloc.stop()

    assert count == 100_000
    assert peak_bytes < 4 * LINE_MAX_BYTES
