//! An answer as it comes: bytes, and the rows that they are.

use anyhow::Context;
use arrow::array::RecordBatch;
use arrow::buffer::Buffer;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::ipc::reader::StreamDecoder;
use bytes::Bytes;
use futures::{Stream, StreamExt};
use reqwest::Response;

use crate::query::failure::Failure;

/// The pieces of an answer's body.
pub(super) fn pieces(response: Response) -> impl Stream<Item = Result<Bytes, Failure>> + Unpin {
    let broken = |error: reqwest::Error| {
        let timed_out = error.is_timeout();
        let error = anyhow::Error::new(error.without_url());
        Failure::Broken(match timed_out {
            true => error.context("the answer stopped coming in time (--timeout); it is incomplete"),
            false => error.context("the answer broke off and is incomplete; the server's log says why"),
        })
    };
    Box::pin(response.bytes_stream().map(move |piece| piece.map_err(broken)))
}

/// An answer as record batches.
pub(crate) struct Batches {
    pieces: Box<dyn Stream<Item = Result<Bytes, Failure>> + Unpin + Send>,
    decoder: StreamDecoder,
    undecoded: Buffer,
}

impl Batches {
    pub(crate) fn new(response: Response) -> Self {
        let decoder = StreamDecoder::new();
        Self { pieces: Box::new(pieces(response)), decoder, undecoded: Buffer::default() }
    }

    /// The next rows; nothing once the answer has ended as it should.
    pub(crate) async fn next(&mut self) -> Result<Option<RecordBatch>, Failure> {
        loop {
            if let Some(batch) = self.decoder.decode(&mut self.undecoded).map_err(unreadable)? {
                return Ok(Some(batch));
            }
            match self.pieces.next().await {
                Some(piece) => self.undecoded = Buffer::from(piece?),
                None => {
                    let ended = self.decoder.finish().context("the answer ends early");
                    return ended.map(|()| None).map_err(Failure::Broken);
                }
            }
        }
    }

    /// The columns, once the answer has begun.
    pub(crate) fn schema(&self) -> Option<SchemaRef> {
        self.decoder.schema()
    }
}

pub(super) fn unreadable(error: ArrowError) -> Failure {
    Failure::Broken(anyhow::Error::new(error).context("the answer cannot be read"))
}
