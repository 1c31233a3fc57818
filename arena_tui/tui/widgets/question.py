"""An input line, with a hint above it while it has the focus."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widgets import Input, Static

from arena_tui.folds.conditions import EXAMPLE
from arena_tui.tui.widgets.one_line import OneLine

FILTER_HINT: Final = f"{EXAMPLE}   enter keep   esc clear"


class Question(Vertical):
    """Hidden until `ask`; its `Input` posts changes and the submitted text."""

    DEFAULT_CSS = """
    Question {
        height: auto;
        Static {
            display: none; height: 1; padding: 0 1; background: $surface; color: $text-muted;
            text-wrap: nowrap; text-overflow: ellipsis;
            &.-wrong { color: $text-warning; }
        }
        &.-writing Static { display: block; }
    }
    """

    def __init__(self, line: OneLine | None = None) -> None:
        """`line` is what is written in, if it is to be a special one."""
        super().__init__()
        self._line = line or OneLine()
        self._hint = ""
        self.display = False

    def compose(self) -> ComposeResult:
        yield Static(markup=False)
        yield self._line

    def on_descendant_focus(self) -> None:
        self.add_class("-writing")

    def on_descendant_blur(self) -> None:
        self.remove_class("-writing")

    def on_input_changed(self) -> None:
        self.object_to(None)

    @property
    def value(self) -> str:
        return self.query_one(Input).value

    @property
    def is_refused(self) -> bool:
        """Whether something is wrong with the input."""
        return self.query_one(Static).has_class("-wrong")

    def ask(self, what: str, hint: str) -> None:
        """Ask for `what`; `hint` says which input is understood."""
        self._hint = hint
        self.display = True
        self.query_one(Input).placeholder = what
        self.query_one(Input).focus()
        self.object_to(None)

    def suggest(self, words: Collection[str]) -> None:
        """Show what the input may go on with in place of the hint; the hint if there is nothing."""
        self.object_to(None)
        if words:
            self.query_one(Static).update(f"{' '.join(words)}   enter keep   esc clear")

    def object_to(self, wrong: str | None) -> None:
        """Show what is wrong with the input in place of the hint; None: nothing is."""
        line = self.query_one(Static)
        line.update(wrong or self._hint)
        line.set_class(wrong is not None, "-wrong")

    def clear(self) -> None:
        """Clear the input, and hide."""
        self.query_one(Input).value = ""
        self.display = False
