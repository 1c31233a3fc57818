"""`doctor`: checks the installation and says where everything is."""

from __future__ import annotations

import argparse
import contextlib
import os
import platform
import shutil
import sys
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from arena_tui import __version__
from arena_tui.broker_url import BrokerUrl
from arena_tui.cli.arguments import Parser
from arena_tui.cli.doctor_store import store_findings
from arena_tui.cli.findings import Finding, say_finding
from arena_tui.cli.listening import listening_at
from arena_tui.config import config_path, load_config, log_path
from arena_tui.consumers.entry_points import Declared, declared
from arena_tui.errors import ConsumerError, MissingExtraError, UsageError
from arena_tui.services.http.address import Address

_FREE_MIN = 500_000_000
_NO_ENGINE = "no stockfish on PATH: the agent uci:PATH names an engine elsewhere"


def add_arguments(parser: Parser) -> None:
    parser.set_defaults(function=doctor)


def doctor(arguments: argparse.Namespace) -> int:
    """Print every finding; returns 1 when one is not ok."""
    config = load_config(arguments.broker, arguments.db)
    assert config.db is not None
    settings = config_path()
    findings = [
        Finding("arena-tui", True, __version__),
        Finding("python", True, f"{platform.python_version()} {sys.executable}"),
        *(_package(name) for name in ("textual", "duckdb", "msgspec")),
        _games(),
        Finding("uci", True, shutil.which("stockfish") or _NO_ENGINE),
        *_broker(config.broker),
        Finding("settings", True, f"{settings}{'' if settings.exists() else ' (none)'}"),
        *store_findings(config.db),
        *_consumers(),
        _http(),
        _disk(config.db),
        Finding("log", True, str(log_path())),
        _terminal(),
    ]
    for finding in findings:
        say_finding(finding, arguments.json)
    return 0 if all(finding.ok for finding in findings) else 1


def _broker(url: BrokerUrl) -> list[Finding]:
    if url.kind == "memory":
        return [Finding("broker", True, f"{url} (in this process)")]
    from arena_tui.cli.doctor_redis import redis_findings

    return redis_findings(url)


def _package(name: str) -> Finding:
    try:
        return Finding(name, True, version(name))
    except PackageNotFoundError:
        return Finding(name, False, "not installed", "pip install arena-tui")


def _games() -> Finding:
    if find_spec("pyspiel") is None:
        advice = 'pip install "arena-tui[games]" for a hundred real games'
        return Finding("games", True, "only synth: open_spiel is not installed", advice)
    return Finding("games", True, f"open_spiel {version('open_spiel')}")


def _disk(path: str) -> Finding:
    folder = Path.cwd() if path == ":memory:" else Path(path).absolute().parent
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    advice = "" if free > _FREE_MIN else "make room, or give another --db"
    detail = f"{free / 1e9:,.1f} GB free in {folder}"
    return Finding("disk", not advice, detail, advice, "The disk is full" if advice else None)


def _consumers() -> list[Finding]:
    """What installed packages bring; each that cannot run is a finding of its own."""
    with contextlib.redirect_stdout(sys.stderr):  # whatever their modules print
        found = [(each, _problem(each)) for each in declared()]
    names = ", ".join(each.name for each, problem in found if problem is None)
    advice = "install what it lacks, or uninstall its package"
    return [
        *([Finding("consumers", True, names)] if names else []),
        *(
            Finding("consumers", False, f"{each.name}: {problem}", advice, "A consumer lags")
            for each, problem in found
            if problem is not None
        ),
    ]


def _problem(consumer: Declared) -> str | None:
    if consumer.refusal is None:
        try:
            consumer.load()
        except ConsumerError as error:
            return str(error)
    return consumer.refusal


def _http() -> Finding:
    try:
        listening_at(Address(), ()).check()
    except MissingExtraError as error:
        return Finding("http", True, "serve and --metrics are not installed", str(error))
    except UsageError as error:
        return Finding("http", False, "serve does not start", str(error))
    return Finding("http", True, "serve can be started")


def _terminal() -> Finding:
    if not sys.stdout.isatty():
        return Finding("terminal", True, "not a terminal")
    size = shutil.get_terminal_size()
    colours = os.environ.get("COLORTERM") or os.environ.get("TERM", "unknown")
    encoding = (sys.stdout.encoding or "").lower()
    ok = "utf" in encoding and size.columns >= 60 and size.lines >= 16
    advice = "" if ok else "use a UTF-8 terminal of at least 60 by 16"
    return Finding("terminal", ok, f"{size.columns} by {size.lines}, {colours}, {encoding}", advice)
