-- Each request comes with the next of the keys in a file, so that none of them reaches its limit.
local keys, turn = {}, 0
function init(words)
  for key in io.lines(words[1]) do keys[#keys + 1] = "Bearer " .. key end
end
function request()
  turn = turn % #keys + 1
  return wrk.format("GET", nil, { Authorization = keys[turn], Host = "localhost" })
end
