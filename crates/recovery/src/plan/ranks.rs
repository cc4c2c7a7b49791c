//! The order of rows in the rebuilt table: which commit's sequence each file gets.
//!
//! The base's files keep theirs. Later flushes rank after the base by the time of their ids, their writer and
//! their interval, because the commits that would tell are lost. Flushes that one merge holds together stay
//! together, and directly after the base if it holds a file of the base too, so that its span of sequences encloses
//! no other flush.

use std::collections::{BTreeMap, HashMap, HashSet};

use gigapi_catalog::TableExport;
use gigapi_model::{FileId, NewFile, SequenceRange, Timestamp, WriterId};
use gigapi_storage::Origin;

use super::lineage::{Attempt, Leaf, Lineage};
use super::{Found, Pick};

/// When a flush was uploaded, then whose, then which.
type Age = (Timestamp, Attempt);

/// Flushes that one merge holds together.
struct Group {
    flushes: Vec<Attempt>,
    /// It holds a file of the base too.
    has_base: bool,
}

/// Appends the picked found files with their sequences; answers the table's version.
pub(crate) fn rank(
    base: Option<&TableExport>,
    found: &[&Found],
    lineage: &Lineage,
    chosen: &HashSet<Attempt>,
    picked: &[Pick],
    files: &mut Vec<NewFile>,
) -> u64 {
    let held = |found: &Found| lineage.leaves(found.file.id).ok();
    let picked: Vec<&Found> = picked
        .iter()
        .filter_map(|pick| match pick {
            Pick::Found(index) => found.get(*index).copied(),
            Pick::Base(_) => None,
        })
        .collect();
    let groups = picked.iter().filter_map(|found| held(found)).map(|leaves| Group {
        flushes: leaves
            .iter()
            .filter_map(|leaf| match leaf {
                Leaf::Part(attempt, _) => Some(*attempt),
                Leaf::Base(_) | Leaf::Past(_) => None,
            })
            .collect(),
        has_base: leaves.iter().any(|leaf| matches!(leaf, Leaf::Base(_))),
    });
    let first = base.map_or(0, |base| base.version) + 1;
    let order = order(&ages(found, chosen), groups);
    let sequences: HashMap<Attempt, u64> = order.into_iter().zip(first..).collect();
    let of_base: HashMap<FileId, SequenceRange> =
        base.iter().flat_map(|base| &base.files).map(|new| (new.file.id, new.file.sequence)).collect();
    for found in picked {
        let ranges = held(found).into_iter().flatten().filter_map(|leaf| match leaf {
            Leaf::Base(file) | Leaf::Past(file) => of_base.get(file).copied(),
            Leaf::Part(attempt, _) => {
                sequences.get(attempt).map(|sequence| SequenceRange { lo: *sequence, hi: *sequence })
            }
        });
        let span = ranges.reduce(|a, b| SequenceRange { lo: a.lo.min(b.lo), hi: a.hi.max(b.hi) });
        let mut file = found.file.clone();
        file.sequence = span.unwrap_or(SequenceRange { lo: first, hi: first });
        files.push(NewFile { file, statistics: found.statistics.clone() });
    }
    let merged = found.iter().map(|found| match &found.facts.origin {
        Origin::Merge { sequence, .. } => sequence.hi,
        Origin::Flush { .. } => 0,
    });
    // Above every version that a file or a checkpoint remembers, one more for the rebuild itself.
    let ranked = files.iter().map(|new| new.file.sequence.hi);
    ranked.chain(merged).fold(first - 1, u64::max) + 1
}

/// When each chosen flush was uploaded: the time of its earliest file, but no earlier than the flushes of the same
/// writer before it, because those may have been uploaded again after a crash.
fn ages(found: &[&Found], chosen: &HashSet<Attempt>) -> BTreeMap<Attempt, Timestamp> {
    let mut ages: BTreeMap<Attempt, Timestamp> = chosen.iter().map(|attempt| (*attempt, Timestamp::MAX)).collect();
    for found in found {
        if let Origin::Flush { writer, lo, hi, parts, .. } = found.facts.origin
            && let Some(age) = ages.get_mut(&Attempt { writer, lo, hi, parts })
        {
            *age = found.file.id.minted_at().min(*age);
        }
    }
    // Flushes are in the order of their writer, then of their interval.
    let mut last: Option<(WriterId, Timestamp)> = None;
    for (attempt, age) in &mut ages {
        if let Some((writer, before)) = last
            && writer == attempt.writer
        {
            *age = before.max(*age);
        }
        last = Some((attempt.writer, *age));
    }
    ages
}

/// Flushes by age, those of one group in a row at the place of its oldest; groups with files of the base first.
fn order(ages: &BTreeMap<Attempt, Timestamp>, groups: impl Iterator<Item = Group>) -> Vec<Attempt> {
    let age = |attempt: &Attempt| -> Age { (ages.get(attempt).copied().unwrap_or(Timestamp::MAX), *attempt) };
    let mut leaders: HashMap<Attempt, Attempt> = ages.keys().map(|attempt| (*attempt, *attempt)).collect();
    let mut with_base = Vec::new();
    for group in groups {
        with_base.extend(group.flushes.first().filter(|_| group.has_base).copied());
        for pair in group.flushes.windows(2) {
            let (a, b) = (leader(&leaders, pair[0]), leader(&leaders, pair[1]));
            let (older, younger) = if age(&a) <= age(&b) { (a, b) } else { (b, a) };
            leaders.insert(younger, older);
        }
    }
    let first: HashSet<Attempt> = with_base.into_iter().map(|attempt| leader(&leaders, attempt)).collect();
    let mut order: Vec<Attempt> = ages.keys().copied().collect();
    order.sort_by_key(|attempt| {
        let leader = leader(&leaders, *attempt);
        (!first.contains(&leader), age(&leader), age(attempt))
    });
    order
}

/// The oldest flush of the group.
fn leader(leaders: &HashMap<Attempt, Attempt>, attempt: Attempt) -> Attempt {
    let mut at = attempt;
    while let Some(next) = leaders.get(&at)
        && *next != at
    {
        at = *next;
    }
    at
}
