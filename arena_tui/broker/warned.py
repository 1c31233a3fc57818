"""What can be warned of: warnings as values, and their words. Keeps and logs nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, TypeAlias

from msgspec import Struct

Figure: TypeAlias = int | float | str | None
Severity: TypeAlias = Literal["info", "warning", "error"]

Code: TypeAlias = Literal[
    "high_water", "overflow", "overflow_over", "read_too_late", "stream_renewed", "stream_gone",
    "run_given_up",
    "run_missing", "lost_with_owner", "run_left_out", "run_renamed", "entry_set_aside",
    "server_risk", "link_down", "link_restored",
    "task_restarted", "work_failed", "events_unpublished",
    "account_off",
    "consumer_failed", "consumer_restored", "consumer_not_closed", "consumer_not_started",
    "consumer_elsewhere", "consumer_left_out", "client_dropped", "request_refused",
    "script_failed",
    "file_missing", "file_unreadable", "file_replaced", "file_cut_short", "file_rewritten",
    "file_damaged", "file_left",
    "line_refused", "lines_refused", "values_coerced", "events_refused",
    "store_log_cut", "store_log_mended", "store_log_left", "store_moved",
    "store_rewritten", "store_read_only", "store_not_shared", "no_log",
    "metrics_unwritten", "prices_unknown", "on_trouble_failed",
]  # fmt: skip

_ERRORS: Final[frozenset[Code]] = frozenset({
    "task_restarted", "work_failed", "events_unpublished", "account_off", "consumer_failed",
    "consumer_not_closed", "consumer_not_started", "consumer_left_out", "script_failed",
    "file_damaged", "file_left", "line_refused",
    "events_refused", "store_log_cut", "store_log_mended", "store_log_left", "store_moved",
    "store_rewritten",
})  # fmt: skip

_NEWS: Final[frozenset[Code]] = frozenset({"lines_refused", "overflow_over"})
"""Add to what was told before as a warning or an error."""

_WORDS: Final[Mapping[Code, str]] = {
    "high_water": "run {run_id}: {lag:,} events not yet acked by {consumer}, "
                  "{percent} % of capacity",
    "overflow": "run {run_id}: overflow, {consumer} is losing events",
    "overflow_over": "run {run_id}: {consumer} keeps up again, {lost:,} events were lost",
    "read_too_late": "run {run_id}: {events:,} events were gone before they were read",
    "stream_renewed": "run {run_id}: its stream was made anew in Redis, {lost:,} events lost",
    "stream_gone": "run {run_id}: its stream is gone from Redis",
    "run_given_up": "run {run_id}: it does not come back, {lost:,} events lost",
    "run_missing": "run {run_id}: it is no longer in Redis, and what {consumer} lacks is lost",
    "lost_with_owner": "run {run_id}: {events:,} of its events were lost, before they were stored, "
                       "with the process that had the store open",
    "run_renamed": "run {run_id}: the run id {wanted} is taken, so this run has another one",
    "run_left_out": "left a run out: {why}",
    "entry_set_aside": "run {run_id}: set entry {entry} aside: {why}",
    "server_risk": "{risk}: {advice}",
    "link_down": "{why}: trying again",
    "link_restored": "{place} works again, after {away_s:.1f} s",
    "task_restarted": "the {task} failed and is started again: {why}",
    "work_failed": "{work} failed and goes on: {why}: see the log",
    "events_unpublished": "{events:,} events could not be published: {why}: see the log",
    "account_off": "the account of {account} does not add up: {equation}, but {expected:,} "
                   "are expected and {found:,} found",
    "consumer_failed": "{consumer}: {why}; events are held and tried again",
    "consumer_restored": "{consumer} works again",
    "consumer_not_closed": "{consumer} cannot be closed: {why}",
    "consumer_not_started": "{consumer} cannot start: {why}; it is tried again",
    "consumer_elsewhere": "{consumer} runs in {owner}: it is started here when that one ends",
    "consumer_left_out": "the installed consumer {consumer} is left out: {why}",
    "client_dropped": "{consumer} took nothing for {seconds} s: it was dropped, and can reconnect",
    "request_refused": "refused an HTTP request from {peer}: {why}",
    "script_failed": "{script} failed: {why}: see the log",
    "file_missing": "{file} does not exist yet: waiting for it",
    "file_unreadable": "cannot read {file}: {why}: trying again",
    "file_replaced": "{file} was replaced: reading it from its beginning",
    "file_cut_short": "{file} was cut short: reading it from its beginning",
    "file_rewritten": "{file} was written anew: reading it from its beginning",
    "file_damaged": "{file}: {why}: what was read until there is kept",
    "file_left": "{file} is no longer followed: see the log, start again",
    "line_refused": "{file} line {line}: {why}",
    "lines_refused": "{file}: {lines:,} lines are not events: see the log",
    "values_coerced": "run {run_id}: an event could not be kept as given ({field}: {why}): see "
                      "its field coerced; {events:,} such events so far",
    "events_refused": "run {run_id}: an event was refused ({why}); {events:,} so far",
    "store_log_cut": "the store's write-ahead log was damaged: its last {bytes:,} bytes could not "
                     "be read; the damaged one is {kept}",
    "store_log_mended": "the store's write-ahead log was damaged: kept what was whole "
                        "({whole:,} of {bytes:,} bytes); the damaged one is {kept}",
    "store_moved": "the store could not be read and was moved to {kept}; "
                   "a new one was begun ({why})",
    "store_log_left": "no store was at {path}, but a write-ahead log: it is {kept} now, put it "
                      "beside its store",
    "store_rewritten": "the store's file was gone: {path} was written anew with all it held",
    "store_not_shared": "other processes cannot use the store meanwhile: {why}",
    "store_read_only": "the store {path} may only be read: nothing is stored",
    "no_log": "{why}",
    "on_trouble_failed": "on_trouble: {command}: {why}",
    "metrics_unwritten": "cannot write the metrics to {file}: {why}: trying again",
    "prices_unknown": "cannot look up what models cost: {why}: name prices in the settings file",
}  # fmt: skip
"""Templates for `str.format`."""


class Warned(Struct, frozen=True):
    """One warning. As a string it is worded, for whoever shows it; that may hold any characters.

    Attributes:
        number: Counts the warnings of a process from 1, in their order.
        time: Seconds since 1970.
        figures: What its words need besides the run and the consumer; a number of events lost
            that is None is unknown.
    """

    number: int
    time: float
    code: Code
    run_id: str | None = None
    consumer: str | None = None
    figures: Mapping[str, Figure] = {}

    @property
    def severity(self) -> Severity:
        """How severe it is; its level in the log."""
        if self.code in _NEWS:
            return "info"
        return "error" if self.code in _ERRORS else "warning"

    def __str__(self) -> str:
        return worded(self)


def worded(warned: Warned) -> str:
    """The one wording of a warning, the same in the log, on the screen and on stderr."""
    template = _WORDS[warned.code]
    if warned.figures.get("lost", 0) is None:
        template = template.replace("{lost:,}", "an unknown number of")
    return template.format(run_id=warned.run_id, consumer=warned.consumer, **warned.figures)
