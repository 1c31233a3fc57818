"""The bytes of a file as UTF-8, whether it is compressed or in UTF-16. Knows no lines."""

from __future__ import annotations

import codecs
import contextlib
import zlib
from collections.abc import Iterator
from typing import Final

_GZIP: Final = b"\x1f\x8b"
_UTF16: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_MARK_BYTES: Final = 2
"""What is looked at to know either."""

_PIECE_BYTES: Final = 256 * 1024
_AS_GZIP: Final = 31
"""`wbits` for gzip with its checksum: https://docs.python.org/3/library/zlib.html"""


class Unpacker:
    """Unpacks gzip, of any number of members, and decodes UTF-16 with its mark. Holds one piece.

    Attributes:
        damage: Why nothing more can be unpacked, once that is so.
    """

    def __init__(self) -> None:
        self.damage: str | None = None
        self._file, self._text = _Start(), _Start()
        self._member: _Member | None = None
        self._decoder: codecs.IncrementalDecoder | None = None

    def feed(self, data: bytes) -> Iterator[bytes]:
        """What `data` adds. Exhaust the iterator before feeding more."""
        if not self._file.is_known:
            data = self._file.take(data)
            if data.startswith(_GZIP):
                self._member = _Member()
        if self._member is None:
            yield self._decoded(data)
        else:
            yield from self._unpacked(data)

    def finish(self) -> Iterator[bytes]:
        """What is left at the end of the input; a member that is not complete is damage."""
        yield self._file.rest() + self._text.rest()
        if self._member is not None and self._member.is_begun and self.damage is None:
            self.damage = "it ends in the middle of its compressed data"

    def _unpacked(self, data: bytes) -> Iterator[bytes]:
        more = self.damage is None
        while more:
            assert self._member is not None
            piece, data = self._member.feed(data)
            self.damage = self._member.damage
            if self._member.is_complete:
                self._member = _Member()
            full = len(piece) == _PIECE_BYTES  # then there may be more in zlib
            more = self.damage is None and (bool(data) or full)
            if piece:
                yield self._decoded(piece)

    def _decoded(self, data: bytes) -> bytes:
        if not self._text.is_known:
            data = self._text.take(data)
            if data.startswith(_UTF16):
                self._decoder = codecs.getincrementaldecoder("utf-16")("replace")
        return data if self._decoder is None else self._decoder.decode(data).encode()


class _Start:
    """Holds back data until there is enough of it to see what it is.

    Attributes:
        is_known: Whether there was.
    """

    def __init__(self) -> None:
        self.is_known = False
        self._held = b""

    def take(self, data: bytes) -> bytes:
        self._held += data
        if len(self._held) < _MARK_BYTES:
            return b""
        self.is_known = True
        return self.rest()

    def rest(self) -> bytes:
        rest, self._held = self._held, b""
        return rest


class _Member:
    """One member of a gzip file: https://www.rfc-editor.org/rfc/rfc1952

    Attributes:
        is_begun, is_complete: Whether any data, and whether all of it was fed.
        damage: Why no more of it can be had.
    """

    def __init__(self) -> None:
        self.is_begun = False
        self.is_complete = False
        self.damage: str | None = None
        self._object = zlib.decompressobj(_AS_GZIP)

    def feed(self, data: bytes) -> tuple[bytes, bytes]:
        """A piece of what it holds, and the data that is yet to be fed. Skips NULs before it."""
        if not self.is_begun:
            data = data.lstrip(b"\0")
        if not data and not self.is_begun:
            return b"", b""
        self.is_begun = True
        self._before = self._object.copy()
        try:
            piece = self._object.decompress(data, _PIECE_BYTES)
        except zlib.error as error:
            self.damage = f"its compressed data is damaged: {error}"
            return self._until_damage(data), b""
        self.is_complete = self._object.eof
        return piece, self._object.unused_data if self.is_complete else self._object.unconsumed_tail

    def _until_damage(self, data: bytes) -> bytes:
        """What comes before the damage, which is lost to the call that meets it."""
        found = bytearray()
        with contextlib.suppress(zlib.error):
            for at in range(len(data)):
                found += self._before.decompress(data[at : at + 1])
        return bytes(found)
