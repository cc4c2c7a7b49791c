//! Answers as bodies that stream.
//!
//! Encoding and compressing run beside the query, not on the threads that serve connections. A body that is
//! dropped ends both; a query that fails breaks its body off. In HTTP/1.0 a body that is broken off looks like one that
//! has ended, so there an answer is sent once it is whole, with its length.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use async_compression::Level;
use async_compression::tokio::write::{GzipEncoder, ZstdEncoder};
use axum::body::Body;
use axum::response::Response;
use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use gigapi_service::ApiError;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderName, HeaderValue, TRAILER, VARY};
use http::{HeaderMap, Version};
use http_body::Frame;
use tokio::io::AsyncWriteExt;
use tokio::sync::mpsc;

use super::telling;
use crate::encode::{Encoder, Format};
use crate::{Answer, Error, Querier, QueryProgress};

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
///
/// An answer that is whole before its first byte is sent says in headers what it took; a longer one says so in trailers,
/// to clients whose version of HTTP has them.
pub(super) async fn respond(querier: &Querier, rows: Answer, sending: Sending) -> Result<Response, ApiError> {
    let Sending { format, time_as_integer, compression, version } = sending;
    let encoder = format
        .encoder(rows.schema(), time_as_integer)
        .map_err(|error| ApiError::invalid(format!("the answer cannot be written in that format: {error}")))?;
    let (stale, id, progress) = (rows.stale(), rows.id(), rows.progress());
    let away = telling::away(rows.writers_away());
    let is_short = rows.is_short();
    let (pieces_tx, mut pieces_rx) = mpsc::channel(PIECES_AHEAD);
    let encoding = encode(rows, encoder, Sink::new(compression), pieces_tx);
    let first = if is_short {
        // Two changes of threads would take longer.
        tokio::join!(encoding, whole(&mut pieces_rx, usize::MAX)).1?
    } else {
        querier.runtime().spawn(encoding);
        match version {
            Version::HTTP_09 | Version::HTTP_10 => whole(&mut pieces_rx, WHOLE_BYTES_MAX).await?,
            _ => received(pieces_rx.recv().await)?,
        }
    };
    let mut headers = HeaderMap::new();
    let body = match first {
        Piece { bytes, is_last: true } => {
            telling::figures(&progress, &mut headers);
            Body::from(bytes)
        }
        first => {
            headers.insert(TRAILER, telling::TRAILERS);
            let progress = progress.clone();
            Body::new(Streamed { first: Some(first.bytes), pieces: Some(pieces_rx), progress, end: None })
        }
    };
    telling::begun(id, &progress, &mut headers);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(format.content_type()));
    if let Some(age) = stale {
        headers.insert(STALE_SECONDS, HeaderValue::from(age.as_secs()));
    }
    headers.extend(away.map(|away| (telling::WRITERS_AWAY, away)));
    headers.insert(VARY, HeaderValue::from_static("Accept-Encoding, Accept"));
    if let Some(name) = compression.name() {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static(name));
    }
    let mut response = Response::new(body);
    *response.headers_mut() = headers;
    Ok(response)
}

/// A body that goes on after its first piece.
struct Streamed {
    first: Option<Bytes>,
    /// None come any more once it is nothing.
    pieces: Option<Receiver>,
    progress: QueryProgress,
    /// What follows the last piece.
    end: Option<Frame<Bytes>>,
}

impl http_body::Body for Streamed {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(Ok(Frame::data(first))));
        }
        let Some(pieces) = &mut self.pieces else { return Poll::Ready(self.end.take().map(Ok)) };
        match received(std::task::ready!(pieces.poll_recv(context))) {
            Ok(Piece { bytes, is_last: false }) => Poll::Ready(Some(Ok(Frame::data(bytes)))),
            Ok(Piece { bytes, is_last: true }) => {
                let mut trailers = HeaderMap::new();
                telling::figures(&self.progress, &mut trailers);
                self.end = Some(Frame::trailers(trailers));
                self.pieces = None;
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
            Err(error) => {
                self.pieces = None;
                tracing::warn!(%error, detail = error.detail(), "an answer was broken off");
                Poll::Ready(Some(Err(io::Error::other(error.to_string()))))
            }
        }
    }
}

/// All pieces as one, for clients who cannot tell a body that ends from one that breaks off.
async fn whole(pieces: &mut Receiver, bytes_max: usize) -> Result<Piece, ApiError> {
    let mut body = BytesMut::new();
    loop {
        let Piece { bytes, is_last } = received(pieces.recv().await)?;
        if body.len() + bytes.len() > bytes_max {
            return Err(ApiError::invalid(format!(
                "the answer is longer than {} MiB, the limit of HTTP/1.0: ask with HTTP/1.1, or narrow it with LIMIT",
                bytes_max >> 20
            )));
        }
        body.extend_from_slice(&bytes);
        if is_last {
            return Ok(Piece { bytes: body.freeze(), is_last });
        }
    }
}

fn received(piece: Option<Result<Piece, Error>>) -> Result<Piece, Error> {
    piece.unwrap_or_else(|| Err(Error::internal(CUT_OFF)))
}

/// Of pieces that end without saying so.
const CUT_OFF: &str = "the answer was cut off";

/// A piece of the body.
#[derive(Debug)]
struct Piece {
    bytes: Bytes,
    /// Whether the body ends with it: pieces that stop without saying so are not all there are.
    is_last: bool,
}

type Pieces = mpsc::Sender<Result<Piece, Error>>;
type Receiver = mpsc::Receiver<Result<Piece, Error>>;

async fn encode(rows: Answer, encoder: Box<dyn Encoder>, sink: Sink, pieces: Pieces) {
    // The query has to end with its body even while it computes and sends nothing.
    let work = pump(rows, encoder, sink, &pieces);
    let result = tokio::select! {
        result = work => result,
        () = pieces.closed() => return,
    };
    // A body that was dropped takes no end.
    let _ = pieces.send(result).await;
}

/// Sends all pieces but the last, which it answers.
async fn pump(
    mut rows: Answer,
    mut encoder: Box<dyn Encoder>,
    mut sink: Sink,
    pieces: &Pieces,
) -> Result<Piece, Error> {
    let unwritable = |error: arrow::error::ArrowError| Error::invalid(format!("the answer cannot be written: {error}"));
    let compressing = |error: io::Error| Error::internal(format!("compressing an answer: {error}"));
    let mut encoded = Vec::new();
    encoder.start(&mut encoded).map_err(unwritable)?;
    while let Some(batch) = rows.next().await.transpose()? {
        encoder.batch(&batch, &mut encoded).map_err(unwritable)?;
        if encoded.len() >= PIECE_BYTES_MIN {
            let piece = sink.pass(&mut encoded).await.map_err(compressing)?;
            // Whether it is still wanted, the caller sees.
            if !piece.is_empty() && pieces.send(Ok(Piece { bytes: piece.into(), is_last: false })).await.is_err() {
                break;
            }
        }
    }
    encoder.finish(&mut encoded).map_err(unwritable)?;
    let mut piece = sink.pass(&mut encoded).await.map_err(compressing)?;
    piece.append(&mut sink.finish().await.map_err(compressing)?);
    Ok(Piece { bytes: piece.into(), is_last: true })
}
