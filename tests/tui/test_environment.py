"""What Textual finds in the environment."""

from __future__ import annotations

import os

import pytest

from arena_tui.tui.environment import prepare


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TEXTUAL_FPS", "TEXTUAL_COLOR_SYSTEM"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)


def test_a_key_waits_no_longer_for_the_next_repaint_than_it_must() -> None:
    prepare(low_bandwidth=False)

    assert int(os.environ["TEXTUAL_FPS"]) > 60
    assert "TEXTUAL_COLOR_SYSTEM" not in os.environ


def test_where_bytes_are_dear_colours_take_few() -> None:
    prepare(low_bandwidth=True)

    assert os.environ["TEXTUAL_COLOR_SYSTEM"] == "256"


def test_what_the_user_has_set_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEXTUAL_FPS", "15")
    monkeypatch.setenv("TEXTUAL_COLOR_SYSTEM", "truecolor")

    prepare(low_bandwidth=True)

    assert os.environ["TEXTUAL_FPS"] == "15"
    assert os.environ["TEXTUAL_COLOR_SYSTEM"] == "truecolor"
