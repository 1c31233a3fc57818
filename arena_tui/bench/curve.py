"""Draws figures over time as a picture (SVG). Measures nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from itertools import count
from typing import Final, TypeAlias

Points: TypeAlias = Sequence[tuple[float, float]]
"""Seconds since the beginning, and the figure then; in order of time."""

_WIDTH, _HEIGHT = 800, 400
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 24, 56, 48
_STEPS: Final = 6
"""Most lines of the grid, either way."""
_COLOURS: Final = ("#0969da", "#bc4c00", "#57606a")
_MINUTE_S, _HOUR_S = 60, 3_600


def draw_curves(title: str, unit: str, curves: Mapping[str, Points]) -> str:
    """A picture of one curve or more, with axes from 0; `unit` is that of the upright one."""
    seconds = max(1e-9, *(at for points in curves.values() for at, _ in points))
    step = _round_up(max(1e-9, *(y for points in curves.values() for _, y in points)) / _STEPS)
    top = step * _STEPS
    return "\n".join(
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" '
            'font-family="sans-serif" font-size="12" fill="#57606a">',
            f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#ffffff"/>',
            f'<text x="{_LEFT}" y="20" font-size="14" fill="#24292f">{escape(title)}</text>',
            *_grid(seconds, step, unit),
            *_lines(curves, seconds, top),
            "</svg>\n",
        )
    )


def _grid(seconds: float, step: float, unit: str) -> Iterator[str]:
    """Lines across with their values at the left, and the time below."""
    for number in range(_STEPS + 1):
        y = _y(number, _STEPS)
        yield f'<path d="M{_LEFT} {y:.1f}H{_WIDTH - _RIGHT}" stroke="#d0d7de"/>'
        value = f"{number * step:g}" + (f" {unit}" if number == _STEPS else "")
        yield f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{escape(value)}</text>'
    scale, name = (
        (1, "s") if seconds <= 3 * _MINUTE_S
        else (_MINUTE_S, "min") if seconds <= 3 * _HOUR_S
        else (_HOUR_S, "h")
    )  # fmt: skip
    step_s = _round_up(seconds / scale / _STEPS) * scale
    for number in count():
        if (at := number * step_s) > seconds:
            return
        text = f"{at / scale:g} {name}"
        x = _x(at, seconds)
        yield f'<text x="{x:.1f}" y="{_HEIGHT - 24}" text-anchor="middle">{text}</text>'


def _lines(curves: Mapping[str, Points], seconds: float, top: float) -> Iterator[str]:
    """Each curve, and its name in its colour above all of them."""
    x = float(_LEFT)
    for number, (name, points) in enumerate(curves.items()):
        colour = _COLOURS[number % len(_COLOURS)]
        path = " ".join(f"{_x(at, seconds):.1f},{_y(value, top):.1f}" for at, value in points)
        yield f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.5"/>'
        yield f'<text x="{x:.0f}" y="42" fill="{colour}">{escape(name)}</text>'
        x += 24 + 7 * len(name)


def _x(at: float, seconds: float) -> float:
    return _LEFT + at / seconds * (_WIDTH - _LEFT - _RIGHT)


def _y(value: float, top: float) -> float:
    return _HEIGHT - _BOTTOM - value / top * (_HEIGHT - _TOP - _BOTTOM)


def _round_up(step: float) -> float:
    """The next of 1, 2, 5, 10, 20, 50, … and of their tenths, hundredths, …"""
    power = 1.0
    while power > step:
        power /= 10
    while power * 10 <= step:
        power *= 10
    return next(power * each for each in (1, 2, 5, 10) if power * each >= step)
