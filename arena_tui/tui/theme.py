"""The app's own two themes: calm chrome, bright data, one accent."""

from __future__ import annotations

from typing import Final

from textual.theme import Theme

DEFAULT_THEME: Final = "arena-dark"

THEMES: Final = (
    Theme(
        name="arena-dark",
        primary="#5fb3b3",
        secondary="#e2a65c",
        accent="#6fc3df",
        foreground="#d8dee4",
        background="#11151a",
        surface="#171c23",
        panel="#1c232b",
        success="#7fc08a",
        warning="#e0b45a",
        error="#e8707a",
        dark=True,
        variables={
            "text-disabled": "#6b7783",
            "footer-key-foreground": "#6fc3df",
            "third": "#b99be8",
            "fourth": "#b5d16b",
        },
    ),
    Theme(
        name="arena-light",
        primary="#1f7a8c",
        secondary="#b35c00",
        accent="#0b6e99",
        foreground="#1e252b",
        background="#fbfbf8",
        surface="#f3f3ee",
        panel="#e9eae4",
        success="#2f7d3b",
        warning="#9a6700",
        error="#b3261e",
        dark=False,
        variables={
            "text-disabled": "#7c858c",
            "footer-key-foreground": "#0b6e99",
            "third": "#6f42c1",
            "fourth": "#4f6b00",
        },
    ),
)


def players_of(theme: Theme) -> dict[str, str]:
    """Colours of the third and the fourth player in a theme that names none: its own, unlike those
    of the first and the second."""
    own: tuple[str | None, ...]
    if theme.ansi:
        own = ("ansi_magenta", "ansi_yellow") if theme.dark else ("ansi_blue", "ansi_green")
    else:
        own = (theme.primary, theme.success, theme.warning, theme.foreground)
    taken = (theme.accent, theme.secondary, theme.error)
    free = [colour for colour in dict.fromkeys(own) if colour and colour not in taken]
    return {"third": free[0], "fourth": free[1]}
