// receipts.ts: server-side functions for receipts: write a part of one, and note which are over, as they were when they were read.

export const receipts = `
local function receiptKey(p, id) return ctl(p, 'receipt:' .. id) end

-- A part, and beside it (field '') how often the receipt was written. Whoever writes takes the note back that it is over.
local function receipt(keys, a)
  local p, process, id, since, text, mostKept = a[1], a[2], a[3], a[4], a[5], tonumber(a[6])
  redis.call('HSET', receiptKey(p, id), process, text)
  redis.call('HINCRBY', receiptKey(p, id), '', 1)
  redis.call('ZREM', ctl(p, 'receipts-done'), id)
  redis.call('ZADD', ctl(p, 'receipts'), since, id)
  for _, old in ipairs(redis.call('ZRANGE', ctl(p, 'receipts'), 0, -mostKept - 1)) do
    redis.call('DEL', receiptKey(p, old))
    redis.call('ZREM', ctl(p, 'receipts'), old)
  end
  return 1
end

-- Each with what was read for it: ids, and how often each had been written. Answers those that were written since, which are not noted.
local function over(keys, a)
  local p, mostDone, all, changed = a[1], tonumber(a[2]), cjson.decode(a[3]), {}
  for _, one in ipairs(all) do
    local id, since, read, isSame = one[1], one[2], one[3], true
    for i = 1, #read, 2 do
      local times = redis.call('HGET', receiptKey(p, read[i]), '')
      if times and times ~= read[i + 1] then isSame = false end
    end
    if isSame then redis.call('ZADD', ctl(p, 'receipts-done'), since, id) else changed[#changed + 1] = id end
  end
  redis.call('ZREMRANGEBYRANK', ctl(p, 'receipts-done'), 0, -mostDone - 1)
  return changed
end
`;
