"""Filters that are saved under names."""

from __future__ import annotations

from pathlib import Path

import pytest

from arena_tui.errors import UsageError
from arena_tui.services import saved_filters as module
from arena_tui.services.saved_filters import SavedFilters


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "filters.json"


def test_what_is_saved_is_there_for_the_next_and_can_be_deleted(path: Path) -> None:
    saved = SavedFilters(path)
    before = saved.read()
    saved.save(" my\n games ", "game:chess")
    SavedFilters(path).save("dear", 'cost>1 "a b"')
    saved.save("my games", "game:go")
    both = SavedFilters(path).read()
    saved.delete("my games")
    saved.delete("nosuch")

    assert before == {}
    assert both == {"my games": "game:go", "dear": 'cost>1 "a b"'}
    assert saved.read() == {"dear": 'cost>1 "a b"'}
    assert [each.name for each in path.parent.iterdir()] == ["filters.json"]


@pytest.mark.parametrize("content", [b"{", b"[]", b'{"a": 1}', b"\xff"])
def test_a_damaged_file_is_told_in_one_line_and_left_alone(path: Path, content: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    saved = SavedFilters(path)
    for use in (saved.read, lambda: saved.save("a", "b"), lambda: saved.delete("a")):
        with pytest.raises(
            UsageError, match=r"filters\.json is damaged: mend it, or remove"
        ) as said:
            use()

        assert "\n" not in str(said.value)
    assert path.read_bytes() == content


def test_names_and_their_number_have_limits(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SAVED_MAX", 1)
    saved = SavedFilters(path)
    saved.save("a", "x")

    for name, said in (("  ", "at most 60"), ("n" * 61, "at most 60"), ("b", "delete one first")):
        with pytest.raises(UsageError, match=said):
            saved.save(name, "y")
    assert saved.read() == {"a": "x"}


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(UsageError, match="cannot"):
        SavedFilters(tmp_path / "file" / "filters.json").save("a", "b")
