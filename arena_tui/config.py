"""Settings: flags over environment (`ARENA_*`) over a TOML file over defaults. Opens nothing."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from msgspec import Struct
from platformdirs import PlatformDirs

from arena_tui.errors import UsageError

__all__ = [
    "Config",
    "config_path",
    "load_config",
    "log_path",
    "redacted",
    "redis_path",
    "store_path",
]

_DIRS: Final = PlatformDirs("arena-tui", appauthor=False)
_TEXTS: Final = ("broker", "db", "theme")
_SCHEMES: Final = ("memory:",)
_PASSWORD: Final = re.compile(r"(://[^:@/]*:).*@", re.DOTALL)
_QUERY_PASSWORD: Final = re.compile(r"([?&]password=)[^&]*", re.IGNORECASE)


class Config(Struct, frozen=True, kw_only=True):
    """What every command agrees on.

    Attributes:
        broker: `memory:`, the broker of this process.
        db: The store's file, or `:memory:`; None: no store, live only.
        theme: Name of a Textual theme; None: the app's own.
    """

    broker: str = "memory:"
    db: str | None = None
    theme: str | None = None


def store_path() -> Path:
    """Default store."""
    return Path(_DIRS.user_data_dir) / "arena.duckdb"


def redis_path() -> Path:
    """Where the servers that `arena-tui redis` starts keep their data, a folder a port."""
    return Path(_DIRS.user_data_dir) / "redis"


def config_path(environment: Mapping[str, str] = os.environ) -> Path:
    """Settings file; `ARENA_CONFIG` names another."""
    return Path(environment.get("ARENA_CONFIG") or Path(_DIRS.user_config_dir) / "config.toml")


def log_path() -> Path:
    """Log file; `ARENA_LOG` names another."""
    return Path(os.environ.get("ARENA_LOG") or Path(_DIRS.user_state_dir) / "arena-tui.log")


def load_config(
    broker: str | None = None,
    db: str | None = None,
    store: bool = True,
    theme: str | None = None,
    environment: Mapping[str, str] = os.environ,
) -> Config:
    """Settings in force; an argument that is not None is a flag and wins.

    Raises:
        UsageError: The file is not TOML or has a setting that does not exist, or the broker's
            scheme is unknown.
    """
    flags = {"broker": broker, "db": db, "theme": theme}
    given = {key: environment.get(f"ARENA_{key.upper()}") for key in _TEXTS}
    settings: dict[str, Any] = {"broker": "memory:", "db": str(store_path()), "theme": None}
    for source in (_read_file(config_path(environment)), given, flags):
        settings.update({key: value for key, value in source.items() if value})
    scheme = settings["broker"].partition(":")[0] + ":"
    if settings["broker"] != "memory:":
        raise UsageError(
            f"unknown broker {redacted(settings['broker'])!r} (scheme {scheme!r}): use "
            + " or ".join(_SCHEMES)
        )
    if not store:
        settings["db"] = None
    elif settings["db"] != ":memory:":
        settings["db"] = str(Path(settings["db"]).expanduser())
    return Config(**settings)


def redacted(url: str) -> str:
    """The URL without its password, wherever that ends: it may hold any character."""
    return _QUERY_PASSWORD.sub(r"\1…", _PASSWORD.sub(r"\1…@", url))


def _read_file(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            settings = tomllib.load(file)
    except FileNotFoundError:
        return {}
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"cannot read {path}: {error}: mend or remove it") from None
    for key, value in settings.items():
        if key not in _TEXTS or not isinstance(value, str):
            raise UsageError(f"{path}: no setting {key!r} as text: use {', '.join(_TEXTS)}")
    return settings
