//! Series of all parts, ranked by their tags, and the tag columns that follow from the ranks.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, DictionaryArray, Int32Array, StringArray, StringViewArray, StringViewBuilder, new_null_array,
};
use arrow::buffer::{NullBuffer, ScalarBuffer};
use arrow::datatypes::{DataType, Int32Type};
use arrow::error::ArrowError;
use gigapi_model::{FieldId, TableDef};
use hashbrown::{DefaultHashBuilder, HashTable};
use std::hash::BuildHasher;

use crate::part::{Part, SeriesSet};

/// Distinct series of several parts in table order.
#[derive(Debug, Clone)]
pub(super) struct Ranked<'a> {
    /// The table's tag columns that any series has, in sort order.
    tags: Vec<FieldId>,
    /// Per series and tag, its value: `rank * tags.len() + tag`.
    values: Vec<Option<&'a [u8]>>,
    /// Number of series.
    count: usize,
    /// Per part and series of the part, its rank.
    by_part: Arc<Vec<Vec<u32>>>,
}

impl<'a> Ranked<'a> {
    #[expect(clippy::cast_possible_truncation, reason = "a flush holds fewer than 2^32 series")]
    pub(super) fn new(parts: &'a [Arc<Part>], table: &TableDef) -> Self {
        let hasher = DefaultHashBuilder::default();
        let mut known: HashTable<u32> = HashTable::new();
        let mut keys: Vec<&'a [u8]> = Vec::new();
        let mut by_part: Vec<Vec<u32>> = Vec::with_capacity(parts.len());
        for part in parts {
            let numbers = (0..part.series().len()).map(|series| {
                let key = part.series().key(series);
                let found = known.entry(
                    hasher.hash_one(key),
                    |&number| keys[number as usize] == key,
                    |&number| hasher.hash_one(keys[number as usize]),
                );
                *found
                    .or_insert_with(|| {
                        keys.push(key);
                        keys.len() as u32 - 1
                    })
                    .get()
            });
            by_part.push(numbers.collect());
        }
        let tags: Vec<FieldId> = table.tags().map(|column| column.field_id).collect();
        let mut unranked: Vec<Option<&'a [u8]>> = vec![None; keys.len() * tags.len()];
        for (number, key) in keys.iter().enumerate() {
            for (field_id, value) in SeriesSet::tags(key) {
                if let Ok(tag) = tags.binary_search(&field_id) {
                    unranked[number * tags.len() + tag] = Some(value);
                }
            }
        }
        let width = tags.len();
        let tuple = |number: u32| &unranked[number as usize * width..(number as usize + 1) * width];
        let mut order: Vec<u32> = (0..keys.len() as u32).collect();
        // `None` sorts before every value, which is what null first means.
        order.sort_unstable_by(|&a, &b| tuple(a).cmp(tuple(b)));
        let mut rank_of = vec![0_u32; keys.len()];
        let mut values = Vec::with_capacity(unranked.len());
        for (rank, &number) in order.iter().enumerate() {
            rank_of[number as usize] = rank as u32;
            values.extend_from_slice(tuple(number));
        }
        for ranks in &mut by_part {
            for rank in ranks {
                *rank = rank_of[*rank as usize];
            }
        }
        Self { tags, values, count: keys.len(), by_part: Arc::new(by_part) }
    }

    /// Number of series.
    pub(super) fn len(&self) -> usize {
        self.count
    }

    /// Per part, the ranks of its series.
    pub(super) fn by_part(&self) -> impl Iterator<Item = &Vec<u32>> {
        self.by_part.iter()
    }

    /// The tag's place among the tags, if any series has a value for it.
    pub(super) fn tag_index(&self, field_id: FieldId) -> Option<usize> {
        let tag = self.tags.binary_search(&field_id).ok()?;
        (0..self.count).any(|rank| self.value(rank, tag).is_some()).then_some(tag)
    }

    fn value(&self, rank: usize, tag: usize) -> Option<&'a [u8]> {
        self.values.get(rank * self.tags.len() + tag).copied().flatten()
    }

    fn text(&self, rank: usize, tag: usize) -> Result<Option<&'a str>, ArrowError> {
        let text = self.value(rank, tag).map(std::str::from_utf8).transpose();
        text.map_err(|error| ArrowError::InvalidArgumentError(format!("a tag value is not UTF-8: {error}")))
    }

    /// A tag column as a dictionary, given each row's rank.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_possible_wrap,
        reason = "a flush holds fewer than 2^31 series"
    )]
    pub(super) fn dictionary(&self, tag: usize, ranks: &[u32]) -> Result<ArrayRef, ArrowError> {
        let mut texts: Vec<&'a str> = Vec::new();
        for rank in 0..self.count {
            texts.extend(self.text(rank, tag)?);
        }
        texts.sort_unstable();
        texts.dedup();
        let mut code_of: Vec<i32> = Vec::with_capacity(self.count);
        for rank in 0..self.count {
            let code = self.text(rank, tag)?.and_then(|text| texts.binary_search(&text).ok());
            code_of.push(code.map_or(-1, |code| code as i32));
        }
        let mut codes: Vec<i32> = Vec::with_capacity(ranks.len());
        codes.extend(ranks.iter().map(|&rank| code_of[rank as usize]));
        let nulls = code_of.contains(&-1).then(|| NullBuffer::from_iter(codes.iter().map(|&code| code >= 0)));
        if nulls.is_some() {
            for code in &mut codes {
                *code = (*code).max(0);
            }
        }
        let keys = Int32Array::try_new(ScalarBuffer::from(codes), nulls)?;
        let values = Arc::new(StringArray::from_iter_values(texts));
        Ok(Arc::new(DictionaryArray::<Int32Type>::try_new(keys, values)?))
    }

    /// A tag column as string views, given each row's rank; all null where no series has the tag.
    pub(super) fn view(&self, tag: Option<usize>, ranks: &[u32]) -> Result<ArrayRef, ArrowError> {
        let Some(tag) = tag else { return Ok(new_null_array(&DataType::Utf8View, ranks.len())) };
        let mut builder = StringViewBuilder::with_capacity(self.count);
        let mut present = Vec::with_capacity(self.count);
        for rank in 0..self.count {
            let text = self.text(rank, tag)?;
            present.push(text.is_some());
            builder.append_value(text.unwrap_or_default());
        }
        let (views, buffers, _) = builder.finish().into_parts();
        let repeated: Vec<u128> = ranks.iter().map(|&rank| views[rank as usize]).collect();
        let nulls =
            present.contains(&false).then(|| NullBuffer::from_iter(ranks.iter().map(|&rank| present[rank as usize])));
        Ok(Arc::new(StringViewArray::try_new(ScalarBuffer::from(repeated), buffers, nulls)?))
    }
}
