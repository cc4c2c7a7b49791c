use gigapi_model::{Bucket, BucketSpan, DatabaseName, Ids, Level, SequenceRange, SystemIds, TableName};
use gigapi_storage::MergeSource;
use uuid::Uuid;

use super::*;

const NOW: Timestamp = Timestamp::from_millis(1_744_268_400_000);
const HOUR: u64 = 3_600;

fn ago(hours: u64) -> Timestamp {
    Timestamp::from_nanos(NOW.nanos() - i64::try_from(hours * HOUR).unwrap() * 1_000_000_000)
}

fn policy() -> OrphanPolicy {
    OrphanPolicy { age_min: Duration::from_secs(24 * HOUR), share_max: 0.05, confirm: false }
}

fn table() -> TableId {
    TableId::from_uuid(Uuid::from_u128(1))
}

fn catalog() -> CatalogId {
    CatalogId::from_uuid(Uuid::from_u128(2))
}

fn writer() -> WriterId {
    WriterId::from_uuid(Uuid::from_u128(3))
}

fn flush(hi: u64) -> Footer {
    let origin = Origin::Flush { writer: writer(), writer_epoch: 1, lo: 1, hi, part: 0, parts: 1 };
    Footer::Ours { catalog: catalog(), table: table(), origin }
}

fn merge_of(files: &[FileId]) -> Footer {
    let sequence = SequenceRange { lo: 1, hi: 2 };
    let sources = files.iter().map(|file| MergeSource { file: *file, sequence }).collect();
    Footer::Ours { catalog: catalog(), table: table(), origin: Origin::Merge { sequence, sources } }
}

/// 100 bytes that were written two days ago.
fn stray(footer: Footer) -> Stray {
    let path = FilePath {
        database: DatabaseName::new("db").unwrap(),
        table: TableName::new("cpu").unwrap(),
        bucket: Bucket::containing(NOW, BucketSpan::Hour),
        id: SystemIds.file_id(ago(48)),
        level: Level::FLUSHED,
    };
    Stray { layer: LayerName::new("hot").unwrap(), path, bytes: 100, modified: ago(48), footer }
}

fn merged(footer: Footer, hours: u64) -> Stray {
    let plain = stray(footer);
    let path = FilePath { level: Level::new(2).unwrap(), id: SystemIds.file_id(ago(hours)), ..plain.path.clone() };
    Stray { path, modified: ago(hours), ..plain }
}

/// A live table of 10,000 bytes whose writer has come to 10.
fn facts() -> OrphanFacts {
    let live = TableFacts::Live {
        bytes: 10_000,
        watermarks: Arc::new(HashMap::from([(writer(), 10)])),
        claimed: HashSet::new(),
        checkpointed: HashSet::new(),
    };
    OrphanFacts {
        catalog: catalog(),
        now: NOW,
        live: HashSet::new(),
        buried: HashSet::new(),
        tables: HashMap::from([(table(), live)]),
    }
}

fn place(stray: &Stray) -> (LayerName, FileId) {
    (stray.layer.clone(), stray.path.id)
}

/// What becomes of the first stray.
fn fate(facts: &OrphanFacts, strays: &[Stray]) -> Option<Kept> {
    let plan = plan_orphans(&policy(), facts, strays);
    assert_eq!(plan.remove.len() + plan.kept.len(), strays.len());
    plan.kept.get(&0).copied()
}

#[test]
fn an_old_object_that_nothing_needs_goes() {
    assert_eq!(fate(&facts(), &[stray(flush(10))]), None);
}

#[test]
fn a_young_object_stays_whether_by_its_id_or_by_its_last_writing() {
    let old = stray(flush(10));
    assert_eq!(fate(&facts(), &[Stray { modified: ago(23), ..old.clone() }]), Some(Kept::Young));
    let minted = FilePath { id: SystemIds.file_id(ago(23)), ..old.path.clone() };
    assert_eq!(fate(&facts(), &[Stray { path: minted, ..old }]), Some(Kept::Young));
}

#[test]
fn what_is_not_provably_this_catalogs_stays() {
    let Footer::Ours { table, origin, .. } = flush(10) else { unreachable!() };
    let other = Footer::Ours { catalog: CatalogId::from_uuid(Uuid::from_u128(9)), table, origin };
    assert_eq!(fate(&facts(), &[stray(other)]), Some(Kept::Foreign));
    assert_eq!(fate(&facts(), &[stray(Footer::Foreign("no facts".to_owned()))]), Some(Kept::Foreign));
    assert_eq!(fate(&facts(), &[stray(Footer::Damaged("torn".to_owned()))]), Some(Kept::Damaged));
    assert_eq!(fate(&facts(), &[stray(Footer::Unread)]), Some(Kept::Damaged));
}

#[test]
fn what_the_catalog_names_on_that_layer_stays() {
    let object = stray(flush(10));
    let live = OrphanFacts { live: HashSet::from([place(&object)]), ..facts() };
    assert_eq!(fate(&live, std::slice::from_ref(&object)), Some(Kept::Live));
    let buried = OrphanFacts { buried: HashSet::from([place(&object)]), ..facts() };
    assert_eq!(fate(&buried, std::slice::from_ref(&object)), Some(Kept::Buried));
    let elsewhere = HashSet::from([(LayerName::new("cold").unwrap(), object.path.id)]);
    let copied = OrphanFacts { live: elsewhere.clone(), buried: elsewhere, ..facts() };
    assert_eq!(fate(&copied, &[object]), None, "a copy on a layer where it does not live");
}

#[test]
fn a_table_of_which_nothing_is_certain_keeps_its_objects() {
    let unknown = OrphanFacts { tables: HashMap::new(), ..facts() };
    assert_eq!(fate(&unknown, &[stray(flush(10))]), Some(Kept::TableUnclear));
    let unclear = OrphanFacts { tables: HashMap::from([(table(), TableFacts::Unclear)]), ..facts() };
    assert_eq!(fate(&unclear, &[stray(flush(10))]), Some(Kept::TableUnclear));
}

#[test]
fn claimed_and_checkpointed_files_stay() {
    let object = stray(flush(10));
    let with = |claims: HashSet<FileId>, checkpoints: HashSet<(LayerName, FileId)>| {
        let watermarks = Arc::new(HashMap::from([(writer(), 10)]));
        let live = TableFacts::Live { bytes: 10_000, watermarks, claimed: claims, checkpointed: checkpoints };
        OrphanFacts { tables: HashMap::from([(table(), live)]), ..facts() }
    };
    let claimed = with(HashSet::from([object.path.id]), HashSet::new());
    assert_eq!(fate(&claimed, std::slice::from_ref(&object)), Some(Kept::Claimed));
    let named = with(HashSet::new(), HashSet::from([place(&object)]));
    assert_eq!(fate(&named, &[object]), Some(Kept::Checkpointed));
}

#[test]
fn a_flush_above_its_writers_watermark_stays() {
    assert_eq!(fate(&facts(), &[stray(flush(11))]), Some(Kept::AboveWatermark));
    let stranger = OrphanFacts {
        tables: HashMap::from([(
            table(),
            TableFacts::Live {
                bytes: 10_000,
                watermarks: Arc::default(),
                claimed: HashSet::new(),
                checkpointed: HashSet::new(),
            },
        )]),
        ..facts()
    };
    assert_eq!(
        fate(&stranger, &[stray(flush(1))]),
        Some(Kept::AboveWatermark),
        "a writer that the table does not know"
    );
}

#[test]
fn what_a_merge_read_stays_while_its_output_is_there_and_not_live() {
    let input = stray(flush(10));
    for hours in [40, 1] {
        let output = merged(merge_of(&[input.path.id]), hours);
        assert_eq!(fate(&facts(), &[input.clone(), output.clone()]), Some(Kept::ReadByMerge));
        let live = OrphanFacts { live: HashSet::from([place(&output)]), ..facts() };
        assert_eq!(fate(&live, &[input.clone(), output.clone()]), None);
        let buried = OrphanFacts { buried: HashSet::from([place(&output)]), ..facts() };
        assert_eq!(fate(&buried, &[input.clone(), output]), Some(Kept::ReadByMerge));
    }
    let other = merged(merge_of(&[SystemIds.file_id(ago(48))]), 40);
    assert_eq!(fate(&facts(), &[input, other]), None);
}

#[test]
fn a_merge_that_cannot_be_read_may_have_read_whatever_is_older() {
    let input = stray(flush(10));
    for footer in [Footer::Damaged("torn".to_owned()), Footer::Unread] {
        assert_eq!(fate(&facts(), &[input.clone(), merged(footer.clone(), 40)]), Some(Kept::ReadByMerge));
        assert_eq!(fate(&facts(), &[input.clone(), merged(footer, 50)]), None);
    }
}

#[test]
fn too_much_of_a_table_goes_only_with_confirmation() {
    let strays: Vec<Stray> = (0..6).map(|_| stray(flush(10))).collect();
    assert_eq!(plan_orphans(&policy(), &facts(), &strays[..5]).remove.len(), 5, "five in a hundred");
    let plan = plan_orphans(&policy(), &facts(), &strays);
    assert_eq!((plan.remove.len(), plan.kept.len()), (0, 6));
    assert_eq!(plan.braked[&table()], Braked { objects: 6, bytes: 600, live_bytes: 10_000 });
    let confirmed = OrphanPolicy { confirm: true, ..policy() };
    assert_eq!(plan_orphans(&confirmed, &facts(), &strays).remove.len(), 6);
}

#[test]
fn what_is_left_of_a_dropped_table_goes_and_brakes_nothing() {
    let dropped = OrphanFacts { tables: HashMap::from([(table(), TableFacts::Dropped)]), ..facts() };
    let strays: Vec<Stray> = (0..9).map(|_| stray(flush(99))).collect();
    let plan = plan_orphans(&policy(), &dropped, &strays);
    assert_eq!((plan.remove.len(), plan.braked.len()), (9, 0));
    assert_eq!(fate(&dropped, &[Stray { modified: ago(1), ..stray(flush(1)) }]), Some(Kept::Young));
}
