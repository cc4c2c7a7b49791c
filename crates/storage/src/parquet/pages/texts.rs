//! Texts as runs of equal values.
//!
//! Sorted by their tags, rows repeat a tag's value for as long as a series lasts, and the file stores it that way: the
//! runs are read off the dictionary's codes without a look at the rows.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use parquet::basic::Encoding;

use super::reader::{PageValues, Presence, Sink};
use super::{Chunk, ChunkBytes, PageError, PageResult, damaged};
use crate::parquet::encoding::hybrid;

/// Consecutive rows with one value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextRun {
    /// The place of the value among the entries; `None` for rows without one.
    pub code: Option<u32>,
    /// In the row group.
    pub rows: Range<usize>,
}

/// A column of texts.
#[derive(Debug, Default)]
pub struct TextRuns {
    /// The values, each once.
    pub entries: Vec<Bytes>,
    /// Ascending; they cover all rows of every page that holds a wanted row.
    pub runs: Vec<TextRun>,
}

impl TextRuns {
    /// Reads the pages that hold rows of `wanted`.
    pub fn read(chunk: &Chunk<'_>, bytes: &Arc<ChunkBytes>, wanted: &[Range<usize>]) -> PageResult<Self> {
        let mut reading = Reading::default();
        chunk.walk(bytes, wanted, &mut reading)?;
        Ok(reading.runs)
    }

    fn push(&mut self, code: Option<u32>, rows: Range<usize>) {
        match self.runs.last_mut() {
            Some(last) if last.code == code && last.rows.end == rows.start => last.rows.end = rows.end,
            _ => self.runs.push(TextRun { code, rows }),
        }
    }
}

#[derive(Default)]
struct Reading {
    runs: TextRuns,
    /// Entries that the file's dictionary has; pages that store their values add theirs.
    dictionary: usize,
    codes: HashMap<Bytes, u32>,
}

impl Reading {
    fn code_of(&mut self, value: Bytes) -> u32 {
        if self.codes.is_empty() {
            let entries = self.runs.entries.iter().cloned();
            self.codes = entries.zip(0..).collect();
        }
        if let Some(code) = self.codes.get(&value) {
            return *code;
        }
        let code = u32::try_from(self.runs.entries.len()).unwrap_or(u32::MAX);
        self.runs.entries.push(value.clone());
        self.codes.insert(value, code);
        code
    }

    /// Values that follow each other, with the rows between them that have none.
    fn spread(&mut self, page: &PageValues, values: impl IntoIterator<Item = (u32, usize)>) -> PageResult<()> {
        let mut row = page.rows.start;
        let Presence::Some(stretches) = &page.presence else {
            for (code, count) in values {
                self.runs.push(Some(code), row..row + count);
                row += count;
            }
            return Ok(());
        };
        let mut values = values.into_iter();
        let mut open = (0, 0);
        for &(present, mut count) in stretches {
            if !present {
                self.runs.push(None, row..row + count);
                row += count;
                continue;
            }
            while count > 0 {
                if open.1 == 0 {
                    let Some(next) = values.next() else { return damaged("fewer values than rows") };
                    open = next;
                    continue;
                }
                let taken = count.min(open.1);
                self.runs.push(Some(open.0), row..row + taken);
                (row, count, open.1) = (row + taken, count - taken, open.1 - taken);
            }
        }
        Ok(())
    }
}

impl Sink for Reading {
    fn dictionary(&mut self, entries: Bytes, count: usize) -> PageResult<()> {
        self.runs.entries = plain(&entries, count)?;
        self.dictionary = count;
        Ok(())
    }

    fn page(&mut self, page: &PageValues) -> PageResult<()> {
        let count = page.presence.values(page.rows.len());
        match page.encoding {
            Encoding::RLE_DICTIONARY | Encoding::PLAIN_DICTIONARY => {
                let Some((&width, codes)) = page.values.split_first() else {
                    return if count == 0 { self.spread(page, []) } else { damaged("a page without its codes") };
                };
                let mut runs: Vec<(u32, usize)> = Vec::new();
                hybrid::decode(codes, width, count, &mut |code, length| runs.push((code, length)))
                    .map_err(PageError::Damaged)?;
                if runs.iter().any(|(code, _)| *code as usize >= self.dictionary) {
                    return damaged("a code that its dictionary lacks");
                }
                self.spread(page, runs)
            }
            Encoding::PLAIN => {
                let values = plain(&page.values, count)?;
                let mut runs: Vec<(u32, usize)> = Vec::new();
                let mut last: Option<(Bytes, u32)> = None;
                for value in values {
                    let code = match &last {
                        Some((known, code)) if *known == value => *code,
                        _ => self.code_of(value.clone()),
                    };
                    last = Some((value, code));
                    runs.push((code, 1));
                }
                self.spread(page, runs)
            }
            other => Err(PageError::Unsupported(format!("a text in {other}"))),
        }
    }
}

/// Texts in PLAIN: length and bytes, one after the other.
fn plain(bytes: &Bytes, count: usize) -> PageResult<Vec<Bytes>> {
    let mut values = Vec::with_capacity(count.min(bytes.len() / 4));
    let mut at = 0;
    for _ in 0..count {
        let Some(length) = bytes.get(at..).and_then(|rest| rest.first_chunk::<4>()) else {
            return damaged("a text without its length");
        };
        let end = (at + 4).saturating_add(u32::from_le_bytes(*length) as usize);
        if end > bytes.len() {
            return damaged("a text that is longer than its page");
        }
        values.push(bytes.slice(at + 4..end));
        at = end;
    }
    Ok(values)
}
