"""Tools of the Run screen for where one stands: bookmark or copy the event, zoom in there."""

from __future__ import annotations

from arena_tui.events import Envelope
from arena_tui.services.playback.address import address_of
from arena_tui.services.playback.overview import ZOOM
from arena_tui.services.playback.player import Player
from arena_tui.tui.screens.base import ArenaScreen
from arena_tui.tui.widgets.inspector import Inspector


async def toggle_bookmark(screen: ArenaScreen, player: Player) -> bool:
    """Set the bookmark here, or remove it."""
    is_set = await player.bookmark()
    if is_set is None:
        screen.notify("bookmarks need a store and an event", severity="warning")
        return False
    screen.notify("bookmark set" if is_set else "bookmark removed", timeout=2)
    return True


async def copy_event(screen: ArenaScreen, player: Player) -> bool:
    """Copy the event to the clipboard."""
    delivery = player.delivery()
    if isinstance(delivery, Envelope):
        said = await screen.arena.copier.copy(delivery.raw.decode())
        screen.notify(f"event {delivery.seq:,} as JSON: {said}")
    else:
        screen.notify("no event stands here to copy", severity="warning")
    return False


async def copy_shown(screen: ArenaScreen, player: Player) -> bool:
    """Copy what the inspector shows, to its end."""
    text = screen.query_one(Inspector).text
    said = await screen.arena.copier.copy(text)
    screen.notify(f"{text.count(chr(10)) + 1:,} lines of the inspector: {said}")
    return False


async def copy_address(screen: ArenaScreen, player: Player) -> bool:
    """Copy `RUN:SEQ`, which `arena-tui open` understands."""
    here = player.delivery()
    if here is None:
        screen.notify("no event stands here", severity="warning")
        return False
    address = address_of(here.run_id, player.position.cursor)
    screen.notify(f"{address}: {await screen.arena.copier.copy(address)}")
    return False


async def zoom_in(screen: ArenaScreen, player: Player) -> bool:
    """Show a smaller part of the run's time on the scrubber, around the position."""
    return _zoom(screen, player, ZOOM)


async def zoom_out(screen: ArenaScreen, player: Player) -> bool:
    """Show a larger part of the run's time on the scrubber."""
    return _zoom(screen, player, 1 / ZOOM)


def _zoom(screen: ArenaScreen, player: Player, factor: float) -> bool:
    overview = player.overview
    at, before = overview.time_of(player.position), overview.part
    if at is None or overview.shown is None:
        screen.notify("the scrubber is still being read: try again", severity="warning")
        return False
    overview.zoom_by(factor, at)
    if overview.part == before:
        is_in = factor > 1
        screen.notify("no shorter part can be shown" if is_in else "this is the whole run",
                      timeout=2)  # fmt: skip
    return False
