"""Which troubles a run has: rules on what is folded of it. Keeps nothing, and tells nobody."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Final, TypeAlias

from msgspec import Struct

from arena_tui.broker.protocol import RunState
from arena_tui.folds.costs import Cost
from arena_tui.folds.pulse import PAUSE_S, Pulse, Sample
from arena_tui.folds.totals import AgentTally, RunTotals
from arena_tui.settings import TroubleKind, TroubleLimits

_PAUSES_MIN: Final = 8
_BEATS_MIN: Final = 100
"""So many pauses, or beats without them, show a run's rhythm."""
_ANSWERS_MIN: Final = 5
_LONG: Final = 0.95
"""The share of a run's own pauses and answers that are not called long."""
_CHANCE_BITS: Final = 20.0
"""What chance brings about once in a million times is no loop yet."""


class Trouble(Struct, frozen=True):
    """One trouble; `text` may hold whatever events say."""

    kind: TroubleKind
    text: str


class Signs(Struct, kw_only=True):
    """What the rules look at; times in seconds.

    Attributes:
        whole: Totals of the whole run, also where `totals` are of a part of it.
        state: What the broker says of the run.
        idle_s: Since its newest event.
        waiting_s: Since a prompt that is not answered; None if there is none.
        overspent: What the session has overspent; None while it has not.
        cost, agent_costs: Of what is folded, known and estimated.
        prices_pending: Whether some of it may soon be estimated.
    """

    totals: RunTotals
    whole: RunTotals
    tallies: Mapping[str, AgentTally]
    pulse: Pulse
    state: RunState
    idle_s: float
    waiting_s: float | None
    last_error: str | None = None
    overspent: str | None = None
    cost: Cost = Cost()
    agent_costs: Mapping[str, Cost] = {}
    prices_pending: bool = False


def find_troubles(signs: Signs, limits: TroubleLimits) -> tuple[Trouble, ...]:
    """All troubles of a run now, each kind at most once, the worst first."""
    rules = _LIVE if signs.totals.status == "running" else _ENDED
    found = []
    for kind, rule in rules.items():
        text = rule(signs, limits)
        if text is not None and kind not in limits.off:
            found.append(Trouble(kind, text))
    return tuple(found)


def calm_s(signs: Signs, limits: TroubleLimits) -> float:
    """For how many seconds the troubles of a running run stay the same ones if nothing happens;
    infinite if time alone changes nothing."""
    left = [] if signs.state == "silent" else [_stuck_after_s(signs, limits) - signs.idle_s]
    if signs.waiting_s is not None:
        left.append(_waiting_after_s(signs, limits) - signs.waiting_s)
    return min([each for each in left if each > 0], default=math.inf)


def overspent(usd: float, tokens: int, limits: TroubleLimits) -> str | None:
    """What a session has overspent; None while it has not."""
    return _over("the session", usd, tokens, limits.session_usd, limits.session_tokens)


def _crashed(signs: Signs, _: TroubleLimits) -> str | None:
    if signs.totals.status != "crashed":
        return None
    return signs.totals.reason or signs.last_error or "crashed"


def _silent(signs: Signs, _: TroubleLimits) -> str | None:
    return "no sign of life from its producer" if signs.state == "silent" else None


def _stuck(signs: Signs, limits: TroubleLimits) -> str | None:
    """A silent producer explains it, and so does a model that may still answer."""
    if signs.state == "silent" or signs.idle_s < limits.stuck_floor_s:
        return None
    if signs.waiting_s is not None and _waiting(signs, limits) is None:
        return None
    if signs.idle_s < _stuck_after_s(signs, limits):
        return None
    pulse = signs.pulse
    return f"no event for {_seconds(signs.idle_s)}{_usual(pulse.pauses, pulse.beats >= _BEATS_MIN)}"


def _stuck_after_s(signs: Signs, limits: TroubleLimits) -> float:
    pulse, least_s = signs.pulse, limits.stuck_floor_s
    usual_s = pulse.pauses.quantile(_LONG)
    if len(pulse.pauses) < _PAUSES_MIN and pulse.beats < _BEATS_MIN:
        # A pause is no longer than the turn it is in.
        usual_s = max(usual_s, pulse.longest_turn_s, pulse.latencies.quantile(_LONG))
        least_s = max(least_s, limits.stuck_unknown_s)
    return max(least_s, limits.stuck_factor * usual_s)


def _waiting(signs: Signs, limits: TroubleLimits) -> str | None:
    waited_s = signs.waiting_s
    if waited_s is None or waited_s < limits.waiting_floor_s:
        return None
    if waited_s < _waiting_after_s(signs, limits):
        return None
    return f"no llm_response for {_seconds(waited_s)}{_usual(signs.pulse.latencies)}"


def _waiting_after_s(signs: Signs, limits: TroubleLimits) -> float:
    latencies, least_s = signs.pulse.latencies, limits.waiting_floor_s
    if len(latencies) < _ANSWERS_MIN:
        least_s = max(least_s, limits.waiting_unknown_s)
    return max(least_s, limits.waiting_factor * latencies.quantile(_LONG))


def _retrying(signs: Signs, limits: TroubleLimits) -> str | None:
    count = signs.pulse.errors_in_row
    return f"{count} errors in a row: {signs.last_error}" if count >= limits.retries else None


def _illegal(signs: Signs, limits: TroubleLimits) -> str | None:
    illegal, of = signs.pulse.illegal
    return f"{illegal} of the last {of} moves refused" if illegal >= limits.illegal_moves else None


def _looping(signs: Signs, limits: TroubleLimits) -> str | None:
    loop = signs.pulse.loop()
    if loop is None or loop.times < limits.loop_repeats or loop.bits < _CHANCE_BITS:
        return None
    moves = "the same move" if loop.period == 1 else f"the same {loop.period} moves"
    return f"{moves} {loop.times} times"


def _slow(signs: Signs, limits: TroubleLimits) -> str | None:
    pace = signs.pulse.pace()
    if pace is None or pace.new_s - pace.old_s < limits.slow_floor_s:
        return None
    if pace.new_s < limits.slow_factor * pace.old_s:
        return None
    return f"turns take {_seconds(pace.new_s)}, before {_seconds(pace.old_s)}"


def _budget(signs: Signs, limits: TroubleLimits) -> str | None:
    return next(_overspent(signs, limits), None)


def _overspent(signs: Signs, limits: TroubleLimits) -> Iterator[str]:
    """What is over a budget: the run, one agent in it, or the session that it spends for."""
    whole = signs.whole
    usd, tokens = (whole.cost_usd or 0.0) + (signs.cost.estimated_usd or 0.0), whole.tokens or 0
    if text := _over("the run", usd, tokens, limits.run_usd, limits.run_tokens):
        yield text
    if limits.agent_usd is not None or limits.agent_tokens is not None:
        for agent, tally in signs.tallies.items():
            spent, used = signs.agent_costs.get(agent, Cost()).usd or 0.0, tally.usage().tokens or 0
            if text := _over(agent, spent, used, limits.agent_usd, limits.agent_tokens):
                yield text
    if signs.overspent is not None and (usd or whole.tokens):
        yield signs.overspent


def _over(
    who: str, usd: float, tokens: int, usd_max: float | None, tokens_max: int | None
) -> str | None:
    if usd_max is not None and usd > usd_max:
        return f"{who} is over its budget of ${usd_max:,.2f}"
    if tokens_max is not None and tokens > tokens_max:
        return f"{who} is over its budget of {tokens_max:,} tokens"
    return None


def _unpriced(signs: Signs, _: TroubleLimits) -> str | None:
    if signs.prices_pending:
        return None
    agents = [
        agent for agent, cost in signs.agent_costs.items()
        if cost.usd is None and signs.tallies[agent].usage().tokens
    ]  # fmt: skip
    if agents:
        return f"tokens of unknown cost: {', '.join(agents[:3])}{', …' if agents[3:] else ''}"
    unknown = signs.whole.tokens and signs.whole.cost_usd is None and signs.cost.usd is None
    return "tokens of unknown cost" if unknown else None


def _usual(sample: Sample, is_brisk: bool = False) -> str:
    if sample:
        return f", usual {_seconds(sample.quantile(0.5))}"
    return f", usual under {PAUSE_S:.0f} s" if is_brisk else ""


def _seconds(seconds: float) -> str:
    """`2.1 s`, `41 s`, `12 min`."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    return f"{seconds:.0f} s" if seconds < 600 else f"{seconds / 60:.0f} min"


_Rules: TypeAlias = Mapping[TroubleKind, Callable[[Signs, TroubleLimits], str | None]]

_LIVE: Final[_Rules] = {
    "stuck": _stuck, "silent": _silent, "retrying": _retrying, "illegal": _illegal,
    "looping": _looping, "slow": _slow, "budget": _budget, "waiting": _waiting,
    "unpriced": _unpriced,
}  # fmt: skip
"""For a run that is not over, in the order of `TROUBLE_KINDS`."""
_ENDED: Final[_Rules] = {"crashed": _crashed}
