"""All keys of the screen below."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Final

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen, Screen
from textual.widgets import Static

from arena_tui.tui.render.states import LOOKS, LOSING
from arena_tui.tui.tabs import Tab

_LEGEND: Final = """\
{running} running   {stuck} stuck: no event for longer than usual   {silent} no sign of life
{finished} finished  {crashed} crashed   {stopped} stopped   {losing} events were lost
! retrying, illegal moves, looping, slow   … waiting   $ budget
~ an event that could not be kept as given: it says why

published = stored + already stored + in flight + lost
says where every event is since this process began.
Lost is real loss: the store could not keep up.""".format(
    losing=LOSING.sign, **{state: look.sign for state, look in LOOKS.items()}
)

_ELSEWHERE: Final = frozenset(
    {"move", "page", "first", "jump_to", "focus_next", "focus_previous", "copy_text", "interrupt",
     "go"}
)  # fmt: skip
"""Actions that have rows of their own, or none."""


class HelpScreen(ModalScreen[None]):
    """A list of keys; esc closes it."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,question_mark,q", "dismiss", "close")]

    def __init__(self, about: Screen[Any], tabs: Sequence[Tab]) -> None:
        super().__init__(classes="dialog")
        self._about = about
        self._tabs = tabs

    def compose(self) -> ComposeResult:
        with VerticalScroll(classes="box"):
            yield Static("Keys", classes="title", markup=False)
            yield Static(Content("\n").join(self._keys()))
            yield Static(_LEGEND, classes="hint", markup=False)

    def _keys(self) -> list[Content]:
        """That screen's active bindings, innermost first, each once; movement keys summed up."""
        rows = [_key("arrows hjkl", "move"), _key("pgup pgdn home end", "move far")]
        seen: set[str] = set()
        for active in self._about.active_bindings.values():
            binding = active.binding
            action = binding.action.partition("(")[0].rpartition(".")[2]
            if binding.system or binding.action in seen or action in _ELSEWHERE:
                continue
            seen.add(binding.action)
            key = binding.key_display or self.app.get_key_display(binding)
            if binding.action == "help":
                rows += [_key(tab.key, tab.name.lower()) for tab in self._tabs]
            rows.append(_key(key, binding.description))
        return rows


def _key(key: str, what: str) -> Content:
    return Content.assemble((f"{key:>20}  ", "bold $accent"), what)
