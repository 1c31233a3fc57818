"""How `bench` shows figures to people."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final, TypeVar

from arena_tui.cli.output import say, say_table

if TYPE_CHECKING:
    from arena_tui.bench.measure import Figure
    from arena_tui.bench.saved import Compared, Saved

_F = TypeVar("_F", bound="Figure")

_HEADER: Final = ("figure", "value", "beside", "value", "ratio", "goal", "")
_AGAINST: Final = ("figure", "value", "saved", "ratio", "beside", "value", "saved", "ratio")


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


def say_changes(figures: Sequence[Compared], saved: Saved) -> None:
    """A table of the same figures beside those that were saved."""
    say(f"beside what was saved by {saved}")
    rows: list[tuple[str, ...]] = []
    for each, repeated in _with_repeats(figures):
        own = _change(each.value, each.saved_value, each.change, each.unit)
        peer = _change(each.peer_value, each.saved_peer_value, each.peer_change, each.unit)
        rows.append((*(("",) * 4 if repeated else (each.figure, *own)), each.peer, *peer))
    say_table(_AGAINST, rows)
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


def _change(
    value: float, saved: float | None, change: float | None, unit: str
) -> tuple[str, str, str]:
    if saved is None or change is None:
        return _text(value, unit), "–", "–"
    return _text(value, unit), _text(saved, unit), _ratio(change)


def _text(value: float, unit: str) -> str:
    size = abs(value)
    digits = 0 if size >= 100 or not size else 1 if size >= 10 else 2 if size >= 1 else 3
    return f"{value:,.{digits}f} {unit}"


def _ratio(ratio: float) -> str:
    """`12 ×`, `1.3 ×`, `0.021 ×`: two significant digits."""
    digits = 0 if ratio >= 10 else 1 if ratio >= 2 else 2 if ratio >= 0.1 else 3
    return f"{ratio:,.{digits}f} ×"
