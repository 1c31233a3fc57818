"""`export`, `import`, `delete` and `prune`, also while another process has the store open."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import signal
import subprocess
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from arena_tui.cli import main
from arena_tui.codec import encode_line
from arena_tui.events import Delivery, Gap, LogEvent, RunEnd, RunStart
from arena_tui.services.exporting import Exported, export_runs
from arena_tui.store.changes import Bookmark
from arena_tui.store.database import Database
from arena_tui.store.history import History
from tests.cli.test_commands import arena, lines, surroundings
from tests.envelopes import envelope
from tests.programs import holding, started
from tests.ready import ARENA
from tests.store_fixture import store
from tests.waiting import until_blocking

AT = datetime(2026, 3, 14, 12, tzinfo=UTC)

OWNER = """\
import sys
import arena_tui
with arena_tui.connect() as arena:
    with arena.run(game="g", run_id="live") as run:
        run.log("hello")
        while not arena_tui.history().runs("run:live"):
            pass
        print("open", flush=True)
        sys.stdin.read()
"""


def run_of(run_id: str, count: int = 50, at: datetime = AT, text: str = "") -> list[Delivery]:
    """A finished run with a gap, of so many events."""
    return [
        envelope(run_id, 7, 1, RunStart(ts=at, game="chess")), Gap(run_id, 7, 2, 4, "trimmed"),
        *(envelope(run_id, 7, seq, LogEvent(ts=at, text=f"{text}{seq}"))
          for seq in range(5, 3 + count)),
        envelope(run_id, 7, 3 + count, RunEnd(ts=at)),
    ]  # fmt: skip


def made(folder: Path, *runs: Sequence[Delivery], name: str = "arena.duckdb") -> Path:
    path = folder / name
    database = Database(str(path))
    asyncio.run(store(database, *runs))
    database.close()
    return path


def owning(folder: Path) -> subprocess.Popen[str]:
    """A process that has the store open and plays the run `live` in it."""
    return started(OWNER, says="open", env=surroundings(folder))


def ids(folder: Path) -> list[str]:
    return sorted(each["run_id"] for each in lines(arena(folder, "runs", "--json").stdout))


def stored_events(folder: Path) -> int:
    """How many events are stored; 0 while there is no store."""
    found = lines(arena(folder, "sql", "SELECT count(*) AS n FROM events", "--json").stdout)
    return int(found[0]["n"]) if found else 0


def test_export_prints_what_events_prints(
    tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    path = str(made(tmp_path, run_of("a"), run_of("b", 9)))
    assert main(["events", "--json", "--db", path]) == 0
    printed = capfdbinary.readouterr().out

    assert main(["export", "--db", path, "--json"]) == 0
    assert capfdbinary.readouterr().out == printed
    assert main(["export", "--run", "b", "--db", path]) == 0
    assert {json.loads(each)["run_id"] for each in capfdbinary.readouterr().out.splitlines()} == {
        "b"
    }
    assert main(["export", "events>20", "--db", path]) == 0
    assert b'"run_id":"b"' not in capfdbinary.readouterr().out


def test_a_page_is_made_of_exactly_one_run(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    db, page = str(made(tmp_path, run_of("a"), run_of("b", 9))), tmp_path / "b.html"

    assert main(["export", "--output", str(page), "--db", db]) == 2
    assert capfd.readouterr().err.endswith("one run, and 2 are chosen: choose one by its id\n")
    assert not page.exists()
    assert main(["export", "events<20", "--output", str(page), "--db", db]) == 0
    assert capfd.readouterr().err == f"exported 9 events of 1 run to {page}\n"
    assert '"run_id":"b"' in page.read_text()
    assert main(["export", "--run", "b", "--format", "html", "--db", db]) == 0
    assert capfd.readouterr().out == page.read_text()


@pytest.mark.parametrize("name", ["good.jsonl", "good.csv.gz", "good.parquet"])
def test_a_filter_that_nothing_matches_leaves_the_file(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], name: str
) -> None:
    db, file = str(made(tmp_path, run_of("a"))), tmp_path / name
    file.write_bytes(b"good")

    assert main(["export", "game:none", "--output", str(file), "--db", db]) == 0
    assert capfd.readouterr() == ("", "no runs match\n")
    assert main(["export", "game:none", "--output", str(file), "--db", db, "--json"]) == 0
    assert lines(capfd.readouterr().out) == [{"runs": 0, "events": 0, "output": None}]
    assert file.read_bytes() == b"good"


def test_a_recording_has_the_size_and_the_silences_asked_for(tmp_path: Path) -> None:
    db, file = str(made(tmp_path, run_of("a"))), tmp_path / "a.cast"

    options = ["--size", "80x24", "--idle", "0.5"]
    assert main(["export", "--run", "a", "--output", str(file), *options, "--db", db]) == 0

    header = json.loads(file.read_text().splitlines()[0])
    assert (header["width"], header["height"], header["idle_time_limit"]) == (80, 24, 0.5)


def test_a_bookmarked_run_survives_being_deleted_and_imported(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    db = str(made(tmp_path, run_of("a"), run_of("b")))
    with closing(Database(db)) as database:
        asyncio.run(database.change(Bookmark("a", 7, 9, "look", AT)))

    def printed(*words: str, code: int = 0) -> str:
        assert main([*words, "--db", db]) == code
        return capfd.readouterr().out

    before = printed("export")
    assert '"kind":"bookmark","at_seq":9,"note":"look"' in before
    for name in ("all.jsonl.gz", "all.jsonl.zst", "all.parquet"):
        file = str(tmp_path / name)
        out = printed("export", "--output", file, "--json")
        assert lines(out) == [{"runs": 2, "events": 100, "output": file}]
        assert lines(printed("delete", "a", "b", "--yes", "--json"))[0]["runs"] == 2
        assert printed("export") == ""
        (figures,) = lines(printed("import", file, "--json"))
        assert (figures["runs"], figures["events"], figures["refused"]) == (2, 100, 0)

        assert printed("export") == before
        printed("verify")
        again = lines(printed("import", file, "--json"))
        assert (again[0]["events"], again[0]["repeated"]) == (0, 100)


def test_everything_works_while_another_process_has_the_store_open(tmp_path: Path) -> None:
    made(tmp_path, run_of("a"), run_of("b"))
    given = [encode_line(each).decode() for each in run_of("c", 3_000)]
    (tmp_path / "c.jsonl").write_text("\n".join(given))
    hello = encode_line(envelope("live", 7, 1, LogEvent(text="no")))
    (tmp_path / "live.jsonl").write_bytes(hello)

    with owning(tmp_path) as owner:
        file = str(tmp_path / "out.parquet")
        out = arena(tmp_path, "export", "run:a", "--output", file, "--json")
        assert lines(out.stdout) == [{"runs": 1, "events": 50, "output": file}]
        assert arena(tmp_path, "import", str(tmp_path / "c.jsonl")).stderr == (
            "imported 3,000 events of 1 run\n"
        )
        refused = arena(tmp_path, "import", str(tmp_path / "live.jsonl"))
        assert refused.returncode == 1
        assert "run live is being played: import it when it has ended" in refused.stderr
        deleted = arena(tmp_path, "delete", "a", "--yes")
        assert deleted.returncode == 0
        assert f"process {owner.pid}, which has it open" in deleted.stderr
        assert arena(tmp_path, "delete", "live", "--yes").returncode == 2
        pruned = arena(tmp_path, "prune", "--keep-bytes", "0", "--filter", "run:b", "--yes")
        assert pruned.stderr.startswith("deleted 1 run; ")
        kept = arena(tmp_path, "delete", "--filter", "run:live", "--yes")
        assert kept.stderr == "nothing to delete; kept 1 run that may still go on\n"
        assert ids(tmp_path) == ["c", "live"]
        assert arena(tmp_path, "import", file, "--json").returncode == 0
        assert ids(tmp_path) == ["a", "c", "live"]
    assert arena(tmp_path, "verify").returncode == 0


def test_a_store_that_nobody_shares_is_refused_in_one_line(tmp_path: Path) -> None:
    path = made(tmp_path, run_of("a"))
    (tmp_path / "b.jsonl").write_bytes(encode_line(run_of("b")[0]))

    with holding(str(path)) as holder:
        done = arena(tmp_path, "import", str(tmp_path / "b.jsonl"))

    assert done.returncode == 3
    assert done.stderr.count("\n") == 1
    assert f"process {holder.pid}" in done.stderr


def test_nothing_is_deleted_unasked(tmp_path: Path) -> None:
    made(tmp_path, run_of("a"), run_of("b"))

    refused = arena(tmp_path, "delete", "a")

    assert refused.returncode == 2
    assert refused.stderr.startswith("arena-tui: this would delete 1 run, 50 events, about ")
    assert refused.stderr.endswith(": add --yes\n")
    assert ids(tmp_path) == ["a", "b"]


@pytest.mark.parametrize(("answer", "code", "left"), [(b"n\n", 1, ["a", "b"]), (b"y\n", 0, ["b"])])
def test_a_person_is_asked(tmp_path: Path, answer: bytes, code: int, left: list[str]) -> None:
    made(tmp_path, run_of("a"), run_of("b"))
    ours, theirs = pty.openpty()
    os.write(ours, answer)

    process = subprocess.run(
        [*ARENA, "delete", "a"], stdin=theirs, stdout=theirs, stderr=theirs, timeout=60,
        env=surroundings(tmp_path), check=False,
    )  # fmt: skip
    said = os.read(ours, 4096).decode()
    os.close(ours)
    os.close(theirs)

    assert process.returncode == code
    assert "delete 1 run, 50 events, about " in said
    assert ids(tmp_path) == left


def test_pruning_goes_by_age_and_by_size_and_makes_the_file_smaller(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    runs = [
        run_of(f"r{age}", 3_000, now - timedelta(days=age), os.urandom(2_000).hex())
        for age in (40, 35, 9, 5, 1)
    ]
    path = made(tmp_path, *runs)

    old = lines(arena(tmp_path, "prune", "--older-than", "30d", "--yes", "--json").stdout)[0]
    half = path.stat().st_size // 2
    big = lines(arena(tmp_path, "prune", "--keep-bytes", str(half), "--yes", "--json").stdout)[0]

    assert (old["runs"], big["runs"]) == (2, 2)
    assert old["after_bytes"] < 0.9 * old["before_bytes"]
    assert big["after_bytes"] < 0.7 * big["before_bytes"]
    assert path.stat().st_size == big["after_bytes"]
    assert ids(tmp_path) == ["r1"]
    assert arena(tmp_path, "verify").returncode == 0


def test_a_run_that_a_server_may_go_on_with_is_kept(tmp_path: Path) -> None:
    path = made(tmp_path, run_of("a")[:-1], run_of("b")[:-1])
    database = Database(str(path))
    query = "UPDATE runs SET broker = 'redis://host' WHERE run_id = 'a'"
    asyncio.run(database.write(lambda c: c.execute(query).fetchall()))
    database.close()

    refused = arena(tmp_path, "delete", "a", "--yes")

    assert (refused.returncode, ids(tmp_path)) == (2, ["a", "b"])
    assert "run a is not over" in refused.stderr
    done = arena(tmp_path, "prune", "--older-than", "1h", "--yes", "--json")
    assert lines(done.stdout)[0]["kept"] == 1
    assert ids(tmp_path) == ["a"]


def test_a_run_that_is_kept_counts_for_the_size(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    old = run_of("old", 3_000, now - timedelta(days=40), os.urandom(2_000).hex())
    path = made(tmp_path, old[:-1], run_of("new", 3_000, now, os.urandom(2_000).hex()))
    database = Database(str(path))
    query = "UPDATE runs SET broker = 'redis://host' WHERE run_id = 'old'"
    asyncio.run(database.write(lambda c: c.execute(query).fetchall()))
    database.close()

    size = str(path.stat().st_size * 6 // 10)
    words = ["--older-than", "30d", "--keep-bytes", size, "--yes", "--json"]
    done = lines(arena(tmp_path, "prune", *words).stdout)[0]

    assert (done["runs"], done["kept"]) == (1, 1)
    assert ids(tmp_path) == ["old"]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["export", "--format", "parquet"], 2, "give a file with --output"),
        (["export", "--format", "csv", "--json"], 2, "csv is no JSON"),
        (["export", "--format", "html", "game:go"], 2, "one run, and none is chosen"),
        (["export", "--size", "80x24"], 2, "give --format asciicast"),
        (["export", "--format", "asciicast", "--size", "10x10"], 2, "60x15 to 500x200"),
        (["export", "--format", "asciicast", "--idle", "-1"], 2, "is no silence"),
        (["export", "--output", "x.parquet.gz", "--format", "parquet"], 2, "without .gz or .zst"),
        (["export", "--output", "/dev/null"], 2, "not a regular file"),
        (["export", "--output", "no/such/folder"], 3, "cannot write no/such/folder"),
        (["export", "--run", "a", "x"], 2, "give one of them"),
        (["export", "err>"], 2, "err"),
        (["delete"], 2, "give one of them"),
        (["delete", "nope"], 2, "no run 'nope'"),
        (["prune"], 2, "--older-than 30d"),
        (["prune", "--older-than", "3 moons"], 2, "is no age"),
        (["prune", "--keep-bytes", "many"], 2, "is no size"),
        (["import", "nope.jsonl"], 2, "cannot read nope.jsonl"),
    ],
)
def test_wrong_usage_is_said_in_one_line(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], words: list[str], code: int, said: str
) -> None:
    db = str(made(tmp_path, run_of("a")))
    try:
        found = main([*words, "--db", db])
    except SystemExit as error:  # of argparse
        found = int(error.code or 0)

    assert found == code
    assert said in capfd.readouterr().err.splitlines()[0]
    with closing(Database(db, only_read=True)) as database:
        assert database.read_now(lambda c: c.execute("SELECT run_id FROM runs").fetchall()) == [
            ("a",)
        ]


def test_the_store_is_not_overwritten_by_its_own_export(tmp_path: Path) -> None:
    path = made(tmp_path, run_of("a"))

    done = arena(tmp_path, "export", "--output", str(path))

    assert (done.returncode, ids(tmp_path)) == (2, ["a"])
    assert "is the store itself" in done.stderr


def test_many_refused_lines_are_counted_not_told(tmp_path: Path) -> None:
    made(tmp_path)

    done = arena(tmp_path, "import", "-", given="no\n" * 5_000)

    told = done.stderr.splitlines()
    assert done.returncode == 1
    assert told[0].startswith("arena-tui: standard input line 1: not a JSON object")
    assert told[20:] == [
        "arena-tui: standard input: 4,980 more like these",
        "imported 0 events of 0 runs; refused 5,000 lines",
    ]


async def test_a_cancelled_export_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "arena.duckdb"
    database = Database(str(path))
    await store(database, *(run_of(f"r{number}", 5_000) for number in range(4)))
    loop = asyncio.get_running_loop()
    out = tmp_path / "out"
    out.mkdir()

    async def cancel() -> None:
        exporting.cancel()
        for _ in range(10):  # until it has noticed
            await asyncio.sleep(0)

    def progress(_: Exported) -> None:
        asyncio.run_coroutine_threadsafe(cancel(), loop).result()

    for name in ("a.jsonl", "a.jsonl.zst", "a.parquet"):
        work = export_runs(
            History(database), [f"r{number}" for number in range(4)],
            "parquet" if name.endswith("parquet") else "jsonl", str(out / name), progress,
        )  # fmt: skip
        exporting = asyncio.create_task(work)
        with pytest.raises(asyncio.CancelledError):
            await exporting

        assert list(out.iterdir()) == []
    done = await export_runs(History(database), ["r2"], "jsonl", str(out / "b.jsonl"))
    assert (done.runs, done.events) == (1, 5_000)
    await database.aclose()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_import_that_is_ended_says_what_it_kept(tmp_path: Path, number: signal.Signals) -> None:
    db = tmp_path / "arena.duckdb"
    process = subprocess.Popen(
        [*ARENA, "import", "-", "--db", str(db)], env=surroundings(tmp_path),
        stdin=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdin is not None
    process.stdin.write(b"".join(encode_line(each) + b"\n" for each in run_of("a", 12_000)))
    process.stdin.flush()  # more may come, so that it waits
    until_blocking(lambda: stored_events(tmp_path))
    process.send_signal(number)
    assert process.wait(timeout=60) == 128 + number
    _, told = process.communicate()

    kept = stored_events(tmp_path)
    assert told.decode() == (
        f"ended early: imported {kept:,} events of 1 run: import again for the rest\n"
    )


def test_an_interrupted_import_can_be_repeated(tmp_path: Path) -> None:
    given = b"".join(encode_line(each) + b"\n" for each in run_of("a", 60_000))
    (tmp_path / "a.jsonl").write_bytes(given)
    process = subprocess.Popen(
        [*ARENA, "import", str(tmp_path / "a.jsonl"), "--db", str(tmp_path / "arena.duckdb")],
        env=surroundings(tmp_path), stderr=subprocess.PIPE,
    )  # fmt: skip
    while process.poll() is None and not (tmp_path / "arena.duckdb").exists():
        pass
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)

    assert arena(tmp_path, "import", str(tmp_path / "a.jsonl")).returncode == 0
    assert arena(tmp_path, "export").stdout.encode() == given
    assert arena(tmp_path, "verify").returncode == 0
