"""Deliveries as the frames of a feed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from arena_tui.broker.attached.wire import Events, Missing
from arena_tui.events import Envelope, Gap

_FRAME_BYTES: Final = 64 * 1024


def frames_of(deliveries: Sequence[Envelope | Gap]) -> list[Events | Missing]:
    """Deliveries as frames, consecutive events of a stream as one, as far as that is small."""
    frames: list[Events | Missing] = []
    size = 0
    for each in deliveries:
        if isinstance(each, Gap):
            frames.append(Missing(
                each.run_id, each.epoch, each.from_seq, each.to_seq, each.reason, each.raw
            ))  # fmt: skip
            continue
        last = frames[-1] if frames else None
        if (
            isinstance(last, Events)
            and size < _FRAME_BYTES
            and (last.run_id, last.epoch) == (each.run_id, each.epoch)
            and last.first_seq + len(last.events) == each.seq
        ):
            last.events.append(each.raw)
            size += len(each.raw)
        else:
            frames.append(Events(each.run_id, each.epoch, each.seq, [each.raw]))
            size = len(each.raw)
    return frames
