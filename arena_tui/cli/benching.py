"""`bench`: measures this machine against floors and peers, in interleaved rounds."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from arena_tui.cli.arguments import Parser
from arena_tui.cli.output import harmless, say, say_json, say_table, tell
from arena_tui.errors import ArenaError, UsageError

if TYPE_CHECKING:
    from arena_tui.bench.measure import Figure, Plan, Sizes

_TARGETS: Final = ("broker", "redis", "socket", "store", "pipeline", "sse", "ui", "memory", "start")
_HEADER: Final = ("figure", "value", "beside", "value", "ratio", "goal", "")


def add_arguments(parser: Parser) -> None:
    parser.set_defaults(function=bench)
    parser.add_argument(
        "what", nargs="*", metavar="WHAT", help=f"{', '.join(_TARGETS)}; default all"
    )
    parser.add_argument(
        "--rounds", type=int, default=5, metavar="N", help="medians are of N rounds"
    )
    parser.add_argument(
        "--seconds", type=float, metavar="S", help="how long memory is watched; default 60"
    )
    parser.add_argument(
        "--curve", type=Path, metavar="FILE", help="memory over time, as a picture (SVG)"
    )


def bench(arguments: argparse.Namespace, sizes: Sizes | None = None) -> int:
    """Measure and print; returns 1 when a measurement failed to run, goals met or not.

    Temporary stores are created beside `--db`, else in the system's temporary folder.
    """
    from arena_tui.bench.measure import Plan, Sizes

    sizes = sizes or Sizes()
    if arguments.seconds is not None:
        sizes = replace(sizes, memory_s=arguments.seconds)
    targets = list(dict.fromkeys(arguments.what)) or list(_TARGETS)
    for target in targets:
        if target not in _TARGETS:
            raise UsageError(f"nothing to measure called {target!r}: use {', '.join(_TARGETS)}")
    if arguments.rounds < 1:
        raise UsageError(f"--rounds {arguments.rounds} measures nothing: use 1 or more")
    if arguments.seconds is not None and arguments.seconds <= 0:
        raise UsageError(f"--seconds {arguments.seconds:g} measures nothing: use 1 or more")
    if arguments.curve is not None:
        _check_writable(arguments.curve)
    with tempfile.TemporaryDirectory(dir=_folder(arguments.db), prefix="arena-bench-") as folder:
        plan = Plan(
            folder=Path(folder),
            rounds=arguments.rounds,
            sizes=sizes,
            note=_show_progress,
            warn=lambda text: tell(f"arena-tui: {text}"),
            curve=arguments.curve,
        )
        done = [_measure(target, plan, arguments) for target in targets]
    return 0 if all(done) else 1


def _folder(db: str | None) -> Path | None:
    if db is None or db == ":memory:":
        return None
    folder = Path(db).expanduser().absolute().parent
    if not folder.is_dir():
        raise UsageError(f"no folder {folder} to make temporary stores in: give another --db")
    return folder


def _check_writable(path: Path) -> None:
    """Now, not when everything is measured."""
    place = path if path.exists() else path.absolute().parent
    if path.is_dir() or not place.exists() or not os.access(place, os.W_OK):
        raise UsageError(f"cannot write {path}: give a file in a folder that may be written")


def _measure(target: str, plan: Plan, arguments: argparse.Namespace) -> bool:
    """Measure one of `_TARGETS` and print it; returns whether it ran to its end."""
    measure: Callable[[Plan], Iterator[Figure]] = getattr(
        import_module(f"arena_tui.bench.{target}"), f"measure_{target}"
    )
    figures: list[Figure] = []
    try:
        for figure in measure(plan):
            if arguments.json:
                _show_progress("")
                say_json(figure)
                sys.stdout.flush()
            figures.append(figure)
    except (ArenaError, OSError) as error:
        if arguments.debug:
            raise
        _show_progress("")
        tell(f"arena-tui: {target} could not be measured to its end: {error}")
        return False
    finally:
        _show_progress("")
        if figures and not arguments.json:
            _say_figures(target, figures)
    return True


def _say_figures(target: str, figures: list[Figure]) -> None:
    rounds = "one round" if figures[0].rounds == 1 else f"medians of {figures[0].rounds} rounds"
    say(f"{target}, {rounds}")
    rows: list[tuple[str, ...]] = []
    previous = ""
    for each in figures:
        repeated = each.figure == previous
        previous = each.figure
        own = ("", "") if repeated else (each.figure, _text(each.value, each.unit))
        peer = (each.peer, _text(each.peer_value, each.unit), _ratio(each.ratio))
        met = {True: "met", False: "not met", None: ""}[each.met]
        rows.append((*own, *peer, each.goal or "", met))
    say_table(_HEADER, rows)
    say()


def _text(value: float, unit: str) -> str:
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2 if abs(value) >= 1 else 3
    return f"{value:,.{digits}f} {unit}"


def _ratio(ratio: float) -> str:
    """`12 ×`, `1.3 ×`, `0.021 ×`: two significant digits."""
    digits = 0 if ratio >= 10 else 1 if ratio >= 2 else 2 if ratio >= 0.1 else 3
    return f"{ratio:,.{digits}f} ×"


def _show_progress(text: str) -> None:
    """Show progress in the last line of a terminal; does nothing without one."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\x1b[K{harmless(text)}")
        sys.stderr.flush()
