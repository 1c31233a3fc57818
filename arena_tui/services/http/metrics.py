"""`/metrics`, as Prometheus scrapes it. What it answers with is made in `services.metrics`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response

from arena_tui.services.metrics.exporter import Exporter


def metrics_endpoint(exporter: Exporter) -> Callable[[Request], Awaitable[Response]]:
    """Answers in the format that the request accepts: the text format, or OpenMetrics."""

    async def metrics(request: Request) -> Response:
        made = await exporter.export(request.headers.get("accept", ""))
        return Response(made.text, headers={"content-type": made.content_type})

    return metrics
