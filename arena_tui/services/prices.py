"""The price book: configured prices, else those that the library `genai-prices` comes with.

The library is imported and asked in a thread, and only when an answer without a cost was seen. It
never reaches the network: it updates its prices only for who starts its `UpdatePrices`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Final

from arena_tui.broker.tasks import cancel_until_done
from arena_tui.broker.warnings import Warnings
from arena_tui.settings import Price

_NAME_MAX: Final = 200
"""No model has a longer name, in characters."""
_MODELS_MAX: Final = 1_000
"""So many are looked up; the price of any further one is unknown."""


class PriceBook:
    """A `PriceList` that looks prices up once each. Belongs to one event loop.

    Args:
        configured: By model; what they have is not looked up.
        look_up: The price of one model, or None if it is unknown; called in a thread.

    Attributes:
        version: Increases when prices become known.
        failures: Models that could not be looked up; the first one was warned of.
    """

    def __init__(
        self, configured: Mapping[str, Price], warnings: Warnings,
        look_up: Callable[[str], Price | None] | None = None,
    ) -> None:  # fmt: skip
        self.version = 0
        self.failures = 0
        self._prices: dict[str, Price | None] = dict(configured)
        self._most = len(configured) + _MODELS_MAX
        self._warnings = warnings
        self._look_up = library_price if look_up is None else look_up
        self._wanted: list[str] = []
        self._task: asyncio.Task[None] | None = None

    def of(self, model: str) -> Price | None:
        """The price of a model, as far as it is known; else it is looked up."""
        if model not in self._prices and len(self._prices) < self._most:
            self._prices[model] = None
            if len(model) <= _NAME_MAX:
                self._wanted.append(model)
                if self._task is None or self._task.done():
                    self._task = asyncio.create_task(self._fill(), name="prices")
        return self._prices.get(model)

    @property
    def pending(self) -> bool:
        return self._task is not None and not self._task.done()

    async def aclose(self) -> None:
        """Look up nothing more."""
        self._wanted.clear()
        if self._task is not None:
            await cancel_until_done([self._task])

    async def _fill(self) -> None:
        while self._wanted:
            model = self._wanted.pop()
            try:
                self._prices[model] = await asyncio.to_thread(self._look_up, model)
            except Exception as error:  # noqa: BLE001 - a price is not worth a session
                self.failures += 1
                if self.failures == 1:
                    why = f"{type(error).__name__}: {error}"
                    self._warnings.add("prices_unknown", error=error, why=why)
            self.version += 1


def library_price(model: str) -> Price | None:
    """The present price of a model, without the steps for long requests; None if it is unknown to
    the library. Imports it, which takes 0.3 s."""
    from genai_prices import Usage, calc_price

    provider = "litellm" if "/" in model else None  # which has names like openai/gpt-4o
    try:
        price = calc_price(Usage(input_tokens=1), model, provider_id=provider).model_price
    except LookupError:
        return None
    given, made = _dollars(price.input_mtok), _dollars(price.output_mtok)
    if given is None or made is None:
        return None
    return Price(input=given, output=made, cached=_dollars(price.cache_read_mtok))


def _dollars(price: object) -> float | None:
    """Per million tokens; of a price in steps, the first one."""
    first = getattr(price, "base", price)
    return None if first is None else float(str(first))
