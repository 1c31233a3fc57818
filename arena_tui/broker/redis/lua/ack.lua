-- args: consumer, seconds until it expires without a sign of life, then run, epoch, seq of each run
-- acked. Without runs the call is only a sign of life.
local acks = 'arena:acks:' .. ARGV[1]
for i = 3, #ARGV, 3 do
    redis.call('HSET', acks, ARGV[i], ARGV[i + 1] .. '-' .. ARGV[i + 2])
end
redis.call('HSET', acks, '', int(now()))
redis.call('EXPIRE', acks, ARGV[2])
redis.call('SADD', 'arena:consumers', ARGV[1])
return #ARGV
