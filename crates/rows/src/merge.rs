//! Merges sorted inputs into one sorted sequence, a window of rows at a time.
//!
//! Keys decide, values follow: the order of a window is found from tags and times alone and kept as spans of input
//! rows; each column is then fetched and gathered by itself, so that memory holds one column of one window however
//! wide the table is. Inputs come oldest commit first. Where the table has a key, rows of equal tags and time become
//! one, field by field the last value that is there. Nothing here reads files or decides what is merged.

mod cursor;
mod keys;
mod order;
mod values;
mod window;

use std::ops::Range;

use arrow::array::ArrayRef;
use arrow::error::ArrowError;
use gigapi_model::{Column, TableDef, TableKey};

use cursor::Cursor;
pub use keys::KeyBatch;
pub use window::Window;

/// An input refuses to be merged at more than this many rows in one batch of keys: positions in a window are 32 bits.
const KEY_BATCH_ROWS_MAX: usize = 1 << 24;

/// One sorted input: tags by field id, null first, then time.
pub trait SortedInput {
    /// Why it cannot be read.
    type Error: From<MergeError>;

    /// The keys of the next rows; batches follow each other without gaps. `None` after the last.
    fn next_keys(&mut self) -> Result<Option<KeyBatch>, Self::Error>;

    /// The values of a field in these rows, counted from the input's first; `None` if the input lacks the column. Asked
    /// with ascending rows per column.
    fn column(&mut self, column: &Column, rows: Range<u64>) -> Result<Option<ArrayRef>, Self::Error>;
}

/// Why inputs cannot be merged.
#[derive(Debug, thiserror::Error)]
pub enum MergeError {
    /// An input's rows are not in table order, or repeat a key.
    #[error("input {input} is not in the table's order at row {row}")]
    Order {
        /// Which input, counted from 0 in the order in which they were given.
        input: usize,
        /// Its row, counted from 0.
        row: u64,
    },
    /// An input's columns have other types or lengths than the table's.
    #[error("input {input}: {reason}")]
    Shape {
        /// Which input.
        input: usize,
        /// What does not fit.
        reason: String,
    },
    /// Arrow could not put an array together.
    #[error("columns cannot be put together: {0}")]
    Arrow(#[from] ArrowError),
}

/// A merge under way.
#[derive(Debug)]
pub struct Merge<I> {
    inputs: Vec<I>,
    cursors: Vec<Cursor>,
    /// Whether rows of equal keys become one.
    keyed: bool,
    tags: usize,
    started: bool,
}

impl<I: SortedInput> Merge<I> {
    /// Of these inputs, oldest commit first; each holds the table's tags in their order.
    pub fn new(table: &TableDef, inputs: Vec<I>) -> Self {
        let tags = table.tags().count();
        let cursors = (0..inputs.len()).map(|index| Cursor::new(index, tags)).collect();
        Self { inputs, cursors, keyed: table.key == TableKey::Tags, tags, started: false }
    }

    /// The order of the next rows: at least `rows` of them, or as many as `taken` rows of inputs come to, or all that are
    /// left; at most a batch of keys of every input more. `None` if no rows are left.
    ///
    /// Where rows overwrite each other, many are taken for few: `taken` bounds what a column of the window costs.
    pub fn next_window(&mut self, rows: usize, taken: usize) -> Result<Option<Window>, I::Error> {
        if !self.started {
            for (cursor, input) in self.cursors.iter_mut().zip(&mut self.inputs) {
                cursor.fill(input, self.keyed)?;
            }
            self.started = true;
        }
        let mut window = Window::new(self.tags, self.cursors.iter().map(Cursor::row));
        for cursor in &mut self.cursors {
            cursor.forget_entries();
        }
        let mut group = order::Group::default();
        while window.rows() < rows && window.rows() + window.overwritten_rows() < taken && group.find(&self.cursors) {
            let end = group.emit(&mut self.cursors, &mut window, self.keyed);
            for &(index, position) in end {
                let (cursor, input) = (&mut self.cursors[index], &mut self.inputs[index]);
                cursor.advance(position, input, self.keyed)?;
            }
        }
        window.close(self.cursors.iter().map(Cursor::row));
        Ok((window.rows() > 0).then_some(window))
    }

    /// A field's values in a window, in its order.
    pub fn column(&mut self, window: &Window, column: &Column) -> Result<ArrayRef, I::Error> {
        let mut arrays = Vec::with_capacity(self.inputs.len());
        for (index, (input, rows)) in self.inputs.iter_mut().zip(window.ranges()).enumerate() {
            let found = if rows.is_empty() { None } else { input.column(column, rows.clone())? };
            if let Some(array) = &found
                && array.len() as u64 != rows.end - rows.start
            {
                let reason =
                    format!("column {} has {} values in rows {}..{}", column.name, array.len(), rows.start, rows.end);
                return Err(MergeError::Shape { input: index, reason }.into());
            }
            arrays.push(found);
        }
        Ok(values::gather(column, &arrays, window).map_err(MergeError::from)?)
    }

    /// The inputs, for what is left to ask of them.
    pub fn inputs(&self) -> &[I] {
        &self.inputs
    }
}

#[cfg(test)]
mod tests;
