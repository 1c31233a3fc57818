"""Settings: flags over environment over a TOML file over defaults. Opens nothing.

Environment variables are `ARENA_*`; `REDIS_URL` is the fallback for `ARENA_BROKER`, and
`REDIS_PASSWORD` the password for a URL that has none.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from msgspec import Struct
from platformdirs import PlatformDirs

from arena_tui.broker_url import BrokerUrl
from arena_tui.errors import UsageError
from arena_tui.events import EVENT_CEILING_BYTES, EVENT_MAX_BYTES
from arena_tui.settings import TABLES, Gauges, Keys, Notify, Prices, TroubleLimits, read_table

_DIRS: Final = PlatformDirs("arena-tui", appauthor=False)
_KEYS: Final = ("broker", "db", "theme", "event_max_bytes", "low_bandwidth")
_SWITCH: Final = {True: True, False: False, "true": True, "1": True, "false": False, "0": False}
_TYPES: Final = {"event_max_bytes": int | str, "low_bandwidth": bool | str}
"""Of settings in the file that may be given as something else than text."""
_EVENT_LEAST_BYTES: Final = 64 * 1024


class Config(Struct, frozen=True, kw_only=True):
    """Settings shared by all commands.

    Attributes:
        broker: URL of the broker.
        db: The store's file, or `:memory:`; None: no store, live only.
        theme: Name of a Textual theme; None: the app's own.
        event_max_bytes: Largest event that producers may publish, in bytes of JSON.
        low_bandwidth: Whether the dashboard sends as little as it can to the terminal.
        gauges: When a gauge is marked; only in the file, as all tables.
        prices: What models cost, where their producers do not say.
        trouble: When a run is in trouble.
        notify: What happens then.
        keys: Other keys for actions of the dashboard.
    """

    broker: BrokerUrl = BrokerUrl()
    db: str | None = None
    theme: str | None = None
    event_max_bytes: int = EVENT_MAX_BYTES
    low_bandwidth: bool = False
    gauges: Gauges = Gauges()
    prices: Prices = ()
    trouble: TroubleLimits = TroubleLimits()
    notify: Notify = Notify()
    keys: Keys = ()


def store_path() -> Path:
    """Default store file."""
    return Path(_DIRS.user_data_dir) / "arena.duckdb"


def redis_path() -> Path:
    """Data folder of the servers that `arena-tui redis` starts, with a subfolder for each port."""
    return Path(_DIRS.user_data_dir) / "redis"


def consumers_path() -> Path:
    """Folder of the consumers' own state, with a subfolder for each."""
    return Path(_DIRS.user_data_dir) / "consumers"


def config_path(environment: Mapping[str, str] = os.environ) -> Path:
    """Settings file; `ARENA_CONFIG` names another."""
    return Path(environment.get("ARENA_CONFIG") or Path(_DIRS.user_config_dir) / "config.toml")


def log_path() -> Path:
    """Log file; `ARENA_LOG` names another."""
    return Path(os.environ.get("ARENA_LOG") or Path(_DIRS.user_state_dir) / "arena-tui.log")


def copy_path() -> Path:
    """File for what is to be copied where there is no clipboard; beside the log."""
    return log_path().with_name("copied.json")


def queries_path() -> Path:
    """File of what was asked of stores in SQL; beside the log."""
    return log_path().with_name("queries.jsonl")


def filters_path() -> Path:
    """File of the filters that were saved; beside the log."""
    return log_path().with_name("filters.json")


def load_config(
    broker: str | BrokerUrl | None = None,
    db: str | None = None,
    store: bool = True,
    theme: str | None = None,
    environment: Mapping[str, str] = os.environ,
    low_bandwidth: bool = False,
) -> Config:
    """Load the settings; arguments are the flags, and one that is not None takes precedence.

    Raises:
        UsageError: The file is not TOML or has an unknown setting, or the broker's URL is invalid.
    """
    try:
        return _load(broker, db, store, theme, environment, low_bandwidth)
    except UsageError as error:
        problem = str(error)
    del broker, environment  # keep passwords out of tracebacks that show locals
    raise UsageError(problem)


def _load(
    broker: str | BrokerUrl | None,
    db: str | None,
    store: bool,
    theme: str | None,
    environment: Mapping[str, str],
    low_bandwidth: bool,
) -> Config:
    path = config_path(environment)
    given = {key: environment.get(f"ARENA_{key.upper()}") for key in _KEYS}
    origin = ""
    settings: dict[str, Any] = {
        "broker": "memory:", "db": str(store_path()), "theme": None,
        "event_max_bytes": EVENT_MAX_BYTES, "low_bandwidth": False,
    }  # fmt: skip
    for name, source in (
        (f"{path}: ", _read_file(path)),
        ("REDIS_URL: ", {"broker": environment.get("REDIS_URL")}),
        ("ARENA_BROKER: ", given),
        ("", {"broker": broker, "db": db, "theme": theme, "low_bandwidth": low_bandwidth}),
    ):
        settings.update({key: value for key, value in source.items() if value})
        origin = name if source.get("broker") else origin
    url = settings["broker"]
    url = url if isinstance(url, BrokerUrl) else BrokerUrl(url)
    if url.problem is not None:
        raise UsageError(origin + url.problem)
    settings["broker"] = url.or_password(environment.get("REDIS_PASSWORD"))
    if not store:
        settings["db"] = None
    elif settings["db"] != ":memory:":
        settings["db"] = str(Path(settings["db"]).expanduser())
    settings["event_max_bytes"] = _event_max_bytes(settings["event_max_bytes"])
    settings["low_bandwidth"] = _switch("low_bandwidth", settings["low_bandwidth"])
    return Config(**settings)


def _event_max_bytes(given: int | str) -> int:
    try:
        value = int(given)
    except ValueError:
        value = 0
    if not _EVENT_LEAST_BYTES <= value <= EVENT_CEILING_BYTES:
        raise UsageError(
            f"event_max_bytes {given!r:.40} is not usable: give a number of bytes from "
            f"{_EVENT_LEAST_BYTES:,} to {EVENT_CEILING_BYTES:,}, without commas"
        )
    return value


def _switch(name: str, given: bool | str) -> bool:
    if given not in _SWITCH:
        raise UsageError(f"{name} {given!r:.40} is not usable: say true or false")
    return _SWITCH[given]


def _read_file(path: Path) -> dict[str, Any]:
    try:
        settings = tomllib.loads(path.read_bytes().decode("utf-8-sig"))
    except FileNotFoundError:
        return {}
    except UnicodeDecodeError:
        raise UsageError(f"{path} is not in UTF-8: save it as that, or remove it") from None
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"cannot read {path}: {error}: mend or remove it") from None
    for key, value in settings.items():
        if key in TABLES:
            try:
                settings[key] = read_table(key, value)
            except UsageError as error:
                raise UsageError(f"{path}: {error}") from None
            continue
        wanted = _TYPES.get(key, str)
        if key not in _KEYS or not isinstance(value, wanted):
            raise UsageError(
                f"{path}: no setting {key!r} as text: use {', '.join((*_KEYS, *TABLES))}"
            )
    return settings
