"""How `bench` shows figures to people."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final, TypeVar

from arena_tui.cli.output import say, say_table

if TYPE_CHECKING:
    from arena_tui.bench.measure import Figure

_F = TypeVar("_F", bound="Figure")

_HEADER: Final = ("figure", "value", "beside", "value", "ratio", "goal", "")


def say_figures(target: str, figures: Sequence[Figure], busy: str | None) -> None:
    """A table of one target's figures; `busy` says why the machine was."""
    rounds = "one round" if figures[0].rounds == 1 else f"medians of {figures[0].rounds} rounds"
    say(f"{target}, {rounds}")
    rows: list[tuple[str, ...]] = []
    for each, repeated in _with_repeats(figures):
        own = ("", "") if repeated else (each.figure, _text(each.value, each.unit))
        peer = (each.peer, _text(each.peer_value, each.unit), _ratio(each.ratio))
        rows.append((*own, *peer, each.goal or "", _verdict(each)))
    say_table(_HEADER, rows)
    if busy:
        say(f"the machine is busy: {busy}")
    say()


def _with_repeats(figures: Iterable[_F]) -> Iterable[tuple[_F, bool]]:
    """Each, and whether the one before is the same figure beside another peer."""
    previous = ""
    for each in figures:
        yield each, each.figure == previous
        previous = each.figure


def _verdict(figure: Figure) -> str:
    if figure.met is not None:
        return "met" if figure.met else "not met"
    return "no verdict" if figure.goal else ""


def _text(value: float, unit: str) -> str:
    size = abs(value)
    digits = 0 if size >= 100 or not size else 1 if size >= 10 else 2 if size >= 1 else 3
    return f"{value:,.{digits}f} {unit}"


def _ratio(ratio: float) -> str:
    """`12 ×`, `1.3 ×`, `0.021 ×`: two significant digits."""
    digits = 0 if ratio >= 10 else 1 if ratio >= 2 else 2 if ratio >= 0.1 else 3
    return f"{ratio:,.{digits}f} ×"
