//! A growing column of one type, without a cell object per value.
//!
//! Values lie densely, with a filler where a row has none. Validity is kept only from the first missing
//! value on, because columns of regular data have none. A column may lag behind the row that is being
//! built: [`Column::set`] fills the gap, so a parser touches only the columns that a line names.

use arrow::array::BooleanBufferBuilder;
use arrow::buffer::{BooleanBuffer, NullBuffer};
use gigapi_model::ColumnType;

/// Texts, one after the other.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Strings {
    /// Where each text ends in `bytes`.
    pub ends: Vec<u32>,
    /// UTF-8.
    pub bytes: Vec<u8>,
}

impl Strings {
    /// The bytes of text `index`; empty when there is none.
    pub fn get(&self, index: usize) -> &[u8] {
        let start = index.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or(0);
        let end = self.ends.get(index).copied().unwrap_or(start);
        self.bytes.get(start as usize..end as usize).unwrap_or_default()
    }

    /// Appends a text.
    pub fn push(&mut self, text: &[u8]) {
        self.bytes.extend_from_slice(text);
        self.ends.push(u32::try_from(self.bytes.len()).unwrap_or(u32::MAX));
    }

    fn truncate(&mut self, len: usize) {
        self.ends.truncate(len);
        self.bytes.truncate(self.ends.last().copied().unwrap_or(0) as usize);
    }
}

/// A column's values; the variant is its type.
#[derive(Debug, Clone, PartialEq)]
pub enum Values {
    /// 64-bit floats.
    Float(Vec<f64>),
    /// 64-bit signed integers.
    Integer(Vec<i64>),
    /// 64-bit unsigned integers.
    Unsigned(Vec<u64>),
    /// Booleans.
    Boolean(Vec<bool>),
    /// UTF-8 texts.
    String(Strings),
}

impl Values {
    /// No values of that type; `None` for time, which is not a field's type.
    pub fn empty(column_type: ColumnType) -> Option<Self> {
        Some(match column_type {
            ColumnType::Float => Self::Float(Vec::new()),
            ColumnType::Integer => Self::Integer(Vec::new()),
            ColumnType::Unsigned => Self::Unsigned(Vec::new()),
            ColumnType::Boolean => Self::Boolean(Vec::new()),
            ColumnType::String => Self::String(Strings::default()),
            ColumnType::Time => return None,
        })
    }

    /// Their type.
    pub fn column_type(&self) -> ColumnType {
        match self {
            Self::Float(_) => ColumnType::Float,
            Self::Integer(_) => ColumnType::Integer,
            Self::Unsigned(_) => ColumnType::Unsigned,
            Self::Boolean(_) => ColumnType::Boolean,
            Self::String(_) => ColumnType::String,
        }
    }

    /// How many there are, fillers included.
    pub fn len(&self) -> usize {
        match self {
            Self::Float(values) => values.len(),
            Self::Integer(values) => values.len(),
            Self::Unsigned(values) => values.len(),
            Self::Boolean(values) => values.len(),
            Self::String(values) => values.ends.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Memory that the values take.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Float(values) => values.len() * 8,
            Self::Integer(values) => values.len() * 8,
            Self::Unsigned(values) => values.len() * 8,
            Self::Boolean(values) => values.len(),
            Self::String(values) => values.ends.len() * 4 + values.bytes.len(),
        }
    }

    fn resize(&mut self, len: usize) {
        match self {
            Self::Float(values) => values.resize(len, 0.0),
            Self::Integer(values) => values.resize(len, 0),
            Self::Unsigned(values) => values.resize(len, 0),
            Self::Boolean(values) => values.resize(len, false),
            Self::String(values) if len < values.ends.len() => values.truncate(len),
            Self::String(values) => {
                let end = values.ends.last().copied().unwrap_or(0);
                values.ends.resize(len, end);
            }
        }
    }
}

/// A growing column.
#[derive(Debug)]
pub struct Column {
    values: Values,
    /// Absent while every row so far has a value.
    valid: Option<BooleanBufferBuilder>,
}

impl Column {
    /// An empty column that holds `values`' type.
    pub fn new(values: Values) -> Self {
        let mut values = values;
        values.resize(0);
        Self { values, valid: None }
    }

    /// A finished column; `valid` has one bit per value, or is absent if every row has one.
    pub fn from_parts(values: Values, valid: Option<BooleanBuffer>) -> Self {
        let valid = valid.map(|bits| {
            let mut builder = BooleanBufferBuilder::new(bits.len());
            builder.append_buffer(&bits);
            builder
        });
        Self { values, valid }
    }

    /// The type of its values.
    pub fn column_type(&self) -> ColumnType {
        self.values.column_type()
    }

    /// The values, with fillers where a row has none.
    pub fn values(&self) -> &Values {
        &self.values
    }

    /// Rows so far.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether it has no rows.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Whether row `row` has a value.
    pub fn is_valid(&self, row: usize) -> bool {
        row < self.len() && self.valid.as_ref().is_none_or(|valid| valid.get_bit(row))
    }

    /// Which rows have a value; absent if all do.
    pub fn nulls(&self) -> Option<NullBuffer> {
        self.valid.as_ref().map(|valid| NullBuffer::new(valid.finish_cloned()))
    }

    /// Whether every row has a value.
    pub(crate) fn nulls_absent(&self) -> bool {
        self.valid.is_none()
    }

    /// Memory that it takes.
    pub fn bytes(&self) -> usize {
        self.values.bytes() + self.valid.as_ref().map_or(0, |valid| valid.len() / 8)
    }

    /// Makes the column ready to take a value for `row`: fills the gap before it and drops what an
    /// earlier mention in the same row left.
    #[inline]
    fn open(&mut self, row: usize) {
        let len = self.values.len();
        if len != row {
            self.realign(row);
        }
        if let Some(valid) = &mut self.valid {
            valid.append(true);
        }
    }

    #[cold]
    fn realign(&mut self, row: usize) {
        let len = self.values.len();
        if len > row {
            self.truncate(row);
        } else {
            self.pad(row);
        }
    }

    /// Appends missing values until there are `rows`.
    pub fn pad(&mut self, rows: usize) {
        let len = self.values.len();
        if len >= rows {
            return;
        }
        let valid = self.valid.get_or_insert_with(|| {
            let mut builder = BooleanBufferBuilder::new(rows);
            builder.append_n(len, true);
            builder
        });
        valid.append_n(rows - len, false);
        self.values.resize(rows);
    }

    /// Forgets every row from `rows` on.
    pub fn truncate(&mut self, rows: usize) {
        if self.values.len() <= rows {
            return;
        }
        self.values.resize(rows);
        if let Some(valid) = &mut self.valid {
            valid.truncate(rows);
        }
    }

    /// Sets row `row` to a float; a later value of the same row replaces an earlier one. The column must
    /// hold floats, else nothing happens and `false` comes back; the same goes for its siblings.
    #[inline]
    pub fn set_float(&mut self, row: usize, value: f64) -> bool {
        if !matches!(self.values, Values::Float(_)) {
            return false;
        }
        self.open(row);
        if let Values::Float(values) = &mut self.values {
            values.push(value);
        }
        true
    }

    /// Sets row `row` to a signed integer.
    #[inline]
    pub fn set_integer(&mut self, row: usize, value: i64) -> bool {
        if !matches!(self.values, Values::Integer(_)) {
            return false;
        }
        self.open(row);
        if let Values::Integer(values) = &mut self.values {
            values.push(value);
        }
        true
    }

    /// Sets row `row` to an unsigned integer.
    #[inline]
    pub fn set_unsigned(&mut self, row: usize, value: u64) -> bool {
        if !matches!(self.values, Values::Unsigned(_)) {
            return false;
        }
        self.open(row);
        if let Values::Unsigned(values) = &mut self.values {
            values.push(value);
        }
        true
    }

    /// Sets row `row` to a boolean.
    #[inline]
    pub fn set_boolean(&mut self, row: usize, value: bool) -> bool {
        if !matches!(self.values, Values::Boolean(_)) {
            return false;
        }
        self.open(row);
        if let Values::Boolean(values) = &mut self.values {
            values.push(value);
        }
        true
    }

    /// Sets row `row` to a text, which must be UTF-8.
    #[inline]
    pub fn set_string(&mut self, row: usize, value: &[u8]) -> bool {
        if !matches!(self.values, Values::String(_)) {
            return false;
        }
        self.open(row);
        if let Values::String(values) = &mut self.values {
            values.push(value);
        }
        true
    }

    /// The rows of `keep`, in order; used where some rows of a request were refused.
    pub(crate) fn filter(&self, keep: &[usize]) -> Self {
        let valid = self.valid.as_ref().map(|valid| {
            let mut builder = BooleanBufferBuilder::new(keep.len());
            for &row in keep {
                builder.append(valid.get_bit(row));
            }
            builder
        });
        let values = match &self.values {
            Values::Float(values) => Values::Float(keep.iter().map(|&row| values[row]).collect()),
            Values::Integer(values) => Values::Integer(keep.iter().map(|&row| values[row]).collect()),
            Values::Unsigned(values) => Values::Unsigned(keep.iter().map(|&row| values[row]).collect()),
            Values::Boolean(values) => Values::Boolean(keep.iter().map(|&row| values[row]).collect()),
            Values::String(values) => {
                let mut kept = Strings::default();
                for &row in keep {
                    kept.push(values.get(row));
                }
                Values::String(kept)
            }
        };
        Self { values, valid }
    }
}

#[cfg(test)]
mod tests;
