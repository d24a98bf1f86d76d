// stops.ts: server-side functions for stops: mark, read whole, say what was taken in, ask who has not.

export const stops = `
local function mark(keys, a)
  local p, process, key, side, n, details = a[1], a[2], a[3], a[4], a[5], a[6]
  local field = key .. ' ' .. side
  local had = redis.call('HGET', ctl(p, 'stops'), field)
  if had then
    local hadN, hadId = string.match(had, '^(%d+) (%S+)')
    if hadN and tonumber(hadN) >= tonumber(n) then return hadId end
  end
  local id = tell(p, 't', 'stop', 'k', key, 's', side, 'n', n, 'd', details)
  redis.call('HSET', ctl(p, 'stops'), field, n .. ' ' .. id .. ' ' .. details)
  return id
end

local function resolve(keys, a)
  local p, field, value = a[1], a[2], a[3]
  if redis.call('HSETNX', ctl(p, 'resolutions'), field, value) == 0 then return 0 end
  tell(p, 't', 'word', 'd', value)
  return 1
end

local function everything(p)
  local at, seq = tail(p)
  return { redis.call('HGET', ctl(p, 'meta'), 'id') or '', at, seq,
    redis.call('HGETALL', ctl(p, 'stops')), redis.call('HGETALL', ctl(p, 'resolutions')) }
end

local function sync(keys, a) return everything(a[1]) end

local function sawUpTo(p, process, id)
  if not redis.call('ZSCORE', ctl(p, 'lease'), process) then return end
  local had = redis.call('HGET', ctl(p, 'seen'), process)
  if not had or reaches(id, had) then redis.call('HSET', ctl(p, 'seen'), process, id) end
end

local function seen(keys, a)
  sawUpTo(a[1], a[2], a[3])
  return 1
end

-- Who has taken the mark in: the id of its event, then per process: id, state, what is left of its lease, what is known of it.
local function confirm(keys, a)
  local p, process, key, n = a[1], a[2], a[3], a[4]
  local had = redis.call('HGET', ctl(p, 'stops'), key .. ' e')
  local hadN, id
  if had then hadN, id = string.match(had, '^(%d+) (%S+)') end
  if not id or tonumber(hadN) < tonumber(n) then return { '' } end
  local now = nowMs()
  local all = redis.call('ZRANGE', ctl(p, 'lease'), 0, -1, 'WITHSCORES')
  local out = { id }
  for i = 1, #all, 2 do
    local one, left = all[i], tonumber(all[i + 1]) - now
    if one ~= process then
      local at = redis.call('HGET', ctl(p, 'seen'), one)
      local state = 'waits'
      if left <= 0 then state = 'lapsed' elseif at and reaches(at, id) then state = 'took' end
      out[#out + 1] = { one, state, whole(left), redis.call('HGET', ctl(p, 'proc'), one) or '{}' }
    end
  end
  return out
end
`;
