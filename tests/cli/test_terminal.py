"""The output the dashboard draws on, on a real pseudo-terminal."""

from __future__ import annotations

import io
import os
import pty
import threading

import pytest

from arena_tui.cli.terminal import Output, check_terminal, text_output
from arena_tui.errors import UsageError

MORE_THAN_A_TERMINAL_HOLDS = "x" * 1_000_000


def test_what_is_written_arrives_when_somebody_reads() -> None:
    master, slave = pty.openpty()
    stream = text_output(Output(slave))

    stream.write("é\x1b[?25l")
    stream.flush()

    assert os.read(master, 100) == "é\x1b[?25l".encode()
    stream.close()
    os.close(master)
    os.close(slave)


def test_a_terminal_that_nobody_reads_holds_nobody_up_who_leaves() -> None:
    master, slave = pty.openpty()
    output = Output(slave)
    stream = text_output(output)
    writing = threading.Thread(target=stream.write, args=(MORE_THAN_A_TERMINAL_HOLDS,))
    writing.start()

    output.leave()

    writing.join(20)
    assert not writing.is_alive()
    stream.close()
    os.close(slave)
    os.close(master)


def test_a_terminal_that_is_closed_is_no_error() -> None:
    master, slave = pty.openpty()
    stream = text_output(Output(slave))
    os.close(slave)
    os.close(master)

    stream.write("lost")

    stream.close()


def test_a_terminal_that_cannot_be_opened_is_written_to_as_it_was_inherited(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refused(_: int) -> str:
        raise PermissionError

    monkeypatch.setattr(os, "ttyname", refused)
    master, slave = pty.openpty()
    stream = text_output(Output(slave))

    stream.write("drawn")
    stream.flush()

    assert os.read(master, 100) == b"drawn"
    stream.close()
    os.close(slave)
    os.close(master)


@pytest.mark.parametrize("term", ["dumb", "unknown"])
def test_a_terminal_that_cannot_draw_is_refused_with_what_to_do(
    term: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", Terminal())
    monkeypatch.setattr("sys.stdout", Terminal())

    check_terminal({"TERM": "xterm-256color"})
    with pytest.raises(UsageError, match=f"TERM={term}: set TERM to what your terminal is"):
        check_terminal({"TERM": term})


class Terminal(io.StringIO):
    """What is taken for one."""

    def isatty(self) -> bool:
        return True
