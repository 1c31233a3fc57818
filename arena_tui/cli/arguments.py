"""What the arguments of several commands have in common. Imports no command."""

from __future__ import annotations

import argparse
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from arena_tui.errors import MissingExtraError, UsageError
from arena_tui.store.place import check_apart

if TYPE_CHECKING:
    from arena_tui.broker_url import BrokerUrl
    from arena_tui.config import Config
    from arena_tui.consumers.protocol import ConsumerFactory


class Parser(argparse.ArgumentParser):
    """Reports wrong usage in one line that points to --help.

    Attributes:
        intermixed: Whether options may stand between the positional arguments, of which there are
            several.
    """

    intermixed = False

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        if not self.intermixed:
            return super().parse_known_args(args, namespace)
        self.intermixed = False  # it is called again, for the options alone and for the rest
        try:
            return self.parse_known_intermixed_args(args, namespace)
        finally:
            self.intermixed = True

    def error(self, message: str) -> None:  # type: ignore[override]
        from arena_tui.broker_url import redacted

        text = f"arena-tui: {redacted(message)}: see {self.prog} --help"
        print(text, file=sys.stderr)  # noqa: T201
        raise SystemExit(UsageError.exit_code)


def add_common(parser: Parser) -> None:
    """What all commands take; and `store_options`, how another store is given, and how none."""
    parser.set_defaults(store_options=("--db",))
    parser.add_argument(
        "--broker",
        metavar="URL",
        type=_broker,
        help="memory:, redis://…, rediss://…, unix://… (ARENA_BROKER)",
    )
    parser.add_argument("--db", metavar="PATH", help="the store's file, or :memory: (ARENA_DB)")
    parser.add_argument("--json", action="store_true", help="one JSON object a line, nothing else")
    parser.add_argument("--debug", action="store_true", help="a traceback with an error")


def add_no_store(parser: Parser, help_text: str) -> None:
    """`--no-store`, which sets `store` to False."""
    parser.set_defaults(store_options=("--db", "--no-store"))
    parser.add_argument("--no-store", dest="store", action="store_false", help=help_text)


def add_no_consumers(parser: Parser) -> None:
    """`--no-consumers`, which sets `installed` to False."""
    parser.add_argument(
        "--no-consumers", dest="installed", action="store_false",
        help="leave out the consumers that installed packages bring",
    )  # fmt: skip


def add_consumers(parser: Parser) -> None:
    """`--record`, which adds a factory to the list `consumers`."""
    parser.add_argument(
        "--record",
        dest="consumers",
        action="append",
        default=[],
        type=_recording,
        metavar="FILE",
        help="append every event to this file, too, as a JSON line; goes on where it stopped",
    )


def add_follow(parser: Parser) -> None:
    """`--follow`, which makes the list `follow` of names; see `followable`."""
    parser.add_argument(
        "--follow",
        metavar="FILE",
        action="extend",
        nargs="+",
        default=[],
        help="show and store the events in files of JSON lines, as they grow",
    )


def followable(name: str, config: Config) -> Path:
    """The path of a file to follow, which need not exist yet.

    Raises:
        UsageError: The broker is not in this process, or the path is not a file.
    """
    if config.broker.kind != "memory":
        raise UsageError(
            "--follow reads into a broker of this process only: "
            f"use arena-tui publish {name} --broker {config.broker}"
        )
    if name == "-":
        raise UsageError("--follow takes files: write to one, or pipe into arena-tui publish")
    path = Path(name).expanduser()
    if path.is_dir():
        raise UsageError(f"{name} is a folder: give a file of JSON lines")
    return path


def add_low_bandwidth(parser: Parser) -> None:
    """`--low-bandwidth`, of what shows the dashboard."""
    parser.add_argument(
        "--low-bandwidth",
        action="store_true",
        help="send as little as possible to the terminal: two frames a second, fewer figures and "
        "colours (ARENA_LOW_BANDWIDTH); over SSH by itself when the line is slow",
    )


def add_metrics(parser: Parser) -> None:
    """`--metrics`, a path or None."""
    parser.add_argument(
        "--metrics",
        type=_writable,
        metavar="FILE",
        help="write metrics to this file every 5 s, for Prometheus's node exporter, whose textfile "
        "collector reads only names that end in .prom; the last one stays",
    )


def check_metrics(path: Path | None, config: Config) -> None:
    """Refuse metrics that cannot be made (MissingExtraError), or would replace the store
    (UsageError)."""
    if path is None:
        return
    if find_spec("prometheus_client") is None:
        raise MissingExtraError("--metrics needs prometheus_client: pip install 'arena-tui[serve]'")
    check_apart(path, config.db)


def _writable(file: str) -> Path:
    path = Path(file).expanduser()
    if not file or path.is_dir() or not path.parent.is_dir():
        raise argparse.ArgumentTypeError(f"cannot write {file!r}: give a file in a folder there is")
    return path


def _recording(file: str) -> ConsumerFactory:
    from arena_tui.consumers.lines import recording

    return recording(Path(file))


def add_playing(parser: Parser) -> None:
    """How games are played: `--seed`, `--max-turns`, `--delay`, `--label`."""
    parser.add_argument("--seed", type=int, metavar="N", help="same seed, same games")
    parser.add_argument("--max-turns", type=int, metavar="N", help="stop a game there")
    parser.add_argument(
        "--delay", type=float, default=0.0, metavar="S", help="seconds between turns"
    )
    parser.add_argument("--label", type=as_text, metavar="L", help="shown with the runs")


def as_text(word: str) -> str:
    """A type of argument: text in UTF-8, whatever the locale takes it for; not for paths."""
    return word.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def whole_number(text: str) -> int:
    """A type of argument: a number from 0."""
    if not text.isascii() or not text.isdigit():
        raise argparse.ArgumentTypeError(f"{text[:20]!r} is not a number from 0")
    return int(text)


def _broker(text: str) -> BrokerUrl:
    from arena_tui.broker_url import BrokerUrl

    return BrokerUrl(text)
