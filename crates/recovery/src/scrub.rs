//! Reads live files, slowly and again and again, so that damage is found while there is still a copy to restore from.
//!
//! Which file is next is a pure function (`order`); this half reads, compares size and checksum with the catalog's, and
//! marks what is damaged. It holds a few chunks of one object at a time. It never accuses a file before it has
//! looked at a fresh snapshot and read a second time, and it never changes or deletes a data file.

use std::sync::Arc;
use std::time::Duration;

use gigapi_catalog::Catalog;
use gigapi_model::{DataFile, TableDef, TableId, TimeRange};
use gigapi_storage::{ExpectedObject, FilePath, Layer, Layers, measure_object, own_path};
use object_store::path::Path;

use crate::{Error, Quarantined, Result, own, quarantine};

mod order;

pub use order::{Round, next_files};

/// A layer that fails this often in a row is away, and its files are not passed over.
const FAILURES_MAX: usize = 3;

/// How much is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScrubOptions {
    /// Each file is read once within this time.
    pub period: Duration,
    /// Files of one pass; memory is bounded by it.
    pub files_max: usize,
}

impl Default for ScrubOptions {
    fn default() -> Self {
        Self { period: Duration::from_secs(7 * 24 * 60 * 60), files_max: 1_000 }
    }
}

/// What a pass did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scrubbed {
    /// Files that were read.
    pub files: usize,
    /// Bytes of them.
    pub bytes: u64,
    /// Files that are not what the catalog says or have no object; all are marked.
    pub damaged: Vec<Quarantined>,
    /// Those of them that were not marked before.
    pub newly_damaged: usize,
    /// Files that were merged or dropped before they were read.
    pub vanished: usize,
    /// Files that could not be read, by layer and path, with what the store said.
    pub unread: Vec<(String, String)>,
    /// Whether every file has been read that is due.
    pub is_done: bool,
}

/// Looks after the files of one installation; several do no harm but read files twice.
#[derive(Debug)]
pub struct Scrubber {
    catalog: Arc<dyn Catalog>,
    layers: Arc<Layers>,
    options: ScrubOptions,
    /// How far the files have been read; none before the first pass.
    round: Option<Round>,
}

/// A live file with its table.
type Live = (Arc<TableDef>, Arc<DataFile>);

impl Scrubber {
    /// One that goes on where the last one stopped.
    pub fn new(catalog: Arc<dyn Catalog>, layers: Arc<Layers>, options: ScrubOptions) -> Self {
        Self { catalog, layers, options, round: None }
    }

    /// Reads what is next until about `bytes_max` are read: one file at least, if one is due.
    pub async fn pass(&mut self, bytes_max: u64) -> Result<Scrubbed> {
        let now = self.catalog.now().await?;
        let known = match self.round {
            Some(round) => round,
            None => load(self.layers.first()).await?.unwrap_or_else(|| Round::first(now)),
        };
        let (mut round, files) = self.plan(known.at(now, self.options.period)).await?;
        let (mut scrubbed, mut failures, mut before_failures) = (Scrubbed::default(), 0, round);
        let mut done = files.len() < self.options.files_max;
        for (index, (table, file)) in files.iter().enumerate() {
            if scrubbed.bytes >= bytes_max && index > 0 {
                done = false;
                break;
            }
            if failures == 0 {
                before_failures = round;
            }
            match self.scrub(table, file, &mut scrubbed).await {
                Ok(()) => failures = 0,
                Err(error) => {
                    failures += 1;
                    let path = FilePath::of(table, file).object_path();
                    scrubbed.unread.push((format!("{}: {path}", file.layer), error.to_string()));
                }
            }
            round.read_up_to(file.id);
            if failures == FAILURES_MAX {
                // All of them are tried again.
                (round, done) = (before_failures, false);
                break;
            }
        }
        if done {
            round.end();
        }
        if round != known {
            save(self.layers.first(), &round).await?;
        }
        self.round = Some(round);
        scrubbed.is_done = done;
        Ok(scrubbed)
    }

    /// The files that come next, each with its table.
    async fn plan(&self, round: Round) -> Result<(Round, Vec<Live>)> {
        if round.is_over() {
            return Ok((round, Vec::new()));
        }
        let mut next: Vec<Live> = Vec::new();
        for table in self.catalog.live_tables().await? {
            let snapshot = match self.catalog.snapshot(table.id, TimeRange::ALL).await {
                Err(gigapi_catalog::Error::Dropped { .. }) => continue,
                snapshot => snapshot?,
            };
            let of_table = next_files(round, self.options.files_max, &snapshot.files);
            next.extend(of_table.into_iter().map(|file| (Arc::clone(&snapshot.table), file)));
            if next.len() > 2 * self.options.files_max {
                order::keep_first(&mut next, self.options.files_max, |(_, file)| file.id);
            }
        }
        order::keep_first(&mut next, self.options.files_max, |(_, file)| file.id);
        Ok((round, next))
    }

    /// Reads one file, and marks it if it is damaged.
    async fn scrub(&self, table: &TableDef, file: &DataFile, scrubbed: &mut Scrubbed) -> Result<()> {
        let Some(layer) = self.layers.get(&file.layer) else {
            let reason = "its layer is not configured here".to_owned();
            return Err(Error::Object { layer: file.layer.to_string(), object: file.id.to_string(), reason });
        };
        let path = FilePath::of(table, file).object_path();
        let mut found = difference(layer, &path, file).await?;
        if found.is_some() {
            if !self.is_live(table.id, file).await? {
                scrubbed.vanished += 1;
                return Ok(());
            }
            // What came wrong over the wire comes right the second time.
            found = difference(layer, &path, file).await?;
        }
        scrubbed.files += 1;
        scrubbed.bytes += file.bytes;
        let Some(reason) = found else { return Ok(()) };
        if !self.is_live(table.id, file).await? {
            scrubbed.vanished += 1;
            return Ok(());
        }
        let mark = Quarantined::new(table, file, reason, "scrub", self.catalog.now().await?);
        scrubbed.newly_damaged += usize::from(quarantine(&self.layers, &mark).await?);
        scrubbed.damaged.push(mark);
        Ok(())
    }

    /// Whether the file lives where it was, by a fresh snapshot.
    async fn is_live(&self, table: TableId, file: &DataFile) -> Result<bool> {
        match self.catalog.snapshot(table, file.time).await {
            Ok(snapshot) => Ok(snapshot.files.iter().any(|live| live.id == file.id && live.layer == file.layer)),
            Err(gigapi_catalog::Error::Dropped { .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

/// How an object differs from what the catalog says of it, if it does.
pub(crate) async fn difference(layer: &Layer, path: &Path, file: &DataFile) -> Result<Option<String>> {
    let found = match measure_object(layer.store.as_ref(), path).await {
        Err(object_store::Error::NotFound { .. }) => return Ok(Some("it is live and has no object".to_owned())),
        found => found.map_err(|error| layer.error("reading", path, error))?,
    };
    let ExpectedObject { bytes, checksum } = found;
    Ok(if bytes != file.bytes {
        Some(format!("it has {bytes} bytes and should have {}", file.bytes))
    } else if checksum != file.checksum {
        Some(format!("the checksum of its {bytes} bytes is {checksum:016x}, not {:016x}", file.checksum))
    } else {
        None
    })
}

fn place() -> Path {
    own_path(["scrub", "state.json"])
}

/// How far the last one came, if it left word that can be read.
async fn load(layer: &Layer) -> Result<Option<Round>> {
    match own::read(layer, &place()).await {
        Err(error) if error.kind() == gigapi_model::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
        // It is a convenience: without it files are read once more.
        Ok(bytes) => Ok(own::unsealed(&bytes).ok().and_then(Round::decode)),
    }
}

async fn save(layer: &Layer, round: &Round) -> Result<()> {
    own::write(layer, &place(), own::sealed(round.encode())).await
}

#[cfg(test)]
mod tests;
