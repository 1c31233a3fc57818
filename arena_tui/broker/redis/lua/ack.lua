-- args: consumer, seconds until it expires without a sign of life, then run, epoch, seq of each run
-- acked; an older ack than is known is left out. Without runs the call is only a sign of life.
-- returns 1 if nothing was known of the consumer, else 0.
local acks = 'arena:acks:' .. ARGV[1]
local is_new = 1 - redis.call('EXISTS', acks)
for i = 3, #ARGV, 3 do
    local run, epoch, seq = ARGV[i], tonumber(ARGV[i + 1]), tonumber(ARGV[i + 2])
    local known_epoch, known_seq = cursor(redis.call('HGET', acks, run))
    if not known_epoch or not known_seq or known_epoch < epoch
            or known_epoch == epoch and known_seq < seq then
        redis.call('HSET', acks, run, ARGV[i + 1] .. '-' .. ARGV[i + 2])
    end
end
redis.call('HSET', acks, '', int(now()))
redis.call('EXPIRE', acks, ARGV[2])
redis.call('SADD', 'arena:consumers', ARGV[1])
return is_new
