-- Takes what a request costs from all of its windows, or from none.
--
-- KEYS: a counter for each window. ARGV: the size of the lease that is wanted, how many of them are plenty; then for each
-- window its limit, its milliseconds, the cost of the request, what was allowed uncounted, what is given back, and the
-- end of the window that it was taken from. Returns whether the request is allowed and the size of the lease, then for
-- each window its count, its end in milliseconds since the epoch, and the milliseconds until then.
local lease, plenty, allowed = tonumber(ARGV[1]), tonumber(ARGV[2]), 1
local counts, ends = {}, {}
for i, key in ipairs(KEYS) do
  local at = 6 * i - 4
  local limit, cost = tonumber(ARGV[at + 1]), tonumber(ARGV[at + 3])
  local finish, count = redis.call('PEXPIRETIME', key), 0
  if finish > 0 then count = redis.call('GET', key) end
  count = count + ARGV[at + 4]
  if finish == tonumber(ARGV[at + 6]) then count = math.max(0, count - ARGV[at + 5]) end
  counts[i], ends[i] = count, finish
  if count + cost > limit then allowed = 0 end
  if count + cost + lease * plenty > limit then lease = 0 end
end
if allowed == 0 then lease = 0 end
local answer = {allowed, lease}
for i, key in ipairs(KEYS) do
  local at = 6 * i - 4
  local count, left = counts[i], tonumber(ARGV[at + 2])
  if allowed == 1 then count = count + ARGV[at + 3] + lease end
  if ends[i] > 0 then
    redis.call('SET', key, count, 'KEEPTTL')
    left = redis.call('PTTL', key)
  elseif count > 0 then
    redis.call('SET', key, count, 'PX', left)
    ends[i] = redis.call('PEXPIRETIME', key)
  end
  answer[3 * i], answer[3 * i + 1], answer[3 * i + 2] = count, ends[i], left
end
return answer
