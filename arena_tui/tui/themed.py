"""An app whose themes name everything that is painted, readably."""

from __future__ import annotations

from textual.app import App, ReturnType
from textual.driver import Driver

from arena_tui.tui.contrast import readable_variables
from arena_tui.tui.theme import THEMES, players_of


class ThemedApp(App[ReturnType]):
    """Offers the app's own themes; in any theme four players have colours, all of them readable."""

    def __init__(self, driver: type[Driver] | None = None) -> None:
        super().__init__(driver)
        for theme in THEMES:
            self.register_theme(theme)

    def get_theme_variable_defaults(self) -> dict[str, str]:
        return players_of(self.current_theme)

    def get_css_variables(self) -> dict[str, str]:
        self.theme_variables = readable_variables(super().get_css_variables())
        return self.theme_variables
