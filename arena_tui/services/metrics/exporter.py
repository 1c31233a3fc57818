"""One process's metrics as text, in the format that the reader asks for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from prometheus_client import ProcessCollector
from prometheus_client.core import Metric
from prometheus_client.exposition import choose_encoder, generate_latest
from prometheus_client.registry import Collector

from arena_tui.services.metrics.families import families
from arena_tui.services.metrics.figures import Sampler, Streams
from arena_tui.services.runtime import Runtime


class Exposition(NamedTuple):
    """The text and its content type."""

    text: bytes
    content_type: str


class Exporter:
    """Writes the metrics of one runtime.

    Args:
        streams: Those of its HTTP server, if it has one.
        refused: Gives how many requests that refused, by reason.
    """

    def __init__(
        self, runtime: Runtime, streams: Streams | None = None,
        refused: Callable[[], Mapping[str, int]] = dict,
    ) -> None:  # fmt: skip
        self._sampler = Sampler(runtime, streams, refused)
        self._process = ProcessCollector(registry=None)

    async def start(self) -> None:
        """Count from now on, if nobody does; raises BrokerError once the runtime is closed."""
        await self._sampler.start()

    async def export(self, accept: str = "") -> Exposition:
        """All metrics of this instant; `start` it before. `accept`: as in a request's header."""
        figures = await self._sampler.sample()
        encode, content_type = choose_encoder(accept)
        found = [*families(figures), *self._process.collect()]
        return Exposition(encode(_Found(found)), content_type)

    async def export_file(self, process: str, running: bool = True) -> bytes:
        """The same for a file that an exporter of the machine reads, in the text format.

        Each sample has the label `process`, since there may be several such files. Standard metrics
        of processes are left out: that exporter has its own, of the same names.
        """
        found = list(families(await self._sampler.sample(), running))
        for family in found:
            family.samples = [
                each._replace(labels=each.labels | {"process": process}) for each in family.samples
            ]
        return generate_latest(_Found(found))


class _Found(Collector):
    def __init__(self, found: list[Metric]) -> None:
        self._found = found

    def collect(self) -> Iterable[Metric]:
        return self._found
