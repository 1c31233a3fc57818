"""What a begun word of a filter becomes."""

from __future__ import annotations

import pytest

from arena_tui.errors import FilterError
from arena_tui.folds.completing import completed, completions
from arena_tui.folds.conditions import field_words, read_conditions

VALUES = {"game": ["chess", "checkers", "go"], "agent": ["mcts:500 x", "Qwen3"]}
FIELDS = ["game:", "agent:", "cost>", "draw"]


@pytest.mark.parametrize(
    ("before", "found", "after"),
    [
        ("ga", ["game:"], "game:"),
        ("x -co", ["cost>"], "x -cost>"),
        ("dra", ["draw"], "draw "),
        ("game:ch", ["game:chess", "game:checkers"], "game:che"),
        ("game:che", ["game:chess", "game:checkers"], "game:chess "),
        ("-game:G", ["game:go"], "-game:go "),
        ("agent:mcts", ['agent:"mcts:500 x"'], 'agent:"mcts:500 x" '),
        ('agent:"mcts:500', ['agent:"mcts:500 x"'], 'agent:"mcts:500 x" '),
        ("agent:wen", ["agent:Qwen3"], "agent:Qwen3 "),
        ("agent=qwen", ["agent=Qwen3"], "agent=Qwen3 "),
        ("game:go", [], "game:go"),
        ("label:x", [], "label:x"),
        ("cost>1", [], "cost>1"),
    ],
)
def test_words_become_fields_and_values(before: str, found: list[str], after: str) -> None:
    assert completions(before, FIELDS, VALUES) == found
    assert completed(before, found) == after


def test_a_field_comes_with_the_sign_that_follows_it() -> None:
    assert field_words(["game", "cost", "lost", "since", "draw"]) == [
        "game:", "cost>", "lost>", "since:", "draw",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("chess gaem:x err>0", "gaem:x"),
        ("cost>much", "cost>much"),
        ('game:go -status:"no such"', '-status:"no such"'),
        ("err>0 trouble:lop", "trouble:lop"),
    ],
)
def test_a_mistake_has_its_place(text: str, wrong: str) -> None:
    with pytest.raises(FilterError) as raised:
        read_conditions(text)

    assert text[raised.value.start : raised.value.end] == wrong
