//! The keys of some rows of one input, in the form in which they are compared.
//!
//! Tags are numbers into a dictionary per tag, -1 for null, so that runs of one series are found by comparing numbers;
//! strings are compared once per run.

use arrow::array::{Array, AsArray, DictionaryArray, StringArray};
use arrow::buffer::ScalarBuffer;
use arrow::datatypes::Int32Type;

use super::KEY_BATCH_ROWS_MAX;

/// The number of a tag that has no value.
pub(super) const NULL: i32 = -1;

/// One tag of a batch; absent where the input lacks the tag.
#[derive(Debug, Clone)]
pub(super) struct TagKeys {
    pub(super) keys: ScalarBuffer<i32>,
    pub(super) entries: StringArray,
}

impl TagKeys {
    pub(super) fn text(&self, key: i32) -> Option<&str> {
        // Keys were checked against the entries when the batch was made.
        (key != NULL).then(|| self.entries.value(key as usize))
    }
}

/// Keys of consecutive rows of an input.
#[derive(Debug, Clone)]
pub struct KeyBatch {
    pub(super) tags: Vec<Option<TagKeys>>,
    pub(super) time: ScalarBuffer<i64>,
    /// Where each run of equal tags ends, ascending; the last is the number of rows.
    pub(super) run_ends: Vec<u32>,
}

impl KeyBatch {
    /// Of the table's tags, in their order; absent ones are null in all rows. At least one row. The error says what
    /// does not fit.
    pub fn new(tags: Vec<Option<DictionaryArray<Int32Type>>>, time: ScalarBuffer<i64>) -> Result<Self, String> {
        let rows = time.len();
        if rows == 0 || rows > KEY_BATCH_ROWS_MAX {
            return Err(format!("a batch of {rows} keys, not 1 to {KEY_BATCH_ROWS_MAX}"));
        }
        let tags = tags.into_iter().map(|tag| tag.map(|tag| tag_keys(&tag, rows)).transpose());
        let tags = tags.collect::<Result<Vec<_>, String>>()?;
        let run_ends = run_ends(&tags, rows);
        Ok(Self { tags, time, run_ends })
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.time.len()
    }

    /// The tag's value in a row.
    pub(super) fn text(&self, tag: usize, row: usize) -> Option<&str> {
        let tag = self.tags[tag].as_ref()?;
        tag.text(tag.keys[row])
    }
}

fn tag_keys(array: &DictionaryArray<Int32Type>, rows: usize) -> Result<TagKeys, String> {
    let entries = array.values().as_string_opt::<i32>().ok_or("a tag's dictionary holds no strings")?.clone();
    if array.len() != rows {
        return Err(format!("a tag has {} values for {rows} times", array.len()));
    }
    let keys = array.keys().values();
    let keys = match array.keys().nulls().filter(|nulls| nulls.null_count() > 0) {
        None => keys.clone(),
        Some(nulls) => keys.iter().zip(nulls).map(|(key, valid)| if valid { *key } else { NULL }).collect(),
    };
    let largest = keys.iter().fold(NULL, |largest, key| largest.max(*key));
    if largest >= 0 && largest as usize >= entries.len() {
        return Err(format!("a tag names entry {largest} of a dictionary of {}", entries.len()));
    }
    Ok(TagKeys { keys, entries })
}

/// Compares neighbours number by number: vectorised, one pass per tag.
fn run_ends(tags: &[Option<TagKeys>], rows: usize) -> Vec<u32> {
    let mut differs = vec![0_u8; rows];
    for tag in tags.iter().flatten() {
        let keys = &tag.keys[..];
        for (differs, (before, after)) in differs.iter_mut().zip(keys.iter().zip(&keys[1..])) {
            *differs |= u8::from(before != after);
        }
    }
    differs[rows - 1] = 1;
    let ends = differs.iter().zip(1_u32..).filter(|(differs, _)| **differs != 0).map(|(_, end)| end);
    ends.collect()
}
