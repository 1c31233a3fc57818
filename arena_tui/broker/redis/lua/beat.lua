-- keys: meta and events of each run. args: seconds to keep word of a run that had ended; then for
-- each run: run, epoch and seq of its producer's newest acknowledged event, 1 when that ended it.
-- A sign of life of open runs. A run missing from the index is added to it again, so that new
-- readers discover it. Where the server has lost events, the place up to which they were published
-- is recorded, so that the loss has its length.
-- returns per run: 1 when it is as published, 2 when every consumer has all of it, 0 when it is
-- missing, or was left, and its producer should open it again, 3 when its end was lost and is now
-- recorded, 4 when another producer has ended it.
local expire_s = ARGV[1]

local function index_again(meta, run)
    local entry = redis.call('HGET', meta, 'index') or '0-1'
    if #redis.call('XRANGE', 'arena:runs', entry, entry) == 0 then
        redis.call('HSET', meta, 'index', redis.call('XADD', 'arena:runs', '*', 'run', run))
    end
end

local function beat(meta, events, run, their_epoch, their_seq, ended)
    local known = redis.call('HMGET', meta, 'epoch', 'seq', 'status', 'ended', 'swept')
    local epoch, seq = number(known[1]), number(known[2])
    if not epoch or not seq then
        if not ended then
            return 0
        end
        epoch, seq = 0, 0
    elseif known[3] == 'closed' and not ended then
        return 4
    elseif known[5] == 'yes' then
        return known[3] == 'left' and not ended and 0 or 2
    end
    local is_lost = epoch < their_epoch or (epoch == their_epoch and seq < their_seq)
    if is_lost then
        renew(meta, events, known[4], their_epoch, their_seq)
    elseif their_epoch > 0 and their_epoch < epoch then
        note_end(meta, known[4], their_epoch, their_seq)
    end
    if not ended then
        redis.call('HSET', meta, 'alive', int(now()))
        index_again(meta, run)
        return 1
    elseif not is_lost then
        return 1
    end
    if epoch == 0 then
        redis.call('HSET', meta, 'run', '{"run_id":"' .. run .. '"}')
    end
    redis.call('HSET', meta, 'alive', int(now()), 'status', 'closed')
    index_again(meta, run)
    redis.call('EXPIRE', meta, expire_s)
    redis.call('EXPIRE', events, expire_s)
    return 3
end

local rows, at = {}, 2
for i = 1, #KEYS, 2 do
    local fine, row = pcall(beat, KEYS[i], KEYS[i + 1], ARGV[at], tonumber(ARGV[at + 1]),
                            tonumber(ARGV[at + 2]), ARGV[at + 3] == '1')
    rows[#rows + 1] = fine and row or 1
    at = at + 4
end
return rows
