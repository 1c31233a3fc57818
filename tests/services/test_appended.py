"""Events of a run that nobody plays are added to the store that a runtime has open."""

from __future__ import annotations

import pytest

from arena_tui.errors import UnknownRunError
from arena_tui.events import RunEnd
from arena_tui.services.appended import append_to
from tests.envelopes import envelope
from tests.services.playback.test_player import RUN, beginning, stored


async def test_a_run_left_unfinished_is_over_once_its_end_is_added() -> None:
    async with stored(beginning(5)) as runtime:
        assert runtime.history is not None
        left = await runtime.history.run(RUN)
        await runtime.broker.close_run(RUN)
        await runtime.broker.reap(RUN)
        end = envelope(RUN, left.epoch, left.seq + 1, RunEnd())

        await append_to(runtime, [end])

        assert runtime.history.live_totals(RUN) is None
        assert (await runtime.history.run(RUN)).events == left.events + 1
        await runtime.delete(RUN)
        with pytest.raises(UnknownRunError):
            await runtime.history.run(RUN)
