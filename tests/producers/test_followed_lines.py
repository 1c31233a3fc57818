"""Followed files as programs write them: without a last newline, compressed, in UTF-16, cut short
under their writer."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import pytest

from tests.producers.test_followed_again import Scene, append, line


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


@pytest.mark.parametrize("newline_comes", [True, False])
async def test_a_last_line_without_its_newline_is_taken_on_leaving_and_stored_once(
    scene: Scene, newline_comes: bool
) -> None:
    scene.path.write_bytes(line(0) + line(1)[:-1])
    async with scene.session() as session:
        await session.has(stored=1)
    if newline_comes:
        append(scene.path, b"\n")

    async with scene.session() as session:
        await session.has(stored=0, already=2)
        append(scene.path, line(2) if newline_comes else b"\n" + line(2))
        await session.has(stored=1, already=2)

    assert scene.turns() == [[0, 1, 2]]


async def test_half_a_line_is_not_taken_on_leaving_and_not_counted(scene: Scene) -> None:
    scene.path.write_bytes(line(0) + line(1)[:9])
    async with scene.session() as session:
        await session.has(stored=1)
    append(scene.path, line(1)[9:])

    async with scene.session() as again:
        await again.has(stored=1, already=1)

    assert session.warned == []
    assert scene.turns() == [[0, 1]]


async def test_a_compressed_file_that_grows_by_members_is_followed_and_stored_once(
    scene: Scene,
) -> None:
    scene.path.write_bytes(gzip.compress(line(0) + line(1)))
    async with scene.session() as session:
        await session.has(stored=2)
        append(scene.path, gzip.compress(line(2))[:-4])
        await session.has(stored=3)
        append(scene.path, gzip.compress(line(2))[-4:] + gzip.compress(line(3)))
        await session.has(stored=4)

    async with scene.session() as again:
        await again.has(stored=0, already=4)

    assert session.warned == again.warned == []
    assert scene.turns() == [[0, 1, 2, 3]]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (gzip.compress(line(0) + line(1)) + b"\xff" * 99, "is damaged"),
        (gzip.compress(line(0) + line(1)) + gzip.compress(line(2))[:9], "ends in the middle"),
    ],
    ids=["damaged", "truncated"],
)
async def test_damaged_data_is_named_once_and_what_was_before_it_is_kept(
    scene: Scene, data: bytes, said: str
) -> None:
    scene.path.write_bytes(data)

    async with scene.session() as session:
        await session.has(stored=2)

    assert [text.partition(": ")[0] for text in session.warned] == ["game.jsonl"]
    assert said in session.warned[0]


@pytest.mark.parametrize("coding", ["utf-8-sig", "utf-16"])
async def test_a_file_with_a_mark_is_followed_as_it_grows(scene: Scene, coding: str) -> None:
    scene.path.write_bytes(line(0).decode().encode(coding))

    async with scene.session() as session:
        await session.has(stored=1)
        append(scene.path, line(1).decode().encode("utf-16-le" if "16" in coding else "utf-8"))
        await session.has(stored=2)

    assert session.warned == []


async def test_a_file_truncated_under_its_writer_goes_on_after_its_nuls(scene: Scene) -> None:
    with scene.path.open("wb", buffering=0) as writer:
        writer.write(line(0) + line(1))
        async with scene.session() as session:
            await session.has(stored=2)
            os.truncate(scene.path, 0)
            writer.write(line(2))

            await session.has(stored=3, lost_unknown=1)

    assert not any("line" in text for text in session.warned)
