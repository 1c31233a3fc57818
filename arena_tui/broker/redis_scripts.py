"""What the server does in one step, as Lua. Knows the keys; no connection, no event.

Keys: `arena:<run>:events` is a run's stream, its entry ids `<epoch>-<seq>`; `arena:<run>:meta` a
hash (`run`, `epoch`, `seq`, `status`, `alive` in ms, `before`, `p:<producer>`); `arena:runs` the
stream that names every run once; `arena:stores` a set, `arena:acks:<store>` a hash of each store's
cursors; `arena:done` the closed runs that all stores have, by time.

Numbers are formatted by hand: Lua would write an epoch as 1.7e+12.
"""

from __future__ import annotations

from hashlib import sha1
from typing import Final

__all__ = [
    "ACK",
    "APPEND",
    "BEAT",
    "CLOSED",
    "DONE",
    "INDEX",
    "LOOK",
    "NO_RUN",
    "OPEN",
    "REAP",
    "RENEW",
    "STORES",
    "Script",
    "acks_key",
    "events_key",
    "meta_key",
]

INDEX: Final = "arena:runs"
STORES: Final = "arena:stores"
DONE: Final = "arena:done"
NO_RUN: Final = -1
CLOSED: Final = -2


def events_key(run_id: str) -> str:
    """The run's stream."""
    return f"arena:{run_id}:events"


def meta_key(run_id: str) -> str:
    """The hash beside the run's stream."""
    return f"arena:{run_id}:meta"


def acks_key(store: str) -> str:
    """How far a store has each run."""
    return f"arena:acks:{store}"


class Script:
    """A Lua script and the digest the server knows it by."""

    def __init__(self, body: str, flags: str = "") -> None:
        self.text = f"#!lua flags={flags}\n{body}" if flags else f"#!lua\n{body}"
        self.sha = sha1(self.text.encode(), usedforsecurity=False).hexdigest()


_NOW = """
local function now()
    local time = redis.call('TIME')
    return tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end
local function int(number)
    return string.format('%.0f', number)
end
"""

_TOP = """
local function top(events)
    if redis.call('EXISTS', events) == 0 then
        return 0
    end
    local facts = redis.call('XINFO', 'STREAM', events)
    for i = 1, #facts, 2 do
        if facts[i] == 'last-generated-id' then
            return tonumber(string.match(facts[i + 1], '^(%d+)-'))
        end
    end
    return 0
end
"""

OPEN: Final = Script(
    _NOW
    + _TOP
    + """
-- keys: meta, events, index. args: run, meta as JSON, nonce or '' to join what is there, epoch
-- or 0, epoch and seq of the stream that this one replaces, or 0.
-- returns 1 when the run is open to the caller, else 0; and its epoch.
local known = redis.call('HMGET', KEYS[1], 'epoch', 'nonce')
if known[1] then
    local mine = ARGV[3] == '' or known[2] == ARGV[3]
    return {mine and 1 or 0, tonumber(known[1])}
end
local epoch = tonumber(ARGV[4])
if epoch == 0 then
    epoch = now()
end
epoch = math.max(epoch, tonumber(ARGV[5]) + 1, top(KEYS[2]) + 1)
local facts = {'run', ARGV[2], 'epoch', int(epoch), 'seq', '0', 'status', 'open',
               'alive', int(now()), 'nonce', ARGV[3]}
if ARGV[5] ~= '0' then
    facts[#facts + 1] = 'before'
    facts[#facts + 1] = ARGV[5] .. '-' .. ARGV[6]
end
redis.call('HSET', KEYS[1], unpack(facts))
local entry = redis.call('XADD', KEYS[3], '*', 'run', ARGV[1])
redis.call('HSET', KEYS[1], 'index', entry)
return {1, epoch}
"""
)

APPEND: Final = Script(
    _NOW
    + _TOP
    + """
-- keys: meta, events. args: producer, epoch and seq it last had an answer for, its own number of
-- the first event, most events to keep, 1 when the last event ends the run, events as JSON...
-- returns epoch and seq of the last event; or NO_RUN, or CLOSED.
local known = redis.call('HMGET', KEYS[1], 'epoch', 'seq', 'status', 'before', 'p:' .. ARGV[1])
if not known[1] then
    return {-1, 0}
end
local epoch, seq = tonumber(known[1]), tonumber(known[2])
local first, count = tonumber(ARGV[4]), #ARGV - 6
local mine, mine_seq = 0, 0
if known[5] then
    mine, mine_seq = string.match(known[5], '^(%d+) (%d+)$')
    mine, mine_seq = tonumber(mine), tonumber(mine_seq)
end
local done = mine + 1 - first
if done >= count then
    return {epoch, mine_seq - (mine + 1 - first - count)}
end
if known[3] == 'closed' then
    return {-2, 0}
end

local before = seq == 0 and known[4] or nil
local function renew()
    if tonumber(ARGV[2]) == epoch then
        seq = math.max(seq, tonumber(ARGV[3]))
    end
    before = int(epoch) .. '-' .. int(seq)
    epoch = math.max(now(), epoch + 1, top(KEYS[2]) + 1)
    seq = 0
end
if done < 0 then
    -- The server has lost events it once acknowledged (it was restored from an older copy); unless
    -- the stream was made anew since, its seqs must not be used again.
    if tonumber(ARGV[2]) == epoch then
        renew()
    end
    done = 0
end

local function add(payload)
    local id = int(epoch) .. '-' .. int(seq + 1)
    if before then
        return redis.pcall('XADD', KEYS[2], id, 'e', payload, 'b', before)
    end
    return redis.pcall('XADD', KEYS[2], id, 'e', payload)
end
local failed
local added = 0
for i = done + 1, count do
    local reply = add(ARGV[6 + i])
    if type(reply) == 'table' and reply.err and string.find(reply.err, 'equal or smaller') then
        renew() -- somebody else has added an entry of a larger id
        reply = add(ARGV[6 + i])
    end
    if type(reply) == 'table' and reply.err then
        failed = reply
        break
    end
    if before then
        redis.call('HSET', KEYS[1], 'before', before)
        before = nil
    end
    seq = seq + 1
    added = added + 1
end
if added > 0 then
    redis.call('HSET', KEYS[1], 'epoch', int(epoch), 'seq', int(seq),
               'p:' .. ARGV[1], int(first + done + added - 1) .. ' ' .. int(seq))
    if ARGV[5] ~= '0' and redis.call('XLEN', KEYS[2]) > tonumber(ARGV[5]) then
        redis.call('XTRIM', KEYS[2], 'MAXLEN', '=', ARGV[5])
    end
end
if failed then
    return failed
end
if ARGV[6] == '1' then
    redis.call('HSET', KEYS[1], 'status', 'closed')
end
return {epoch, seq}
"""
)

RENEW: Final = Script(
    _NOW
    + _TOP
    + """
-- keys: meta, events. args: epoch and seq that a reader has seen.
-- The server knows less than a reader does: what comes next must not use these seqs again.
local known = redis.call('HMGET', KEYS[1], 'epoch', 'seq')
local epoch, seq = tonumber(ARGV[1]), tonumber(ARGV[2])
if known[1] and tonumber(known[1]) == epoch and tonumber(known[2]) < seq then
    redis.call('HSET', KEYS[1], 'before', ARGV[1] .. '-' .. ARGV[2], 'seq', '0',
               'epoch', int(math.max(now(), epoch + 1, top(KEYS[2]) + 1)))
    return 1
end
return 0
""",
)

BEAT: Final = Script(
    _NOW
    + """
-- keys: metas of runs whose producer is alive.
local at = int(now())
for _, meta in ipairs(KEYS) do
    if redis.call('EXISTS', meta) == 1 then
        redis.call('HSET', meta, 'alive', at)
    end
end
return #KEYS
""",
    "allow-oom",
)

LOOK: Final = Script(
    _NOW
    + """
-- keys: meta and events of each run. args: 1 to tell what does not change, too.
-- returns a row a run: epoch, seq, status, ms since it last was alive, then meta as JSON, before,
-- id of the oldest entry; an empty row when there is no such run.
local at = now()
local rows = {}
for i = 1, #KEYS, 2 do
    local known = redis.call('HMGET', KEYS[i], 'epoch', 'seq', 'status', 'alive', 'run', 'before')
    local row = {}
    if known[1] then
        row = {tonumber(known[1]), tonumber(known[2]), known[3], at - tonumber(known[4] or '0')}
        if ARGV[1] == '1' then
            local oldest = redis.pcall('XRANGE', KEYS[i + 1], '-', '+', 'COUNT', 1)
            row[5] = known[5] or '{}'
            row[6] = known[6] or ''
            row[7] = oldest[1] and oldest[1][1] or ''
        end
    end
    rows[#rows + 1] = row
end
return rows
""",
    "no-writes",
)

_FORGET = """
local function forget(run)
    local meta = 'arena:' .. run .. ':meta'
    local entry = redis.call('HGET', meta, 'index')
    if entry then
        redis.call('XDEL', 'arena:runs', entry)
    end
    redis.call('DEL', meta, 'arena:' .. run .. ':events')
    for _, store in ipairs(redis.call('SMEMBERS', 'arena:stores')) do
        redis.call('HDEL', 'arena:acks:' .. store, run)
    end
end
"""

ACK: Final = Script(
    _NOW
    + _FORGET
    + """
-- args: store, seconds it is remembered without a sign of life, newest events of a run to keep,
-- closed runs to keep, then run, epoch, seq of each run it has more of.
-- Trims what all stores have. Trimming comes first: it may be what makes room for the rest.
local own = 'arena:acks:' .. ARGV[1]
local others = {}
for _, store in ipairs(redis.call('SMEMBERS', 'arena:stores')) do
    local acks = 'arena:acks:' .. store
    if store ~= ARGV[1] then
        if redis.call('EXISTS', acks) == 1 then
            others[#others + 1] = acks
        else
            redis.call('SREM', 'arena:stores', store)
        end
    end
end
local function floor_of(run, epoch, seq)
    for _, acks in ipairs(others) do
        local theirs = redis.call('HGET', acks, run)
        if not theirs then
            return 0
        end
        local their_epoch, their_seq = string.match(theirs, '^(%d+)-(%d+)$')
        if tonumber(their_epoch) < epoch then
            return 0
        elseif tonumber(their_epoch) == epoch then
            seq = math.min(seq, tonumber(their_seq))
        end
    end
    return seq
end
local retain, closed_runs = tonumber(ARGV[3]), tonumber(ARGV[4])
for i = 5, #ARGV, 3 do
    local run, epoch, seq = ARGV[i], tonumber(ARGV[i + 1]), tonumber(ARGV[i + 2])
    local known = redis.call('HMGET', 'arena:' .. run .. ':meta', 'epoch', 'seq', 'status')
    if known[1] and tonumber(known[1]) == epoch then
        local floor = floor_of(run, epoch, seq)
        local trimmed = math.min(floor, tonumber(known[2]) - retain)
        if trimmed > 0 then
            redis.pcall('XTRIM', 'arena:' .. run .. ':events', 'MINID', '=',
                        int(epoch) .. '-' .. int(trimmed + 1))
        end
        if known[3] == 'closed' and floor >= tonumber(known[2]) then
            redis.call('ZADD', 'arena:done', 'NX', now(), run)
        end
        redis.call('HSET', own, run, int(epoch) .. '-' .. int(seq))
    end
end
while redis.call('ZCARD', 'arena:done') > closed_runs do
    forget(redis.call('ZPOPMIN', 'arena:done')[1])
end
redis.call('HSET', own, '', int(now()))
redis.call('EXPIRE', own, ARGV[2])
redis.call('SADD', 'arena:stores', ARGV[1])
return #others
""",
    "allow-oom",
)

REAP: Final = Script(
    _FORGET
    + """
-- keys: meta. args: run. returns 0 when it is still open.
if redis.call('HGET', KEYS[1], 'status') == 'open' then
    return 0
end
forget(ARGV[1])
redis.call('ZREM', 'arena:done', ARGV[1])
return 1
""",
    "allow-oom",
)
