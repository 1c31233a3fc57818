"""The dashboard and the alert rules ask for what is exported, and alert when they should."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from tests.services.http.served import serving
from tests.services.metrics.read import names, promtool

DATA = files("arena_tui.services.metrics") / "data"
RULES = DATA / "rules.yml"
RUNBOOK = Path(__file__).parents[3] / "docs" / "RUNBOOK.md"
ANCHORS = {
    "redis-is-down", "redis-is-full", "redis-evicts", "redis-is-slow", "redis-has-no-aof",
    "redis-was-restored", "the-store-is-locked", "the-store-is-damaged", "the-disk-is-full",
    "a-consumer-lags", "a-run-is-silent", "events-were-lost", "the-process-is-gone",
}  # fmt: skip
METRIC = re.compile(r"\b(?:arena|process)_\w+")
ANNOTATIONS = re.compile(r" +annotations:\n(?: {10}.+\n)+")
MACROS = {
    "$__rate_interval": "1m", "$__range": "1h", "$job": ".*", "$instance": ".*",
}  # fmt: skip


def dashboard() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((DATA / "dashboard.json").read_text())
    return found


def rules() -> list[dict[str, str]]:
    """Each alert with its expression and runbook."""
    found = re.findall(
        r"- alert: (\w+)\n +expr: (.+)(?:\n +(?!- ).+)*?\n +runbook: (.+)",
        RULES.read_text(),
    )
    return [dict(zip(("alert", "expr", "runbook"), each, strict=True)) for each in found]


def expressions() -> Iterator[str]:
    """All queries of the dashboard, as Grafana sends them, and of the rules."""
    for panel in dashboard()["panels"]:
        for target in panel.get("targets", ()):
            query = target["expr"]
            for macro, value in MACROS.items():
                query = query.replace(macro, value)
            yield query
    yield from (each["expr"] for each in rules())


async def test_every_metric_that_is_asked_for_is_exported() -> None:
    async with serving(":memory:") as served:
        exported = names((await served.http.get("/metrics")).text)
    asked = {name for query in expressions() for name in METRIC.findall(query)}
    variables = json.dumps(dashboard()["templating"])

    assert len(asked) > 30
    assert asked - exported == set()
    assert set(METRIC.findall(variables)) == {"arena_build_info"}


def test_every_query_can_be_parsed_by_prometheus(tmp_path: Path) -> None:
    queries = list(expressions())
    groups = {
        "groups": [{
            "name": "queries",
            "rules": [{"record": f"q{n}", "expr": query} for n, query in enumerate(queries)],
        }]
    }  # fmt: skip
    path = tmp_path / "queries.yml"
    path.write_text(json.dumps(groups))  # which is YAML

    checked = promtool("check", "rules", path)

    assert len(queries) > 50
    assert f"{len(queries)} rules found" in checked.stdout, checked.stderr


def test_panels_lie_side_by_side() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in dashboard()["panels"]:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"])
                 for y in range(at["y"], at["y"] + at["h"])}  # fmt: skip
        assert not cells & taken, panel["title"]
        assert max(x for x, _ in cells) < 24
        taken |= cells

    ids = [panel["id"] for panel in dashboard()["panels"]]
    assert len(ids) == len(set(ids))


def test_every_alert_says_where_to_read_on() -> None:
    pages = [each["runbook"].partition("#") for each in rules()]

    assert len(pages) == RULES.read_text().count("- alert:") > 15
    assert {page for page, _, _ in pages} == {"docs/RUNBOOK.md"}
    assert {anchor for _, _, anchor in pages} <= ANCHORS


def test_the_runbook_has_what_alerts_point_to() -> None:
    headings = re.findall(r"^#+ (.+)$", RUNBOOK.read_text(), re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", each.lower()).replace(" ", "-") for each in headings}

    assert {each["runbook"].partition("#")[2] for each in rules()} - anchors == set()


FIRING: dict[str, tuple[dict[str, str], str, str]] = {
    "ArenaEventsLost": ({"arena_persister_lost_total": "0x9 7x10"}, "12m", ""),
    "ArenaOverflow": ({"arena_broker_overflow_total": "0x9 1x10"}, "12m", ""),
    "ArenaEventsQuarantined": ({"arena_persister_quarantined_total": "0x9 1x10"}, "12m", ""),
    "ArenaEventsRefused": ({"arena_broker_refused_total": "0x9 1x10"}, "12m", ""),
    "ArenaAlmostOverflowing": (
        {'arena_consumer_fullest_run_ratio{consumer="persister"}': "0.1x9 0.9x10"}, "15m",
        'consumer="persister"',
    ),
    "ArenaConsumerLags": (
        {'arena_consumer_lag_seconds{consumer="persister"}': "0x9 40+10x10",
         'arena_consumer_lag_events{consumer="persister"}': "0x9 400+100x10"}, "15m",
        'consumer="persister"',
    ),
    "ArenaConsumerFailing": (
        {'arena_consumer_state{consumer="own",state="error"}': "0x9 1x10"}, "15m",
        'consumer="own" state="error"',
    ),
    "ArenaStoreFailing": ({"arena_persister_up": "1x9 0x10"}, "15m", ""),
    "ArenaStoreDamaged": (
        {'arena_warnings_total{code="store_moved"}': "0x9 1x10"}, "15m", "",
    ),
    "ArenaLinkDown": ({"arena_broker_link_up": "1x9 0x10"}, "15m", ""),
    "ArenaEventsUnsent": ({"arena_broker_unsent_events": "0x9 20000x10"}, "15m", ""),
    "ArenaEventsUnpublished": (
        {'arena_warnings_total{code="events_unpublished"}': "0x9 1x10"}, "12m",
        'code="events_unpublished"',
    ),
    "ArenaServerAtRisk": (
        {'arena_warnings_total{code="server_risk"}': "0x3 1x10"}, "5m", 'code="server_risk"',
    ),
    "ArenaStreamsLost": (
        {'arena_warnings_total{code="stream_renewed"}': "0x9 1x10"}, "12m", "",
    ),
    "ArenaRunsSilent": (
        {'arena_runs{state="stuck"}': "0x9 1x10", 'arena_runs{state="silent"}': "0x9 2x10"},
        "18m", "",
    ),
    "ArenaRunsCrashed": (
        {'arena_runs_ended_total{state="crashed"}': "0x9 1x10"}, "12m", 'state="crashed"',
    ),
    "ArenaClientsDropped": ({"arena_sse_dropped_total": "0x9 1x10"}, "12m", ""),
    "ArenaMetricsOld": (
        {"arena_metrics_timestamp_seconds": "0+60x9 540x10", "arena_running": "1x20"}, "15m", "",
    ),
    "ArenaGone": ({'arena_build_info{version="1"}': "1x9 _x10"}, "16m", 'version="1"'),
}  # fmt: skip
"""By alert: series, minute by minute, then when it fires, and the labels it has then."""


def test_every_alert_has_an_example() -> None:
    assert {each["alert"] for each in rules()} == FIRING.keys()


@pytest.mark.parametrize("alert", FIRING)
def test_an_alert_fires_when_it_should_and_not_before(alert: str, tmp_path: Path) -> None:
    series, at, labels = FIRING[alert]
    severity = re.search(rf"alert: {alert}\n(?: .+\n)+?.+severity: (\w+)", RULES.read_text())
    assert severity is not None
    expected = {"job": "arena", "instance": "here", "severity": severity[1]}
    expected |= dict(re.findall(r'(\w+)="(\w+)"', labels))
    (tmp_path / "rules.yml").write_text(ANNOTATIONS.sub("", RULES.read_text()))
    test = {
        "rule_files": ["rules.yml"],
        "tests": [{
            "interval": "1m",
            "input_series": [
                {"series": placed(name), "values": values} for name, values in series.items()
            ],
            "alert_rule_test": [
                {"eval_time": "1m", "alertname": alert, "exp_alerts": []},
                {"eval_time": at, "alertname": alert, "exp_alerts": [{"exp_labels": expected}]},
            ],
        }],
    }  # fmt: skip
    (tmp_path / "test.yml").write_text(json.dumps(test))

    done = promtool("test", "rules", tmp_path / "test.yml")

    assert done.returncode == 0, done.stdout + done.stderr


def placed(series: str) -> str:
    """The series with the labels that Prometheus adds on scraping."""
    name, _, labels = series.removesuffix("}").partition("{")
    return f'{name}{{job="arena",instance="here"{"," if labels else ""}{labels}}}'
