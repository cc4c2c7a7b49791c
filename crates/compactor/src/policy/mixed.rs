//! Files of buckets of several spans that lie between each other in sequence, as live rows and a backfill make them.
//!
//! A later commit overwrites an earlier one, so files of an hour cannot be merged past a file of a month that was
//! committed between them, nor the other way round. Where such files pile up, or nothing is written there any more, all of
//! a stretch become one file of the longest of their buckets. A few of them are left as they are: taking live rows
//! into a longer bucket costs queries more than a few files do.

use std::collections::HashSet;
use std::sync::Arc;

use gigapi_model::{Bucket, BucketSpan, DataFile, FileId, Level, Timestamp};

use super::group::{Group, is_divided};
use super::merge::Scene;
use super::{CROWD, INPUTS_MAX, MergePlan, MergeSettings, Plan, Reason, TableState};

/// So many files that are due and cannot be merged where they are have piled up.
const PILE: usize = CROWD / 2;

pub(super) fn plan(
    state: &TableState<'_>,
    settings: &MergeSettings,
    groups: &[Group],
    now: Timestamp,
    plan: &mut Plan,
    taken: &mut HashSet<FileId>,
) {
    for span in [BucketSpan::Year, BucketSpan::Month, BucketSpan::Day] {
        for longer in groups.iter().filter(|group| group.bucket.span() == span) {
            let group = inside(state, longer, groups, taken);
            if group.files.iter().all(|file| file.bucket == longer.bucket) {
                continue;
            }
            let mut merges = stretches(settings, &group, now);
            merges.retain(|merge| merge.inputs.iter().all(|file| taken.insert(file.id)));
            plan.merges.append(&mut merges);
        }
    }
}

/// All free files in the longer bucket, whatever their own.
fn inside(state: &TableState<'_>, longer: &Group, groups: &[Group], taken: &HashSet<FileId>) -> Group {
    let range = longer.bucket.range();
    let lies_inside = |bucket: Bucket| range.contains(bucket.range().min) && range.contains(bucket.range().max);
    let near = groups.iter().filter(|group| group.layer == longer.layer && lies_inside(group.bucket));
    let free = near.flat_map(|group| &group.files).filter(|file| !taken.contains(&file.id));
    let mut files: Vec<Arc<DataFile>> = free.cloned().collect();
    files.sort_by_key(|file| (file.sequence.hi, file.sequence.lo, file.id));
    let own: HashSet<FileId> = files.iter().map(|file| file.id).collect();
    let others = state.files.iter().filter(|file| file.time.overlaps(range) && !own.contains(&file.id));
    Group { layer: longer.layer.clone(), bucket: longer.bucket, others: others.cloned().collect(), files }
}

fn stretches(settings: &MergeSettings, group: &Group, now: Timestamp) -> Vec<MergePlan> {
    let scene = Scene { settings, group, now, crowd: PILE };
    let bytes: u64 = group.files.iter().map(|file| file.bytes).sum();
    let is_quiet = group.newest().plus(settings.quiet()) < now;
    if is_quiet && group.files.len() <= INPUTS_MAX && bytes <= settings.bytes_max[2] && is_entangled(&group.files) {
        return placed(scene.cut(&group.files, settings.bytes_max[2], Level::FINAL, Reason::Join));
    }
    let mut merges = Vec::new();
    for (index, (interval, bytes_max)) in settings.intervals.iter().zip(settings.bytes_max).enumerate().rev() {
        let level = index + 1;
        let joins = |file: &Arc<DataFile>| usize::from(file.level.number()) <= level && file.bytes < bytes_max;
        let is_due = |file: &&Arc<DataFile>| {
            usize::from(file.level.number()) == level && file.id.minted_at().plus(*interval) <= now
        };
        for stretch in group.files.split(|file| !joins(file)) {
            if stretch.iter().filter(is_due).count() >= PILE && is_entangled(stretch) {
                let next = u8::try_from(level + 1).ok().and_then(Level::new).unwrap_or(Level::FINAL);
                merges.extend(scene.cut(stretch, bytes_max, next, Reason::Join));
            }
        }
    }
    placed(merges)
}

/// Whether files of one bucket have a file of another between them.
fn is_entangled(files: &[Arc<DataFile>]) -> bool {
    let between = |at: usize, other: usize| {
        let both = [Arc::clone(&files[at]), Arc::clone(&files[other])];
        is_divided(&both, files[at + 1..other].iter())
    };
    (0..files.len()).any(|at| {
        let next = (at + 1..files.len()).find(|other| files[*other].bucket == files[at].bucket);
        next.is_some_and(|other| between(at, other))
    })
}

/// Each merge in the shortest bucket of its inputs that holds them all.
fn placed(merges: Vec<MergePlan>) -> Vec<MergePlan> {
    let place = |mut merge: MergePlan| {
        let holds = |bucket: Bucket| {
            let range = bucket.range();
            merge
                .inputs
                .iter()
                .all(|file| range.contains(file.bucket.range().min) && range.contains(file.bucket.range().max))
        };
        let buckets = merge.inputs.iter().map(|file| file.bucket);
        if let Some(bucket) = buckets.filter(|bucket| holds(*bucket)).min_by_key(|bucket| bucket.span()) {
            merge.bucket = bucket;
        }
        let stays = merge.inputs.iter().all(|file| file.bucket == merge.bucket);
        merge.reason = if stays { Reason::Crowd } else { Reason::Join };
        merge
    };
    merges.into_iter().map(place).collect()
}
