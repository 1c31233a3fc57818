"""What all dialogs with one line to type in have in common. Knows none of them."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widget import Widget
from textual.widgets import Input, Static

from arena_tui.errors import ArenaError
from arena_tui.tui.render.clean import clean
from arena_tui.tui.widgets.one_line import OneLine


class LineDialog(ModalScreen[None]):
    """Asks for one line: `enter` tries it, `escape` closes.

    Subclasses define `take`. When that raises ArenaError, the line stays, with the error below it.
    """

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss", "close")]

    def __init__(
        self, title: str, answers: str, *, text: str = "", placeholder: str = "", hint: str = ""
    ) -> None:
        """`answers` says what the keys do, `hint` what can be written; it must be harmless."""
        super().__init__(classes="dialog")
        self._title = title
        self._answers = answers
        self._text = text
        self._placeholder = placeholder
        self._hint = hint

    @property
    def is_trying(self) -> bool:
        """Whether a line is being tried, after which the dialog closes or says why not."""
        return any(worker.node is self and not worker.is_finished for worker in self.workers)

    @property
    def is_settled(self) -> bool:
        """Whether the next key has a meaning: by default it waits for what is being tried."""
        return not self.is_trying

    def compose(self) -> ComposeResult:
        with Vertical(classes="box"):
            yield Static(clean(self._title), classes="title", markup=False)
            yield from self.above()
            yield OneLine(self._text, placeholder=self._placeholder)
            yield from self.below()
            yield Static("", classes="error", markup=False)
            if self._hint:
                yield Static(self._hint, classes="hint", markup=False)
            yield Static(self._answers, classes="answers", markup=False)

    def above(self) -> Sequence[Widget]:
        """The widgets between title and line."""
        return ()

    def below(self) -> Sequence[Widget]:
        """The widgets between line and error."""
        return ()

    def on_mount(self) -> None:
        if self.app.return_code is None:  # else it is leaving, and has mounted no widgets
            self.query_one(Input).focus()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        self.enter(event.value.strip())

    def enter(self, text: str) -> None:
        """Try this in place of what is being tried."""
        self._try(text)

    @abstractmethod
    async def take(self, text: str) -> None:
        """Do what the line says, then dismiss the dialog; may be cancelled at any time.

        Raises:
            ArenaError: Why that cannot be done.
        """

    def put(self, text: str | Content, where: str) -> None:
        """Show harmless text in the `Static` of that class, as long as the dialog is there."""
        if self.is_attached:
            self.query_one(f".{where}", Static).update(text)

    @work(exclusive=True)
    async def _try(self, text: str) -> None:
        if self.query_one(".error", Static).content:
            self.put("", "error")
        try:
            await self.take(text)
        except ArenaError as error:
            self.put(clean(str(error)), "error")
