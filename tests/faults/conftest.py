"""Fixtures of the fault tests."""

from __future__ import annotations

import pytest

from arena_tui.broker.redis import broker as redis_streams
from arena_tui.broker.redis import reader as redis_reader


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is looked after every few seconds is looked after many times a second."""
    monkeypatch.setattr(redis_reader, "_BLOCK_S", 0.2)
    monkeypatch.setattr(redis_reader, "_LOOK_S", 0.1)
    monkeypatch.setattr(redis_reader, "_GONE_S", 3.0)
    monkeypatch.setattr(redis_streams, "_ACK_EVERY_S", 0.02)
