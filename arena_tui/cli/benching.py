"""`bench`: measures this machine against floors and peers, in interleaved rounds."""

from __future__ import annotations

import argparse
import math
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from arena_tui.cli.arguments import Parser
from arena_tui.cli.bench_tables import say_changes, say_figures
from arena_tui.cli.output import harmless, say_json, tell
from arena_tui.errors import ArenaError, UsageError

if TYPE_CHECKING:
    from arena_tui.bench.machine import Machine
    from arena_tui.bench.measure import Figure, Plan, Sizes
    from arena_tui.bench.saved import Saved

_TARGETS: Final = (
    "broker", "redis", "socket", "store", "pipeline", "sse", "ui", "history", "flood", "memory",
    "start",
)  # fmt: skip
_WATCHED: Final = ("flood", "memory")
"""Those that last as long as is asked."""


def add_arguments(parser: Parser) -> None:
    parser.set_defaults(function=bench)
    parser.add_argument(
        "what", nargs="*", metavar="WHAT", help=f"{', '.join(_TARGETS)}; default all"
    )
    parser.add_argument(
        "--rounds", type=int, default=5, metavar="N", help="medians are of N rounds"
    )
    parser.add_argument(
        "--seconds", type=float, metavar="S",
        help="how long a flood lasts (default 10) and memory is watched (default 60)",
    )  # fmt: skip
    parser.add_argument(
        "--curve", type=Path, metavar="FILE", help="draw memory over time as a picture (SVG)"
    )
    parser.add_argument(
        "--save", type=Path, metavar="FILE", help="write all figures, for --against"
    )
    parser.add_argument(
        "--against", type=Path, metavar="FILE", help="show the ratio to each saved figure, too"
    )


def bench(arguments: argparse.Namespace, sizes: Sizes | None = None) -> int:
    """Measure and print; returns 1 when a measurement failed to run, goals met or not.

    Temporary stores are created beside `--db`, else in the system's temporary folder.
    """
    from arena_tui.bench.machine import Machine
    from arena_tui.bench.measure import Plan, Sizes
    from arena_tui.bench.saved import read_saved, save

    targets = _targets(arguments)
    saved = read_saved(arguments.against) if arguments.against else None
    sizes = sizes or Sizes()
    if arguments.seconds is not None:
        sizes = replace(sizes, flood_s=arguments.seconds, memory_s=arguments.seconds)
    with tempfile.TemporaryDirectory(dir=_folder(arguments.db), prefix="arena-bench-") as folder:
        plan = Plan(
            folder=Path(folder),
            rounds=arguments.rounds,
            sizes=sizes,
            note=_show_progress,
            tell=_tell,
            curve=arguments.curve,
        )
        measuring = _Measuring(plan, Machine(), arguments, saved)
        done = [measuring.measure(target) for target in targets]
    if arguments.save:
        save(arguments.save, measuring.figures)
    return 0 if all(done) else 1


def _targets(arguments: argparse.Namespace) -> list[str]:
    """What to measure; raises UsageError if any argument makes no sense."""
    targets = list(dict.fromkeys(arguments.what)) or list(_TARGETS)
    for target in targets:
        if target not in _TARGETS:
            raise UsageError(f"nothing to measure called {target!r}: use {', '.join(_TARGETS)}")
    if arguments.rounds < 1:
        raise UsageError(f"--rounds {arguments.rounds} measures nothing: use 1 or more")
    seconds = arguments.seconds
    if seconds is not None and not (seconds > 0 and math.isfinite(seconds)):
        raise UsageError(f"--seconds {seconds:g} measures nothing: use 1 or more")
    if seconds is not None and not set(_WATCHED) & set(targets):
        raise UsageError(f"--seconds is for {' and '.join(_WATCHED)}: measure one of them")
    if arguments.curve and "memory" not in targets:
        raise UsageError("--curve is for memory: measure that")
    for path in filter(None, (arguments.curve, arguments.save)):
        _check_writable(path)
    return targets


def _check_writable(path: Path) -> None:
    """Now, not when everything is measured."""
    place = path if path.exists() else path.absolute().parent
    if path.is_dir() or not os.access(place, os.W_OK):
        raise UsageError(f"cannot write {path}: give a file in a folder that may be written")


def _folder(db: str | None) -> Path | None:
    if db is None or db == ":memory:":
        return None
    folder = Path(db).expanduser().absolute().parent
    if not folder.is_dir():
        raise UsageError(f"no folder {folder} to make temporary stores in: give another --db")
    return folder


class _Measuring:
    """Measures one target after another, and prints each.

    Attributes:
        figures: All so far.
    """

    def __init__(
        self, plan: Plan, machine: Machine, arguments: argparse.Namespace, saved: Saved | None
    ) -> None:
        self._plan = plan
        self._machine = machine
        self._arguments = arguments
        self._saved = saved
        self.figures: list[Figure] = []

    def measure(self, target: str) -> bool:
        """Measure one of `_TARGETS` and print it; returns whether it ran to its end."""
        measure: Callable[[Plan], Iterator[Figure]] = getattr(
            import_module(f"arena_tui.bench.{target}"), f"measure_{target}"
        )
        figures: list[Figure] = []
        self._machine.begin()
        try:
            for figure in measure(self._plan):
                figures.append(figure.judged(self._machine.busy()))
                if self._arguments.json:
                    self._say_json(figures[-1])
        except (ArenaError, OSError) as error:
            if self._arguments.debug:
                raise
            _tell(f"{target} could not be measured to its end: {error}")
            return False
        finally:
            _show_progress("")
            self.figures += figures
            if figures and not self._arguments.json:
                self._say_tables(target, figures)
        return True

    def _say_json(self, figure: Figure) -> None:
        _show_progress("")
        say_json(figure if self._saved is None else self._saved.beside(figure))
        sys.stdout.flush()

    def _say_tables(self, target: str, figures: list[Figure]) -> None:
        say_figures(target, figures, self._machine.busy())
        if self._saved is not None:
            say_changes([self._saved.beside(each) for each in figures], self._saved)


def _tell(text: str) -> None:
    _show_progress("")
    tell(f"arena-tui: {text}")


def _show_progress(text: str) -> None:
    """Show progress in the last line of a terminal; does nothing without one."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\x1b[K{harmless(text)}")
        sys.stderr.flush()
