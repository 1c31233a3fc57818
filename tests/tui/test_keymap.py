"""Other keys for actions, from the settings file."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from textual.binding import Binding

from arena_tui.errors import UsageError
from arena_tui.tui.app import ArenaApp
from arena_tui.tui.bound import changeable, fixed
from arena_tui.tui.keymap import keymap_of, with_ids
from arena_tui.tui.keys import key_rows
from arena_tui.tui.tabs import TABS
from tests.tui.scenario import Scenario
from tests.tui.test_screens import running, settled

ALL = changeable(ArenaApp, TABS)
DOCUMENT = Path(__file__).parents[2] / "docs" / "KEYS.md"


def test_an_id_is_the_place_and_what_the_key_does() -> None:
    error = Binding("e", "jump", "error", tooltip="next error")
    bindings = with_ids("run", [error, ("x", "y", "Z")])

    assert [each.id for each in bindings if isinstance(each, Binding)] == [
        "run.next_error",
        "run.z",
    ]


def test_every_id_is_in_the_document_with_its_keys() -> None:
    bound = [each for bindings in ALL.values() for each in bindings if each.id]
    keys: dict[str, list[str]] = {}
    for each in bound:
        keys.setdefault(each.id or "", []).append(each.key)
    rows = {f"| `{name}` | `{','.join(own)}` |" for name, own in keys.items()}

    assert set(re.findall(r"^\| `.*$", DOCUMENT.read_text(), re.MULTILINE)) == rows


def test_a_key_is_given_by_its_name_or_as_it_is_typed() -> None:
    wanted = [("run.previous_turn", ","), ("run.next_turn", "full_stop,ctrl+n"), ("run.find", "ö")]

    assert keymap_of(wanted, ALL) == {
        "run.previous_turn": "comma",
        "run.next_turn": "full_stop,ctrl+n",
        "run.find": "latin_small_letter_o_with_diaeresis",
    }


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ({"run.previos_turn": "x"}, r"nothing is called 'run.previos_turn': do you mean 'run.prev"),
        ({"run.zzzzzzzzzz": "x"}, "docs/KEYS.md lists them"),
        ({"run.previous_turn": "coma"}, "no key 'coma': do you mean 'comma'"),
        ({"run.previous_turn": "strg+x"}, "no key 'strg.x'"),
        ({"run.previous_turn": "e"}, "e would be both run.previous_turn and run.next_error on run"),
        ({"run.previous_turn": "q"}, "q would be both app.quit and run.previous_turn on run"),
        ({"live.sort": "x", "live.filter": "x"}, "x would be both live.filter and live.sort"),
    ],
)
def test_what_cannot_be_is_named_with_what_would_be_right(
    wanted: dict[str, str], said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        keymap_of([*wanted.items()], ALL)


@pytest.mark.parametrize(
    ("name", "key", "said"),
    [
        ("run.play", "v", "'events in place of turns, and back'"), ("run.find", "r", "'raw json'"),
        ("live.sort", "1", "'Live'"), ("history.delete", "j", "'down'"), ("app.help", "k", "'up'"),
        ("live.sort", "a", "app.account"),
    ],
)  # fmt: skip
def test_a_key_of_a_list_a_tab_or_all_screens_is_not_given_away(
    name: str, key: str, said: str
) -> None:
    with pytest.raises(UsageError, match=f"{key} would be both .*{said}"):
        keymap_of([(name, key)], ALL, lambda place: fixed(place, TABS))


def test_two_actions_may_change_places() -> None:
    wanted = [("run.previous_turn", "e"), ("run.next_error", "left_square_bracket")]

    assert keymap_of(wanted, ALL) == dict(wanted)


def test_the_keys_as_they_are_have_no_conflict() -> None:
    assert keymap_of([("run.play", "space")], ALL) == {"run.play": "space"}


async def test_a_changed_key_acts_and_stands_in_footer_and_help_in_place_of_the_other() -> None:
    app = Scenario(keys=(("live.sort", "f5"),))
    async with running(app) as pilot:
        await pilot.press("s")
        before = await settled(app, pilot)
        await pilot.press("f5")
        after = await settled(app, pilot)
        rows = {row.what: row.keys for row in key_rows(app.screen, app.get_key_display)}

    assert "sorted by" not in before
    assert "f5 sort" in before
    assert "sorted by" in after
    assert rows["sort"] == (("f5",),)
