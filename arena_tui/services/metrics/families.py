"""Figures as metric families: their names, help and labels. Takes no figures itself.

No label has values without end: neither runs nor clients are ever one.
"""

from __future__ import annotations

import platform
from collections.abc import Iterator, Mapping, Sequence
from typing import get_args

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from arena_tui import __version__
from arena_tui.broker.warned import Code
from arena_tui.consumers.protocol import ConsumerState
from arena_tui.services.metrics.figures import Clients, Figures, Stored


def families(figures: Figures, running: bool = True) -> Iterator[Metric]:
    """All families of one instant; `running`: whether the process goes on."""
    yield _by(
        GaugeMetricFamily("arena_build_info", "Version of arena-tui and of Python; always 1.",
                          labels=["version", "python"]),
        {(__version__, platform.python_version()): 1},
    )  # fmt: skip
    yield _gauge(
        "arena_metrics_timestamp_seconds",
        "When these figures were taken, in seconds since 1970: a file may be old.", figures.time,
    )  # fmt: skip
    yield _gauge("arena_running",
                 "Whether the process runs: 0 only in the file that it left as it ended.",
                 running)  # fmt: skip
    yield from _broker(figures)
    yield from _producers(figures)
    if figures.stored is not None:
        yield from _store(figures.stored)
    yield from _consumers(figures)
    if figures.clients is not None:
        yield from _clients(figures.clients)
    yield from _events(figures)
    warned = figures.broker.warned
    yield _by(
        CounterMetricFamily("arena_warnings", "Warnings since the start, by code.",
                            labels=["code"]),
        {(code,): warned.get(code, 0) for code in get_args(Code)},
    )  # fmt: skip


def _broker(figures: Figures) -> Iterator[Metric]:
    broker = figures.broker
    yield _counter("arena_broker_published", "Events published, as far as read here.",
                   broker.published)  # fmt: skip
    yield _gauge("arena_broker_held_events", "Events that this process holds, of all runs.",
                 sum(each.held for each in broker.runs))  # fmt: skip
    yield _gauge("arena_broker_run_capacity_events", "Most events that the broker holds of a run.",
                 broker.capacity)  # fmt: skip
    yield _counter(
        "arena_broker_trimmed",
        "Events let go to stay within limits; no loss where every durable consumer had them.",
        broker.trimmed,
    )
    yield _counter("arena_broker_overflow",
                   "Events let go before a durable consumer had them: lost to it.",
                   broker.overflow)  # fmt: skip
    yield _gauge("arena_broker_link_up", "Whether the broker's server answers; 1 in process.",
                 broker.link is None)  # fmt: skip
    yield _gauge("arena_broker_unsent_events",
                 "Events recorded by this process that are not published yet.",
                 figures.unsent)  # fmt: skip
    yield _counter("arena_broker_refused", "Events that can never be published.", figures.refused)
    yield _counter("arena_broker_failures", "Failures of background work of the broker.",
                   broker.failures)  # fmt: skip


def _producers(figures: Figures) -> Iterator[Metric]:
    sinks = figures.sinks
    yield _gauge("arena_producer_queued_events", "Events recorded and not handed to the broker.",
                 sum(each.queued for each in sinks))  # fmt: skip
    yield _counter("arena_producer_blocked_seconds",
                   "Time that producers of this process were held back, added up.",
                   sum(each.blocked_s for each in sinks))  # fmt: skip
    yield _counter("arena_producer_coerced",
                   "Events that lost something, because their values did not fit.",
                   sum(each.coerced for each in sinks))  # fmt: skip


def _store(stored: Stored) -> Iterator[Metric]:
    account, info = stored.account, stored.info
    yield _counter("arena_persister_stored", "Events stored by this process.", account.stored)
    yield _counter("arena_persister_already_stored",
                   "Events that were published again, and were in the store.",
                   account.already_stored)  # fmt: skip
    yield _gauge("arena_persister_in_flight_events", "Events published and not stored yet.",
                 account.in_flight)  # fmt: skip
    yield _counter("arena_persister_lost",
                   "Events lost to the store; published = stored + already stored + in flight"
                   " + lost.", account.lost)  # fmt: skip
    yield _counter("arena_persister_lost_unknown",
                   "Losses of which nobody knows how many events they are.",
                   account.lost_unknown)  # fmt: skip
    yield _counter("arena_persister_quarantined",
                   "Events kept raw, because the store cannot take them; part of the lost.",
                   stored.quarantined)  # fmt: skip
    yield _counter("arena_persister_failures", "Commits and starts of the store that failed.",
                   info.failures)  # fmt: skip
    yield _gauge("arena_persister_up", "Whether storing works.", info.state == "ok")
    yield _gauge("arena_persister_lag_events", "Events that the store has yet to read.", info.lag)
    yield _gauge("arena_persister_lag_seconds",
                 "Age of the oldest event that the store has yet to read.", info.lag_s)  # fmt: skip


def _consumers(figures: Figures) -> Iterator[Metric]:
    named, capacity = figures.consumers, figures.broker.capacity
    for name, text, value in _CONSUMER_COUNTERS:
        yield _by(
            CounterMetricFamily(name, text, labels=["consumer"]),
            {(each,): sum(map(value, infos)) for each, infos in named.items()},
        )
    for name, text, value in _CONSUMER_GAUGES:
        yield _by(
            GaugeMetricFamily(name, text, labels=["consumer"]),
            {(each,): max(map(value, infos)) for each, infos in named.items()},
        )
    yield _by(
        GaugeMetricFamily(
            "arena_consumer_fullest_run_ratio",
            "Events of one run that a durable consumer has yet to ack, of the run it has most of, "
            "as a part of capacity: from 1 on, events are lost to it.", labels=["consumer"],
        ),
        {(each,): max(figures.fullest.get(info.name, 0) for info in infos) / capacity
         for each, infos in named.items() if any(info.durable for info in infos)},
    )  # fmt: skip
    yield _by(
        GaugeMetricFamily("arena_consumer_state", "How many consumers are in each state.",
                          labels=["consumer", "state"]),
        {(each, state): sum(info.state == state for info in infos)
         for each, infos in named.items() for state in get_args(ConsumerState)},
    )  # fmt: skip


def _clients(clients: Clients) -> Iterator[Metric]:
    yield _gauge("arena_sse_clients", "Clients of event streams.", clients.connected)
    yield _counter("arena_sse_sent", "Events and gaps sent to all clients.", clients.sent)
    yield _counter("arena_sse_dropped", "Clients that were dropped, since they took nothing.",
                   clients.dropped)  # fmt: skip
    yield _gauge("arena_sse_lag_events", "Events that clients have yet to be sent, added up.",
                 clients.lag)  # fmt: skip
    yield _gauge("arena_sse_lag_seconds", "Age of the oldest event that a client lacks.",
                 clients.lag_s)  # fmt: skip
    yield _by(
        CounterMetricFamily("arena_http_refused", "HTTP requests that were refused, by reason.",
                            labels=["reason"]),
        {(reason,): count for reason, count in clients.refused.items()},
    )  # fmt: skip


def _events(figures: Figures) -> Iterator[Metric]:
    metered = figures.metered
    yield _by(
        CounterMetricFamily("arena_events", "Events read, by kind.", labels=["kind"]),
        {(kind,): count for kind, count in metered.events.items()},
    )
    yield _by(
        CounterMetricFamily("arena_tokens", "Tokens, as far as events report them.",
                            labels=["direction"]),
        {("input",): metered.input_tokens, ("output",): metered.output_tokens},
    )  # fmt: skip
    yield _counter("arena_cost_usd", "US dollars, as far as events report them.", metered.cost_usd)
    yield _by(
        GaugeMetricFamily("arena_runs", "Runs that the broker holds, also after their end.",
                          labels=["state"]),
        {(word,): count for word, count in figures.states.items()},
    )  # fmt: skip
    yield _by(
        CounterMetricFamily("arena_runs_ended", "Runs that ended.", labels=["state"]),
        {(status,): count for status, count in metered.ended.items()},
    )


_CONSUMER_COUNTERS = (
    ("arena_consumer_delivered", "Events handed to it; from zero when it is restarted.",
     lambda info: info.delivered),
    ("arena_consumer_in_gaps", "Events that it was told it can never have.",
     lambda info: info.in_gaps),
    ("arena_consumer_failures", "How often it failed.", lambda info: info.failures),
)  # fmt: skip
_CONSUMER_GAUGES = (
    ("arena_consumer_lag_events", "Events that it has yet to read.", lambda info: info.lag),
    ("arena_consumer_lag_seconds", "Age of the oldest event that it has yet to read.",
     lambda info: info.lag_s),
    ("arena_consumer_lag_peak_events", "Most events that it ever had yet to read.",
     lambda info: info.lag_peak),
    ("arena_consumer_unacked_events", "Events that it has yet to ack; 0 if it is not durable.",
     lambda info: info.unacked),
)  # fmt: skip


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, text, value=value)


def _counter(name: str, text: str, value: float) -> Metric:
    return CounterMetricFamily(name, text, value=value)


def _by(
    family: CounterMetricFamily | GaugeMetricFamily, values: Mapping[Sequence[str], float]
) -> Metric:
    for labels, value in values.items():
        family.add_metric(labels, value)
    return family
