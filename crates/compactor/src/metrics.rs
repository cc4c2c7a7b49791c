//! What an operator sees of a compactor. Names say what is counted and in which unit.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;

use gigapi_model::{ErrorKind, Timestamp};
use gigapi_service::Metrics as Registry;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};

use crate::planner::{Planned, merges};
use crate::progress::UnderWay;
use crate::worker::{Done, Job};

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct JobLabel {
    job: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct FailureLabel {
    job: &'static str,
    reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct LevelLabel {
    level: u8,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct LayerLabel {
    layer: String,
}

/// The compactor's metrics; clones share their values.
#[derive(Debug, Clone)]
pub(crate) struct Metrics {
    running: Gauge,
    jobs: Family<JobLabel, Counter>,
    failures: Family<FailureLabel, Counter>,
    files_in: Family<JobLabel, Counter>,
    files_out: Family<JobLabel, Counter>,
    bytes_in: Family<JobLabel, Counter>,
    bytes_out: Family<JobLabel, Counter>,
    rows: Family<JobLabel, Counter>,
    overwritten: Counter,
    seconds: Histogram,
    flushed_bytes: Counter,
    write_amplification: Gauge<f64, AtomicU64>,
    backlog_files: Family<LevelLabel, Gauge>,
    backlog_bytes: Family<LevelLabel, Gauge>,
    backlog_oldest: Gauge<f64, AtomicU64>,
    layer_files: Family<LayerLabel, Gauge>,
    layer_bytes: Family<LayerLabel, Gauge>,
    layer_oldest: Family<LayerLabel, Gauge<f64, AtomicU64>>,
    pub(crate) under_way: UnderWay,
    pub(crate) deleted_files: Counter,
    pub(crate) deleted_bytes: Counter,
    pub(crate) graves: Gauge,
    pub(crate) quarantined: Gauge,
}

impl Metrics {
    /// Registers everything as `gigapi_compactor_…`.
    pub(crate) fn register(registry: &Registry) -> Self {
        let this = Self {
            running: Gauge::default(),
            jobs: Family::default(),
            failures: Family::default(),
            files_in: Family::default(),
            files_out: Family::default(),
            bytes_in: Family::default(),
            bytes_out: Family::default(),
            rows: Family::default(),
            overwritten: Counter::default(),
            seconds: Histogram::new(exponential_buckets(0.001, 2.0, 22)),
            flushed_bytes: Counter::default(),
            write_amplification: Gauge::default(),
            backlog_files: Family::default(),
            backlog_bytes: Family::default(),
            backlog_oldest: Gauge::default(),
            layer_files: Family::default(),
            layer_bytes: Family::default(),
            layer_oldest: Family::default(),
            under_way: UnderWay::default(),
            deleted_files: Counter::default(),
            deleted_bytes: Counter::default(),
            graves: Gauge::default(),
            quarantined: Gauge::default(),
        };
        registry.register(|registry| {
            let all = registry.sub_registry_with_prefix("compactor");
            all.register("jobs_running", "Jobs under way", this.running.clone());
            all.register("jobs", "Jobs that were done, by kind", this.jobs.clone());
            all.register("failures", "Jobs that failed, by kind and reason", this.failures.clone());
            all.register("files_in", "Files that jobs removed", this.files_in.clone());
            all.register("files_out", "Files that jobs added", this.files_out.clone());
            all.register("bytes_in", "Bytes of files that jobs removed", this.bytes_in.clone());
            all.register("bytes_out", "Bytes of files that jobs added", this.bytes_out.clone());
            all.register("rows", "Rows of files that jobs added", this.rows.clone());
            all.register("rows_overwritten", "Rows that a later write of their key replaced", this.overwritten.clone());
            all.register("job_seconds", "How long jobs took", this.seconds.clone());
            all.register("flushed_bytes", "Bytes of level 1 that merges have taken in", this.flushed_bytes.clone());
            all.register("merging_rows", "Rows that merges under way take in", this.under_way.rows.clone());
            let help = "Rows that merges under way have taken in so far";
            all.register("merging_rows_done", help, this.under_way.rows_done.clone());
            let help = "Bytes that merges wrote for each byte of level 1 that they took in";
            all.register("write_amplification", help, this.write_amplification.clone());
            all.register("backlog_files", "Files that are due to be merged, by level", this.backlog_files.clone());
            all.register("backlog_bytes", "Bytes that are due to be merged, by level", this.backlog_bytes.clone());
            let help = "Age of the oldest file that is due to be merged, in seconds";
            all.register("backlog_oldest_seconds", help, this.backlog_oldest.clone());
            all.register("layer_files", "Live files, by layer", this.layer_files.clone());
            all.register("layer_bytes", "Bytes of live files, by layer", this.layer_bytes.clone());
            let help = "Age of the oldest row, by layer, in seconds";
            all.register("layer_oldest_seconds", help, this.layer_oldest.clone());
            all.register("deleted_files", "Removed files that were deleted", this.deleted_files.clone());
            all.register("deleted_bytes", "Bytes of removed files that were deleted", this.deleted_bytes.clone());
            all.register("graveyard_files", "Removed files that are not deleted yet", this.graves.clone());
            all.register("quarantined_files", "Live files that are damaged", this.quarantined.clone());
        });
        this
    }

    pub(crate) fn begin(&self) {
        self.running.inc();
    }

    pub(crate) fn done(&self, job: &'static str, flushed_bytes: u64, done: &Done, seconds: f64) {
        self.running.dec();
        self.seconds.observe(seconds);
        let label = JobLabel { job };
        self.jobs.get_or_create(&label).inc();
        self.files_in.get_or_create(&label).inc_by(done.files_in);
        self.files_out.get_or_create(&label).inc_by(done.files_out);
        self.bytes_in.get_or_create(&label).inc_by(done.bytes_in);
        self.bytes_out.get_or_create(&label).inc_by(done.bytes_out);
        self.rows.get_or_create(&label).inc_by(done.rows);
        self.overwritten.inc_by(done.overwritten);
        self.flushed_bytes.inc_by(flushed_bytes);
        let written = self.bytes_out.get_or_create(&JobLabel { job: "merge" }).get();
        if self.flushed_bytes.get() > 0 {
            self.write_amplification.set(written as f64 / self.flushed_bytes.get() as f64);
        }
    }

    /// A job ended without doing anything: the table had moved on.
    pub(crate) fn overtaken(&self) {
        self.running.dec();
    }

    pub(crate) fn failed(&self, job: &'static str, reason: ErrorKind) {
        self.running.dec();
        self.failures.get_or_create(&FailureLabel { job, reason: reason.as_str() }).inc();
    }
}

/// What the last plans of all tables come to.
#[derive(Debug, Default)]
pub(crate) struct Overview {
    tables: BTreeMap<gigapi_model::TableId, OfTable>,
}

#[derive(Debug, Default)]
struct OfTable {
    /// Per level, files and bytes that are due.
    due: [(i64, i64); 4],
    oldest_due: Option<Timestamp>,
    /// Per layer, files, bytes and the oldest row.
    layers: BTreeMap<String, (i64, i64, Timestamp)>,
}

impl Overview {
    /// Takes in a table's new plan.
    pub(crate) fn planned(&mut self, planned: &Planned) {
        let mut table = OfTable::default();
        for file in merges(&planned.jobs).flat_map(|merge| &merge.inputs) {
            let due = &mut table.due[usize::from(file.level.number() - 1)];
            due.0 += 1;
            due.1 += i64::try_from(file.bytes).unwrap_or(i64::MAX);
            let written = file.id.minted_at();
            table.oldest_due = Some(table.oldest_due.map_or(written, |oldest| oldest.min(written)));
        }
        for file in &planned.files {
            let layer = table.layers.entry(file.layer.to_string()).or_insert((0, 0, Timestamp::MAX));
            layer.0 += 1;
            layer.1 += i64::try_from(file.bytes).unwrap_or(i64::MAX);
            layer.2 = layer.2.min(file.time.min);
        }
        self.tables.insert(planned.table.id, table);
    }

    /// Forgets tables that are gone.
    pub(crate) fn retain(&mut self, is_live: impl Fn(gigapi_model::TableId) -> bool) {
        self.tables.retain(|table, _| is_live(*table));
    }

    /// Shows it.
    pub(crate) fn publish(&self, metrics: &Metrics, now: Timestamp) {
        let mut layers: BTreeMap<&str, (i64, i64, Timestamp)> = BTreeMap::new();
        for (name, (files, bytes, oldest)) in self.tables.values().flat_map(|table| &table.layers) {
            let layer = layers.entry(name).or_insert((0, 0, Timestamp::MAX));
            *layer = (layer.0 + files, layer.1 + bytes, layer.2.min(*oldest));
        }
        for (name, (files, bytes, oldest)) in layers {
            let label = LayerLabel { layer: name.to_owned() };
            metrics.layer_files.get_or_create(&label).set(files);
            metrics.layer_bytes.get_or_create(&label).set(bytes);
            metrics.layer_oldest.get_or_create(&label).set(now.since(oldest).as_secs_f64());
        }
        for level in 1..=4_u8 {
            let due = self.tables.values().map(|table| table.due[usize::from(level - 1)]);
            let (files, bytes) = due.fold((0, 0), |sum, due| (sum.0 + due.0, sum.1 + due.1));
            metrics.backlog_files.get_or_create(&LevelLabel { level }).set(files);
            metrics.backlog_bytes.get_or_create(&LevelLabel { level }).set(bytes);
        }
        let oldest = self.tables.values().filter_map(|table| table.oldest_due).min();
        metrics.backlog_oldest.set(oldest.map_or(0.0, |oldest| now.since(oldest).as_secs_f64()));
    }
}

/// Bytes of level 1 among what a job takes in.
pub(crate) fn flushed_bytes(job: &Job) -> u64 {
    match job {
        Job::Merge(plan) => {
            let flushed = plan.inputs.iter().filter(|file| file.level == gigapi_model::Level::FLUSHED);
            flushed.map(|file| file.bytes).sum()
        }
        Job::Relocate(_) | Job::Expire(_) => 0,
    }
}
