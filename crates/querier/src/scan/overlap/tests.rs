use async_trait::async_trait;
use gigapi_model::{Bucket, BucketSpan, FileId, LayerName, Level, SequenceRange, TableId, WriterId};
use uuid::Uuid;

use super::*;
use crate::unflushed::{Produce, RowsWanted, Unflushed, UnflushedPart, UnflushedView};

#[derive(Debug)]
struct Part(i64, i64);

impl UnflushedPart for Part {
    fn sequences(&self) -> (u64, u64) {
        (1, 1)
    }
    fn time_range(&self) -> TimeRange {
        TimeRange::new(Timestamp::from_nanos(self.0), Timestamp::from_nanos(self.1))
    }
    fn rows(&self) -> usize {
        1
    }
}

/// A holder that is never asked.
#[derive(Debug)]
struct Holder(WriterId);

#[async_trait]
impl Unflushed for Holder {
    fn writer(&self) -> WriterId {
        self.0
    }
    async fn view(&self, _: TableId) -> crate::Result<UnflushedView> {
        unreachable!()
    }
    async fn rows(&self, _: RowsWanted) -> crate::Result<Produce> {
        unreachable!()
    }
}

fn part_of(writer: u128, min: i64, max: i64) -> HeldPart {
    let holder = Arc::new(Holder(WriterId::from_uuid(Uuid::from_u128(writer))));
    HeldPart { holder, part: Arc::new(Part(min, max)), above: 0 }
}

fn part(min: i64, max: i64) -> HeldPart {
    part_of(1, min, max)
}

fn file(min: i64, max: i64, sequence: u64) -> Arc<DataFile> {
    let time = TimeRange::new(Timestamp::from_nanos(min), Timestamp::from_nanos(max));
    let id = format!("00000000-0000-7000-8000-{sequence:06}{min:06}").parse::<FileId>().unwrap();
    Arc::new(DataFile {
        id,
        level: Level::FLUSHED,
        layer: LayerName::new("default").unwrap(),
        bucket: Bucket::containing(time.min, BucketSpan::Hour),
        rows: 1,
        bytes: 1,
        time,
        sequence: SequenceRange { lo: sequence, hi: sequence },
        checksum: 0,
        tail_bytes: 0,
    })
}

#[test]
fn data_in_order_is_scanned_plainly() {
    let layout = layout(TableKey::Tags, vec![file(0, 9, 1), file(10, 19, 2)], vec![part(20, 29), part(25, 30)]);
    assert_eq!((layout.plain.len(), layout.parts.len(), layout.clusters.len()), (2, 2, 0));
}

#[test]
fn overlapping_files_form_a_cluster_with_the_oldest_commit_first() {
    let layout = layout(TableKey::Tags, vec![file(0, 9, 7), file(5, 14, 3), file(14, 20, 5), file(30, 40, 1)], vec![]);
    assert_eq!(layout.plain.len(), 1);
    let sequences: Vec<_> = layout.clusters[0].files.iter().map(|file| file.sequence.hi).collect();
    assert_eq!(sequences, [3, 5, 7]);
}

#[test]
fn an_unflushed_part_joins_the_file_that_it_overlaps() {
    let layout = layout(TableKey::Tags, vec![file(0, 9, 1), file(20, 29, 2)], vec![part(9, 12), part(40, 50)]);
    assert_eq!((layout.plain.len(), layout.parts.len()), (1, 1));
    assert_eq!((layout.clusters[0].files.len(), layout.clusters[0].parts.len()), (1, 1));
}

#[test]
fn files_of_one_commit_share_no_row() {
    let layout = layout(TableKey::Tags, vec![file(0, 9, 4), file(5, 14, 4)], vec![]);
    assert_eq!((layout.plain.len(), layout.clusters.len()), (2, 0));
}

#[test]
fn a_table_without_a_key_is_never_merged() {
    let layout = layout(TableKey::None, vec![file(0, 9, 1), file(5, 14, 2)], vec![part(0, 9)]);
    assert_eq!((layout.plain.len(), layout.parts.len(), layout.clusters.len()), (2, 1, 0));
}

#[test]
fn parts_of_two_writers_are_merged_where_they_overlap() {
    let parts = vec![part_of(1, 0, 9), part_of(1, 30, 39), part_of(2, 5, 12), part_of(2, 20, 29)];
    let layout = layout(TableKey::Tags, vec![file(100, 110, 1)], parts);
    assert_eq!((layout.plain.len(), layout.parts.len(), layout.clusters.len()), (1, 2, 1));
    let writers: Vec<_> = layout.clusters[0].parts.iter().map(HeldPart::writer).collect();
    assert_eq!(writers, [1, 2].map(|id| WriterId::from_uuid(Uuid::from_u128(id))));
    assert!(layout.clusters[0].files.is_empty());
}
