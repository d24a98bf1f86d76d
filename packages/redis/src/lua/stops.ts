// stops.ts: server-side functions for stops: mark, say where everything stands, say what was taken in, ask who has not.

export const stops = `
-- A mark as it stands in the hash: its n and the id of its event; nothing for one that a hand has spoiled (stops.ts reads it by the same rule).
local function markIn(text)
  local n, id = string.match(text or '', '^(%d+) (%d+%-%d+) ')
  if n and tonumber(n) <= 9007199254740991 then return tonumber(n), id end
end

-- What is of one system is written into another's only where that has nothing: one that was emptied.
local function isForeign(p, id)
  local have = redis.call('HGET', ctl(p, 'meta'), 'id')
  return have and id ~= '' and have ~= id
end

local function mark(keys, a)
  local p, process, key, side, n, details, id = a[1], a[2], a[3], a[4], a[5], a[6], a[7]
  if isForeign(p, id) then return other end
  local field = key .. ' ' .. side
  local hadN, hadId = markIn(redis.call('HGET', ctl(p, 'stops'), field))
  if hadN and hadN >= tonumber(n) then return hadId end
  local id = tell(p, 't', 'stop', 'k', key, 's', side, 'n', n, 'd', details)
  redis.call('HSET', ctl(p, 'stops'), field, n .. ' ' .. id .. ' ' .. details)
  return id
end

local function keep(keys, a)
  local p, id, name, value = a[1], a[2], a[3], a[4]
  if isForeign(p, id) then return other end
  redis.call('SET', ctl(p, name), value)
  return 1
end

-- A word is of use as long as its graph is kept: what is not known to stand in one is kept for good.
local function resolve(keys, a)
  local p, id, field, value, root, session = a[1], a[2], a[3], a[4], a[5], a[6]
  if isForeign(p, id) then return other end
  if redis.call('HSETNX', ctl(p, 'resolutions'), field, value) == 0 then return 0 end
  if redis.call('HEXISTS', graph(p, root, 'n'), session) == 1 then redis.call('HSET', ctl(p, 'resolution-roots'), field, root) end
  tell(p, 't', 'word', 'd', value)
  return 1
end

-- A few words at a time, with each renewal: those whose graphs have gone go too.
local function seeToWords(p)
  local some = redis.call('HRANDFIELD', ctl(p, 'resolution-roots'), 10, 'WITHVALUES')
  for i = 1, #some, 2 do
    if redis.call('EXISTS', graph(p, some[i + 1], 'm')) == 0 then
      redis.call('HDEL', ctl(p, 'resolutions'), some[i])
      redis.call('HDEL', ctl(p, 'resolution-roots'), some[i])
    end
  end
end

-- Where everything stands. The stops and the words themselves are read in pages, after this: what changes meanwhile is told as well.
local function head(p)
  local at, seq = tail(p)
  return { redis.call('HGET', ctl(p, 'meta'), 'id') or '', at, seq, lifeOf(p) }
end

local function sync(keys, a) return head(a[1]) end

-- What was read in another life of the server may be of what it has lost.
local function sawUpTo(p, process, id, life)
  if life ~= lifeOf(p) then return end
  if not redis.call('ZSCORE', ctl(p, 'lease'), process) then return end
  local had = redis.call('HGET', ctl(p, 'seen'), process)
  if not had or reaches(id, had) then redis.call('HSET', ctl(p, 'seen'), process, id) end
end

-- The live processes, if every one of them has taken in what there was at this id.
local function allHaveSeen(p, id)
  local living = redis.call('ZRANGEBYSCORE', ctl(p, 'lease'), '(' .. whole(nowMs(p)), '+inf')
  for _, one in ipairs(living) do
    local at = redis.call('HGET', ctl(p, 'seen'), one)
    if not (at and reaches(at, id)) then return nil end
  end
  return living
end

-- Whoever waits for all is told by the last; it asks by itself all the same.
local function seen(keys, a)
  local p = a[1]
  sawUpTo(p, a[2], a[3], a[4])
  local awaited = redis.call('HGET', ctl(p, 'meta'), 'awaited')
  local living = awaited and allHaveSeen(p, awaited)
  if not living then return lifeOf(p) end
  redis.call('HDEL', ctl(p, 'meta'), 'awaited')
  local now = nowMs(p)
  for _, one in ipairs(redis.call('SMEMBERS', ctl(p, 'awaits'))) do
    if isAlive(p, one, now) then tellOne(p, one, 't', 'all', 'i', awaited, 'l', table.concat(living, ' '), 'f', lifeOf(p)) end
  end
  redis.call('DEL', ctl(p, 'awaits'))
  return lifeOf(p)
end

local function await(p, process, id)
  redis.call('SADD', ctl(p, 'awaits'), process)
  local had = redis.call('HGET', ctl(p, 'meta'), 'awaited')
  if not had or not reaches(id, had) then redis.call('HSET', ctl(p, 'meta'), 'awaited', id) end
end

-- Who has taken the mark in: the id of its event, the life of the server, then per process: id, state, what is left of its lease, what is known of it.
local function confirm(keys, a)
  local p, process, key, n = a[1], a[2], a[3], a[4]
  local hadN, id = markIn(redis.call('HGET', ctl(p, 'stops'), key .. ' e'))
  if not hadN or hadN < tonumber(n) then return { '' } end
  local now = nowMs(p)
  local all = redis.call('ZRANGE', ctl(p, 'lease'), 0, -1, 'WITHSCORES')
  local out = { id, lifeOf(p) }
  local isWaiting = false
  for i = 1, #all, 2 do
    local one, left = all[i], tonumber(all[i + 1]) - now
    -- Of those that are gone, of whom there may be thousands, nothing else is asked.
    if one ~= process and left <= 0 then out[#out + 1] = { one, 'lapsed', whole(left), '{}' }
    elseif one ~= process then
      local at = redis.call('HGET', ctl(p, 'seen'), one)
      local state = at and reaches(at, id) and 'took' or 'waits'
      if state == 'waits' then isWaiting = true end
      out[#out + 1] = { one, state, whole(left), redis.call('HGET', ctl(p, 'proc'), one) or '{}' }
    end
  end
  if isWaiting then await(p, process, id) end
  return out
end
`;
