"""`doctor`: checks the installation and says where everything is."""

from __future__ import annotations

import argparse
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
from arena_tui.cli.findings import Finding, say_finding
from arena_tui.config import config_path, load_config, log_path
from arena_tui.errors import StoreError, StoreLockedError

_FREE_MIN = 500_000_000


def add_arguments(parser: Parser) -> None:
    """The arguments of `doctor`."""
    parser.set_defaults(function=doctor)


def doctor(arguments: argparse.Namespace) -> int:
    """Print every finding; returns 1 when one is not ok."""
    config = load_config(arguments.broker, arguments.db)
    assert config.db is not None
    findings = [
        Finding(check="arena-tui", ok=True, detail=__version__),
        _python(),
        *(_package(name) for name in ("textual", "duckdb", "msgspec")),
        _games(),
        _chess_engine(),
        *_broker(config.broker),
        _settings(),
        _store(config.db),
        _disk(config.db),
        _log(),
        _terminal(),
    ]
    for finding in findings:
        say_finding(finding, arguments.json)
    return 0 if all(finding.ok for finding in findings) else 1


def _broker(url: BrokerUrl) -> list[Finding]:
    if url.kind == "memory":
        return [Finding(check="broker", ok=True, detail=f"{url} (in this process)")]
    from arena_tui.cli.doctor_redis import redis_findings

    return redis_findings(url)


def _python() -> Finding:
    return Finding(check="python", ok=True, detail=f"{platform.python_version()} {sys.executable}")


def _package(name: str) -> Finding:
    try:
        return Finding(check=name, ok=True, detail=version(name))
    except PackageNotFoundError:
        return Finding(check=name, ok=False, detail="not installed", advice="pip install arena-tui")


def _games() -> Finding:
    if find_spec("pyspiel") is None:
        return Finding(
            check="games",
            ok=True,
            detail="only synth: open_spiel is not installed",
            advice='pip install "arena-tui[games]" for a hundred real games',
        )
    return Finding(check="games", ok=True, detail=f"open_spiel {version('open_spiel')}")


def _chess_engine() -> Finding:
    path = shutil.which("stockfish")
    detail = path or "no stockfish on PATH: the agent uci:PATH names an engine elsewhere"
    return Finding(check="uci", ok=True, detail=detail)


def _settings() -> Finding:
    path = config_path()
    return Finding(check="settings", ok=True, detail=f"{path}{'' if path.exists() else ' (none)'}")


def _store(path: str) -> Finding:
    if path != ":memory:" and not Path(path).exists():
        return Finding(check="store", ok=True, detail=f"{path} (none yet)")
    from arena_tui.store.database import Database
    from arena_tui.store.schema import SCHEMA_VERSION

    try:
        database = Database(path)
    except StoreLockedError as error:
        return Finding(check="store", ok=True, detail=str(error))
    except StoreError as error:
        return Finding(check="store", ok=False, detail=str(error), advice="give another --db")
    try:
        count = database.read_now(
            lambda connection: connection.execute(
                "SELECT count(*), sum(events) FROM runs"
            ).fetchall()
        )[0]
        detail = f"{path}: {count[0]:,} runs, {count[1] or 0:,} events, "
        detail += f"{database.size_bytes / 1e6:,.1f} MB, format {SCHEMA_VERSION}"
        notices = "; ".join(map(str, database.warnings.newest()))
    finally:
        database.close()
    return Finding(check="store", ok=not notices, detail=detail, advice=notices)


def _disk(path: str) -> Finding:
    folder = Path.cwd() if path == ":memory:" else Path(path).absolute().parent
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    return Finding(
        check="disk",
        ok=free > _FREE_MIN,
        detail=f"{free / 1e9:,.1f} GB free in {folder}",
        advice="" if free > _FREE_MIN else "make room, or give another --db",
    )


def _log() -> Finding:
    return Finding(check="log", ok=True, detail=str(log_path()))


def _terminal() -> Finding:
    if not sys.stdout.isatty():
        return Finding(check="terminal", ok=True, detail="not a terminal")
    size = shutil.get_terminal_size()
    colours = os.environ.get("COLORTERM") or os.environ.get("TERM", "unknown")
    encoding = (sys.stdout.encoding or "").lower()
    ok = "utf" in encoding and size.columns >= 60 and size.lines >= 16
    advice = "" if ok else "use a UTF-8 terminal of at least 60 by 16"
    return Finding(
        check="terminal",
        ok=ok,
        advice=advice,
        detail=f"{size.columns} by {size.lines}, {colours}, {encoding}",
    )
