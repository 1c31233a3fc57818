"""Tools of the Run screen that keep what one thinks of it: notes, tags, and the list of both."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from functools import partial

from arena_tui.broker.protocol import Cursor
from arena_tui.errors import UsageError
from arena_tui.events import Envelope
from arena_tui.services.playback.player import Player
from arena_tui.store.changes import Note, Tag
from arena_tui.store.history import History
from arena_tui.store.marks import Marked, read_marks, read_tags
from arena_tui.tui.render.clean import clean
from arena_tui.tui.screens.base import ArenaScreen
from arena_tui.tui.screens.dialog import LineDialog
from arena_tui.tui.screens.list_dialog import ListDialog

_NOTE_MAX = 10_000
_TAG_MAX = 100


class WriteScreen(LineDialog):
    """Asks for one line, and hands it on; a line that is refused stays."""

    def __init__(
        self, title: str, hint: str, text: str, keep: Callable[[str], Awaitable[None]]
    ) -> None:
        """`keep` keeps the line, or raises ArenaError."""
        super().__init__(title, "enter keep  esc close", text=text, hint=clean(hint))
        self._keep = keep

    async def take(self, text: str) -> None:
        await self._keep(text)
        self.dismiss()


class MarksScreen(ListDialog):
    """The bookmarks of a run with their notes, one of which is gone to."""

    def __init__(
        self, marks: Sequence[Marked], tags: Sequence[str], go: Callable[[Cursor], None]
    ) -> None:
        def choose(index: int) -> None:
            go(marks[index].at)

        told = f"tags: {', '.join(clean(each, 40) for each in tags)}" if tags else "no tags"
        lines = [mark_line(each) for each in marks]
        super().__init__(
            "Bookmarks of this run", lines, "enter go there  esc close", choose, hint=told
        )


def mark_line(mark: Marked) -> str:
    """`  1,204  the agent forgets the door`."""
    return f"{mark.at.seq:>9,}  {clean(mark.note, 200) or '–'}"


async def note_here(screen: ArenaScreen, player: Player) -> bool:
    """Ask for a note to the event, and set a bookmark with it."""
    history, here = _history(screen), player.delivery()
    if not isinstance(here, Envelope):
        raise UsageError("no event stands here to write a note to")
    marks = await history.read(partial(read_marks, run_id=here.run_id))
    before = next((each.note for each in marks if each.at == (here.epoch, here.seq)), "")

    async def keep(text: str) -> None:
        if len(text) > _NOTE_MAX:
            raise UsageError(f"a note has at most {_NOTE_MAX:,} characters")
        await history.change(Note(here.run_id, here.epoch, here.seq, text, here.event.ts))
        player.overview.mark_anew()

    hint = "Notes are found by B here, and go with the run when it is exported."
    screen.app.push_screen(WriteScreen(f"Note at event {here.seq:,}", hint, before, keep))
    return False


async def tag_run(screen: ArenaScreen, player: Player) -> bool:
    """Ask for a tag of the run, and give it or take it away."""
    history, here = _history(screen), player.delivery()
    if here is None:
        raise UsageError("nothing of this run is read yet")
    tags = await history.read(partial(read_tags, run_id=here.run_id))

    async def keep(text: str) -> None:
        if not text or len(text) > _TAG_MAX or " " in text:
            raise UsageError(f"a tag is one word of at most {_TAG_MAX} characters")
        is_set = await history.change(Tag(here.run_id, text, datetime.now(UTC)))
        screen.notify(f"tagged {text}" if is_set else f"no longer tagged {text}")

    has = f"It has {', '.join(tags)}; one of these again takes it away." if tags else ""
    hint = f"{has} tag:WORD in History finds it."
    screen.app.push_screen(WriteScreen("Tag of this run", hint.strip(), "", keep))
    return False


async def list_marks(screen: ArenaScreen, player: Player) -> bool:
    """List the bookmarks, the notes and the tags of the run."""
    history, here = _history(screen), player.delivery()
    run_id = "" if here is None else here.run_id
    marks = await history.read(partial(read_marks, run_id=run_id))
    tags = await history.read(partial(read_tags, run_id=run_id))
    if marks or tags:
        screen.app.push_screen(MarksScreen(marks, tags, player.go_to))
    else:
        screen.notify("no bookmark, note or tag in this run yet: m, M and T set them")
    return False


def _history(screen: ArenaScreen) -> History:
    history = screen.arena.session.history
    if history is None:
        raise UsageError("notes and tags need a store: start without --no-store")
    return history
