//! Looks after what is stored beside merging: deletes what was removed, reads files for damage, sweeps orphans.
//!
//! When each is done is decided here, and how much at a time; whether an object may go is recovery's to judge. All of
//! it may stop at any moment and goes on where it was.

use std::sync::Arc;
use std::time::Duration;

use gigapi_catalog::Catalog;
use gigapi_model::FileId;
use gigapi_recovery::{
    DeleteOptions, Quarantined, ScrubOptions, Scrubber, SweepOptions, checkpoint_buried, delete_graves, quarantined,
    quarantined_files, sweep,
};
use gigapi_service::settings::Settings;
use gigapi_service::{Components, crash_point};
use gigapi_storage::Layers;
use tokio::time::Instant;

use crate::metrics::Metrics;
use crate::schedule::Summary;

/// Removed files are looked at this often at least, whatever their grace.
const DELETE_MAX: Duration = Duration::from_secs(30);

/// And this often at most.
const DELETE_MIN: Duration = Duration::from_millis(250);

/// How often orphans are looked for.
const SWEEP_INTERVAL: Duration = Duration::from_secs(24 * 60 * 60);

/// A process that has just started has more urgent things to do.
const SWEEP_AFTER_START: Duration = Duration::from_secs(10 * 60);

/// How often some files are read for damage, and how much of them: 1.6 MB a second, a terabyte in a week.
const SCRUB_INTERVAL: Duration = Duration::from_secs(10);
const SCRUB_BYTES: u64 = 16 << 20;

/// One run of a scheduled job reads so much.
const SCRUB_BYTES_ONCE: u64 = 256 << 20;

/// Looks after the files of an installation.
#[derive(Debug)]
pub(crate) struct Caretaker {
    catalog: Arc<dyn Catalog>,
    layers: Arc<Layers>,
    metrics: Metrics,
    scrubber: Scrubber,
    delete_interval: Duration,
}

impl Caretaker {
    pub(crate) fn new(settings: &Settings, components: &Components, metrics: Metrics) -> Self {
        let (catalog, layers) = (Arc::clone(&components.catalog), Arc::clone(&components.layers));
        let scrubber = Scrubber::new(Arc::clone(&catalog), Arc::clone(&layers), ScrubOptions::default());
        let delete_interval = (settings.metadata.delete_grace / 4).clamp(DELETE_MIN, DELETE_MAX);
        Self { catalog, layers, metrics, scrubber, delete_interval }
    }

    /// Runs until it is dropped.
    pub(crate) async fn run(mut self) {
        let start = Instant::now();
        let (mut next_delete, mut next_scrub) = (start, start + SCRUB_INTERVAL);
        let mut next_sweep = start + SWEEP_AFTER_START;
        loop {
            tokio::select! {
                () = tokio::time::sleep_until(next_delete) => {
                    self.delete().await;
                    next_delete = Instant::now() + self.delete_interval;
                }
                () = tokio::time::sleep_until(next_scrub) => {
                    self.scrub(SCRUB_BYTES).await;
                    next_scrub = Instant::now() + SCRUB_INTERVAL;
                }
                () = tokio::time::sleep_until(next_sweep) => {
                    self.sweep().await;
                    next_sweep = Instant::now() + SWEEP_INTERVAL;
                }
            }
        }
    }

    /// Everything once, as a scheduled job does it.
    pub(crate) async fn once(&mut self, summary: &mut Summary) {
        let mut failures = Vec::new();
        match self.deleted().await {
            Ok((deleted, failed)) => {
                summary.deleted_files += deleted;
                failures.extend(failed);
            }
            Err(error) => failures.push(format!("deleting: {error}")),
        }
        failures.extend(self.swept().await);
        failures.extend(self.scrubbed(SCRUB_BYTES_ONCE).await);
        summary.failures.extend(failures);
        match quarantined(&self.layers).await {
            // Nobody else reads a job's log from day to day, so each run tells of what is damaged still.
            Ok(marks) => marks.iter().for_each(|(file, mark)| tell_once(&mut summary.failures, *file, mark)),
            Err(error) => summary.failures.push(format!("reading marks of damaged files: {error}")),
        }
    }

    async fn delete(&self) {
        match self.deleted().await {
            Ok((_, failures)) => failures.iter().for_each(|why| tracing::warn!(why, "a removed file was not deleted")),
            Err(error) if error.kind().is_transient() => {
                tracing::warn!(%error, "removed files cannot be deleted now, trying again");
            }
            Err(error) => tracing::error!(%error, "removed files are not deleted"),
        }
    }

    /// Deletes all that may go; answers how many went and what could not.
    async fn deleted(&self) -> gigapi_recovery::Result<(u64, Vec<String>)> {
        let (mut gone, mut failures) = (0, Vec::new());
        let buried = self.catalog.graveyard().await?.len();
        self.metrics.graves.set(i64::try_from(buried).unwrap_or(i64::MAX));
        if buried == 0 {
            return Ok((0, failures));
        }
        checkpoint_buried(self.catalog.as_ref(), &self.layers).await?;
        loop {
            let options = DeleteOptions::default();
            let done = delete_graves(self.catalog.as_ref(), &self.layers, &options, &crash_point).await?;
            gone += done.objects as u64;
            self.metrics.deleted_files.inc_by(done.objects as u64);
            self.metrics.deleted_bytes.inc_by(done.bytes);
            failures.extend(done.failed.iter().map(|failed| format!("{}: {}", failed.what, failed.why)));
            failures.extend(done.interrupted);
            if done.left == 0 || done.objects == 0 || !failures.is_empty() {
                return Ok((gone, failures));
            }
        }
    }

    async fn sweep(&self) {
        self.swept().await.iter().for_each(|why| tracing::warn!(why, "orphans"));
    }

    /// Removes orphans; answers what is worth telling.
    async fn swept(&self) -> Vec<String> {
        match sweep(self.catalog.as_ref(), &self.layers, &SweepOptions::default()).await {
            Ok(swept) => {
                let gone = swept.removed.objects + swept.removed_of_dropped.objects;
                if gone > 0 {
                    tracing::info!(files = gone, "orphans are removed");
                }
                let failed = swept.failed.iter().map(|failed| format!("{}: {}", failed.what, failed.why));
                if let Some(reason) = &swept.interrupted {
                    tracing::info!(reason, "orphans are not looked for now");
                }
                swept.advice().into_iter().chain(failed).collect()
            }
            Err(error) => vec![format!("sweeping: {error}")],
        }
    }

    async fn scrub(&mut self, bytes_max: u64) {
        self.scrubbed(bytes_max).await.iter().for_each(|why| tracing::warn!(why, "files are not read for damage"));
    }

    /// Reads some files; answers what is wrong. Damaged files are told once, by recovery.
    async fn scrubbed(&mut self, bytes_max: u64) -> Vec<String> {
        let outcome = self.scrubber.pass(bytes_max).await;
        if let Ok(files) = quarantined_files(&self.layers).await {
            self.metrics.quarantined.set(i64::try_from(files.len()).unwrap_or(i64::MAX));
        }
        match outcome {
            Ok(scrubbed) => {
                let damaged = scrubbed.damaged.iter().map(|mark| format!("{} is damaged: {}", mark.path, mark.reason));
                let unread = scrubbed.unread.iter().map(|(path, why)| format!("{path}: {why}"));
                damaged.chain(unread).collect()
            }
            Err(error) => vec![error.to_string()],
        }
    }
}

/// Adds a damaged file, unless a failure names it already.
fn tell_once(failures: &mut Vec<String>, file: FileId, mark: &Result<Quarantined, String>) {
    let id = file.to_string();
    if failures.iter().any(|told| told.contains(&id)) {
        return;
    }
    failures.push(match mark {
        Ok(mark) => format!("{} on layer {} is damaged: {}", mark.path, mark.layer, mark.reason),
        Err(reason) => format!("file {id} is marked as damaged, and its mark cannot be read: {reason}"),
    });
}
