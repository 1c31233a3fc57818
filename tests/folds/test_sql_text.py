"""A query as it is written: in one line, and completed."""

from __future__ import annotations

import pytest

from arena_tui.folds.sql_text import completed, completions, one_line


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("SELECT 1\n  FROM runs\n", "SELECT 1   FROM runs"),
        ("SELECT 'a\nb'\nFROM runs", "SELECT 'a\nb' FROM runs"),
        ('SELECT "x\ny" FROM runs', 'SELECT "x\ny" FROM runs'),
        ("SELECT 1 -- one */ two\nFROM runs", "SELECT 1 /* one * / two */ FROM runs"),
        ("SELECT '--' \n, 2", "SELECT '--'  , 2"),
        (
            "SELECT /* don't */ 1 -- x\nFROM runs -- it's",
            "SELECT /* don't */ 1 /* x */ FROM runs /* it's */",
        ),
        ("SELECT /* -- a\nb */ 1", "SELECT /* -- a b */ 1"),
        ("SELECT $$a\n--b$$, $x$'$x$\n, 1", "SELECT $$a\n--b$$, $x$'$x$ , 1"),
        ("SELECT 1 -- a /* b\nFROM runs", "SELECT 1 /* a / * b */ FROM runs"),
    ],
)
def test_a_query_in_one_line_means_the_same(text: str, line: str) -> None:
    assert one_line(text).split() == line.split()
    assert one_line(text).count("\n") == line.count("\n")


def test_a_begun_word_becomes_a_name_first_and_a_keyword_in_its_case() -> None:
    names = ["runs", "run_id", "reason"]

    assert completions("select ru", names) == ["runs", "run_id"]
    assert completions("SEL", names) == ["SELECT"]
    assert completions("sel", names) == ["select"]
    assert completions("select runs ", names) == []
    assert completions("select runs", ["runs"]) == []


def test_a_word_is_completed_as_far_as_all_agree_else_as_the_first() -> None:
    assert completed("from r", ["runs", "run_id"]) == "from run"
    assert completed("from run", ["runs", "run_id"]) == "from runs"
    assert completed("from x", []) == "from x"
