// receipts.ts: server-side functions for receipts: write a part of one, and note which are over, as they were when they were read. What was written
// longest ago is cleared away first, and not what is of the oldest stop: that may be the one that was written just now.

export const receipts = `
local function receiptKey(p, id) return ctl(p, 'receipt:' .. id) end
-- The processes whose own part says that the stop is still at work.
local function atWorkKey(p, id) return ctl(p, 'receipt-at-work:' .. id) end

-- What is put there now comes last, and goes last, also where the clock was set back.
local function putLast(p, key, id)
  local last = redis.call('ZRANGE', key, -1, -1, 'WITHSCORES')[2] or '0'
  redis.call('ZADD', key, whole(math.max(nowMs(p), tonumber(last) + 1)), id)
end

-- Those that were written longest ago beyond so many.
local function clearAway(p, key, mostKept)
  local over = redis.call('ZCARD', key) - mostKept
  if over <= 0 then return end
  local old = redis.call('ZPOPMIN', key, math.min(over, 100))
  for i = 1, #old, 2 do redis.call('UNLINK', receiptKey(p, old[i]), atWorkKey(p, old[i])) end
end

-- What one that is gone was at work on, whoever takes its sessions over says anew.
local function isAnyAtWork(p, id)
  local now = nowMs(p)
  for _, process in ipairs(redis.call('SMEMBERS', atWorkKey(p, id))) do
    if isAlive(p, process, now) then return true end
  end
  return false
end

-- A part, and beside it (field '') how often the receipt was written. Whoever writes takes the note back that it is over. Those of stops that are
-- still at work, in the process that writes or in any other that lives, are listed by themselves: none of them is cleared away for one that is over.
local function receipt(keys, a)
  local p, process, id, isOwnOpen, text, mostKept = a[1], a[2], a[3], a[4] == '1', a[5], tonumber(a[6])
  local closed, open = ctl(p, 'receipts'), ctl(p, 'receipts-open')
  redis.call(isOwnOpen and 'SADD' or 'SREM', atWorkKey(p, id), process)
  local isOpen = isOwnOpen or isAnyAtWork(p, id)
  redis.call('HSET', receiptKey(p, id), process, text)
  redis.call('HINCRBY', receiptKey(p, id), '', 1)
  redis.call('ZREM', ctl(p, 'receipts-done'), id)
  redis.call('ZREM', isOpen and closed or open, id)
  putLast(p, isOpen and open or closed, id)
  clearAway(p, isOpen and open or closed, mostKept)
  return 1
end

-- Each with what was read for it: ids, and how often each had been written. Answers those that were written since, which are not noted.
local function over(keys, a)
  local p, mostDone, all, changed = a[1], tonumber(a[2]), cjson.decode(a[3]), {}
  for _, one in ipairs(all) do
    local id, read, isSame = one[1], one[2], true
    for i = 1, #read, 2 do
      local times = redis.call('HGET', receiptKey(p, read[i]), '')
      if times and times ~= read[i + 1] then isSame = false end
    end
    if isSame then putLast(p, ctl(p, 'receipts-done'), id) else changed[#changed + 1] = id end
  end
  redis.call('ZREMRANGEBYRANK', ctl(p, 'receipts-done'), 0, -mostDone - 1)
  return changed
end
`;
