"""Standard streams that are closed, full, or of another encoding: one line, no traceback."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.cli.test_commands import COMMANDS, arena, lines, surroundings
from tests.faults.accounts import FULL
from tests.ready import ARENA, Ready

READING = ["runs", "runs --json", "show R", "events", "events --json", "verify", "doctor"]
PRINTING = [*READING, "--help", "--version", "play synth --max-turns 2 --db :memory:"]
SOME = PRINTING if FULL else ["show R", "events --json", "doctor", "--help", PRINTING[-1]]
"""One of each way to print: a text, JSON lines, findings, help, and while games go on."""
HELP = [f"{command} --help" for command in COMMANDS]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a store of one run, whose texts are not all ASCII."""
    folder = tmp_path_factory.mktemp("streams")
    done = arena(folder, "play", "synth", "--max-turns", "3", "--label", "Zürich → 東京")
    assert done.returncode == 0
    [run] = lines(arena(folder, "runs", "--json").stdout)
    (folder / "run").write_text(run["run_id"])
    return folder


def with_run(folder: Path, words: str) -> list[str]:
    """The words of a command, the id of the folder's run for R."""
    return [(folder / "run").read_text() if word == "R" else word for word in words.split()]


def shell(folder: Path, words: str, redirected: str, **environment: str) -> tuple[int, str]:
    """Exit code and stderr of the command, redirected by a shell."""
    done = subprocess.run(
        ["bash", "-c", f'"$@" {redirected}', "bash", *ARENA, *with_run(folder, words)],
        stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, check=False, timeout=120,
        env=surroundings(folder) | environment, encoding="latin-1",
    )  # fmt: skip
    return done.returncode, done.stderr


@pytest.mark.parametrize("words", SOME)
@pytest.mark.parametrize("redirected", [">/dev/full", ">&-"])
def test_output_that_cannot_be_written_is_one_line(
    folder: Path, words: str, redirected: str
) -> None:
    code, said = shell(folder, words, redirected)

    assert (code, said.count("\n")) == (3, 1)
    assert said.startswith("arena-tui: cannot write the output: ")


@pytest.mark.parametrize("words", SOME)
@pytest.mark.parametrize("redirected", ["<&- >&- 2>&-", ">/dev/full 2>/dev/full"])
def test_where_nothing_can_be_said_the_exit_code_says_it(
    folder: Path, words: str, redirected: str
) -> None:
    assert shell(folder, words, redirected) == (3, "")


@pytest.mark.parametrize(
    "words", ["runs --db /nowhere", "nonsense", "watch --theme x", "publish no/such"]
)
@pytest.mark.parametrize("redirected", ["2>/dev/full", "<&- >&- 2>&-"])
def test_an_error_that_cannot_be_said_keeps_its_exit_code(
    folder: Path, words: str, redirected: str
) -> None:
    code, _ = shell(folder, words, redirected)

    assert code == (3 if words.startswith("runs") else 2)


@pytest.mark.parametrize("words", READING)
def test_a_closed_pipe_is_silent(folder: Path, words: str) -> None:
    _, said = shell(folder, words, "| true")

    assert said == ""


def test_a_store_is_not_written_to_by_what_is_printed(tmp_path: Path) -> None:
    code, _ = shell(tmp_path, "play synth --max-turns 3", "<&- >&- 2>&-")

    assert code == 3
    assert arena(tmp_path, "verify").returncode == 0
    assert len(arena(tmp_path, "runs", "--json").stdout.splitlines()) == 1


@pytest.fixture(scope="module", params=["latin-1", "ascii", "LANG=C"])
def of_encoding(request: pytest.FixtureRequest) -> Iterator[tuple[Ready, dict[str, str]]]:
    """What runs commands whose streams have few characters, and the environment for that."""
    of_locale = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    own = of_locale if request.param == "LANG=C" else {"PYTHONIOENCODING": request.param}
    with closing(Ready({**os.environ, **own})) as ready:
        yield ready, own


@pytest.mark.parametrize("words", [*PRINTING, *HELP, "nonsense-東京", "runs game:東京"])
def test_characters_that_cannot_be_printed_are_replaced(
    folder: Path, words: str, of_encoding: tuple[Ready, dict[str, str]]
) -> None:
    ready, own = of_encoding

    done = ready.run(with_run(folder, words), "", surroundings(folder) | own, encoding="latin-1")

    assert "Error" not in done.stderr
    assert done.returncode == (2 if "nonsense" in words else 0)


def test_a_new_interpreter_replaces_them_too(folder: Path) -> None:
    code, said = shell(folder, "show R", "1>&2", PYTHONIOENCODING="ascii")

    assert code == 0
    assert "Z?rich ? ??" in said
