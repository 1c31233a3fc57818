"""Compares what is held with what producers noted. Trusts no figure but its own count."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import compress
from typing import Final

from tests.faults.chaos.holdings import Event, Gap, Holding
from tests.faults.chaos.ledger import Emitted, RunLedger, Session, parse

_NUMBERED: Final = {"run_start", "log", "run_end"}


@dataclass(frozen=True)
class Violation:
    """One broken promise: its name, where it was found, and the evidence."""

    name: str
    place: str
    run: str
    evidence: str

    def __str__(self) -> str:
        return f"{self.name}: {self.place}, run {self.run}: {self.evidence}"


@dataclass
class Accounts:
    """Figures of one holding.

    Attributes:
        stored: Events stored.
        lost: Events in gaps of known length; unknown: gaps of unknown length.
        twice: Events stored again under the next epoch; see `Checker`.
        unseen: Acknowledged events of runs that the server forgot before anybody saw them.
    """

    stored: int = 0
    lost: int = 0
    unknown: int = 0
    twice: int = 0
    unseen: int = 0


@dataclass
class _Segment:
    """What is missing right after a stored event, and the gaps recorded there."""

    gaps: list[Gap] = field(default_factory=list)
    missing: list[Emitted] = field(default_factory=list)


class Checker:
    """Checks any number of holdings against the ledgers of the producers they should hold.

    Args:
        strict: Nothing acknowledged may be missing, told or not: the server forgets nothing. Where
            it may forget, the events it was killed with between telling readers and answering their
            producer are sent again, and may stand a second time, first in the next epoch.
    """

    def __init__(
        self,
        runs: Mapping[str, RunLedger],
        sessions: Mapping[str, Session],
        *,
        strict: bool = True,
    ) -> None:
        self.violations: list[Violation] = []
        self.accounts: dict[str, Accounts] = {}
        self._runs = runs
        self._sessions = sessions
        self._strict = strict

    def check(self, holding: Holding, *, whole: bool = True) -> None:
        """Find what is wrong with a holding; one that is not `whole` need not have everything."""
        accounts = self.accounts[holding.name] = Accounts()
        uncovered: Counter[str] = Counter()
        if holding.quarantined:
            self._found("quarantined", holding.name, "-", f"{holding.quarantined} entries")
        for run in sorted({*holding.items, *(self._runs if whole else ())}):
            items, ledger = holding.items.get(run, []), self._runs.get(run)
            if ledger is None:
                self._found("foreign", holding.name, run, f"{len(items)} items of an unknown run")
                continue
            accounts.stored += sum(isinstance(each, Event) for each in items)
            gaps = [each for each in items if isinstance(each, Gap)]
            accounts.lost += sum(each.length for each in gaps)
            accounts.unknown += sum(each.unknown for each in gaps)
            if not items and not self._strict:
                accounts.unseen += sum(map(self._is_acked, ledger.events))
                continue  # the server forgot the run before anybody saw it: nobody can tell
            self._check_seqs(holding.name, run, items, whole)
            segments = self._check_texts(holding.name, run, items, ledger)
            if whole:
                self._check_missing(holding.name, run, segments, ledger, uncovered)
            if holding.totals is not None and items:
                self._check_totals(holding, run, items)
        for session, missing in uncovered.items():
            unpublished = self._sessions[session].unpublished
            if unpublished is not None and missing > unpublished:
                evidence = f"{missing} events missing, closing said {unpublished}"
                self._found("missing", holding.name, session, evidence)

    def check_unread(self, server: Holding, holding: Holding) -> None:
        """Find what the server still has and the holding does not account for."""
        for run, items in server.items.items():
            held = holding.items.get(run, [])
            places = {(each.epoch, each.seq) for each in held if isinstance(each, Event)}
            gaps = [each for each in held if isinstance(each, Gap)]
            left = [
                each for each in items
                if isinstance(each, Event) and (each.epoch, each.seq) not in places
                and not any(
                    gap.epoch == each.epoch and gap.first <= each.seq <= gap.last for gap in gaps
                )
            ]  # fmt: skip
            if left:
                first, last = left[0], left[-1]
                self._found(
                    "unread", holding.name, run,
                    f"{len(left)} events on the server, {first.epoch}-{first.seq} "
                    f"to {last.epoch}-{last.seq}",
                )  # fmt: skip

    def _check_seqs(self, place: str, run: str, items: Sequence[Event | Gap], whole: bool) -> None:
        epoch, expected = 0, 1
        for each in items:
            if each.epoch < epoch:
                self._found("disordered", place, run, f"epoch {each.epoch} after {epoch}")
            if each.epoch != epoch:
                epoch = each.epoch
                first = each.seq if isinstance(each, Event) else each.first
                expected = 1 if whole else first
            if isinstance(each, Gap):
                if each.first > expected:
                    self._hole(place, run, epoch, expected, each.first - 1)
                elif each.first < expected:
                    self._found("gap overlaps", place, run, f"{each}, before it {expected - 1}")
                expected = max(expected, each.last + 1)
            else:
                if each.seq < expected:
                    self._found("doubled", place, run, f"seq {epoch}-{each.seq} again or in a gap")
                elif each.seq > expected and whole:
                    self._hole(place, run, epoch, expected, each.seq - 1)
                expected = max(expected, each.seq + 1)

    def _hole(self, place: str, run: str, epoch: int, first: int, last: int) -> None:
        evidence = f"{epoch}-{first} to {epoch}-{last} neither stored nor in a gap"
        self._found("hole", place, run, evidence)

    def _check_texts(
        self, place: str, run: str, items: Sequence[Event | Gap], ledger: RunLedger
    ) -> list[_Segment]:
        """Check each text and their order; returns what is missing after each stored number."""
        seen: dict[int, int] = {}  # the epoch of each number
        renewed = 0  # the newest epoch in which something new stands
        newest: dict[str, int] = {}
        by_number = {0: _Segment()}
        at = 0
        for item in items:
            if isinstance(item, Gap):
                by_number[at].gaps.append(item)
                continue
            text = parse(item.text)
            where = f"{item.epoch}-{item.seq}"
            if text is None and item.kind == "run_end":
                continue  # of a run that its producer's process had to end
            if text is None or not self._is_as_emitted(run, item, ledger):
                self._found("altered", place, run, f"{where} {item.kind} {(item.text or '')[:60]}")
                continue
            emitted = ledger.events[text.number - 1]
            if text.number in seen:
                if not self._strict and seen[text.number] < item.epoch and renewed < item.epoch:
                    self.accounts[place].twice += 1
                    continue
                self._found("doubled", place, run, f"number {text.number} again at {where}")
            elif text.number < newest.get(emitted.session, 0) or (
                emitted.acked and text.number < max(seen, default=0)
            ):
                evidence = f"number {text.number} at {where} after {max(seen)}"
                self._found("disordered", place, run, evidence)
            seen.setdefault(text.number, item.epoch)
            renewed = item.epoch
            newest[emitted.session] = max(newest.get(emitted.session, 0), text.number)
            if text.number > at:
                at = text.number
                by_number[at] = _Segment()
        after = by_number[0]
        for emitted in ledger.events:
            if emitted.number in by_number:
                after = by_number[emitted.number]
            elif emitted.number not in seen:
                after.missing.append(emitted)
        return list(by_number.values())

    def _is_as_emitted(self, run: str, item: Event, ledger: RunLedger) -> bool:
        text = parse(item.text)
        if text is None or text.run != run or not 0 < text.number <= len(ledger.events):
            return False
        previous = ledger.events[text.number - 2].chain if text.number > 1 else ""
        return text.chain == ledger.events[text.number - 1].chain and text.is_link(previous)

    def _check_missing(
        self,
        place: str,
        run: str,
        segments: Sequence[_Segment],
        ledger: RunLedger,
        uncovered: Counter[str],
    ) -> None:
        missing_at = {id(each) for segment in segments for each in segment.missing}
        last_held: dict[str, int] = {}
        for each in ledger.events:
            if id(each) not in missing_at:
                last_held[each.session] = each.number
        if not self._strict and not segments[0].gaps:
            self._leave_out_unseen(place, segments[0], last_held)
        for segment in segments:
            length = sum(each.length for each in segment.gaps)
            unknown = any(each.unknown for each in segment.gaps)
            # Those that need not have been published may be what no gap covers.
            missing = sorted(
                segment.missing, key=lambda each: not self._is_certain(each, last_held)
            )
            told = len(missing) if unknown else min(length, len(missing))
            if length > len(missing):
                evidence = f"{segment.gaps} for {len(missing)} missing: {_numbers(missing)}"
                self._found("gap too wide", place, run, evidence)
            if self._strict and segment.gaps and not missing:
                self._found("gap for nothing", place, run, str(segment.gaps))
            certain = [self._is_certain(each, last_held) for each in missing]
            lost, silent = (
                list(compress(missing[:told], certain)),
                list(compress(missing[told:], certain[told:])),
            )
            if self._strict and lost:
                evidence = f"numbers {_numbers(lost)} in {segment.gaps}"
                self._found("acknowledged lost", place, run, evidence)
            if silent:
                evidence = (
                    f"numbers {_numbers(silent)} of {len(ledger.events)}, gaps {segment.gaps}"
                )
                self._found("missing", place, run, evidence)
            uncovered.update(each.session for each in missing[told:] if not each.refused)

    def _leave_out_unseen(
        self, place: str, beginning: _Segment, last_held: Mapping[str, int]
    ) -> None:
        """Count apart what the server forgot of a run before anybody saw it, when the process that
        published it was killed: another one that went on with the run can tell no more."""
        missing = []
        for each in beginning.missing:
            killed = self._sessions[each.session].unpublished is None
            if killed and each.session not in last_held:
                self.accounts[place].unseen += each.acked
            else:
                missing.append(each)
        beginning.missing = missing

    def _check_totals(self, holding: Holding, run: str, items: Sequence[Event | Gap]) -> None:
        stored = sum(isinstance(each, Event) for each in items)
        lost = sum(each.length for each in items if isinstance(each, Gap))
        ends: dict[int, int] = {}
        for each in items:
            end = each.seq if isinstance(each, Event) else each.last
            ends[each.epoch] = max(ends.get(each.epoch, 0), end)
        totals = (holding.totals or {}).get(run)
        if totals != (stored, lost):
            evidence = f"events, lost: {totals}, counted {(stored, lost)}"
            self._found("totals", holding.name, run, evidence)
        if sum(ends.values()) != stored + lost:
            evidence = f"published {sum(ends.values())} ≠ stored {stored} + lost {lost}"
            self._found("unbalanced", holding.name, run, evidence)

    def _is_certain(self, event: Emitted, last_held: Mapping[str, int]) -> bool:
        """Whether it was published: acknowledged, or one behind it of its session is held."""
        held = event.number < last_held.get(event.session, 0)
        return not event.refused and (held or self._is_acked(event))

    def _is_acked(self, event: Emitted) -> bool:
        return event.acked or self._sessions[event.session].unpublished == 0

    def _found(self, name: str, place: str, run: str, evidence: str) -> None:
        self.violations.append(Violation(name, place, run, evidence))


def _numbers(events: Iterable[Emitted]) -> str:
    """The events' numbers as ranges."""
    ranges: list[list[int]] = []
    for each in events:
        if ranges and ranges[-1][1] == each.number - 1:
            ranges[-1][1] = each.number
        else:
            ranges.append([each.number, each.number])
    return ", ".join(f"{first}..{last}" if first < last else str(first) for first, last in ranges)
