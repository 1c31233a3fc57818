"""The page of one run: it plays from a file, and nothing of an event's text ever runs in it."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from arena_tui.errors import UsageError
from arena_tui.events import (
    Action,
    ActionResult,
    AgentInfo,
    Delivery,
    ErrorEvent,
    Event,
    Gap,
    LlmPrompt,
    LlmResponse,
    Observation,
    OtherEvent,
    RunEnd,
    RunStart,
    TurnStart,
)
from arena_tui.services.exporting import export_runs
from arena_tui.services.replay import page
from arena_tui.store.changes import Bookmark
from arena_tui.store.database import Database
from arena_tui.store.extract import EventRow
from arena_tui.store.history import History
from tests.envelopes import envelope
from tests.services.http.browser import CHROMIUM, Tab, browsing
from tests.store_fixture import store
from tests.waiting import until_blocking

in_a_browser = pytest.mark.skipif(CHROMIUM is None, reason="needs chromium, as Debian has it")

AT = datetime(2026, 3, 14, 12, tzinfo=UTC)
HOSTILE = (
    "</script><script>window.evil=1</script><!--<script> ]]> &lt;b&gt; \u2028window.evil=1\u2029 "
    '<img src=x onerror="window.evil=1"> <a href="javascript:window.evil=1">x</a> \\u003c {{7*7}}'
)


def turn(number: int, text: str = "") -> list[Event]:
    """Seven events, half a second apart; the third turn ends in an error."""
    player = "xy"[number % 2]
    at = AT + timedelta(seconds=4 * number)
    told: list[Any] = [
        TurnStart(player=player),
        Observation(text=f"· x ·\nturn {number}{text}"),
        LlmPrompt(messages=[{"role": "user", "content": f"turn {each}{text}"}
                            for each in range(number % 2, number + 1, 2)]),
        LlmResponse(text=f"I take {number}{text}", reasoning=f"since {number}{text}",
                    input_tokens=100, output_tokens=20, cost_usd=0.01, latency_s=1.5),
        Action(action=f"move {number}{text}"),
        ActionResult(ok=number != 2, reward=1.0, detail=text or None),
        ErrorEvent(message=f"broken{text}", traceback=f'File "a.py", line 3{text}')
        if number == 3 else OtherEvent(name="odd", extra={"words": f"odd{text}"}),
    ]  # fmt: skip
    return [
        replace(each, agent_id=player, turn=number, ts=at + timedelta(seconds=index / 2))
        for index, each in enumerate(told)
    ]


def played(turns: int, text: str = "") -> list[Delivery]:
    """A run of so many turns, with a gap of three after the second, which has a bookmark."""
    agents = [AgentInfo(id="x", name=f"Xavier{text}"), AgentInfo(id="y")]
    events = [RunStart(ts=AT, game=f"chess{text}", agents=agents, label=text or None)]
    deliveries: list[Delivery] = [envelope("r", 7, 1, *events)]
    for number in range(1, turns + 1):
        seq = deliveries[-1].last_seq
        if number == 3:
            deliveries.append(Gap("r", 7, seq + 1, seq + 3, "trimmed"))
            seq += 3
        for each in turn(number, text):
            seq += 1
            deliveries.append(envelope("r", 7, seq, each))
    end = RunEnd(ts=AT + timedelta(hours=1), outcome={"x": 1.0, "y": 0.0}, reason=text or None)
    return [*deliveries, envelope("r", 7, deliveries[-1].last_seq + 1, end)]


def exported(folder: Path, deliveries: Sequence[Delivery]) -> Path:
    """The page of these, as the export writes it."""
    path = folder / "run.html"

    async def export() -> None:
        database = Database(str(folder / "a.duckdb"))
        await store(database, deliveries)
        mark = Bookmark("r", 7, 5, HOSTILE, AT)
        await database.change(mark)
        await export_runs(History(database), ["r"], page.page_texts, str(path))
        await database.aclose()

    asyncio.run(export())
    return path


def rows(count: int, size: int) -> Iterator[list[EventRow]]:
    """A batch of so many events, each of so many bytes or a few more."""
    payload = json.dumps({"kind": "log", "ts": AT.isoformat(), "text": "x" * size})
    yield [EventRow("r", 7, seq, None, "log", None, AT, payload) for seq in range(1, count + 1)]


@pytest.fixture
def tab(tmp_path: Path) -> Iterator[Tab]:
    with browsing(tmp_path / "profile") as opened:
        yield opened


def place(tab: Tab) -> int:
    return int(tab.evaluate("document.querySelector('#run').dataset.seq"))


def text(tab: Tab, selector: str) -> str:
    found: str = tab.evaluate(f"document.querySelector({json.dumps(selector)}).textContent")
    return found


def test_its_data_can_end_no_element_and_says_what_the_events_say(tmp_path: Path) -> None:
    html = exported(tmp_path, played(3, HOSTILE)).read_text("utf-8")

    data = html.partition('id="events">\n')[2].partition("</script>")[0]

    assert not re.search("[<>&\u2028\u2029]", data)
    lines = [json.loads(each) for each in data.splitlines()]
    assert [each["kind"] for each in lines[-2:]] == ["run_end", "bookmark"]
    assert lines[2]["text"] == f"· x ·\nturn 1{HOSTILE}"
    (odd, *_) = [each for each in lines if each["kind"] == "other"]
    assert (odd["seq"], odd["raw"]["kind"], odd["raw"]["words"]) == (8, "odd", f"odd{HOSTILE}")


def test_its_policy_allows_its_own_script_and_style_and_no_more(tmp_path: Path) -> None:
    html = exported(tmp_path, played(1)).read_text("utf-8")

    policy = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', html)[0]
    inline = re.findall(r"<(script|style)>(.*?)</\1>", html, re.DOTALL)
    hashes = {
        kind: base64.b64encode(hashlib.sha256(each.encode()).digest()).decode()
        for kind, each in inline
    }
    assert len(inline) == len(hashes) == 2
    assert policy == (
        f"default-src 'none'; script-src 'sha256-{hashes['script']}'; "
        f"style-src 'sha256-{hashes['style']}'; base-uri 'none'; form-action 'none'"
    )
    around = "".join([html.partition('id="events">')[0], *(each for _, each in inline)])
    assert not re.search(r"https?://|\bsrc=|url\(|@import|innerHTML|\beval\b", around)


@pytest.mark.parametrize(
    ("count", "size", "told"),
    [(200_001, 1, "200,000 events"), (400, 250_001, "100 MB of JSON")],
)
def test_a_run_that_is_too_large_is_refused(count: int, size: int, told: str) -> None:
    with pytest.raises(UsageError, match=f"at most {told}.*jsonl"):
        for _ in page.page_texts(rows(count, size)):
            pass


def test_a_page_that_is_refused_leaves_no_file(tmp_path: Path) -> None:
    database = Database(str(tmp_path / "a.duckdb"))
    deliveries = [envelope("r", 7, seq, each) for seq, each in enumerate(turn(1), 1)]
    asyncio.run(store(database, deliveries))

    def refuse(batches: object) -> Iterator[bytes]:
        yield from page.page_texts(rows(200_001, 1))

    with pytest.raises(UsageError):
        asyncio.run(export_runs(History(database), ["r"], refuse, str(tmp_path / "run.html")))
    database.close()

    assert [each.name for each in tmp_path.iterdir()] == ["a.duckdb"]


@in_a_browser
@pytest.mark.timeout(600)
def test_it_is_stepped_by_the_keys_of_the_run_screen(tab: Tab, tmp_path: Path) -> None:
    path = exported(tmp_path, played(6))
    tab.open(path.as_uri())
    tab.until("document.querySelector('#run').dataset.events === '45'")
    assert text(tab, "#where") == "chess · r"
    assert text(tab, "#agents") == "Xavier vs y"
    assert text(tab, "#outcome") == "Xavier won"

    places = {}
    for key in ("]", "]", "ArrowRight", "[", "[", "ArrowLeft", "e", "E", "l", "End", "L", "Home",
                "'"):  # fmt: skip
        tab.press(key)
        places[len(places), key] = place(tab)

    assert list(places.values()) == [2, 9, 10, 9, 2, 1, 25, 25, 25, 47, 16, 1, 5]
    tab.press("e")
    assert text(tab, "#board") == "· x ·\nturn 3"
    assert text(tab, "#detail-title") == "turn 3 · y"
    assert "broken" in text(tab, "#detail")
    assert text(tab, ".traceback") == 'File "a.py", line 3'
    assert text(tab, "#detail .new") == "turn 3"
    assert text(tab, "#detail .old") == "turn 1"
    assert "┄ gap: 3 events lost (trimmed) ┄" in text(tab, "#turns")
    assert text(tab, "[aria-current]") == "3ymove 3reward 1! 11.5 s120 tok$0.0100broken"
    tab.press("g")
    tab.evaluate("goto.value = 't5'; document.querySelector('#goto-form').requestSubmit()")
    assert text(tab, "#board") == "· x ·\nturn 4"
    tab.until("location.hash === '#seq=33'")
    assert tab.logged == []


@in_a_browser
@pytest.mark.timeout(600)
def test_it_plays_to_the_end_and_loads_nothing(tab: Tab, tmp_path: Path) -> None:
    path = exported(tmp_path, played(6, HOSTILE))
    tab.open(f"{path.as_uri()}#seq=25")
    assert place(tab) == 25
    assert text(tab, "#board") == f"· x ·\nturn 3{HOSTILE}"
    tab.press("Home")
    for _ in range(6):
        tab.press("+")
    assert text(tab, "#speed") == "64x"

    tab.press(" ")
    tab.until("document.querySelector('#run').dataset.seq === '47'")

    tab.until("document.querySelector('#run').dataset.playing === 'false'")
    assert text(tab, "#board") == f"· x ·\nturn 6{HOSTILE}"
    for key in ("[", "[", "E"):
        tab.press(key)
        assert HOSTILE in text(tab, "#detail")
    assert HOSTILE in text(tab, "#where")
    tab.evaluate("[...document.querySelectorAll('#turns li')].forEach(each => each.click())")
    assert tab.evaluate("typeof window.evil") == "undefined"
    assert tab.evaluate("document.images.length + document.links.length") == 0
    assert tab.evaluate("document.scripts.length") == 2
    assert {each.partition("#")[0] for each in tab.requested} == {path.as_uri()}
    assert tab.logged == []


@in_a_browser
@pytest.mark.timeout(600)
def test_its_policy_is_in_force(tab: Tab, tmp_path: Path) -> None:
    """What markup could do, done by hand: no script, image or request comes through."""
    tab.open(exported(tmp_path, played(1)).as_uri())
    added = "document.body.append(Object.assign(document.createElement"
    tab.evaluate(f"{added}('script'), {{textContent: 'window.evil = 1'}}))")
    tab.evaluate(f"{added}('img'), {{src: 'http://127.0.0.1:9/x.png'}}))")
    tab.evaluate("fetch('http://127.0.0.1:9/').catch(() => {})")

    assert tab.evaluate("typeof window.evil") == "undefined"
    until_blocking(lambda: tab.evaluate("true") and len(violations(tab)) >= 3)


def violations(tab: Tab) -> list[str]:
    return [each for each in tab.logged if "Content Security Policy" in each]


@in_a_browser
@pytest.mark.timeout(600)
@pytest.mark.parametrize("scheme", ["dark", "light"])
@pytest.mark.parametrize(("width", "height"), [(1280, 800), (390, 844), (320, 568)])
def test_it_fits_the_screen_it_is_on(
    tab: Tab, tmp_path: Path, width: int, height: int, scheme: str
) -> None:
    path = exported(tmp_path, played(40))
    media = partial(tab.call, "Emulation.setEmulatedMedia")
    media(features=[{"name": "prefers-color-scheme", "value": scheme}])
    tab.open(path.as_uri(), width, height, phone=width < 500)

    assert tab.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert tab.evaluate("document.documentElement.scrollHeight <= innerHeight")
    ground = tab.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (ground == "rgb(17, 21, 26)") == (scheme == "dark")
