"""What terminals send, cut anywhere: keys come through whole, and all else is dropped."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual import events
from textual._ansi_sequences import ANSI_SEQUENCES_KEYS, IGNORE_SEQUENCE
from textual._xterm_parser import XTermParser
from textual.message import Message
from textual.messages import InBandWindowResize, TerminalSupportsSynchronizedOutput

from arena_tui.tui.terminal_input import ANSWER, ESCAPE, TerminalInput

LONG_S = 60.0
DIGITS = st.text("0123456789", max_size=7)
PARAMETERS = st.text("0123456789:;<=>?", max_size=40)
INTERMEDIATES = st.text(" !\"#$%&'()*+,-./", max_size=3)
FINALS = st.sampled_from([chr(code) for code in range(0x40, 0x7F)])
STRING_TEXT = st.text(
    st.characters(exclude_characters="\x07\x18\x1a\x1b\x9c", exclude_categories=["Cs"]),
    max_size=80,
)
CSI = st.builds("\x1b[{}{}{}".format, PARAMETERS, INTERMEDIATES, FINALS).filter(
    lambda sequence: not re.match(r"\x1b\[\d+\$", sequence)  # keys of rxvt, whole without a final
)
NUMBERS = st.lists(DIGITS, min_size=1, max_size=5)
KITTY = st.builds(
    lambda groups, final: "\x1b[" + ";".join(":".join(group) for group in groups) + final,
    st.lists(NUMBERS, min_size=1, max_size=5),
    st.sampled_from("u~ABCDEFHPQRSt"),
)
STRING = st.builds(
    "\x1b{}{}{}".format, st.sampled_from("]PX^_"), STRING_TEXT, st.sampled_from(["\x1b\\", "\x9c"])
) | st.builds("\x1b]{}\x07".format, STRING_TEXT)
SS3 = st.builds("\x1bO{}{}".format, DIGITS, FINALS)
PASTE = st.builds("\x1b[200~{}\x1b[201~".format, st.text(max_size=60))
SEQUENCE = CSI | KITTY | STRING | SS3 | PASTE
NO_KEY = (
    STRING
    | st.builds("\x1b[{}{}{}".format, st.sampled_from("?>=<"), PARAMETERS, st.sampled_from("cuRnz"))
    | st.builds("\x1b[{};{}R".format, DIGITS, DIGITS)
    | st.builds("\x1b[?{};{}$y".format, st.integers(1, 2025), st.integers(0, 4))
)
LATE_ANSWERS = [
    "\x1b[?62;22c",
    "\x1b[>41;354;0c",
    "\x1b]11;rgb:0d0d/1d1d/dddd\x07",
    "\x1b]10;rgb:dddd/dddd/dddd\x1b\\",
    "\x1b]52;c;ZGRkZHk=\x1b\\",
    "\x1bP1+r544e=787465726d\x1b\\",
    "\x1bP>|XTerm(390)\x1b\\",
    "\x1bP!|00000000\x1b\\",
    "\x1bP1$r0m\x1b\\",
    "\x1b[?1u",
    "\x1b[?2027;2$y",
    "\x1b[12;2$y",
    "\x1b[24;80R",
    "\x1b[?24;80R",
    "\x1b[1;1R",
    "\x1b[?997;1n",
    "\x1b[8;40;120t",
    "\x1b[4;800;1200t",
    "\x1b_Gi=31;OK\x1b\\",
    "\x1b^private\x1b\\",
    "\x1bXstring\x1b\\",
    "\x1b[M !!",
    "\x1b[32;10;10M",
    "\x1b[100;1~",
    "\x1b[100d",
    "\x1b[;;;;d",
    "\x9b?62;22c",
    "\x9d11;rgb:dd/dd/dd\x9c",
    "\x90>|dd\x9c",
    "\udc9b?62;22c",
    "\x1b[" + "1;" * 5_000 + "d",
    "\x1b]52;c;" + "d" * 100_000 + "\x07",
]


def pieces_of(*reads: str) -> list[str]:
    """What comes through of these reads, and once nothing more comes."""
    source = TerminalInput()
    pieces = [piece for read in reads for piece in source.feed(read)]
    return pieces + source.quiet(LONG_S)


def cut_at(text: str, cuts: list[int]) -> list[str]:
    places = sorted({cut % (len(text) + 1) for cut in cuts} | {0, len(text)})
    return [text[begin:end] for begin, end in pairwise(places)]


def tokens_of(piece: str) -> list[Message]:
    """What the parser makes of a piece, with nothing of it left behind."""
    if piece == ESCAPE:
        return [events.Key("escape", ESCAPE)]
    tokens = list(XTermParser().feed(f"{piece}\x1b[I"))
    assert isinstance(tokens.pop(), events.AppFocus)
    return tokens


def keys_of(*reads: str) -> list[tuple[str, str | None]]:
    tokens = [token for piece in pieces_of(*reads) for token in tokens_of(piece)]
    return [(token.key, token.character) for token in tokens if isinstance(token, events.Key)]


@given(st.lists(SEQUENCE, max_size=5), st.lists(st.integers(0), max_size=8))
def test_a_cut_anywhere_changes_nothing(sequences: list[str], cuts: list[int]) -> None:
    text = "".join(sequences)

    assert pieces_of(*cut_at(text, cuts)) == pieces_of(text)


@given(CSI | KITTY | STRING | SS3)
def test_no_sequence_is_spelled_out_or_breaks_the_parser(sequence: str) -> None:
    for piece in pieces_of(sequence):
        if piece == "\x1b[200~":
            return
        tokens = tokens_of(piece)
        assert piece.startswith(ESCAPE) or piece < " "
        assert len(tokens) <= 1


@given(st.text(max_size=100), st.lists(st.integers(0), max_size=4))
def test_nothing_whatever_breaks_the_parser_or_stays_in_it(text: str, cuts: list[int]) -> None:
    parser = XTermParser()
    source = TerminalInput()
    for read in cut_at(text, cuts):
        for piece in source.feed(read):
            if piece != ESCAPE:
                list(parser.feed(piece))
    for piece in source.quiet(LONG_S):
        if piece != ESCAPE:
            list(parser.feed(piece))

    assert not source.is_pending
    assert [type(token) for token in parser.feed("\x1b[I")] == [events.AppFocus]


@given(NO_KEY, st.lists(st.integers(0), max_size=4))
def test_an_answer_is_dropped_and_the_keys_around_it_are_not(answer: str, cuts: list[int]) -> None:
    assert pieces_of("a", *cut_at(answer, cuts), "b") == ["a", "b"]


def test_the_answer_that_all_is_shown_is_one_piece() -> None:
    assert pieces_of("a", "\x1b[", "0n", "b") == ["a", ANSWER, "b"]


@pytest.mark.parametrize("answer", LATE_ANSWERS, ids=ascii)
def test_a_late_answer_is_no_key(answer: str) -> None:
    assert pieces_of("a", answer, "b") == ["a", "b"]


@pytest.mark.parametrize(
    ("report", "key", "character"),
    [
        ("\x1b[97;1:1u", "a", "a"),
        ("\x1b[97;1:2u", "a", "a"),
        ("\x1b[97;1:1;97u", "a", "a"),
        ("\x1b[97;129:1u", "a", "a"),
        ("\x1b[97:65;2:1u", "A", "A"),
        ("\x1b[97;2u", "A", "A"),
        ("\x1b[97;2;65u", "A", "A"),
        ("\x1b[97;5:1u", "ctrl+a", None),
        ("\x1b[103u", "g", "g"),
        ("\x1b[32;1:1u", "space", " "),
        ("\x1b[13;1:1u", "enter", "\r"),
        ("\x1b[27;1:1u", "escape", None),
        ("\x1b[1;1:1A", "up", None),
        ("\x1b[1;1:2B", "down", None),
        ("\x1b[1;5:1C", "ctrl+right", None),
        ("\x1b[3;1:1~", "delete", None),
        ("\x1b[27;5;99~", "ctrl+c", None),
        ("\x1b[27;2;65~", "A", "A"),
        ("\x1b[57399;1;48u", "0", "0"),
        ("\x1bOR", "f3", None),
        ("\x1b[[C", "f3", None),
        ("\x1b[3$", "shift+delete", None),
        ("\x1bOM", "enter", None),
        ("\x1b[A", "up", None),
    ],
)
def test_a_key_in_any_form_is_that_key(report: str, key: str, character: str | None) -> None:
    assert keys_of(report) == [(key, character)]


@pytest.mark.parametrize(
    "report",
    [
        "\x1b[97;1:3u",
        "\x1b[1;1:3B",
        "\x1b[3;1:3~",
        "\x1b[99999999u",
        "\x1b[1114112u",
        "\x1b[55296u",
        "\x1b[1;1u",
        "\x1b[97;999u",
        "\x1b[97;0u",
        "\x1b[57999u",
        "\x1b[2;1A",
    ],
)
def test_a_release_or_a_code_that_is_none_is_no_key(report: str) -> None:
    assert pieces_of(report) == []


@pytest.mark.parametrize(
    "sequence",
    [
        sequence
        for sequence, keys in ANSI_SEQUENCES_KEYS.items()
        if keys is not IGNORE_SEQUENCE and len(sequence) > 2 and not sequence.endswith("R")
    ],
    ids=ascii,
)
def test_every_key_that_textual_knows_comes_through(sequence: str) -> None:
    direct = list(XTermParser().feed(sequence))
    through = [token for piece in pieces_of(sequence) for token in tokens_of(piece)]

    assert [token.key for token in through if isinstance(token, events.Key)] == [
        token.key for token in direct if isinstance(token, events.Key)
    ]


def test_a_lone_escape_is_the_key_once_nothing_follows() -> None:
    source = TerminalInput()

    assert source.feed("\x1b") == []
    assert source.quiet(0.05) == []
    assert source.quiet(0.1) == [ESCAPE]
    assert source.quiet(LONG_S) == []
    assert not source.is_pending


def test_an_escape_before_a_key_is_a_key_typed_ahead() -> None:
    assert pieces_of("\x1bd") == [ESCAPE, "d"]
    assert pieces_of("\x1b", "2") == [ESCAPE, "2"]
    assert pieces_of("\x1b\x1b\r") == [ESCAPE, ESCAPE, "\r"]
    assert pieces_of("\x1b\x1b[A") == [ESCAPE, "\x1b[A"]


def test_a_sequence_that_stays_cut_holds_up_no_key_for_long() -> None:
    source = TerminalInput()

    assert source.feed("\x1b[?62") == []
    assert source.quiet(0.5) == []
    assert source.quiet(1.0) == []
    assert source.feed("q") == ["q"]


def test_a_key_in_the_middle_of_an_answer_is_not_lost() -> None:
    assert pieces_of("\x1b[?6\r2;22c") == ["\r"]


def test_mouse_focus_modes_and_sizes_come_through() -> None:
    reports = {
        "\x1b[<0;10;20M": events.MouseDown,
        "\x1b[<0;10;20m": events.MouseUp,
        "\x1b[<64;1;1M": events.MouseScrollUp,
        "\x1b[I": events.AppFocus,
        "\x1b[O": events.AppBlur,
        "\x1b[48;40;120;800;1200t": events.Resize,
        "\x1b[48;40;120;0;0t": events.Resize,
        "\x1b[?2026;2$y": TerminalSupportsSynchronizedOutput,
        "\x1b[?2048;2$y": InBandWindowResize,
    }

    for report, kind in reports.items():
        (piece,) = pieces_of(report)
        assert [type(token) for token in tokens_of(piece)] == [kind]


def test_a_size_of_nothing_is_dropped() -> None:
    assert pieces_of("\x1b[48;0;0;0;0t") == []


@given(st.text(st.characters(exclude_categories=["Cc", "Cs"], exclude_characters="\ufffd")))
def test_a_paste_is_one_whole_text(text: str) -> None:
    parser = XTermParser()
    tokens = [
        token
        for piece in pieces_of(*f"\x1b[200~{text}\x1b[201~", "q")
        for token in parser.feed(piece)
    ]

    assert [token.text for token in tokens if isinstance(token, events.Paste)] == [text]
    assert [token.key for token in tokens if isinstance(token, events.Key)] == ["q"]


def test_a_sequence_within_a_paste_acts_as_nothing_else() -> None:
    parser = XTermParser()
    pasted = "\x1b[200~one\x1b[31m\x1b[I\x1b[20\x1b[" + "9" * 40 + "\r\x1b[201~q"
    tokens = [token for piece in pieces_of(pasted) for token in parser.feed(piece)]

    assert [type(token) for token in tokens] == [events.Paste, events.Key]


def test_a_paste_that_never_ends_is_ended() -> None:
    source = TerminalInput()
    begun = source.feed("\x1b[200~half")

    assert source.quiet(5) == []
    assert [*begun, *source.quiet(LONG_S)] == ["\x1b[200~", *"half", "\x1b[201~"]
    assert source.feed("q") == ["q"]
