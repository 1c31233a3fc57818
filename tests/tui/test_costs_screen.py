"""Costs, as a person meets them: on the screen of their own, in Live and in a run."""

from __future__ import annotations

from collections.abc import Iterator

from arena_tui.events import LlmResponse, RunEnd
from arena_tui.settings import Price, Prices
from tests.tui.scenario import ISLAND, Scenario, Tape
from tests.tui.test_screens import running, settled, text_of
from tests.waiting import until

PRICES: Prices = (
    ("reed-2", Price(input=3, output=15, cached=0.3)),
    ("marlow-2", Price(input=0.5, output=2)),
)
NO_BARS = (100, 40)
"""The tables have bars from 110 cells on."""


def answering() -> Iterator[Tape]:
    """Runs whose answers have a cost, tokens alone, or a model that nobody has a price for."""
    for number, (game, agent, model, cost) in enumerate([
        ("chess", "ann", "reed-2", 0.021), ("chess", "bob", "reed-2", None),
        ("leduc_poker", "ann", "marlow-2", None), ("synth", "cid", "thistle-9", None),
        ("synth", "cid", None, 0.004),
    ]):  # fmt: skip
        tape = Tape(f"01ARENA00000000000000C{number:03}", game, [agent, "random"])
        tape.turn(1, agent, ISLAND, "go east", 4)
        for _ in range(2):
            tape.add(LlmResponse, 1.5, agent_id=agent, model=model, input_tokens=9_000,
                     output_tokens=1_200, cost_usd=cost, text="East.",
                     cached_input_tokens=4_000 if model == "reed-2" else None,
                     reasoning_tokens=800 if model == "marlow-2" else None)  # fmt: skip
        if number == 1:
            tape.add(RunEnd, outcome={agent: 1.0, "random": -1.0})
        yield tape


async def test_the_session_and_each_run_are_told_with_what_is_estimated_and_unknown() -> None:
    app = Scenario(answering(), prices=PRICES)
    async with running(app, NO_BARS) as pilot:
        await pilot.press("dollar_sign")
        await settled(app, pilot)
        app.clear_notifications()
        await pilot.pause()
        lines = text_of(app).splitlines()

    assert " session ≥~$0.132   90.0k in (16.0k cached)   12.0k out (1,600 reasoning)" in lines[2]
    assert "an hour (last " in lines[3]
    assert "a day" in lines[3]
    assert lines[5].startswith(" by ‹run›")
    rows = [line.split() for line in lines[7:12]]
    assert [(row[0], row[3]) for row in rows] == [
        ("chess", "~$0.068"), ("chess", "$0.042"), ("leduc_poker", "~$0.014"),
        ("synth", "$0.008"), ("synth", "–"),
    ]  # fmt: skip
    assert any("~ partly estimated" in line and "≥ some" in line for line in lines)


async def test_the_tables_are_by_run_agent_model_and_game() -> None:
    app = Scenario(answering(), prices=PRICES)
    firsts = []
    async with running(app, NO_BARS) as pilot:
        await pilot.press("dollar_sign")
        for _ in range(4):
            await pilot.press("right")
            lines = (await settled(app, pilot)).splitlines()
            firsts.append((lines[5].split("‹")[1].split("›")[0], *lines[7].split()[:2]))

    assert firsts == [
        ("agent", "bob", "~$0.068"), ("model", "reed-2", "~$0.110"),
        ("game", "chess", "~$0.110"), ("run", "chess", "·"),
    ]  # fmt: skip


async def test_enter_opens_a_run_whose_agents_have_their_estimates_too() -> None:
    app = Scenario(answering(), prices=PRICES)
    async with running(app) as pilot:
        await pilot.press("dollar_sign", "enter", "end")
        screen = await settled(app, pilot)

    assert "chess · c001" in screen
    assert "cost ~$0.068" in screen


async def test_the_panes_mark_what_is_estimated_and_say_what_is_unknown() -> None:
    app = Scenario(answering(), prices=PRICES)
    async with running(app, (200, 60)) as pilot:
        screen = await settled(app, pilot)

    costs = [word for line in screen.splitlines() for word in line.split("cost ")[1:]]
    assert [each.split()[0] for each in costs] == ["–", "$0.042", "~$0.068", "~$0.014", "$0.008"]


async def test_a_price_that_is_found_later_is_shown_everywhere() -> None:
    tape = Tape("01ARENA00000000000000C001", "chess", ["ann", "random"])
    tape.add(LlmResponse, agent_id="ann", model="gpt-4o", input_tokens=9_000, output_tokens=1_000)
    tape.add(RunEnd, outcome={"ann": 1.0})
    app = Scenario([tape])
    async with running(app) as pilot:
        await pilot.press("t")
        await until(lambda: app.session.prices.version == 1)
        table = await settled(app, pilot)
        await pilot.press("dollar_sign")
        costs = await settled(app, pilot)

    assert "~$0.033" in table
    assert "session ~$0.033" in costs


async def test_a_session_without_answers_says_how_to_record_some() -> None:
    app = Scenario([])
    async with running(app) as pilot:
        await pilot.press("dollar_sign")
        await settled(app, pilot)

        assert "No model has answered yet." in text_of(app)
        assert "session –" in text_of(app)
