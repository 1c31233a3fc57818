"""The price book: what is configured wins, what is unknown stays so, and nothing is fetched."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from arena_tui.broker.warnings import Warnings
from arena_tui.services.prices import PriceBook, library_price
from arena_tui.settings import Price
from tests.waiting import until

OWN = Price(input=1, output=2)


@asynccontextmanager
async def opened(
    configured: dict[str, Price], warnings: Warnings | None = None,
    look_up: Callable[[str], Price | None] | None = None,
) -> AsyncIterator[PriceBook]:  # fmt: skip
    book = PriceBook(configured, warnings or Warnings(), look_up)
    yield book
    await book.aclose()


async def test_a_configured_price_beats_the_librarys() -> None:
    async with opened({"gpt-4o": OWN}) as book:
        assert book.of("gpt-4o") == OWN
        assert book.of("gpt-4o-mini") is None  # until it was looked up
        await until(lambda: book.version == 1)
        assert book.of("gpt-4o-mini") == Price(input=0.15, output=0.6, cached=0.075)
        assert book.of("gpt-4o") == OWN


async def test_a_model_that_nobody_knows_has_no_price_and_is_no_failure() -> None:
    warnings = Warnings()
    async with opened({}, warnings) as book:
        book.of("reed-2")
        await until(lambda: book.version == 1)

        assert book.of("reed-2") is None
        assert (book.failures, warnings.counts()) == (0, {})


async def test_each_model_is_looked_up_once_and_in_a_thread() -> None:
    asked: list[tuple[str, bool]] = []

    def look_up(model: str) -> Price:
        asked.append((model, threading.current_thread() is threading.main_thread()))
        return OWN

    async with opened({}, look_up=look_up) as book:
        for _ in range(3):
            book.of("a")
            book.of("b")
        await until(lambda: book.version == 2)
        assert (book.of("a"), book.of("b")) == (OWN, OWN)

    assert sorted(asked) == [("a", False), ("b", False)]


async def test_failures_are_warned_of_once_and_counted() -> None:
    warnings = Warnings()

    def fail(model: str) -> Price:
        raise RuntimeError(f"no {model}")

    async with opened({}, warnings, fail) as book:
        for model in "abc":
            book.of(model)
        await until(lambda: book.failures == 3)

        assert book.of("a") is None
    assert warnings.counts() == {"prices_unknown": 1}
    assert "cannot look up what models cost" in str(warnings.newest()[0])


async def test_names_that_are_no_models_are_not_looked_up() -> None:
    asked: list[str] = []
    async with opened({}, look_up=asked.append) as book:
        assert book.of("x" * 10_000) is None
        for number in range(1_500):
            book.of(str(number))
        await until(lambda: len(asked) == 999)

    assert len(asked) == 999


@pytest.mark.parametrize("model", ["", "\x00", "gpt-none", "who/knows", "/", "qwen3:8b"])
def test_the_library_is_asked_of_any_name(model: str) -> None:
    assert library_price(model) is None


def test_a_name_with_its_provider_has_the_price_of_the_model() -> None:
    assert library_price("openai/gpt-4o") == library_price("gpt-4o") is not None


def test_looking_up_prices_never_reaches_the_network() -> None:
    script = """
import sys, threading
sys.addaudithook(lambda name, _: print(name) if name.startswith("socket.") else None)
from arena_tui.services.prices import library_price
assert "genai_prices" not in sys.modules
assert library_price("gpt-4o") is not None
assert library_price("gpt-none") is None
print("threads", threading.active_count())
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )

    assert done.stdout.split("\n") == ["threads 1", ""]
