"""What a program prints, in lines, however it comes in pieces."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arena_tui.services.scripts.output import LINE_MAX_BYTES, Crash, Output, crash_in


def fed(*pieces: bytes) -> Output:
    output = Output()
    for piece in pieces:
        output.feed(piece)
    return output


@given(st.lists(st.sampled_from([b"a", b"bc", b"\n", "é".encode()[:1], "é".encode()[1:]])))
def test_lines_do_not_depend_on_how_they_are_cut(pieces: list[bytes]) -> None:
    whole, cut = fed(b"".join(pieces)), fed(*pieces)

    assert cut.since(1) == whole.since(1)
    assert cut.count == whole.count == b"".join(pieces).count(b"\n")


def test_a_line_that_is_still_being_written_is_the_last() -> None:
    output = fed(b"one\ntwo\nname? ")

    assert output.newest(2) == ("two", "name? ")
    assert output.count == 2
    assert output.finish() == ["name? "]
    assert (output.newest(2), output.count) == (("two", "name? "), 3)
    assert output.finish() == []


def test_a_progress_bar_is_one_line() -> None:
    output = fed(b"\r 10 %", b"\r 20 %\r", b" 30 %")
    begun = output.newest(9)
    ended = output.feed(b"\r100 %\r\nafter\r\n")

    assert begun == (" 30 %",)
    assert ended == ["100 %", "after"]


def test_a_long_line_is_cut_and_the_next_is_whole() -> None:
    output = fed(*[b"x" * 50_000] * 10, b"\nnext\n")

    first, second = output.newest(2)
    assert first == "x" * LINE_MAX_BYTES + "…"
    assert second == "next"


def test_bytes_that_are_no_text_are_replaced() -> None:
    assert fed(b"a\xff\x00b\n").newest(1) == ("a\ufffd\x00b",)


def test_the_oldest_lines_are_let_go_and_counted() -> None:
    output = fed(*(b"%d\n" % number for number in range(1, 25_001)))

    assert output.count == 25_000
    assert output.newest(1) == ("25000",)
    assert output.since(1) == (15_001, tuple(str(number) for number in range(15_001, 25_001)))
    assert output.since(24_999) == (24_999, ("24999", "25000"))
    assert output.since(25_001) == (25_001, ())


def test_long_lines_are_kept_up_to_a_size() -> None:
    output = fed(*[b"x" * 60_000 + b"\n"] * 1_000)

    first, lines = output.since(1)
    assert 60 <= len(lines) <= 80
    assert first == 1_001 - len(lines)


SIMPLE = """\
started
Traceback (most recent call last):
  File "/home/me/agent.py", line 12, in <module>
    main()
    ~~~~^^
  File "/home/me/agent.py", line 7, in main
    raise ValueError("no model: today")
ValueError: no model: today
"""
CHAINED = (
    SIMPLE
    + """
During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "/home/me/other.py", line 3, in <module>
    x()
my.pack.Refused
"""
)
SYNTAX = """\
  File "/home/me/agent.py", line 3
    foo(
       ^
SyntaxError: '(' was never closed
"""
GROUP = """\
  + Exception Group Traceback (most recent call last):
  |   File "/home/me/agent.py", line 9, in <module>
  |     raise ExceptionGroup("all", [ValueError("a")])
  | ExceptionGroup: all (1 sub-exception)
"""
SEGFAULT = """\
Fatal Python error: Segmentation fault

Current thread 0x00007f (most recent call first):
  File "/usr/lib/python3.11/ctypes/__init__.py", line 517 in string_at
  File "/home/me/agent.py", line 3 in <module>

Extension modules: a, b (total: 2)
"""


@pytest.mark.parametrize(
    ("printed", "expected"),
    [
        (SIMPLE, Crash("/home/me/agent.py", 7, "ValueError: no model: today")),
        (CHAINED, Crash("/home/me/other.py", 3, "my.pack.Refused")),
        (SYNTAX, Crash("/home/me/agent.py", 3, "SyntaxError: '(' was never closed")),
        (GROUP, Crash("/home/me/agent.py", 9, "ExceptionGroup: all (1 sub-exception)")),
        (SEGFAULT, None),
        ("ValueError: said by itself\n", None),
        ("", None),
    ],
    ids=["simple", "chained", "syntax", "group", "segfault", "words", "nothing"],
)
def test_the_last_traceback_says_what_and_where(printed: str, expected: Crash | None) -> None:
    assert crash_in(printed.splitlines()) == expected
