//! Which field stands where in a table's lines.
//!
//! The lines of one table name the same fields in the same order, mostly. So every known field remembers
//! which one followed it, and the parser compares the next bytes with that one's name, two masked words
//! at once, before it looks for the end of the name. A name is read, hashed and checked only where the
//! guess fails.

use gigapi_model::ColumnType;
use hashbrown::{DefaultHashBuilder, HashTable};

use super::Span;
use super::series::hash;

/// No field, no column.
pub(super) const NONE: u32 = u32::MAX;

/// One field name of a table.
#[derive(Debug, Clone, Copy)]
pub(super) struct Slot {
    /// The name's first and second sixteen bytes, `=` included, and which of them count.
    low: u128,
    low_mask: u128,
    high: u128,
    high_mask: u128,
    /// The name as it stands in the body, `=` included.
    raw: Span,
    /// The field that followed it last.
    pub(super) next: u32,
    /// The draft's column that took its last value.
    pub(super) column: u32,
    /// Its column for each type, or [`NONE`].
    columns: [u32; 5],
    /// Whether it came with several types.
    pub(super) mixed: bool,
}

impl Slot {
    fn new(body: &[u8], raw: Span) -> Self {
        let mut bytes = [0; 32];
        let mut mask = [0; 32];
        for ((to, mask), from) in bytes.iter_mut().zip(&mut mask).zip(raw.of(body)) {
            *to = *from;
            *mask = 0xFF;
        }
        let (low, high) = halves(&bytes);
        let (low_mask, high_mask) = halves(&mask);
        Self { low, low_mask, high, high_mask, raw, next: NONE, column: NONE, columns: [NONE; 5], mixed: false }
    }

    /// Whether this name and its `=` stand at `at`.
    #[inline]
    pub(super) fn is_at(&self, body: &[u8], at: usize) -> bool {
        match body.get(at..).and_then(<[u8]>::first_chunk::<32>) {
            Some(bytes) if self.raw.len() <= 32 => {
                let (low, high) = halves(bytes);
                ((low ^ self.low) & self.low_mask) | ((high ^ self.high) & self.high_mask) == 0
            }
            _ => body.get(at..).is_some_and(|rest| rest.starts_with(self.raw.of(body))),
        }
    }

    /// Bytes of the name, `=` included.
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.raw.len()
    }

    /// The name without its `=`.
    pub(super) fn name(&self) -> Span {
        self.raw.without_last()
    }

    /// Its column of that type, or [`NONE`].
    pub(super) fn column_of(&self, column_type: ColumnType) -> u32 {
        self.columns.get(type_index(column_type)).copied().unwrap_or(NONE)
    }

    /// Its columns of all types.
    pub(super) fn columns(&self) -> impl Iterator<Item = u32> + use<> {
        self.columns.into_iter().filter(|&column| column != NONE)
    }
}

/// Thirty-two bytes as two numbers.
#[inline]
fn halves(bytes: &[u8; 32]) -> (u128, u128) {
    let half = |bytes: Option<&[u8; 16]>| bytes.map_or(0, |bytes| u128::from_le_bytes(*bytes));
    (half(bytes.first_chunk()), half(bytes.last_chunk()))
}

fn type_index(column_type: ColumnType) -> usize {
    match column_type {
        ColumnType::Float => 0,
        ColumnType::Integer => 1,
        ColumnType::Unsigned => 2,
        ColumnType::Boolean => 3,
        ColumnType::String | ColumnType::Time => 4,
    }
}

/// All field names of a table.
#[derive(Debug)]
pub(super) struct Layout {
    slots: Vec<Slot>,
    by_raw: HashTable<u32>,
    hasher: DefaultHashBuilder,
    /// The field with which the table's last line began.
    first: u32,
}

impl Layout {
    pub(super) fn new() -> Self {
        Self { slots: Vec::new(), by_raw: HashTable::new(), hasher: DefaultHashBuilder::default(), first: NONE }
    }

    /// How many distinct names there are.
    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    /// The field with which the table's last line began.
    #[inline]
    pub(super) fn first(&self) -> u32 {
        self.first
    }

    /// Notes that `slot` followed `before`.
    pub(super) fn follows(&mut self, before: u32, slot: u32) {
        match self.slots.get_mut(before as usize) {
            Some(before) => before.next = slot,
            None => self.first = slot,
        }
    }

    #[inline]
    pub(super) fn slot(&self, slot: u32) -> Option<&Slot> {
        self.slots.get(slot as usize)
    }

    /// The field with this raw name (`=` included).
    pub(super) fn find(&self, body: &[u8], raw: &[u8]) -> Option<u32> {
        let is_same = |&slot: &u32| self.slot(slot).is_some_and(|slot| slot.raw.of(body) == raw);
        self.by_raw.find(hash(&self.hasher, raw), is_same).copied()
    }

    /// Adds a field with this raw name (`=` included); the caller has checked the name.
    pub(super) fn add(&mut self, body: &[u8], raw: Span) -> u32 {
        let index = u32::try_from(self.slots.len()).unwrap_or(NONE);
        self.slots.push(Slot::new(body, raw));
        let (slots, hasher) = (&self.slots, &self.hasher);
        let hash_of = |&slot: &u32| slots.get(slot as usize).map_or(0, |slot| hash(hasher, slot.raw.of(body)));
        self.by_raw.insert_unique(hash(hasher, raw.of(body)), index, hash_of);
        index
    }

    /// Makes `column`, which holds `column_type`, the one that takes the field's values.
    pub(super) fn use_column(&mut self, slot: u32, column_type: ColumnType, column: u32) {
        let Some(slot) = self.slots.get_mut(slot as usize) else { return };
        slot.column = column;
        if let Some(typed) = slot.columns.get_mut(type_index(column_type)) {
            *typed = column;
        }
        slot.mixed = slot.columns().count() > 1;
    }

    /// Forgets all names from `slots` on and all columns from `columns` on, because their line was refused.
    pub(super) fn rewind(&mut self, slots: usize, columns: usize) {
        let keeps = |index: u32, limit: usize| (index as usize) < limit;
        self.slots.truncate(slots);
        self.by_raw.retain(|&mut slot| keeps(slot, slots));
        if !keeps(self.first, slots) {
            self.first = NONE;
        }
        for slot in &mut self.slots {
            if !keeps(slot.next, slots) {
                slot.next = NONE;
            }
            for column in &mut slot.columns {
                if !keeps(*column, columns) {
                    *column = NONE;
                }
            }
            if !keeps(slot.column, columns) {
                slot.column = slot.columns().next().unwrap_or(NONE);
            }
            slot.mixed = slot.columns().count() > 1;
        }
    }
}
