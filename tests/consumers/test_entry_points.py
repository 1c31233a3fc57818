"""What packages declare is found; what can never run is told apart, and why."""

from __future__ import annotations

import pytest

from arena_tui.consumers.entry_points import declared
from arena_tui.errors import ConsumerError
from tests.packages_fixture import WITNESS, Declare


def test_what_a_package_declares_is_found_and_imported(declare: Declare) -> None:
    module = declare("witness", WITNESS, package="some-package")

    (found,) = declared()

    assert (found.name, found.package, found.version) == ("witness", "some-package", "1.5")
    assert (found.target, found.refusal) == (f"{module}:Factory", None)
    assert getattr(found.load(), "name", None) == "witness"


@pytest.mark.parametrize(
    "name", ["persister", "dashboard", "a/b", "..", ".hidden", "a b", "x" * 65]
)
def test_a_name_that_cannot_be_one_is_refused(declare: Declare, name: str) -> None:
    declare(name, WITNESS, package="bad")
    declare("witness", WITNESS)

    refused = {each.name: each.refusal for each in declared()}

    assert len(refused) == 2
    assert refused.pop("witness") is None
    assert "name" in str(*refused.values())


def test_of_two_of_one_name_the_second_is_refused(declare: Declare) -> None:
    declare("witness", WITNESS, package="one")
    declare("witness", WITNESS, package="two")

    first, second = declared()

    assert first.refusal is None
    assert second.refusal == "one has declared one of that name, too: uninstall one of them"


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("import no_such_module", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("Factory = ", "SyntaxError: "),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("raise ValueError", "ValueError"),
        ("Fabric = 1", "has no attribute 'Factory'"),
        (WITNESS.replace('"witness"', '"another"'), "is called 'another': give it the name of its"),
    ],
)
def test_what_cannot_be_imported_says_why_in_one_line(
    declare: Declare, source: str, why: str
) -> None:
    declare("witness", source, package="broken-package")
    (found,) = declared()

    with pytest.raises(ConsumerError) as raised:
        found.load()

    assert why in str(raised.value)
    assert "broken-package" in str(raised.value)
    assert "\n" not in str(raised.value)
