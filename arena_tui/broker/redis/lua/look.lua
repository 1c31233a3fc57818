-- keys: meta and events of each run. args: 1 to return meta and oldest id, too.
-- returns a row per run: epoch, seq, status, ms since its last sign of life, cursors of earlier
-- streams, then meta as JSON and id of the oldest entry; an empty row when there is no such run, or
-- its meta is malformed.
local at = now()
local rows = {}
for i = 1, #KEYS, 2 do
    local known = redis.pcall('HMGET', KEYS[i], 'epoch', 'seq', 'status', 'alive', 'ended', 'run')
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
