"""Finds the consumers that installed packages declare, and imports them. Runs none."""

from __future__ import annotations

import re
from importlib import invalidate_caches
from importlib.metadata import EntryPoint, entry_points
from typing import Final

from msgspec import Struct

from arena_tui.consumers.checked import BUILT_IN
from arena_tui.consumers.protocol import ConsumerFactory
from arena_tui.errors import ConsumerError

GROUP: Final = "arena_tui.consumers"
"""A package declares `name = "module:factory"` in this group of entry points."""

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class Declared(Struct, frozen=True):
    """One entry point.

    Attributes:
        name: The consumer's.
        target: `module:factory`.
        package: The distribution that declares it.
        version: Of that one.
        refusal: Why it is never run; None: it may be.
    """

    name: str
    target: str
    package: str
    version: str
    refusal: str | None = None

    def load(self) -> ConsumerFactory:
        """Import its module, which runs code of the package.

        Raises:
            ConsumerError: It cannot be imported, or is of another name.
        """
        invalidate_caches()  # what it lacked may have been installed since
        try:
            factory: ConsumerFactory = EntryPoint(self.name, self.target, GROUP).load()
        except (Exception, SystemExit) as error:
            why = f"{type(error).__name__}: {error}".rstrip(": ")
            raise ConsumerError(f"cannot import {self.target} of {self.package}: {why}") from error
        self.check_name(getattr(factory, "name", self.name))
        return factory

    def check_name(self, name: object) -> None:
        """Raise ConsumerError if the consumer's own name is not that of the entry point."""
        if name != self.name:
            raise ConsumerError(
                f"{self.target} of {self.package} is called {name!r}: "
                "give it the name of its entry point"
            )


def declared() -> list[Declared]:
    """All that are declared, by name."""
    found: list[Declared] = []
    for each in sorted(entry_points(group=GROUP), key=lambda each: (each.name, each.value)):
        package = each.dist.name if each.dist else "?"
        version = each.dist.version if each.dist else "?"
        taken = next((other.package for other in found if other.name == each.name), None)
        refusal = _refusal(each.name, taken)
        found.append(Declared(each.name, each.value, package, version, refusal))
    return found


def _refusal(name: str, taken: str | None) -> str | None:
    if name in BUILT_IN:
        return "that is the name of a consumer of arena-tui: give it another name"
    if not _NAME.fullmatch(name):
        return "its name is not usable: give 1 to 64 of A-Z a-z 0-9 . _ -"
    if taken is not None:
        return f"{taken} has declared one of that name, too: uninstall one of them"
    return None
