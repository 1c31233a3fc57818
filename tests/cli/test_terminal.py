"""The output the dashboard draws on, on a real pseudo-terminal."""

from __future__ import annotations

import os
import pty
import threading

from arena_tui.cli.terminal import Output, text_output

MORE_THAN_A_TERMINAL_HOLDS = "x" * 1_000_000


def test_what_is_written_arrives_when_somebody_reads() -> None:
    master, slave = pty.openpty()
    stream = text_output(Output(os.ttyname(slave)))

    stream.write("é\x1b[?25l")
    stream.flush()

    assert os.read(master, 100) == "é\x1b[?25l".encode()
    stream.close()
    os.close(master)
    os.close(slave)


def test_a_terminal_that_nobody_reads_holds_nobody_up_who_leaves() -> None:
    master, slave = pty.openpty()
    output = Output(os.ttyname(slave))
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
    stream = text_output(Output(os.ttyname(slave)))
    os.close(slave)
    os.close(master)

    stream.write("lost")

    stream.close()
