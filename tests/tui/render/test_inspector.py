"""A turn, and an event, as a conversation; literal lines."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from arena_tui.events import (
    Action,
    ActionResult,
    AgentInfo,
    Delivery,
    ErrorEvent,
    Event,
    Gap,
    LlmPrompt,
    LlmResponse,
    Observation,
    OtherEvent,
    RunEnd,
    RunStart,
    ToolCall,
    TurnStart,
)
from arena_tui.services.playback.detail import Detail, Told
from arena_tui.tui.render.inspector import View, inspect, inspect_title
from tests.envelopes import envelope
from tests.tui.scenario import NOW

AGENTS = (AgentInfo(id="o", name="qwen3"),)
WIDE = View(width=60, at=99, agents=AGENTS)
ONE = View(width=60, at=99, agents=AGENTS, by_turns=False)


def detail(*events: Event, previous: LlmPrompt | None = None) -> Detail:
    told = [
        Told(place=seq, delivery=envelope("r", 7, seq, event),
             previous=previous if isinstance(event, LlmPrompt) else None)
        for seq, event in enumerate(events, 1)
    ]  # fmt: skip
    return Detail(first=1, last=len(told), told=tuple(told))


def lines(shown: Detail, view: View = WIDE) -> list[str]:
    return ["".join(text for text, _ in row).rstrip() for row in inspect(shown, view)]


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


TURN = detail(
    TurnStart(ts=NOW, turn=17, player="o"),
    Observation(ts=NOW, turn=17, agent_id="o", text="· x\no ·", legal_actions=["a", "b"]),
    LlmPrompt(ts=NOW, turn=17, agent_id="o", messages=[user("Turn 17. You play o.")]),
    LlmResponse(ts=NOW, turn=17, agent_id="o", reasoning="If I drop in 3 I block the diagonal.",
                text="**Column 3** blocks the diagonal, and leaves me the fourth one.",
                input_tokens=1_204, output_tokens=212, cost_usd=0.002),
    Action(ts=NOW, turn=17, agent_id="o", index_in_turn=1, action="column 3"),
    ActionResult(ts=NOW + timedelta(seconds=2.3), turn=17, agent_id="o", index_in_turn=1,
                 reward=0.0),
)  # fmt: skip


def test_a_turn_is_a_conversation_with_hanging_indents() -> None:
    assert lines(TURN, View(width=50, at=6, board="· x\no ·")) == [
        "PROMPT    Turn 17. You play o.",
        "REASONING If I drop in 3 I block the diagonal.",
        "ANSWER    Column 3 blocks the diagonal, and leaves",
        "          me the fourth one.",
        "→ column 3   ✓ reward 0",
    ]


def test_where_there_is_little_room_labels_stand_above_their_texts() -> None:
    assert lines(TURN, View(width=26, at=6, board="· x\no ·"))[:5] == [
        "PROMPT", "  Turn 17. You play o.", "REASONING", "  If I drop in 3 I block",
        "  the diagonal.",
    ]  # fmt: skip


def test_the_title_has_the_figures_of_the_turn() -> None:
    assert inspect_title(TURN, WIDE) == ("turn 17 · qwen3", "2.3 s · 1,204→212 tok · $0.002")


def test_the_title_of_an_event_has_its_kind_and_its_own_figures() -> None:
    answered = detail(LlmResponse(ts=NOW, agent_id="o", latency_s=1.4, output_tokens=5))

    assert inspect_title(answered, ONE) == ("event 1 · llm_response", "1.4 s · –→5 tok")


def test_a_board_that_is_in_sight_is_not_repeated() -> None:
    assert lines(TURN, WIDE)[:2] == ["SEES      · x", "          o ·"]
    assert "· x" not in " ".join(lines(TURN, View(width=60, at=6, board="· x\no ·\n")))


def test_only_what_is_new_in_a_prompt_is_shown() -> None:
    before = [{"role": "system", "content": "You explore."}, user("Turn 1.")]
    asked = LlmPrompt(ts=NOW, messages=[*before, {"role": "assistant", "content": "go"},
                                        user("Turn 2.")])  # fmt: skip

    assert lines(detail(asked, previous=LlmPrompt(ts=NOW, messages=before))) == [
        "PROMPT    after 2 messages as before   assistant",
        "          go",
        "          Turn 2.",
    ]
    assert lines(detail(asked, previous=asked)) == ["PROMPT    the same as the prompt before"]
    assert lines(detail(asked))[:2] == ["PROMPT    system", "          You explore."]


def test_a_prompt_that_is_one_text_shows_what_was_added() -> None:
    before, asked = LlmPrompt(ts=NOW, text="Rules."), LlmPrompt(ts=NOW, text="Rules.\nTurn 2.")

    assert lines(detail(asked, previous=before)) == [
        "PROMPT    after 6 characters as before", "          Turn 2.",
    ]  # fmt: skip


def test_tool_calls_and_refused_actions_read_as_what_happened() -> None:
    shown = detail(
        LlmResponse(ts=NOW, tool_calls=[ToolCall(name="look")], finish_reason="length"),
        Action(ts=NOW, action={"dir": "east"}),
        ActionResult(ts=NOW, ok=False, detail="a wall"),
    )

    assert lines(shown) == [
        "→ look()", "  ended by length", "→ dir=east   ✗ illegal", "RESULT    a wall",
    ]  # fmt: skip


def test_results_of_several_actions_stand_beside_their_own() -> None:
    shown = detail(
        Action(ts=NOW, agent_id="o", index_in_turn=1, action="a"),
        ActionResult(ts=NOW, agent_id="o", index_in_turn=1),
        Action(ts=NOW, agent_id="o", index_in_turn=2, action="b"),
        ErrorEvent(ts=NOW, where="HTTP", message="429", traceback="  File\nx"),
        ActionResult(ts=NOW, agent_id="o", index_in_turn=2, ok=False),
    )

    assert lines(shown) == [
        "→ a   ✓", "→ b", "ERROR     HTTP: 429", "            File", "          x", "✗ illegal",
    ]  # fmt: skip


def test_what_is_not_played_yet_is_dim() -> None:
    styles = [{style for _, style in row} for row in inspect(TURN, View(width=60, at=3))]

    assert styles[-1] == {"dim"}
    assert styles[0] != {"dim"}


def test_a_gap_is_said_where_it_lies() -> None:
    gap: Delivery = Gap("r", 7, 4, 3, "unknown")
    shown = Detail(first=4, last=4, told=(Told(place=4, delivery=gap),))

    assert lines(shown) == ["┄┄ gap: an unknown number of events lost ┄┄"]
    assert inspect_title(shown, ONE) == ("gap", "")


def test_of_one_event_all_fields_are_there() -> None:
    seen = Observation(ts=NOW, text="board", legal_actions=["a", "b"], data={"x": [1]},
                       extra={"odd": 1, "coerced": {"data.x": "object"}})  # fmt: skip

    assert lines(detail(seen), ONE) == [
        "SEES      board", "may do  a, b", "DATA      {", '            "x": [', "              1",
        "            ]", "          }", "odd  1", "COERCED   data.x: object",
    ]  # fmt: skip
    assert lines(detail(OtherEvent(ts=NOW, name="camera", extra={"zoom": 2})), ONE) == [
        "CAMERA    zoom=2"
    ]


def test_start_and_end_are_facts() -> None:
    start = RunStart(ts=NOW, game="go", agents=list(AGENTS), seed=3)

    assert lines(detail(start)) == ["game  go", "qwen3  o", "seed  3"]
    assert lines(detail(RunEnd(ts=NOW, outcome={"o": 1.0}, reason="mate"))) == [
        "ended  finished", "reason  mate", "qwen3  1",
    ]  # fmt: skip


def test_json_is_there_when_it_is_asked_for() -> None:
    shown = lines(detail(Action(ts=NOW, action="a")), View(width=60, at=9, is_raw=True))

    assert shown[:3] == ["→ a", "RAW       {", '            "kind": "action",']


def test_a_long_text_is_cut_where_room_is_short_and_whole_where_it_is_not() -> None:
    text = "\n".join(f"line {each}" for each in range(20_000))
    shown = detail(LlmResponse(ts=NOW, text=text))

    assert lines(shown)[-1].strip() == "… enter shows all of it"
    assert lines(shown, View(width=60, at=9, is_whole=True))[-1].strip() == "line 19999"


def test_event_text_is_neither_markup_nor_control_characters() -> None:
    hostile = "[b]no[/b] \x1b]0;x\x07"
    shown = lines(detail(LlmResponse(ts=NOW, text=hostile), Action(ts=NOW, action=hostile)))

    assert shown == ["ANSWER    [b]no[/b] ␛]0;x␇", "→ [b]no[/b] ␛]0;x␇"]


def test_the_role_of_a_message_is_event_text_too() -> None:
    hostile = {"role": "us\x1b]52;c;aGFjaw==\x07er", "content": "hello"}

    shown = "\n".join(lines(detail(LlmPrompt(ts=NOW, messages=[hostile]))))

    assert "us␛]52;c;aGFjaw==␇er" in shown
    assert "\x1b" not in shown


def test_a_turn_that_is_not_read_whole_says_where_and_its_figures_are_the_least() -> None:
    answer = LlmResponse(ts=NOW, turn=3, input_tokens=9, output_tokens=2, cost_usd=0.5)
    action = Action(ts=NOW, turn=3, action="go")
    told = tuple(Told(place=place, delivery=envelope("r", 1, place, event))
                 for place, event in ((5, answer), (700, action)))  # fmt: skip
    shown = Detail(first=5, last=700, told=told, left_out=694)

    page = lines(shown)

    assert page.index("… 694 more events: v lists them") == len(page) - 2
    assert inspect_title(shown, WIDE)[1].endswith("≥9→≥2 tok · ≥$0.500")
