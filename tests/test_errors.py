"""Errors come back whole from another process."""

from __future__ import annotations

import pickle

import pytest

from arena_tui.errors import (
    ArenaError,
    ConsumerBusyError,
    ForkedError,
    RunClosedError,
    StoreLockedError,
)


@pytest.mark.parametrize(
    "error",
    [
        RunClosedError("r"),
        ForkedError("none"),
        StoreLockedError("another has it", 7),
        ConsumerBusyError("busy", 7),
    ],
)  # fmt: skip
def test_an_error_says_the_same_after_pickling(error: ArenaError) -> None:
    again = pickle.loads(pickle.dumps(error))

    assert type(again) is type(error)
    assert str(again) == str(error)
    assert getattr(again, "pid", None) == getattr(error, "pid", None)
