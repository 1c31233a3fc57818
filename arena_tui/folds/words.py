"""The word for the state of a run: the same on every screen, in commands and in filters."""

from __future__ import annotations

from typing import Final, Literal, TypeAlias, get_args

from arena_tui.folds.view import Pane

StateWord: TypeAlias = Literal[
    "running", "waiting", "stuck", "silent", "crashed", "stopped", "finished"
]
STATE_WORDS: Final[tuple[StateWord, ...]] = get_args(StateWord)

WAIT_MIN_S: Final = 3.0
"""A shorter wait for a model says nothing."""


def is_waiting(pane: Pane) -> bool:
    """Whether a running run waits for a model, and not only for a moment."""
    return pane.state == "running" and pane.waiting_s is not None and pane.waiting_s >= WAIT_MIN_S


def word_of(pane: Pane) -> StateWord:
    """The run's state in one word."""
    return "waiting" if is_waiting(pane) else pane.state
