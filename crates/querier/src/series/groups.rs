//! Which groups there are, and by which number each goes.
//!
//! A group is a combination of tags' values and, where the question has one, a span of time. Values get numbers once for
//! each dictionary of a file, combinations once for each that occurs in it: rows are never looked up.

use std::sync::Arc;

use arrow::array::{ArrayRef, StringViewArray, TimestampNanosecondArray};
use arrow::datatypes::DataType;
use bytes::Bytes;
use datafusion::common::HashMap;
use datafusion::error::{DataFusionError, Result};

use super::keys::Key;

/// The number of a missing value.
const NOTHING: u32 = u32::MAX;

/// The values of one tag that occurred.
#[derive(Debug, Default)]
struct Values {
    texts: Vec<Arc<str>>,
    numbers: HashMap<Arc<str>, u32>,
    bytes: usize,
}

impl Values {
    fn number(&mut self, text: &str) -> u32 {
        if let Some(number) = self.numbers.get(text) {
            return *number;
        }
        let number = u32::try_from(self.texts.len()).unwrap_or(NOTHING - 1);
        let text: Arc<str> = text.into();
        self.bytes += text.len() + 64;
        self.texts.push(Arc::clone(&text));
        self.numbers.insert(text, number);
        number
    }
}

/// All groups so far.
#[derive(Debug)]
pub(super) struct Groups {
    /// By key tag.
    values: Vec<Values>,
    combinations: HashMap<Box<[u32]>, u32>,
    /// The same by number.
    combined: Vec<Box<[u32]>>,
    /// Of a combination and the start of a span of time.
    numbers: HashMap<(u32, i64), u32>,
    groups: Vec<(u32, i64)>,
}

impl Groups {
    pub(super) fn new(tags: usize) -> Self {
        let values = (0..tags).map(|_| Values::default()).collect();
        Self { values, combinations: HashMap::new(), combined: Vec::new(), numbers: HashMap::new(), groups: Vec::new() }
    }

    pub(super) fn len(&self) -> usize {
        self.groups.len()
    }

    /// Bytes of memory, about.
    pub(super) fn bytes(&self) -> usize {
        let values: usize = self.values.iter().map(|values| values.bytes).sum();
        values + self.combined.len() * (64 + 8 * self.values.len()) + self.groups.len() * 48
    }

    /// The number of a combination, given one value for each key tag.
    pub(super) fn combination<'a>(&mut self, tags: impl Iterator<Item = Option<&'a Bytes>>) -> Result<u32> {
        let mut numbers = Vec::with_capacity(self.values.len());
        for (values, tag) in self.values.iter_mut().zip(tags) {
            numbers.push(match tag {
                None => NOTHING,
                Some(text) => {
                    let text = std::str::from_utf8(text)
                        .map_err(|error| DataFusionError::Execution(format!("a tag's value is not UTF-8: {error}")))?;
                    values.number(text)
                }
            });
        }
        if let Some(known) = self.combinations.get(numbers.as_slice()) {
            return Ok(*known);
        }
        let number = u32::try_from(self.combined.len()).unwrap_or(u32::MAX);
        let numbers: Box<[u32]> = numbers.into();
        self.combined.push(numbers.clone());
        self.combinations.insert(numbers, number);
        Ok(number)
    }

    /// The number of a group.
    pub(super) fn group(&mut self, combination: u32, span: i64) -> u32 {
        let next = u32::try_from(self.groups.len()).unwrap_or(u32::MAX);
        let number = *self.numbers.entry((combination, span)).or_insert(next);
        if number == next {
            self.groups.push((combination, span));
        }
        number
    }

    /// The groups' keys, in the order of their numbers.
    pub(super) fn keys(&self, keys: &[Key]) -> Result<Vec<ArrayRef>> {
        let mut place = 0;
        let mut arrays = Vec::with_capacity(keys.len());
        for key in keys {
            arrays.push(match key {
                Key::Tag { data_type: DataType::Utf8View, .. } => {
                    let (values, at) = (&self.values[place], place);
                    place += 1;
                    let text = |(combination, _): &(u32, i64)| {
                        let number = self.combined[*combination as usize][at];
                        (number != NOTHING).then(|| values.texts[number as usize].as_ref())
                    };
                    Arc::new(self.groups.iter().map(text).collect::<StringViewArray>()) as ArrayRef
                }
                Key::Tag { data_type, .. } => {
                    return Err(DataFusionError::Internal(format!("a tag was to be {data_type}")));
                }
                Key::Span(_) => {
                    let starts = self.groups.iter().map(|(_, span)| *span);
                    Arc::new(TimestampNanosecondArray::from_iter_values(starts))
                }
            });
        }
        Ok(arrays)
    }
}
