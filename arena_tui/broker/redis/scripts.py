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
    "DENIED",
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
    return string.format('%d', number)
end
"""

_FACTS = """
-- A number we have written; nil for whatever else stands there.
local function number(text)
    return type(text) == 'string' and #text < 16 and string.match(text, '^%d+$') and tonumber(text)
        or nil
end
local function cursor(text)
    local epoch, seq = string.match(text or '', '^(%d+)-(%d+)$')
    return number(epoch), number(seq)
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
    + _FACTS
    + _TOP
    + """
-- keys: meta, events, index. args: run, meta as JSON, nonce or '' to join what is there, epoch
-- or 0, epoch and seq of the stream that this one replaces, or 0.
-- returns 1 when the run is open to the caller, else 0; and its epoch.
local known = redis.call('HMGET', KEYS[1], 'epoch', 'nonce', 'seq')
if number(known[1]) and number(known[3]) then
    local mine = ARGV[3] == '' or known[2] == ARGV[3]
    return {mine and 1 or 0, number(known[1])}
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
    + _FACTS
    + _TOP
    + """
-- keys: meta and events of each run. args: producer, most events of a run to keep; then of each
-- run: epoch and seq the producer last had an answer for, its own number of the first event, 1 when
-- the last event ends the run, how many they are, events as JSON...
-- returns a row a run: epoch and seq of the last event; or NO_RUN, or CLOSED; or what went wrong.
local producer, most = 'p:' .. ARGV[1], ARGV[2]

local function add(events, id, payload, before, is_last)
    if before then
        return redis.pcall('XADD', events, 'MAXLEN', '=', most, id, 'e', payload, 'b', before)
    elseif is_last then
        return redis.pcall('XADD', events, 'MAXLEN', '=', most, id, 'e', payload)
    end
    return redis.pcall('XADD', events, id, 'e', payload)
end

local function renew(meta, events, epoch, seq, their_epoch, their_seq)
    if their_epoch > epoch then
        epoch, seq = their_epoch, their_seq
    elseif their_epoch == epoch then
        seq = math.max(seq, their_seq)
    end
    local before = int(epoch) .. '-' .. int(seq)
    epoch = math.max(now(), epoch + 1, top(events) + 1)
    redis.call('HSET', meta, 'before', before, 'epoch', int(epoch), 'seq', '0')
    return epoch, 0, before
end

local function append(meta, events, at)
    local known = redis.call('HMGET', meta, 'epoch', 'seq', 'status', 'before', producer)
    local epoch, seq = number(known[1]), number(known[2])
    if not epoch or not seq then
        return {-1, 0}
    end
    local first, count = tonumber(ARGV[at + 2]), tonumber(ARGV[at + 4])
    -- How many events of this producer are there, and where the newest of them stands.
    local mine, mine_at = string.match(known[5] or '', '^(%d+) (%d+-%d+)$')
    mine = number(mine) or 0
    local done = mine + 1 - first
    if done >= count then
        local mine_epoch, mine_seq = cursor(mine_at)
        return {mine_epoch, math.max(0, mine_seq - (done - count))}
    end
    if known[3] == 'closed' then
        return {-2, 0}
    end

    local before = seq == 0 and known[4] or nil
    local their_epoch, their_seq = tonumber(ARGV[at]), tonumber(ARGV[at + 1])
    if done < 0 then
        -- The server has lost events it once acknowledged (it was restored from an older copy);
        -- unless the stream was made anew since, its seqs must not be used again.
        if their_epoch >= epoch then
            epoch, seq, before = renew(meta, events, epoch, seq, their_epoch, their_seq)
        end
        done = 0
    end

    local prefix = int(epoch) .. '-'
    local failed
    local added, last = 0, at + 4 + count
    for i = at + 5 + done, last do
        local reply = add(events, prefix .. int(seq + 1), ARGV[i], before, i == last)
        if type(reply) == 'table' and string.find(reply.err, 'equal or smaller') then
            -- Somebody else has added an entry of a larger id.
            epoch, seq, before = renew(meta, events, epoch, seq, their_epoch, their_seq)
            prefix = int(epoch) .. '-'
            reply = add(events, prefix .. int(seq + 1), ARGV[i], before, i == last)
        end
        if type(reply) == 'table' then
            failed = reply
            break
        end
        before = nil
        seq = seq + 1
        added = added + 1
    end
    if added > 0 then
        local newest = int(seq)
        redis.call('HSET', meta, 'seq', newest,
                   producer, int(first + done + added - 1) .. ' ' .. prefix .. newest)
    end
    if failed then
        return failed
    end
    if ARGV[at + 3] == '1' then
        redis.call('HSET', meta, 'status', 'closed')
    end
    return {epoch, seq}
end

local rows, at = {}, 3
for i = 1, #KEYS, 2 do
    -- What fails in one run is no other run's business.
    local fine, row = pcall(append, KEYS[i], KEYS[i + 1], at)
    if not fine and type(row) ~= 'table' then
        row = {err = 'ERR ' .. tostring(row)}
    end
    rows[#rows + 1] = row
    at = at + 5 + tonumber(ARGV[at + 4])
end
return rows
"""
)

RENEW: Final = Script(
    _NOW
    + _FACTS
    + _TOP
    + """
-- keys: meta, events. args: epoch and seq that somebody has seen.
-- The server knows less than others do: what comes next must not use these seqs again.
local known = redis.call('HMGET', KEYS[1], 'epoch', 'seq')
local known_epoch, known_seq = number(known[1]), number(known[2])
local epoch, seq = tonumber(ARGV[1]), tonumber(ARGV[2])
if not known_epoch or not known_seq then
    return 0
end
if known_epoch < epoch or (known_epoch == epoch and known_seq < seq) then
    redis.call('HSET', KEYS[1], 'before', ARGV[1] .. '-' .. ARGV[2], 'seq', '0',
               'epoch', int(math.max(now(), epoch + 1, top(KEYS[2]) + 1)))
    return 1
end
return 0
""",
    "allow-oom",
)

BEAT: Final = Script(
    _NOW
    + """
-- keys: metas of runs whose producer is alive.
-- An index that has lost them names them again, for those who come later.
local at = int(now())
for _, meta in ipairs(KEYS) do
    if redis.call('EXISTS', meta) == 1 then
        redis.call('HSET', meta, 'alive', at)
        local entry = redis.call('HGET', meta, 'index') or '0-1'
        if #redis.call('XRANGE', 'arena:runs', entry, entry) == 0 then
            local run = string.match(meta, '^arena:(.*):meta$')
            redis.call('HSET', meta, 'index', redis.call('XADD', 'arena:runs', '*', 'run', run))
        end
    end
end
return #KEYS
""",
    "allow-oom",
)

LOOK: Final = Script(
    _NOW
    + _FACTS
    + """
-- keys: meta and events of each run. args: 1 to tell what does not change, too.
-- returns a row a run: epoch, seq, status, ms since it last was alive, before, then meta as JSON,
-- id of the oldest entry; an empty row when there is no such run, or something else in its place.
local at = now()
local rows = {}
for i = 1, #KEYS, 2 do
    local known = redis.pcall('HMGET', KEYS[i], 'epoch', 'seq', 'status', 'alive', 'before', 'run')
    local epoch, seq = number(known[1]), number(known[2])
    local row = {}
    if epoch and seq then
        row = {epoch, seq, known[3] or '', at - (number(known[4]) or 0), known[5] or ''}
        if ARGV[1] == '1' then
            local oldest = redis.pcall('XRANGE', KEYS[i + 1], '-', '+', 'COUNT', 1)
            row[6] = known[6] or '{}'
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
    + _FACTS
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
local fewer = #others < (number(redis.call('HGET', own, '#')) or 0)
local function floor_of(run, epoch, seq)
    for _, acks in ipairs(others) do
        local their_epoch, their_seq = cursor(redis.call('HGET', acks, run))
        if not their_epoch or not their_seq or their_epoch < epoch then
            return 0
        elseif their_epoch == epoch then
            seq = math.min(seq, their_seq)
        end
    end
    return seq
end
local retain, closed_runs = tonumber(ARGV[3]), tonumber(ARGV[4])
local function settle(run, epoch, seq)
    local known = redis.pcall('HMGET', 'arena:' .. run .. ':meta', 'epoch', 'seq', 'status')
    local newest = number(known[2])
    if not newest or number(known[1]) ~= epoch then
        return false
    end
    local floor = floor_of(run, epoch, seq)
    local trimmed = math.min(floor, newest - retain)
    if trimmed > 0 then
        redis.pcall('XTRIM', 'arena:' .. run .. ':events', 'MINID', '=',
                    int(epoch) .. '-' .. int(trimmed + 1))
    end
    if known[3] == 'closed' and floor >= newest then
        redis.call('ZADD', 'arena:done', 'NX', now(), run)
    end
    return true
end
for i = 5, #ARGV, 3 do
    local run, epoch, seq = ARGV[i], tonumber(ARGV[i + 1]), tonumber(ARGV[i + 2])
    if settle(run, epoch, seq) then
        redis.call('HSET', own, run, int(epoch) .. '-' .. int(seq))
    end
end
if fewer then
    -- Some of these may have waited for nobody else.
    local all = redis.call('HGETALL', own)
    for i = 1, #all, 2 do
        local epoch, seq = cursor(all[i + 1])
        if epoch and seq then
            settle(all[i], epoch, seq)
        end
    end
end
while redis.call('ZCARD', 'arena:done') > closed_runs do
    forget(redis.call('ZPOPMIN', 'arena:done')[1])
end
redis.call('HSET', own, '', int(now()), '#', #others)
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

DENIED: Final = Script(
    """
-- args: whole commands, `client|setname x`. returns those that this user may not give.
-- Whole ones: asked about an EVALSHA without its number of keys, Redis 7.0.15 and Valkey 9.1.2
-- crash.
local denied = {}
for _, command in ipairs(ARGV) do
    local words = {}
    for word in string.gmatch(command, '[^| ]+') do
        words[#words + 1] = word
    end
    if not redis.acl_check_cmd(unpack(words)) then
        denied[#denied + 1] = command
    end
end
return denied
""",
    "no-writes",
)
