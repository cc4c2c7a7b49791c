//! What an answer's headers and trailers say of its query.

use http::HeaderMap;
use http::header::{HeaderName, HeaderValue};

use crate::{QueryFigures, QueryId, QueryProgress};

/// What a query goes by: asked for by a client that wants to choose, told to all.
pub(super) const QUERY_ID: HeaderName = HeaderName::from_static("x-gigapi-query-id");

/// As browsers and proxies show it: milliseconds of waiting, planning, and all of it.
const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");

/// A figure by the header that tells it.
type Figure = (HeaderName, fn(&QueryFigures) -> u64);

const FIGURES: [Figure; 8] = [
    (HeaderName::from_static("x-gigapi-files-planned"), |figures| figures.files_planned),
    (HeaderName::from_static("x-gigapi-files-pruned"), |figures| figures.files_pruned),
    (HeaderName::from_static("x-gigapi-files-opened"), |figures| figures.files_opened),
    (HeaderName::from_static("x-gigapi-rows-scanned"), |figures| figures.rows_scanned),
    (HeaderName::from_static("x-gigapi-bytes-scanned"), |figures| figures.bytes_scanned),
    (HeaderName::from_static("x-gigapi-bytes-from-cache"), |figures| figures.bytes_from_cache),
    (HeaderName::from_static("x-gigapi-rows-returned"), |figures| figures.rows_returned),
    (HeaderName::from_static("x-gigapi-memory-bytes"), |figures| figures.memory_bytes),
];

/// What a body that goes on tells after its last piece.
pub(super) const TRAILERS: HeaderValue = HeaderValue::from_static(
    "x-gigapi-elapsed-ms, x-gigapi-files-planned, x-gigapi-files-pruned, x-gigapi-files-opened, \
     x-gigapi-rows-scanned, x-gigapi-bytes-scanned, x-gigapi-bytes-from-cache, x-gigapi-rows-returned, x-gigapi-memory-bytes",
);

const ELAPSED: HeaderName = HeaderName::from_static("x-gigapi-elapsed-ms");

/// On answers without the unflushed rows of writers that could not be asked: their ids and addresses.
pub(crate) const WRITERS_AWAY: HeaderName = HeaderName::from_static("x-gigapi-writers-away");

/// The names of the writers that an answer lacks, if it lacks any.
pub(crate) fn away(writers: &[String]) -> Option<HeaderValue> {
    (!writers.is_empty()).then(|| HeaderValue::try_from(writers.join(", ")).ok()).flatten()
}

/// What is known when the first rows are there.
pub(super) fn begun(id: Option<QueryId>, progress: &QueryProgress, headers: &mut HeaderMap) {
    let Some(id) = id else { return };
    if let Ok(id) = HeaderValue::try_from(id.to_string()) {
        headers.insert(QUERY_ID, id);
    }
    let times = progress.times();
    let milliseconds = |time: std::time::Duration| time.as_secs_f64() * 1e3;
    let text = format!(
        "queue;dur={:.3}, plan;dur={:.3}, total;dur={:.3}",
        milliseconds(times.queued),
        milliseconds(times.planning),
        milliseconds(times.elapsed)
    );
    if let Ok(text) = HeaderValue::try_from(text) {
        headers.insert(SERVER_TIMING, text);
    }
}

/// What is known when the last rows are.
pub(super) fn figures(progress: &QueryProgress, headers: &mut HeaderMap) {
    let figures = progress.figures();
    for (name, figure) in FIGURES {
        headers.insert(name, HeaderValue::from(figure(&figures)));
    }
    if let Ok(elapsed) = HeaderValue::try_from(format!("{:.3}", progress.times().elapsed.as_secs_f64() * 1e3)) {
        headers.insert(ELAPSED, elapsed);
    }
}
