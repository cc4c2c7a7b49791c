//! Blocks of one object: from memory, from disk, from another reader's request, or from the store.
//!
//! What is missing is fetched by a task of its own, so that a reader that goes away takes nothing from others. A
//! request covers a run of neighbouring blocks; each block is handed on as soon as its bytes are there.

use std::collections::VecDeque;
use std::ops::{Range, RangeInclusive};
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{Error, GetOptions, GetRange, GetResult, ObjectMeta, ObjectStore, Result};

use super::disk::{Block, BlockKey};
use super::flights::{Failure, Ticket};
use super::store::NAME;
use super::tally::Origins;
use super::{ReadCache, Shape};

/// Blocks looked for on disk at once, by one read.
const LOOKUPS_AT_ONCE: usize = 16;

/// One object in one store, read through the cache.
#[derive(Clone)]
pub(super) struct Reader {
    pub(super) cache: Arc<ReadCache>,
    pub(super) store: Arc<dyn ObjectStore>,
    pub(super) path: Path,
    /// What the cache calls it.
    pub(super) object: Arc<str>,
    /// Where the blocks of this read came from.
    pub(super) origins: Origins,
    /// Blocks that were brought for this very read: using them is no hit.
    pub(super) brought: RangeInclusive<u32>,
}

/// A block that somebody waited for, and whether the disk had it.
#[derive(Debug, Clone)]
pub(super) struct Landed {
    block: Block,
    was_cached: bool,
}

impl Landed {
    fn of_disk(block: Block) -> Self {
        Self { block, was_cached: true }
    }

    fn of_store(block: Block) -> Self {
        Self { block, was_cached: false }
    }
}

/// No block.
pub(super) const NOTHING: RangeInclusive<u32> = RangeInclusive::new(1, 0);

impl Reader {
    fn shape(&self) -> Shape {
        self.cache.shape
    }

    fn key(&self, index: u32) -> BlockKey {
        BlockKey { object: Arc::clone(&self.object), index }
    }

    /// Where the block lies in an object of unlimited size.
    pub(super) fn range_of(&self, index: u32) -> Range<u64> {
        let bytes = self.shape().block_bytes as u64;
        let start = u64::from(index) * bytes;
        start..start + bytes
    }

    /// The blocks that a range touches; the range is not empty.
    pub(super) fn blocks_of(&self, range: &Range<u64>) -> RangeInclusive<u32> {
        self.cache.block_of(range.start)..=self.cache.block_of(range.end - 1)
    }

    /// What is known of the object; asks the store if nothing is.
    pub(super) async fn meta(&self) -> Result<ObjectMeta> {
        if let Some(known) = self.cache.known(&self.object) {
            return Ok(known);
        }
        let (flight, ticket) = self.cache.heads.claim(Arc::clone(&self.object));
        if let Some(ticket) = ticket {
            let reader = self.clone();
            tokio::spawn(async move { ticket.land(reader.head().await.map_err(Failure::from)) });
        }
        flight.await.map_err(|failure| failure.error())
    }

    async fn head(&self) -> Result<ObjectMeta> {
        if let Some(known) = self.cache.known(&self.object) {
            return Ok(known);
        }
        let options = GetOptions { head: true, ..GetOptions::default() };
        let meta = self.store.get_opts(&self.path, options).await?.meta;
        self.cache.learn(&self.object, &meta)?;
        Ok(meta)
    }

    /// What is known of the object once the blocks from `first` on were asked for: their answer tells its size.
    pub(super) async fn meta_from(&mut self, blocks: RangeInclusive<u32>) -> Result<ObjectMeta> {
        if let Some(known) = self.cache.known(&self.object) {
            return Ok(known);
        }
        let run: Vec<u32> = blocks.take(self.shape().run_blocks).collect();
        let answer = self.blocks(&run).await;
        if let (Some(first), Some(last)) = (run.first(), run.last()) {
            self.brought = *first..=*last;
        }
        let Err(error) = answer else { return self.meta().await };
        // Where others bring the first of them, the request for the rest may have lain behind the object's end.
        match (self.cache.known(&self.object), run.as_slice()) {
            (Some(meta), [.., last]) if self.range_of(*last).start >= meta.size => return Ok(meta),
            (None, [first, _, ..]) if !matches!(error, Error::NotFound { .. }) => self.blocks(&[*first]).await?,
            _ => return Err(error),
        };
        self.meta().await
    }

    /// The blocks in the order of `indices`, which ascend. A block behind the object's end is empty.
    pub(super) async fn blocks(&self, indices: &[u32]) -> Result<Vec<Block>> {
        let mut found: Vec<Option<Block>> =
            indices.iter().map(|index| self.cache.in_memory(&self.key(*index))).collect();
        let hits = indices.iter().zip(&found).filter(|(index, found)| found.is_some() && !self.brought.contains(index));
        self.cache.counts.add(&self.cache.counts.memory_hits, hits.count() as u64);
        indices
            .iter()
            .zip(&found)
            .filter(|(_, found)| found.is_some())
            .for_each(|(at, _)| self.origins.note(*at, true));
        let missing: Vec<usize> = (0..found.len()).filter(|at| found[*at].is_none()).collect();
        if !missing.is_empty() {
            let claims = missing.iter().map(|at| self.cache.flights.claim(self.key(indices[*at])));
            let (flights, tickets): (Vec<_>, Vec<_>) = claims.unzip();
            let tickets: Vec<_> = tickets.into_iter().flatten().collect();
            self.cache.counts.add(&self.cache.counts.joined, (flights.len() - tickets.len()) as u64);
            if !tickets.is_empty() {
                tokio::spawn(self.clone().bring(tickets));
            }
            for (at, flight) in missing.into_iter().zip(flights) {
                let Landed { block, was_cached } = flight.await.map_err(|failure| failure.error())?;
                self.origins.note(indices[at], was_cached);
                found[at] = Some(block);
            }
        }
        Ok(found.into_iter().flatten().collect())
    }

    /// Lands every ticket.
    async fn bring(self, tickets: Vec<Ticket<BlockKey, Landed>>) {
        let looked = futures::stream::iter(tickets).map(|ticket| async {
            match self.cache.find(&ticket.key).await {
                Some(block) => {
                    ticket.land(Ok(Landed::of_disk(block)));
                    None
                }
                None => Some(ticket),
            }
        });
        let missing: Vec<_> = looked.buffered(LOOKUPS_AT_ONCE).filter_map(std::future::ready).collect().await;
        self.cache.counts.add(&self.cache.counts.misses, missing.len() as u64);
        let runs = futures::stream::iter(self.runs(missing)).map(|run| self.fetch(run));
        runs.buffer_unordered(self.shape().runs_at_once).collect::<()>().await;
    }

    /// Neighbours together, not too many.
    fn runs(&self, missing: Vec<Ticket<BlockKey, Landed>>) -> Vec<Vec<Ticket<BlockKey, Landed>>> {
        let mut runs: Vec<Vec<Ticket<BlockKey, Landed>>> = Vec::new();
        for ticket in missing {
            match runs.last_mut() {
                Some(run)
                    if run.len() < self.shape().run_blocks
                        && run.last().is_some_and(|last| last.key.index + 1 == ticket.key.index) =>
                {
                    run.push(ticket);
                }
                _ => runs.push(vec![ticket]),
            }
        }
        runs
    }

    /// One request for neighbouring blocks.
    async fn fetch(&self, run: Vec<Ticket<BlockKey, Landed>>) {
        let mut run = VecDeque::from(run);
        if let Err(error) = self.fetch_into(&mut run).await {
            let failure = Failure::from(error);
            for ticket in run {
                ticket.land(Err(failure.clone()));
            }
        }
    }

    /// Lands and removes the tickets whose blocks have come.
    async fn fetch_into(&self, run: &mut VecDeque<Ticket<BlockKey, Landed>>) -> Result<()> {
        let (Some(first), Some(last)) = (run.front(), run.back()) else { return Ok(()) };
        let wanted = self.range_of(first.key.index).start..self.range_of(last.key.index).end;
        self.cache.counts.add(&self.cache.counts.fetches, 1);
        let options = GetOptions { range: Some(GetRange::Bounded(wanted.clone())), ..GetOptions::default() };
        let answer = self.store.get_opts(&self.path, options).await?;
        let size = answer.meta.size;
        if answer.range != (wanted.start..wanted.end.min(size)) {
            return Err(self.wrong(format!("asked for bytes {wanted:?} of {size}, got {:?}", answer.range)));
        }
        self.cache.learn(&self.object, &answer.meta)?;
        self.cut(answer, run).await?;
        for behind in run.drain(..) {
            behind.land(Ok(Landed::of_store(Block(Bytes::new()))));
        }
        Ok(())
    }

    /// Cuts an answer into blocks. A block's bytes are copied once, so that none keeps a whole answer in memory.
    async fn cut(&self, answer: GetResult, run: &mut VecDeque<Ticket<BlockKey, Landed>>) -> Result<()> {
        let (size, mut left) = (answer.meta.size, answer.range.end - answer.range.start);
        let mut chunks = answer.into_stream();
        let mut chunk = Bytes::new();
        while left > 0 {
            let Some(ticket) = run.front() else { break };
            let place = self.range_of(ticket.key.index);
            let length = usize::try_from(place.end.min(size) - place.start).unwrap_or(self.shape().block_bytes);
            let mut block = BytesMut::with_capacity(length);
            while block.len() < length {
                if chunk.is_empty() {
                    let next = chunks.try_next().await?;
                    chunk = next.ok_or_else(|| self.wrong(format!("the answer ended {left} bytes early")))?;
                }
                let taken = chunk.split_to(chunk.len().min(length - block.len()));
                left -= taken.len() as u64;
                block.extend_from_slice(&taken);
            }
            if left == 0 && (!chunk.is_empty() || chunks.try_next().await?.is_some_and(|more| !more.is_empty())) {
                return Err(self.wrong("the answer holds more than was asked for".to_owned()));
            }
            let Some(ticket) = run.pop_front() else { break };
            self.cache.counts.add(&self.cache.counts.fetched_bytes, length as u64);
            let block = Block(block.freeze());
            self.cache.keep(ticket.key.clone(), block.clone());
            ticket.land(Ok(Landed::of_store(block)));
        }
        Ok(())
    }

    pub(super) fn wrong(&self, reason: String) -> Error {
        Error::Generic { store: NAME, source: format!("reading {}: {reason}", self.object).into() }
    }
}
