//! Bodies as they were sent to bodies as they are meant.
//!
//! The limit on the output sits inside the loop that decodes, so a small body that unfolds to gigabytes
//! costs the limit and not more.

use async_compression::tokio::bufread::{DeflateDecoder, GzipDecoder, ZlibDecoder, ZstdDecoder};
use async_compression::zstd::DParameter;
use bytes::Bytes;
use gigapi_model::ErrorKind;
use gigapi_service::ApiError;
use http::HeaderMap;
use http::header::CONTENT_ENCODING;
use tokio::io::{AsyncRead, AsyncReadExt};

/// zstd's own levels stay at or below 2^23 bytes of window but for the largest, which are refused.
const ZSTD_WINDOW_LOG_MAX: u32 = 25;

/// A piece of output.
const PIECE_BYTES: usize = 1 << 20;

/// How a body is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    Identity,
    Gzip,
    Zstd,
    Deflate,
}

impl Encoding {
    pub(super) fn of(headers: &HeaderMap) -> Result<Self, ApiError> {
        let Some(value) = headers.get(CONTENT_ENCODING) else { return Ok(Self::Identity) };
        let text = value.to_str().unwrap_or_default().trim().to_ascii_lowercase();
        match text.as_str() {
            "" | "identity" => Ok(Self::Identity),
            "gzip" | "x-gzip" => Ok(Self::Gzip),
            "zstd" => Ok(Self::Zstd),
            "deflate" => Ok(Self::Deflate),
            other => Err(ApiError::unsupported_media(format!(
                "Content-Encoding {other:?} is not supported; send gzip, zstd, deflate or none"
            ))),
        }
    }
}

/// The body, of at most `bytes_max` bytes.
pub(super) async fn decode(body: Bytes, encoding: Encoding, bytes_max: usize) -> Result<Bytes, ApiError> {
    let source = body.as_ref();
    match encoding {
        Encoding::Identity => Ok(body),
        Encoding::Gzip => {
            let mut decoder = GzipDecoder::new(source);
            decoder.multiple_members(true);
            read(decoder, "gzip", bytes_max).await
        }
        Encoding::Zstd => {
            let window = DParameter::window_log_max(ZSTD_WINDOW_LOG_MAX);
            let mut decoder = ZstdDecoder::with_params(source, &[window]);
            decoder.multiple_members(true);
            read(decoder, "zstd", bytes_max).await
        }
        // HTTP's deflate is zlib's format; some clients send the bare stream all the same.
        Encoding::Deflate if is_zlib(source) => read(ZlibDecoder::new(source), "deflate", bytes_max).await,
        Encoding::Deflate => read(DeflateDecoder::new(source), "deflate", bytes_max).await,
    }
}

fn is_zlib(source: &[u8]) -> bool {
    match source {
        [cmf, flg, ..] => cmf & 0x0f == 8 && (u16::from(*cmf) << 8 | u16::from(*flg)) % 31 == 0,
        _ => false,
    }
}

async fn read(decoder: impl AsyncRead, name: &str, bytes_max: usize) -> Result<Bytes, ApiError> {
    tokio::pin!(decoder);
    // Pieces are joined once all are there: a buffer that grows by moving would take twice the limit.
    let mut pieces: Vec<Vec<u8>> = Vec::new();
    let mut total = 0;
    loop {
        let mut piece = Vec::with_capacity(PIECE_BYTES);
        while piece.len() < PIECE_BYTES {
            let room = PIECE_BYTES - piece.len();
            let read = decoder.as_mut().take(room as u64).read_buf(&mut piece).await;
            let read =
                read.map_err(|error| ApiError::invalid(format!("the body is not readable as {name}: {error}")))?;
            if read == 0 {
                break;
            }
            tokio::task::consume_budget().await;
        }
        if piece.is_empty() {
            return Ok(joined(pieces, total));
        }
        total += piece.len();
        pieces.push(piece);
        if total > bytes_max {
            return Err(ApiError::new(
                ErrorKind::TooLarge,
                format!(
                    "the body is larger than {bytes_max} bytes after {name} decoding; send it in parts or raise GIGAPI_DECOMPRESSED_BYTES_MAX"
                ),
            ));
        }
    }
}

fn joined(mut pieces: Vec<Vec<u8>>, total: usize) -> Bytes {
    if pieces.len() == 1 {
        return pieces.pop().unwrap_or_default().into();
    }
    let mut whole = Vec::with_capacity(total);
    for piece in pieces {
        whole.extend_from_slice(&piece);
    }
    whole.into()
}
