"""Any Python value as plain JSON values or as text. Knows no event.

Values are the program's own: they are read, never consumed or changed, and whatever their methods
raise stays in here.
"""

from __future__ import annotations

import base64
import dataclasses
import hashlib
from collections import deque
from collections.abc import Collection, Iterable, Mapping, MappingView, Sequence, Set
from datetime import date, time, timedelta
from decimal import Decimal
from enum import Enum
from itertools import islice
from math import isfinite
from numbers import Real
from os import PathLike
from typing import Any, Final
from uuid import UUID

import msgspec

DEPTH_MAX: Final = 100
NODES_MAX: Final = 200_000
"""Most values kept of one event: what is nested in them is kept as text."""

TEXT_CHARS: Final = 1_000_000
_INT_BITS: Final = 4_096

_TABLE: Final = ("columns", "to_dict")
"""What tables of pandas and polars have."""

_LISTS: Final = (Sequence, Set, MappingView, deque)
"""What is all said with its items."""


class Plain:
    """Makes values plain, and notes what they lose by it.

    Nothing is lost, and noted, of numpy and torch values, subclasses of built-in types,
    dataclasses, named tuples, pydantic and attrs models, enums, paths, UUIDs, decimals, times,
    sets, bytes (as base64), and keys that are not text.

    Attributes:
        notes: What was lost, by where it stood: `data.board[3]`.
    """

    def __init__(self) -> None:
        self.notes: dict[str, str] = {}
        self._nodes = 0
        self._above: set[int] = set()

    def of(self, value: Any, path: str) -> Any:
        """The value as dict with text keys, list, str, int, float, bool or None."""
        try:
            return self._of(value, path)
        except Exception as error:  # noqa: BLE001 - see above
            self.notes[path] = f"{kind_of(value)}, which raised {type(error).__name__}"
            return kind_of(value)

    def _of(self, value: Any, path: str) -> Any:
        self._nodes += 1
        if isinstance(value, Enum):
            value = value.value
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, str):
            return self._text(_str_of(value), path)
        if isinstance(value, int):
            return self._int(int.__index__(value if _is_real(value, int) else int(value)), path)
        if isinstance(value, float):
            return self._float(
                float.__float__(value if _is_real(value, float) else float(value)), path
            )
        if isinstance(value, bytes | bytearray | memoryview):
            return base64.b64encode(value).decode()
        if isinstance(value, Decimal | UUID | date | time | timedelta):
            return msgspec.to_builtins(value)
        if isinstance(value, PathLike):
            return self._text(str(value), path)
        if len(self._above) > DEPTH_MAX or self._nodes > NODES_MAX or id(value) in self._above:
            self.notes[path] = f"{kind_of(value)}, nested too deep or in itself"
            return kind_of(value)
        self._above.add(id(value))
        try:
            return self._compound(value, path)
        finally:
            self._above.discard(id(value))

    def _compound(self, value: Any, path: str) -> Any:
        inner = opened(value)
        if type(inner) is type(value) and isinstance(value, Real):  # numpy.longdouble
            return self._float(float(value), path)
        if inner is not value:
            return self._of(inner, path)
        if isinstance(value, Mapping):
            return self._mapping(value, path)
        if isinstance(value, Collection):
            if not isinstance(value, _LISTS):
                self.notes[path] = f"{kind_of(value)}, of which these are the items"
            if len(value) > NODES_MAX:
                self.notes[path] = f"cut from {len(value):,} to {NODES_MAX:,} values"
            values = enumerate(islice(value, NODES_MAX))
            return [self._of(each, f"{path}[{index}]") for index, each in values]
        self.notes[path] = kind_of(value)
        return text_of(value)

    def _mapping(self, value: Mapping[Any, Any], path: str) -> dict[str, Any]:
        plain: dict[str, Any] = {}
        for key, each in islice(value.items(), NODES_MAX):
            name = text_of(key)
            if name in plain:
                name = f"{name} ({len(plain)})"
                self.notes[f"{path}.{name}"] = "one of several keys with the same text"
            plain[name] = self._of(each, f"{path}.{name}")
        if len(plain) == NODES_MAX < len(value):
            self.notes[path] = f"cut from {len(value):,} to {NODES_MAX:,} values"
        return plain

    def _text(self, text: str, path: str) -> str:
        encodable = encodable_text(text)
        if encodable != text:
            self.notes[path] = "lone surrogates, written as escapes"
        return encodable

    def _int(self, number: int, path: str) -> int | str:
        if number.bit_length() <= _INT_BITS:
            return number
        self.notes[path] = f"an integer of {number.bit_length():,} bits"
        return hex(number)

    def _float(self, number: float, path: str) -> float | None:
        if isfinite(number):
            return number
        self.notes[path] = str(number)
        return None


def opened(value: Any) -> Any:
    """What a value of a foreign kind holds, as built-in values; the value itself if unknown."""
    if isinstance(value, type):
        return value
    # Of its type: a mock, or what looks up attributes, has any, and remembers being asked.
    if _has(value, "dtype", "tolist"):
        small = int(getattr(value, "size", 0) or 0) <= NODES_MAX if hasattr(value, "ndim") else True
        return value.tolist() if small else value
    if _has(value, *_TABLE):
        return {str(name): list(islice(value[name], NODES_MAX)) for name in value.columns}
    if dataclasses.is_dataclass(value):
        return {each.name: getattr(value, each.name) for each in dataclasses.fields(value)}
    if isinstance(value, msgspec.Struct):
        return msgspec.structs.asdict(value)
    if hasattr(type(value), "__attrs_attrs__"):
        return {each.name: getattr(value, each.name) for each in value.__attrs_attrs__}
    for name in ("model_dump", "_asdict"):
        if callable(getattr(type(value), name, None)):
            return getattr(value, name)()
    return value


def _has(value: Any, *names: str) -> bool:
    return all(hasattr(type(value), name) for name in names)


def _is_real(value: Any, kind: type) -> bool:
    """Whether it is of this kind, and no proxy that says so."""
    return issubclass(type(value), kind)


def _str_of(value: str) -> str:
    return str.__str__(value if _is_real(value, str) else str(value))


def is_listing(value: Any) -> bool:
    """Whether it is a list of any kind, or gives what would be in one."""
    return isinstance(value, Iterable) and not isinstance(value, str | bytes | Mapping)


def listed(values: Iterable[Any]) -> list[Any]:
    """What they give, as a list; should they raise, what they gave before, and the exception."""
    taken: list[Any] = []
    try:
        taken.extend(islice(values, NODES_MAX))  # keeps what came before an exception
    except Exception as error:  # noqa: BLE001 - see above
        taken.append(error)
    return taken


def text_of(value: Any) -> str:
    """The value as text, as people read it: a board as it prints, what has fields as JSON, an
    exception with its kind, None as nothing."""
    try:
        text = _text_of(value)
    except Exception as error:  # noqa: BLE001 - see above
        text = f"<{kind_of(value)}, whose text raised {type(error).__name__}>"
    return encodable_text(text)


def _text_of(value: Any) -> str:
    if isinstance(value, Enum):
        value = value.value
    if value is None:
        return ""
    if isinstance(value, str):
        return _str_of(value)
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value).decode("utf-8", "backslashreplace")
    if isinstance(value, BaseException):
        return f"{type(value).__name__}: {value}"
    if _has(value, "dtype") or _has(value, *_TABLE):
        return cut(str(value), TEXT_CHARS)
    if isinstance(value, dict | list | tuple | set | frozenset) or opened(value) is not value:
        return msgspec.json.encode(Plain().of(value, "")).decode()
    return cut(str(value), TEXT_CHARS)  # which is its repr, unless it has more to say


def kind_of(value: Any) -> str:
    """The name of its type, with its package: `numpy.ndarray`."""
    kind = type(value)
    package = str(kind.__module__).partition(".")[0]
    return kind.__qualname__ if package == "builtins" else f"{package}.{kind.__qualname__}"


def encodable_text(text: str) -> str:
    """The text with lone surrogates, which UTF-8 does not have, written as escapes."""
    return text.encode("utf-8", "backslashreplace").decode()


def cut(text: str, chars: int) -> str:
    """The text, cut in its middle to about `chars` characters; says so there, with its length and
    the first digits of its SHA-256."""
    if len(text) <= chars:
        return text
    digest = hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()[:16]
    head, tail = (chars + 1) // 2, chars // 2
    return (
        f"{text[:head]}\n[… {len(text) - chars:,} of {len(text):,} characters cut, "
        f"sha256 {digest} …]\n{text[len(text) - tail :]}"
    )
