//! Tags and strings: a dictionary and runs of indices, or plain where values hardly repeat.
//!
//! Rows are sorted by tags, so a tag column is a few long runs. They are found on the integer keys that arrow
//! already has, and everything after that (renumbering, bounds, packing) works on runs: no string is hashed or
//! compared per row. Strings that arrive without keys are looked up once per change of value.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{DataType, Int32Type};
use hashbrown::{DefaultHashBuilder, HashMap, HashTable};
use parquet::basic::Encoding;
use std::hash::BuildHasher;

use super::{Buffers, PageRows, Rows};
use crate::parquet::chunk::{Chunk, PAGE_ROWS_MAX};
use crate::parquet::encoding::hybrid::{HybridWriter, width_of};
use crate::parquet::encoding::plain;
use crate::parquet::statistics::Summary;
use crate::{Error, Result};

/// Below this many entries looking up a string costs less than storing it twice.
const ENTRIES_ALWAYS: usize = 1 << 12;

/// A reader holds a whole dictionary in memory.
const DICTIONARY_BYTES_MAX: usize = 32 << 20;

/// Plain pages hold about this many bytes, so that one of long strings is not larger than others.
const PLAIN_PAGE_BYTES: usize = 1 << 20;

/// A stretch of equal values.
#[derive(Debug, Clone, Copy)]
struct Run {
    entry: u32,
    count: u32,
}

/// A column's values without nulls.
#[derive(Debug)]
struct Texts<'a> {
    /// Distinct values, unless the source repeats some.
    entries: Vec<&'a str>,
    runs: Vec<Run>,
}

/// Encodes a column; returns the number of its distinct values.
pub(super) fn encode(array: &ArrayRef, chunk: &mut Chunk, buffers: &mut Buffers) -> Result<Option<u64>> {
    let nulls = array.logical_nulls();
    let rows = Rows::new(array.len(), nulls.as_ref());
    let (texts, exact) = match array.data_type() {
        DataType::Dictionary(..) => {
            let dictionary = array.as_dictionary::<Int32Type>();
            let values = dictionary.values().as_string_opt::<i32>().ok_or_else(|| unexpected(array))?;
            let keys = rows.values(dictionary.keys().values(), &mut buffers.keys);
            (of_keys(keys, |key| values.value(key as usize), values.len()), true)
        }
        DataType::Utf8 => {
            let strings = array.as_string::<i32>();
            of_strings(valid(array.len(), nulls.as_ref()).map(|row| strings.value(row)))
        }
        DataType::Utf8View => {
            let strings = array.as_string_view();
            of_strings(valid(array.len(), nulls.as_ref()).map(|row| strings.value(row)))
        }
        _ => return Err(unexpected(array)),
    };
    let order = Order::new(&texts);
    if texts.wants_dictionary() {
        write_dictionary(&texts, &order, &rows, chunk, &mut buffers.pending);
    } else {
        write_plain(&texts, &order, &rows, chunk);
    }
    Ok(exact.then_some(texts.entries.len() as u64))
}

fn unexpected(array: &ArrayRef) -> Error {
    Error::Input { table: "strings".to_owned(), reason: format!("{} holds no strings", array.data_type()) }
}

/// The rows that have a value.
fn valid<'a>(rows: usize, nulls: Option<&'a NullBuffer>) -> Box<dyn Iterator<Item = usize> + 'a> {
    match nulls {
        Some(nulls) => Box::new(nulls.valid_indices()),
        None => Box::new(0..rows),
    }
}

/// Runs of keys, renumbered by first appearance so that unused entries of a shared dictionary are left out.
fn of_keys<'a>(keys: &[i32], value: impl Fn(i32) -> &'a str, entries: usize) -> Texts<'a> {
    let mut texts = Texts { entries: Vec::new(), runs: Vec::new() };
    let mut numbers = Numbers::new(entries, keys.len());
    let mut rest = keys;
    while let Some(&key) = rest.first() {
        let count = run_length(rest, key);
        let entry = numbers.number(key, || {
            texts.entries.push(value(key));
            texts.entries.len() as u32 - 1
        });
        texts.runs.push(Run { entry, count: count as u32 });
        rest = &rest[count..];
    }
    texts
}

/// How many keys at the start of `keys` equal `key`.
fn run_length(keys: &[i32], key: i32) -> usize {
    const STRIDE: usize = 32;
    // Without an early exit inside a stride the comparison vectorises.
    let equal = |stride: &&[i32; STRIDE]| stride.iter().fold(0, |different, other| different | (other ^ key)) == 0;
    let (strides, _) = keys.as_chunks::<STRIDE>();
    let start = strides.iter().take_while(equal).count() * STRIDE;
    start + keys[start..].iter().take_while(|other| **other == key).count()
}

/// New numbers of a dictionary's keys.
enum Numbers {
    /// One slot per key, `u32::MAX` while it has no number.
    Slots(Vec<u32>),
    /// For few rows of a large dictionary.
    Sparse(HashMap<i32, u32>),
}

impl Numbers {
    fn new(entries: usize, rows: usize) -> Self {
        if entries <= rows.saturating_mul(4).saturating_add(64) {
            Self::Slots(vec![u32::MAX; entries])
        } else {
            Self::Sparse(HashMap::new())
        }
    }

    fn number(&mut self, key: i32, new: impl FnOnce() -> u32) -> u32 {
        match self {
            Self::Slots(slots) => {
                let slot = &mut slots[key as usize];
                if *slot == u32::MAX {
                    *slot = new();
                }
                *slot
            }
            Self::Sparse(known) => *known.entry(key).or_insert_with(new),
        }
    }
}

/// Runs of strings, and whether all entries are distinct: looking them up stops when they hardly repeat.
fn of_strings<'a>(strings: impl Iterator<Item = &'a str>) -> (Texts<'a>, bool) {
    let mut texts = Texts { entries: Vec::new(), runs: Vec::<Run>::new() };
    let mut known: HashTable<u32> = HashTable::new();
    let hasher = DefaultHashBuilder::default();
    let mut seen = 0_usize;
    let mut looking = true;
    for string in strings {
        seen += 1;
        if let Some(last) = texts.runs.last_mut()
            && texts.entries[last.entry as usize] == string
        {
            last.count += 1;
            continue;
        }
        let entry = if looking {
            let hash = hasher.hash_one(string);
            let entries = &mut texts.entries;
            match known.find(hash, |&entry| entries[entry as usize] == string) {
                Some(&entry) => entry,
                None => {
                    entries.push(string);
                    let entry = entries.len() as u32 - 1;
                    known.insert_unique(hash, entry, |&entry| hasher.hash_one(entries[entry as usize]));
                    // Once most values are new, the rest is not looked up: it is going to be plain.
                    looking = entries.len() < ENTRIES_ALWAYS || entries.len() * 2 < seen;
                    entry
                }
            }
        } else {
            texts.entries.push(string);
            texts.entries.len() as u32 - 1
        };
        texts.runs.push(Run { entry, count: 1 });
    }
    (texts, looking)
}

impl Texts<'_> {
    /// Whether a dictionary takes fewer bytes than the values themselves, and is not mostly of use once.
    fn wants_dictionary(&self) -> bool {
        let values: usize = self.runs.iter().map(|run| run.count as usize).sum();
        if self.entries.len() > ENTRIES_ALWAYS && self.entries.len() * 2 > values {
            return false;
        }
        let dictionary_bytes: usize = self.entries.iter().map(|entry| plain_bytes(entry)).sum();
        let width = usize::from(width_of(self.entries.len()));
        let index_bytes = (values * width / 8).min(self.runs.len() * 4) + 2;
        dictionary_bytes <= DICTIONARY_BYTES_MAX && dictionary_bytes + index_bytes < self.plain_bytes()
    }

    /// Bytes of all values, stored one by one.
    fn plain_bytes(&self) -> usize {
        self.runs.iter().map(|run| plain_bytes(self.entries[run.entry as usize]) * run.count as usize).sum()
    }
}

/// Bytes of one value, stored plain.
fn plain_bytes(text: &str) -> usize {
    text.len() + 4
}

/// How entries compare: by rank where comparing every run would cost more than sorting once.
struct Order<'t> {
    entries: &'t [&'t str],
    ranks: Option<Vec<u32>>,
}

impl<'t> Order<'t> {
    fn new(texts: &'t Texts<'t>) -> Self {
        let ranks = (texts.runs.len() > texts.entries.len().saturating_mul(4)).then(|| {
            let mut sorted: Vec<u32> = (0..texts.entries.len() as u32).collect();
            sorted.sort_unstable_by_key(|&entry| texts.entries[entry as usize]);
            let mut ranks = vec![0; sorted.len()];
            for (rank, entry) in sorted.into_iter().enumerate() {
                ranks[entry as usize] = rank as u32;
            }
            ranks
        });
        Self { entries: &texts.entries, ranks }
    }

    fn less(&self, a: u32, b: u32) -> bool {
        match &self.ranks {
            Some(ranks) => ranks[a as usize] < ranks[b as usize],
            None => a != b && self.entries[a as usize] < self.entries[b as usize],
        }
    }
}

/// Hands out runs page by page, splitting those that cross a page's end, and keeps the bounds.
struct Cursor<'t> {
    runs: std::iter::Copied<std::slice::Iter<'t, Run>>,
    left: Run,
}

impl<'t> Cursor<'t> {
    fn new(texts: &'t Texts<'t>) -> Self {
        Self { runs: texts.runs.iter().copied(), left: Run { entry: 0, count: 0 } }
    }

    /// Calls `emit` for the runs of the page and sums it up.
    fn page(&mut self, page: &PageRows, order: &Order<'_>, mut emit: impl FnMut(u32, usize)) -> Summary {
        let mut wanted = page.values.len() as u32;
        let mut bounds: Option<(u32, u32)> = None;
        while wanted > 0 {
            if self.left.count == 0 {
                let Some(next) = self.runs.next() else { break };
                self.left = next;
            }
            let (entry, count) = (self.left.entry, self.left.count.min(wanted));
            emit(entry, count as usize);
            self.left.count -= count;
            wanted -= count;
            let (min, max) = bounds.get_or_insert((entry, entry));
            if order.less(entry, *min) {
                *min = entry;
            }
            if order.less(*max, entry) {
                *max = entry;
            }
        }
        let text = |entry: u32| order.entries[entry as usize];
        Summary::strings(bounds.map(|(min, max)| (text(min), text(max))), page.null_count())
    }
}

fn write_dictionary(texts: &Texts<'_>, order: &Order<'_>, rows: &Rows<'_>, chunk: &mut Chunk, pending: &mut Vec<u32>) {
    for entry in &texts.entries {
        plain::string(entry.as_bytes(), &mut chunk.raw);
    }
    chunk.end_dictionary(texts.entries.len());
    let width = width_of(texts.entries.len());
    let mut cursor = Cursor::new(texts);
    for page in rows.pages() {
        page.begin(chunk);
        chunk.raw.push(width);
        let mut writer = HybridWriter::new(width, &mut chunk.raw, pending);
        let summary = cursor.page(&page, order, |entry, count| writer.run(entry, count));
        writer.finish();
        chunk.end_page(page.rows.len(), Encoding::RLE_DICTIONARY, summary);
    }
}

fn write_plain(texts: &Texts<'_>, order: &Order<'_>, rows: &Rows<'_>, chunk: &mut Chunk) {
    let mut cursor = Cursor::new(texts);
    let value_bytes = texts.plain_bytes() / rows.rows.max(1);
    let page_rows = (PLAIN_PAGE_BYTES / value_bytes.max(1)).clamp(1, PAGE_ROWS_MAX);
    for page in rows.pages_of(page_rows) {
        page.begin(chunk);
        let raw = &mut chunk.raw;
        let summary = cursor.page(&page, order, |entry, count| {
            for _ in 0..count {
                plain::string(texts.entries[entry as usize].as_bytes(), raw);
            }
        });
        chunk.end_page(page.rows.len(), Encoding::PLAIN, summary);
    }
}
