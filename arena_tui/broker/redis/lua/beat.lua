-- keys: metas of runs whose producer is alive.
-- A run missing from the index is added to it again, so that new readers discover it.
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
