"""What an export is made with, in each of its formats."""

from __future__ import annotations

from functools import partial
from typing import Final

from arena_tui.services.exporting import Form
from arena_tui.services.replay.page import page_texts
from arena_tui.store.archive_files import Format, Texts
from arena_tui.tui.render.cast import Size, cast_texts

SIZE: Final = Size()
IDLE_S: Final = 2.0


def maker(form: Form, size: Size = SIZE, idle_s: float = IDLE_S) -> Format | Texts:
    """For `export_runs`; see `cast_texts` for size and silence, which only a recording has."""
    if form == "html":
        return page_texts
    if form == "asciicast":
        return partial(cast_texts, size=size, idle_s=idle_s)
    return form
