//! Merges inside a bucket: by level while it is written to, to one file once it is quiet.
//!
//! Files are taken as they follow each other in sequence. A stretch of files of one level or below is due when its
//! oldest file of that level has waited long enough, or when there are many; the output is a level higher, so a row
//! is rewritten once per level. A file that is alone waits as it is: rewriting it would make nothing better.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use gigapi_model::{DataFile, FileId, Level, Timestamp};

use super::group::{Group, is_divided};
use super::{CROWD, CROWD_OF_THE_PAST, INPUTS_MAX, LARGER, MergePlan, MergeSettings, PATIENCE, Plan, Reason};

/// A file this many times as large as all that follow it is not merged with a crowd of them.
const CROWD_LARGER: u64 = 2;

/// What is known of a group's bucket.
pub(super) struct Scene<'a> {
    pub(super) settings: &'a MergeSettings,
    pub(super) group: &'a Group,
    pub(super) now: Timestamp,
    /// How many files of a level are many.
    pub(super) crowd: usize,
}

pub(super) fn plan(
    settings: &MergeSettings,
    group: &Group,
    now: Timestamp,
    plan: &mut Plan,
    taken: &mut HashSet<FileId>,
) {
    if group.files.len() < 2 {
        return;
    }
    let quiet = settings.quiet();
    let is_past = group.bucket.range().max.plus(quiet) < now;
    let scene = Scene { settings, group, now, crowd: if is_past { CROWD_OF_THE_PAST } else { CROWD } };
    let free = |file: &Arc<DataFile>| !taken.contains(&file.id);
    let files: Vec<Arc<DataFile>> = group.files.iter().filter(|file| free(file)).cloned().collect();
    let quiet_since = group.newest().plus(quiet);
    let mut found = if quiet_since < now {
        scene.quiet(&files, plan)
    } else {
        plan.look_again(quiet_since, now);
        (1..=4).rev().flat_map(|level| scene.level(&files, level, plan)).collect()
    };
    found.retain(|merge: &MergePlan| merge.inputs.iter().all(|file| taken.insert(file.id)));
    plan.merges.append(&mut found);
}

impl Scene<'_> {
    /// All files together, as far as one merge and one file can hold them.
    fn quiet(&self, files: &[Arc<DataFile>], plan: &mut Plan) -> Vec<MergePlan> {
        let patient_until = self.group.newest().plus(self.settings.quiet().saturating_mul(PATIENCE));
        let larger = if patient_until < self.now { u64::MAX } else { LARGER };
        let rest = without_large(files, larger);
        if rest.len() < files.len() {
            plan.look_again(patient_until, self.now);
        }
        self.cut(rest, self.settings.bytes_max[2], Level::FINAL, Reason::Quiet)
    }

    /// Stretches of files of a level or below that are due; the final level has no interval.
    fn level(&self, files: &[Arc<DataFile>], number: u8, plan: &mut Plan) -> Vec<MergePlan> {
        let index = usize::from(number - 1);
        let (interval, bytes_max): (Option<Duration>, u64) = match self.settings.intervals.get(index) {
            Some(interval) => (Some(*interval), self.settings.bytes_max[index]),
            None => (None, self.settings.bytes_max[2]),
        };
        let next = Level::new(number + 1).unwrap_or(Level::FINAL);
        let joins = |file: &Arc<DataFile>| file.level.number() <= number && file.bytes < bytes_max;
        let mut merges = Vec::new();
        for stretch in files.split(|file| !joins(file)).filter(|stretch| stretch.len() > 1) {
            let of_level = || stretch.iter().filter(|file| file.level.number() == number);
            let due = interval.zip(of_level().map(|file| file.id.minted_at()).min());
            let is_due = due.is_some_and(|(interval, oldest)| {
                let at = oldest.plus(interval);
                plan.look_again(at, self.now);
                at <= self.now
            });
            if is_due {
                merges.extend(self.cut(stretch, bytes_max, next, Reason::Interval));
            } else if of_level().count() >= self.crowd {
                let alike = without_large(stretch, CROWD_LARGER);
                if alike.len() >= self.crowd {
                    merges.extend(self.cut(alike, bytes_max, next, Reason::Crowd));
                }
            }
        }
        merges
    }

    /// Files in their order, as many at a time as a merge takes; nothing for a file that stays alone.
    pub(super) fn cut(&self, files: &[Arc<DataFile>], bytes_max: u64, level: Level, reason: Reason) -> Vec<MergePlan> {
        let mut merges = Vec::new();
        let mut start = 0;
        while start + 1 < files.len() {
            let mut bytes = 0;
            let fits = files[start..].iter().take(INPUTS_MAX).take_while(|file| {
                bytes += file.bytes;
                bytes <= bytes_max
            });
            let mut end = start + fits.count();
            // A shorter stretch may be clear of what stands between its files and the rest.
            while end > start + 1 && self.is_divided(files, start, end) {
                end -= 1;
            }
            if end <= start + 1 {
                start += 1;
                continue;
            }
            let inputs = files[start..end].to_vec();
            let highest = inputs.iter().map(|file| file.level).max().unwrap_or(level);
            let (layer, bucket) = (self.group.layer.clone(), self.group.bucket);
            merges.push(MergePlan { inputs, bucket, layer, level: level.max(highest), reason });
            start = end;
        }
        merges
    }

    fn is_divided(&self, files: &[Arc<DataFile>], start: usize, end: usize) -> bool {
        let inputs = &files[start..end];
        let is_input = |file: &Arc<DataFile>| inputs.iter().any(|input| input.id == file.id);
        let lowest = inputs.iter().map(|file| file.sequence.lo).min().unwrap_or(0);
        let highest = inputs.iter().map(|file| file.sequence.hi).max().unwrap_or(0);
        let near = |file: &&Arc<DataFile>| file.sequence.lo <= highest && lowest <= file.sequence.hi && !is_input(file);
        is_divided(inputs, self.group.files.iter().chain(&self.group.others).filter(near))
    }
}

/// Without the first files, each of which is so much larger than all that follow.
fn without_large(files: &[Arc<DataFile>], larger: u64) -> &[Arc<DataFile>] {
    let mut rest = files;
    let mut bytes: u64 = files.iter().map(|file| file.bytes).sum();
    while let [first, others @ ..] = rest {
        bytes -= first.bytes;
        if others.is_empty() || first.bytes <= bytes.saturating_mul(larger) {
            break;
        }
        rest = others;
    }
    rest
}
