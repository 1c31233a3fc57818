"""Which run each line of an input is of, when runs begin again after their end. Publishes nothing
itself."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count

from arena_tui.events import Event, RunStart
from arena_tui.producers.lines import Line, Publish
from arena_tui.producers.sink import MultiRunBrokerSink


class BegunRuns:
    """Publishes the lines of a run that begins again after its end as a run of its own: `id-2`.

    Args:
        renamed: Called with a line that begins one, the id in it and the id in force.

    Attributes:
        runs: Ids of the runs published to.
    """

    def __init__(
        self, sink: MultiRunBrokerSink, publish: Publish, renamed: Callable[[Line, str, str], None]
    ) -> None:
        self.runs: set[str] = set()
        self._sink = sink
        self._publish = publish
        self._renamed = renamed
        self._in_force: dict[str, str] = {}

    def publish(self, run_id: str, event: Event, line: Line) -> None:
        """See `Publish`."""
        given, run_id = run_id, self._in_force.get(run_id, run_id)
        if type(event) is RunStart and run_id in self._sink.ended:
            run_id = self._in_force[given] = self._free(given)
            self._renamed(line, given, run_id)
        self._publish(run_id, event, line)
        self.runs.add(run_id)

    def _free(self, wanted: str) -> str:
        numbered = (f"{wanted[:120]}-{number}" for number in count(2))
        return next(each for each in numbered if each not in self.runs)
