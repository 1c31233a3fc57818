"""Long texts as lines of a width, as literal strings."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from arena_tui.tui.render.prose import first_sentence, hanging, prose, wrapped


def lines(text: str, width: int, is_markdown: bool = True) -> list[str]:
    rows = prose(text, width, is_markdown=is_markdown)
    return ["".join(span for span, _ in row) for row in rows]


def styled(text: str) -> list[tuple[str, str]]:
    return [span for row in prose(text, 80) for span in row]


def test_a_long_paragraph_is_broken_between_words() -> None:
    assert lines("If I drop in three I block it.", 12) == ["If I drop in", "three I", "block it."]


def test_a_word_longer_than_the_line_is_broken_and_none_of_it_is_lost() -> None:
    rows = lines("a " + "x" * 25, 10)

    assert "".join(rows).replace(" ", "") == "a" + "x" * 25
    assert max(map(len, rows)) <= 10


def test_a_board_in_a_text_stays_as_it_is() -> None:
    board = "* . . *\n#  # #\n·  x o\n- - -"

    assert lines(board, 20) == board.split("\n")


def test_items_have_a_hanging_indent() -> None:
    assert lines("- block the other diagonal\n2. win", 14) == [
        "• block the", "  other", "  diagonal", "2. win",
    ]  # fmt: skip


def test_headings_bold_italic_and_code_are_styles_and_lose_their_marks() -> None:
    assert styled("## Plan") == [("Plan", "strong")]
    assert styled("a **b** *c* `d*e*`") == [
        ("a ", "text"), ("b", "strong"), (" ", "text"), ("c", "italic"), (" ", "text"),
        ("d*e*", "accent"),
    ]  # fmt: skip
    assert styled("2*3*4 a_b_c") == [("2*3*4 a_b_c", "text")]


def test_fenced_code_is_left_as_it_is() -> None:
    assert lines("```python\n# no **heading**\n```\nend", 40) == ["# no **heading**", "end"]


def test_what_is_no_markdown_keeps_its_signs() -> None:
    assert lines("# a **b**", 40, is_markdown=False) == ["# a **b**"]


def test_event_text_is_cleaned_and_no_markup() -> None:
    assert lines("[b]no[/b] \x1b[31m", 40) == ["[b]no[/b] ␛[31m"]


def test_wide_characters_count_as_two_cells() -> None:
    assert all(cell_len(row) <= 9 for row in lines("汉字汉字汉字汉字 字", 9))


def test_a_label_stands_before_the_first_line_only() -> None:
    rows = [*hanging("ANSWER", prose("one two three", 9), 8)]

    assert ["".join(text for text, _ in row) for row in rows] == [
        "ANSWER  one two", "        three",
    ]  # fmt: skip


def test_spans_keep_their_styles_where_a_line_is_broken() -> None:
    assert [*wrapped([("one ", "text"), ("two three", "strong")], 8)] == [
        [("one ", "text"), ("two", "strong")], [("three", "strong")],
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("Column 3 blocks it. Then I win.", "Column 3 blocks it."),
        ("\n\n# **Column 3**\nmore", "Column 3"),
        ("- play 3.5 now", "play 3.5 now"),
        ("```\ncode\n```", "code"),
        ("", ""),
    ],
)
def test_the_first_sentence_of_an_answer_is_plain_text(text: str, sentence: str) -> None:
    assert first_sentence(text) == sentence


def test_all_of_a_very_long_text_is_there() -> None:
    text = "\n".join(f"line {each} of a long answer" for each in range(10_000))

    assert lines(text, 60)[-1] == "line 9999 of a long answer"


@given(
    st.lists(st.text("ab漢é-", min_size=1, max_size=60), max_size=6),
    st.integers(4, 30), st.integers(0, 12),
)  # fmt: skip
def test_no_line_is_wider_than_its_room_and_nothing_is_lost(
    words: list[str], width: int, indent: int
) -> None:
    rows = ["".join(text for text, _ in row)
            for row in wrapped([(" ".join(words), "text")], width, indent)]  # fmt: skip

    assert max(map(cell_len, rows)) <= width
    assert "".join("".join(rows).split()) == "".join(words)


def test_the_hashes_around_a_heading_are_no_part_of_it() -> None:
    assert lines("## Move 3 ##", 20) == ["Move 3"]
    assert first_sentence("# C# it is #") == "C# it is"
