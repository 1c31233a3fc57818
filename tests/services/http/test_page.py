"""The page in a real browser: it survives what networks and servers do, on a desk and a phone."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import arena_tui
from arena_tui.broker.protocol import Limits
from arena_tui.services.http.page import page
from tests.faults.accounts import FULL
from tests.faults.proxy import Proxy
from tests.services.http.browser import CHROMIUM, Tab, browsing
from tests.services.http.served import serving
from tests.waiting import pause, until, until_blocking

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="needs chromium, as Debian has it"),
    pytest.mark.timeout(600),
]

BOARD = "· · ·\n· x ·\n· · o"
SCRIPT = '<img src=x onerror="window.evil=1"><script>window.evil=1</script>'
FROZEN_S = 60.0 if FULL else 2.0
PICTURES = Path(__file__).parents[3] / "screenshots"


@pytest.fixture
def tab(tmp_path: Path) -> Iterator[Tab]:
    with browsing(tmp_path / "profile") as opened:
        yield opened


@contextmanager
def server(port: int, url: str, db: Path) -> Iterator[subprocess.Popen[bytes]]:
    """`arena-tui serve`, killed at the end."""
    process = subprocess.Popen(
        [sys.executable, "-m", "arena_tui", "serve", "--port", str(port), "--broker", url,
         "--db", str(db)],
        stderr=subprocess.DEVNULL, env={**os.environ, "ARENA_LOG": str(db.parent / "log")},
    )  # fmt: skip
    try:
        until_blocking(lambda: answers(port))
        yield process
    finally:
        process.kill()
        process.wait()


def answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def play(run: arena_tui.Run, turns: range) -> None:
    """Four events a turn."""
    for number in turns:
        player = "xy"[number % 2]
        run.turn(number, player=player)
        run.observation(f"{BOARD}\nturn {number}")
        run.llm_response(f"Turn {number}. {SCRIPT}", input_tokens=100, output_tokens=20)
        run.action(f"move {number}")


async def test_a_page_cut_off_three_times_has_every_event_once(
    tab: Tab, redis_url: str, tmp_path: Path
) -> None:
    async with Proxy(port := free_port()) as proxy:
        await asyncio.to_thread(watch_through, proxy, port, tab, redis_url, tmp_path)


def watch_through(proxy: Proxy, port: int, tab: Tab, redis_url: str, tmp_path: Path) -> None:
    db = tmp_path / "a.duckdb"
    events = "Number(document.querySelector('#run').dataset.events)"
    with (
        arena_tui.connect(redis_url) as arena,
        arena.run("tic_tac_toe", agents=["x", "y"], run_id="watched") as run,
    ):
        with server(port, redis_url, db):
            tab.open(f"http://127.0.0.1:{proxy.port}/#/run/watched")
            play(run, range(1, 30))
            tab.until(f"{events} >= 50")
        # The server was killed.
        play(run, range(30, 60))
        with server(port, redis_url, db):
            tab.until(f"{events} >= 150")

            proxy.refuse()
            proxy.reset()
            play(run, range(60, 90))
            tab.until("document.querySelector('#link').className === 'away'")
            proxy.pass_through()
            tab.until(f"{events} >= 300")

            tab.set_frozen(True)
            play(run, range(90, 300))
            asyncio.run(pause(FROZEN_S))
            tab.set_frozen(False)
            tab.until(f"{events} >= 1000")

            run.end({"x": 1, "y": 0})
            tab.until("document.querySelector('#run').dataset.over === 'true'")
            data = tab.evaluate("({...document.querySelector('#run').dataset})")
            text = tab.evaluate("document.querySelector('#board').textContent")
    assert data == {"events": str(2 + 4 * 299), "repeats": "0", "lost": "0", "over": "true"}
    assert text == f"{BOARD}\nturn 299"
    assert tab.evaluate("typeof window.evil") == "undefined"


async def test_text_of_events_is_shown_as_text_and_nothing_else_is_loaded(
    tab: Tab, tmp_path: Path
) -> None:
    async with serving(tmp_path / "a.duckdb") as served:
        with served.runtime.sink.run(SCRIPT, [SCRIPT, "y"], run_id="r", label=SCRIPT) as run:
            await asyncio.to_thread(play, run, range(1, 4))
            run.error(SCRIPT)
        await served.runtime.broker.settled(["r"])
        await asyncio.to_thread(look_around, tab, served.server.address.url)

    assert tab.logged == []


def look_around(tab: Tab, url: str) -> None:
    tab.open(f"{url}/")
    tab.until("document.querySelector('.card b')?.textContent.includes('<img')")
    tab.open(f"{url}/#/run/r")
    tab.until("document.querySelector('#link').className === 'over'")
    for key in ("Home", "ArrowRight", "]", "]", "["):
        tab.press(key)
    tab.until("document.querySelector('#detail').textContent.includes('Turn 2. <img')")
    assert tab.evaluate("typeof window.evil") == "undefined"
    assert tab.evaluate("document.images.length") == 0
    assert tab.evaluate("performance.getEntriesByType('resource').map(e => new URL(e.name).host)"
                        ".every(host => host === location.host)") is True  # fmt: skip


@pytest.mark.parametrize(("width", "height"), [(1280, 800), (390, 844), (320, 568)])
async def test_it_fits_the_screen_it_is_on(
    tab: Tab, tmp_path: Path, width: int, height: int
) -> None:
    async with serving(tmp_path / "a.duckdb") as served:
        with served.runtime.sink.run("tic_tac_toe", ["x", "y"], run_id="r") as run:
            await asyncio.to_thread(play, run, range(1, 40))
        await served.runtime.broker.settled(["r"])

        def look() -> None:
            for path in ("/", "/#/run/r"):
                tab.open(served.server.address.url + path, width, height, phone=width < 500)
                tab.until("!!document.querySelector('main:not([hidden]) :is(.card, #turns li)')")
                assert tab.evaluate("document.documentElement.scrollWidth <= innerWidth")
                assert tab.evaluate("document.documentElement.scrollHeight <= innerHeight")

        await asyncio.to_thread(look)


async def test_odd_events_neither_stop_nor_mislead_it(tab: Tab, tmp_path: Path) -> None:
    """Foreign fields in known kinds, kinds of the server's own, huge texts, no turns."""
    lines = [
        {"kind": "run_start", "game": "odd", "agents": []},
        {"kind": "llm_response", "text": {"a": 1}, "tool_calls": 5, "turn": 1},
        {"kind": "gap", "from_seq": 1, "to_seq": 10**9},
        {"kind": "end"},
        {"kind": "__proto__", "__proto__": {"evil": 1}, "constructor": "x"},
        {"kind": "llm_response", "text": "y" * 200_000},
        *({"kind": "log", "text": f"line {number}"} for number in range(19_990)),
    ]
    file = tmp_path / "odd.jsonl"
    file.write_text("".join(json.dumps({"run_id": "r", **each}) + "\n" for each in lines))
    async with serving(tmp_path / "a.duckdb", limits=Limits()) as served:
        served.runtime.following.add([file])
        await until(lambda: served.runtime.consumers()[0].delivered == len(lines))
        await served.runtime.broker.settled(["r"])

        def look() -> None:
            tab.open(f"{served.server.address.url}/#/run/r", 320, 568, phone=True)
            tab.until(f"document.querySelector('#run').dataset.events === '{len(lines)}'")
            data = tab.evaluate("({...document.querySelector('#run').dataset})")
            assert (data["repeats"], data["lost"]) == ("0", "0")
            assert detail(tab).startswith("earlier19,")
            assert detail(tab).endswith("line 19989")
            tab.press("Home")
            for _ in range(5):
                tab.press("ArrowRight")
            assert "y" * 20_000 + "\n… 180,000 more characters" in detail(tab)
            assert tab.evaluate("({}).evil") is None
            tab.open(f"{served.server.address.url}/#/run/%")
            tab.until("document.querySelector('#link').className === 'away'")

        await asyncio.to_thread(look)


async def test_moving_through_a_run_moves_board_turns_and_details_together(
    tab: Tab, tmp_path: Path
) -> None:
    async with serving(tmp_path / "a.duckdb") as served:
        with served.runtime.sink.run("tic_tac_toe", ["x", "y"], run_id="r") as run:
            await asyncio.to_thread(play, run, range(1, 10))
        await served.runtime.broker.settled(["r"])

        def look() -> None:
            tab.open(f"{served.server.address.url}/#/run/r")
            tab.until("document.querySelector('#link').className === 'over'")
            tab.press("Home")
            assert board(tab) == "no board yet"
            for _ in range(3):
                tab.press("]")
            assert board(tab) == f"{BOARD}\nturn 3"
            assert "Turn 3." in detail(tab)
            assert tab.evaluate("document.querySelector('[aria-current]').textContent")[:2] == "3y"
            tab.evaluate("[...document.querySelectorAll('#turns li')][7].click()")
            assert board(tab) == f"{BOARD}\nturn 7"
            tab.evaluate("scrubber.value = 2 * 4; scrubber.dispatchEvent(new Event('input'))")
            assert board(tab) == f"{BOARD}\nturn 2"
            tab.press("End")
            assert board(tab) == f"{BOARD}\nturn 9"

        await asyncio.to_thread(look)


@pytest.mark.skipif(os.environ.get("ARENA_PICTURES") != "1", reason="draws the pictures anew")
async def test_the_pictures_in_the_readme_are_drawn(tab: Tab, tmp_path: Path) -> None:
    db = tmp_path / "a.duckdb"
    play = [sys.executable, "-m", "arena_tui", "play", "synth", "--seed", "3", "--db", str(db)]
    subprocess.run(play, check=True, stdout=subprocess.DEVNULL)
    async with serving(db) as served:
        (shown,) = (await served.http.get("/runs")).json()["runs"]

        def draw() -> None:
            url = f"{served.server.address.url}/#/run/{shown['run_id']}"
            for name, width, height in (("page", 1280, 760), ("page-phone", 390, 844)):
                tab.call("Emulation.setEmulatedMedia", features=[
                    {"name": "prefers-color-scheme", "value": "dark"}])  # fmt: skip
                tab.open(url, width, height, phone=width < 500)
                tab.until("document.querySelector('#run').dataset.over === 'true'")
                for key in ("[", "[", "[", "["):
                    tab.press(key)
                tab.picture(PICTURES / f"{name}.png")

        await asyncio.to_thread(draw)


def board(tab: Tab) -> str:
    text: str = tab.evaluate("document.querySelector('#board').textContent")
    return text


def detail(tab: Tab) -> str:
    text: str = tab.evaluate("document.querySelector('#detail').textContent")
    return text


def test_the_page_has_all_it_needs_and_its_policy_allows_no_more() -> None:
    html, policy = page()

    assert "src=" not in html.partition("<script>")[0]
    assert "http://" not in html
    assert "https://" not in html
    assert "unsafe" not in policy
    assert "innerHTML" not in html
