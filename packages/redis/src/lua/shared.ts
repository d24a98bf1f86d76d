// shared.ts: what all server-side functions use: names of keys, the server's clock, the control stream, leases.
//
// Everything that must be one step runs inside the server, as a Redis Function. Times are the server's own, so that processes
// with clocks of their own agree on whose lease has run out.

export const shared = `
local function ctl(p, name) return p .. ':{ctl}:' .. name end
local function graph(p, root, name) return p .. ':{' .. root .. '}:' .. name end
local weekMs = 604800000

local function whole(n) return string.format('%.0f', n) end

-- Which of its lives this server is in: it starts another when it was restarted or took over from one that is gone, and may then have lost
-- the last moment of the one before, and have a clock that is ahead or behind. Remembered here, in the server's memory, and beside the data.
local lives = {}

-- The server's time, in which leases are counted. In a new life time went on from when it was last looked at: nobody could renew meanwhile,
-- and the clock may be another machine's.
local function nowMs(p)
  local t = redis.call('TIME')
  local now = tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000)
  local meta = ctl(p, 'meta')
  local m = redis.call('HMGET', meta, 'now', 'life.' .. version)
  local last = tonumber(m[1] or now)
  if not lives[p] or lives[p] ~= m[2] then
    lives[p] = whole(now) .. '.' .. redis.call('HINCRBY', meta, 'lives', 1)
    redis.call('HSET', meta, 'life.' .. version, lives[p], 'now', whole(now))
    local held = redis.call('ZRANGEBYSCORE', ctl(p, 'lease'), '(' .. whole(last), '+inf', 'WITHSCORES')
    for i = 1, #held, 2 do redis.call('ZADD', ctl(p, 'lease'), whole(tonumber(held[i + 1]) + now - last), held[i]) end
    -- A hash is in another order now, and a page that was begun there would pass some over.
    local loops = redis.call('HGETALL', ctl(p, 'loops'))
    for i = 1, #loops, 2 do redis.call('HSET', ctl(p, 'loops'), loops[i], (string.gsub(loops[i + 1], '%d+$', '0'))) end
  elseif not m[1] or now - last >= 100 or now < last then
    redis.call('HSET', meta, 'now', whole(now))
  end
  return now
end

local function lifeOf(p)
  nowMs(p)
  return lives[p]
end

-- Whether the stream id a is b or after it.
local function reaches(a, b)
  local ams, aseq = string.match(a, '^(%d+)%-(%d+)$')
  local bms, bseq = string.match(b, '^(%d+)%-(%d+)$')
  ams, bms = tonumber(ams), tonumber(bms)
  if ams ~= bms then return ams > bms end
  return tonumber(aseq) >= tonumber(bseq)
end

-- One event for every process. Numbered without a gap, so that whoever misses one knows.
local function tell(p, ...)
  local q = redis.call('HINCRBY', ctl(p, 'meta'), 'seq', 1)
  local id = redis.call('XADD', ctl(p, 'ev'), 'MAXLEN', '~', 10000, '*', 'q', q, ...)
  redis.call('HSET', ctl(p, 'meta'), 'tail', id)
  return id
end

local function tail(p)
  local m = redis.call('HMGET', ctl(p, 'meta'), 'tail', 'seq')
  return m[1] or '0-0', m[2] or '0'
end

local function tellOne(p, process, ...)
  local key = ctl(p, 'in:' .. process)
  redis.call('XADD', key, 'MAXLEN', '~', 10000, '*', ...)
  redis.call('PEXPIRE', key, weekMs)
end

local function isAlive(p, process, now)
  local till = redis.call('ZSCORE', ctl(p, 'lease'), process)
  return till and tonumber(till) > now
end

-- Whether this process holds its lease, and is the one that it was when it last heard from us: not one that was counted as gone.
local function holds(p, process, gen)
  return isAlive(p, process, nowMs(p)) and redis.call('HGET', ctl(p, 'gen'), process) == gen
end

local lapsed = { err = 'LAPSED the lease of this process has run out' }
local taken = { err = 'TAKEN another process took this session over' }
local other = { err = 'OTHERSTORE this is not the store that the process knew' }

local function isStore(p, id) return redis.call('HGET', ctl(p, 'meta'), 'id') == id end

local graphKeys = { 'm', 'n', 'x', 'k', 't', 'o', 'c', 'e', 'j' }

local function expireGraph(p, root, keepMs)
  for _, name in ipairs(graphKeys) do redis.call('PEXPIRE', graph(p, root, name), keepMs) end
end

-- A key that is new in a graph goes when the graph does.
local function goesWith(p, root, name)
  local left = redis.call('PTTL', graph(p, root, 'm'))
  if left > 0 then redis.call('PEXPIRE', graph(p, root, name), left) end
end

local function keepGraph(p, root)
  for _, name in ipairs(graphKeys) do redis.call('PERSIST', graph(p, root, name)) end
end

-- Loops of which a process is the gate: the root of each and how long it is kept when the process is gone. Nobody else can run
-- them; but they may go on in another process, by their own means. There may be very many, so they are seen to in pages, one with each renewal.
local loopsTogether = 200

local function leaveLoops(p, process)
  if redis.call('PEXPIRE', ctl(p, 'l:' .. process), weekMs) == 1 then redis.call('HSET', ctl(p, 'loops'), process, 'gone 0') end
end

-- The process was counted as gone and is back.
local function comeBackToLoops(p, process)
  if redis.call('PERSIST', ctl(p, 'l:' .. process)) == 1 then redis.call('HSET', ctl(p, 'loops'), process, 'back 0') end
end

local function seeToLoops(p)
  local process = redis.call('HRANDFIELD', ctl(p, 'loops'))
  if not process then return end
  local what, cursor = string.match(redis.call('HGET', ctl(p, 'loops'), process), '^(%a+) (%d+)$')
  if not what then return redis.call('HDEL', ctl(p, 'loops'), process) end
  local page = redis.call('HSCAN', ctl(p, 'l:' .. process), cursor, 'COUNT', loopsTogether)
  local all = page[2]
  for i = 1, #all, 2 do
    local root, keepMs = all[i], all[i + 1]
    if redis.call('HGET', graph(p, root, 'o'), root) == process then
      if what == 'gone' then expireGraph(p, root, keepMs)
      elseif not redis.call('HGET', graph(p, root, 'm'), 'settled') then keepGraph(p, root) end
    end
  end
  if page[1] == '0' then redis.call('HDEL', ctl(p, 'loops'), process)
  else redis.call('HSET', ctl(p, 'loops'), process, what .. ' ' .. page[1]) end
end

-- One that ran sessions may have left credentials that are to be taken back, also where it has left no session: all are told.
local function removeProcess(p, process)
  leaveLoops(p, process)
  if string.find(redis.call('HGET', ctl(p, 'proc'), process) or '', '"runsSessions":true', 1, true) then tell(p, 't', 'gone', 'k', process) end
  redis.call('ZREM', ctl(p, 'lease'), process)
  redis.call('HDEL', ctl(p, 'gen'), process)
  redis.call('HDEL', ctl(p, 'proc'), process)
  redis.call('HDEL', ctl(p, 'seen'), process)
  -- It may come back, and what it writes then follows what it wrote.
  local sent = redis.call('HGET', ctl(p, 'sent'), process)
  if sent then redis.call('SET', ctl(p, 'sent:' .. process), sent, 'PX', weekMs) end
  redis.call('HDEL', ctl(p, 'sent'), process)
  redis.call('SREM', ctl(p, 'awaits'), process)
  -- They may be long, and many processes be removed in one step.
  redis.call('UNLINK', ctl(p, 'in:' .. process), ctl(p, 'agents:' .. process), ctl(p, 'adopted:' .. process))
end

local function settle(p, root, keepMs)
  redis.call('HSET', graph(p, root, 'm'), 'settled', '1')
  expireGraph(p, root, keepMs)
end
`;
