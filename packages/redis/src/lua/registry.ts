// registry.ts: server-side functions for sessions: register, find, page through a subtree, and what each process writes in order.
//
// A session costs few bytes because its graph gives it a short number: the ordered set holds '<number of root>/.../<own number> <id>',
// so a subtree is one range of it, parents before children; the hash holds '<number> <kind> <state> <parent> [<call>]' by lines, where a kind
// stands for local root, agent, workflow, user and conversation, and of a detached root for whom it left.

export const registry = `
local digits = '0123456789abcdefghijklmnopqrstuvwxyz'
local function base36(n)
  local out = ''
  repeat
    local d = n % 36
    out = string.sub(digits, d + 1, d + 1) .. out
    n = (n - d) / 36
  until n == 0
  return out
end

local function unpackOne(v) return string.match(v, '^([^\\n]*)\\n([^\\n]*)\\n([^\\n]*)\\n([^\\n]*)\\n?(.*)$') end

local function kindOf(p, root, text)
  local kinds = graph(p, root, 'k')
  local kind = redis.call('HGET', kinds, text)
  if not kind then
    kind = base36(redis.call('HINCRBY', graph(p, root, 'm'), 'kinds', 1))
    redis.call('HSET', kinds, text, kind)
    redis.call('HSET', graph(p, root, 't'), kind, text)
  end
  return kind
end

local function localRootOf(p, root, kind)
  local text = redis.call('HGET', graph(p, root, 't'), kind) or ''
  return string.match(text, '^([^\\n]*)\\n(.*)$')
end

-- The ids from the root to the session, and its index path.
local function way(p, root, session)
  local ids, numbers = {}, {}
  local at = session
  while at ~= '' and #ids < 1000 do
    local v = redis.call('HGET', graph(p, root, 'n'), at)
    if not v then break end
    local number, _, _, parent = unpackOne(v)
    table.insert(ids, 1, at)
    table.insert(numbers, 1, number)
    at = parent
  end
  return ids, table.concat(numbers, '/')
end

local function describe(p, root, session)
  local v = redis.call('HGET', graph(p, root, 'n'), session)
  if not v then return nil end
  local _, kind, state, _, call = unpackOne(v)
  if kind == '' then return nil end
  local localRoot, words = localRootOf(p, root, kind)
  local ids = way(p, root, session)
  return { session, state, localRoot, words, redis.call('HGET', graph(p, root, 'o'), localRoot) or '', call, ids }
end

local function insert(p, root, index, session, kind, state, parent, call)
  local number = base36(redis.call('HINCRBY', graph(p, root, 'm'), 'next', 1))
  local own = index == '' and number or (index .. '/' .. number)
  redis.call('ZADD', graph(p, root, 'x'), 0, own .. ' ' .. session)
  redis.call('HSET', graph(p, root, 'n'), session, table.concat({ number, kind, state, parent }, '\\n') .. (call == '' and '' or '\\n' .. call))
  return own
end

local function register(keys, a)
  local p, process, gen, id, words, agent, call, isLocal = a[1], a[2], a[3], a[4], a[5], a[6], a[7], a[8] ~= '0'
  local isLoop, keepMs = a[8] == 'loop', a[9]
  local depth = #a - 9
  local root, session = a[10], a[#a]
  local parent = depth > 1 and a[#a - 1] or ''
  if not isStore(p, id) then return other end
  if not holds(p, process, gen) then return lapsed end
  local m = redis.call('HMGET', graph(p, root, 'm'), 'next', 'settled')
  local had = m[1] and redis.call('HGET', graph(p, root, 'n'), session)
  local number, kind, state
  if had then number, kind, state = unpackOne(had) end
  if had and kind ~= '' then
    local localRoot = localRootOf(p, root, kind)
    local owner = redis.call('HGET', graph(p, root, 'o'), localRoot)
    if owner ~= process then
      -- A loop goes on in another process when its own is gone.
      local isLeft = isLoop and localRoot == session and not (owner and isAlive(p, owner, nowMs(p)))
      if not isLeft or state == 'c' or state == 't' or state == 'f' then return { 'exists', describe(p, root, session) } end
      redis.call('HSET', graph(p, root, 'o'), session, process)
      if parent == '' then
        redis.call('HSET', ctl(p, 'l:' .. process), root, keepMs)
        keepGraph(p, root)
      end
    end
    return { 'registered', (tail(p)), lifeOf(p) }
  end
  if not m[1] and depth > 1 then return { 'root_unknown', (tail(p)), lifeOf(p) } end
  if m[2] then return { 'root_settled', (tail(p)), lifeOf(p) } end
  if call ~= '' then
    local child = redis.call('HGET', graph(p, root, 'c'), parent .. '\\n' .. call)
    if child and child ~= session then return { 'exists', describe(p, root, child) } end
  end
  -- An ancestor that nobody has made known yet keeps its place (kind '').
  local index, above, parentKind, _ = '', '', '', nil
  if depth > 1 then
    local ancestors = redis.call('HMGET', graph(p, root, 'n'), unpack(a, 10, #a - 1))
    for i = 1, depth - 1 do
      if ancestors[i] then
        local n = string.match(ancestors[i], '^[^\\n]*')
        index = index == '' and n or (index .. '/' .. n)
        if i == depth - 1 then _, parentKind = unpackOne(ancestors[i]) end
      else
        parentKind = ''
        index = insert(p, root, index, a[9 + i], '', 'r', above, '')
      end
      above = a[9 + i]
    end
  end
  local localRoot = session
  if not isLocal then
    localRoot = parentKind ~= '' and localRootOf(p, root, parentKind) or session
    if localRoot ~= session and redis.call('HGET', graph(p, root, 'o'), localRoot) ~= process then return taken end
  end
  kind = kindOf(p, root, localRoot .. '\\n' .. words)
  if had then
    redis.call('HSET', graph(p, root, 'n'), session, table.concat({ number, kind, 'r', parent }, '\\n') .. (call == '' and '' or '\\n' .. call))
  else
    insert(p, root, index, session, kind, 'r', parent, call)
  end
  if call ~= '' then redis.call('HSET', graph(p, root, 'c'), parent .. '\\n' .. call, session) end
  if localRoot == session then
    redis.call('HSET', graph(p, root, 'o'), session, process)
    if isLoop then
      if parent == '' then redis.call('HSET', ctl(p, 'l:' .. process), root, keepMs) end
    else
      redis.call('SADD', ctl(p, 'p:' .. process .. ':' .. agent), root .. '\\n' .. session)
      redis.call('SADD', ctl(p, 'agents:' .. process), agent)
    end
  end
  -- Whoever grows lives.
  if redis.call('PTTL', graph(p, root, 'm')) > 0 then expireGraph(p, root, keepMs) end
  return { 'registered', (tail(p)), lifeOf(p) }
end

local function find(keys, a) return describe(a[1], a[2], a[3]) or {} end

local function subtree(keys, a)
  local p, root, session, after, limit = a[1], a[2], a[3], a[4], tonumber(a[5])
  local ids, index = way(p, root, session)
  if ids[#ids] ~= session then return {} end
  local from = after == '' and ('[' .. index .. ' ') or ('(' .. after)
  local members = redis.call('ZRANGEBYLEX', graph(p, root, 'x'), from, '(' .. index .. '0', 'LIMIT', 0, limit + 1)
  if #members == 0 then return {} end
  local sessions = {}
  for i = 1, #members do sessions[i] = string.sub(members[i], string.find(members[i], ' ', 1, true) + 1) end
  local values = redis.call('HMGET', graph(p, root, 'n'), unpack(sessions))
  -- A graph has few kinds as a rule: then all are sent, and no session is taken apart here.
  local kinds, texts = {}, graph(p, root, 't')
  local function add(kind, text)
    local localRoot, words = string.match(text, '^([^\\n]*)\\n(.*)$')
    kinds[#kinds + 1] = { kind, localRoot, words, redis.call('HGET', graph(p, root, 'o'), localRoot) or '' }
  end
  if redis.call('HLEN', texts) <= 100 then
    local all = redis.call('HGETALL', texts)
    for i = 1, #all, 2 do add(all[i], all[i + 1]) end
  else
    local known = {}
    for i = 1, #values do
      local _, kind = unpackOne(values[i] or '\\n\\n\\n')
      if kind ~= '' and not known[kind] then
        known[kind] = true
        add(kind, redis.call('HGET', texts, kind) or '\\n')
      end
    end
  end
  -- As two texts: an answer of two thousand strings takes longer to write and to read than the page takes to find.
  return { (way(p, root, sessions[1])), cjson.encode(members), cjson.encode(values), kinds }
end

local function isOfAnother(p, root, localRoot, process)
  local owner = redis.call('HGET', graph(p, root, 'o'), localRoot)
  return owner and owner ~= process
end

-- Said of a write that was not made, because it is of a session that another process has.
local lost = 2

-- What a process writes in order: each write is numbered, so that one sent again after a lost answer is not made twice, and none is
-- made before the one it follows. Nor in a life of the server (shared.ts) of which the process has not heard: what it registered in the one
-- before may be lost, and the end of a session that nobody knows would be noted nowhere.
local function inOrder(write)
  return function(keys, a)
    local p, process, gen, n, life = a[1], a[2], a[3], tonumber(a[4]), a[5]
    local had = tonumber(redis.call('HGET', ctl(p, 'sent'), process) or redis.call('GET', ctl(p, 'sent:' .. process)) or '-1')
    if n <= had then return 0 end
    if not holds(p, process, gen) then return lapsed end
    if life ~= lifeOf(p) then return { err = 'LIFE ' .. lifeOf(p) } end
    if n > had + 1 then return { err = 'ORDER ' .. whole(had) .. ' is the last write that is here: one before this is missing' } end
    local said = write(p, process, a)
    redis.call('HSET', ctl(p, 'sent'), process, whole(n))
    return said or 1
  end
end

local journal = inOrder(function(p, process, a)
  local root, localRoot = a[6], a[7]
  if isOfAnother(p, root, localRoot, process) then return lost end
  local key = graph(p, root, 'j')
  for i = 8, #a do redis.call('XADD', key, '*', 'p', process, 'd', a[i]) end
  goesWith(p, root, 'j')
end)

local claim = inOrder(function(p, process, a)
  local root, localRoot, session, epoch = a[6], a[7], a[8], a[9]
  if isOfAnother(p, root, localRoot, process) then return lost end
  local had = redis.call('HGET', graph(p, root, 'e'), session)
  if had and tonumber(string.match(had, '^%d+')) >= tonumber(epoch) then return lost end
  redis.call('HSET', graph(p, root, 'e'), session, epoch .. ' ' .. process)
  goesWith(p, root, 'e')
end)

-- Only its own process says that a graph is settled: a part of it that ran elsewhere may end before it.
local forget = inOrder(function(p, process, a)
  local owner = redis.call('HGET', graph(p, a[6], 'o'), a[6])
  if not owner or owner == process then settle(p, a[6], a[7]) end
end)

local note = inOrder(function(p, process, a)
  local root, keepMs, session, state = a[6], a[7], a[8], a[9]
  local v = redis.call('HGET', graph(p, root, 'n'), session)
  if not v then return end
  local number, kind, had, parent, call = unpackOne(v)
  -- A rest is told each time: whoever waits for it may have begun to since.
  if kind == '' or (had == state and state ~= 'z') or had == 'c' or had == 't' or had == 'f' then return end
  local localRoot, words = localRootOf(p, root, kind)
  if redis.call('HGET', graph(p, root, 'o'), localRoot) ~= process then return lost end
  redis.call('HSET', graph(p, root, 'n'), session, table.concat({ number, kind, state, parent }, '\\n') .. (call == '' and '' or '\\n' .. call))
  if localRoot ~= session then return end
  if state == 'c' or state == 't' or state == 'f' then
    local isJson, said = pcall(cjson.decode, words)
    local agent = isJson and type(said) == 'table' and tostring(said[1]) or ''
    local own = ctl(p, 'p:' .. process .. ':' .. agent)
    redis.call('SREM', own, root .. '\\n' .. session)
    if redis.call('EXISTS', own) == 0 then redis.call('SREM', ctl(p, 'agents:' .. process), agent) end
    if parent == '' then
      redis.call('HDEL', ctl(p, 'l:' .. process), root)
      settle(p, root, keepMs)
    end
  end
  if parent ~= '' and call ~= '' then
    local pv = redis.call('HGET', graph(p, root, 'n'), parent)
    local _, parentKind = unpackOne(pv or '\\n\\n\\n')
    if parentKind == '' then return end
    local owner = redis.call('HGET', graph(p, root, 'o'), (localRootOf(p, root, parentKind)))
    -- Its own process too: what was taken over there is another graph to it.
    if owner then tellOne(p, owner, 't', 'child', 'd', cjson.encode({ parent = parent, call = call, child = session, state = state })) end
  end
end)

-- Credentials: one part for each grant and process that writes of it.
local function lend(keys, a)
  local p, id, root, field, value = a[1], a[2], a[3], a[4], a[5]
  if isForeign(p, id) then return other end
  redis.call('HSET', graph(p, root, 'g'), field, value)
  redis.call('SADD', ctl(p, 'lent'), root)
  return 1
end

local function unlend(keys, a)
  local p, root = a[1], a[2]
  local key, ids = graph(p, root, 'g'), {}
  for i = 3, #a do ids[a[i]] = true end
  for _, field in ipairs(redis.call('HKEYS', key)) do
    if ids[string.match(field, '^[^\\n]*')] then redis.call('HDEL', key, field) end
  end
  if redis.call('EXISTS', key) == 0 then redis.call('SREM', ctl(p, 'lent'), root) end
  return 1
end
`;
