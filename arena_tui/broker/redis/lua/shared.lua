-- Shared by all scripts. Numbers are formatted explicitly: Lua would write an epoch as 1.7e+12.
local function now()
    local time = redis.call('TIME')
    return tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end

local function int(number)
    return string.format('%d', number)
end

-- Parse a number that a script wrote; nil for anything else.
local function number(text)
    return type(text) == 'string' and #text < 16 and string.match(text, '^%d+$') and tonumber(text)
        or nil
end

local function cursor(text)
    local epoch, seq = string.match(text or '', '^(%d+)-(%d+)$')
    return number(epoch), number(seq)
end

-- The epoch of the newest id that a stream ever had.
local function top_epoch(events)
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

-- Append a cursor to the list of ended streams, in place of one of the same epoch; the newest 16
-- are kept.
local function with_ended(ended, epoch, seq)
    local cursors = {}
    for each, of_epoch in string.gmatch(ended or '', '((%d+)%-%d+)') do
        if of_epoch ~= int(epoch) then
            cursors[#cursors + 1] = each
        end
    end
    cursors[#cursors + 1] = int(epoch) .. '-' .. int(seq)
    return table.concat(cursors, ' ', math.max(1, #cursors - 15))
end

-- Continue the run under a new epoch, and record where the old stream ended.
local function renew(meta, events, ended, epoch, seq)
    local new = math.max(now(), epoch + 1, top_epoch(events) + 1)
    redis.call('HSET', meta, 'ended', with_ended(ended, epoch, seq), 'epoch', int(new), 'seq', '0')
    return new
end

-- Record that an ended stream had come further than another producer could tell.
local function note_end(meta, ended, epoch, seq)
    for of_epoch, known in string.gmatch(ended or '', '(%d+)%-(%d+)') do
        if tonumber(of_epoch) == epoch and tonumber(known) >= seq then
            return
        end
    end
    redis.call('HSET', meta, 'ended', with_ended(ended, epoch, seq))
end

-- Delete everything of a run.
local function forget(run, entry)
    if entry then
        redis.call('XDEL', 'arena:runs', entry)
    end
    redis.call('DEL', 'arena:' .. run .. ':meta', 'arena:' .. run .. ':events')
    for _, consumer in ipairs(redis.call('SMEMBERS', 'arena:consumers')) do
        redis.call('HDEL', 'arena:acks:' .. consumer, run)
    end
end
