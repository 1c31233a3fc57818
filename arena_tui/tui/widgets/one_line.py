"""An input of one line that says what it leaves out of a paste."""

from __future__ import annotations

from textual import events
from textual.widgets import Input


class OneLine(Input):
    """Takes the first line of what is pasted, as every `Input`; what is left out is said."""

    def on_paste(self, event: events.Paste) -> None:
        more = sum(bool(line.strip()) for line in event.text.splitlines()[1:])
        if more:
            lines = "1 more line" if more == 1 else f"{more} more lines"
            self.app.notify(f"took the first line: {lines} left out", severity="warning")
