"""Programs that fork while their broker is in process and has no file: children are refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.services.forking import ENDS, IN_PROCESS, forking_amid_bursts, run_program


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "arena.duckdb"


REFUSED = """
class Kinds(Consumer):
    name, durable = "kinds", True

    def __init__(self): self.counts = collections.Counter()

    async def start(self): return {}

    async def handle(self, batch):
        self.counts.update(type(each.event).__name__ for each in batch)
        return {each.run_id: Cursor(each.epoch, each.last_seq) for each in batch}

kinds = Kinds()
arena = arena_tui.connect(consumers=[lambda _: kinds], OPTIONS)
run = arena.run("g", run_id="r")
run.__enter__()
never_begun = arena.run("g", run_id="never")

def child():
    told = []
    for use in (
        lambda: arena_tui.connect(OPTIONS).run("g").log("own"), lambda: arena.run("g"),
        lambda: run.action("e4"), lambda: run.action("e4"), lambda: never_begun.action("e4"),
    ):
        try: use()
        except ArenaError as error: told.append(str(error))
    assert len(told) == 4, told
    assert all("redis" in each and str(os.getppid()) in each for each in told), told
    assert not any("\\n" in each for each in told), told
"""


@pytest.mark.parametrize("options", ["store=False", "db=':memory:'"])
@pytest.mark.parametrize("fork", ENDS.values(), ids=ENDS)
def test_without_a_store_s_file_a_child_is_refused_in_one_line_and_harms_nothing(
    fork: str, options: str, path: Path
) -> None:
    """It may have a broker of its own, which is private to it."""
    done = run_program(
        f"{REFUSED.replace('OPTIONS', options)}\n{fork}\nassert code == 0, code\n"
        "play(run)\nrun.end()\narena.close()\nprint(sorted(kinds.counts.items()))\n",
        IN_PROCESS, path,
    )  # fmt: skip

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "[('RunEnd', 1), ('RunStart', 1), ('TurnStart', 10)]\n"
    assert not path.exists()


def test_a_pool_shows_a_refused_worker_s_error(path: Path) -> None:
    done = run_program(
        """
arena = arena_tui.connect(store=False)

def work(number):
    arena.run("g", run_id=str(number))

with multiprocessing.get_context("fork").Pool(2) as pool:
    try: pool.map(work, range(4))
    except ArenaError as error: print(error)
arena.close()
""",
        IN_PROCESS, path,
    )  # fmt: skip

    assert (done.returncode, done.stderr) == (0, "")
    assert "redis" in done.stdout
    assert done.stdout.count("\n") == 1


def test_without_a_store_s_file_a_fork_amid_bursts_of_threads_ends(path: Path) -> None:
    done = run_program(
        forking_amid_bursts("arena_tui.connect(store=False)", """\
try: arena.run("g", run_id=f"child-{number}")
except ArenaError: sys.exit(3)"""),
        IN_PROCESS, path,
    )  # fmt: skip

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split() == ["3"] * 12
