//! Plans on made-up finds, and on random histories of a whole installation.

mod history;

use gigapi_model::{
    Bucket, BucketSpan, CatalogId, DatabaseName, Ids, Level, SequenceRange, SystemIds, TableKey, TableName, TimeRange,
    Timestamp,
};
use gigapi_storage::{MergeSource, Origin};
use uuid::Uuid;

use super::*;

const START: Timestamp = Timestamp::from_millis(1_744_268_400_000);

fn table(number: u128, name: &str) -> Arc<TableDef> {
    let id = TableId::from_uuid(Uuid::from_u128(number));
    let (database, name) = (DatabaseName::new("db").unwrap(), TableName::new(name).unwrap());
    Arc::new(TableDef::new(id, database, name, TableKey::None).unwrap())
}

fn writer(number: u128) -> WriterId {
    WriterId::from_uuid(Uuid::from_u128(number))
}

/// A file whose id was minted `seconds` after the start.
fn found(table: &Arc<TableDef>, seconds: u64, epoch: u64, origin: Origin) -> Found {
    let at = START.plus(std::time::Duration::from_secs(seconds));
    let bucket = Bucket::containing(START, BucketSpan::Hour);
    let sequence = match &origin {
        Origin::Merge { sequence, .. } => *sequence,
        Origin::Flush { .. } => SequenceRange { lo: 0, hi: 0 },
    };
    Found {
        file: DataFile {
            id: SystemIds.file_id(at),
            level: Level::FLUSHED,
            layer: LayerName::new("hot").unwrap(),
            bucket,
            rows: 1,
            bytes: 100,
            time: TimeRange::new(START, at),
            sequence,
            checksum: 1,
            tail_bytes: 10,
        },
        statistics: vec![1],
        facts: FileFacts {
            catalog: CatalogId::from_uuid(Uuid::from_u128(42)),
            catalog_epoch: epoch,
            bucket,
            created_at: at,
            origin,
        },
        table: table.clone(),
    }
}

fn flush(lo: u64, hi: u64, part: u32, parts: u32) -> Origin {
    Origin::Flush { writer: writer(1), writer_epoch: 1, lo, hi, part, parts }
}

fn merge(lo: u64, hi: u64, sources: &[&Found]) -> Origin {
    let sources = sources.iter().map(|source| MergeSource { file: source.file.id, sequence: SequenceRange { lo, hi } });
    let sources = sources.collect();
    Origin::Merge { sequence: SequenceRange { lo, hi }, sources }
}

fn base(table: &Arc<TableDef>, version: u64, watermark: u64, files: &[&Found]) -> TableExport {
    let files = files.iter().enumerate().map(|(index, found)| {
        let mut file = found.file.clone();
        let sequence = u64::try_from(index).unwrap() + 2;
        file.sequence = SequenceRange { lo: sequence, hi: sequence };
        NewFile { file, statistics: found.statistics.clone() }
    });
    TableExport {
        epoch: 1,
        table: table.clone(),
        version,
        files: files.collect(),
        watermarks: HashMap::from([(writer(1), watermark)]),
    }
}

fn present(files: &[&Found]) -> HashMap<FileId, LayerName> {
    files.iter().map(|found| (found.file.id, found.file.layer.clone())).collect()
}

fn live(export: &TableExport) -> Vec<FileId> {
    export.files.iter().map(|new| new.file.id).collect()
}

#[test]
fn without_a_checkpoint_footers_tell_all() {
    let table = table(1, "cpu");
    let first = [found(&table, 0, 1, flush(3, 5, 0, 2)), found(&table, 0, 1, flush(3, 5, 1, 2))];
    let second = found(&table, 9, 1, flush(6, 6, 0, 1));
    let half = found(&table, 12, 1, flush(7, 8, 0, 2));
    let all = [&first[0], &first[1], &second, &half];
    let plan = plan_table(None, None, &HashMap::new(), &all).unwrap().unwrap();
    assert_eq!(plan.watermarks, HashMap::from([(writer(1), 6)]));
    assert_eq!(plan.files.len(), 3);
    let sequences: HashMap<FileId, u64> = plan.files.iter().map(|new| (new.file.id, new.file.sequence.hi)).collect();
    assert_eq!(sequences[&first[0].file.id], sequences[&first[1].file.id]);
    assert!(sequences[&first[0].file.id] < sequences[&second.file.id]);
    assert!(plan.version > sequences[&second.file.id]);
    assert!(plan_table(None, None, &HashMap::new(), &[]).unwrap().is_none());
}

#[test]
fn later_flushes_rank_after_the_checkpoint_and_older_epochs_are_out() {
    let table = table(1, "cpu");
    let old = found(&table, 0, 1, flush(1, 4, 0, 1));
    let new = found(&table, 5, 1, flush(5, 9, 0, 1));
    let mut base = base(&table, 7, 4, &[&old]);
    let plan = plan_table(Some(&base), None, &present(&[&old]), &[&new]).unwrap().unwrap();
    let sequences: Vec<_> = plan.files.iter().map(|new| new.file.sequence.lo).collect();
    assert_eq!((sequences, plan.watermarks[&writer(1)]), (vec![2, 8], 9));
    assert!(plan.version > 8);
    base.epoch = 2;
    let plan = plan_table(Some(&base), None, &present(&[&old]), &[&new]).unwrap().unwrap();
    assert_eq!((live(&plan), plan.watermarks[&writer(1)]), (vec![old.file.id], 4));
}

#[test]
fn a_merge_stands_for_what_is_gone_and_proves_its_flushes() {
    let table = table(1, "cpu");
    let kept = found(&table, 0, 1, flush(1, 4, 0, 1));
    let flushed = found(&table, 5, 1, flush(5, 9, 0, 1));
    let merged = found(&table, 8, 1, merge(2, 8, &[&kept, &flushed]));
    let base = base(&table, 7, 4, &[&kept]);
    let plan = plan_table(Some(&base), None, &HashMap::new(), &[&flushed, &merged]).unwrap().unwrap();
    assert_eq!((live(&plan), plan.watermarks[&writer(1)]), (vec![merged.file.id], 9));
    assert_eq!(plan.files[0].file.sequence, SequenceRange { lo: 2, hi: 8 });
    // With all inputs there either choice is right, but only one of them.
    let plan = plan_table(Some(&base), None, &present(&[&kept]), &[&flushed, &merged]).unwrap().unwrap();
    assert!(live(&plan) == [merged.file.id] || plan.files.len() == 2);
}

#[test]
fn what_is_missing_is_named() {
    let table = table(1, "cpu");
    let kept = found(&table, 0, 1, flush(1, 4, 0, 1));
    let base = base(&table, 7, 4, &[&kept]);
    let gone = plan_table(Some(&base), None, &HashMap::new(), &[]).unwrap_err();
    assert_eq!(gone, PlanError::FileGone { table: "db.cpu".to_owned(), file: kept.file.id });

    let lost = found(&table, 1, 1, flush(5, 5, 0, 1));
    let merged = found(&table, 2, 1, merge(8, 9, &[&lost]));
    let error = plan_table(Some(&base), None, &present(&[&kept]), &[&merged]).unwrap_err();
    assert!(matches!(error, PlanError::LineageLost { source_file, .. } if source_file == lost.file.id), "{error}");
    // The same of rows that the checkpoint holds in another file is a leftover.
    let leftover = found(&table, 2, 1, merge(2, 7, &[&lost]));
    assert_eq!(
        live(&plan_table(Some(&base), None, &present(&[&kept]), &[&leftover]).unwrap().unwrap()),
        [kept.file.id]
    );

    // One of a later epoch is not, whatever its sequence: versions begin where the rebuild left them.
    let later = found(&table, 2, 2, merge(2, 7, &[&lost]));
    let error = plan_table(Some(&base), None, &present(&[&kept]), &[&later]).unwrap_err();
    assert!(matches!(error, PlanError::LineageLost { source_file, .. } if source_file == lost.file.id), "{error}");

    let part = found(&table, 3, 1, flush(5, 9, 0, 2));
    let proof = found(&table, 4, 1, merge(8, 8, &[&part]));
    let error = plan_table(Some(&base), None, &present(&[&kept]), &[&part, &proof]).unwrap_err();
    assert!(matches!(error, PlanError::PartGone { lo: 5, hi: 9, part: 1, .. }), "{error}");

    let far = found(&table, 5, 1, flush(8, 9, 0, 1));
    let proof = found(&table, 6, 1, merge(8, 8, &[&far]));
    let error = plan_table(Some(&base), None, &present(&[&kept]), &[&far, &proof]).unwrap_err();
    assert!(matches!(error, PlanError::Unreachable { lo: 8, hi: 9, .. }), "{error}");
}

#[test]
fn a_merge_that_names_itself_is_no_lineage() {
    let table = table(1, "cpu");
    let mut merged = found(&table, 0, 1, merge(1, 1, &[]));
    merged.facts.origin = merge(1, 1, &[&merged]);
    let error = plan_table(None, None, &HashMap::new(), &[&merged]).unwrap_err();
    assert!(matches!(error, PlanError::LineageLost { .. }), "{error}");
}

#[test]
fn repeated_uploads_of_one_part_count_once() {
    let table = table(1, "cpu");
    let once = found(&table, 0, 1, flush(1, 4, 0, 1));
    let again = found(&table, 2, 1, flush(1, 4, 0, 1));
    let plan = plan_table(None, None, &HashMap::new(), &[&once, &again]).unwrap().unwrap();
    assert_eq!((plan.files.len(), plan.watermarks[&writer(1)]), (1, 4));
}

#[test]
fn the_latest_definition_wins_wherever_it_is() {
    let table = table(1, "cpu");
    let mut extended = (*table).clone();
    extended.revision = 5;
    let extended = Arc::new(extended);
    let old = found(&table, 0, 1, flush(1, 4, 0, 1));
    let new = found(&extended, 5, 1, flush(9, 9, 0, 1));
    let base = base(&table, 7, 4, &[&old]);
    let plan = plan_table(Some(&base), None, &present(&[&old]), &[&new]).unwrap().unwrap();
    assert_eq!((plan.table.revision, plan.files.len()), (5, 1));
}

#[test]
fn flushes_of_one_writer_rank_by_their_interval() {
    let table = table(1, "cpu");
    // The later interval was uploaded before a crash, the earlier one again after it.
    let later = found(&table, 2, 1, flush(4, 6, 0, 1));
    let earlier = found(&table, 10, 1, flush(1, 3, 0, 1));
    let plan = plan_table(None, None, &HashMap::new(), &[&later, &earlier]).unwrap().unwrap();
    let of = |found: &Found| plan.files.iter().find(|new| new.file.id == found.file.id).unwrap().file.sequence.lo;
    assert!(of(&earlier) < of(&later));
}

#[test]
fn merged_flushes_rank_together() {
    let table = table(1, "cpu");
    let origin = |number, lo| Origin::Flush { writer: writer(number), writer_epoch: 1, lo, hi: lo, part: 0, parts: 1 };
    let [a, b, c] = [(1, 0), (2, 5), (1, 9)].map(|(number, at)| found(&table, at, 1, origin(number, at + 1)));
    let merged = found(&table, 20, 1, merge(2, 4, &[&a, &c]));
    let (a, c) = (found(&table, 0, 1, a.facts.origin.clone()), found(&table, 9, 1, c.facts.origin.clone()));
    // Writer 1 has 1..=1 and 10..=10 only, so its walk needs one interval in between.
    let filler =
        found(&table, 6, 1, Origin::Flush { writer: writer(1), writer_epoch: 1, lo: 2, hi: 9, part: 0, parts: 1 });
    let sources = merge(2, 4, &[&a, &c]);
    let merged = Found { facts: FileFacts { origin: sources, ..merged.facts.clone() }, ..merged };
    let plan = plan_table(None, None, &HashMap::new(), &[&a, &b, &c, &filler, &merged]).unwrap().unwrap();
    let of = |found: &Found| plan.files.iter().find(|new| new.file.id == found.file.id).map(|new| new.file.sequence);
    if let Some(span) = of(&merged) {
        assert_eq!(span.hi, span.lo + 1, "another flush lies inside the merge's span");
        assert!(of(&b).unwrap().lo > span.hi);
    }
}

/// A file of the base, a flush of writer 1 that was uploaded first, one of writer 2 that was committed first, and a
/// merge of the base's file and the latter.
fn late_commit(table: &Arc<TableDef>) -> ([Found; 4], TableExport) {
    let origin = |number| Origin::Flush { writer: writer(number), writer_epoch: 1, lo: 5, hi: 5, part: 0, parts: 1 };
    let kept = found(table, 0, 1, flush(1, 4, 0, 1));
    let (uploaded_first, committed_first) = (found(table, 5, 1, origin(1)), found(table, 6, 1, origin(2)));
    let merged = found(table, 7, 1, merge(2, 8, &[&kept, &committed_first]));
    let base = base(table, 7, 4, &[&kept]);
    ([kept, uploaded_first, committed_first, merged], base)
}

#[test]
fn a_merge_of_the_base_and_a_flush_encloses_no_other_flush() {
    let table = table(1, "cpu");
    let ([_, uploaded_first, committed_first, merged], base) = late_commit(&table);
    let found = [&uploaded_first, &committed_first, &merged];
    let plan = plan_table(Some(&base), None, &HashMap::new(), &found).unwrap().unwrap();
    assert_eq!(live(&plan).len(), 2, "the base's file is gone, so the merge is needed");
    let of = |found: &Found| plan.files.iter().find(|new| new.file.id == found.file.id).unwrap().file.sequence;
    assert!(of(&merged).hi < of(&uploaded_first).lo, "{:?} {:?}", of(&merged), of(&uploaded_first));
}

#[test]
fn files_are_taken_as_they_were_committed_while_they_are_there() {
    let table = table(1, "cpu");
    let ([kept, uploaded_first, committed_first, merged], base) = late_commit(&table);
    let found = [&uploaded_first, &committed_first, &merged];
    let plan = plan_table(Some(&base), None, &present(&[&kept]), &found).unwrap().unwrap();
    assert_eq!(live(&plan).len(), 3);
    assert!(!live(&plan).contains(&merged.file.id));
}

#[test]
fn dropped_tables_stay_dropped_and_names_are_unique() {
    let (cpu, again) = (table(1, "cpu"), table(2, "cpu"));
    let (old, new) = (found(&cpu, 0, 1, flush(1, 4, 0, 1)), found(&again, 5, 1, flush(5, 9, 0, 1)));
    let mut survey = Survey { found: vec![old.clone(), new.clone()], ..Survey::default() };
    let error = plan(&survey).unwrap_err();
    assert!(matches!(error, PlanError::NameTwice { first, second, .. } if first == cpu.id && second == again.id));
    survey.dropped.insert(cpu.id);
    let planned = plan(&survey).unwrap();
    assert_eq!((planned.tables.len(), planned.dropped, planned.orphans), (1, vec![cpu.id], vec![old.file.id]));
    assert_eq!(live(&planned.tables[0]), [new.file.id]);
}

#[test]
fn a_definition_that_lies_there_by_itself_is_a_table_unless_another_has_its_name() {
    let (old, new) = (table(1, "cpu"), table(2, "cpu"));
    let later = Arc::new(TableDef { revision: 5, ..(*old).clone() });
    let names = |survey: &Survey| -> Result<Vec<(TableId, u64)>, PlanError> {
        Ok(plan(survey)?.tables.iter().map(|export| (export.table.id, export.table.revision)).collect())
    };
    // Nothing but the definition: an empty table. A later one than the checkpoint's counts, one of an earlier epoch not.
    let mut survey = Survey { definitions: HashMap::from([(old.id, (1, later.clone()))]), ..Survey::default() };
    assert_eq!(names(&survey), Ok(vec![(old.id, 5)]));
    assert!(plan(&survey).unwrap().tables[0].version > 0);
    survey.checkpoints.insert(old.id, base(&old, 4, 9, &[]));
    assert_eq!(names(&survey), Ok(vec![(old.id, 5)]));
    survey.definitions.insert(old.id, (0, later.clone()));
    assert_eq!(names(&survey), Ok(vec![(old.id, 1)]));
    survey.dropped.insert(old.id);
    assert_eq!(names(&survey), Ok(vec![]));

    // Laid down while the catalog was lost: its name is another table's by now.
    let mut survey = Survey { definitions: HashMap::from([(old.id, (1, later))]), ..Survey::default() };
    survey.definitions.insert(new.id, (2, new.clone()));
    assert_eq!(names(&survey), Ok(vec![(new.id, 1)]));
    survey.definitions.insert(new.id, (1, new.clone()));
    assert!(matches!(names(&survey), Err(PlanError::NameTwice { .. })));
    survey.definitions.remove(&new.id);
    survey.found = vec![found(&new, 1, 1, flush(1, 1, 0, 1))];
    assert_eq!(names(&survey), Ok(vec![(new.id, 1)]));
}
