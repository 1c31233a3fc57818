"""Several faults at once, drawn from a seed: what was acknowledged is stored or told as lost.

`python -m tests.faults.chaos --seed N` plays one seed; see there for more.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.faults.accounts import FULL
from tests.faults.chaos.__main__ import command
from tests.faults.chaos.plan import draw
from tests.servers import server_binaries

SHORT = [(15, 6.0), (51, 6.0), (26, 6.0)]
"""In process, on a server with an AOF, on one without."""

SEEDS = [(seed, 60.0) for seed in range(1, 51)] if FULL else SHORT


@pytest.mark.parametrize(("seed", "seconds"), SEEDS)
def test_faults_together_lose_nothing_that_was_acknowledged_without_saying_so(
    seed: int, seconds: float, tmp_path: Path
) -> None:
    if not server_binaries() and draw(seed, seconds).backend != "memory":
        pytest.skip("no Redis or Valkey server")
    words = [*command(seed, seconds), "--folder", str(tmp_path)]

    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as it:
        try:
            told, _ = it.communicate()
        finally:
            it.terminate()  # after a timeout: it then ends all that it has started

    print(told)
    assert it.returncode == 0, told


def test_a_seed_draws_the_same_scenario_again_and_the_backends_in_turn() -> None:
    plans = [draw(seed, 60.0) for seed in range(1, 51)]

    again = [draw(seed, 60.0) for seed in range(1, 51)]

    assert again == plans
    assert sum(plan.backend == "no aof" for plan in plans) == 20
    assert {plan.backend for plan in plans} == {"memory", "aof always", "aof everysec", "no aof"}
    assert {plan.server for plan in plans} == {0, 1}
