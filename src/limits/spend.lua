-- Counts requests against the limits of a key, all at once, or only tells how they stand.
--
-- KEYS  a counter for each limit: "<window> <spent>"
-- ARGV  the phase of the key in ms, how many to spend or 0 to look, the window that the caller knows
--       of, then for each counter its limit and what the caller knows to be spent in that window
--
-- Returns the time in ms, whether the requests were admitted, and what is then spent of each limit.
local LENGTH = 60000

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local at = now + ARGV[1]
local window = math.floor(at / LENGTH)
local amount, known = tonumber(ARGV[2]), tonumber(ARGV[3])

local admitted = 1
local spent = {}
for i, key in ipairs(KEYS) do
  local limit, least = tonumber(ARGV[2 + 2 * i]), tonumber(ARGV[3 + 2 * i])
  spent[i] = 0
  local kept = redis.call('GET', key)
  if kept then
    local kept_window, kept_spent = string.match(kept, '^(%d+) (%d+)$')
    -- A later one is this one still: a clock that was set back shall not admit twice.
    if kept_window and tonumber(kept_window) >= window then
      spent[i] = tonumber(kept_spent)
    end
  end
  -- A Redis that came back empty learns from its clients what was spent.
  if known == window and least > spent[i] then
    spent[i] = least
  end
  if spent[i] + amount > limit then
    admitted = 0
  end
end

if admitted == 1 and amount > 0 then
  local left = LENGTH - at % LENGTH
  for i, key in ipairs(KEYS) do
    spent[i] = spent[i] + amount
    -- It may outlive its window by a second: the number says what it is worth.
    redis.call('SET', key, string.format('%d %d', window, spent[i]), 'PX', left + 1000)
  end
end
return {now, admitted, unpack(spent)}
