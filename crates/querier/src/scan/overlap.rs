//! Which files and unflushed rows of a table with a key may hold the same row twice.
//!
//! Equal keys have equal times, so only what overlaps in time can. Everything that overlaps nothing is scanned
//! plainly with exact statistics; the rest forms clusters, each of which goes through one merge in which the
//! last write wins. Pure: ranges in, clusters out.

use std::sync::Arc;

use gigapi_model::{DataFile, TableKey, TimeRange, Timestamp};

use crate::view::HeldPart;

/// Rows that overlap in time, directly or through others.
#[derive(Debug, Default)]
pub(crate) struct Cluster {
    /// Oldest commit first, so that later ones win; two at least, or one beside unflushed parts, or none where parts of
    /// several writers overlap.
    pub(crate) files: Vec<Arc<DataFile>>,
    /// They rank above every file; by writer, since nothing else is settled between two before they commit, and of each
    /// the oldest first.
    pub(crate) parts: Vec<HeldPart>,
}

/// A table's rows, sorted by how they have to be read.
#[derive(Debug, Default)]
pub(crate) struct Layout {
    /// Files without duplicates.
    pub(crate) plain: Vec<Arc<DataFile>>,
    /// Unflushed parts that overlap no file and no other writer's.
    pub(crate) parts: Vec<HeldPart>,
    /// What has to be merged.
    pub(crate) clusters: Vec<Cluster>,
}

enum Item {
    File(Arc<DataFile>),
    /// With its place in the order of the parts.
    Part(usize, HeldPart),
}

impl Item {
    fn range(&self) -> TimeRange {
        match self {
            Self::File(file) => file.time,
            Self::Part(_, held) => held.part.time_range(),
        }
    }
}

/// Sorts files and parts by whether they overlap.
pub(crate) fn layout(key: TableKey, files: Vec<Arc<DataFile>>, parts: Vec<HeldPart>) -> Layout {
    if key == TableKey::None {
        return Layout { plain: files, parts, clusters: Vec::new() };
    }
    let mut items: Vec<Item> = files.into_iter().map(Item::File).collect();
    items.extend(parts.into_iter().enumerate().map(|(place, part)| Item::Part(place, part)));
    items.sort_by_key(|item| item.range().min);
    let mut layout = Layout::default();
    let mut plain_parts = Vec::new();
    let mut run: Vec<Item> = Vec::new();
    let mut run_end = Timestamp::MIN;
    for item in items {
        let range = item.range();
        if !run.is_empty() && range.min > run_end {
            close(std::mem::take(&mut run), &mut layout, &mut plain_parts);
            run_end = Timestamp::MIN;
        }
        run_end = run_end.max(range.max);
        run.push(item);
    }
    close(run, &mut layout, &mut plain_parts);
    plain_parts.sort_by_key(|(place, _)| *place);
    layout.parts = plain_parts.into_iter().map(|(_, part)| part).collect();
    layout
}

fn close(run: Vec<Item>, layout: &mut Layout, plain_parts: &mut Vec<(usize, HeldPart)>) {
    let mut files = Vec::new();
    let mut parts = Vec::new();
    for item in run {
        match item {
            Item::File(file) => files.push(file),
            Item::Part(place, part) => parts.push((place, part)),
        }
    }
    let one_commit = files.windows(2).all(|pair| pair[0].sequence == pair[1].sequence);
    let one_writer = parts.windows(2).all(|pair| pair[0].1.writer() == pair[1].1.writer());
    if (files.is_empty() && one_writer) || (parts.is_empty() && one_commit) {
        // Parts of one holder are merged by it; files of one commit share no row.
        layout.plain.append(&mut files);
        plain_parts.append(&mut parts);
        return;
    }
    files.sort_by_key(|file| (file.sequence.hi, file.sequence.lo, file.id));
    parts.sort_by_key(|(place, _)| *place);
    layout.clusters.push(Cluster { files, parts: parts.into_iter().map(|(_, part)| part).collect() });
}

#[cfg(test)]
mod tests;
