"""The consumer behind the metrics counts each event once, and knows no state of its own making."""

from __future__ import annotations

import asyncio

import pytest

from arena_tui.broker.memory import InProcessBroker
from arena_tui.broker.protocol import BrokerProtocol, RunMeta
from arena_tui.codec import decode_event
from arena_tui.config import Config
from arena_tui.consumers.feed import Feed
from arena_tui.consumers.metrics import Meter, Metered
from arena_tui.consumers.protocol import Context
from arena_tui.events import ErrorEvent, Event, LlmPrompt, LlmResponse, LogEvent, RunEnd
from arena_tui.services.consumption import Consumption
from arena_tui.settings import TroubleLimits
from tests.conftest import FakeClock, MakeBroker, arrived
from tests.waiting import until

ANSWER = LlmResponse(text="x", input_tokens=100, output_tokens=10, cost_usd=0.25)


async def metering(broker: BrokerProtocol, clock: FakeClock) -> Consumption[Meter]:
    consumption = Consumption(Meter(Context(broker, Config()), clock), broker)
    await consumption.start()
    return consumption


async def publish(broker: BrokerProtocol, run_id: str, *events: Event) -> None:
    for event in events:
        await broker.publish(run_id, event)
    await arrived(broker)


def counted(consumption: Consumption[Meter]) -> Metered:
    return consumption.consumer.stats()


def events_of(consumption: Consumption[Meter]) -> int:
    return sum(counted(consumption).events.values())


async def test_events_tokens_and_cost_are_those_of_all_runs(
    make_broker: MakeBroker, clock: FakeClock
) -> None:
    broker = await make_broker()
    meter = await metering(broker, clock)
    for run_id in "ab":
        await broker.open_run(RunMeta(run_id=run_id))
        await publish(broker, run_id, ANSWER, ANSWER, LogEvent(), RunEnd(status="crashed"))

    await until(lambda: events_of(meter) == 8)
    await meter.stop()

    told = counted(meter)
    assert (told.input_tokens, told.output_tokens, told.cost_usd) == (400, 40, 1.0)
    assert told.events["llm_response"] == 4
    assert told.ended == {"finished": 0, "crashed": 2, "stopped": 0}


async def test_what_no_event_reports_is_not_counted(clock: FakeClock) -> None:
    broker = InProcessBroker(clock=clock)
    meter = await metering(broker, clock)
    await broker.open_run(RunMeta(run_id="a"))
    await publish(broker, "a", LlmResponse(text="x"), LlmResponse(text="x", cost_usd=-3.0), ANSWER)

    await until(lambda: events_of(meter) == 3)
    await meter.stop()

    assert (counted(meter).input_tokens, counted(meter).cost_usd) == (100, 0.25)


async def test_a_kind_that_is_not_known_is_counted_as_other(clock: FakeClock) -> None:
    broker = InProcessBroker(clock=clock)
    meter = await metering(broker, clock)
    await broker.open_run(RunMeta(run_id="a"))
    kinds = counted(meter).events.keys()
    for number in range(20):
        await publish(broker, "a", decoded(f"kind_{number}"))

    await until(lambda: events_of(meter) == 20)
    await meter.stop()

    assert counted(meter).events.keys() == kinds
    assert counted(meter).events["other"] == 20


def decoded(kind: str) -> Event:
    return decode_event(b'{"kind": "%s"}' % kind.encode())


async def test_a_restart_counts_nothing_twice_and_misses_nothing(
    make_broker: MakeBroker, clock: FakeClock
) -> None:
    broker = await make_broker()
    await broker.open_run(RunMeta(run_id="before"))
    await publish(broker, "before", ANSWER, ANSWER)
    meter = await metering(broker, clock)
    await broker.open_run(RunMeta(run_id="a"))
    await publish(broker, "a", ANSWER)
    begins_at = 1 if broker.shared else 3
    await until(lambda: events_of(meter) == begins_at)

    for restarts in range(3):
        await meter.stop()
        await publish(broker, "a", ANSWER)
        await meter.start()
        await publish(broker, "a", ANSWER)
        await until(lambda expected=begins_at + 2 * (restarts + 1): events_of(meter) == expected)
    await meter.stop()

    assert counted(meter).input_tokens == 100 * (begins_at + 6)
    assert counted(meter).repeated == 0


async def test_a_batch_handed_over_again_is_counted_once(clock: FakeClock) -> None:
    broker = InProcessBroker(clock=clock)
    meter = Meter(Context(broker, Config()), clock)
    await broker.open_run(RunMeta(run_id="a"))
    subscription = broker.subscribe("any")
    await publish(broker, "a", ANSWER, ANSWER)
    batch = subscription.read_nowait()

    await meter.handle(batch)
    await meter.handle(batch)

    assert (meter.stats().input_tokens, meter.stats().repeated) == (200, 2)


async def test_its_states_are_those_of_the_screens(clock: FakeClock) -> None:
    broker = InProcessBroker(clock=clock)
    meter = await metering(broker, clock)
    feed = Feed(Context(broker, Config()), clock)
    screen = Consumption(feed, broker)
    await screen.start()
    runs: dict[str, list[Event]] = {
        "running": [LogEvent()], "waiting": [LlmPrompt(text="x")], "stuck": [LogEvent()],
        "silent": [LogEvent()], "crashed": [RunEnd(status="crashed")],
        "stopped": [RunEnd(status="stopped")], "finished": [ErrorEvent(message="x"), RunEnd()],
    }  # fmt: skip
    for run_id in runs:
        await broker.open_run(RunMeta(run_id=run_id))
    for run_id in ("stuck", "silent", "crashed", "stopped", "finished"):
        await publish(broker, run_id, *runs[run_id])
    await until(lambda: events_of(meter) == 6)
    await screen.catch_up()
    await broker.runs()
    clock.now += TroubleLimits().stuck_unknown_s
    await broker.heartbeat(["stuck", "running", "waiting"])
    for run_id in ("running", "waiting"):
        await publish(broker, run_id, *runs[run_id])
    await until(lambda: events_of(meter) == 8)
    await screen.catch_up()
    clock.now += TroubleLimits().waiting_unknown_s
    await broker.heartbeat(["stuck", "running", "waiting"])

    states = await meter.consumer.states()
    panes = {pane.run_id: pane for pane in (await feed.frame()).panes}
    await meter.stop()
    await screen.stop()

    assert states == dict.fromkeys(runs, 1)
    shown = {run_id: pane.state for run_id, pane in panes.items()}
    assert shown == {run: run for run in runs} | {"waiting": "running", "silent": "silent"}
    assert [each.kind for each in panes["waiting"].troubles] == ["waiting"]


async def test_runs_that_the_broker_has_let_go_take_no_memory(clock: FakeClock) -> None:
    broker = InProcessBroker(clock=clock)
    meter = await metering(broker, clock)

    for number in range(2_500):
        run_id = f"r{number}"
        await broker.open_run(RunMeta(run_id=run_id))
        await publish(broker, run_id, RunEnd())
        await asyncio.sleep(0)
    await until(lambda: events_of(meter) == 2_500)

    assert meter.consumer.folds <= 1_000
    assert sum((await meter.consumer.states()).values()) == len(await broker.runs()) < 100
    assert meter.consumer.folds < 100
    await meter.stop()


@pytest.mark.parametrize("make_broker", ["memory"], indirect=True)
async def test_a_run_that_ended_unseen_is_in_no_state(
    make_broker: MakeBroker, clock: FakeClock
) -> None:
    broker = await make_broker()
    await broker.open_run(RunMeta(run_id="a"))
    await publish(broker, "a", RunEnd())
    meter = Meter(Context(broker, Config()), clock)

    assert sum((await meter.states()).values()) == 0
