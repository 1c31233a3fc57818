"""Addresses of events, as they are printed and understood."""

from __future__ import annotations

import pytest

from arena_tui.broker.protocol import Cursor
from arena_tui.errors import UsageError
from arena_tui.services.playback.address import address_of, parse_address


@pytest.mark.parametrize("at", [None, Cursor(0, 120), Cursor(1_700_000_000_000, 7)])
def test_what_is_printed_is_understood(at: Cursor | None) -> None:
    assert parse_address(address_of("01J0-x", at)) == ("01J0-x", at)


@pytest.mark.parametrize("run_id", ["sweep:7/try:2", "a:12", "a:1-2"])
def test_an_id_may_have_colons(run_id: str) -> None:
    assert parse_address(address_of(run_id, Cursor(0, 120))) == (run_id, Cursor(0, 120))
    assert parse_address(address_of(run_id, Cursor(5, 120))) == (run_id, Cursor(5, 120))


def test_addresses_look_so() -> None:
    assert address_of("7f3a", Cursor(0, 120)) == "7f3a:120"
    assert address_of("7f3a", Cursor(5, 120)) == "7f3a:5-120"


@pytest.mark.parametrize("text", ["", "a:", "a:x", "a:0", "a:1-2-3", "a b", ":5", "a:-5", "a:٣"])
def test_what_is_no_address_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(UsageError, match="give RUN or RUN:SEQ, as 7f3a:120"):
        parse_address(text)
