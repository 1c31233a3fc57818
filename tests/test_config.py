"""Where a setting comes from, and what is never shown."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from arena_tui.broker_url import BrokerUrl, redacted
from arena_tui.config import Config, config_path, load_config, store_path
from arena_tui.errors import UsageError
from arena_tui.settings import Gauges, Notify, Price, TroubleLimits


@pytest.fixture
def nowhere(tmp_path: Path) -> dict[str, str]:
    """An environment whose settings file does not exist."""
    return {"ARENA_CONFIG": str(tmp_path / "config.toml")}


def write(environment: dict[str, str], text: str) -> None:
    Path(environment["ARENA_CONFIG"]).write_text(text, encoding="utf-8")


def test_flags_win_over_environment_over_file_over_defaults(nowhere: dict[str, str]) -> None:
    found = [load_config(environment=nowhere)]
    write(nowhere, 'db = "/file.duckdb"\ntheme = "nord"')
    found.append(load_config(environment=nowhere))
    nowhere["ARENA_DB"] = "/environment.duckdb"
    found.append(load_config(environment=nowhere))
    found.append(load_config(db="/flag.duckdb", environment=nowhere))

    assert found == [
        Config(db=str(store_path())),
        Config(db="/file.duckdb", theme="nord"),
        Config(db="/environment.duckdb", theme="nord"),
        Config(db="/flag.duckdb", theme="nord"),
    ]


def test_an_empty_variable_is_no_setting(nowhere: dict[str, str]) -> None:
    assert load_config(environment={**nowhere, "ARENA_DB": ""}).db == str(store_path())


def test_low_bandwidth_is_a_switch(nowhere: dict[str, str]) -> None:
    def given(value: str) -> bool:
        return load_config(environment=nowhere | {"ARENA_LOW_BANDWIDTH": value}).low_bandwidth

    assert [given(each) for each in ("", "false", "0", "true", "1")] == [False] * 3 + [True] * 2
    assert load_config(environment=nowhere, low_bandwidth=True).low_bandwidth
    with pytest.raises(UsageError, match="low_bandwidth 'a bit' is not usable: say true or false"):
        given("a bit")
    write(nowhere, "low_bandwidth = true")
    assert [given(each) for each in ("", "false")] == [True, False]


def test_no_store_wins_over_any_store(nowhere: dict[str, str]) -> None:
    assert load_config(store=False, environment={**nowhere, "ARENA_DB": "/x"}).db is None


def test_the_home_folder_is_known_and_memory_is_not_a_file(nowhere: dict[str, str]) -> None:
    assert load_config(db="~/a.duckdb", environment=nowhere).db == str(Path.home() / "a.duckdb")
    assert load_config(db=":memory:", environment=nowhere).db == ":memory:"


def test_the_limit_of_an_event_is_a_number_of_bytes(nowhere: dict[str, str]) -> None:
    def limit(given: str) -> int:
        return load_config(environment=nowhere | {"ARENA_EVENT_MAX_BYTES": given}).event_max_bytes

    assert load_config(environment=nowhere).event_max_bytes == 262_144
    assert limit("1000000") == 1_000_000
    for given in ("a lot", "1000", "5000000", "-1"):
        with pytest.raises(UsageError, match="from 65,536 to 4,194,304"):
            limit(given)
    Path(nowhere["ARENA_CONFIG"]).write_text("event_max_bytes = 2_000_000")
    assert load_config(environment=nowhere).event_max_bytes == 2_000_000


def test_the_tables_are_of_the_file_alone(nowhere: dict[str, str]) -> None:
    write(nowhere, "[gauges]\nmarks = [10, 20.5, 90]")
    assert load_config(environment=nowhere).gauges == Gauges(marks=(10, 20.5, 90))
    nowhere["ARENA_GAUGES"] = "x"
    assert load_config(environment=nowhere).gauges == Gauges(marks=(10, 20.5, 90))


def test_the_readme_gives_the_defaults_of_trouble_and_notices(nowhere: dict[str, str]) -> None:
    readme = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```toml\n(\[trouble\].*?)```", readme, re.DOTALL)
    write(nowhere, block)

    assert load_config(environment=nowhere) == Config(db=str(store_path()))
    for name in (*TroubleLimits.__struct_fields__, *Notify.__struct_fields__):
        assert name in block


@pytest.mark.parametrize(
    ("name", "table", "said"),
    [
        ("gauges", "marks = [50, 40, 100]", "marks must be three rising numbers"),
        ("gauges", "marks = [50, 80]", ".* length 3"),
        ("gauges", "mark = 50", ".*unknown field `mark`"),
        ("trouble", "stuck_floor_s = 0", r".*> 0.*stuck_floor_s"),
        ("trouble", "run_usd = nan", r".*> 0.*run_usd"),
        ("trouble", "loop_repeats = 1", r".*>= 2.*loop_repeats"),
        ("trouble", 'off = ["lonely"]', ".*'lonely'"),
        ("notify", 'desktop = "osc52"', ".*'osc52'"),
        ("notify", 'on_trouble = "notify-send \'x"', "on_trouble is not a command: No closing"),
        ("notify", "on_trouble = \"''\"", "on_trouble names no program"),
        ("notify", 'on_trouble = "a\\u0000b"', "on_trouble names no program"),
        ("notify", "at_most = 0", ".*>= 1.*at_most"),
    ],
)
def test_a_bad_table_is_named_with_what_is_wrong_in_it(
    nowhere: dict[str, str], name: str, table: str, said: str
) -> None:
    write(nowhere, f"[{name}]\n{table}")

    with pytest.raises(UsageError, match=rf"config\.toml: \[{name}\]: {said}") as raised:
        load_config(environment=nowhere)

    assert "\n" not in str(raised.value)


def test_prices_are_named_by_model(nowhere: dict[str, str]) -> None:
    write(nowhere, '[prices]\n"own/model:7b" = {input = 0, output = 0.5}\n'
                   "[prices.reed-2]\ninput = 2\noutput = 10\ncached = 0.2")  # fmt: skip

    config = load_config(environment=nowhere)

    assert dict(config.prices) == {
        "own/model:7b": Price(input=0, output=0.5),
        "reed-2": Price(input=2, output=10, cached=0.2),
    }
    assert hash(config) == hash(load_config(environment=nowhere))


@pytest.mark.parametrize(
    ("price", "said"),
    [
        ("{input = 2}", "missing required field `output`"),
        ("{input = 2, output = -1}", ">= 0"),
        ("{input = 2, output = nan}", ">= 0"),
        ("{input = 2, output = inf}", "<= 1000000"),
        ('{input = 2, output = "10"}', "Expected `float`"),
        ("{input = 2, output = 10, out = 3}", "unknown field `out`"),
        ("2", "Expected `object`"),
    ],
)
def test_a_bad_price_is_named_with_what_is_wrong_in_it(
    nowhere: dict[str, str], price: str, said: str
) -> None:
    write(nowhere, f"[prices]\nreed-2 = {price}")

    with pytest.raises(UsageError, match=rf"config\.toml: \[prices\]: .*{said}") as raised:
        load_config(environment=nowhere)

    assert "\n" not in str(raised.value)


def test_a_broker_comes_from_flag_or_environment_or_file(nowhere: dict[str, str]) -> None:
    found = [load_config(environment=nowhere).broker]
    write(nowhere, 'broker = "redis://file"')
    found.append(load_config(environment=nowhere).broker)
    nowhere["REDIS_URL"] = "redis://redis-url"
    found.append(load_config(environment=nowhere).broker)
    nowhere["ARENA_BROKER"] = "redis://environment"
    found.append(load_config(environment=nowhere).broker)
    found.append(load_config(broker="memory:", environment=nowhere).broker)

    assert [url.place for url in found] == [
        "in-process", "file:6379", "redis-url:6379", "environment:6379", "in-process",
    ]  # fmt: skip


def test_the_environments_password_is_used_where_the_url_has_none(nowhere: dict[str, str]) -> None:
    nowhere["REDIS_PASSWORD"] = "p@ss/word%"
    revealed = [
        load_config(broker=text, environment=nowhere).broker.reveal()
        for text in ("redis://host", "redis://me:own@host", "unix://me@/tmp/s", "memory:")
    ]

    assert revealed == [
        "redis://:p%40ss%2Fword%25@host:6379/0",
        "redis://me:own@host:6379/0",
        "unix://me:p%40ss%2Fword%25@/tmp/s",
        "memory:",
    ]


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("gopher://me:hunter2@host", "unknown broker 'gopher:…': use memory:, redis://"),
        ("me:hunter2@host", "unknown broker 'me:…'"),
        ("hunter2@host", "unknown broker '…'"),
        ("redis:/:hunter2@host", "unknown broker 'redis:…'"),
        ("local", "unknown broker 'local'"),
        ("memory://", "unknown broker 'memory:…'"),
        ("redis://", "names no host: write redis://user:password@host:6379/0"),
        ("rediss://me:hunter2@", "names no host: write rediss://"),
        ("redis://me:hunter2@ho st", "names no host"),
        ("redis://me:hunter2@[::1", "names no host"),
        ("redis://me:hunter2@[host]", "names no host"),
        ("redis://me:hunter2", "port is no number from 1 to 65535"),
        ("redis://me:hunter2@host:0", "port is no number"),
        ("redis://me:hunter2@host:65536", "port is no number"),
        ("redis://me:hunter2@host:²", "port is no number"),
        ("redis://me:hunter2@host/one", "database is no number from 0"),
        ("redis://me:hunter2@host?db=-1", "database is no number from 0"),
        ("redis://me:hunter2@host?socket_timeout=1", "an option that redis:// does not: use db"),
        ("redis://me:hunter2@host?ssl_cert_reqs=none", "an option that redis:// does not"),
        ("rediss://me:hunter2@host?ssl_cert_reqs=hunter2", "not none, optional or required"),
        ("unix://tmp/socket", "no path from /: write unix:///path?db=0"),
        ("unix://:hunter2@tmp/socket", "no path from /"),
        ("unix:///tmp/socket?db=x", "database is no number from 0"),
    ],
)
def test_a_broker_that_cannot_be_used_is_one_line_and_keeps_its_secret(
    nowhere: dict[str, str], url: str, said: str
) -> None:
    nowhere["ARENA_BROKER"] = url

    with pytest.raises(UsageError) as raised:
        load_config(environment=nowhere)

    assert str(raised.value).startswith("ARENA_BROKER: ")
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)
    assert "hunter2" not in str(raised.value) + repr(BrokerUrl(url))


@pytest.mark.parametrize(
    "text",
    ["db =", 'colour = "red"', "db = 5", "[db]\nx = 1"],
    ids=["toml", "name", "type", "table"],
)
def test_a_bad_settings_file_is_named(nowhere: dict[str, str], text: str) -> None:
    write(nowhere, text)

    with pytest.raises(UsageError, match=r"config\.toml"):
        load_config(environment=nowhere)


def test_a_folder_in_place_of_the_settings_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot read"):
        load_config(environment={"ARENA_CONFIG": str(tmp_path)})


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("memory:", "memory:"),
        ("redis://host:6379/0", "redis://host:6379/0"),
        ("redis://me@host", "redis://me@host"),
        ("redis://me:secret@host:6379/0", "redis://me:…@host:6379/0"),
        ("redis://:secret@host", "redis://:…@host"),
        ("redis://:se/cr@et@host", "redis://:…@host"),
        ("redis://:secret@[::1", "redis://:…@[::1"),
        ("redis://host?db=1&password=secret&x=2", "redis://host?db=1&password=…&x=2"),
    ],
)
def test_a_password_is_never_shown(url: str, shown: str) -> None:
    assert redacted(url) == shown


def test_the_settings_file_has_a_place_of_its_own() -> None:
    assert config_path({}).name == "config.toml"
    assert config_path({"ARENA_CONFIG": "/x.toml"}) == Path("/x.toml")


def test_a_settings_file_may_begin_with_a_byte_order_mark(nowhere: dict[str, str]) -> None:
    Path(nowhere["ARENA_CONFIG"]).write_bytes(b'\xef\xbb\xbfdb = "/b\xc3\xa4r.duckdb"\r\n')

    assert load_config(environment=nowhere).db == "/bär.duckdb"


@pytest.mark.parametrize("content", ['db = "/bär"'.encode("latin-1"), 'db = "x"'.encode("utf-16")])
def test_a_settings_file_of_another_encoding_is_one_line(
    nowhere: dict[str, str], content: bytes
) -> None:
    Path(nowhere["ARENA_CONFIG"]).write_bytes(content)

    with pytest.raises(UsageError, match="UTF-8") as raised:
        load_config(environment=nowhere)

    assert nowhere["ARENA_CONFIG"] in str(raised.value)
    assert "\n" not in str(raised.value)
