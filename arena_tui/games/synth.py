"""Plays a synthetic episode of language-model agents into a `Run`; needs no extra installed.

The same seed gives the same events at any rate, apart from times and ids. No model is called, and
those named do not exist. Knows nothing of brokers.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Sequence

from arena_tui.events import AgentInfo
from arena_tui.games.island import Island, Move
from arena_tui.games.phrases import ANSWERS, THOUGHTS, prompt_text, sentence
from arena_tui.games.position import Position
from arena_tui.games.specs import SYNTH_AGENTS, GameSpec, Played, derive_seed
from arena_tui.producers.run import Run

Wait = Callable[[float], bool]
"""Waits that many seconds, 0 to only check; returns whether the episode has to stop."""

_SLOW_RATE_PER_S = 20.0
_SHORT_WAIT_S = 0.002
_TIDE_INTERVAL_TURNS = 9
_STALL_PROBABILITY = 0.02
_RATE_LIMIT_PROBABILITY = 0.05
_UNPARSABLE_PROBABILITY = 0.04
_PRICES_USD = (2.5e-6, 4e-7, 1.1e-5, None, 8e-7, 6e-6)


def synth_agents(names: Sequence[str] = ()) -> list[AgentInfo]:
    """The episode's agents as events name them; two by default."""
    chosen = list(names) or list(SYNTH_AGENTS[:2])
    return [AgentInfo(id=name, name=name, spec="synth") for name in chosen]


def play_synth(
    run: Run, spec: GameSpec, seed: int, wait: Wait, clock: Callable[[], float] = time.monotonic,
    at_a_time: int = 1, start: Position | None = None,
) -> Played:  # fmt: skip
    """Play the spec's turns, up to `run_end`.

    Args:
        run: Where the events go; already entered.
        spec: The models, two by default, the turns, and the pace. Up to 20 events per second,
            answers take longer than other events and occasionally stall for many seconds.
        seed: Determines everything that happens.
        wait: Called before every event.
        clock: Monotonic seconds; only read when there is a rate.
        at_a_time: How many games share the spec's rate.
        start: Where it goes on, the spec's models in the places of those there; None: it is played
            from its beginning.

    Raises:
        UsageError: It cannot go on from there.
    """
    names = [agent.id for agent in synth_agents(spec.agents)]
    rng = random.Random(derive_seed(seed, "synth"))
    island = Island(names, rng) if start is None else Island.restored(start, names, rng)
    pace = _Pace(spec.rate_of_each(at_a_time), spec.delay_s, wait, clock)
    episode = _Episode(run, island, names, rng, 1 if start is None else start.turn)
    stopped = any(pace.wait(episode.turn, *each) for each in episode.events(spec.turn_limit))
    run.observation(island.text())
    outcome = dict(island.purses)
    reason = "stopped" if stopped else None
    run.end(outcome=outcome, status="stopped" if stopped else "finished", reason=reason)
    return Played(status="stopped" if stopped else "finished", turns=episode.turn,
                  outcome=outcome, reason=reason)  # fmt: skip


class _Pace:
    """Paces the episode by deadlines, so that an overslept wait shortens the next one."""

    def __init__(
        self, rate_per_s: float, delay_s: float, wait: Wait, clock: Callable[[], float]
    ) -> None:
        self._rate_per_s = rate_per_s
        self._delay_s = delay_s
        self._turn = 1
        self._wait = wait
        self._clock = clock
        self._deadline = clock() if rate_per_s else 0.0

    def wait(self, turn: int, weight: float, pause_s: float) -> bool:
        """Wait for the next event; return whether to stop."""
        delay_s = self._delay_s if turn > self._turn else 0.0
        self._turn = turn
        if not self._rate_per_s:
            return self._wait(delay_s)
        self._deadline += delay_s
        slow = self._rate_per_s <= _SLOW_RATE_PER_S
        self._deadline += (weight if slow else 1.0) / self._rate_per_s + (pause_s if slow else 0.0)
        ahead_s = self._deadline - self._clock()
        if ahead_s < -1.0:
            self._deadline = self._clock()
        return self._wait(ahead_s if ahead_s > _SHORT_WAIT_S else 0.0)


class _Episode:
    """Emits the events; before each, yields its relative duration and a pause in seconds."""

    def __init__(
        self, run: Run, island: Island, names: Sequence[str], rng: random.Random, first_turn: int
    ) -> None:
        self.turn = first_turn - 1
        self._run = run
        self._island = island
        self._names = names
        self._rng = rng
        self._prices = dict(zip(names, (_PRICES_USD * len(names))[: len(names)], strict=True))

    def events(self, turns: int) -> Iterator[tuple[float, float]]:
        for turn in range(self.turn + 1, turns + 1):
            self.turn = turn
            name = self._names[(turn - 1) % len(self._names)]
            yield 1.5, 0.0
            self._run.turn(turn, player=name, state=self._island.state())
            legal = self._island.legal_actions(name)
            yield 0.3, 0.0
            self._run.observation(self._island.text(), legal_actions=legal)
            yield 0.3, 0.0
            prompt = prompt_text(turn, turns, self._island.purses[name], legal)
            self._run.llm_prompt(prompt, model=name)
            yield from self._retry(name, prompt)
            move = self._island.take_turn(name)
            yield from self._answer(name, prompt, move)
            yield 0.5, 0.0
            self._run.action(move.action)
            yield 0.4, 0.0
            self._run.result(move.ok, changed=move.ok, reward=move.reward,
                             detail=move.detail or None)  # fmt: skip
            yield from self._after_turn(name, turn, move)

    def _retry(self, name: str, prompt: str) -> Iterator[tuple[float, float]]:
        """Sometimes the provider limits the rate, up to three times."""
        attempt = 1
        while attempt < 4 and self._rng.random() < _RATE_LIMIT_PROBABILITY * attempt:
            backoff_s = 2**attempt
            yield 1.0, 0.0
            self._run.error(f"HTTP 429 rate limited: retry {attempt} of 3 in {backoff_s} s",
                            where="llm")  # fmt: skip
            yield 0.5, float(backoff_s)
            self._run.llm_prompt(prompt, model=name)
            attempt += 1

    def _answer(self, name: str, prompt: str, move: Move) -> Iterator[tuple[float, float]]:
        rng = self._rng
        if rng.random() < _UNPARSABLE_PROBABILITY:
            yield 2.0, 0.0
            self._respond(name, prompt, "Hmm. Let me look at the map once more", "", 1.0)
            yield 0.3, 0.0
            self._run.error("the answer names no action: asked again", where="parse")
            yield 0.3, 0.0
            self._run.llm_prompt(f"{prompt}\nAnswer with one action from the list.", model=name)
        latency_s = round(rng.lognormvariate(0.6, 0.5), 2)
        stall_s = rng.uniform(20.0, 60.0) if rng.random() < _STALL_PROBABILITY else 0.0
        yield 3.5, stall_s
        answer, reasoning = sentence(ANSWERS, move, rng), sentence(THOUGHTS, move, rng)
        self._respond(name, prompt, answer, reasoning, round(latency_s + stall_s, 2))

    def _respond(
        self, name: str, prompt: str, answer: str, reasoning: str, latency_s: float
    ) -> None:
        input_tokens = 180 + len(prompt) // 4 + 11 * self.turn
        output_tokens = (len(answer) + len(reasoning)) // 4 + self._rng.randint(4, 60)
        price = self._prices[name]
        cost = None if price is None else round(price * (input_tokens + 4 * output_tokens), 6)
        self._run.llm_response(
            answer, model=name, reasoning=reasoning or None, input_tokens=input_tokens,
            output_tokens=output_tokens, cost_usd=cost, latency_s=latency_s, finish_reason="stop",
        )  # fmt: skip

    def _after_turn(self, name: str, turn: int, move: Move) -> Iterator[tuple[float, float]]:
        if turn % 2 == 0 or move.reward:
            yield 0.2, 0.0
            self._run.metric("coins", self._island.purses[name], unit="coins")
        if move.kind == "dig":
            yield 0.2, 0.0
            self._run.log(f"{name}: {move.detail}")
        if turn % _TIDE_INTERVAL_TURNS == 0:
            before, after = self._island.tide()
            yield 0.5, 0.0
            self._run.mutation(before, after, "the tide moves a chest")
