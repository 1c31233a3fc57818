"""Tells the user of runs in trouble: toasts, the bell, and the desktop's notifications."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Final

from arena_tui.folds.alerts import Alert, summed_up
from arena_tui.settings import Notify
from arena_tui.tui.render.clean import clean

_TEXT_MAX: Final = 160
_DESKTOP_MAX: Final = 5
"""Notifications of the desktop at a time; of more, the last tells how many."""


class Notices:
    """One app's.

    Args:
        toast: Shows a text.
        bell: Rings.
        write: Writes to the terminal as it is.
    """

    def __init__(
        self, settings: Notify, toast: Callable[[str], None], bell: Callable[[], None],
        write: Callable[[str], object], environment: Mapping[str, str] = os.environ,
    ) -> None:  # fmt: skip
        self._settings = settings
        self._toast = toast
        self._bell = bell
        self._write = write
        self._environment = environment

    def tell(self, alerts: Sequence[Alert], told: Collection[str] = ()) -> None:
        """Tell of these, of many with the same trouble in one. Runs that are told of on the
        screen already have no toast, which might even cover that."""
        lines = summed_up(alerts)
        if not lines:
            return
        if self._settings.toast:
            for line in summed_up(each for each in alerts if each.run_id not in told):
                self._toast(line)
        if self._settings.bell:
            self._bell()
        if len(lines) > _DESKTOP_MAX:
            lines[_DESKTOP_MAX - 1 :] = [f"and {len(lines) - _DESKTOP_MAX + 1} more"]
        for line in lines:
            self._write(desktop_sequence(self._settings.desktop, line, self._environment))


def desktop_sequence(kind: str, text: str, environment: Mapping[str, str]) -> str:
    """What asks a terminal for a notification; empty where it must not be sent.

    tmux hands it on where `allow-passthrough` is on. GNU screen hands nothing on.
    """
    if kind == "off" or ("STY" in environment and "TMUX" not in environment):
        return ""
    said = clean(text, _TEXT_MAX)  # no control character is left, so none ends the sequence
    if kind == "osc9":
        sequence = f"\x1b]9;arena-tui: {said}\x1b\\"
    else:
        sequence = f"\x1b]777;notify;arena-tui;{said.replace(';', ',')}\x1b\\"
    if "TMUX" in environment:
        return "\x1bPtmux;" + sequence.replace("\x1b", "\x1b\x1b") + "\x1b\\"
    return sequence
