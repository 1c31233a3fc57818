"""`serve`, and the dashboard's `--serve`, as processes."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TypeAlias

import pytest

from tests.tui.terminal import OpenTerminal
from tests.waiting import until_blocking

Start: TypeAlias = Callable[..., "subprocess.Popen[str]"]
ADDRESS = re.compile(r"http://[\w.:\[\]-]+:\d+\S*")


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Start]:
    """Starts `serve` on a store of the test's own, at any port; ends it after the test."""
    started: list[subprocess.Popen[str]] = []

    def begin(*arguments: str, **environment: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "arena_tui", "serve", "--port", "0",
             "--db", str(tmp_path / "a.duckdb"), *arguments],
            stderr=subprocess.PIPE, text=True,
            env={**os.environ, "ARENA_LOG": str(tmp_path / "log"), **environment},
        )  # fmt: skip
        started.append(process)
        return process

    yield begin
    for process in started:
        process.kill()
        process.communicate()


def said(process: subprocess.Popen[str], text: str) -> str:
    """The next line on stderr with the text."""
    assert process.stderr is not None
    return next(line for line in process.stderr if text in line)


def url_of(process: subprocess.Popen[str]) -> str:
    found = ADDRESS.search(said(process, "http://"))
    assert found is not None
    return found[0]


def get(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=30) as response:
        content: bytes = response.read()
        return content


def test_it_stores_what_a_file_gets_and_gives_it_back(serve: Start, tmp_path: Path) -> None:
    lines = tmp_path / "log.jsonl"
    lines.write_text('{"run_id": "r", "kind": "run_start", "game": "g"}\n')
    process = serve("--follow", str(lines))
    url = url_of(process)
    with lines.open("a") as file:
        file.write('{"run_id": "r", "kind": "run_end"}\n')

    until_blocking(lambda: json.loads(get(f"{url}/runs"))["runs"][0:])
    events = get(f"{url}/runs/r/events")
    process.send_signal(signal.SIGTERM)

    assert process.wait(30) == 0
    assert re.findall(rb"event: (\w+)", events) == [b"run_start", b"run_end", b"end"]


def test_it_ends_at_once_though_a_hundred_clients_listen(serve: Start, tmp_path: Path) -> None:
    lines = tmp_path / "log.jsonl"
    lines.write_text('{"run_id": "r", "kind": "run_start", "game": "g"}\n')
    process = serve("--follow", str(lines))
    host, _, port = url_of(process).removeprefix("http://").partition(":")
    with ExitStack() as stack:
        for _ in range(100):
            client = stack.enter_context(socket.create_connection((host, int(port)), 30))
            client.sendall(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert client.recv(12) == b"HTTP/1.1 200"
        process.send_signal(signal.SIGTERM)

        assert process.wait(20) == 0


def test_beyond_loopback_a_token_is_made_up_and_said_but_not_logged(
    serve: Start, tmp_path: Path
) -> None:
    process = serve("--host", "0.0.0.0")
    url = url_of(process)
    found = ADDRESS.search(said(process, "token="))
    assert found is not None
    token = found[0].partition("token=")[2]

    request = urllib.request.Request(
        url.replace("0.0.0.0", "127.0.0.1") + "/runs",
        headers={"Authorization": f"Bearer {token}"},
    )
    with urllib.request.urlopen(request, timeout=30) as response:
        assert response.status == 200
    process.send_signal(signal.SIGTERM)
    process.wait(30)

    assert len(token) >= 32
    assert token not in (tmp_path / "log").read_text()


def test_an_address_in_use_is_said_in_one_line(serve: Start, tmp_path: Path) -> None:
    port = url_of(serve()).rpartition(":")[2]

    second = serve("--port", port, "--db", str(tmp_path / "b.duckdb"))
    _, message = second.communicate(timeout=30)

    assert second.returncode == 3
    assert message == (
        f"arena-tui: cannot listen on 127.0.0.1:{port}: Address already in use: "
        "give another address\n"
    )


def test_a_dashboard_answers_over_http_too(open_terminal: OpenTerminal, tmp_path: Path) -> None:
    lines = tmp_path / "log.jsonl"
    lines.write_text('{"run_id": "r", "kind": "run_start", "game": "g"}\n')
    terminal = open_terminal(
        [sys.executable, "-m", "arena_tui", "--serve", "127.0.0.1:0", "--follow", str(lines),
         "--db", str(tmp_path / "a.duckdb")]
    )  # fmt: skip
    terminal.wait_for("also at http://")
    found = ADDRESS.search(terminal.text())
    assert found is not None

    until_blocking(lambda: json.loads(get(f"{found[0]}/runs"))["runs"])
    terminal.press(b"q")

    assert terminal.wait() == 0


def test_a_dashboard_whose_port_is_taken_says_so_and_ends(
    open_terminal: OpenTerminal, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        terminal = open_terminal(
            [sys.executable, "-m", "arena_tui", "--serve", f"127.0.0.1:{port}",
             "--db", str(tmp_path / "a.duckdb")]
        )  # fmt: skip

        assert terminal.wait() == 3
        assert f"cannot listen on 127.0.0.1:{port}: Address already in use" in terminal.text()


def test_a_dashboard_for_other_machines_without_a_token_does_not_begin(
    open_terminal: OpenTerminal, tmp_path: Path
) -> None:
    terminal = open_terminal([sys.executable, "-m", "arena_tui", "--serve", "0.0.0.0"])

    assert terminal.wait() == 2
    assert "set ARENA_TOKEN to a secret" in terminal.text()
