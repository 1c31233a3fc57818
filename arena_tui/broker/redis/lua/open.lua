-- keys: meta, events, index. args: run, meta as JSON, nonce or '' to join an existing run, epoch
-- or 0 for now, epoch and seq of the stream that this one replaces, or 0.
-- A run that its producer had left goes on under a new epoch.
-- returns 1 when the caller may publish to the run, else 0; and its epoch.
local known = redis.call('HMGET', KEYS[1], 'epoch', 'nonce', 'seq', 'status', 'ended')
local before, last = tonumber(ARGV[5]), tonumber(ARGV[6])
if number(known[1]) and number(known[3]) then
    if known[4] ~= 'left' then
        local mine = ARGV[3] == '' or known[2] == ARGV[3]
        return {mine and 1 or 0, number(known[1])}
    elseif number(known[1]) >= before then
        before, last = number(known[1]), number(known[3])
    end
end
local epoch = tonumber(ARGV[4])
if epoch == 0 then
    epoch = now()
end
epoch = math.max(epoch, before + 1, top_epoch(KEYS[2]) + 1)
local ended = before > 0 and with_ended(known[5], before, last) or ''
redis.call('HSET', KEYS[1], 'run', ARGV[2], 'epoch', int(epoch), 'seq', '0', 'status', 'open',
           'alive', int(now()), 'nonce', ARGV[3], 'ended', ended)
redis.call('HDEL', KEYS[1], 'swept')
redis.call('PERSIST', KEYS[1])
redis.call('PERSIST', KEYS[2])
local entry = redis.call('XADD', KEYS[3], '*', 'run', ARGV[1])
redis.call('HSET', KEYS[1], 'index', entry)
return {1, epoch}
