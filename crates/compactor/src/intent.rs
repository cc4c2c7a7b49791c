//! What a plan would do, for people.

use std::fmt;

use crate::planner::Planned;
use crate::policy::Expiry;
use crate::worker::Job;

/// One thing that is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Intent {
    /// `database.table`.
    pub table: String,
    /// What is done: `merge`, `relocate` or `expire`.
    pub job: &'static str,
    /// Where: a bucket, or the layers.
    pub place: String,
    /// Files that it takes.
    pub files: usize,
    /// Their bytes.
    pub bytes: u64,
    /// Their rows.
    pub rows: u64,
    /// Why, in a word, and the level of the output.
    pub why: String,
}

impl fmt::Display for Intent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { table, job, place, files, bytes, rows, why } = self;
        write!(f, "{table}: {job} {files} files of {rows} rows and {bytes} bytes, {place}: {why}")
    }
}

/// What is due in a table, job by job; files that move or end are told together.
pub(crate) fn intents(planned: &Planned) -> Vec<Intent> {
    let table = format!("{}.{}", planned.table.database, planned.table.name);
    let of_job = |job: &Job| {
        let kind = job.kind();
        let (place, files, why): (String, Vec<_>, String) = match job {
            Job::Merge(plan) => {
                let why = format!("{} → level {}", plan.reason, plan.level);
                (format!("{} on {}", plan.bucket, plan.layer), plan.inputs.clone(), why)
            }
            Job::Relocate(moves) => {
                let first = moves.first().map(|moved| format!("{} → {}", moved.file.layer, moved.to));
                let files = moves.iter().map(|moved| moved.file.clone()).collect();
                (first.unwrap_or_default(), files, "ttl of the layer".to_owned())
            }
            Job::Expire(expired) => {
                let of_table = expired.iter().any(|(_, why)| *why == Expiry::Table);
                let why = if of_table { "ttl of the table" } else { "ttl of the last layer" };
                let first = expired.first().map(|(file, _)| file.layer.to_string());
                (first.unwrap_or_default(), expired.iter().map(|(file, _)| file.clone()).collect(), why.to_owned())
            }
        };
        Intent {
            table: table.clone(),
            job: kind,
            place,
            files: files.len(),
            bytes: files.iter().map(|file| file.bytes).sum(),
            rows: files.iter().map(|file| file.rows).sum(),
            why,
        }
    };
    planned.jobs.iter().map(of_job).collect()
}
