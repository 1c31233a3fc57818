"""The broker's password is used and never shown."""

from __future__ import annotations

import contextlib
import io
import os
import signal
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
import redis
from hypothesis import given, settings
from hypothesis import strategies as st

import arena_tui
from arena_tui.broker.redis.advice import ACL_RULES
from arena_tui.cli import main
from arena_tui.cli.secrets import without_passwords
from tests.cli.test_commands import arena, lines, surroundings
from tests.faults.accounts import FULL
from tests.ready import ARENA
from tests.redis_fixture import MakeRedis
from tests.servers import OwnServer
from tests.tui.terminal import OpenTerminal

SCRIPT = [str(Path(sysconfig.get_path("scripts")) / "arena-tui")]
URL = "redis://me:hunter2@127.0.0.1:1/0"
SECRET = "hunter2:x@y/z %41"
"""Whatever is made of it on the way to the server, it begins with `hunter2`."""

CONNECT = """
import os, arena_tui
from rich.traceback import install
install(show_locals=True)
with arena_tui.connect(os.environ["ARENA_BROKER"]) as arena, arena.run(game="g") as run:
    run.turn(1)
"""
BROKEN = """
import sys
from redis.asyncio.connection import AbstractConnection
from arena_tui.cli import main
from arena_tui.services.runtime import Runtime
from arena_tui.tui.app import ArenaApp

def broken(*arguments, **named):
    raise RuntimeError("forced")

setattr(*{"drawing": (ArenaApp, "sample"), "opening": (Runtime, "open"),
          "a key": (ArenaApp, "action_help"), "logging in": (AbstractConnection, "send_command"),
          }[sys.argv.pop(1)], broken)
sys.exit(main(sys.argv[1:]))
"""
passwords = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=4)


@contextlib.contextmanager
def held(folder: Path, command: list[str]) -> Iterator[subprocess.Popen[str]]:
    """The command, blocked on reading its settings until the context exits."""
    settings = folder / "settings"
    os.mkfifo(settings)
    child = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=surroundings(folder) | {"ARENA_CONFIG": str(settings)},
    )  # fmt: skip
    writer = None
    while writer is None and child.poll() is None:
        with contextlib.suppress(OSError):  # until the command opens it for reading
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


@settings(deadline=None, max_examples=100 if FULL else 40)
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
    """The one line that wrong usage prints, with its quotes normalized."""
    said = io.StringIO()
    with contextlib.redirect_stderr(said):
        try:
            code = main(words)
        except SystemExit as ended:
            code = int(str(ended.code))
    assert code == 2
    assert said.getvalue().count("\n") == 1
    return said.getvalue().replace('"', "'")


@pytest.fixture
def secured(make_redis: MakeRedis) -> OwnServer:
    """A server that requires a password, and a user `agent` with the same one."""
    server = make_redis(extra=("--requirepass", SECRET))
    with redis.Redis(port=server.port, password=SECRET) as admin:
        rules = ["reset", "on", f">{SECRET}", *ACL_RULES.split()]
        admin.execute_command("ACL", "SETUSER", "agent", *rules)
    return server


def url_of(kind: str, server: OwnServer) -> str:
    """A broker URL of this kind, with the password in it."""
    encoded = quote(SECRET, safe="")
    place = f"127.0.0.1:{server.port}"
    return {
        "the password": f"redis://:{encoded}@{place}",
        "a user": f"redis://agent:{encoded}@{place}",
        "a wrong password": f"redis://:{encoded}x@{place}",
        "no server": f"redis://:{encoded}@127.0.0.1:1",
        "no such place": f"redis://:{encoded}@no.such.host.invalid",
        "no such option": f"redis://:{encoded}@{place}?colour=red",
    }[kind]


KINDS = ["the password", "a user", "a wrong password", "no server", "no such place",
         "no such option"]  # fmt: skip
COMMANDS = ["play synth --max-turns 2", "publish -", "doctor", "doctor --json", "runs"]


def assert_unseen(folder: Path, *said: str | bytes) -> None:
    """Assert that neither these outputs nor any file contain the password."""
    for text in said:
        assert b"hunter2" not in (text.encode() if isinstance(text, str) else text)
    for file in folder.rglob("*"):
        assert not file.is_file() or b"hunter2" not in file.read_bytes(), file


def command_line(pid: int) -> bytes:
    """The arguments as `ps` shows them; empty without a /proc."""
    path = Path(f"/proc/{pid}/cmdline")
    return path.read_bytes() if path.exists() else b""


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("command", COMMANDS)
def test_no_command_shows_it(secured: OwnServer, tmp_path: Path, kind: str, command: str) -> None:
    url, words = url_of(kind, secured), command.split()

    done = [arena(tmp_path, "--debug", *words, ARENA_BROKER=url)]
    if FULL or KINDS.index(kind) % len(COMMANDS) == COMMANDS.index(command):
        done.append(arena(tmp_path, "--debug", "--broker", url, *words))
        done.append(arena(tmp_path, *words, "--broker", url))
        assert "Traceback" not in done[-1].stderr

    assert len({each.returncode for each in done}) == 1
    if kind in ("the password", "a user") and words[0] in ("play", "publish"):
        assert done[0].returncode == 0
    for each in done:
        assert_unseen(tmp_path, each.stdout, each.stderr)


@pytest.mark.parametrize("kind", KINDS)
def test_no_traceback_of_a_program_that_connects_shows_it(
    secured: OwnServer, tmp_path: Path, kind: str
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", CONNECT], capture_output=True, text=True, timeout=60, check=False,
        env=surroundings(tmp_path) | {"ARENA_BROKER": url_of(kind, secured)},
    )  # fmt: skip

    assert (done.returncode == 0) == (kind in ("the password", "a user"))
    assert ("locals" in done.stderr) == (done.returncode != 0)
    assert_unseen(tmp_path, done.stdout, done.stderr)


@pytest.mark.parametrize("kind", ["the password", "a user"])
def test_storing_does_not_show_it(secured: OwnServer, tmp_path: Path, kind: str) -> None:
    child = subprocess.Popen(
        [*ARENA, "persist", "--debug", "--broker", url_of(kind, secured)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=surroundings(tmp_path),
    )  # fmt: skip
    assert child.stderr is not None
    before: list[str] = []
    while "storing what comes" not in "".join(before[-1:]):
        before.append(child.stderr.readline())
        assert before[-1], before
    arguments = command_line(child.pid)
    secured.kill()
    before.append(child.stderr.readline())
    child.send_signal(signal.SIGTERM)
    said, failed = child.communicate(timeout=60)

    assert child.returncode == 0
    assert "trying again" in before[-1]
    assert b"redis://" in arguments or not arguments
    assert_unseen(tmp_path, arguments, said, failed, *before)


@pytest.mark.parametrize("kind", KINDS)
def test_the_dashboard_does_not_show_it(
    secured: OwnServer, tmp_path: Path, kind: str, open_terminal: OpenTerminal
) -> None:
    command = [*ARENA, "--debug", "--broker", url_of(kind, secured)]
    terminal = open_terminal([*command, "--db", str(tmp_path / "arena.duckdb")])
    arguments = b""
    if kind in ("the password", "a user"):
        with (
            arena_tui.connect(url_of(kind, secured), store=False) as arena_of_another,
            arena_of_another.run("by-hand"),
        ):
            terminal.wait_for("by-hand")  # the dashboard has reached the server
        arguments = command_line(terminal.pid)
        terminal.press(b"?")
        terminal.wait_for("freeze")
        terminal.press(b"\x1b")
        secured.pause()
        terminal.wait_for("does not answer")
        terminal.press(b"q")

    code = terminal.wait()

    assert code == {"the password": 0, "a user": 0, "no such option": 2}.get(kind, 3)
    assert_unseen(tmp_path, arguments, terminal.raw)


@pytest.mark.parametrize("where", ["drawing", "opening", "a key", "logging in"])
def test_no_crash_of_the_dashboard_shows_it(
    secured: OwnServer, tmp_path: Path, where: str, open_terminal: OpenTerminal
) -> None:
    words = ["--broker", url_of("a user", secured), "--db", str(tmp_path / "arena.duckdb")]
    terminal = open_terminal([sys.executable, "-c", BROKEN, where, *words])
    if where == "a key":
        terminal.wait_for("no events yet")
        terminal.press(b"?")

    assert terminal.wait() == 1
    assert "RuntimeError: forced" in (tmp_path / "log").read_text()
    assert ("locals" in (tmp_path / "log").read_text()) == (where == "a key")
    assert_unseen(tmp_path, terminal.raw)
