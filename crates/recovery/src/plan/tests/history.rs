//! Random histories: writers that crash between upload and commit, merges that are and are not committed, late
//! outputs of lost epochs, checkpoints, deletion of what is buried, and losses of the catalog in between. After
//! every rebuild each writer's rows up to its watermark are in the live files exactly once, and no watermark fell.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

/// A row: whose it is, and its sequence.
type Row = (WriterId, u64);

struct Object {
    found: Found,
    rows: Vec<Row>,
}

#[derive(Default)]
struct Log {
    epoch: u64,
    /// The last sequence written, and the last that is cut into a flush.
    last: u64,
    cut: u64,
    /// Uploaded and waiting for their commit: interval and files.
    pending: Vec<(u64, u64, Vec<FileId>)>,
}

struct World {
    table: Arc<TableDef>,
    now: u64,
    epoch: u64,
    version: u64,
    objects: BTreeMap<FileId, Object>,
    live: BTreeMap<FileId, SequenceRange>,
    watermarks: HashMap<WriterId, u64>,
    /// Files with the version at which they were buried.
    graves: Vec<(FileId, u64)>,
    base: Option<TableExport>,
    logs: BTreeMap<WriterId, Log>,
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Write,
    Flush { to: u8, crash_after: u8 },
    Commit,
    Crash,
    Merge { first: u8, count: u8, commit: bool },
    Late { lo: u8, length: u8 },
    Checkpoint,
    Bury,
    Lose,
}

fn steps() -> impl Strategy<Value = Vec<(bool, Step)>> {
    let step = prop_oneof![
        6 => Just(Step::Write),
        6 => (any::<u8>(), any::<u8>()).prop_map(|(to, crash_after)| Step::Flush { to, crash_after }),
        8 => Just(Step::Commit),
        2 => Just(Step::Crash),
        5 => (any::<u8>(), 1_u8..5, any::<bool>())
            .prop_map(|(first, count, commit)| Step::Merge { first, count, commit }),
        1 => (1_u8..40, 0_u8..5).prop_map(|(lo, length)| Step::Late { lo, length }),
        2 => Just(Step::Checkpoint),
        3 => Just(Step::Bury),
        1 => Just(Step::Lose),
    ];
    proptest::collection::vec((any::<bool>(), step), 1..120)
}

/// Rows go to two parts by their sequence.
fn part_of(seq: u64) -> u64 {
    seq * 7 / 3 % 2
}

impl World {
    fn new() -> Self {
        let logs = [1, 2].map(|number| (writer(number), Log { epoch: 1, ..Log::default() }));
        Self {
            table: table(1, "cpu"),
            now: 0,
            epoch: 1,
            version: 1,
            objects: BTreeMap::new(),
            live: BTreeMap::new(),
            watermarks: HashMap::new(),
            graves: Vec::new(),
            base: None,
            logs: logs.into(),
        }
    }

    fn upload(&mut self, epoch: u64, origin: Origin, rows: Vec<Row>) -> FileId {
        self.now += 1;
        let found = found(&self.table, self.now, epoch, origin);
        let id = found.file.id;
        self.objects.insert(id, Object { found, rows });
        id
    }

    /// Uploads the parts of an interval, at most `parts_max` of them; answers the files and whether all are there.
    fn upload_flush(&mut self, of: WriterId, epoch: u64, (lo, hi): (u64, u64), parts_max: u8) -> (Vec<FileId>, bool) {
        let writer_epoch = self.logs[&of].epoch;
        let groups: Vec<Vec<Row>> = [0, 1]
            .map(|part| (lo..=hi).filter(|seq| part_of(*seq) == part).map(|seq| (of, seq)).collect::<Vec<_>>())
            .into_iter()
            .filter(|rows| !rows.is_empty())
            .collect();
        let parts = u32::try_from(groups.len()).unwrap();
        let mut files = Vec::new();
        for (part, rows) in (0..parts).zip(groups).take(usize::from(parts_max)) {
            let origin = Origin::Flush { writer: of, writer_epoch, lo, hi, part, parts };
            files.push(self.upload(epoch, origin, rows));
        }
        let all = u32::try_from(files.len()).unwrap() == parts;
        (files, all)
    }

    fn flush(&mut self, of: WriterId, to: u8, crash_after: u8) {
        let log = &self.logs[&of];
        if log.last == log.cut {
            return;
        }
        let lo = log.cut + 1;
        let hi = lo + u64::from(to) % (log.last - log.cut);
        let parts_max = if crash_after < 40 { crash_after % 2 } else { 2 };
        let (files, all) = self.upload_flush(of, self.epoch, (lo, hi), parts_max);
        if all {
            let log = self.logs.get_mut(&of).unwrap();
            log.cut = hi;
            log.pending.push((lo, hi, files));
        } else {
            self.crash(of);
        }
    }

    /// What was uploaded stays; the log is cut anew from the watermark.
    fn crash(&mut self, of: WriterId) {
        let watermark = self.watermarks.get(&of).copied().unwrap_or(0);
        let log = self.logs.get_mut(&of).unwrap();
        log.epoch += 1;
        log.pending.clear();
        log.cut = watermark;
    }

    fn commit(&mut self, of: WriterId) {
        let log = self.logs.get_mut(&of).unwrap();
        if log.pending.is_empty() {
            return;
        }
        let (lo, hi, files) = log.pending.remove(0);
        assert_eq!(lo, self.watermarks.get(&of).copied().unwrap_or(0) + 1);
        self.version += 1;
        self.watermarks.insert(of, hi);
        self.live.extend(files.into_iter().map(|file| (file, SequenceRange { lo: self.version, hi: self.version })));
    }

    /// Merges a run of files that nothing stands between.
    fn merge(&mut self, first: u8, count: u8, commit: bool) {
        let mut by_sequence: Vec<(SequenceRange, FileId)> = self.live.iter().map(|(id, range)| (*range, *id)).collect();
        by_sequence.sort_by_key(|(range, id)| (range.lo, range.hi, *id));
        if by_sequence.is_empty() {
            return;
        }
        let start = usize::from(first) % by_sequence.len();
        let inputs: Vec<_> = by_sequence.into_iter().skip(start).take(usize::from(count)).collect();
        let lo = inputs.iter().map(|(range, _)| range.lo).min().unwrap();
        let hi = inputs.iter().map(|(range, _)| range.hi).max().unwrap();
        let rows = inputs.iter().flat_map(|(_, id)| self.objects[id].rows.clone()).collect();
        let source = |(sequence, file): &(SequenceRange, FileId)| MergeSource { file: *file, sequence: *sequence };
        let sources = inputs.iter().map(source).collect();
        let sequence = SequenceRange { lo, hi };
        let output = self.upload(self.epoch, Origin::Merge { sequence, sources }, rows);
        if commit {
            self.version += 1;
            for (_, id) in inputs {
                self.live.remove(&id);
                self.graves.push((id, self.version));
            }
            self.live.insert(output, sequence);
        }
    }

    fn export(&self) -> TableExport {
        let files = self.live.iter().map(|(id, sequence)| {
            let found = &self.objects[id].found;
            NewFile { file: DataFile { sequence: *sequence, ..found.file.clone() }, statistics: vec![] }
        });
        TableExport {
            epoch: self.epoch,
            table: self.table.clone(),
            version: self.version,
            files: files.collect(),
            watermarks: self.watermarks.clone(),
        }
    }

    /// Buried files go once a checkpoint is newer than their burial.
    fn bury(&mut self) {
        let Some(base) = &self.base else { return };
        let (epoch, version) = (base.epoch, base.version);
        let (gone, kept): (Vec<_>, Vec<_>) =
            self.graves.drain(..).partition(|(_, buried)| epoch == self.epoch && version >= *buried);
        self.graves = kept;
        for (id, _) in gone {
            self.objects.remove(&id);
        }
    }

    fn lose(&mut self) -> Result<(), TestCaseError> {
        let of_base: HashSet<FileId> = self.base.iter().flat_map(live).collect();
        let all = || self.objects.values().map(|object| &object.found);
        let present = all().filter(|found| of_base.contains(&found.file.id));
        let present: Vec<&Found> = present.collect();
        let found: Vec<&Found> = all().filter(|found| !of_base.contains(&found.file.id)).collect();
        let planned = plan_table(self.base.as_ref(), None, &super::present(&present), &found)
            .map_err(|error| TestCaseError::fail(error.to_string()))?;
        let Some(planned) = planned else {
            prop_assert!(self.watermarks.is_empty());
            return Ok(());
        };
        self.check(&planned)?;
        self.epoch += 1;
        self.version = planned.version;
        self.watermarks = planned.watermarks.clone();
        self.live = planned.files.iter().map(|new| (new.file.id, new.file.sequence)).collect();
        self.base = Some(TableExport { epoch: self.epoch, ..planned });
        self.graves.clear();
        for of in [1, 2].map(writer) {
            self.crash(of);
        }
        Ok(())
    }

    fn check(&self, planned: &TableExport) -> Result<(), TestCaseError> {
        let mut rows: BTreeMap<Row, usize> = BTreeMap::new();
        for id in live(planned) {
            let object = self.objects.get(&id);
            prop_assert!(object.is_some(), "a live file has no object");
            object.iter().flat_map(|object| &object.rows).for_each(|row| *rows.entry(*row).or_default() += 1);
        }
        let mut expected = BTreeMap::new();
        for (of, watermark) in &planned.watermarks {
            expected.extend((1..=*watermark).map(|seq| ((*of, seq), 1)));
        }
        prop_assert_eq!(rows, expected, "rows are lost or doubled");
        for (of, watermark) in &self.watermarks {
            prop_assert!(planned.watermarks.get(of) >= Some(watermark), "a watermark fell");
        }
        let highest = planned.files.iter().map(|new| new.file.sequence.hi).max().unwrap_or(0);
        prop_assert!(planned.version > highest);
        Ok(())
    }

    fn step(&mut self, of: WriterId, step: Step) -> Result<(), TestCaseError> {
        match step {
            Step::Write => self.logs.get_mut(&of).unwrap().last += 3,
            Step::Flush { to, crash_after } => self.flush(of, to, crash_after),
            Step::Commit => self.commit(of),
            Step::Crash => self.crash(of),
            Step::Merge { first, count, commit } => self.merge(first, count, commit),
            Step::Late { lo, length } if self.epoch > 1 => {
                let lo = u64::from(lo);
                self.upload_flush(of, self.epoch - 1, (lo, lo + u64::from(length)), 2);
            }
            Step::Late { .. } => {}
            Step::Checkpoint => self.base = Some(self.export()),
            Step::Bury => self.bury(),
            Step::Lose => self.lose()?,
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(ProptestConfig::default().cases.max(400)))]
    #[test]
    fn no_history_loses_or_doubles_a_row(steps in steps()) {
        let mut world = World::new();
        for (second, step) in steps {
            world.step(writer(if second { 2 } else { 1 }), step)?;
        }
        world.lose()?;
    }
}
