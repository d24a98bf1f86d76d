// processes.ts: server-side functions for the processes that share the store: join, renew, leave, ask, take over.

export const processes = `
local function admit(p, process, info, leaseMs)
  local gen = whole(redis.call('HINCRBY', ctl(p, 'meta'), 'gens', 1))
  redis.call('HSET', ctl(p, 'gen'), process, gen)
  comeBackToLoops(p, process)
  redis.call('HSET', ctl(p, 'proc'), process, info)
  redis.call('ZADD', ctl(p, 'lease'), whole(nowMs(p) + math.ceil(leaseMs * 1.05)), process)
  return gen
end

-- Joins, unless this is another store than the one that was known: then it only shows what there is. What a process reads now it has taken in
-- before it may go on; one that holds its lease may be going on already. Whoever brings no id for a new store makes none: one that is empty may be
-- one that has lost its data, and is told from another system's by having none.
local function join(keys, a)
  local p, process, info, leaseMs, known, newId = a[1], a[2], a[3], tonumber(a[4]), a[5], a[6]
  if known == '' and newId ~= '' then redis.call('HSETNX', ctl(p, 'meta'), 'id', newId) end
  local out = head(p)
  out[5] = ''
  if known == '' or known == out[1] then
    local mayGoOn = isAlive(p, process, nowMs(p))
    out[5] = admit(p, process, info, leaseMs)
    if not mayGoOn then redis.call('HSET', ctl(p, 'seen'), process, out[2]) end
  end
  return out
end

-- A process that was counted as gone is told so until it says that it has understood (by its gen).
local function renew(keys, a)
  local p, process, info, leaseMs, id, gen, at, life = a[1], a[2], a[3], tonumber(a[4]), a[5], a[6], a[7], a[8]
  local have = redis.call('HGET', ctl(p, 'meta'), 'id') or ''
  if have ~= id then return { have } end
  local hadLapsed = 0
  if holds(p, process, gen) then
    redis.call('HSET', ctl(p, 'proc'), process, info)
    redis.call('ZADD', ctl(p, 'lease'), whole(nowMs(p) + math.ceil(leaseMs * 1.05)), process)
  else
    -- The answer that said so the first time may not have come.
    hadLapsed = 1
    if isAlive(p, process, nowMs(p)) then
      gen = redis.call('HGET', ctl(p, 'gen'), process)
      redis.call('ZADD', ctl(p, 'lease'), whole(nowMs(p) + math.ceil(leaseMs * 1.05)), process)
    else gen = admit(p, process, info, leaseMs) end
  end
  sawUpTo(p, process, at, life)
  -- Newest first: what was told of before, and nobody could take over, hides nobody who is gone since.
  local gone = {}
  for _, one in ipairs(redis.call('ZREVRANGEBYSCORE', ctl(p, 'lease'), whole(nowMs(p)), '-inf', 'LIMIT', 0, 100)) do
    if redis.call('SCARD', ctl(p, 'agents:' .. one)) == 0 then removeProcess(p, one) else gone[#gone + 1] = one end
  end
  seeToLoops(p)
  seeToWords(p)
  return { have, (tail(p)), gen, hadLapsed, gone, lifeOf(p) }
end

local function leave(keys, a)
  local p, process = a[1], a[2]
  if redis.call('SCARD', ctl(p, 'agents:' .. process)) == 0 then removeProcess(p, process)
  elseif redis.call('ZSCORE', ctl(p, 'lease'), process) then redis.call('ZADD', ctl(p, 'lease'), whole(nowMs(p)), process) end
  seeToLoops(p)
  return 1
end

local function list(keys, a)
  local p, out = a[1], {}
  local now = nowMs(p)
  local all = redis.call('ZRANGE', ctl(p, 'lease'), 0, -1, 'WITHSCORES')
  for i = 1, #all, 2 do
    out[#out + 1] = { all[i], tonumber(all[i + 1]) > now and 1 or 0, redis.call('HGET', ctl(p, 'proc'), all[i]) or '{}' }
  end
  return out
end

local function serves(info)
  local isJson, value = pcall(cjson.decode, info)
  return isJson and type(value) == 'table' and value.serves
end

-- Puts a request into the inbox of each live process that answers.
local function ask(keys, a)
  local p, except, only, method, params, reply, id = a[1], a[2], a[3], a[4], a[5], a[6], a[7]
  local out = {}
  for _, one in ipairs(redis.call('ZRANGEBYSCORE', ctl(p, 'lease'), '(' .. whole(nowMs(p)), '+inf')) do
    local info = redis.call('HGET', ctl(p, 'proc'), one) or '{}'
    if one ~= except and (only == '' or only == one) and serves(info) then
      tellOne(p, one, 't', 'ask', 'm', method, 'd', params, 'r', reply, 'i', id)
      out[#out + 1] = { one, info }
    end
  end
  return out
end

local function answer(keys, a)
  local p, reply, text = a[1], a[2], a[3]
  redis.call('RPUSH', ctl(p, 're:' .. reply), text)
  redis.call('PEXPIRE', ctl(p, 're:' .. reply), 60000)
  return 1
end

-- Processes looked at in one step: there may be thousands that left what nobody here can take over.
local deadTogether = 100

-- A page of processes that are gone, with the ends of their leases, behind this one. Where that has been removed or is back: from the first on
-- whose lease ended when its did; some are then looked at twice, and none is passed over.
local function deadAfter(p, last, till)
  local lease, from = ctl(p, 'lease'), 0
  if last ~= '' then
    if redis.call('ZSCORE', lease, last) == till then from = redis.call('ZRANK', lease, last) + 1
    else from = redis.call('ZCOUNT', lease, '-inf', '(' .. till) end
  end
  return redis.call('ZRANGEBYSCORE', lease, '-inf', whole(nowMs(p)), 'WITHSCORES', 'LIMIT', from, deadTogether)
end

-- Moves what processes that are gone ran to this one, a page of them at a time: answers what it was given, and the last process that was looked at
-- wholly, or nothing where no other is left. What it was given is kept until it says that it has it: an answer may be lost.
local function adopt(keys, a)
  local p, process, gen, id, most, have, last, till = a[1], a[2], a[3], a[4], tonumber(a[5]), tonumber(a[6]), a[7], a[8]
  if not isStore(p, id) then return other end
  if not holds(p, process, gen) then return lapsed end
  local wanted = {}
  for i = 9, #a do wanted[a[i]] = true end
  local mine = ctl(p, 'adopted:' .. process)
  if have > 0 then redis.call('LTRIM', mine, have, -1) end
  local left = most - redis.call('LLEN', mine)
  local dead = deadAfter(p, last, till)
  local hasRoom = left > 0
  local at = 1
  while hasRoom and at < #dead do
    local gone = dead[at]
    local agents = redis.call('SMEMBERS', ctl(p, 'agents:' .. gone))
    for _, agent in ipairs(agents) do
      local theirs = ctl(p, 'p:' .. gone .. ':' .. agent)
      while wanted[agent] and left > 0 do
        local one = redis.call('SPOP', theirs)
        if not one then break end
        left = left - 1
        local root, session = string.match(one, '^([^\\n]*)\\n(.*)$')
        if redis.call('HGET', graph(p, root, 'o'), session) == gone then
          redis.call('HSET', graph(p, root, 'o'), session, process)
          redis.call('SADD', ctl(p, 'p:' .. process .. ':' .. agent), one)
          redis.call('SADD', ctl(p, 'agents:' .. process), agent)
          redis.call('LREM', ctl(p, 'adopted:' .. gone), 0, one)
          redis.call('RPUSH', mine, one)
        end
      end
      if wanted[agent] and redis.call('EXISTS', theirs) == 0 then redis.call('SREM', ctl(p, 'agents:' .. gone), agent) end
    end
    if redis.call('SCARD', ctl(p, 'agents:' .. gone)) == 0 then removeProcess(p, gone) end
    -- With no room left there may be more of this one.
    hasRoom = left > 0
    if hasRoom then last, till, at = gone, dead[at + 1], at + 2 end
  end
  local given = redis.call('LRANGE', mine, 0, most - 1)
  if hasRoom and #dead < 2 * deadTogether then return { given } end
  return { given, last, till }
end
`;
