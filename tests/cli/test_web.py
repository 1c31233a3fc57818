"""`web`: the dashboard in a browser, for pages of its own server only."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from tests.waiting import until


@pytest.fixture
async def url(tmp_path: Path) -> AsyncIterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "arena_tui", "web", "--port", str(port),
        "--db", str(tmp_path / "a.duckdb"), "--", "--play", "synth games=1",
        env={**os.environ, "ARENA_LOG": str(tmp_path / "log")}, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        assert process.stderr is not None
        assert b"the dashboard is at" in await process.stderr.readline()
        await until(lambda: answers(port))
        yield f"http://127.0.0.1:{port}"
        process.send_signal(signal.SIGTERM)
        assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


async def test_it_is_the_dashboard_with_what_it_plays_and_takes_keys(url: str) -> None:
    async with aiohttp.ClientSession() as client:
        index = await (await client.get(url)).text()
        async with client.ws_connect(f"{url}/ws?width=100&height=30") as connected:
            drawn = bytearray()

            async def shows(text: bytes) -> bool:
                message = await connected.receive(60)
                drawn.extend(message.data if isinstance(message.data, bytes) else b"")
                return text in drawn

            await until(lambda: shows(b"synth"))
            await connected.send_json(["stdin", "2"])
            await until(lambda: shows(b"started"))

    assert "arena-tui" in index


@pytest.mark.parametrize(
    "headers", [{"Host": "evil.example"}, {"Origin": "http://evil.example"}, {"Origin": "null"}]
)
async def test_a_page_of_another_site_can_press_no_key(url: str, headers: dict[str, str]) -> None:
    async with aiohttp.ClientSession() as client:
        page = await client.get(url, headers=headers)
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await client.ws_connect(f"{url}/ws", headers=headers)

    assert (page.status, refused.value.status) == (403, 403)
