"""`bench`: what this machine does, beside floors and peers measured in turn with it."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Final

from arena_tui.cli.output import harmless, say, say_json, say_table, tell
from arena_tui.errors import ArenaError, UsageError

if TYPE_CHECKING:
    from arena_tui.bench.measure import Figure, Plan, Sizes

__all__ = ["bench"]

_WHATS: Final = ("broker", "redis", "store", "pipeline", "ui", "start")
_HEADER: Final = ("figure", "value", "beside", "value", "ratio", "goal", "")


def bench(arguments: argparse.Namespace, sizes: Sizes | None = None) -> int:
    """Measure and print; 1 when something failed to run, whatever the goals.

    Temporary stores are made beside `--db`, else in the system's folder for temporary files.
    """
    from arena_tui.bench.measure import Plan, Sizes

    whats = list(dict.fromkeys(arguments.what)) or list(_WHATS)
    for what in whats:
        if what not in _WHATS:
            raise UsageError(f"nothing to measure called {what!r}: use {', '.join(_WHATS)}")
    if arguments.rounds < 1:
        raise UsageError(f"--rounds {arguments.rounds} measures nothing: use 1 or more")
    with tempfile.TemporaryDirectory(dir=_folder(arguments.db), prefix="arena-bench-") as folder:
        plan = Plan(
            folder=Path(folder),
            rounds=arguments.rounds,
            sizes=sizes or Sizes(),
            note=_note,
            warn=lambda text: tell(f"arena-tui: {text}"),
        )
        done = [_measure(what, plan, arguments) for what in whats]
    return 0 if all(done) else 1


def _folder(db: str | None) -> Path | None:
    if db is None or db == ":memory:":
        return None
    folder = Path(db).expanduser().absolute().parent
    if not folder.is_dir():
        raise UsageError(f"no folder {folder} to make temporary stores in: give another --db")
    return folder


def _measure(what: str, plan: Plan, arguments: argparse.Namespace) -> bool:
    """Measure one of `_WHATS` and print it; returns whether all of it ran."""
    measure: Callable[[Plan], Iterator[Figure]] = getattr(
        import_module(f"arena_tui.bench.{what}"), f"measure_{what}"
    )
    figures: list[Figure] = []
    try:
        for figure in measure(plan):
            if arguments.json:
                _note("")
                say_json(figure)
                sys.stdout.flush()
            figures.append(figure)
    except (ArenaError, OSError) as error:
        if arguments.debug:
            raise
        _note("")
        tell(f"arena-tui: {what} could not be measured to its end: {error}")
        return False
    finally:
        _note("")
        if figures and not arguments.json:
            _say(what, figures)
    return True


def _say(what: str, figures: list[Figure]) -> None:
    rounds = "one round" if figures[0].rounds == 1 else f"medians of {figures[0].rounds} rounds"
    say(f"{what}, {rounds}")
    rows: list[tuple[str, ...]] = []
    before = ""
    for each in figures:
        same = each.figure == before
        before = each.figure
        rows.append(
            (
                "" if same else each.figure,
                "" if same else _text(each.value, each.unit),
                each.peer,
                _text(each.peer_value, each.unit),
                _ratio(each.ratio),
                each.goal or "",
                {True: "met", False: "not met", None: ""}[each.met],
            )
        )
    say_table(_HEADER, rows)
    say()


def _text(value: float, unit: str) -> str:
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2 if abs(value) >= 1 else 3
    return f"{value:,.{digits}f} {unit}"


def _ratio(ratio: float) -> str:
    """`12 ×`, `1.3 ×`, `0.021 ×`: two digits that count."""
    digits = 0 if ratio >= 10 else 1 if ratio >= 2 else 2 if ratio >= 0.1 else 3
    return f"{ratio:,.{digits}f} ×"


def _note(text: str) -> None:
    """Progress, in the last line of a terminal; nowhere else."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\x1b[K{harmless(text)}")
        sys.stderr.flush()
