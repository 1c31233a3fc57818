"""Whether a file in zstd is whole, from the headers of its frames. Decompresses nothing.

DuckDB takes the end of a file for the end of its data, also in the middle of a block. The format:
https://www.rfc-editor.org/rfc/rfc8878
"""

from __future__ import annotations

import os
from typing import BinaryIO, Final

_MAGIC: Final = 0xFD2FB528
_SKIPPABLE: Final = 0x184D2A50
_ID_BYTES: Final = (0, 1, 2, 4)
_SIZE_BYTES: Final = (0, 2, 4, 8)
_RLE: Final = 1


def is_whole(file: BinaryIO) -> bool:
    """Whether the file ends where a frame does; moves in it."""
    end = file.seek(0, os.SEEK_END)
    file.seek(0)
    while file.tell() < end:
        if not _is_frame(file):
            return False
    return file.tell() == end


def _is_frame(file: BinaryIO) -> bool:
    """Move past one frame; False if there is none, or none that is whole."""
    magic = _number(file, 4)
    if magic is not None and magic & 0xFFFFFFF0 == _SKIPPABLE:
        size = _number(file, 4)
        return size is not None and file.seek(size, os.SEEK_CUR) > 0
    descriptor = _number(file, 1)
    if magic != _MAGIC or descriptor is None:
        return False
    is_single, has_checksum = bool(descriptor & 0x20), bool(descriptor & 4)
    size_bytes = _SIZE_BYTES[descriptor >> 6] or int(is_single)
    file.seek((not is_single) + _ID_BYTES[descriptor & 3] + size_bytes, os.SEEK_CUR)
    is_last = False
    while not is_last:
        block = _number(file, 3)
        if block is None:
            return False
        is_last = bool(block & 1)
        file.seek(1 if block >> 1 & 3 == _RLE else block >> 3, os.SEEK_CUR)
    return not has_checksum or _number(file, 4) is not None


def _number(file: BinaryIO, count: int) -> int | None:
    """The next bytes as a number; None if there are not as many."""
    found = file.read(count)
    return int.from_bytes(found, "little") if len(found) == count else None
