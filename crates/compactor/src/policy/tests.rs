use std::collections::HashMap;

use gigapi_model::{BucketSpan, SequenceRange, TimeRange};
use proptest::prelude::*;
use uuid::Uuid;

use super::*;

mod examples;
mod simulated;

const SECOND: i64 = 1_000_000_000;
const HOUR: i64 = 3600 * SECOND;
const DAY: i64 = 24 * HOUR;
/// 2025-04-10T00:00:00Z.
const START: i64 = 1_744_243_200 * SECOND;

fn at(nanos: i64) -> Timestamp {
    Timestamp::from_nanos(nanos)
}

fn layer(name: &str) -> LayerName {
    LayerName::new(name).expect("a plain name")
}

/// An id that was minted then.
fn minted(nanos: i64, number: u128) -> FileId {
    let millis = u128::try_from(nanos / 1_000_000).expect("a time after 1970");
    FileId::from_uuid(Uuid::from_u128(millis << 80 | 0x7000 << 64 | 0x8000 << 48 | number))
}

/// Files of one table and what becomes of them.
#[derive(Debug, Clone)]
struct World {
    files: Vec<Arc<DataFile>>,
    settings: MergeSettings,
    ttl_min: Option<Duration>,
    now: i64,
    minted: u128,
    sequence: u64,
    flushed_bytes: u64,
    /// Bytes that merges wrote, by reason.
    merged_bytes: HashMap<Reason, u64>,
    passes: usize,
}

impl World {
    fn new() -> Self {
        Self {
            files: Vec::new(),
            settings: MergeSettings::new(Duration::from_secs(10)),
            ttl_min: None,
            now: START,
            minted: 0,
            sequence: 0,
            flushed_bytes: 0,
            merged_bytes: HashMap::new(),
            passes: 0,
        }
    }

    fn id(&mut self) -> FileId {
        self.minted += 1;
        minted(self.now, self.minted)
    }

    /// A commit of one file with rows from `min` to `max`, in the bucket of that span.
    fn flush(&mut self, min: i64, max: i64, span: BucketSpan, bytes: u64) {
        self.sequence += 1;
        let file = DataFile {
            id: self.id(),
            level: Level::FLUSHED,
            layer: layer("hot"),
            bucket: Bucket::containing(at(min), span),
            rows: bytes / 10,
            bytes,
            time: TimeRange::new(at(min), at(max)),
            sequence: SequenceRange { lo: self.sequence, hi: self.sequence },
            checksum: 0,
            tail_bytes: 0,
        };
        assert!(file.bucket.range().contains(file.time.max), "a file's rows lie in its bucket");
        self.flushed_bytes += bytes;
        self.files.push(Arc::new(file));
    }

    fn plan(&self, held: &HashSet<FileId>) -> Plan {
        let state = TableState { files: &self.files, held, merging: Some(&self.settings), ttl_min: self.ttl_min };
        plan(&state, at(self.now))
    }

    /// Plans, checks the plan and makes every merge. Answers how many there were.
    fn pass(&mut self) -> usize {
        let plan = self.plan(&HashSet::new());
        check(&plan, &self.files, &HashSet::new(), &self.settings, self.ttl_min);
        self.passes += 1;
        let count = plan.merges.len();
        for merge in plan.merges {
            self.make(&merge);
        }
        count
    }

    fn make(&mut self, merge: &MergePlan) {
        let (time, sequence) = group::hull(&merge.inputs).expect("a merge has inputs");
        let file = DataFile {
            id: self.id(),
            level: merge.level,
            layer: merge.layer.clone(),
            bucket: merge.bucket,
            rows: merge.rows(),
            bytes: merge.bytes(),
            time,
            sequence,
            checksum: 0,
            tail_bytes: 0,
        };
        *self.merged_bytes.entry(merge.reason).or_default() += file.bytes;
        let inputs: HashSet<FileId> = merge.inputs.iter().map(|file| file.id).collect();
        self.files.retain(|file| !inputs.contains(&file.id));
        self.files.push(Arc::new(file));
    }

    /// Passes until nothing is due now.
    fn settle(&mut self) {
        for _ in 0..20 {
            if self.pass() == 0 {
                return;
            }
        }
        panic!("no end after 20 passes: {} files", self.files.len());
    }

    /// Lets time pass from one due moment to the next, as a compactor that sleeps would, to the end of `span`.
    fn sleep(&mut self, span: i64) {
        let end = self.now + span;
        loop {
            self.settle();
            match self.plan(&HashSet::new()).next_due {
                Some(due) if due.nanos() < end => self.now = due.nanos() + 1,
                _ => break,
            }
        }
        self.now = end;
        self.settle();
    }
}

/// What holds for every plan.
fn check(
    plan: &Plan,
    files: &[Arc<DataFile>],
    held: &HashSet<FileId>,
    settings: &MergeSettings,
    ttl_min: Option<Duration>,
) {
    let mut taken: HashSet<FileId> = HashSet::new();
    for merge in &plan.merges {
        assert!((2..=INPUTS_MAX).contains(&merge.inputs.len()), "{} inputs", merge.inputs.len());
        assert!(merge.bytes() <= settings.bytes_max[2], "past the cap");
        assert!(merge.inputs.is_sorted_by_key(|file| (file.sequence.hi, file.sequence.lo)), "oldest first");
        for input in &merge.inputs {
            assert!(files.iter().any(|file| file == input), "inputs are live");
            assert!(taken.insert(input.id), "no file is merged twice");
            assert!(!held.contains(&input.id), "nobody else works on it");
            assert_eq!(input.layer, merge.layer, "on one layer");
            let (inner, outer) = (input.bucket.range(), merge.bucket.range());
            assert!(outer.contains(inner.min) && outer.contains(inner.max), "rows stay in their bucket");
            assert!(input.level <= merge.level, "levels do not fall");
        }
        let grows = merge.inputs.iter().any(|file| file.bucket != merge.bucket);
        assert_eq!(grows, merge.reason == Reason::Join);
        let is_longer = merge.inputs.iter().all(|file| file.bucket != merge.bucket);
        if is_longer {
            let range = merge.bucket.range();
            let length = range.max.nanos() - range.min.nanos();
            assert!(ttl_min.is_none_or(|ttl| length as u128 * 10 <= ttl.as_nanos()), "a tenth of the ttl");
        }
        for wanted in 0..=merge.inputs.len() {
            let kept = first_inputs(&merge.inputs, wanted);
            assert!(kept >= 2, "one file is no merge");
            let kept = &merge.inputs[..kept];
            let others = files.iter().filter(|file| kept.iter().all(|input| input.id != file.id));
            assert!(!group::is_divided(kept, others), "all or none of what lies between, also where some are left out");
        }
    }
}
