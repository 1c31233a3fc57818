"""What is cut into pieces anywhere on its way comes out as the frames that were sent."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from arena_tui.broker.attached.wire import Events, Frame, Frames, Idle, Missing, Store, encode_frame

FRAMES = st.lists(
    st.one_of(
        st.builds(Idle),
        st.builds(Events, st.text(), st.integers(0, 2**53), st.integers(1, 2**53),
                  st.lists(st.binary(max_size=300))),
        st.builds(Missing, st.text(), st.integers(0, 2**53), st.integers(1, 2**53),
                  st.integers(0, 2**53), st.text(), st.none() | st.binary()),
        st.builds(Store, st.text(), st.none() | st.text(), st.floats(0, 9),
                  st.dictionaries(st.text(), st.integers(0, 9))),
    ),
    max_size=6,
)  # fmt: skip


@given(frames=FRAMES, cuts=st.lists(st.integers(0, 3_000)))
def test_frames_that_are_cut_anywhere_come_whole_and_in_order(
    frames: list[Frame], cuts: list[int]
) -> None:
    sent = b"".join(map(encode_frame, frames))
    places = sorted({0, len(sent), *(each for each in cuts if each < len(sent))})
    taking = Frames()

    came = [frame for start, end in pairwise(places) for frame in taking.take(sent[start:end])]

    assert came == frames


def test_a_frame_that_is_not_whole_waits() -> None:
    taking = Frames()
    sent = encode_frame(Events("a", 1, 1, [b"{}"]))

    assert list(taking.take(sent[:-1])) == []
    assert list(taking.take(sent[-1:])) == [Events("a", 1, 1, [b"{}"])]
