"""Files followed in several sessions into one store: each line is stored once, whatever became of
its file meanwhile."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest

from arena_tui.broker.protocol import STORE, RunMeta
from arena_tui.config import Config
from arena_tui.errors import UsageError
from arena_tui.events import EVENT_MAX_BYTES, LogEvent
from arena_tui.folds.accounts import Account
from arena_tui.services.runtime import Runtime
from arena_tui.store.database import Database
from arena_tui.store.verify import verify_store
from tests.waiting import until


def line(turn: int, kind: str = "log", run_id: str = "a", **fields: object) -> bytes:
    """A line without a time."""
    return msgspec.json.encode({"run_id": run_id, "kind": kind, "turn": turn, **fields}) + b"\n"


def game(first: int, ended: bool = True) -> bytes:
    """A game of four lines, the turns of which begin with `first`."""
    last = line(first + 3, "run_end") if ended else line(first + 3)
    return line(first, "run_start", game="towers") + line(first + 1) + line(first + 2) + last


def append(path: Path, data: bytes) -> None:
    with path.open("ab") as file:
        file.write(data)


class Session:
    """One run of a process that follows files into a store."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    async def delete(self, run_id: str) -> None:
        await self._runtime.delete(run_id)

    def is_silent(self, run_id: str) -> bool:
        return self._runtime.following.is_silent(run_id)

    async def play(self, run_id: str) -> None:
        await self._runtime.broker.open_run(RunMeta(run_id=run_id))
        await self._runtime.broker.publish(run_id, LogEvent())

    async def state(self, run_id: str) -> str:
        states = {each.meta.run_id: each.state for each in await self._runtime.broker.runs()}
        return states.get(run_id, "gone")

    async def account(self) -> Account:
        published = (await self._runtime.broker.stats()).published
        return self._runtime.running(STORE).info().account(published)

    async def has(self, stored: int, already: int = 0, lost_unknown: int = 0) -> None:
        """Wait until so much is stored; assert that nothing else was published."""
        wanted = Account(
            published=stored + already, stored=stored, already_stored=already,
            lost_unknown=lost_unknown,
        )  # fmt: skip

        async def is_there() -> bool:
            return await self.account() == wanted

        try:
            await until(is_there, 10)
        except TimeoutError:
            assert await self.account() == wanted

    @property
    def warned(self) -> list[str]:
        return [str(each) for each in self._runtime.broker.warnings.newest()]


class Scene:
    """A folder of files, and a store."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "game.jsonl"
        self._db = str(folder / "arena.duckdb")

    @asynccontextmanager
    async def session(
        self, *paths: Path, event_max_bytes: int = EVENT_MAX_BYTES
    ) -> AsyncIterator[Session]:
        runtime = Runtime(Config(db=self._db, event_max_bytes=event_max_bytes))
        await runtime.open()
        runtime.following.add(paths or (self.path,))
        yield Session(runtime)
        assert await runtime.aclose() is None

    def turns(self, run_id: str = "a") -> list[list[int]]:
        """The turns of each epoch of a run, of a store that is sound."""
        database = Database(self._db)
        verdicts = database.read_now(verify_store)
        found = database.read_now(
            lambda connection: connection.execute(
                "SELECT list(turn ORDER BY seq) FROM events WHERE run_id = ? GROUP BY epoch "
                "ORDER BY epoch", [run_id],
            ).fetchall()
        )  # fmt: skip
        database.close()
        assert [each for each in verdicts if each.problems] == []
        return [turns for (turns,) in found]


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


@pytest.mark.parametrize("ended", [True, False], ids=["ended", "not ended"])
async def test_a_next_game_in_the_place_of_the_last_is_stored_too(
    scene: Scene, ended: bool
) -> None:
    scene.path.write_bytes(game(0, ended))
    async with scene.session() as session:
        await session.has(4)

    scene.path.write_bytes(game(10, ended) + line(99, run_id="b"))
    async with scene.session() as session:
        await session.has(5)
    async with scene.session() as session:
        await session.has(0, already=5)

    assert scene.turns() == [[0, 1, 2, 3], [10, 11, 12, 13]]


async def test_a_next_game_whose_lines_have_no_start_is_stored_too(scene: Scene) -> None:
    scene.path.write_bytes(line(0) + line(1) + line(2, "run_end"))
    async with scene.session() as session:
        await session.has(3)

    scene.path.write_bytes(line(0) + line(5) + line(6, "run_end"))
    async with scene.session() as session:
        await session.has(3)

    assert scene.turns() == [[0, 1, 2], [0, 5, 6]]


async def test_a_file_rotated_between_sessions_is_read_from_its_first_line(scene: Scene) -> None:
    scene.path.write_bytes(line(0) + line(1) + line(2))
    async with scene.session() as session:
        await session.has(3)

    append(scene.path, line(3))
    scene.path.rename(scene.folder / "game.jsonl.1")
    scene.path.write_bytes(line(4) + line(5))
    async with scene.session(scene.folder / "game.jsonl.1", scene.path) as session:
        await session.has(3, already=3)

    assert scene.turns() == [[0, 1, 2, 3, 4, 5]]


async def test_a_run_that_goes_on_in_another_file_goes_on(scene: Scene) -> None:
    scene.path.write_bytes(line(0) + line(1) + line(2))
    async with scene.session() as session:
        await session.has(3)

    scene.path.rename(scene.folder / "game.jsonl.1")
    scene.path.write_bytes(line(3))
    for turn in (3, 4, 5):
        async with scene.session() as session:
            await session.has(1)
        append(scene.path, line(turn + 1))

    assert scene.turns() == [[0, 1, 2, 3, 4, 5]]


async def test_two_files_of_one_run_are_stored_once_each(scene: Scene) -> None:
    one, two = scene.folder / "1.jsonl", scene.folder / "2.jsonl"
    one.write_bytes(line(0) + line(1))
    two.write_bytes(b"")
    async with scene.session(one, two) as session:
        await session.has(2)
        append(two, line(10))
        await session.has(3)
        append(one, line(2))
        await session.has(4)

    append(two, line(11))
    append(one, line(3))
    async with scene.session(two, one) as session:
        await session.has(2)
        append(two, line(12))
        await session.has(3)
    async with scene.session(two, one) as session:
        append(one, line(4))
        await session.has(1)

    [turns] = scene.turns()
    assert turns[:4] == [0, 1, 10, 2]
    assert sorted(turns) == [0, 1, 2, 3, 4, 10, 11, 12]


@pytest.mark.parametrize("link", [os.link, os.symlink])
async def test_a_file_under_two_names_is_stored_once(
    scene: Scene, link: Callable[[Path, Path], None]
) -> None:
    scene.path.write_bytes(game(0))
    link(scene.path, scene.folder / "same.jsonl")
    async with scene.session(scene.path, scene.folder / "same.jsonl") as session:
        await session.has(4)
        append(scene.path, game(4))
        await session.has(8)

    assert scene.turns() == [[0, 1, 2, 3], [4, 5, 6, 7]]


async def test_a_file_rotated_while_it_is_followed_is_stored_once_in_later_sessions(
    scene: Scene,
) -> None:
    scene.path.write_bytes(line(0) + line(1) + line(2))
    async with scene.session() as session:
        await session.has(3)
        scene.path.rename(scene.folder / "game.jsonl.1")
        scene.path.write_bytes(line(3) + line(4) + line(5))
        await session.has(6)

    for paths in ((), (scene.path, scene.folder / "game.jsonl.1")):
        async with scene.session(*paths) as session:
            append(scene.path, line(6 + len(paths)))
            await session.has(1)

    assert scene.turns() == [[0, 1, 2, 3, 4, 5, 6, 8]]


async def test_what_is_added_to_a_rotated_file_before_the_new_one_has_a_line_is_stored(
    scene: Scene,
) -> None:
    looked: list[os.stat_result] = []
    look = Path.stat

    def noting(self: Path, **options: bool) -> os.stat_result:
        status = look(self, **options)
        if self == scene.path and not status.st_size:
            looked.append(status)
        return status

    scene.path.write_bytes(line(0))
    with scene.path.open("ab", buffering=0) as writer, pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "stat", noting)
        async with scene.session() as session:
            await session.has(1)
            scene.path.rename(scene.folder / "game.jsonl.1")
            scene.path.touch()
            await until(lambda: len(looked) > 1)
            writer.write(line(1))
            append(scene.path, line(2))
            await session.has(3)

    assert scene.turns() == [[0, 1, 2]]


@pytest.mark.parametrize("ended", [True, False], ids=["ended", "not ended"])
async def test_a_run_that_begins_again_in_the_same_file_is_a_new_epoch(
    scene: Scene, ended: bool
) -> None:
    scene.path.write_bytes(game(0, ended))
    async with scene.session() as session:
        await session.has(4)
        append(scene.path, game(10, ended))
        await session.has(8)

    append(scene.path, game(20, ended))
    async with scene.session() as session:
        await session.has(4, already=4)  # of the newest epoch, for the screen
    async with scene.session() as session:
        await session.has(0, already=4)

    assert scene.turns() == [[0, 1, 2, 3], [10, 11, 12, 13], [20, 21, 22, 23]]


async def test_the_same_game_twice_in_one_file_is_stored_twice_and_no_more(scene: Scene) -> None:
    scene.path.write_bytes(game(0) + game(0))
    async with scene.session() as session:
        await session.has(8)

    append(scene.path, game(0))
    async with scene.session() as session:
        await session.has(4, already=4)

    assert scene.turns() == [[0, 1, 2, 3]] * 3


async def test_a_run_played_again_and_again_in_one_place_is_stored_each_time(scene: Scene) -> None:
    async with scene.session() as session:
        for number in range(1, 4):
            fresh = scene.folder / "fresh"
            fresh.write_bytes(game(10 * number))
            fresh.replace(scene.path)
            await session.has(4 * number)

    assert scene.turns() == [[10, 11, 12, 13], [20, 21, 22, 23], [30, 31, 32, 33]]


def overwritten(path: Path, data: bytes) -> None:
    path.write_bytes(data)


def replaced(path: Path, data: bytes) -> None:
    fresh = path.with_name("fresh")
    fresh.write_bytes(data)
    fresh.replace(path)


@pytest.mark.parametrize("write", [overwritten, replaced])
@pytest.mark.parametrize("lines", [1, 9], ids=["shorter", "longer"])
async def test_a_file_written_anew_is_read_again_and_what_may_be_missing_is_a_gap(
    scene: Scene, write: Callable[[Path, bytes], None], lines: int
) -> None:
    scene.path.write_bytes(line(0) + line(1) + line(2))
    async with scene.session() as session:
        await session.has(3)

        write(scene.path, b"".join(line(10 + turn) for turn in range(lines)))

        await session.has(3 + lines, lost_unknown=1)
        warned = session.warned

    assert scene.turns() == [[0, 1, 2, *range(10, 10 + lines)]]
    assert len(warned) == 1
    assert warned[0].endswith(": reading it from its beginning")


async def test_a_file_written_anew_with_all_that_it_had_misses_nothing(scene: Scene) -> None:
    scene.path.write_bytes(line(0) + line(1))
    async with scene.session() as session:
        await session.has(2)

        scene.path.write_bytes(line(9, run_id="b") + line(0) + line(1) + line(2))
        await session.has(4)

    assert scene.turns() == [[0, 1, 2]]
    assert scene.turns("b") == [[9]]


async def test_an_ended_run_whose_file_is_written_anew_misses_nothing(scene: Scene) -> None:
    scene.path.write_bytes(game(0))
    async with scene.session() as session:
        await session.has(4)

        scene.path.write_bytes(line(0, run_id="b") * 40)
        await session.has(44)

    assert scene.turns() == [[0, 1, 2, 3]]


async def test_a_file_rotated_twice_between_two_looks_is_read_with_the_one_in_between(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    look = Path.stat
    rotated: list[bool] = []

    def look_late(self: Path, **options: bool) -> object:
        if self == scene.path and not rotated:
            rotated.append(True)
            for number in (1, 2):
                if number == 2:
                    (scene.folder / "game.jsonl.1").rename(scene.folder / "game.jsonl.2")
                scene.path.rename(scene.folder / "game.jsonl.1")
                scene.path.write_bytes(line(number))
        return look(self, **options)

    scene.path.write_bytes(line(0))
    monkeypatch.setattr(Path, "stat", look_late)
    async with scene.session() as session:
        await session.has(3)

    assert scene.turns() == [[0, 1, 2]]


async def test_an_open_run_at_the_end_of_its_file_can_be_deleted_and_come_back(
    scene: Scene,
) -> None:
    scene.path.write_bytes(line(0) + line(1) + line(7, run_id="b"))
    async with scene.session() as session:
        await session.has(3)
        await until(lambda: session.is_silent("a"))

        await session.delete("a")
        gone = await session.state("a")
        append(scene.path, line(2) + line(8, run_id="b"))
        await session.has(5)

    append(scene.path, line(3))
    async with scene.session() as session:
        await session.has(1, already=2)  # of b

    assert gone == "gone"
    assert scene.turns() == [[2, 3]]
    assert scene.turns("b") == [[7, 8]]


async def test_a_deleted_run_that_is_silent_for_good_leaves_nothing_behind(scene: Scene) -> None:
    scene.path.write_bytes(line(0) + line(7, run_id="b"))
    async with scene.session() as session:
        await session.has(2)
        await until(lambda: session.is_silent("a"))
        await session.delete("a")

    assert scene.turns() == []
    assert scene.turns("b") == [[7]]


async def test_a_run_that_others_play_is_not_deleted(scene: Scene) -> None:
    scene.path.write_bytes(line(0))
    async with scene.session() as session:
        await session.has(1)
        await session.play("b")
        await session.has(2)

        with pytest.raises(UsageError, match="run b is not over"):
            await session.delete("b")


async def test_under_another_limit_the_same_lines_are_the_same_events(scene: Scene) -> None:
    deep = b"[" * 300 + b"]" * 300
    scene.path.write_bytes(
        line(0, text="x" * 300_000) + line(1, text="y" * 100_000) + line(2, text=7)
        + line(3)[:-2] + b',"x":' + deep + b"}\n"
    )  # fmt: skip

    for session, limit in enumerate([EVENT_MAX_BYTES, 64 * 1024, 4 * 1024 * 1024]):
        async with scene.session(event_max_bytes=limit) as following:
            await following.has(stored=4 if session == 0 else 0, already=4 if session else 0)

    assert scene.turns() == [[0, 1, 2, 3]]


async def test_a_larger_limit_reaches_the_lines_of_a_file(scene: Scene) -> None:
    scene.path.write_bytes(line(0, text="x" * 300_000))

    async with scene.session(event_max_bytes=400_000) as session:
        await session.has(stored=1)

    assert session.warned == []


@pytest.mark.parametrize(
    "odd",
    [
        b'{"run_id":7,"kind":"log","turn":0,"text":1}\n',
        b'{"run_id":"a b","kind":"metric","turn":0,"value":NaN}\r\n',
        b'{"run_id":"7","kind":"log","turn":0,"ts":1767225600}\r',
    ],
)
async def test_odd_lines_are_stored_once(scene: Scene, odd: bytes) -> None:
    scene.path.write_bytes(odd)

    async with scene.session() as session:
        await session.has(stored=1)
    append(scene.path, odd)
    async with scene.session() as session:
        await session.has(stored=1, already=1)
