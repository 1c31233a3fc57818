"""The owner's side of attached brokers, with what is stored as a test says."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from arena_tui.broker.attached.hub import Hub
from arena_tui.broker.attached.wire import Append, Claim, Request, Sent
from arena_tui.broker.memory import InProcessBroker
from arena_tui.broker.numbered import Recalled
from arena_tui.broker.owner import own_name
from arena_tui.broker.protocol import RunMeta
from arena_tui.broker.ring import RunLog
from arena_tui.codec import sealed
from arena_tui.events import Delivery, Gap, LogEvent, RunEnd

ALIVE = own_name()
GONE = f"{ALIVE}0"
"""Of this process id, but another beginning."""

FOREIGN = "elsewhere 1 1"
"""Of another machine, where nobody can look for it."""

HOLDERS = {"alive": ALIVE, "gone": GONE, "foreign": FOREIGN}


class Past:
    """What is stored of runs, as a test says.

    Args:
        deliveries: Of the run `a`, in order.
    """

    def __init__(
        self, deliveries: Sequence[Delivery] = (), is_kept: bool = True, **runs: Recalled
    ) -> None:
        self.is_kept = is_kept
        self.deliveries = deliveries
        self._runs = runs

    async def recall(self, run_ids: Collection[str]) -> Mapping[str, Recalled]:
        return {run_id: self._runs[run_id] for run_id in run_ids if run_id in self._runs}

    async def window(
        self, run_id: str, from_seq: int, to_seq: int, epoch: int
    ) -> Sequence[Delivery]:
        found = [each for each in self.deliveries if each.epoch == epoch and run_id == "a"]
        return [each for each in found if from_seq <= each.first_seq <= to_seq]


def stored(over: bool = False, **numbers: int) -> Recalled:
    """Ten events of a run in epoch 5, from these producers."""
    alone = next(iter(numbers)) if len(numbers) == 1 else None
    return Recalled(5, 10, over, numbers, alone)


def events(first: int, last: int, ends: bool = False) -> list[bytes]:
    found = [sealed(LogEvent(text=str(number)))[1] for number in range(first, last + 1)]
    return [*found[:-1], sealed(RunEnd())[1]] if ends else found


class Owner:
    """A hub, and what its broker holds of the run `a`."""

    def __init__(self, past: Past | None = None) -> None:
        self.now = 1_000.0
        self.meta = RunMeta(run_id="a")
        self.broker = InProcessBroker(clock=lambda: self.now)
        self.hub = Hub(self.broker, past or Past())

    async def append(
        self, first: int, last: int, producer: str = "p", lost: int = 0, ends: bool = False,
        may_open: bool = True, process: str = FOREIGN, run_id: str = "a",
    ) -> Any:  # fmt: skip
        sent = Sent(producer, first, lost, ends, may_open, RunMeta(run_id=run_id),
                    events(first, last, ends))  # fmt: skip
        (row,) = await self.ask(Append, process=process, calls=[sent])
        return row

    async def claim(self, process: str) -> bool:
        """Whether the process has the id now."""
        answer: bool = await self.ask(Claim, process=process, run_id="a")
        return answer

    async def ask(self, make: Callable[..., Request], **fields: Any) -> Any:
        """The answer to a request of this kind."""
        return await self.hub.answer(make(owner=self.hub.id, **fields))

    @property
    def log(self) -> RunLog:
        return self.broker.ledger.streams["a"].log

    @property
    def held(self) -> list[str]:
        """Texts of the events, and lengths of the gaps."""
        found, _ = self.log.read(self.log.first - 1, 1_000, self.log.last)
        return [told(each) for each in found]

    @property
    def epoch(self) -> int:
        return self.log.epoch


def told(each: Delivery) -> str:
    """The text of an event, or the length of a gap."""
    if isinstance(each, Gap):
        return f"gap of {each.count}"
    return each.event.text if isinstance(each.event, LogEvent) else each.event.kind
