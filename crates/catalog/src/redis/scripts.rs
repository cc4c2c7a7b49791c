//! The Lua scripts.
//!
//! A commit is judged in this process, over the state that [`READ`] answered, and made by [`APPLY`] only if the
//! table is still at that revision: what was judged is what is changed. So the rules stand in one place for every
//! catalog, and a script is a comparison followed by writes. All checks come before the first write, because Redis
//! does not roll a script back; numbers of 64 bits travel as strings, because Lua's are doubles; time is Redis's.

/// The table at its present revision, as a difference to a known one where the log reaches back so far.
///
/// A revision is a number that goes up by one and the mark of the change that made it. After a rollback others may have
/// made up for the numbers before anybody looks, and not for the marks: the table has `diverged` from what is known.
///
/// `ARGV`: the known epoch and revision (empty: none), then file ids. Answers `[time, epoch, rev, used]` where nothing
/// is new, or `[time, epoch, rev, used, version, state, def, ledger, kind, entries]`; `[time]` for no table.
pub(super) const READ: &str = r"
local time = redis.call('TIME')
local head = redis.call('HMGET', KEYS[1], 'epoch', 'rev', 'version', 'state', 'def', 'ledger')
local epoch, rev = head[1], head[2]
if not rev then return {time} end
local used = {}
for i = 3, #ARGV do
  local known = redis.call('HEXISTS', KEYS[2], ARGV[i]) + redis.call('HEXISTS', KEYS[6], ARGV[i])
  used[i - 2] = known > 0 and 1 or 0
end
if ARGV[1] == epoch and ARGV[2] == rev then return {time, epoch, rev, used} end
if head[4] == 'recovering' then return {time, epoch, rev, used, head[3], head[4], '', '', 'whole', {}} end
local kind, entries = 'whole', nil
if ARGV[1] == epoch and ARGV[2] ~= '' then
  local from = string.match(ARGV[2], '^%d+')
  local wanted = tonumber(string.match(rev, '^%d+')) - tonumber(from)
  if wanted >= 0 then
    local found = redis.call('XRANGE', KEYS[4], from .. '-0', '+')
    if found[1] and found[1][1] == from .. '-0' then
      if from .. '.' .. found[1][2][4] ~= ARGV[2] then
        kind, entries = 'diverged', {}
      elseif #found == wanted + 1 then
        kind, entries = 'difference', {}
        for i = 2, #found do entries[i - 1] = found[i][2][2] end
      end
    end
  end
end
if not entries then entries = redis.call('HVALS', KEYS[2]) end
return {time, epoch, rev, used, head[3], head[4], head[5] or '', head[6] or '', kind, entries}
";

/// Makes a change if the table is still at the revision that was judged.
///
/// `ARGV`: epoch, revision (empty: there must be no table), deadline in milliseconds (empty: none), the log's
/// entry, the change's mark, the number of file ids that have to be new and these ids, then operations of four:
/// `set|del|record`, the key's number, field, value. Answers the revision that it made, or why nothing was changed:
/// `moved`, `late` or `used`.
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
local first = 7 + tonumber(ARGV[6])
for i = 7, first - 1 do
  if redis.call('HEXISTS', KEYS[2], ARGV[i]) + redis.call('HEXISTS', KEYS[6], ARGV[i]) > 0 then return 'used' end
end
local number = string.format('%d', tonumber(string.match(head[2] or '0', '^%d+')) + 1)
local rev = number .. '.' .. ARGV[5]
redis.call('HSET', KEYS[1], 'epoch', ARGV[1], 'rev', rev)
for i = first, #ARGV, 4 do
  local key = KEYS[tonumber(ARGV[i + 1])]
  if ARGV[i] == 'set' then
    redis.call('HSET', key, ARGV[i + 2], ARGV[i + 3])
  elseif ARGV[i] == 'del' then
    redis.call('HDEL', key, ARGV[i + 2])
  else
    redis.call('XADD', key, 'MINID', '~', string.format('%d', now - tonumber(ARGV[i + 2])), '*', 'r', ARGV[i + 3])
  end
end
redis.call('XADD', KEYS[4], 'MAXLEN', '~', '1000', number .. '-0', 'd', ARGV[4], 'm', ARGV[5])
return rev
";

/// Keeps every actor of an older epoch from changing the table. `ARGV`: the epoch of the rebuild.
pub(super) const FENCE: &str = r"
local epoch = redis.call('HGET', KEYS[1], 'epoch')
if epoch and tonumber(epoch) < tonumber(ARGV[1]) then
  redis.call('HSET', KEYS[1], 'epoch', ARGV[1], 'state', 'recovering')
end
return 'done'
";

/// Removes a table, unless a later rebuild has made it. `ARGV`: the epoch of the rebuild that removes.
pub(super) const REMOVE: &str = r"
local epoch = redis.call('HGET', KEYS[1], 'epoch')
if epoch and tonumber(epoch) > tonumber(ARGV[1]) then return 'superseded' end
for i = 1, #KEYS do redis.call('UNLINK', KEYS[i]) end
return 'done'
";

/// Opens a restored table, once the registry has the epoch. `ARGV`: that epoch.
pub(super) const SETTLE: &str = r"
local head = redis.call('HMGET', KEYS[1], 'epoch', 'state')
if head[1] == ARGV[1] and head[2] == 'recovering' then redis.call('HSET', KEYS[1], 'state', 'live') end
return 'done'
";

/// Gives a catalog that has none an identity. `ARGV`: an id, the present.
pub(super) const FOUND: &str = r"
if redis.call('EXISTS', KEYS[1]) == 0 then
  redis.call('HSET', KEYS[1], 'catalog', ARGV[1], 'epoch', '1', 'since', ARGV[2], 'rev', '1')
end
return 'done'
";

/// Takes a name for a table. `ARGV`: catalog, epoch and revision that the caller knows, database and table, table id,
/// database, databases and tables allowed (empty: any number). Answers `made`, or why not: `moved` (the catalog is not
/// what the caller knows), `databases`, `tables`, or the id that has the name.
pub(super) const REGISTER: &str = r"
local meta = redis.call('HMGET', KEYS[1], 'catalog', 'epoch', 'rev', 'rebuilding', 'suspect')
if meta[1] ~= ARGV[1] or meta[2] ~= ARGV[2] or meta[4] or meta[5] then return 'moved' end
if tonumber(meta[3]) < tonumber(ARGV[3]) then return 'moved' end
local known = redis.call('HGET', KEYS[2], ARGV[4])
if known then return known end
local tables = tonumber(redis.call('HGET', KEYS[3], ARGV[6]) or '0')
if ARGV[7] ~= '' then
  if tables == 0 and redis.call('HLEN', KEYS[3]) >= tonumber(ARGV[7]) then return 'databases' end
  if tables >= tonumber(ARGV[8]) then return 'tables' end
end
redis.call('HSET', KEYS[2], ARGV[4], ARGV[5])
redis.call('HINCRBY', KEYS[3], ARGV[6], 1)
redis.call('HINCRBY', KEYS[1], 'rev', 1)
return 'made'
";

/// Frees the name of a dropped table. `ARGV`: epoch, database and table, table id, database.
pub(super) const UNREGISTER: &str = r"
local meta = redis.call('HMGET', KEYS[1], 'epoch', 'rebuilding')
if meta[1] ~= ARGV[1] or meta[2] then return 'moved' end
redis.call('HSET', KEYS[5], ARGV[3], '')
if redis.call('HGET', KEYS[2], ARGV[2]) == ARGV[3] then
  redis.call('HDEL', KEYS[2], ARGV[2])
  if redis.call('HINCRBY', KEYS[3], ARGV[4], -1) <= 0 then redis.call('HDEL', KEYS[3], ARGV[4]) end
end
redis.call('HINCRBY', KEYS[1], 'rev', 1)
return 'done'
";

/// Raises a writer's epoch; answers it and whether the writer was known, or nothing if the catalog is not what the
/// caller knows. `ARGV`: catalog and epoch that the caller knows, writer, first epoch.
pub(super) const RAISE: &str = r"
local meta = redis.call('HMGET', KEYS[1], 'catalog', 'epoch', 'rebuilding', 'suspect')
if meta[1] ~= ARGV[1] or meta[2] ~= ARGV[2] or meta[3] or meta[4] then return {} end
local known = redis.call('HSETNX', KEYS[4], ARGV[3], ARGV[4]) == 0 and 1 or 0
redis.call('HINCRBY', KEYS[4], ARGV[3], 1)
return {redis.call('HGET', KEYS[4], ARGV[3]), known}
";

/// Tells all processes that the catalog is not what one of them knew. `ARGV`: the epoch of which that is said, why. A
/// catalog that is back at an earlier epoch is meant too, a later one is not.
pub(super) const SUSPECT: &str = r"
local epoch = redis.call('HGET', KEYS[1], 'epoch')
if epoch and tonumber(epoch) <= tonumber(ARGV[1]) then redis.call('HSETNX', KEYS[1], 'suspect', ARGV[2]) end
return 'done'
";

/// Begins or renews a rebuild; answers the epoch that is in its way, or nothing. `ARGV`: epoch, the present.
pub(super) const BEGIN: &str = r"
local meta = redis.call('HMGET', KEYS[1], 'epoch', 'rebuilding')
local epoch = tonumber(ARGV[1])
if meta[1] and tonumber(meta[1]) >= epoch then return meta[1] end
if meta[2] and tonumber(meta[2]) > epoch then return string.format('%d', tonumber(meta[2]) - 1) end
redis.call('HSET', KEYS[1], 'rebuilding', ARGV[1], 'heard', ARGV[2])
return ''
";

/// Makes restored tables visible, if the rebuild is the one that was begun last. `ARGV`: catalog, epoch, since, the
/// number of names, of writers and of dropped tables; then name, id and database of each, writer and epoch of each,
/// ids.
pub(super) const RESTORE: &str = r"
if redis.call('HGET', KEYS[1], 'rebuilding') ~= ARGV[2] then return 'superseded' end
redis.call('HSET', KEYS[1], 'catalog', ARGV[1], 'epoch', ARGV[2], 'since', ARGV[3])
redis.call('HINCRBY', KEYS[1], 'rev', 1)
redis.call('HDEL', KEYS[1], 'rebuilding', 'heard', 'suspect')
redis.call('DEL', KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6])
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
return 'done'
";
