"""All that the inspector shows of one turn or one event. Draws nothing."""

from __future__ import annotations

from msgspec import Struct

from arena_tui.events import Delivery, Envelope, LlmPrompt
from arena_tui.services.playback.reading import ReadsOn
from arena_tui.services.playback.tape import RunTape
from arena_tui.services.playback.turns import read_bounded


class Told(Struct, frozen=True, kw_only=True):
    """One delivery at its place.

    Attributes:
        previous: Of a prompt, the one before of the same agent; None if there is none.
    """

    place: int
    delivery: Delivery
    previous: LlmPrompt | None = None


class Detail(Struct, frozen=True, kw_only=True):
    """What lies at `first..last` (both inclusive), in order; `left_out` places of the middle are
    not read, as there are too many."""

    first: int
    last: int
    told: tuple[Told, ...]
    left_out: int = 0


class Details(ReadsOn):
    """Reads what lies at the places that are wanted. While it is `lacking`, run `read_on`.

    Attributes:
        shown: What was read last; None before.
    """

    def __init__(self, tape: RunTape) -> None:
        self.shown: Detail | None = None
        self._tape = tape
        self._wanted = range(0)
        self._numbering = 0
        self._failed: tuple[range, int] | None = None
        self._previous: dict[tuple[str | None, int], LlmPrompt | None] = {}

    @property
    def lacking(self) -> bool:
        return bool(self._wanted)

    def want(self, places: range) -> None:
        """Request what lies at these places; replaces an earlier request."""
        shown = self.shown
        is_here = (
            shown is not None
            and self._numbering == self._tape.renumbered
            and (shown.first, shown.last + 1) == (places.start, places.stop)
        )
        has_failed = self._failed == (places, self._tape.renumbered)
        self._wanted = range(0) if is_here or has_failed else places

    async def read_next(self) -> None:
        """See `ReadsOn`."""
        places, numbering = self._wanted, self._tape.renumbered
        shown = await self._read(places)
        if numbering == self._tape.renumbered:
            self.shown, self._numbering = shown, numbering
        if self._wanted == places:
            self._wanted = range(0)

    def give_up(self) -> None:
        """See `ReadsOn`."""
        self._failed, self._wanted = (self._wanted, self._tape.renumbered), range(0)

    async def _read(self, places: range) -> Detail:
        deliveries, left_out = await read_bounded(self._tape, places)
        told: list[Told] = []
        newest: dict[str | None, LlmPrompt] = {}
        for each in deliveries:
            place, previous = self._tape.places_of(each).start, None
            if isinstance(each, Envelope) and isinstance(each.event, LlmPrompt):
                agent = each.event.agent_id
                previous = newest.get(agent) or await self._before(agent, place)
                newest[agent] = each.event
            told.append(Told(place=place, delivery=each, previous=previous))
        return Detail(first=places.start, last=places.stop - 1, told=tuple(told), left_out=left_out)

    async def _before(self, agent: str | None, place: int) -> LlmPrompt | None:
        """Kept while a turn grows: it is read anew with each of its events."""
        key = (agent, place)
        if key not in self._previous:
            if len(self._previous) > 8:
                self._previous.clear()
            self._previous[key] = await self._tape.previous_prompt(agent, place)
        return self._previous[key]
