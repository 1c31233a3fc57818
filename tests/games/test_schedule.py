"""The schedule is balanced, and the same for the same seed."""

from __future__ import annotations

from collections import Counter, defaultdict
from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from arena_tui.games.schedule import Table, meetings_a_round, schedule


@st.composite
def programmes(draw):
    agents = [f"agent{number}" for number in range(draw(st.integers(2, 6)))]
    seats = draw(st.lists(st.integers(2, len(agents)), min_size=1, max_size=3))
    tables = [Table(game=f"game{number}", seats=each) for number, each in enumerate(seats)]
    return tables, agents, draw(st.integers(1, 3)), draw(st.integers(0, 2**31))


@given(programmes())
def test_every_pair_meets_equally_often_in_every_game_of_every_round(programme):
    tables, agents, rounds, seed = programme
    met = Counter(
        (each.round, each.game, frozenset(pair))
        for each in schedule(tables, agents, rounds, seed)
        for pair in combinations(each.agents, 2)
    )

    for number in range(1, rounds + 1):
        for table in tables:
            counts = {met[number, table.game, frozenset(pair)] for pair in combinations(agents, 2)}
            assert len(counts) == 1
            assert counts != {0}


@given(programmes())
def test_every_agent_has_every_seat_equally_often(programme):
    tables, agents, rounds, seed = programme
    seated = Counter(
        (each.game, agent, seat)
        for each in schedule(tables, agents, rounds, seed)
        for seat, agent in enumerate(each.agents)
    )

    for table in tables:
        counts = {
            seated[table.game, agent, seat] for agent in agents for seat in range(table.seats)
        }
        assert len(counts) == 1


@given(programmes())
def test_the_games_of_one_seed_are_the_same_agents_in_each_rotation_of_their_seats(programme):
    tables, agents, rounds, seed = programme
    by_seed = defaultdict(list)
    for each in schedule(tables, agents, rounds, seed):
        by_seed[each.round, each.game, each.seed].append(each.agents)

    for (_, game, _), seatings in by_seed.items():
        seats = next(table.seats for table in tables if table.game == game)
        first = seatings[0]
        assert sorted(seatings) == sorted(first[n:] + first[:n] for n in range(seats))


@given(programmes())
def test_more_rounds_leave_those_before_as_they_are(programme):
    tables, agents, rounds, seed = programme
    longer = list(schedule(tables, agents, rounds + 1, seed))
    shorter = list(schedule(tables, agents, rounds, seed))

    assert longer[: len(shorter)] == shorter
    assert [each.index for each in longer] == list(range(len(longer)))
    assert len(shorter) == rounds * meetings_a_round(tables, len(agents))


def test_two_agents_change_seats_in_a_pair_of_games_from_one_seed():
    first, second, third, _ = schedule([Table(game="chess", seats=2)], ["a", "b"], 2, 7)

    assert (first.agents, second.agents) == (("a", "b"), ("b", "a"))
    assert first.seed == second.seed != third.seed


def test_another_seed_makes_other_games_of_the_same_meetings():
    table = Table(game="chess", seats=2)
    (one, *_), (other, *_) = (list(schedule([table], ["a", "b"], 1, seed)) for seed in (1, 2))

    assert one.agents == other.agents
    assert one.seed != other.seed
