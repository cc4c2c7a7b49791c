//! What a write request says beside its body.
//!
//! Unknown parameters are ignored, because clients of every generation add their own. A known one with a
//! wrong value is refused: guessing a precision or a database would store rows where nobody looks.

use std::borrow::Cow;

use bytes::Bytes;
use gigapi_model::{DatabaseName, TableKey};
use gigapi_service::settings::Durability;
use gigapi_service::{ApiError, Dialect};
use http::HeaderMap;
use url::form_urlencoded;

use crate::idempotency::KEY_BYTES_MAX;
use crate::ingest::WriteRequest;
use crate::line_protocol::Precision;
use crate::open::durability_of;

const DATABASE_DEFAULT: &str = "default";

/// The parameters of a write.
#[derive(Debug)]
pub(super) struct Params {
    database: DatabaseName,
    precision: Precision,
    pub(super) accept_partial: bool,
    key: Option<TableKey>,
    durability: Option<Durability>,
    idempotency_key: Option<String>,
}

impl Params {
    pub(super) fn read(
        dialect: Dialect,
        path_database: Option<String>,
        query: &str,
        headers: &HeaderMap,
    ) -> Result<Self, ApiError> {
        let pairs: Vec<(Cow<'_, str>, Cow<'_, str>)> = form_urlencoded::parse(query.as_bytes()).collect();
        let get = |name: &str| pairs.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_ref());
        let default_precision = if dialect == Dialect::V3 { Precision::Auto } else { Precision::Nanosecond };
        let precision = get("precision").filter(|text| !text.is_empty()).map_or(Ok(default_precision), |text| {
            let known = Precision::from_query(text);
            known.ok_or_else(|| ApiError::invalid(format!(
                "precision {text:?} is unknown; use ns, us, ms, s, m, h, nanosecond, microsecond, millisecond, second or auto"
            )))
        })?;
        let no_sync = get("no_sync").map(|text| flag("no_sync", text)).transpose()?.unwrap_or(false);
        let durability = match get("durability") {
            Some(text) => Some(durability_of(text).ok_or_else(|| {
                ApiError::invalid(format!("durability {text:?} is unknown; use memory, wal or commit"))
            })?),
            None => no_sync.then_some(Durability::Memory),
        };
        Ok(Self {
            database: database(path_database.as_deref(), get("db"), get("bucket"))?,
            precision,
            accept_partial: get("accept_partial").map(|text| flag("accept_partial", text)).transpose()?.unwrap_or(true),
            key: get("key").map(|text| text.parse().map_err(ApiError::invalid)).transpose()?,
            durability,
            idempotency_key: idempotency_key(headers)?,
        })
    }

    pub(super) fn into_request(self, body: Bytes) -> WriteRequest {
        WriteRequest {
            database: self.database,
            body,
            precision: self.precision,
            accept_partial: self.accept_partial,
            key: self.key,
            durability: self.durability,
            idempotency_key: self.idempotency_key,
        }
    }
}

/// `?db=`, else the path, else `?bucket=` (up to a slash: what follows is a retention policy), else the
/// default.
fn database(path: Option<&str>, db: Option<&str>, bucket: Option<&str>) -> Result<DatabaseName, ApiError> {
    let bucket = bucket.map(|bucket| bucket.split_once('/').map_or(bucket, |(database, _)| database));
    let name = db.or(path).or(bucket).unwrap_or(DATABASE_DEFAULT);
    DatabaseName::new(name).map_err(|error| ApiError::invalid(error.to_string()))
}

fn flag(name: &str, text: &str) -> Result<bool, ApiError> {
    match text {
        "true" | "1" => Ok(true),
        "false" | "0" => Ok(false),
        other => Err(ApiError::invalid(format!("{name}={other:?} is neither true nor false"))),
    }
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, ApiError> {
    let Some(value) = headers.get("idempotency-key") else { return Ok(None) };
    match value.to_str() {
        Ok(key) if !key.is_empty() && key.len() <= KEY_BYTES_MAX => Ok(Some(key.to_owned())),
        _ => Err(ApiError::invalid(format!("Idempotency-Key is not 1 to {KEY_BYTES_MAX} visible ASCII characters"))),
    }
}
