//! Answers as bodies that stream.
//!
//! Encoding and compressing run beside the query, not on the threads that serve connections. A body that is
//! dropped ends both; a query that fails breaks its body off. In HTTP/1.0 a body that is broken off looks like one that
//! has ended, so there an answer is sent once it is whole, with its length.

use std::io;

use async_compression::Level;
use async_compression::tokio::write::{GzipEncoder, ZstdEncoder};
use axum::body::Body;
use axum::response::Response;
use bytes::{Bytes, BytesMut};
use futures::{Stream, StreamExt};
use gigapi_service::ApiError;
use http::Version;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderName, HeaderValue, VARY};
use tokio::io::AsyncWriteExt;
use tokio::sync::mpsc;

use crate::encode::{Encoder, Format};
use crate::{Answer, Error, Querier};

/// Pieces of a body that may wait for the connection.
const PIECES_AHEAD: usize = 2;

/// A piece is sent once it has this many bytes.
const PIECE_BYTES_MIN: usize = 64 * 1024;

/// A longer answer is not kept back until it is whole.
const WHOLE_BYTES_MAX: usize = 16 << 20;

/// On answers from a view of the tables that could not be brought up to date: how many seconds old it is.
const STALE_SECONDS: HeaderName = HeaderName::from_static("x-gigapi-stale-seconds");

/// How a body is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compression {
    None,
    Gzip,
    Zstd,
}

impl Compression {
    /// The best that a client accepts.
    pub(super) fn accepted(header: Option<&str>) -> Self {
        let accepts = |wanted: &str| {
            header.unwrap_or_default().split(',').any(|item| {
                let mut parts = item.split(';').map(str::trim);
                let named = parts.next().is_some_and(|name| name.eq_ignore_ascii_case(wanted));
                let refused = parts.any(|part| part.strip_prefix("q=").is_some_and(|q| q.parse() == Ok(0.0_f32)));
                named && !refused
            })
        };
        match (accepts("zstd"), accepts("gzip")) {
            (true, _) => Self::Zstd,
            (_, true) => Self::Gzip,
            _ => Self::None,
        }
    }

    fn name(self) -> Option<&'static str> {
        match self {
            Self::None => None,
            Self::Gzip => Some("gzip"),
            Self::Zstd => Some("zstd"),
        }
    }
}

/// Compresses what is written and lets it be taken away.
enum Sink {
    Plain(Vec<u8>),
    Gzip(GzipEncoder<Vec<u8>>),
    Zstd(ZstdEncoder<Vec<u8>>),
}

impl Sink {
    fn new(compression: Compression) -> Self {
        match compression {
            Compression::None => Self::Plain(Vec::new()),
            Compression::Gzip => Self::Gzip(GzipEncoder::with_quality(Vec::new(), Level::Fastest)),
            Compression::Zstd => Self::Zstd(ZstdEncoder::with_quality(Vec::new(), Level::Fastest)),
        }
    }

    /// Takes what `encoded` holds; gives back what is ready to be sent.
    async fn pass(&mut self, encoded: &mut Vec<u8>) -> io::Result<Vec<u8>> {
        let out = match self {
            Self::Plain(out) => {
                out.append(encoded);
                out
            }
            Self::Gzip(encoder) => {
                encoder.write_all(encoded).await?;
                encoder.flush().await?;
                encoder.get_mut()
            }
            Self::Zstd(encoder) => {
                encoder.write_all(encoded).await?;
                encoder.flush().await?;
                encoder.get_mut()
            }
        };
        encoded.clear();
        Ok(std::mem::take(out))
    }

    async fn finish(&mut self) -> io::Result<Vec<u8>> {
        match self {
            Self::Plain(out) => Ok(std::mem::take(out)),
            Self::Gzip(encoder) => {
                encoder.shutdown().await?;
                Ok(std::mem::take(encoder.get_mut()))
            }
            Self::Zstd(encoder) => {
                encoder.shutdown().await?;
                Ok(std::mem::take(encoder.get_mut()))
            }
        }
    }
}

/// How an answer is sent.
pub(super) struct Sending {
    pub(super) format: Format,
    pub(super) time_as_integer: bool,
    pub(super) compression: Compression,
    /// The version of HTTP that the client speaks.
    pub(super) version: Version,
}

/// The answer as a response. Its query runs on until the last byte is taken or the body is dropped.
pub(super) async fn respond(querier: &Querier, rows: Answer, sending: Sending) -> Result<Response, ApiError> {
    let Sending { format, time_as_integer, compression, version } = sending;
    let encoder = format
        .encoder(rows.schema(), time_as_integer)
        .map_err(|error| ApiError::invalid(format!("the answer cannot be written in that format: {error}")))?;
    let stale = rows.stale();
    let (pieces_tx, pieces_rx) = mpsc::channel(PIECES_AHEAD);
    querier.runtime().spawn(encode(rows, encoder, Sink::new(compression), pieces_tx));
    let body = match version {
        Version::HTTP_09 | Version::HTTP_10 => Body::from(whole(pieces_rx).await?),
        _ => Body::from_stream(streamed(pieces_rx)),
    };
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(format.content_type()));
    if let Some(age) = stale {
        headers.insert(STALE_SECONDS, HeaderValue::from(age.as_secs()));
    }
    headers.insert(VARY, HeaderValue::from_static("Accept-Encoding, Accept"));
    if let Some(name) = compression.name() {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static(name));
    }
    Ok(response)
}

fn streamed(pieces: Receiver) -> impl Stream<Item = io::Result<Bytes>> {
    futures::stream::unfold(Some(pieces), |open| async move {
        let mut pieces = open?;
        match pieces.recv().await {
            Some(Ok(Some(piece))) => Some((Ok(piece), Some(pieces))),
            Some(Ok(None)) => None,
            Some(Err(error)) => {
                tracing::warn!(%error, detail = error.detail(), "an answer was broken off");
                Some((Err(io::Error::other(error.to_string())), None))
            }
            None => Some((Err(io::Error::other(CUT_OFF)), None)),
        }
    })
}

async fn whole(mut pieces: Receiver) -> Result<Bytes, ApiError> {
    let mut body = BytesMut::new();
    loop {
        match pieces.recv().await {
            Some(Ok(Some(piece))) if body.len() + piece.len() <= WHOLE_BYTES_MAX => body.extend_from_slice(&piece),
            Some(Ok(Some(_))) => {
                return Err(ApiError::invalid(format!(
                    "the answer is longer than {} MiB, the limit of HTTP/1.0: ask with HTTP/1.1, or narrow it with LIMIT",
                    WHOLE_BYTES_MAX >> 20
                )));
            }
            Some(Ok(None)) => return Ok(body.freeze()),
            Some(Err(error)) => return Err(error.into()),
            None => return Err(Error::internal(CUT_OFF).into()),
        }
    }
}

/// Of pieces that end without saying so.
const CUT_OFF: &str = "the answer was cut off";

/// A piece of the body; `None` announces the end.
type Piece = Result<Option<Bytes>, Error>;
type Pieces = mpsc::Sender<Piece>;
type Receiver = mpsc::Receiver<Piece>;

async fn encode(rows: Answer, encoder: Box<dyn Encoder>, sink: Sink, pieces: Pieces) {
    // The query has to end with its body even while it computes and sends nothing.
    let work = pump(rows, encoder, sink, &pieces);
    let result = tokio::select! {
        result = work => result,
        () = pieces.closed() => return,
    };
    // A body that was dropped takes no end.
    let _ = pieces.send(result.map(|()| None)).await;
}

async fn pump(mut rows: Answer, mut encoder: Box<dyn Encoder>, mut sink: Sink, pieces: &Pieces) -> Result<(), Error> {
    let unwritable = |error: arrow::error::ArrowError| Error::invalid(format!("the answer cannot be written: {error}"));
    let compressing = |error: io::Error| Error::internal(format!("compressing an answer: {error}"));
    let mut encoded = Vec::new();
    encoder.start(&mut encoded).map_err(unwritable)?;
    while let Some(batch) = rows.next().await.transpose()? {
        encoder.batch(&batch, &mut encoded).map_err(unwritable)?;
        if encoded.len() >= PIECE_BYTES_MIN {
            let piece = sink.pass(&mut encoded).await.map_err(compressing)?;
            if send(pieces, piece).await.is_err() {
                return Ok(());
            }
        }
    }
    encoder.finish(&mut encoded).map_err(unwritable)?;
    let mut piece = sink.pass(&mut encoded).await.map_err(compressing)?;
    piece.append(&mut sink.finish().await.map_err(compressing)?);
    // A body that was dropped takes no last piece.
    let _ = send(pieces, piece).await;
    Ok(())
}

async fn send(pieces: &Pieces, piece: Vec<u8>) -> Result<(), mpsc::error::SendError<Piece>> {
    match piece.is_empty() {
        true => Ok(()),
        false => pieces.send(Ok(Some(Bytes::from(piece)))).await,
    }
}
