// budgets.ts: server-side functions for caps that processes spend of together: lease, settle, reconcile.
//
// A cap is one hash: s is what was spent, l and the name of a lease what it holds and what was told before it; t what all leases hold, p and the
// name of a process what its leases hold and how many they are, so that no step looks at every lease. All caps are in one slot, so that a
// lease of several is one step.

export const budgets = `
local function budget(p, key) return ctl(p, 'b:' .. key) end

local function number(v) return tonumber(v or '0') end

local function heldIn(v) return number(string.match(v, '^(%d+)')) end

local function leaseField(process, name) return 'l\\n' .. process .. '\\n' .. name end

local function sumField(process) return 'p\\n' .. process end

local function sumIn(v)
  local sum, count = string.match(v or '', '^(%d+) (%d+)$')
  return number(sum), number(count)
end

-- The only place where a lease is written, so that the sums are always those of the leases. Without held: it is closed.
local function setLease(p, key, process, name, held, told)
  local cap, field = budget(p, key), leaseField(process, name)
  local had = redis.call('HGET', cap, field)
  if not had and not held then return end
  local more = (held or 0) - (had and heldIn(had) or 0)
  local sum, count = sumIn(redis.call('HGET', cap, sumField(process)))
  sum = sum + more
  if held then redis.call('HSET', cap, field, whole(held) .. ' ' .. told) else redis.call('HDEL', cap, field) end
  if held and not had then count = count + 1 elseif had and not held then count = count - 1 end
  if count > 0 then redis.call('HSET', cap, sumField(process), whole(sum) .. ' ' .. whole(count))
  else redis.call('HDEL', cap, sumField(process)) end
  redis.call('HINCRBY', cap, 't', whole(more))
end

local function keysIn(name)
  local out, isFirst = {}, true
  for part in string.gmatch(name, '[^\\n]+') do
    if not isFirst then out[#out + 1] = part end
    isFirst = false
  end
  return out
end

local function removeLease(p, process, name)
  redis.call('SREM', ctl(p, 'bl:' .. process), name)
  if redis.call('EXISTS', ctl(p, 'bl:' .. process)) == 0 then redis.call('SREM', ctl(p, 'blp'), process) end
end

local function borrow(keys, a)
  local p, process, gen, id, account = a[1], a[2], a[3], a[4], a[5]
  if not isStore(p, id) then return other end
  if not holds(p, process, gen) then return lapsed end
  local want, min, told, now = number(a[6]), number(a[7]), a[8], nowMs(p)
  local name = account
  for i = 9, #a, 3 do name = name .. '\\n' .. a[i] end
  local own = leaseField(process, name)
  local asked = { 's', 't', own, sumField(process) }
  for _, one in ipairs(redis.call('ZRANGEBYSCORE', ctl(p, 'lease'), '(' .. whole(now), '+inf')) do
    if one ~= process then asked[#asked + 1] = sumField(one) end
  end
  local spents, smallest, tightest, elsewhere, holders = {}, nil, nil, 0, 0
  for i = 9, #a, 3 do
    local found = redis.call('HMGET', budget(p, a[i]), unpack(asked))
    local others, count = 0, 1
    for j = 4, #asked do
      local sum, leases = sumIn(found[j])
      others, count = others + sum, count + leases
    end
    if found[3] then others, count = others - heldIn(found[3]), count - 1 end
    local spent = math.max(number(found[1] or '0'), number(a[i + 2]))
    spents[a[i]] = spent
    local left = number(a[i + 1]) - spent - number(found[2] or '0')
    if not smallest or left < smallest then smallest, tightest, elsewhere, holders = left, a[i], others, count end
  end
  local granted = math.min(math.max(want, min), smallest)
  if granted < min then granted = 0 end
  if granted > 0 then
    for key, spent in pairs(spents) do
      local had = redis.call('HGET', budget(p, key), own)
      local held = had and heldIn(had) or 0
      local before = had and string.match(had, ' (%d+)$') or told
      redis.call('HSET', budget(p, key), 's', whole(spent))
      setLease(p, key, process, name, held + granted, before)
    end
    redis.call('SADD', ctl(p, 'bl:' .. process), name)
    redis.call('SADD', ctl(p, 'blp'), process)
  end
  return { whole(granted), tightest, whole(smallest - granted), whole(elsewhere), holders }
end

-- Also without a lease: what was spent counts.
local function spend(keys, a)
  local p, process, name, spent = a[1], a[2], a[3], a[4]
  for _, key in ipairs(keysIn(name)) do
    redis.call('HINCRBY', budget(p, key), 's', spent)
    setLease(p, key, process, name)
  end
  removeLease(p, process, name)
  return 1
end

-- A page of the leases of one process, if that is gone. They may be very many: those of graphs that ended with it stay.
local function orphans(keys, a)
  local p, process, from, out = a[1], a[2], a[3], {}
  if isAlive(p, process, nowMs(p)) then return { '0', out } end
  local page = redis.call('SSCAN', ctl(p, 'bl:' .. process), from, 'COUNT', 100)
  for _, name in ipairs(page[2]) do
    local held, told = 0, '0'
    for _, key in ipairs(keysIn(name)) do
      local v = redis.call('HGET', budget(p, key), leaseField(process, name))
      if v and heldIn(v) >= held then held, told = heldIn(v), string.match(v, ' (%d+)$') end
    end
    out[#out + 1] = { name, whole(held), told }
  end
  return { page[1], out }
end

local function reconcile(keys, a)
  local p, process, name, spent = a[1], a[2], a[3], math.max(0, number(a[4]))
  for _, key in ipairs(keysIn(name)) do
    local v = redis.call('HGET', budget(p, key), leaseField(process, name))
    if v then
      redis.call('HINCRBY', budget(p, key), 's', whole(math.min(spent, heldIn(v))))
      setLease(p, key, process, name)
    end
  end
  removeLease(p, process, name)
  return 1
end
`;
