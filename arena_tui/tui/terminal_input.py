"""What a terminal sends, cut into whole keys and reports. Knows nothing of what they do.

Stands before Textual's parser, which ends with the input on a report that it cannot take, and
takes an answer that it does not know for the keys it is spelled with (`_xterm_parser.py` of 8.2).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from textual._ansi_sequences import ANSI_SEQUENCES_KEYS, IGNORE_SEQUENCE
from textual._keyboard_protocol import FUNCTIONAL_KEYS

ESCAPE: Final = "\x1b"
ANSWER: Final = "\x1b[0n"
"""To DSR, "are you there?": all that was sent before the question is on the screen."""
_PASTE_BEGIN: Final = "\x1b[200~"
_PASTE_END: Final = "\x1b[201~"
_REPORTS: Final = frozenset({"\x1b[I", "\x1b[O", ANSWER})
"""Focus in and out, and the answer."""

_ESCAPE_S: Final = 0.1
"""After which an ESC that nothing follows is the key, as in Textual."""
_CUT_S: Final = 1.0
"""After which the rest of a sequence is not going to come."""
_PASTE_S: Final = 10.0
"""The same of a paste, in which a slow line may pause."""
_SEQUENCE_MAX: Final = 256
"""Characters kept of a sequence; longer ones are no keys, and dropped to their end."""

_KEYS: Final = frozenset(
    sequence
    for sequence, keys in ANSI_SEQUENCES_KEYS.items()
    if keys is not IGNORE_SEQUENCE and len(sequence) > 2
)
_WITH_ESCAPE: Final = frozenset("\x7f\tbf")
"""After an ESC: ctrl+w, shift+tab, and by words as macOS sends it."""
_STRINGS: Final = frozenset("]PX^_")
"""After an ESC: OSC, DCS, SOS, PM and APC, which go on to their terminator."""
_C1: Final = {
    0x8F: "O", 0x90: "P", 0x98: "X", 0x9B: "[", 0x9C: "\\", 0x9D: "]", 0x9E: "^", 0x9F: "_"
}  # fmt: skip

_MOUSE: Final = re.compile(r"\x1b\[<\d{1,4};-?\d{1,5};-?\d{1,5}[Mm]")
_CURSOR: Final = re.compile(r"\x1b\[\d+;\d+R")
_MODE: Final = re.compile(r"\x1b\[\?20(26|48);[0-4]\$y")
_SIZE: Final = re.compile(r"\x1b\[48((?:;\d{1,5}(?::[\d:]*)?){4})t")
_KITTY: Final = re.compile(
    r"\x1b\[(?P<code>\d{0,7})(?::(?P<shifted>\d{0,7}))?(?::\d{0,7})?"
    r"(?:;(?P<modifiers>\d{0,3})(?::(?P<event>\d?))?(?:;(?P<text>[\d:]{0,80}))?)?(?P<end>[u~A-HPQS])"
)
_OTHER_KEYS: Final = re.compile(r"\x1b\[27;(?P<modifiers>\d{1,3});(?P<code>\d{1,7})~")
"""The form of xterm's `modifyOtherKeys`."""
_SHIFT: Final = 1
_NO_LOCKS: Final = 0b11_1111
"""Of the bits of kitty's modifiers, all but caps lock and num lock."""
_RELEASE: Final = "3"
_PRIVATE_USE: Final = range(0xE000, 0xF900)


class TerminalInput:
    """Takes text as it was read, cut anywhere, and gives whole pieces.

    A piece is a character, a sequence that Textual's parser understands, `ANSWER`, or `ESCAPE`
    alone, which is the key. Other sequences are dropped whole. An ESC in front of a character is
    the key, typed ahead: nothing here has an alt key.
    """

    def __init__(self) -> None:
        self._held = ""
        self._pieces: list[str] = []
        self._take: Callable[[str], None] = self._ground
        self._left_over = 0

    @property
    def is_pending(self) -> bool:
        """Whether a sequence or a paste has begun and not ended."""
        return self._take != self._ground

    def feed(self, text: str) -> list[str]:
        """The pieces that are whole with this text; bytes that are no UTF-8 come as surrogates."""
        for character in text:
            code = ord(character)
            is_byte = 0xDC80 <= code <= 0xDCFF
            second = _C1.get(code - 0xDC00 if is_byte else code)
            if second is not None and not self._pasting:
                if second == "\\" or self._take != self._string:
                    self._take(ESCAPE)
                    self._take(second)
            elif not (is_byte or 0x80 <= code <= 0x9F or character == "\ufffd"):
                self._take(character)
        return self._given()

    def quiet(self, seconds: float) -> list[str]:
        """What is whole now that nothing has come for so long: a lone ESC, the end of a paste."""
        if self._take == self._escape and seconds >= _ESCAPE_S:
            self._pieces.append(ESCAPE)
            self._end()
        elif self._pasting and seconds >= _PASTE_S:
            self._pieces.append(_PASTE_END)
            self._end()
        elif self.is_pending and not self._pasting and seconds >= _CUT_S:
            self._end()
        return self._given()

    @property
    def _pasting(self) -> bool:
        return self._take in (self._paste, self._paste_escape)

    def _given(self) -> list[str]:
        pieces, self._pieces = self._pieces, []
        return pieces

    def _end(self) -> None:
        self._held = ""
        self._take = self._ground

    def _ground(self, character: str) -> None:
        if character == ESCAPE:
            self._held = ESCAPE
            self._take = self._escape
        else:
            self._pieces.append(character)

    def _escape(self, character: str) -> None:
        """After an ESC."""
        if character == ESCAPE:
            self._pieces.append(ESCAPE)
        elif character in "[O":
            self._held += character
            self._take = self._sequence
        elif character in _STRINGS:
            self._take = self._string
        else:
            if character in _WITH_ESCAPE:
                self._pieces.append(ESCAPE + character)
            elif character != "\\":  # the end of a string that was given up
                self._pieces += [ESCAPE, character]
            self._end()

    def _sequence(self, character: str) -> None:
        """After CSI or SS3, up to its last character."""
        if character == ESCAPE:
            self._held = ESCAPE
            self._take = self._escape
        elif character in "\x18\x1a":  # as terminals cancel
            self._end()
        elif character < " ":  # a key in between, as in a terminal
            self._pieces.append(character)
        elif character <= "~":
            if len(self._held) < _SEQUENCE_MAX:
                self._held += character
            is_last = character >= "@" or (character == "$" and self._held in _KEYS)
            if self._held == "\x1b[[":
                return  # one more: a function key of the Linux console
            if self._held == "\x1b[M":
                self._left_over = 3
                self._take = self._old_mouse
            elif is_last:
                self._finish(self._held)

    def _old_mouse(self, _character: str) -> None:
        """Button and place, which Textual does not read."""
        self._left_over -= 1
        if not self._left_over:
            self._end()

    def _string(self, character: str) -> None:
        """In an OSC, DCS, SOS, PM or APC, which are dropped; BEL ends what it may end in xterm."""
        if character == ESCAPE:
            self._take = self._string_escape
        elif character in "\x07\x18\x1a":
            self._end()

    def _string_escape(self, character: str) -> None:
        self._held = ESCAPE
        self._take = self._escape
        if character == "\\":
            self._end()
        else:
            self._escape(character)

    def _paste(self, character: str) -> None:
        if character == ESCAPE:
            self._held = ESCAPE
            self._take = self._paste_escape
        else:
            self._pieces.append(character)

    def _paste_escape(self, character: str) -> None:
        """In what may be the end of the paste: if not, its ESC alone is dropped."""
        self._held += character
        if self._held == _PASTE_END:
            self._pieces.append(_PASTE_END)
            self._end()
        elif not _PASTE_END.startswith(self._held):
            text, self._held = self._held[1:-1], ""
            self._pieces += text
            self._take = self._paste
            self._paste(character)

    def _finish(self, sequence: str) -> None:
        self._end()
        if sequence == _PASTE_BEGIN:
            self._take = self._paste
            self._pieces.append(sequence)
        elif sequence in _REPORTS or _MOUSE.fullmatch(sequence) or _MODE.fullmatch(sequence):
            self._pieces.append(sequence)
        elif size := _SIZE.fullmatch(sequence):
            self._pieces += _resized(size[1])
        elif sequence in _KEYS and not _CURSOR.fullmatch(sequence):
            self._pieces.append(sequence)
        elif sequence.startswith("\x1b["):
            self._pieces += _kitty_key(sequence)


def _resized(fields: str) -> list[str]:
    """A report of the size in cells and pixels, as Textual can take it: with none that is 0."""
    height, width, *pixels = (int(field.partition(":")[0]) for field in fields[1:].split(";"))
    if not (height and width):
        return []
    high, wide = (given or cells for given, cells in zip(pixels, (height, width), strict=True))
    return [f"\x1b[48;{height};{width};{high};{wide}t"]


def _kitty_key(sequence: str) -> list[str]:
    """A key in kitty's form, one piece for each character of its text; none if it is no key, and
    none when the key is released."""
    found = _OTHER_KEYS.fullmatch(sequence) or _KITTY.fullmatch(sequence)
    if found is None:
        return []
    fields = found.groupdict("")
    end = fields.get("end") or "u"
    code, modifiers = int(fields["code"] or 1), int(fields["modifiers"] or 1)
    is_named = f"{code}{end}" in FUNCTIONAL_KEYS
    if fields.get("event") == _RELEASE or not 1 <= modifiers <= 256:
        return []
    texts = [int(text) for text in fields.get("text", "").split(":") if text]
    texts = [text for text in texts if _is_text(text)]
    if not is_named and (end != "u" or not _is_text(code) or (code in _PRIVATE_USE and not texts)):
        return []
    held = (modifiers - 1) & _NO_LOCKS
    if not texts and not is_named and held in {0, _SHIFT}:
        shifted = int(fields.get("shifted") or 0) or _upper(code)
        text = shifted if held else code
        texts = [text] if _is_text(text) else []
    stem = f"\x1b[{code}"
    if texts:
        return [f"{stem};{modifiers};{text}{end}" for text in texts]
    if end == "u" and modifiers == 1:
        return [f"{stem}u"]
    return [f"{stem};{modifiers}{end}"]


def _is_text(code: int) -> bool:
    return code <= 0x10FFFF and (chr(code).isprintable() or code in _PRIVATE_USE)


def _upper(code: int) -> int:
    upper = chr(code).upper()
    return ord(upper) if len(upper) == 1 else code
