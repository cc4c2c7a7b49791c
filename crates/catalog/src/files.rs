//! A table's live files in order, as snapshots hand them out.
//!
//! They lie in blocks that copies share. A change copies one block and the list of blocks, not every file, whoever still
//! holds an older snapshot.

use std::sync::Arc;

use gigapi_model::{DataFile, FileId, Timestamp};

/// A block that would become larger is divided.
const BLOCK_MAX: usize = 512;

type Block = Arc<Vec<Arc<DataFile>>>;
/// What files are ordered by.
pub(crate) type Key = (Timestamp, FileId);

/// Files by ascending `(time.min, id)`.
#[derive(Debug, Clone, Default)]
pub struct Files {
    /// None is empty.
    blocks: Vec<Block>,
    len: usize,
}

/// All files in order.
pub(crate) type Iter<'a> = std::iter::FlatMap<
    std::slice::Iter<'a, Block>,
    std::slice::Iter<'a, Arc<DataFile>>,
    fn(&'a Block) -> std::slice::Iter<'a, Arc<DataFile>>,
>;

fn key(file: &DataFile) -> Key {
    (file.time.min, file.id)
}

fn find(block: &[Arc<DataFile>], wanted: Key) -> Result<usize, usize> {
    block.binary_search_by_key(&wanted, |file| key(file))
}

impl Files {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// All of them, in order.
    pub fn iter(&self) -> Iter<'_> {
        self.blocks.iter().flat_map(|block| block.iter())
    }

    /// Those from there on, in order.
    pub(crate) fn iter_from(&self, start: Key) -> impl Iterator<Item = &Arc<DataFile>> {
        let blocks = self.blocks.get(self.block_of(start)..).unwrap_or_default();
        let skipped = blocks.first().map_or(0, |block| find(block, start).unwrap_or_else(|at| at));
        blocks.iter().flat_map(|block| block.iter()).skip(skipped)
    }

    /// The block that holds the key, or would.
    fn block_of(&self, wanted: Key) -> usize {
        let starts_before = |block: &Block| block.first().is_some_and(|first| key(first) <= wanted);
        self.blocks.partition_point(starts_before).saturating_sub(1)
    }

    pub(crate) fn get(&self, wanted: Key) -> Option<&Arc<DataFile>> {
        let block = self.blocks.get(self.block_of(wanted))?;
        block.get(find(block, wanted).ok()?)
    }

    /// Puts the file in its place; one of the same key goes.
    pub(crate) fn insert(&mut self, file: Arc<DataFile>) {
        let wanted = key(&file);
        if self.last().is_none_or(|last| key(last) < wanted) {
            return self.append(file);
        }
        let at = self.block_of(wanted);
        let block = Arc::make_mut(&mut self.blocks[at]);
        let place = match find(block, wanted) {
            Ok(place) => {
                block[place] = file;
                return;
            }
            Err(place) => place,
        };
        block.insert(place, file);
        self.len += 1;
        if block.len() > BLOCK_MAX {
            let rest = block.split_off(BLOCK_MAX / 2);
            self.blocks.insert(at + 1, Arc::new(rest));
        }
    }

    fn last(&self) -> Option<&Arc<DataFile>> {
        self.blocks.last()?.last()
    }

    /// Puts the file, which comes after all others, at the end. What comes in order fills its blocks.
    fn append(&mut self, file: Arc<DataFile>) {
        match self.blocks.last_mut() {
            Some(block) if block.len() < BLOCK_MAX => Arc::make_mut(block).push(file),
            _ => self.blocks.push(Arc::new(vec![file])),
        }
        self.len += 1;
    }

    pub(crate) fn remove(&mut self, wanted: Key) -> Option<Arc<DataFile>> {
        let at = self.block_of(wanted);
        let place = find(self.blocks.get(at)?, wanted).ok()?;
        let block = Arc::make_mut(self.blocks.get_mut(at)?);
        let removed = block.remove(place);
        self.len -= 1;
        if block.is_empty() {
            self.blocks.remove(at);
        } else {
            self.join(at);
            self.join(at.saturating_sub(1));
        }
        Some(removed)
    }

    /// Small neighbours become one block, so that there are not many of them after most files are merged.
    fn join(&mut self, at: usize) {
        let [first, second] = [at, at + 1].map(|index| self.blocks.get(index).map_or(BLOCK_MAX, |block| block.len()));
        if first + second <= BLOCK_MAX / 2 {
            let second = self.blocks.remove(at + 1);
            Arc::make_mut(&mut self.blocks[at]).extend(second.iter().cloned());
        }
    }
}

impl<'a> IntoIterator for &'a Files {
    type Item = &'a Arc<DataFile>;
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

impl FromIterator<Arc<DataFile>> for Files {
    fn from_iter<I: IntoIterator<Item = Arc<DataFile>>>(files: I) -> Self {
        let mut all = Self::default();
        files.into_iter().for_each(|file| all.insert(file));
        all
    }
}

impl PartialEq for Files {
    fn eq(&self, other: &Self) -> bool {
        self.len == other.len && self.iter().eq(other)
    }
}

#[cfg(test)]
mod tests;
