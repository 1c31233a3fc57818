-- keys: meta, events. args: epoch and seq that a reader has seen.
-- A server that has lost events up to there continues under a new epoch: seqs must not be reused.
local known = redis.call('HMGET', KEYS[1], 'epoch', 'seq', 'ended')
local known_epoch, known_seq = number(known[1]), number(known[2])
local epoch, seq = tonumber(ARGV[1]), tonumber(ARGV[2])
if not known_epoch or not known_seq then
    return 0
end
if known_epoch < epoch or (known_epoch == epoch and known_seq < seq) then
    renew(KEYS[1], KEYS[2], known[3], epoch, seq)
    return 1
end
return 0
