"""Other keys for actions, as `[keys]` in the settings file gives them. Knows no screen by name."""

from __future__ import annotations

import difflib
import re
import string
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final

from textual.binding import Binding, BindingType, Keymap
from textual.keys import KEY_NAME_REPLACEMENTS, Keys

from arena_tui.errors import UsageError
from arena_tui.tui.keys import said_of

_MODIFIERS: Final = ("ctrl", "shift", "alt", "super", "meta", "hyper")


def with_ids(place: str, bindings: Iterable[BindingType]) -> list[BindingType]:
    """The bindings with ids by which keys can be changed: `run.previous_turn`."""
    named: list[BindingType] = []
    for each in bindings:
        binding = each if isinstance(each, Binding) else Binding(*each)
        what = "_".join(re.findall(r"[a-z0-9]+", said_of(binding).lower()))
        named.append(
            Binding(
                binding.key, binding.action, binding.description, binding.show,
                binding.key_display, binding.priority, binding.tooltip,
                binding.id or f"{place}.{what}", binding.system, binding.group,
            )
        )  # fmt: skip
    return named


def keymap_of(
    wanted: Sequence[tuple[str, str]],
    bound: Mapping[str, Sequence[Binding]],
    fixed: Callable[[str], Mapping[str, str]] = lambda _: {},
) -> Keymap:
    """What Textual takes, of the settings: ids, and the keys wanted for each.

    `bound` has the bindings of each place; those of `app` hold on every screen. `fixed` tells what
    the other keys of a place do.

    Raises:
        UsageError: There is no such id or key, or one key would do two things in one place.
    """
    ids = {binding.id for bindings in bound.values() for binding in bindings if binding.id}
    keymap: dict[str, str] = {}
    for name, keys in wanted:
        if name not in ids:
            raise UsageError(f"[keys]: nothing is called {name!r}{_nearest(name, ids)}")
        names = keys.split(",") if len(keys) > 1 else [keys]
        keymap[name] = ",".join(_key(each.strip(), name) for each in names)
    for place in bound:
        here = {"app": bound.get("app", ()), place: bound[place]}
        _refuse_conflicts(place, here, keymap, fixed(place))
    return keymap


def _refuse_conflicts(
    place: str, bound: Mapping[str, Sequence[Binding]], keymap: Keymap, fixed: Mapping[str, str]
) -> None:
    """Refuse a key of `keymap` that something else in this place has, too."""
    own = {binding.id for bindings in bound.values() for binding in bindings}
    for name in own & keymap.keys():
        for key in keymap[name or ""].split(","):
            if key in fixed and place != "app":
                raise UsageError(
                    f"[keys]: {key} would be both {name} and {fixed[key]!r} on {place}, which stays"
                )
    meant: dict[str, str] = {}
    changed = [
        (key, binding.id)
        for bindings in bound.values()
        for binding in bindings
        for key in keymap.get(binding.id or "", binding.key).split(",")
        if binding.id
    ]
    for key, name in changed:
        other = meant.setdefault(key, name)
        if other != name and not keymap.keys().isdisjoint((other, name)):
            raise UsageError(f"[keys]: {key} would be both {other} and {name} on {place}")


def _key(text: str, name: str) -> str:
    """A key by the name that Textual has for it; raises UsageError where there is none."""
    *modifiers, key = text.split("+") if len(text) > 1 else [text]
    found = _name_of(key) if len(key) == 1 else key
    unknown = [each for each in modifiers if each not in _MODIFIERS]
    if unknown or (found not in _known_keys() and not _is_character(found)):
        raise UsageError(f"[keys] {name}: no key {text!r}{_nearest(found, _known_keys())}")
    return "+".join([*modifiers, found])


def _name_of(character: str) -> str:
    if character.isascii() and character.isalnum():
        return character
    name = unicodedata.name(character, "").lower().replace(" ", "_").replace("-", "_")
    return KEY_NAME_REPLACEMENTS.get(name, name)


def _is_character(name: str) -> bool:
    try:
        unicodedata.lookup(name.replace("_", " "))
    except KeyError:
        return False
    return True


def _known_keys() -> set[str]:
    printed = (_name_of(each) for each in string.punctuation + string.ascii_letters + string.digits)
    return {*printed, *(key.value for key in Keys if not key.value.startswith("<")), "space"}


def _nearest(word: str, known: Iterable[str]) -> str:
    """`: do you mean …?`, or where to look."""
    near = difflib.get_close_matches(word, sorted(known), 1, cutoff=0.5)
    return f": do you mean {near[0]!r}?" if near else ": docs/KEYS.md lists them"


def bindings_of(nodes: Iterable[type]) -> Iterator[tuple[str, list[Binding]]]:
    """The place and the bindings with ids of classes of screens."""
    for node in nodes:
        bindings = [*Binding.make_bindings(getattr(node, "BINDINGS", ()))]
        named = [each for each in bindings if each.id]
        if named:
            yield (named[0].id or "").partition(".")[0], named
