"""Each script on its own, on every kind of server: what it does and refuses."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import redis

from arena_tui.broker.mirror.calls import CLOSED, NO_RUN
from arena_tui.broker.redis.scripts import (
    ACK,
    APPEND,
    BEAT,
    CONSUMERS,
    INDEX,
    LOOK,
    OPEN,
    REAP,
    RENEW,
    SWEEP,
    Script,
    acks_key,
    events_key,
    meta_key,
)

KEYS = (meta_key("r"), events_key("r"))
ALL = 10_000
FUTURE = 9_999_999_999_999
"""An epoch that no server's clock gives, in ms."""


class Server:
    """Calls scripts as the broker does."""

    def __init__(self, client: Any) -> None:
        self.client = client

    def call(self, script: Script, keys: tuple[str, ...] = (), *args: object) -> Any:
        return self.client.eval(script.text, len(keys), *keys, *args)

    def open(
        self, run_id: str = "r", nonce: str = "", epoch: int = 0, before: tuple[int, int] = (0, 0)
    ) -> tuple[int, int]:
        keys = meta_key(run_id), events_key(run_id), INDEX
        mine, given = self.call(OPEN, keys, run_id, "{}", nonce, epoch, *before)
        return mine, given

    def append(
        self, first: int, *payloads: str, at: tuple[int, int] = (0, 0), producer: str = "p",
        capacity: int = ALL, ends: bool = False, run_id: str = "r", acked: int | None = None,
        lost: int = 0,
    ) -> tuple[int, int]:  # fmt: skip
        keys = meta_key(run_id), events_key(run_id)
        ((epoch, seq),) = self.call(
            APPEND, keys, capacity, producer, *at,
            first - 1 if acked is None else acked, first, int(ends), lost,
            len(payloads), *payloads,
        )  # fmt: skip
        return epoch, seq

    def beat(self, *run_ids: str, at: tuple[int, int] = (0, 0), ended: bool = False) -> list[int]:
        keys = [key for run_id in run_ids for key in (meta_key(run_id), events_key(run_id))]
        words = [word for run_id in run_ids for word in (run_id, *at, int(ended))]
        answers: list[int] = self.call(BEAT, tuple(keys), 3_600, *words)
        return answers

    def ack(self, consumer: str, *cursors: tuple[str, int, int]) -> None:
        self.call(ACK, (), consumer, 3_600, *[each for cursor in cursors for each in cursor])

    def sweep(
        self, index: str = "-", retain: int = 2, size: int = 1_000, closed_s: int = 0,
        most: int = 9, silent_s: int = 3_600,
    ) -> tuple[str, int]:  # fmt: skip
        index, consumers = self.call(
            SWEEP, (), retain, size, closed_s, silent_s, 900, index, most
        )  # fmt: skip
        return index, consumers

    def ended(self, run_id: str = "r") -> str:
        """Cursors of the earlier streams."""
        cursors: str = self.client.hget(meta_key(run_id), "ended")
        return cursors

    def events(self, run_id: str = "r") -> list[tuple[str, dict[str, str]]]:
        found: list[tuple[str, dict[str, str]]] = self.client.xrange(events_key(run_id))
        return found

    def seqs(self, epoch: int, run_id: str = "r") -> list[int]:
        """Seqs of all entries; asserts that they are of this epoch."""
        parts = [entry_id.split("-") for entry_id, _ in self.events(run_id)]
        assert {each for each, _ in parts} <= {str(epoch)}
        return [int(seq) for _, seq in parts]


@pytest.fixture
def server(each_redis_url: str) -> Iterator[Server]:
    with redis.Redis.from_url(each_redis_url, decode_responses=True) as client:
        yield Server(client)


def test_a_run_is_opened_once_and_named_once(server: Server) -> None:
    mine, epoch = server.open(nonce="x")

    assert mine == 1
    assert [server.open(nonce=nonce) for nonce in ("x", "y", "")] == [
        (1, epoch), (0, epoch), (1, epoch),
    ]  # fmt: skip
    assert [fields for _, fields in server.client.xrange(INDEX)] == [{"run": "r"}]


def test_a_run_opened_with_an_epoch_has_it(server: Server) -> None:
    assert server.open(epoch=1_234) == (1, 1_234)


def test_a_stream_made_anew_is_newer_than_what_it_replaces(server: Server) -> None:
    _, epoch = server.open(before=(FUTURE, 40))
    server.append(1, "a", "b")

    assert epoch == FUTURE + 1
    assert server.ended() == f"{FUTURE}-40"
    assert server.events() == [(f"{epoch}-1", {"e": "a"}), (f"{epoch}-2", {"e": "b"})]


def test_a_stream_made_anew_is_newer_than_entries_that_are_left(server: Server) -> None:
    server.client.xadd(events_key("r"), {"foo": "bar"}, id=f"{FUTURE}-3")

    assert server.open() == (1, FUTURE + 1)


def test_ids_are_dense_from_one(server: Server) -> None:
    _, epoch = server.open()

    answers = [server.append(1, "a", "b", "c"), server.append(4, "d", at=(epoch, 3))]

    assert answers == [(epoch, 3), (epoch, 4)]
    assert [(entry, fields["e"]) for entry, fields in server.events()] == [
        (f"{epoch}-{seq}", payload) for seq, payload in enumerate("abcd", 1)
    ]


def test_two_producers_share_one_line_of_seqs(server: Server) -> None:
    _, epoch = server.open()

    answers = [
        server.append(1, "a", producer="p"),
        server.append(1, "b", "c", producer="q"),
        server.append(2, "d", at=(epoch, 1), producer="p"),
    ]

    assert answers == [(epoch, 1), (epoch, 3), (epoch, 4)]
    assert [fields["e"] for _, fields in server.events()] == list("abcd")


def test_a_repeat_is_dropped_and_answered_as_the_first_time(server: Server) -> None:
    _, epoch = server.open()
    server.append(1, "a", "b", "c")

    again = [server.append(1, "a", "b", "c"), server.append(1, "a"), server.append(2, "b", "c")]

    assert again == [(epoch, 3), (epoch, 1), (epoch, 3)]
    assert server.seqs(epoch) == [1, 2, 3]


def test_of_a_partial_repeat_only_the_new_is_added(server: Server) -> None:
    _, epoch = server.open()
    server.append(1, "a", "b")

    assert server.append(1, "a", "b", "c", "d") == (epoch, 4)
    assert server.append(4, "d", "e") == (epoch, 5)
    assert [fields["e"] for _, fields in server.events()] == list("abcde")


def test_a_repeat_after_another_producer_is_told_its_own_place(server: Server) -> None:
    _, epoch = server.open()
    server.append(1, "a", "b", producer="p")
    server.append(1, "c", producer="q")

    assert server.append(1, "a", "b", producer="p") == (epoch, 2)


def test_a_repeat_over_a_new_epoch_is_told_where_its_events_stand(server: Server) -> None:
    _, epoch = server.open()
    server.append(1, "a", "b")
    server.call(RENEW, KEYS, epoch, 9)

    assert server.append(1, "a", "b") == (epoch, 2)


def test_numbers_given_up_are_no_hole(server: Server) -> None:
    _, epoch = server.open()
    server.append(1, "a", "b")

    assert server.append(6, "f", at=(epoch, 2), acked=2) == (epoch, 3)
    assert server.append(6, "f", "g", at=(epoch, 2), acked=2) == (epoch, 4)
    assert [fields["e"] for _, fields in server.events()] == list("abfg")


def test_a_hole_means_a_new_epoch(server: Server) -> None:
    """The server has lost events 3 to 5: it was restored from an older copy."""
    _, epoch = server.open()
    server.append(1, "a", "b")

    renewed, seq = server.append(6, "f", at=(epoch, 5))

    assert (renewed > epoch, seq) == (True, 1)
    assert server.events()[-1] == (f"{renewed}-1", {"e": "f"})
    assert server.ended() == f"{epoch}-5"
    assert server.append(7, "g", at=(renewed, 1)) == (renewed, 2)


def test_a_hole_under_an_epoch_that_the_server_lost_means_a_newer_one(server: Server) -> None:
    server.open()
    server.append(1, "a", "b")

    renewed, seq = server.append(6, "f", at=(FUTURE, 3))

    assert (renewed, seq) == (FUTURE + 1, 1)
    assert server.ended() == f"{FUTURE}-3"


def test_a_hole_is_none_once_the_stream_was_made_anew(server: Server) -> None:
    _, epoch = server.open(before=(1_234, 80))

    assert server.append(81, "a", at=(1_234, 80)) == (epoch, 1)


@pytest.mark.parametrize("ahead", [1, 50])
def test_an_entry_of_somebody_else_means_a_new_epoch(server: Server, ahead: int) -> None:
    _, epoch = server.open()
    server.append(1, "a", "b")
    server.client.xadd(events_key("r"), {"foo": "bar"}, id=f"{epoch}-{2 + ahead}")

    renewed, seq = server.append(3, "c", "d", at=(epoch, 2))

    assert (renewed > epoch, seq) == (True, 2)
    assert server.events()[-2:] == [(f"{renewed}-1", {"e": "c"}), (f"{renewed}-2", {"e": "d"})]
    assert server.ended() == f"{epoch}-2"


def test_a_run_holds_at_most_its_capacity(server: Server) -> None:
    _, epoch = server.open()

    server.append(1, *"abcdefgh", capacity=5)

    assert server.seqs(epoch) == [4, 5, 6, 7, 8]
    assert server.append(9, "i", at=(epoch, 8), capacity=5) == (epoch, 9)


def test_what_fails_in_one_run_is_no_other_run_s_business(server: Server) -> None:
    epochs = [server.open(run)[1] for run in "abc"]
    server.client.set(events_key("a"), "x")
    server.client.set(meta_key("b"), "x")
    keys = [key for run in "abc" for key in (meta_key(run), events_key(run))]
    rows = server.call(APPEND, tuple(keys), ALL, *(3 * ["p", 0, 0, 0, 1, 0, 0, 1, "x"]))

    assert [isinstance(row, redis.ResponseError) for row in rows] == [True, True, False]
    assert rows[2] == [epochs[2], 1]
    assert server.seqs(epochs[2], "c") == [1]


def test_nothing_is_added_to_what_is_not_there_or_has_ended(server: Server) -> None:
    assert server.append(1, "a") == (NO_RUN, 0)
    _, epoch = server.open()
    server.append(1, "a", ends=True)

    assert server.append(2, "late", at=(epoch, 1)) == (CLOSED, 0)
    assert server.append(1, "a", ends=True) == (epoch, 1)
    assert server.seqs(epoch) == [1]


def test_a_run_whose_facts_are_garbage_can_be_opened_again(server: Server) -> None:
    _, epoch = server.open()
    server.append(1, "a")
    server.client.hset(meta_key("r"), "seq", "many")

    assert server.append(2, "b", at=(epoch, 1)) == (NO_RUN, 0)
    mine, renewed = server.open(before=(epoch, 1))
    assert (mine, renewed > epoch) == (1, True)
    assert server.append(2, "b", at=(epoch, 1)) == (renewed, 1)


def test_who_has_seen_more_than_the_server_knows_moves_it_on(server: Server) -> None:
    _, epoch = server.open()
    server.append(1, "a", "b")

    moved = [server.call(RENEW, KEYS, *at) for at in [(1_234, 9), (epoch, 2), (epoch, 5)]]

    assert moved == [0, 0, 1]
    renewed, seq = server.append(3, "c", at=(epoch, 2))
    assert (renewed > epoch, seq) == (True, 1)
    assert server.events()[-1][1] == {"e": "c"}
    assert server.call(RENEW, KEYS, FUTURE, 1) == 1
    assert server.append(4, "d", at=(renewed, 1)) == (FUTURE + 1, 1)
    assert server.ended() == f"{epoch}-5 {FUTURE}-1"


def test_who_looks_is_told_of_each_run_and_of_none(server: Server) -> None:
    _, epoch = server.open(before=(1_234, 5))
    server.append(1, "a", "b")
    server.client.set(meta_key("taken"), "x")
    server.client.hset(meta_key("odd"), mapping={"epoch": "5", "seq": "7", "alive": "yes"})
    keys = [
        key for run in ("r", "none", "taken", "odd") for key in (meta_key(run), events_key(run))
    ]

    short = server.call(LOOK, tuple(keys), 0)
    whole = server.call(LOOK, KEYS, 1)

    assert [row[:3] for row in short] == [[epoch, 2, "open"], [], [], [5, 7, ""]]
    assert (short[0][4], whole[0][5:]) == ("1234-5", ["{}", f"{epoch}-1"])


def test_a_sign_of_life_names_a_run_again_that_the_index_has_lost(server: Server) -> None:
    server.open()
    server.client.delete(INDEX)
    server.client.hset(meta_key("r"), "alive", 0)

    answers = [server.beat("r", "none") for _ in range(2)]

    assert answers == [[1, 0]] * 2
    assert [fields for _, fields in server.client.xrange(INDEX)] == [{"run": "r"}]
    assert server.call(LOOK, KEYS, 0)[0][3] < 60_000
    assert not server.client.exists(meta_key("none"))


def test_a_producer_tells_a_server_restored_from_an_older_copy_how_far_it_was(
    server: Server,
) -> None:
    _, epoch = server.open()
    server.append(1, "a", "b")

    answers = [server.beat("r", at=(epoch, each)) for each in (1, 2, 5, 5)]

    assert answers == [[1]] * 4
    assert server.ended() == f"{epoch}-5"
    assert server.call(LOOK, KEYS, 0)[0][1:3] == [0, "open"]


def test_of_a_run_lost_after_its_end_word_is_kept(server: Server) -> None:
    answers = [server.beat("r", at=(1_234, 80), ended=True) for _ in range(2)]

    row = server.call(LOOK, KEYS, 1)[0]
    assert answers == [[3], [1]]
    assert (row[1:3], row[4:6]) == ([0, "closed"], ["1234-80", '{"run_id":"r"}'])
    assert row[0] > 1_234
    assert [fields for _, fields in server.client.xrange(INDEX)] == [{"run": "r"}]
    assert 3_500 < server.client.ttl(meta_key("r")) <= 3_600


def test_a_run_that_ended_and_is_there_is_left_alone(server: Server) -> None:
    _, epoch = server.open()
    server.append(1, "a", ends=True)

    before = server.beat("r", at=(epoch, 1), ended=True)
    server.ack("c", ("r", epoch, 1))
    server.sweep(closed_s=300)
    swept = server.beat("r", at=(epoch, 1), ended=True)

    assert (before, swept) == ([1], [2])
    assert server.ended() == ""


def test_a_run_that_another_producer_ended_is_opened_no_more(server: Server) -> None:
    _, epoch = server.open()
    server.append(1, "a", ends=True)

    ended = server.beat("r", at=(epoch, 1))
    server.ack("c", ("r", epoch, 1))
    server.sweep(closed_s=300)

    assert (ended, server.beat("r", at=(epoch, 1))) == ([4], [4])


def test_of_two_producers_the_one_that_was_further_has_the_last_word(server: Server) -> None:
    _, epoch = server.open(before=(1_234, 90))

    server.beat("r", at=(1_234, 100))
    server.beat("r", at=(1_234, 80))
    beaten = server.ended()
    server.append(111, "x", at=(1_234, 110), producer="q")

    assert (beaten, server.ended()) == ("1234-100", "1234-110")
    assert server.call(LOOK, KEYS, 0)[0][:2] == [epoch, 1]


def test_publishing_is_a_sign_of_life(server: Server) -> None:
    server.open()
    server.client.hset(meta_key("r"), "alive", 1)

    server.append(1, "a")

    assert server.call(LOOK, KEYS, 0)[0][3] < 60_000


def test_a_run_left_after_its_stream_was_made_anew_waits_for_all_of_the_one_before(
    server: Server,
) -> None:
    _, epoch = server.open()
    server.append(1, *"abcde")
    server.call(RENEW, KEYS, epoch, 6)
    server.client.hset(meta_key("r"), "alive", 1)

    server.ack("one", ("r", epoch, 5))
    server.sweep(closed_s=60)
    behind = server.call(LOOK, KEYS, 0)[0][2]
    server.ack("one", ("r", epoch, 6))
    server.sweep(closed_s=60)

    assert (behind, server.call(LOOK, KEYS, 0)[0][2]) == ("open", "left")


def test_the_newest_ended_streams_are_remembered(server: Server) -> None:
    server.open()

    for number in range(20):
        server.call(RENEW, KEYS, FUTURE + 10 * number, 7)

    assert server.ended().split() == [f"{FUTURE + 10 * number}-7" for number in range(4, 20)]


def test_what_every_consumer_has_is_trimmed_to_what_is_retained(server: Server) -> None:
    _, epoch = server.open()
    server.append(1, *"abcdefgh")
    held = []
    server.ack("one")
    for consumer, seq in (("two", 8), ("one", 5), ("one", 8)):
        server.ack(consumer, ("r", epoch, seq))
        server.sweep()
        held.append(server.seqs(epoch))

    assert held == [[1, 2, 3, 4, 5, 6, 7, 8], [6, 7, 8], [7, 8]]


def test_an_ack_of_another_epoch_trims_nothing(server: Server) -> None:
    _, epoch = server.open()
    server.append(1, *"abcdefgh")
    server.ack("one", ("r", epoch - 1, 8))

    server.sweep()

    assert server.seqs(epoch) == [1, 2, 3, 4, 5, 6, 7, 8]


def test_an_older_ack_takes_nothing_back(server: Server) -> None:
    found = []
    for epoch, seq in ((8, 9), (8, 10), (8, 9), (7, 99), (10, 1), (9, 50)):
        server.ack("one", ("r", epoch, seq))
        found.append(server.client.hget(acks_key("one"), "r"))

    assert found == ["8-9", "8-10", "8-10", "8-10", "10-1", "10-1"]


def test_an_ack_takes_the_place_of_garbage(server: Server) -> None:
    server.client.hset(acks_key("one"), "r", "garbage")

    server.ack("one", ("r", 8, 9))

    assert server.client.hget(acks_key("one"), "r") == "8-9"


def test_without_a_consumer_nothing_is_swept(server: Server) -> None:
    _, epoch = server.open()
    server.append(1, *"abcdefgh", ends=True)

    assert server.sweep() == ("-", 0)
    assert server.seqs(epoch) == [1, 2, 3, 4, 5, 6, 7, 8]


def test_closed_runs_expire_once_every_consumer_has_them(server: Server) -> None:
    epochs = {run: server.open(run)[1] for run in "abc"}
    for run in "abc":
        server.append(1, "x", run_id=run, ends=True)
    server.ack("other")
    server.ack("one", *((run, epochs[run], 1) for run in "abc"))
    server.sweep()
    unstored = server.client.exists(*map(meta_key, "abc"))

    server.ack("other", *((run, epochs[run], 1) for run in "ab"))
    server.sweep()
    server.sweep()

    assert unstored == 3
    assert [fields["run"] for _, fields in server.client.xrange(INDEX)] == ["c"]
    assert not server.client.exists(meta_key("a"), events_key("a"), meta_key("b"), events_key("b"))
    assert server.client.hkeys(acks_key("one")) == ["c", ""]


def test_a_run_left_by_its_producer_expires_once_every_consumer_has_it(server: Server) -> None:
    _, epoch = server.open()
    server.append(1, "a", "b")
    server.ack("one", ("r", epoch, 1))
    server.client.hset(meta_key("r"), "alive", 1)
    server.sweep(closed_s=60)
    unstored = server.client.ttl(meta_key("r"))

    server.ack("one", ("r", epoch, 2))
    server.sweep(closed_s=60)

    assert unstored == -1
    assert server.call(LOOK, KEYS, 0)[0][:3] == [epoch, 2, "left"]
    assert 800 < server.client.ttl(meta_key("r")) <= 900
    assert 50 < server.client.ttl(events_key("r")) <= 60


def test_a_run_is_left_only_after_long_silence(server: Server) -> None:
    _, epoch = server.open()
    server.append(1, "a")
    server.ack("one", ("r", epoch, 1))

    server.sweep(closed_s=60)

    assert server.call(LOOK, KEYS, 0)[0][2] == "open"
    assert server.client.ttl(meta_key("r")) == -1


def test_a_run_once_left_goes_on_under_a_new_epoch(server: Server) -> None:
    _, epoch = server.open()
    server.append(1, "a", "b")
    server.ack("one", ("r", epoch, 2))
    server.client.hset(meta_key("r"), "alive", 1)
    server.sweep(closed_s=60)

    repeated, refused = server.append(1, "a", "b"), server.append(3, "c", at=(epoch, 2))
    silent = server.beat("r", at=(epoch, 2))
    _, renewed = server.open(before=(epoch, 1))
    again, seq = server.append(3, "c", at=(epoch, 2))

    assert (repeated, refused, silent) == ((epoch, 2), (NO_RUN, 0), [0])
    assert (again, seq) == (renewed, 1)
    assert renewed > epoch
    assert server.ended() == f"{epoch}-2"
    assert server.call(LOOK, KEYS, 0)[0][2] == "open"
    assert [server.client.ttl(key) for key in KEYS] == [-1, -1]
    assert len(server.client.xrange(INDEX)) == 2


def test_a_closed_run_is_kept_for_a_while_within_its_bytes(server: Server) -> None:
    _, epoch = server.open()
    server.append(1, *["x" * 300] * 40, ends=True)
    server.ack("one", ("r", epoch, 40))

    server.sweep(retain=30, size=1_000, closed_s=60)

    assert server.seqs(epoch) == [38, 39, 40]
    for key in KEYS:
        assert 50 < server.client.ttl(key) <= 60


def test_one_event_over_the_bytes_of_a_closed_run_is_kept(server: Server) -> None:
    _, epoch = server.open()
    server.append(1, "a", "x" * 3_000, ends=True)
    server.ack("one", ("r", epoch, 2))

    server.sweep(closed_s=60)

    assert server.seqs(epoch) == [2]


def test_events_without_metadata_are_kept_for_a_while_and_for_good_once_reopened(
    server: Server,
) -> None:
    _, epoch = server.open()
    server.append(1, *"abc")
    server.ack("one", ("r", epoch, 1))
    server.client.delete(meta_key("r"))

    server.sweep(closed_s=60)
    server.client.expire(events_key("r"), 30)
    server.sweep(closed_s=60)
    remaining_s = server.client.ttl(events_key("r"))
    server.open()

    assert 20 < remaining_s <= 30
    assert server.client.ttl(events_key("r")) == -1
    assert server.seqs(epoch) == [1, 2, 3]


def test_a_sweep_goes_on_where_the_last_one_ended(server: Server) -> None:
    epochs = [server.open(f"r{number}")[1] for number in range(5)]
    for number in range(5):
        server.append(1, *"abcd", run_id=f"r{number}")
        server.ack("one", (f"r{number}", epochs[number], 4))

    trimmed, index = [], "-"
    for _ in range(3):
        index, _ = server.sweep(index, most=2)
        trimmed.append([server.client.xlen(events_key(f"r{number}")) for number in range(5)])

    assert trimmed == [[2, 2, 4, 4, 4], [2, 2, 2, 2, 4], [2, 2, 2, 2, 2]]
    assert index == "-"


@pytest.mark.parametrize("in_good_order", [False, True])
def test_a_consumer_that_is_gone_is_waited_for_no_longer(
    server: Server, in_good_order: bool
) -> None:
    epochs = {run: server.open(run)[1] for run in "ab"}
    server.append(1, *"abcdefgh", run_id="a")
    server.append(1, "x", run_id="b", ends=True)
    server.ack("gone")
    server.ack("one", ("a", epochs["a"], 8), ("b", epochs["b"], 1))
    server.client.delete(acks_key("gone"))
    if in_good_order:
        server.client.srem(CONSUMERS, "gone")

    consumers = server.sweep()[1]

    assert consumers == 1
    assert server.seqs(epochs["a"], "a") == [7, 8]
    assert not server.client.exists(meta_key("b"))
    assert server.client.smembers(CONSUMERS) == {"one"}


def test_garbage_in_the_acks_of_others_trims_nothing_and_stops_nobody(server: Server) -> None:
    _, epoch = server.open()
    other = server.open("other")[1]
    server.append(1, *"abcdefgh")
    server.append(1, *"abcdefgh", run_id="other")
    server.client.sadd(CONSUMERS, "odd")
    server.client.hset(acks_key("odd"), mapping={"r": "everything", "other": f"{other}-8"})
    server.client.set(meta_key("taken"), "x")
    server.client.xadd(INDEX, {"run": "taken"})
    server.client.xadd(INDEX, {"foo": "bar"})

    server.ack("one", ("taken", 5, 5), ("r", epoch, 8), ("other", other, 8))
    server.sweep()

    assert server.seqs(epoch) == [1, 2, 3, 4, 5, 6, 7, 8]
    assert server.seqs(other, "other") == [7, 8]
    assert server.client.hget(acks_key("one"), "r") == f"{epoch}-8"


def test_garbage_in_the_index_is_removed_and_no_run_that_it_names(server: Server) -> None:
    _, epoch = server.open()
    server.append(1, *"ab")
    server.client.xadd(INDEX, {"foo": "r"})
    server.ack("one", ("r", epoch, 1))

    server.sweep()

    assert server.seqs(epoch) == [1, 2]
    assert server.client.hget(acks_key("one"), "r") == f"{epoch}-1"
    assert [fields for _, fields in server.client.xrange(INDEX)] == [{"run": "r"}]


def test_only_a_closed_run_is_reaped(server: Server) -> None:
    _, epoch = server.open()
    server.append(1, "a")
    server.ack("one", ("r", epoch, 1))

    still_open = server.call(REAP, (meta_key("r"),), "r")
    server.append(2, "b", at=(epoch, 1), ends=True)
    closed = server.call(REAP, (meta_key("r"),), "r")

    assert (still_open, closed) == (0, 1)
    assert set(server.client.keys()) == {acks_key("one"), CONSUMERS, INDEX}
    assert server.client.hkeys(acks_key("one")) == [""]
    assert server.client.xlen(INDEX) == 0


def test_events_that_were_given_up_leave_a_hole_of_their_number(server: Server) -> None:
    _, epoch = server.open()
    server.append(1, "a", "b")

    told = [server.append(6, at=(epoch, 2), acked=2, lost=3) for _ in range(2)]
    last = server.append(6, "f", at=(epoch, 5))

    assert (told, last) == ([(epoch, 5), (epoch, 5)], (epoch, 6))
    assert server.seqs(epoch) == [1, 2, 6]


def test_given_up_events_that_were_appended_after_all_leave_no_hole(server: Server) -> None:
    _, epoch = server.open()
    server.append(1, "a", "b", "c")

    last = server.append(6, "f", at=(epoch, 2), acked=2, lost=3)

    assert last == (epoch, 6)
    assert server.seqs(epoch) == [1, 2, 3, 6]
