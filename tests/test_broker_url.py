"""Where a broker is: how a URL is understood, whatever its password, and what it shows."""

from __future__ import annotations

import copy
import io
import pickle
import re
from urllib.parse import quote

import msgspec
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from rich.console import Console
from rich.pretty import pretty_repr
from rich.traceback import Traceback

from arena_tui.broker_url import BrokerUrl, split_password
from arena_tui.config import Config, load_config
from arena_tui.errors import UsageError

PLACES = {
    "redis": "host.example:7000/3",
    "rediss": "[::1]:7000/3?ssl_cert_reqs=none",
    "unix": "/run/arena.sock?db=3",
}
LOOKS_LIKE_A_SERVER = re.compile(r"(^\d|@).*\?\w+=", re.DOTALL)
passwords = st.text(st.characters(exclude_categories=["Cs"]), min_size=4)
urls = st.builds(
    lambda scheme, user, password, encoded: (
        f"{scheme}://{user}:{quote(password, safe='') if encoded else password}@{PLACES[scheme]}",
        password,
    ),
    st.sampled_from(sorted(PLACES)), st.sampled_from(["", "me", "a%2Fb"]), passwords, st.booleans(),
).filter(lambda case: quote(case[1], safe="") in case[0]
         or not LOOKS_LIKE_A_SERVER.search(case[1]))  # fmt: skip


@pytest.mark.parametrize(
    ("text", "kind", "place", "loopback", "encrypted", "revealed"),
    [
        ("memory:", "memory", "in-process", True, False, "memory:"),
        ("redis://host", "redis", "host:6379", False, False, "redis://host:6379/0"),
        ("REDIS://Host:1/", "redis", "host:1", False, False, "redis://host:1/0"),
        (" redis://h/2\n", "redis", "h:6379", False, False, "redis://h:6379/2"),
        ("redis://h:", "redis", "h:6379", False, False, "redis://h:6379/0"),
        ("redis://h/2?db=3", "redis", "h:6379", False, False, "redis://h:6379/3"),
        ("redis://127.0.0.2", "redis", "127.0.0.2:6379", True, False, "redis://127.0.0.2:6379/0"),
        ("redis://[::1]:7", "redis", "[::1]:7", True, False, "redis://[::1]:7/0"),
        ("redis://[::ffff:127.0.0.1]", "redis", "[::ffff:127.0.0.1]:6379", True, False,
         "redis://[::ffff:127.0.0.1]:6379/0"),
        ("rediss://localhost", "redis", "localhost:6379", True, True, "rediss://localhost:6379/0"),
        ("rediss://h?ssl_cert_reqs=CERT_NONE", "redis", "h:6379", False, True,
         "rediss://h:6379/0?ssl_cert_reqs=none"),
        ("unix:///a b?db=2", "redis", "/a b", True, False, "unix:///a%20b?db=2"),
        ("unix://u:p@/tmp/a@b", "redis", "/tmp/a@b", True, False, "unix://u:p@/tmp/a%40b"),
        ("redis://h?username=u&password=p@w", "redis", "h:6379", False, False,
         "redis://u:p%40w@h:6379/0"),
        ("redis://:p?w#/@:@h", "redis", "h:6379", False, False,
         "redis://:p%3Fw%23%2F%40%3A@h:6379/0"),
        ("redis://:100%@h", "redis", "h:6379", False, False, "redis://:100%25@h:6379/0"),
        ("redis://:a%ffb@h", "redis", "h:6379", False, False, "redis://:a%25ffb@h:6379/0"),
        ("redis://:?DB=@h/3", "redis", "h:6379", False, False, "redis://:%3FDB%3D@h:6379/3"),
        ("redis://me:?db=1@h/3", "redis", "h:6379", False, False,
         "redis://me:%3Fdb%3D1@h:6379/3"),
        ("unix://:a?db=1@/run/s?db=3", "redis", "/run/s", True, False,
         "unix://:a%3Fdb%3D1@/run/s?db=3"),
        ("unix:///run/s?password=p@w", "redis", "/run/s", True, False, "unix://:p%40w@/run/s"),
        ("redis://h:1?username=u&password=p@w", "redis", "h:1", False, False,
         "redis://u:p%40w@h:1/0"),
        ("redis://me@h", "redis", "h:6379", False, False, "redis://me@h:6379/0"),
        ("redis://:@h", "redis", "h:6379", False, False, "redis://h:6379/0"),
    ],
)  # fmt: skip
def test_a_url_is_understood(
    text: str, kind: str, place: str, loopback: bool, encrypted: bool, revealed: str
) -> None:
    url = BrokerUrl(text)

    assert url.problem is None
    assert (url.kind, url.place) == (kind, place)
    assert (url.is_loopback, url.is_encrypted) == (loopback, encrypted)
    assert url.reveal() == revealed


def test_a_url_shows_all_but_its_password() -> None:
    url = BrokerUrl("rediss://me:secret@host/1?ssl_ca_certs=/ca.pem")

    assert str(url) == f"{url}" == "rediss://me:…@host:6379/1?ssl_ca_certs=%2Fca.pem"
    assert repr(url) == "BrokerUrl('rediss://me:…@host:6379/1?ssl_ca_certs=%2Fca.pem')"


def test_urls_are_equal_by_value() -> None:
    one, same = BrokerUrl("redis://:a%40@host"), BrokerUrl("redis://:a@@HOST:6379/0")

    assert one == same
    assert {one: 1}[same] == 1
    assert one == copy.deepcopy(one) == pickle.loads(pickle.dumps(one))
    assert one != BrokerUrl("redis://:b@host")
    assert one != BrokerUrl("redis://host")
    assert Config(broker=one) == Config(broker=same)


def test_a_url_that_cannot_be_used_reveals_nothing() -> None:
    with pytest.raises(UsageError, match="names no host"):
        BrokerUrl("redis://:secret@").reveal()


def test_a_password_is_taken_out_of_a_url_without_a_host() -> None:
    assert split_password("redis://?password=secret") == ("redis://", "secret")


@given(urls)
def test_a_client_of_redis_reads_the_password_as_it_was_meant(case: tuple[str, str]) -> None:
    text, password = case
    assume(quote(password, safe="") in text or "%" not in password)
    connection = pytest.importorskip("redis.connection")

    url = BrokerUrl(text)

    read = connection.parse_url(url.reveal())
    assert read["password"] == password
    assert read["db"] == 3
    assert BrokerUrl(url.reveal()) == url


@given(urls)
def test_no_password_is_shown_by_anything_that_holds_it(case: tuple[str, str]) -> None:
    text, password = case
    config = load_config(broker=text, environment={"ARENA_CONFIG": "/nowhere"})
    around = (
        "BrokerUrl Config broker db None theme event_max_bytes 262144 redis:// rediss:// unix:// "
        "in-process "
    ) + str([*PLACES.values(), "me:…@", "a%2Fb:…@", "ssl_cert_reqs=none", "/nowhere", config.db])
    around += pretty_repr(load_config(environment={"ARENA_CONFIG": "/nowhere"}))
    assume(password.strip() not in around)

    shown = [
        repr(config),
        str(config),
        f"{config.broker}",
        config.broker.place,
        pretty_repr(config),
    ]

    assert not [each for each in shown if password in each]
    with pytest.raises(TypeError):
        msgspec.json.encode(config)


@given(st.text(st.sampled_from(":@/?&=%[]#redisunix password.0") | st.characters()), st.text())
@example("?db=@/?db=@a", "?password=")
@example("a//?", "?password=?db=")
def test_taking_the_password_out_once_is_enough(rest: str, password: str) -> None:
    for scheme in PLACES:
        safe, _ = split_password(f"{scheme}://{rest}{password}")

        assert split_password(safe) == (safe, None)


@given(st.text(), st.sampled_from(sorted(PLACES)))
def test_any_text_is_a_url_or_has_a_problem(text: str, scheme: str) -> None:
    for given_text in (text, f"{scheme}://{text}"):
        url = BrokerUrl(given_text)

        if url.problem is None and not url.prefix:
            assert BrokerUrl(url.reveal()) == url
        elif url.problem is None:
            assert BrokerUrl(url.reveal()).place == url.place.removesuffix(f"?prefix={url.prefix}")
        else:
            assert "\n" not in url.problem
        assert str(url).isprintable()


@pytest.mark.parametrize("where", ["flag", "ARENA_BROKER", "REDIS_URL", "REDIS_PASSWORD", "file"])
def test_a_traceback_that_shows_what_frames_hold_has_no_password(
    where: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    settings = tmp_path_factory.mktemp("settings") / "config.toml"
    url = "redis://:hunter2@host:port"
    environment = {"ARENA_CONFIG": str(settings)}
    if where == "file":
        settings.write_text(f'broker = "{url}"')
    elif where == "REDIS_PASSWORD":
        environment |= {where: "hunter2", "ARENA_BROKER": "redis://:@"}
    elif where != "flag":
        environment[where] = url

    shown = traceback_of(BrokerUrl(url) if where == "flag" else None, [environment])

    assert "locals" in shown
    assert "UsageError" in shown
    assert "hunter2" not in shown


def traceback_of(flag: BrokerUrl | None, environments: list[dict[str, str]]) -> str:
    file = io.StringIO()
    try:
        load_config(flag, environment=environments.pop())
    except UsageError as error:
        kind, trace = type(error), error.__traceback__
        shown = Traceback.from_exception(
            kind, error, trace, show_locals=True, locals_max_string=1_000
        )
        Console(file=file, width=300).print(shown)
    return file.getvalue()


@pytest.mark.parametrize(
    ("text", "shown", "revealed"),
    [
        ("redis://h?prefix=team1:", "redis://h:6379/0?prefix=team1:", "redis://h:6379/0"),
        ("redis://u:p@h/2?prefix=a.b_c-d", "redis://u:…@h:6379/2?prefix=a.b_c-d",
         "redis://u:p@h:6379/2"),
        ("rediss://h?prefix=t:&ssl_cert_reqs=none",
         "rediss://h:6379/0?ssl_cert_reqs=none&prefix=t:",
         "rediss://h:6379/0?ssl_cert_reqs=none"),
        ("unix:///a?prefix=t:", "unix:///a?prefix=t:", "unix:///a"),
    ],
)  # fmt: skip
def test_a_prefix_is_shown_and_kept_from_the_client(text: str, shown: str, revealed: str) -> None:
    url = BrokerUrl(text)

    assert (str(url), url.reveal()) == (shown, revealed)
    assert url.place.endswith(f"?prefix={url.prefix}")
    assert url.or_password("secret").prefix == url.prefix
    assert url != BrokerUrl(revealed)


@pytest.mark.parametrize(
    "text",
    ["memory:", "redis://u:p%40x@h:6380/2?prefix=a.b", "rediss://:p@h?ssl_cert_reqs=none&prefix=t:",
     "unix://u:p@/run/redis?db=3"],
)  # fmt: skip
def test_a_child_is_told_all_of_a_url(text: str) -> None:
    url = BrokerUrl(text)

    assert BrokerUrl(url.unmasked()) == url


@pytest.mark.parametrize("prefix", ["a b", "a*", "é", "a'b", "x" * 65, "{a}"])
def test_a_prefix_of_other_characters_is_refused_in_one_line(prefix: str) -> None:
    url = BrokerUrl(f"redis://h?prefix={quote(prefix)}")

    assert url.problem == (
        "the broker's prefix has other characters than A-Z a-z 0-9 . _ : -, or over 64: "
        "write ?prefix=team1:"
    )


@pytest.mark.parametrize(
    ("text", "use"),
    [
        ("redis+sentinel://:secret@h:26379/mymaster", "the URL of the primary itself"),
        ("redis-sentinel://h", "the URL of the primary itself"),
        ("sentinel://h", "the URL of the primary itself"),
        ("redis-cluster://u:secret@h", "a single server"),
        ("rediss+cluster://h", "a single server"),
    ],
)
def test_other_kinds_of_redis_are_told_what_to_use(text: str, use: str) -> None:
    url = BrokerUrl(text)

    assert use in (url.problem or "")
    assert "secret" not in f"{url}{url.problem}"
