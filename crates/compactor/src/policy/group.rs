//! Files that may be merged with each other as they lie: those of one bucket on one layer, and what stands between.
//!
//! Later commits overwrite earlier ones, so a merge takes all or none of the live files that lie between its inputs in
//! sequence and overlap them in time: the rule that the catalog judges by, asked here before any work is done.

use std::collections::BTreeMap;
use std::sync::Arc;

use gigapi_model::{Bucket, DataFile, LayerName, SequenceRange, TimeRange, Timestamp};

use super::TableState;

/// Files of one bucket on one layer.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) layer: LayerName,
    pub(super) bucket: Bucket,
    /// By ascending sequence; held ones are not among them.
    pub(super) files: Vec<Arc<DataFile>>,
    /// Live files that are not in the group and overlap its bucket in time.
    pub(super) others: Vec<Arc<DataFile>>,
}

impl Group {
    /// When the newest file was written.
    pub(super) fn newest(&self) -> Timestamp {
        self.files.iter().map(|file| file.id.minted_at()).max().unwrap_or(Timestamp::MIN)
    }
}

/// All groups of files that nobody holds, by layer and bucket.
pub(super) fn groups(state: &TableState<'_>) -> Vec<Group> {
    let mut by_place: BTreeMap<(LayerName, Timestamp, gigapi_model::BucketSpan), Group> = BTreeMap::new();
    for file in state.files.iter().filter(|file| !state.held.contains(&file.id)) {
        let place = (file.layer.clone(), file.bucket.start(), file.bucket.span());
        let group = by_place.entry(place).or_insert_with(|| Group {
            layer: file.layer.clone(),
            bucket: file.bucket,
            files: Vec::new(),
            others: Vec::new(),
        });
        group.files.push(Arc::clone(file));
    }
    let mut groups: Vec<Group> = by_place.into_values().collect();
    for group in &mut groups {
        group.files.sort_by_key(|file| (file.sequence.hi, file.sequence.lo, file.id));
    }
    find_others(state, &mut groups);
    groups
}

/// Most tables have buckets of one span on one layer: then only held files are others.
fn find_others(state: &TableState<'_>, groups: &mut [Group]) {
    let Some(first) = groups.first() else { return };
    let (layer, span) = (first.layer.clone(), first.bucket.span());
    let is_plain = |group: &Group| group.layer == layer && group.bucket.span() == span;
    let strays: Vec<&Arc<DataFile>> = if groups.iter().all(is_plain) {
        state.files.iter().filter(|file| state.held.contains(&file.id)).collect()
    } else {
        state.files.iter().collect()
    };
    if strays.is_empty() {
        return;
    }
    let mut sorted = strays;
    sorted.sort_by_key(|file| file.time.min);
    let longest = sorted.iter().map(|file| file.time.max.nanos().saturating_sub(file.time.min.nanos())).max();
    let longest = longest.unwrap_or(0);
    for group in groups {
        let range = group.bucket.range();
        // No file that begins earlier than the longest one before the bucket reaches into it.
        let from = Timestamp::from_nanos(range.min.nanos().saturating_sub(longest));
        let start = sorted.partition_point(|file| file.time.min < from);
        let near = sorted[start..].iter().take_while(|file| file.time.min <= range.max);
        let is_other = |file: &&&Arc<DataFile>| {
            let inside = file.bucket == group.bucket && file.layer == group.layer && !state.held.contains(&file.id);
            file.time.overlaps(range) && !inside
        };
        group.others = near.filter(is_other).map(|file| Arc::clone(file)).collect();
    }
}

/// Times and sequences of all files together.
pub(super) fn hull(files: &[Arc<DataFile>]) -> Option<(TimeRange, SequenceRange)> {
    let spans = files.iter().map(|file| (file.time, file.sequence));
    spans.reduce(|(time, sequence), (other_time, other)| {
        let time = TimeRange::new(time.min.min(other_time.min), time.max.max(other_time.max));
        (time, SequenceRange { lo: sequence.lo.min(other.lo), hi: sequence.hi.max(other.hi) })
    })
}

/// How many of the first inputs of a plan make a merge of their own: `wanted`, or as near to it as can be.
///
/// Inputs of several buckets may follow each other in sequence otherwise than in time, so that one that is left out
/// would lie between those that are taken.
pub(crate) fn first_inputs(inputs: &[Arc<DataFile>], wanted: usize) -> usize {
    let stands_alone = |count: &usize| !is_divided(&inputs[..*count], inputs[*count..].iter());
    let wanted = wanted.clamp(2.min(inputs.len()), inputs.len());
    let fewer = (2..=wanted).rev().find(stands_alone);
    fewer.or_else(|| (wanted..=inputs.len()).find(stands_alone)).unwrap_or(inputs.len())
}

/// Whether one of `others`, none of which is an input, lies between the inputs.
pub(super) fn is_divided<'a>(inputs: &[Arc<DataFile>], mut others: impl Iterator<Item = &'a Arc<DataFile>>) -> bool {
    let Some((time, sequence)) = hull(inputs) else { return false };
    others.any(|file| file.time.overlaps(time) && file.sequence.lo <= sequence.hi && sequence.lo <= file.sequence.hi)
}
