-- args: commands with their arguments, `client|setname x`. returns those this user may not run.
-- The arguments are needed: Redis 7.0.15 and Valkey 9.1.2 crash when asked about an EVALSHA without
-- its number of keys.
local denied = {}
for _, command in ipairs(ARGV) do
    local words = {}
    for word in string.gmatch(command, '[^| ]+') do
        words[#words + 1] = word
    end
    if not redis.acl_check_cmd(unpack(words)) then
        denied[#denied + 1] = command
    end
end
return denied
