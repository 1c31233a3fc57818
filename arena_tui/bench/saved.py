"""Figures in a file, to be compared with those of another build. Measures nothing."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from pathlib import Path

import msgspec
from msgspec import Struct
from msgspec.structs import asdict

from arena_tui import __version__
from arena_tui.bench.measure import BenchError, Figure, ratio_of
from arena_tui.errors import UsageError


class Saved(Struct, frozen=True, kw_only=True):
    """All figures of one call of `bench`, and of what they are."""

    version: str
    python: str
    cores: int
    figures: tuple[Figure, ...]

    def __str__(self) -> str:
        """`arena-tui 0.1.0, Python 3.12.3, 2 cores`."""
        return f"arena-tui {self.version}, Python {self.python}, {self.cores} cores"

    def beside(self, figure: Figure) -> Compared:
        """The figure with the saved one of the same name and peer."""
        key = (figure.what, figure.figure, figure.peer)
        saved = next((each for each in self.figures if (each.what, each.figure, each.peer) == key),
                     None)  # fmt: skip
        if saved is None:
            return Compared(**asdict(figure))
        return Compared(
            **asdict(figure),
            saved_value=saved.value,
            change=ratio_of(figure.value, saved.value),
            saved_peer_value=saved.peer_value,
            peer_change=ratio_of(figure.peer_value, saved.peer_value),
        )


class Compared(Figure, frozen=True, kw_only=True):
    """A figure beside a saved one; None throughout if none of this name and peer was saved.

    Attributes:
        change, peer_change: Ratios, this value to the saved one.
    """

    saved_value: float | None = None
    change: float | None = None
    saved_peer_value: float | None = None
    peer_change: float | None = None


def save(path: Path, figures: Sequence[Figure]) -> None:
    """Write them; raises BenchError if that fails."""
    saved = Saved(
        version=__version__, python=platform.python_version(), cores=os.cpu_count() or 1,
        figures=tuple(figures),
    )  # fmt: skip
    try:
        path.write_bytes(msgspec.json.format(msgspec.json.encode(saved)) + b"\n")
    except OSError as error:
        raise BenchError(f"cannot write {path}: {error.strerror}: give another --save") from error


def read_saved(path: Path) -> Saved:
    """Read what `save` wrote.

    Raises:
        UsageError: There is no such file, or it is another one.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=Saved)
    except OSError as error:
        why = error.strerror or "it cannot be read"
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        why = str(error)
    raise UsageError(f"cannot compare with {path}: {why}: give a file that bench --save wrote")
