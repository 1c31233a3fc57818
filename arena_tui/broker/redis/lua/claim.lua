-- keys: name and meta of a run. args: owner, the owner that is known to be gone ('-' for none, ''
-- when none is), seconds to keep the name.
-- Claims the id of a run for one producer: when nobody has had it, or when its owner is gone and has
-- not ended it. Of two at once, the second finds the first one's name.
-- returns 1 when the id is the caller's now; else 0, its owner, the run's status or '' when there
-- is none, and ms since its last sign of life.
local owner = redis.call('HGET', KEYS[1], 'owner')
local known = redis.call('HMGET', KEYS[2], 'epoch', 'status', 'alive')
local is_held = number(known[1]) ~= nil
local is_free = not owner and not is_held
local is_left = is_held and known[2] ~= 'closed' and (owner or '-') == ARGV[2]
if is_free or is_left then
    redis.call('HSET', KEYS[1], 'owner', ARGV[1])
    redis.call('EXPIRE', KEYS[1], ARGV[3])
    return {1}
end
return {0, owner or '-', is_held and known[2] or '', now() - (number(known[3]) or 0)}
