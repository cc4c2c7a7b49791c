//! The Lua scripts.
//!
//! A commit is judged in this process, over the state that [`READ`] answered, and made by [`APPLY`] only if the
//! table is still at that revision: what was judged is what is changed. So the rules stand in one place for every
//! catalog, and a script is a comparison followed by writes. All checks come before the first write, because Redis
//! does not roll a script back; numbers of 64 bits travel as strings, because Lua's are doubles; time is Redis's.

/// The table at its present revision, as a difference to a known one where the log reaches back so far.
///
/// `ARGV`: the known revision (empty: none), then file ids. Answers `[time, epoch, rev, used]` where nothing is
/// new, or `[time, epoch, rev, used, version, state, def, ledger, kind, entries]`; `[time]` for no table.
pub(super) const READ: &str = r"
local time = redis.call('TIME')
local head = redis.call('HMGET', KEYS[1], 'epoch', 'rev', 'version', 'state', 'def', 'ledger')
local epoch, rev = head[1], head[2]
if not rev then return {time} end
local used = {}
for i = 2, #ARGV do
  local known = redis.call('HEXISTS', KEYS[2], ARGV[i]) + redis.call('HEXISTS', KEYS[6], ARGV[i])
  used[i - 1] = known > 0 and 1 or 0
end
if ARGV[1] == rev then return {time, epoch, rev, used} end
local kind, entries = 'whole', nil
if ARGV[1] ~= '' then
  local wanted = tonumber(rev) - tonumber(ARGV[1])
  if wanted > 0 then
    local found = redis.call('XRANGE', KEYS[4], '(' .. ARGV[1] .. '-0', '+')
    if #found == wanted then
      kind, entries = 'difference', {}
      for i = 1, #found do entries[i] = found[i][2][2] end
    end
  end
end
if not entries then entries = redis.call('HVALS', KEYS[2]) end
return {time, epoch, rev, used, head[3], head[4], head[5] or '', head[6] or '', kind, entries}
";

/// Makes a change if the table is still at the revision that was judged.
///
/// `ARGV`: epoch, revision (empty: there must be no table), deadline in milliseconds (empty: none), the log's
/// entry, then operations of four: `set|new|del|record`, the key's number, field, value.
pub(super) const APPLY: &str = r"
local head = redis.call('HMGET', KEYS[1], 'epoch', 'rev')
if ARGV[2] == '' then
  if head[2] then return 'moved' end
elseif head[1] ~= ARGV[1] or head[2] ~= ARGV[2] then
  return 'moved'
end
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
if ARGV[3] ~= '' and now >= tonumber(ARGV[3]) then return 'late' end
local rev = string.format('%d', (tonumber(head[2]) or 0) + 1)
for i = 5, #ARGV, 4 do
  local key = KEYS[tonumber(ARGV[i + 1])]
  if ARGV[i] == 'set' then
    redis.call('HSET', key, ARGV[i + 2], ARGV[i + 3])
  elseif ARGV[i] == 'del' then
    redis.call('HDEL', key, ARGV[i + 2])
  else
    redis.call('XADD', key, 'MINID', '~', string.format('%d', now - tonumber(ARGV[i + 2])), '*', 'r', ARGV[i + 3])
  end
end
redis.call('HSET', KEYS[1], 'epoch', ARGV[1], 'rev', rev)
redis.call('XADD', KEYS[4], 'MAXLEN', '~', '1000', rev .. '-0', 'd', ARGV[4])
return 'done'
";

/// Gives a catalog that has none an identity; answers `[catalog, epoch, since]`. `ARGV`: an id, the present.
pub(super) const FOUND: &str = r"
if redis.call('HEXISTS', KEYS[1], 'epoch') == 0 then
  redis.call('HSET', KEYS[1], 'catalog', ARGV[1], 'epoch', '1', 'since', ARGV[2])
end
return redis.call('HMGET', KEYS[1], 'catalog', 'epoch', 'since')
";

/// Takes a name for a table. `ARGV`: epoch, database and table, table id, database, databases and tables allowed
/// (empty: any number). Answers `made`, or why not: `epoch`, `databases`, `tables`, or the id that has the name.
pub(super) const REGISTER: &str = r"
if redis.call('HGET', KEYS[1], 'epoch') ~= ARGV[1] then return 'epoch' end
local known = redis.call('HGET', KEYS[2], ARGV[2])
if known then return known end
local tables = tonumber(redis.call('HGET', KEYS[3], ARGV[4]) or '0')
if ARGV[5] ~= '' then
  if tables == 0 and redis.call('HLEN', KEYS[3]) >= tonumber(ARGV[5]) then return 'databases' end
  if tables >= tonumber(ARGV[6]) then return 'tables' end
end
redis.call('HSET', KEYS[2], ARGV[2], ARGV[3])
redis.call('HINCRBY', KEYS[3], ARGV[4], 1)
return 'made'
";

/// Frees the name of a dropped table. `ARGV`: database and table, table id, database.
pub(super) const UNREGISTER: &str = r"
redis.call('HSET', KEYS[5], ARGV[2], '')
if redis.call('HGET', KEYS[2], ARGV[1]) == ARGV[2] then
  redis.call('HDEL', KEYS[2], ARGV[1])
  if redis.call('HINCRBY', KEYS[3], ARGV[3], -1) <= 0 then redis.call('HDEL', KEYS[3], ARGV[3]) end
end
return 'done'
";

/// Raises a writer's epoch; answers it and whether the writer was known. `ARGV`: writer, first epoch.
pub(super) const RAISE: &str = r"
local known = redis.call('HSETNX', KEYS[4], ARGV[1], ARGV[2]) == 0 and 1 or 0
redis.call('HINCRBY', KEYS[4], ARGV[1], 1)
return {redis.call('HGET', KEYS[4], ARGV[1]), known}
";

/// Makes restored tables visible, in a catalog that has never held one. `ARGV`: catalog, epoch, since, the number
/// of names, of writers and of dropped tables; then name, id and database of each, writer and epoch of each, ids.
pub(super) const RESTORE: &str = r"
local held = redis.call('HLEN', KEYS[2]) + redis.call('HLEN', KEYS[5])
if held > 0 then return held end
redis.call('HSET', KEYS[1], 'catalog', ARGV[1], 'epoch', ARGV[2], 'since', ARGV[3])
redis.call('DEL', KEYS[4], KEYS[6])
local at = 7
for _ = 1, tonumber(ARGV[4]) do
  redis.call('HSET', KEYS[2], ARGV[at], ARGV[at + 1])
  redis.call('HINCRBY', KEYS[3], ARGV[at + 2], 1)
  at = at + 3
end
for _ = 1, tonumber(ARGV[5]) do
  redis.call('HSET', KEYS[4], ARGV[at], ARGV[at + 1])
  at = at + 2
end
for _ = 1, tonumber(ARGV[6]) do
  redis.call('HSET', KEYS[5], ARGV[at], '')
  at = at + 1
end
return 0
";
