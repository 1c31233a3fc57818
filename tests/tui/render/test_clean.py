"""The sanitiser: nothing that could act on a terminal comes through."""

from __future__ import annotations

import unicodedata

from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from arena_tui.tui.render.clean import clean, clean_lines, fit, wrapped

HOSTILE = (
    "\x1b[31mred\x1b[0m \x1b]52;c;aGFjaw==\x07 \x9b31m \x90q\x9c \u202eevil\u202c \u2066iso\u2069 "
    "[b]markup[/b] [link=file:///]x[/link] \x00\x07\x08\x7f\r\ttab 漢字 e\u0301\u0301\u0301\u0301 "
    "👩\u200d👩\u200d👧 \ufeff\u200b \ud800 \U000e0041 \ufff9"
)


def harmless(text: str) -> bool:
    return all(unicodedata.category(char) not in ("Cc", "Cf", "Cs", "Co", "Cn") for char in text)


@given(st.text(alphabet=st.characters(), max_size=300))
def test_no_text_comes_out_with_anything_that_acts(text: str) -> None:
    assert harmless(clean(text))


def test_escape_sequences_become_visible_signs() -> None:
    assert clean("\x1b[31mred\x1b]52;c;aGk=\x07") == "␛[31mred␛]52;c;aGk=␇"


def test_bidi_and_zero_width_characters_are_dropped() -> None:
    assert clean("a\u202eb\u2066c\u200bd\ufeff") == "abcd"


def test_markup_stays_text() -> None:
    assert clean("[b]x[/b] [@click=app.quit]y[/]") == "[b]x[/b] [@click=app.quit]y[/]"


def test_combining_marks_cannot_climb() -> None:
    assert clean("e" + "\u0323" * 50) == "\u1eb9\u0323\u0323"


def test_a_very_long_line_is_cut_before_it_costs_anything() -> None:
    assert clean("x" * 100_000, limit=20) == "x" * 19 + "…"


def test_line_breaks_show_in_a_line_and_split_in_lines() -> None:
    assert clean("a\nb") == "a⏎b"
    assert clean_lines("a\r\nb\n\nc", max_lines=10) == ["a", "b", "", "c"]
    assert clean_lines("1\n2\n3\n4\n5", max_lines=3) == ["1", "2", "… 3 more lines"]


@given(st.text(max_size=60), st.integers(1, 40))
def test_fitting_gives_exactly_that_many_cells(text: str, width: int) -> None:
    assert cell_len(fit(clean(text), width)) == width


def test_a_figure_in_wide_characters_ends_where_its_column_does() -> None:
    assert fit("12", 4, right=True) == "  12"
    assert fit("１２", 5, right=True) == " １２"
    assert fit("１２３", 5, right=True) == "１２…"


@given(st.text(st.sampled_from("ab 漢字e\u0301👩"), max_size=60), st.integers(2, 40))
def test_a_wrapped_text_keeps_its_words_and_its_width(text: str, width: int) -> None:
    lines = wrapped(text, width)

    assert max(map(cell_len, lines)) <= width
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")
