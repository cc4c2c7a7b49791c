//! Which of a writer's flushes were committed: intervals that follow each other without a gap.
//!
//! Flushes of a table are committed in order, each starting at the watermark plus one. So the committed ones are a
//! walk from the base's watermark that passes through every flush that is proven and reaches as far as it can;
//! complete uploads that the walk does not need were never committed, or hold the rows of some that were.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::lineage::{Attempt, Candidate};

/// The flushes of one writer that count.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Walk {
    /// The flushes, in order.
    pub(crate) chosen: Vec<Attempt>,
    /// Where the walk ends; none if there is neither a watermark nor a flush.
    pub(crate) end: Option<u64>,
}

/// What can be reached from an interval's start: proven flushes on the way, and the last sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Reach {
    proven: usize,
    end: u64,
}

/// Walks from the watermark; without one from the lowest start: where no checkpoint is left, what came before it may
/// have expired.
///
/// An error names a proven flush that no walk reaches.
pub(crate) fn walk(candidates: &[Candidate], watermark: Option<u64>) -> Result<Walk, Attempt> {
    let after = watermark.unwrap_or(0);
    let sound = |attempt: &Attempt| attempt.lo <= attempt.hi && attempt.hi < u64::MAX;
    let later: Vec<&Candidate> =
        candidates.iter().filter(|candidate| candidate.attempt.lo > after && sound(&candidate.attempt)).collect();
    let proven: Vec<Attempt> =
        later.iter().filter(|candidate| candidate.proven).map(|candidate| candidate.attempt).collect();
    let table = reach(&later);
    let best = |start: u64| table.get(&start).map_or(0, |(reach, _)| reach.proven);
    let start = match watermark {
        Some(watermark) => watermark + 1,
        None => {
            let lowest = table.keys().next().copied().unwrap_or(1);
            table.keys().copied().find(|start| best(*start) == proven.len()).unwrap_or(lowest)
        }
    };
    let mut chosen = Vec::new();
    let mut next = start;
    while let Some((_, attempt)) = table.get(&next) {
        chosen.push(*attempt);
        next = attempt.hi + 1;
    }
    match proven.iter().find(|attempt| !chosen.contains(attempt)) {
        Some(lost) => Err(*lost),
        None => Ok(Walk { end: chosen.last().map(|attempt| attempt.hi).or(watermark), chosen }),
    }
}

/// For each start, the flush to take there and how far one gets.
fn reach(candidates: &[&Candidate]) -> BTreeMap<u64, (Reach, Attempt)> {
    let mut sorted = candidates.to_vec();
    // From the back, so that what follows an interval is known when it is looked at.
    sorted.sort_by_key(|candidate| Reverse(candidate.attempt.lo));
    let mut table: BTreeMap<u64, (Reach, Attempt)> = BTreeMap::new();
    for Candidate { attempt, proven } in sorted {
        let rest = table.get(&(attempt.hi + 1)).map_or(Reach { proven: 0, end: attempt.hi }, |(reach, _)| *reach);
        let reach = Reach { proven: rest.proven + usize::from(*proven), end: rest.end };
        if table.get(&attempt.lo).is_none_or(|(known, _)| *known < reach) {
            table.insert(attempt.lo, (reach, *attempt));
        }
    }
    table
}

#[cfg(test)]
mod tests;
