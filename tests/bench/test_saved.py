from __future__ import annotations

import json
import platform
from collections.abc import Iterator
from pathlib import Path

import pytest

from arena_tui import __version__
from arena_tui.bench import start
from arena_tui.bench.measure import OWN, BenchError, Figure, Plan, at_most, compare
from arena_tui.bench.saved import read_saved, save
from arena_tui.cli import benching, main
from arena_tui.errors import UsageError
from tests.bench.test_command import arguments


def figures(value: float = 4.0, peer: float = 2.0) -> list[Figure]:
    return [
        *compare("start", "first frame", "s", {OWN: [value], "floor": [peer]},
                 {"floor": at_most(9)}),
        *compare("start", "lost", "events", {OWN: [0.0], "floor": [0.0]}),
    ]  # fmt: skip


def measuring(value: float, monkeypatch: pytest.MonkeyPatch) -> None:
    def measure(_plan: Plan) -> Iterator[Figure]:
        yield from figures(value)

    monkeypatch.setattr(start, "measure_start", measure)


def test_what_is_saved_compared_with_itself_is_1_throughout(tmp_path: Path) -> None:
    save(tmp_path / "a.json", figures())

    saved = read_saved(tmp_path / "a.json")

    for each in figures():
        compared = saved.beside(each)
        assert (compared.change, compared.peer_change) == (1.0, 1.0)
        assert (compared.saved_value, compared.saved_peer_value) == (each.value, each.peer_value)


def test_figures_are_saved_with_the_build_and_nothing_that_names_the_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    measuring(4.0, monkeypatch)

    assert benching.bench(arguments("start", save=tmp_path / "a.json")) == 0

    kept = (tmp_path / "a.json").read_text()
    assert list(json.loads(kept)) == ["version", "python", "cores", "figures"]
    assert json.loads(kept)["version"] == __version__
    assert len(json.loads(kept)["figures"]) == 2
    assert platform.node() not in kept
    assert str(tmp_path) not in kept


def test_each_figure_stands_beside_the_saved_one_of_another_build(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    save(tmp_path / "a.json", figures(value=4.0))
    measuring(6.0, monkeypatch)

    assert benching.bench(arguments("start", against=tmp_path / "a.json")) == 0

    said = capsys.readouterr().out.splitlines()
    assert said[-4:] == [
        "figure       value     saved     ratio   beside  value     saved     ratio",
        "first frame  6.00 s    4.00 s    1.50 ×  floor   2.00 s    2.00 s    1.00 ×",
        "lost         0 events  0 events  1.00 ×  floor   0 events  0 events  1.00 ×",
        "",
    ]


def test_what_was_not_saved_has_nothing_to_stand_beside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    save(tmp_path / "a.json", [])
    measuring(6.0, monkeypatch)
    given = {"against": tmp_path / "a.json"}

    benching.bench(arguments("start", **given))
    table = capsys.readouterr().out.splitlines()
    benching.bench(arguments("start", json=True, **given))
    first = json.loads(capsys.readouterr().out.splitlines()[0])

    assert "first frame  6.00 s    –      –      floor   2.00 s    –      –" in table
    assert [first[name] for name in ("value", "saved_value", "change")] == [6.0, None, None]


@pytest.mark.parametrize("text", ["", "not json", "[]", '{"version": "1"}', "\xff"])
def test_a_file_of_something_else_is_refused_in_one_line(
    text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(text.encode("latin-1"))

    assert main(["bench", "start", "--against", str(path)]) == UsageError.exit_code

    said = capsys.readouterr().err
    assert said.startswith(f"arena-tui: cannot compare with {path}: ")
    assert said.endswith(": give a file that bench --save wrote\n")
    assert said.count("\n") == 1


def test_a_file_that_cannot_be_written_is_an_error_that_says_so(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match=r"cannot write .*: Is a directory: give another --save"):
        save(tmp_path, figures())
