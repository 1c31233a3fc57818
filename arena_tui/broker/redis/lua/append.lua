-- keys: meta and events of each run. args: most events of a run to keep; then for each run: producer,
-- epoch and seq of its last acknowledged event, its own numbers of that one and of the first event
-- here, 1 when the last event ends the run, how many events between those two were given up and are
-- lost to all, number of events, events as JSON...
-- What was given up leaves a hole in the seqs, from which readers know how much they lack.
-- returns a row per run: epoch and seq of the last event; or NO_RUN, or CLOSED; or an error.
local most, alive = ARGV[1], int(now())

local function add(events, id, payload, is_last)
    if is_last then
        return redis.pcall('XADD', events, 'MAXLEN', '=', most, id, 'e', payload)
    end
    return redis.pcall('XADD', events, id, 'e', payload)
end

local function append(meta, events, at)
    local producer = 'p:' .. ARGV[at]
    local known = redis.call('HMGET', meta, 'epoch', 'seq', 'status', 'ended', producer)
    local epoch, seq = number(known[1]), number(known[2])
    if not epoch or not seq then
        return {-1, 0}
    end
    local acked, first, count = tonumber(ARGV[at + 3]), tonumber(ARGV[at + 4]), tonumber(ARGV[at + 7])
    -- This producer's number of its newest event in the stream, and the id of that.
    local mine, mine_at = string.match(known[5] or '', '^(%d+) (%d+-%d+)$')
    mine = number(mine) or 0
    local done = mine + 1 - first
    if done >= count then
        local mine_epoch, mine_seq = cursor(mine_at)
        return {mine_epoch, math.max(0, mine_seq - (done - count))}
    end
    if known[3] == 'closed' then
        return {-2, 0}
    elseif known[3] == 'left' then
        return {-1, 0}
    end

    local their_epoch, their_seq = tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
    local function go_on_anew()
        if their_epoch > epoch then
            epoch, seq = their_epoch, their_seq
        elseif their_epoch == epoch then
            seq = math.max(seq, their_seq)
        end
        epoch = renew(meta, events, known[4], epoch, seq)
        known[4] = redis.call('HGET', meta, 'ended')
        seq = 0
    end
    if mine < acked then
        -- The server has lost events it once acknowledged (it was restored from an older copy).
        -- Unless the stream has been renewed since, renew it: its seqs must not be reused.
        if their_epoch >= epoch then
            go_on_anew()
        else
            note_end(meta, known[4], their_epoch, their_seq)
        end
    end
    -- Some of those that were given up may have been appended all the same.
    seq = seq + math.max(0, math.min(tonumber(ARGV[at + 6]), first - 1 - math.max(mine, acked)))
    done = math.max(0, done)
    if count == 0 then
        top_epoch(events)  -- fails if events could not be appended either
    end
    -- Before the events: a user who may not record them must not append them either, or they would
    -- be appended again.
    redis.call('HSET', meta, 'alive', alive)

    local prefix = int(epoch) .. '-'
    local failed
    local added, last = 0, at + 7 + count
    for i = at + 8 + done, last do
        local reply = add(events, prefix .. int(seq + 1), ARGV[i], i == last)
        if type(reply) == 'table' and string.find(reply.err, 'equal or smaller') then
            -- Another program has appended an entry with a larger id.
            go_on_anew()
            prefix = int(epoch) .. '-'
            reply = add(events, prefix .. int(seq + 1), ARGV[i], i == last)
        end
        if type(reply) == 'table' then
            failed = reply
            break
        end
        seq = seq + 1
        added = added + 1
    end
    if added > 0 or not failed then
        local newest = int(seq)
        redis.call('HSET', meta, 'seq', newest, producer,
                   int(first + done + added - 1) .. ' ' .. prefix .. newest)
    end
    if failed then
        return failed
    end
    if ARGV[at + 5] == '1' then
        redis.call('HSET', meta, 'status', 'closed')
    end
    return {epoch, seq}
end

local rows, at = {}, 2
for i = 1, #KEYS, 2 do
    -- A failure in one run does not affect the others.
    local fine, row = pcall(append, KEYS[i], KEYS[i + 1], at)
    if not fine and type(row) ~= 'table' then
        row = {err = 'ERR ' .. tostring(row)}
    end
    rows[#rows + 1] = row
    at = at + 8 + tonumber(ARGV[at + 7])
end
return rows
