"""`python -m tests.faults.chaos --seeds 1-50 --seconds 60`: a line a seed, and a table."""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from tests.faults.chaos.plan import BACKENDS, draw
from tests.faults.chaos.scenario import Outcome, run

_TOLD_OF_ONE_KIND: Final = 5


def command(seed: int, seconds: float, backend: str | None = None) -> list[str]:
    """What repeats a seed."""
    words = ["-m", "tests.faults.chaos", "--seed", str(seed), "--seconds", f"{seconds:g}"]
    return [sys.executable, *words, *(["--backend", backend] if backend else [])]


def line_of(outcome: Outcome) -> str:
    """One line of accounts."""
    plan, accounts = outcome.plan, outcome.accounts.values()
    faults = Counter(f"{each.kind} {each.target}" for each in plan.faults)
    figures = {
        name: "/".join(f"{getattr(each, name):,}" for each in accounts) or "0"
        for name in ("stored", "lost", "unknown", "twice", "unseen")
    }
    verdict = f"{len(outcome.violations)} VIOLATIONS" if outcome.violations else "whole"
    return (
        f"seed {plan.seed:>3}  {outcome.server:<13} {plan.backend:<12} "
        f"{'+'.join(plan.producers.values())}, {len(plan.stores)} stores  "
        f"{sum(faults.values())} faults  emitted {outcome.emitted:,}  acked {outcome.acked:,}  "
        f"{'  '.join(f'{name} {figure}' for name, figure in figures.items())}  {verdict}"
    )


def main() -> int:
    """Play seeds; returns 1 when one of them breaks a promise.

    SIGTERM ends it as Ctrl-C does, with everything it has started.
    """
    parser = argparse.ArgumentParser(prog="python -m tests.faults.chaos")
    parser.add_argument("--seed", type=int, help="play this one, here")
    parser.add_argument("--seeds", default="1-50", metavar="A-B", help="play these, each apart")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--backend", choices=BACKENDS, help="instead of the one the seed gives")
    parser.add_argument("--parallel", type=int, default=1, metavar="N", help="how many at a time")
    parser.add_argument("--folder", type=Path, help="where to keep what they leave")
    given = parser.parse_args()
    folder = given.folder or Path(tempfile.mkdtemp(prefix="chaos-"))
    if given.seed is not None:
        return _play(given.seed, given.seconds, given.backend, folder)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    first, _, last = given.seeds.partition("-")
    seeds = range(int(first), int(last or first) + 1)

    playing: list[subprocess.Popen[str]] = []

    def apart(seed: int) -> tuple[int, int, str]:
        words = [*command(seed, given.seconds, given.backend), "--folder", str(folder)]
        process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
        playing.append(process)
        told, _ = process.communicate()
        print(told, end="", flush=True)
        return seed, process.returncode, told.partition("\n")[0]

    with ThreadPoolExecutor(given.parallel) as pool:
        try:
            rows = list(pool.map(apart, seeds))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for process in playing:
                process.terminate()
            raise
    print("\n".join(["", *(row for _, _, row in rows)]))
    failed = [seed for seed, code, _ in rows if code]
    print(f"\n{len(rows)} seeds, {len(failed)} failed {failed or ''}; folders in {folder}")
    return 1 if failed else 0


def _play(seed: int, seconds: float, backend: str | None, folder: Path) -> int:
    outcome = run(draw(seed, seconds, backend), folder / f"seed-{seed}")
    print(line_of(outcome))
    told: Counter[tuple[str, str]] = Counter()
    for each in outcome.violations:
        told[each.name, each.place] += 1
        if told[each.name, each.place] <= _TOLD_OF_ONE_KIND:
            print(f"  {each}")
    for (name, place), count in told.items():
        if count > _TOLD_OF_ONE_KIND:
            print(f"  {name}: {place}: {count} in all")
    if outcome.violations:
        print(f"  again: {' '.join(command(seed, seconds, backend))}\n  kept: {folder}/seed-{seed}")
    return 1 if outcome.violations else 0


if __name__ == "__main__":
    sys.exit(main())
