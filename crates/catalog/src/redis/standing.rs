//! Whether the catalog in Redis is what this process knows, and which names it has.
//!
//! A process remembers the catalog's identity, its highest epoch and how far the registry had come. A server that
//! answers with less was emptied, replaced or rolled back: from then on nothing is changed until a later epoch begins,
//! and the finding is left in the registry so that all others stop too. Nothing here repairs.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use gigapi_model::{CatalogId, DatabaseName, TableId, TableName, Timestamp};
use redis::Value;
use tokio::time::Instant;
use uuid::Uuid;

use super::RedisCatalog;
use super::connection::unexpected;
use super::registry::{parse_field, table_id};
use super::replica::convert;
use crate::judge;
use crate::{Epochs, Error, Result, Standing};

/// Tables by name.
pub(super) type Names = BTreeMap<DatabaseName, BTreeMap<TableName, TableId>>;

/// What this process has seen of the registry.
#[derive(Debug, Default)]
pub(super) struct Seen {
    known: Option<Epochs>,
    /// How far the registry had come in that epoch.
    rev: u64,
    names: Option<Arc<Names>>,
    /// The revision at which the names were read.
    names_rev: u64,
    /// When what is here was asked for last.
    at: Option<Instant>,
    /// The highest epoch that a rebuild is known to have taken. What serves under an earlier one is a copy from before
    /// that rebuild closed it.
    taken: u64,
    lost: Option<Loss>,
}

/// That the catalog is not what it was.
#[derive(Debug, Clone)]
struct Loss {
    /// The epoch in which that was noticed.
    epoch: u64,
    /// How.
    reason: String,
    /// Whether the registry has it, for all others to see.
    is_told: bool,
}

/// What was known when a question was sent. Answers are not judged in the order in which the server gave them: one
/// that says less than this is a loss, one that says less than what is known by now is merely late.
#[derive(Debug, Clone, Copy)]
struct Mark {
    known: Option<Epochs>,
    rev: u64,
    taken: u64,
}

/// The registry's head as the server answers it.
struct Meta {
    epochs: Option<Epochs>,
    rev: u64,
    rebuilding: Option<(u64, Timestamp)>,
    suspect: Option<String>,
}

impl Meta {
    fn parse(fields: Vec<Value>) -> Result<Self> {
        let [catalog, epoch, since, rev, rebuilding, heard, suspect]: [Value; 7] =
            fields.try_into().map_err(|_| unexpected("the registry's head"))?;
        let catalog: Option<String> = convert(catalog)?;
        let epochs = match catalog {
            None => None,
            Some(text) => Some(Epochs {
                catalog: CatalogId::from_uuid(Uuid::parse_str(&text).map_err(|_| unexpected("a catalog id"))?),
                epoch: convert(epoch)?,
                since: Timestamp::from_nanos(convert(since)?),
            }),
        };
        let rebuilding: Option<u64> = convert(rebuilding)?;
        let heard = Timestamp::from_nanos(convert::<Option<i64>>(heard)?.unwrap_or_default());
        Ok(Self {
            epochs,
            rev: convert::<Option<u64>>(rev)?.unwrap_or_default(),
            rebuilding: rebuilding.map(|epoch| (epoch, heard)),
            suspect: convert(suspect)?,
        })
    }
}

impl Seen {
    fn mark(&self) -> Mark {
        Mark { known: self.known, rev: self.rev, taken: self.taken }
    }

    /// What the server's answer means beside what was known when it was asked. Takes in what is newer.
    fn judge(&mut self, mark: Mark, meta: &Meta) -> std::result::Result<Epochs, Verdict> {
        if let Some((epoch, heard)) = meta.rebuilding {
            self.taken = self.taken.max(epoch);
            return Err(Verdict::Rebuilding(epoch, heard));
        }
        let lost = |reason: &str| Err(Verdict::Lost(reason.to_owned()));
        let found = match (meta.epochs, mark.known, self.known) {
            (Some(found), ..) => found,
            (None, Some(_), _) => return lost("Redis was emptied"),
            // Asked before the catalog was founded.
            (None, None, Some(known)) => known,
            (None, None, None) => return Err(Verdict::Unfounded),
        };
        if self.known.is_some_and(|known| found.epoch <= known.epoch && found.catalog != known.catalog) {
            return Err(Verdict::Foreign(found.catalog));
        }
        if let (Some(known), true) = (mark.known, meta.epochs.is_some()) {
            if found.epoch < known.epoch {
                return lost(&format!("Redis is back at epoch {}, epoch {} was seen", found.epoch, known.epoch));
            }
            if found.epoch == known.epoch && meta.rev < mark.rev {
                return lost("Redis was rolled back: tables that it had are missing in it");
            }
        }
        if meta.epochs.is_some() && found.epoch < mark.taken {
            return lost(&format!("Redis is at epoch {}, a rebuild has taken epoch {}", found.epoch, mark.taken));
        }
        let late = self.known.filter(|known| (found.epoch, meta.rev) < (known.epoch, self.rev));
        let current = late.unwrap_or(found);
        if let Some(reason) = meta.suspect.as_ref().filter(|_| found.epoch == current.epoch) {
            return Err(Verdict::Lost(reason.clone()));
        }
        if let Some(loss) = &mut self.lost {
            if current.epoch <= loss.epoch {
                // A copy from before it was told.
                loss.is_told = false;
                return Err(Verdict::Lost(loss.reason.clone()));
            }
            self.lost = None;
        }
        if late.is_some() {
            return Ok(current);
        }
        if self.known.is_none_or(|known| known.epoch != found.epoch) {
            self.names = None;
        }
        (self.known, self.rev) = (Some(found), meta.rev);
        Ok(found)
    }

    /// Takes in that the catalog is lost; tells the epoch of which others have to be told, and whether that is news.
    fn lose(&mut self, reason: &str) -> Option<(u64, bool)> {
        let epoch = self.known.map_or(0, |known| known.epoch);
        match &self.lost {
            Some(loss) if loss.epoch >= epoch => (!loss.is_told).then_some((loss.epoch, false)),
            _ => {
                self.lost = Some(Loss { epoch, reason: reason.to_owned(), is_told: false });
                Some((epoch, true))
            }
        }
    }

    /// The registry has it.
    fn told(&mut self, epoch: u64) {
        self.lost.iter_mut().filter(|loss| loss.epoch == epoch).for_each(|loss| loss.is_told = true);
    }
}

enum Verdict {
    Unfounded,
    Foreign(CatalogId),
    Rebuilding(u64, Timestamp),
    Lost(String),
}

impl From<Verdict> for Error {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Unfounded => {
                Self::Recovering { reason: "Redis holds no catalog; a writer founds or rebuilds it".to_owned() }
            }
            Verdict::Foreign(found) => Self::Recovering {
                reason: format!("Redis holds another catalog, {found}; point GIGAPI_METADATA_URL to the right server"),
            },
            Verdict::Rebuilding(epoch, _) => judge::rebuilding(epoch),
            Verdict::Lost(reason) => Self::Recovering { reason },
        }
    }
}

impl RedisCatalog {
    /// Asks for the registry's head, and judges the answer.
    async fn ask(&self) -> Result<std::result::Result<Epochs, Verdict>> {
        let (asked, mark) = (Instant::now(), self.0.seen.lock().mark());
        let meta = self.meta().await?;
        let mut seen = self.0.seen.lock();
        let verdict = seen.judge(mark, &meta);
        if verdict.is_ok() {
            seen.at = seen.at.max(Some(asked));
        }
        Ok(verdict)
    }

    async fn meta(&self) -> Result<Meta> {
        let mut command = redis::cmd("HMGET");
        let fields = ["catalog", "epoch", "since", "rev", "rebuilding", "heard", "suspect"];
        command.arg(&self.0.registry.meta).arg(&fields);
        Meta::parse(self.0.connection.run(&command).await?)
    }

    /// Asks who the catalog is; an error unless it serves.
    pub(super) async fn attend(&self) -> Result<Epochs> {
        match self.ask().await? {
            Ok(epochs) => Ok(epochs),
            Err(Verdict::Lost(reason)) => Err(self.lost(reason).await),
            Err(verdict) => Err(verdict.into()),
        }
    }

    /// Refuses once a loss was noticed, until a later epoch has begun; asks the server only then.
    pub(super) async fn unlost(&self) -> Result<()> {
        let is_lost = self.0.seen.lock().lost.is_some();
        if is_lost { self.attend().await.map(drop) } else { Ok(()) }
    }

    /// Who the catalog is and how far its registry has come.
    pub(super) async fn attend_rev(&self) -> Result<(Epochs, u64)> {
        let epochs = self.attend().await?;
        Ok((epochs, self.0.seen.lock().rev))
    }

    pub(super) async fn read_standing(&self) -> Result<Standing> {
        Ok(match self.ask().await? {
            Ok(epochs) => Standing::Serving(epochs),
            Err(Verdict::Unfounded) => Standing::Unfounded,
            Err(Verdict::Foreign(found)) => Standing::Foreign { found },
            Err(Verdict::Lost(reason)) => {
                self.lost(reason.clone()).await;
                Standing::Lost { reason }
            }
            Err(Verdict::Rebuilding(epoch, heard)) => {
                Standing::Rebuilding { epoch, silent: crate::Catalog::now(self).await?.since(heard) }
            }
        })
    }

    /// Notes that the catalog is not what it was, tells the others until they can know, and answers the error that says
    /// so.
    pub(super) async fn lost(&self, reason: String) -> Error {
        let Some((epoch, is_news)) = self.0.seen.lock().lose(&reason) else { return Error::Recovering { reason } };
        if is_news {
            tracing::error!(reason, "the catalog is not what it was; nothing is changed until it is rebuilt");
        }
        let arguments = vec![epoch.to_string().into_bytes(), reason.clone().into_bytes()];
        let told: Result<String> = self.registry(&self.0.scripts.suspect, arguments).await;
        match told {
            Ok(_) => self.0.seen.lock().told(epoch),
            Err(error) if is_news => tracing::warn!(%error, "the other processes could not be told, trying again"),
            Err(_) => {}
        }
        Error::Recovering { reason }
    }

    /// The tables' names, asked for at or after `since`.
    pub(super) async fn names_since(&self, since: Instant) -> Result<Arc<Names>> {
        if let Some(names) = self.names_known(since) {
            return Ok(names);
        }
        self.attend().await?;
        let rev = {
            let seen = self.0.seen.lock();
            match &seen.names {
                Some(names) if seen.names_rev == seen.rev => return Ok(Arc::clone(names)),
                _ => seen.rev,
            }
        };
        let names = Arc::new(self.read_names().await?);
        let mut seen = self.0.seen.lock();
        // Read after the revision was: the names may be newer than it, never older.
        (seen.names, seen.names_rev) = (Some(Arc::clone(&names)), rev);
        Ok(names)
    }

    fn names_known(&self, since: Instant) -> Option<Arc<Names>> {
        let seen = self.0.seen.lock();
        let is_current = seen.at.is_some_and(|at| at >= since) && seen.names_rev == seen.rev && seen.lost.is_none();
        seen.names.clone().filter(|_| is_current)
    }

    /// The names as they were known last, and how long ago that was.
    pub(super) fn names_stale(&self) -> Option<(Arc<Names>, Duration)> {
        let seen = self.0.seen.lock();
        Some((seen.names.clone()?, seen.at?.elapsed()))
    }

    async fn read_names(&self) -> Result<Names> {
        let mut command = redis::cmd("HGETALL");
        command.arg(&self.0.registry.names);
        let pairs: BTreeMap<String, String> = self.0.connection.run(&command).await?;
        let mut names = Names::new();
        for (name, id) in &pairs {
            let (database, table) = parse_field(name)?;
            names.entry(database).or_default().insert(table, table_id(id)?);
        }
        Ok(names)
    }

    pub(super) async fn found_catalog(&self) -> Result<Epochs> {
        let now = crate::Catalog::now(self).await?.nanos().to_string().into_bytes();
        let founder = self.0.ids.random().to_string().into_bytes();
        let _: String = self.registry(&self.0.scripts.found, vec![founder, now]).await?;
        self.attend().await
    }

    /// Closes the registry, then every table that it names: what is committed before is found by whoever looks at
    /// the layers from here on.
    pub(super) async fn begin(&self, epoch: u64) -> Result<()> {
        let now = crate::Catalog::now(self).await?.nanos().to_string().into_bytes();
        let arguments = vec![epoch.to_string().into_bytes(), now];
        let in_the_way: String = self.registry(&self.0.scripts.begin, arguments).await?;
        if !in_the_way.is_empty() {
            let current = in_the_way.parse().map_err(|_| unexpected("an epoch"))?;
            return Err(Error::StaleEpoch { current, known: epoch });
        }
        self.took(epoch);
        self.fence_tables(epoch).await
    }

    fn took(&self, epoch: u64) {
        let mut seen = self.0.seen.lock();
        seen.taken = seen.taken.max(epoch);
    }

    /// A rebuild has taken that epoch: what serves under an earlier one is lost.
    pub(super) async fn overtake(&self, epoch: u64) -> Result<()> {
        self.took(epoch);
        match self.attend().await {
            Ok(_) | Err(Error::Recovering { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests;
