-- args: newest events of an open run to keep, bytes of a closed one, seconds a closed one is kept,
-- seconds without a sign of life after which an open one is left, seconds that word of it is kept,
-- index position to start at, most index entries to visit.
-- Trims what every consumer has acked, sets closed and left runs that every consumer has fully acked
-- to expire, and deletes the remains of expired ones. Without consumers nothing is trimmed.
-- returns the index position to continue at, '-' for the beginning; the number of consumers.
local retain, bytes, expire_s = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3]
local alive_since = now() - 1000 * tonumber(ARGV[4])
local consumers = {}
for _, consumer in ipairs(redis.call('SMEMBERS', 'arena:consumers')) do
    if redis.call('EXISTS', 'arena:acks:' .. consumer) == 1 then
        consumers[#consumers + 1] = 'arena:acks:' .. consumer
    else
        redis.call('SREM', 'arena:consumers', consumer)
    end
end

-- The seq up to which every consumer has acked this epoch of the run.
local function acked_by_all(run, epoch)
    local floor
    for _, acks in ipairs(consumers) do
        local their_epoch, seq = cursor(redis.call('HGET', acks, run))
        if not their_epoch or not seq or their_epoch < epoch then
            return 0
        elseif their_epoch == epoch then
            floor = math.min(floor or seq, seq)
        end
    end
    return floor or 0
end

-- Id of the oldest entry in the longest tail of at most `bytes`; at least one entry.
local function tail_within(events)
    local left, id, before = bytes, nil, '+'
    while true do
        local entries = redis.call('XREVRANGE', events, before, '-', 'COUNT', 16)
        for _, entry in ipairs(entries) do
            for _, field in ipairs(entry[2]) do
                left = left - #field
            end
            if left < 0 and id then
                return id
            end
            id = entry[1]
        end
        if #entries < 16 then
            return id
        end
        before = '(' .. id
    end
end

local function sweep(run)
    local meta, events = 'arena:' .. run .. ':meta', 'arena:' .. run .. ':events'
    local known = redis.pcall('HMGET', meta, 'epoch', 'seq', 'status', 'swept', 'alive', 'ended')
    local epoch, newest = number(known[1]), number(known[2])
    if not epoch or not newest or known[4] == 'yes' then
        return
    end
    if newest == 0 then  -- nothing was published since the stream before
        epoch, newest = cursor(string.match(known[6] or '', '%d+%-%d+$') or known[1] .. '-0')
    end
    local acked = acked_by_all(run, epoch)
    local is_left = known[3] == 'open' and (number(known[5]) or 0) < alive_since
    if acked >= newest and (is_left or known[3] == 'closed' and newest > 0) then
        redis.pcall('XTRIM', events, 'MAXLEN', '=', retain)
        redis.pcall('XTRIM', events, 'MINID', '=', tail_within(events) or '0-1')
        redis.call('HSET', meta, 'swept', 'yes', 'status', is_left and 'left' or 'closed')
        redis.call('EXPIRE', meta, is_left and ARGV[5] or expire_s)
        redis.call('EXPIRE', events, expire_s)
    elseif math.min(acked, newest - retain) > 0 then
        redis.pcall('XTRIM', events, 'MINID', '=',
                    int(epoch) .. '-' .. int(math.min(acked, newest - retain) + 1))
    end
end

if #consumers == 0 then
    return {'-', 0}
end
local entries = redis.call('XRANGE', 'arena:runs', ARGV[6], '+', 'COUNT', ARGV[7])
for _, entry in ipairs(entries) do
    local run = entry[2][2]
    if entry[2][1] ~= 'run' then
        redis.call('XDEL', 'arena:runs', entry[1])
    elseif redis.call('EXISTS', 'arena:' .. run .. ':meta') == 1 then
        pcall(sweep, run)
    elseif redis.call('EXISTS', 'arena:' .. run .. ':events') == 1 then
        -- Its metadata was deleted: its producer, if there is one, will open it again.
        redis.call('EXPIRE', 'arena:' .. run .. ':events', expire_s, 'NX')
    else
        pcall(forget, run, entry[1])
    end
end
local full = #entries == tonumber(ARGV[7])
return {full and '(' .. entries[#entries][1] or '-', #consumers}
