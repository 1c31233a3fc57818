"""A minimal Textual app: the cost of a first frame without any code of the dashboard."""

from __future__ import annotations

from textual.app import App, ComposeResult
from textual.widgets import Static


class Minimal(App[None]):
    """Shows one word."""

    def compose(self) -> ComposeResult:
        yield Static("minimal", markup=False)


if __name__ == "__main__":
    Minimal().run()
