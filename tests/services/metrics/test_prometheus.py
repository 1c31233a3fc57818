"""A real Prometheus scrapes a real `arena-tui serve`, and evaluates the alert rules on it."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

import arena_tui
from tests.cli.test_commands import arena, surroundings
from tests.ready import ARENA
from tests.services.metrics.read import parsed, tool
from tests.waiting import until_blocking

CONFIG = """\
global: {{scrape_interval: 1s, evaluation_interval: 1s}}
rule_files: [{rules}]
scrape_configs:
  - job_name: arena-tui
    static_configs: [{{targets: ["{target}"]}}]
"""


@pytest.fixture
def served(tmp_path: Path, redis_url: str) -> Iterator[str]:
    """`arena-tui serve` beside a Redis server; its host and port."""
    words = [*ARENA, "serve", "--port", "0", "--broker", redis_url,
             "--metrics", str(tmp_path / "serve.prom")]  # fmt: skip
    with subprocess.Popen(
        words, stderr=subprocess.PIPE, text=True, env=surroundings(tmp_path)
    ) as process:
        assert process.stderr is not None
        line = ""
        while "http://" not in line:
            line = process.stderr.readline()
            assert line, "it ended"
        yield line.strip().rpartition("http://")[2]
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0


@pytest.fixture
def prometheus(tmp_path: Path, served: str, free_port: int) -> Iterator[str]:
    """A Prometheus that scrapes it, with the rules; its address."""
    rules = tmp_path / "rules.yml"
    rules.write_text(arena(tmp_path, "serve", "--print-rules").stdout)
    config = tmp_path / "prometheus.yml"
    config.write_text(CONFIG.format(rules=rules, target=served))
    words = [
        tool("prometheus"), f"--config.file={config}",
        f"--storage.tsdb.path={tmp_path / 'tsdb'}", f"--web.listen-address=127.0.0.1:{free_port}",
    ]  # fmt: skip
    with (tmp_path / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(words, stdout=log, stderr=log)
    try:
        yield f"http://127.0.0.1:{free_port}/api/v1"
    finally:
        process.kill()
        process.wait()


def asked(address: str, **query: str) -> Any:
    """What the API answers; None until it does."""
    with suppress(httpx.TransportError):
        answer = httpx.get(address, params=query, trust_env=False)
        if answer.status_code == 200:
            return answer.json()["data"]
    return None


def value(address: str, query: str) -> float | None:
    """The value of a query with one result; None without any."""
    found = asked(f"{address}/query", query=query)
    return float(found["result"][0]["value"][1]) if found and found["result"] else None


def test_prometheus_scrapes_it_and_evaluates_the_rules(
    prometheus: str, redis_url: str, tmp_path: Path
) -> None:
    with arena_tui.connect(redis_url, store=False) as agent, agent.run(game="test") as run:
        run.llm_response("x", input_tokens=7, output_tokens=2, cost_usd=0.5)
    until_blocking(lambda: value(prometheus, "sum(arena_persister_stored_total)") == 3)
    until_blocking(lambda: value(prometheus, "sum(arena_tokens_total)") == 9)

    def evaluated() -> Any:
        found = asked(f"{prometheus}/rules")
        rules = found["groups"][0]["rules"] if found and found["groups"] else []
        return rules if rules and all(each["health"] == "ok" for each in rules) else None

    rules = until_blocking(evaluated)
    (target,) = asked(f"{prometheus}/targets")["activeTargets"]
    at_risk = until_blocking(
        lambda: asked(f"{prometheus}/query", query='ALERTS{alertname="ArenaServerAtRisk"}')
    )

    assert (target["health"], target["lastError"]) == ("up", "")
    assert len(rules) > 15
    firing = {each["name"] for each in rules if each["state"] == "firing"}
    assert firing <= {"ArenaServerAtRisk"}  # the shared server of tests has no AOF
    assert at_risk is not None
    assert value(prometheus, 'arena_runs{state="finished"}') == 1
    assert value(prometheus, "arena_cost_usd_total") == 0.5
    written = parsed((tmp_path / "serve.prom").read_text())
    assert 'arena_sse_clients{process="serve"}' in written


def test_the_dashboard_and_the_rules_are_printed_without_the_extra(tmp_path: Path) -> None:
    """Nor is anything opened: stdout is the file, and nothing else."""
    dashboard = arena(tmp_path, "serve", "--print-dashboard")
    rules = arena(tmp_path, "serve", "--print-rules")

    assert (dashboard.returncode, dashboard.stderr) == (0, "")
    assert json.loads(dashboard.stdout)["title"] == "arena-tui"
    assert (rules.returncode, rules.stderr) == (0, "")
    assert re.search(r"^groups:$", rules.stdout, re.MULTILINE)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", ["watch", "serve", "persist"])
def test_a_file_that_cannot_be_is_refused_at_once(tmp_path: Path, command: str) -> None:
    done = arena(tmp_path, command, "--metrics", str(tmp_path / "none" / "a.prom"))

    assert (done.returncode, done.stdout) == (2, "")
    assert len(done.stderr.splitlines()) == 1
    assert "give a file in a folder there is" in done.stderr


def test_without_the_extra_that_is_said(tmp_path: Path) -> None:
    script = "import sys; sys.modules['prometheus_client'] = None\n"
    script += "from arena_tui.cli import main; sys.exit(main(['persist', '--broker', "
    script += "'redis://127.0.0.1:1', '--metrics', 'a.prom']))"

    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, env=surroundings(tmp_path),
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip

    assert done.returncode == 2
    assert done.stderr == (
        "arena-tui: --metrics needs prometheus_client: pip install 'arena-tui[serve]'\n"
    )
