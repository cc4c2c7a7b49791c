//! Small neighbours that become one longer bucket, so that sparse tables end in few files.
//!
//! A longer bucket is taken if its time is over, nothing was written to it for a while, all of its files together are
//! small, and it is no longer than a tenth of the shortest ttl: rows then end at most a tenth too late. It takes all
//! files inside at once, the longest bucket that one merge can fill first.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use gigapi_model::{Bucket, BucketSpan, DataFile, FileId, LayerName, Level, Timestamp};

use super::group::{Group, is_divided};
use super::{INPUTS_MAX, LARGER, MergePlan, MergeSettings, PATIENCE, Plan, Reason, TableState};

/// A bucket is no longer than this part of the shortest ttl.
const TTL_PARTS: i64 = 10;

pub(super) fn plan(
    state: &TableState<'_>,
    settings: &MergeSettings,
    groups: &[Group],
    now: Timestamp,
    plan: &mut Plan,
    taken: &mut HashSet<FileId>,
) {
    for span in [BucketSpan::Year, BucketSpan::Month, BucketSpan::Day] {
        for ((layer, bucket), inside) in by_longer_bucket(groups, span) {
            let is_free = inside.iter().all(|group| group.files.iter().all(|file| !taken.contains(&file.id)));
            if !is_free || inside.iter().all(|group| group.bucket == bucket) || is_too_long(bucket, state.ttl_min) {
                continue;
            }
            let Some(merge) = joined(settings, layer, bucket, &inside, now, plan) else { continue };
            let is_input = |file: &Arc<DataFile>| merge.inputs.iter().any(|input| input.id == file.id);
            // Between the buckets inside there may be files that overlap none of them.
            if !is_divided(&merge.inputs, state.files.iter().filter(|file| !is_input(file))) {
                taken.extend(merge.inputs.iter().map(|file| file.id));
                plan.merges.push(merge);
            }
        }
    }
}

/// Groups on one layer by the bucket of that span that holds them.
fn by_longer_bucket(groups: &[Group], span: BucketSpan) -> BTreeMap<(LayerName, Bucket), Vec<&Group>> {
    let mut found: BTreeMap<(LayerName, Bucket), Vec<&Group>> = BTreeMap::new();
    for group in groups.iter().filter(|group| group.bucket.span() <= span) {
        // The first bucket of all time is cut at its start, so the end tells which longer one holds it.
        let bucket = Bucket::containing(group.bucket.range().max, span);
        found.entry((group.layer.clone(), bucket)).or_default().push(group);
    }
    found
}

fn is_too_long(bucket: Bucket, ttl_min: Option<Duration>) -> bool {
    let range = bucket.range();
    let length = range.max.nanos().saturating_sub(range.min.nanos());
    ttl_min.is_some_and(|ttl| i64::try_from(ttl.as_nanos()).is_ok_and(|ttl| length > ttl / TTL_PARTS))
}

fn joined(
    settings: &MergeSettings,
    layer: LayerName,
    bucket: Bucket,
    inside: &[&Group],
    now: Timestamp,
    plan: &mut Plan,
) -> Option<MergePlan> {
    let mut inputs: Vec<Arc<DataFile>> = inside.iter().flat_map(|group| group.files.iter().cloned()).collect();
    let bytes: u64 = inputs.iter().map(|file| file.bytes).sum();
    if bytes > settings.bytes_max[0] || inputs.len() < 2 {
        return None;
    }
    let newest = inside.iter().map(|group| group.newest()).max()?;
    let over = bucket.range().max.max(newest).plus(settings.quiet());
    if over >= now {
        plan.look_again(over, now);
        return None;
    }
    let largest = inputs.iter().map(|file| file.bytes).max()?;
    let patience = newest.plus(settings.quiet().saturating_mul(PATIENCE));
    if largest > (bytes - largest).saturating_mul(LARGER) && patience >= now {
        plan.look_again(patience, now);
        return None;
    }
    // With more files the buckets inside become one file each first.
    if inputs.len() > INPUTS_MAX {
        return None;
    }
    inputs.sort_by_key(|file| (file.sequence.hi, file.sequence.lo, file.id));
    Some(MergePlan { inputs, bucket, layer, level: Level::FINAL, reason: Reason::Join })
}
