-- Holds something against a client. Each reason has points of its own, so that their sum can be explained; all halve
-- with time.
--
-- KEYS: what is held against the client. ARGV: the reason, its points, the seconds in which it counts once, the seconds
-- in which points halve, now, and for how many seconds they are remembered. Returns how often the client was blocked,
-- then each reason and its points.
local now, half = tonumber(ARGV[5]), tonumber(ARGV[4])
local held = {}
local stored = redis.call('HGETALL', KEYS[1])
for i = 1, #stored, 2 do held[stored[i]] = stored[i + 1] end
local decay = 2 ^ ((tonumber(held.at or now) - now) / half)
local counts = now - tonumber(held['once ' .. ARGV[1]] or 0) >= tonumber(ARGV[3])
local answer = {held.blocks or '0'}
if counts then
  held['points ' .. ARGV[1]] = held['points ' .. ARGV[1]] or 0
  redis.call('HSET', KEYS[1], 'once ' .. ARGV[1], now)
end
redis.call('HSET', KEYS[1], 'at', now)
for name, value in pairs(held) do
  if string.sub(name, 1, 7) == 'points ' then
    local reason, points = string.sub(name, 8), value * decay
    if counts and reason == ARGV[1] then points = points + ARGV[2] end
    redis.call('HSET', KEYS[1], name, string.format('%.6f', points))
    answer[#answer + 1] = reason
    answer[#answer + 1] = string.format('%.6f', points)
  end
end
redis.call('EXPIRE', KEYS[1], ARGV[6])
return answer
