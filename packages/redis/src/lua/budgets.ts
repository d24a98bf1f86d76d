// budgets.ts: server-side functions for caps that processes spend of together: lease, settle, reconcile.
//
// A cap is one hash: s is what was spent, l and the name of a lease what it holds and what was told before it. All caps are in one
// slot, so that a lease of several is one step.

export const budgets = `
local function budget(p, key) return ctl(p, 'b:' .. key) end

local function number(v) return tonumber(v or '0') end

local function heldIn(v) return number(string.match(v, '^(%d+)')) end

local function leaseField(process, name) return 'l\\n' .. process .. '\\n' .. name end

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
  local spents, smallest, tightest, elsewhere, holders = {}, nil, nil, 0, 0
  for i = 9, #a, 3 do
    local h = redis.call('HGETALL', budget(p, a[i]))
    local spent, leased, others, count = 0, 0, 0, 1
    for j = 1, #h, 2 do
      if h[j] == 's' then spent = number(h[j + 1])
      else
        local held = heldIn(h[j + 1])
        leased = leased + held
        local of = string.match(h[j], '^l\\n([^\\n]+)\\n')
        if h[j] ~= own and of and (of == process or isAlive(p, of, now)) then
          others = others + held
          count = count + 1
        end
      end
    end
    spent = math.max(spent, number(a[i + 2]))
    spents[a[i]] = spent
    local left = number(a[i + 1]) - spent - leased
    if not smallest or left < smallest then smallest, tightest, elsewhere, holders = left, a[i], others, count end
  end
  local granted = math.min(math.max(want, min), smallest)
  if granted < min then granted = 0 end
  if granted > 0 then
    for key, spent in pairs(spents) do
      local had = redis.call('HGET', budget(p, key), own)
      local held = had and heldIn(had) or 0
      local before = had and string.match(had, ' (%d+)$') or told
      redis.call('HSET', budget(p, key), 's', whole(spent), own, whole(held + granted) .. ' ' .. before)
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
    redis.call('HDEL', budget(p, key), leaseField(process, name))
  end
  removeLease(p, process, name)
  return 1
end

local function orphans(keys, a)
  local p, out = a[1], {}
  local now = nowMs(p)
  for _, process in ipairs(redis.call('SMEMBERS', ctl(p, 'blp'))) do
    if not isAlive(p, process, now) then
      for _, name in ipairs(redis.call('SMEMBERS', ctl(p, 'bl:' .. process))) do
        local held, told = 0, '0'
        for _, key in ipairs(keysIn(name)) do
          local v = redis.call('HGET', budget(p, key), leaseField(process, name))
          if v and heldIn(v) >= held then held, told = heldIn(v), string.match(v, ' (%d+)$') end
        end
        out[#out + 1] = { process, name, whole(held), told }
      end
    end
  end
  return out
end

local function reconcile(keys, a)
  local p, process, name, spent = a[1], a[2], a[3], math.max(0, number(a[4]))
  for _, key in ipairs(keysIn(name)) do
    local v = redis.call('HGET', budget(p, key), leaseField(process, name))
    if v then
      redis.call('HINCRBY', budget(p, key), 's', whole(math.min(spent, heldIn(v))))
      redis.call('HDEL', budget(p, key), leaseField(process, name))
    end
  end
  removeLease(p, process, name)
  return 1
end
`;
