"""Text that attacks the terminal, in every field, on every screen, on a real pty."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from tests.tui.terminal import OpenTerminal

AGENT = r"""
import arena_tui
from arena_tui.events import AgentInfo, OtherEvent
BAD = ("\x1b[31mred\x1b]52;c;aGFjaw==\x07\x1bP1$r\x1b\\ \x9b31m\x9d52;c;eA==\x9c\u202eevil\u2066"
       "[b]bold[/b][@click=app.quit]x[/] 漢字 e\u0301\u0301\u0301\u0301 \ufeff\x00\x08\x7f\r\nEND")
print(BAD)
with arena_tui.connect() as arena:
    agents = [AgentInfo(id="A" + BAD, name="N" + BAD, spec=BAD), AgentInfo(id="B" + BAD)]
    for status in ("finished", "crashed"):
        with arena.run(game="G" + BAD, agents=agents, run_id=None, label=BAD, tags=[BAD],
                       config={BAD: BAD}) as run:
            run.turn(1, player="A" + BAD, state=BAD)
            run.observation("board\n" + BAD + "\n" + "x" * 100_000, legal_actions=[BAD] * 3,
                            data={BAD: BAD})
            run.llm_prompt(text=BAD, messages=[{"role": BAD, "content": BAD}], model=BAD)
            run.llm_response(BAD, model=BAD, reasoning=BAD, finish_reason=BAD, input_tokens=3)
            run.action({BAD: BAD}); run.result(detail=BAD); run.mutation(BAD, BAD, BAD)
            run.metric(BAD, 1.0, BAD); run.log(BAD, level=BAD); run.fork("parent", 1, BAD)
            run.emit(OtherEvent(name="K" + BAD, extra={BAD: BAD}))
            run.error(BAD, where=BAD, traceback=BAD)
            run.end(outcome={"A" + BAD: 1.0}, status=status, reason="R" + BAD)
"""
STEPS = [  # a key, and what then stands on the screen, or after a minus no longer does
    (b"t", "ev/s  "), (b"t", "new game"), (b"\r", "╭─ turns"), (b"\x1b[H", "event 1/14"),
    (b"r", "RAW"), (b"r", "-RAW"), (b"v", "╭─ events"),
    *[(b"\x1b[C", f"event {number}/14") for number in range(2, 15)],
    (b"\r", "-╭─ events"), (b"\x1b", "╭─ events"), (b"\x1b", "new game"),
    (b"2", "started▼"), (b"\r", "╭─ turns"), (b"\x1b", "-╭─ turns"), (b"n", "New game"),
    (b"\x1b", "-New game"), (b"?", "╭─ help"), (b"\x1b", "-╭─ help"),
]  # fmt: skip
ALLOWED = re.compile(
    rb"\x1b(?:\[[0-9;:?<>=!$]*[ ]?[A-Za-z~@`{|}p]|[()][0-9A-B]|[=>78DMEc]"
    rb"|\][0-9]+;[^\x07\x1b]*(?:\x07|\x1b\\)|_G[^\x1b]*\x1b\\|P[^\x1b]*\x1b\\)"
)


@pytest.mark.parametrize("place", ["in process", "on a server"])
def test_no_control_byte_of_an_event_reaches_the_terminal(
    place: str, request: pytest.FixtureRequest, tmp_path: Path, open_terminal: OpenTerminal
) -> None:
    url = request.getfixturevalue("redis_url") if place == "on a server" else "memory:"
    script = tmp_path / "agent.py"
    script.write_text(AGENT)
    terminal = open_terminal(
        [sys.executable, "-m", "arena_tui", "--broker", url, "--db", str(tmp_path / "db"),
         "--play", str(script)]
    )  # fmt: skip

    terminal.wait_for("✗ crashed")
    for key, text in STEPS:
        terminal.press(key)
        terminal.wait_for(text)
    terminal.press(b"q")
    code = terminal.wait()

    assert code == 0
    sequences = [bytes(found[0]) for found in ALLOWED.finditer(terminal.raw)]
    rest = ALLOWED.sub(b"", terminal.raw)
    assert b"\x1b" not in rest
    assert not [each for each in sequences if b"52;" in each or each.startswith(b"\x1bP")]
    text = rest.decode("utf-8")
    assert not set(text) & {chr(c) for c in range(0x80, 0xA0)}
    assert not set(text) & set("\u202e\u2066\ufeff\x00\x07\x7f")
    assert "␛[31mred␛]52;c" in text
