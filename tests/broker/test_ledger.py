"""A ledger that is the near part of something larger."""

from __future__ import annotations

from collections.abc import Mapping

from arena_tui.broker.ledger import Ledger
from arena_tui.broker.protocol import Cursor, Limits, RunMeta
from arena_tui.broker.subscription import LedgerSubscription
from arena_tui.events import Delivery, Gap, LogEvent
from tests.envelopes import envelope


class Far:
    """Has all events of a run from its 101st on."""

    async def fetch(self, gap: Gap) -> list[Delivery]:
        if gap.to_seq <= 100:
            return [gap]
        first = max(gap.from_seq, 101)
        found: list[Delivery] = [
            envelope(gap.run_id, gap.epoch, seq, LogEvent()) for seq in range(first, gap.to_seq + 1)
        ]
        if gap.from_seq < first:
            found.insert(0, Gap(gap.run_id, gap.epoch, gap.from_seq, first - 1, "trimmed"))
        return found

    def acked(self, subscription: LedgerSubscription, cursors: Mapping[str, Cursor]) -> None:
        pass

    def ahead(self, run_id: str, cursor: Cursor) -> None:
        pass


def ledger() -> Ledger:
    return Ledger(Limits(retain=10), lambda: 0.0, upstream=Far())


async def test_who_was_there_before_a_run_is_owed_all_of_it() -> None:
    near = ledger()
    patient = near.subscribe("patient", None, "oldest", durable=False)
    hasty = near.subscribe("hasty", None, "oldest", durable=False)
    stream = near.attach(RunMeta(run_id="a"), 7, 151, None)
    near.append(stream, LogEvent(), 1)

    found = await anext(patient)
    found += await anext(patient)

    assert found[0] == Gap("a", 7, 1, 100, "trimmed")
    assert [each.seq for each in found[1:]] == list(range(101, 152))  # type: ignore[union-attr]
    assert hasty.read_nowait()[0] == Gap("a", 7, 1, 150, "trimmed")


async def test_who_comes_later_begins_with_what_is_at_hand() -> None:
    near = ledger()
    stream = near.attach(RunMeta(run_id="a"), 7, 151, None)
    near.append(stream, LogEvent(), 1)

    later = near.subscribe("later", None, "oldest", durable=False)

    assert [each.seq for each in later.read_nowait()] == [151]  # type: ignore[union-attr]
