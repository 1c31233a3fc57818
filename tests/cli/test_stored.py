"""What is stored is what the commands print, also of a run whose stream was made anew."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import pytest

from arena_tui.cli import main
from arena_tui.events import Delivery, Gap, LogEvent, RunEnd
from arena_tui.store.database import Database
from tests.envelopes import envelope
from tests.store_fixture import store

EPOCHS = {7: 1_500, 9: 1_000, 11: 42}


def logs(epoch: int, seqs: Sequence[int]) -> list[Delivery]:
    return [envelope("a", epoch, seq, LogEvent(text=f"{epoch}-{seq}")) for seq in seqs]


def made_anew() -> list[Delivery]:
    """A run of three epochs with gaps in and between them, and its end."""
    return [
        *logs(7, range(1, 701)), Gap("a", 7, 701, 720, "trimmed"), *logs(7, range(721, 1_481)),
        Gap("a", 7, 1_481, 1_500, "reset"),
        *logs(9, range(1, 1_001)), Gap("a", 9, 1_001, 1_000, "unknown"),
        *logs(11, range(1, 42)), envelope("a", 11, 42, RunEnd()),
    ]  # fmt: skip


def place(each: Delivery) -> tuple[int, int]:
    return (each.epoch, each.first_seq)


def made(path: str, *batches: Sequence[Delivery]) -> None:
    database = Database(path)
    asyncio.run(store(database, *batches))
    database.close()


@pytest.fixture
def anew(path: str) -> str:
    made(path, made_anew())
    return path


def places(lines: Sequence[dict[str, Any]]) -> list[tuple[int, int]]:
    return [
        (line["epoch"], line["from_seq"] if "to_seq" in line else line["seq"]) for line in lines
    ]


def test_every_stored_event_of_every_epoch_is_printed_once_and_in_order(
    anew: str, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    assert main(["events", "a", "--json", "--db", anew]) == 0
    lines = [json.loads(line) for line in capfdbinary.readouterr().out.splitlines()]

    assert places(lines) == [place(each) for each in made_anew()]
    assert lines[-1]["kind"] == "run_end"


def test_from_and_to_name_seqs_of_every_epoch_or_one_event(
    anew: str, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    def printed_places(*words: str) -> list[tuple[int, int]]:
        assert main(["events", "a", "--json", "--db", anew, *words]) == 0
        return places([json.loads(line) for line in capfdbinary.readouterr().out.splitlines()])

    assert printed_places("--from", "41", "--to", "42") == [
        (7, 41), (7, 42), (9, 41), (9, 42), (11, 41), (11, 42),
    ]  # fmt: skip
    assert printed_places("--from", "9-999", "--to", "11-1") == [
        (9, 999), (9, 1_000), (9, 1_001), (11, 1),
    ]  # fmt: skip
    assert printed_places("--from", "7-710", "--to", "7-721") == [(7, 710), (7, 721)]
    assert printed_places("--from", "11-42") == [(11, 42)]


def test_chosen_kinds_are_printed_of_every_epoch(
    anew: str, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    assert main(["events", "a", "--json", "--kind", "run_end", "--db", anew]) == 0
    lines = [json.loads(line) for line in capfdbinary.readouterr().out.splitlines()]

    assert [line["kind"] for line in lines] == ["gap", "gap", "gap", "run_end"]


def test_a_loss_of_unknown_length_is_printed_where_it_lies(
    anew: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["events", "a", "--db", anew, "--from", "9-1000", "--to", "11-1"]) == 0
    before, gap, after = capfd.readouterr().out.splitlines()

    assert "9-1000" in before
    assert gap == "   1001  gap: an unknown number of events lost"
    assert "11-1" in after


@pytest.fixture
def losses(path: str) -> str:
    """Three runs: whole, with a known gap, and with a loss of unknown length."""
    made(
        path,
        [envelope("w", 7, 1, RunEnd())],
        [Gap("k", 7, 1, 8, "trimmed"), envelope("k", 7, 9, RunEnd())],
        [Gap("u", 7, 1, 8, "trimmed"), envelope("u", 7, 9, LogEvent()),
         Gap("u", 7, 10, 9, "unknown")],
    )  # fmt: skip
    return path


def test_a_loss_of_unknown_length_is_said_of_its_run(
    losses: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["runs", "--db", losses, "--json"]) == 0
    runs = {run["run_id"]: run for run in map(json.loads, capfd.readouterr().out.splitlines())}
    assert main(["runs", "--db", losses]) == 0
    table = {line.split()[0]: line for line in capfd.readouterr().out.splitlines()}
    assert main(["show", "u", "--db", losses]) == 0
    shown = capfd.readouterr().out

    assert [(runs[each]["lost"], runs[each]["lost_unknown"]) for each in "wku"] == [
        (0, 0), (8, 0), (8, 1),
    ]  # fmt: skip
    assert "≥8" in table["u"]
    assert "≥" not in table["k"] + table["w"]
    assert "lost           ≥8\n" in shown


def test_a_filter_for_lost_events_finds_losses_of_unknown_length(
    path: str, capfd: pytest.CaptureFixture[str]
) -> None:
    made(path, [envelope("w", 7, 1, LogEvent())], [Gap("u", 7, 1, 0, "unknown")])

    def found(words: str) -> list[str]:
        assert main(["runs", words, "--db", path, "--json"]) == 0
        return [json.loads(line)["run_id"] for line in capfd.readouterr().out.splitlines()]

    assert found("lost>0") == ["u"]
    assert found("lost=0") == ["w"]


def test_a_filter_that_no_run_matches_is_told(path: str, capfd: pytest.CaptureFixture[str]) -> None:
    made(path, [envelope("w", 7, 1, LogEvent())])

    assert main(["runs", "game:none", "--db", path]) == 0
    assert capfd.readouterr().out == "no runs match\n"
    assert main(["runs", "game:none", "--db", path, "--json"]) == 0
    assert capfd.readouterr().out == ""


def test_a_store_with_known_gaps_is_whole_but_for_them(
    path: str, capfd: pytest.CaptureFixture[str]
) -> None:
    made(path, [Gap("k", 7, 1, 8, "trimmed"), envelope("k", 7, 9, RunEnd())])

    assert main(["verify", "--db", path]) == 0
    run, total = capfd.readouterr().out.splitlines()
    assert main(["verify", "--db", path, "--json"]) == 0
    verdict, summary = map(json.loads, capfd.readouterr().out.splitlines())

    assert run.endswith("8 lost in gaps  whole but for 1 known gap")
    assert total == "1 run, 1 event, 8 lost in gaps: whole but for 1 known gap"
    assert (verdict["ok"], verdict["gaps"], verdict["lost"], verdict["lost_unknown"]) == (
        True, 1, 8, 0,
    )  # fmt: skip
    assert (summary["ok"], summary["gaps"], summary["lost_unknown"]) == (True, 1, 0)


def test_verify_fails_on_a_loss_of_unknown_length(
    losses: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["verify", "--db", losses]) == 1
    *runs, total = capfd.readouterr().out.splitlines()
    assert main(["verify", "--db", losses, "--json"]) == 1
    *verdicts, summary = map(json.loads, capfd.readouterr().out.splitlines())

    assert [run.split("  ")[-1] for run in runs] == [
        "whole but for 1 known gap",
        "an unknown number of events lost, at least 8",
        "whole",
    ]
    assert total.endswith("1 run with a loss of unknown length")
    assert [each["ok"] for each in verdicts] == [True, False, True]
    assert (summary["ok"], summary["lost"], summary["lost_unknown"]) == (False, 16, 1)
