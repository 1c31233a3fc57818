"""Colours in a text become emphasis; nothing else of a terminal's language passes."""

from __future__ import annotations

import pytest

from arena_tui.tui.render.sgr import NONE, Emphasis, emphasised, plain

GROUND = Emphasis(ground=True)


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("plain", [("plain", NONE)]),
        ("S\x1b[41mF\x1b[0mH", [("S", NONE), ("F", GROUND), ("H", NONE)]),
        ("\x1b[7mx\x1b[27my", [("x", GROUND), ("y", NONE)]),
        ("\x1b[48;5;31mx\x1b[49my", [("x", GROUND), ("y", NONE)]),
        ("\x1b[34;1mR\x1b[m", [("R", Emphasis(role="accent", bold=True)), ("", NONE)]),
        ("\x1b[38;2;1;2;7mR", [("R", Emphasis(role="accent"))]),
        ("\x1b[31mR\x1b[39mG", [("R", Emphasis(role="bad")), ("G", NONE)]),
        ("\x1b[5;8mx", [("x", NONE)]),
        ("\x1b[2Jx\x1b[H", [("x", NONE), ("", NONE)]),
        ("a\x1b]52;c;aGFjaw==\x07b", [("a", NONE), ("b", NONE)]),
        ("a\x1b]8;;http://x\x1b\\b", [("a", NONE), ("b", NONE)]),
    ],
)
def test_colours_become_emphasis_and_other_sequences_are_dropped(
    text: str, pieces: list[tuple[str, Emphasis]]
) -> None:
    assert list(emphasised(text)) == pieces
    assert plain(text) == "".join(piece for piece, _ in pieces)


def test_a_sequence_that_does_not_end_hides_nothing() -> None:
    assert plain("a\x1b]52;never ends\nb") == "a\x1b]52;never ends\nb"
