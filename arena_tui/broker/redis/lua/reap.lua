-- keys: meta. args: run. returns 0 when it is still open.
local known = redis.call('HMGET', KEYS[1], 'status', 'index')
if known[1] == 'open' then
    return 0
end
forget(ARGV[1], known[2])
return 1
