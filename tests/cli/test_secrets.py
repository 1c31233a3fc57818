"""A password given on the command line: used, and seen by nobody."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arena_tui.cli import main
from arena_tui.cli.secrets import without_passwords
from tests.cli.test_commands import ARENA, arena, lines, surroundings

SCRIPT = [str(Path(sysconfig.get_path("scripts")) / "arena-tui")]
URL = "redis://me:hunter2@127.0.0.1:1/0"
passwords = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=4)


@contextlib.contextmanager
def held(folder: Path, command: list[str]) -> Iterator[subprocess.Popen[str]]:
    """The command while it waits for its settings; leaving lets it have them, and go on."""
    settings = folder / "settings"
    os.mkfifo(settings)
    child = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=surroundings(folder) | {"ARENA_CONFIG": str(settings)},
    )  # fmt: skip
    writer = None
    while writer is None and child.poll() is None:
        with contextlib.suppress(OSError):  # until it reads them
            writer = os.open(settings, os.O_WRONLY | os.O_NONBLOCK)
    try:
        yield child
    finally:
        if writer is not None:
            os.close(writer)


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="needs /proc")
@pytest.mark.parametrize("start", [ARENA, [sys.executable, "-X", "dev", *ARENA[1:]], SCRIPT])
@pytest.mark.parametrize("words", [["--broker", URL], [f"--broker={URL}"]])
def test_the_list_of_processes_does_not_show_a_password(
    tmp_path: Path, start: list[str], words: list[str]
) -> None:
    with held(tmp_path, [*start, "doctor", "--json", *words]) as child:
        process = Path(f"/proc/{child.pid}")
        arguments = (process / "cmdline").read_bytes().decode().split("\0")
        environment = (process / "environ").read_bytes().decode().split("\0")
    said, failed = child.communicate(timeout=60)

    assert "hunter2" not in "".join(arguments)
    assert arguments[-2].endswith("redis://me@127.0.0.1:1/0")
    assert ("-X" in arguments) == ("-X" in start)
    assert "REDIS_PASSWORD=hunter2" in environment
    found = {finding["check"]: finding for finding in lines(said)}
    assert "redis://me:…@127.0.0.1:1/0" in found["broker"]["detail"]
    assert "hunter2" not in said + failed


def test_streams_and_exit_code_are_those_of_the_command(tmp_path: Path) -> None:
    done = arena(tmp_path, "runs", "--broker", URL)

    assert (done.returncode, done.stdout) == (3, "")
    assert "no store at" in done.stderr


def test_arguments_keep_everything_but_the_password() -> None:
    words = ["watch", "--play", "llm http://a:b@c chess", "--broker=rediss://u:p@h/1?db=2", "-"]

    assert without_passwords(words) == (
        ["watch", "--play", "llm http://a:b@c chess", "--broker=rediss://u@h/1?db=2", "-"], "p"
    )  # fmt: skip
    assert without_passwords(words[:3]) == (words[:3], None)


def test_a_password_goes_to_no_other_server() -> None:
    words = ["--broker", "redis://:secret@one", "--broker", "redis://two"]

    assert without_passwords(words) == (
        ["--broker", "redis://one", "--broker", "redis://two"],
        None,
    )


@given(
    passwords,
    st.booleans(),
    st.sampled_from(["redis://me:{}@h:x", "rediss://:{}@h/x", "unix://me:{}@path", "redis://:{}@"]),
    st.sampled_from([["runs", "--broker"], ["runs", "--brokre"], ["--debug"], []]),
)
def test_what_is_said_does_not_depend_on_the_password(
    password: str, encoded: bool, url: str, words: list[str]
) -> None:
    text = url.format(quote(password, safe="") if encoded else password)

    assert said_by([*words, text]) == said_by([*words, url.format("hunter2")])


def said_by(words: list[str]) -> str:
    """The one line a wrong command prints; which quotes stand around a word is left open."""
    said = io.StringIO()
    with contextlib.redirect_stderr(said):
        try:
            code = main(words)
        except SystemExit as ended:
            code = int(str(ended.code))
    assert code == 2
    assert said.getvalue().count("\n") == 1
    return said.getvalue().replace('"', "'")
