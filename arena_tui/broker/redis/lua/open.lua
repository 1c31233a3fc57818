-- keys: meta, events, index. args: run, meta as JSON, nonce or '' to join an existing run, epoch
-- or 0 for now, epoch and seq of the stream that this one replaces, or 0.
-- returns 1 when the caller may publish to the run, else 0; and its epoch.
local known = redis.call('HMGET', KEYS[1], 'epoch', 'nonce', 'seq')
if number(known[1]) and number(known[3]) then
    local mine = ARGV[3] == '' or known[2] == ARGV[3]
    return {mine and 1 or 0, number(known[1])}
end
local epoch = tonumber(ARGV[4])
if epoch == 0 then
    epoch = now()
end
epoch = math.max(epoch, tonumber(ARGV[5]) + 1, top_epoch(KEYS[2]) + 1)
local ended = ARGV[5] ~= '0' and with_ended('', tonumber(ARGV[5]), tonumber(ARGV[6])) or ''
redis.call('HSET', KEYS[1], 'run', ARGV[2], 'epoch', int(epoch), 'seq', '0', 'status', 'open',
           'alive', int(now()), 'nonce', ARGV[3], 'ended', ended)
redis.call('PERSIST', KEYS[2])
local entry = redis.call('XADD', KEYS[3], '*', 'run', ARGV[1])
redis.call('HSET', KEYS[1], 'index', entry)
return {1, epoch}
