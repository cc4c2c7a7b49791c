//! Session options, without sessions.
//!
//! No call is tied to a connection or to this process, so what a client sets for its session goes back to it in a cookie and
//! comes along with its later calls. Only the catalog and the database can be set.

use std::collections::HashMap;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use prost::Message;
use tonic::metadata::AsciiMetadataValue;

use super::caller::Caller;
use super::refusal::{Refusal, Result};
use crate::Querier;
use crate::querier::Presence;
use crate::session::{CATALOG, IOX};

/// The cookie that holds the session's database, percent-encoded.
pub(super) const DATABASE_COOKIE: &str = "gigapi_database";

/// The option that names the catalog. There is one.
const CATALOG_OPTION: &str = "catalog";
/// The option that names the database.
const SCHEMA_OPTION: &str = "schema";

/// Sets options; the cookie is there if the database changes.
pub(super) async fn set(querier: &Querier, body: &[u8]) -> Result<(Vec<u8>, Option<AsciiMetadataValue>)> {
    let request =
        SetSessionOptionsRequest::decode(body).map_err(|_| Refusal::invalid("the session options cannot be read"))?;
    let mut errors = HashMap::new();
    let mut cookie = None;
    for (name, value) in &request.session_options {
        let refused = match name.as_str() {
            CATALOG_OPTION => value.text().is_none_or(|name| !name.is_empty() && !name.eq_ignore_ascii_case(CATALOG)),
            SCHEMA_OPTION => match value.text() {
                Some(database) if is_database(querier, database).await? => {
                    cookie = Some(database_cookie(database)?);
                    false
                }
                _ => true,
            },
            _ => {
                errors.insert(name.clone(), OptionError { value: OptionErrorValue::InvalidName.into() });
                continue;
            }
        };
        if refused {
            errors.insert(name.clone(), OptionError { value: OptionErrorValue::InvalidValue.into() });
        }
    }
    Ok((SetSessionOptionsResult { errors }.encode_to_vec(), cookie))
}

/// The options as they are.
pub(super) async fn get(querier: &Querier, caller: &Caller) -> Result<Vec<u8>> {
    let database = caller.database(querier, None).await?;
    let texts = [(CATALOG_OPTION, CATALOG.to_owned()), (SCHEMA_OPTION, database)];
    let session_options = texts.map(|(name, text)| (name.to_owned(), OptionValue::of_text(text))).into();
    Ok(GetSessionOptionsResult { session_options }.encode_to_vec())
}

/// Ends the session, and with it its cookie.
pub(super) fn close() -> (Vec<u8>, AsciiMetadataValue) {
    let closed = CloseSessionResult { status: SessionStatus::Closed.into() };
    let cookie = AsciiMetadataValue::from_static("gigapi_database=; Path=/; Max-Age=0");
    (closed.encode_to_vec(), cookie)
}

/// Whether there is such a database; an empty name is the default one's.
async fn is_database(querier: &Querier, name: &str) -> Result<bool> {
    if name.is_empty() || name == IOX {
        return Ok(true);
    }
    Ok(querier.has_database(|known| known.eq_ignore_ascii_case(name)).await? == Presence::There)
}

fn database_cookie(database: &str) -> Result<AsciiMetadataValue> {
    let database = if database == IOX { "" } else { database };
    let cookie = format!("{DATABASE_COOKIE}={}; Path=/; HttpOnly", utf8_percent_encode(database, NON_ALPHANUMERIC));
    cookie.parse().map_err(|_| Refusal::invalid("the database's name cannot be kept in a cookie"))
}

// The messages are those of Flight.proto; arrow-flight 59 does not have them.

#[derive(Clone, PartialEq, Message)]
pub(super) struct SetSessionOptionsRequest {
    #[prost(map = "string, message", tag = "1")]
    pub(super) session_options: HashMap<String, OptionValue>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct OptionValue {
    #[prost(oneof = "OptionKind", tags = "1, 2, 3, 4, 5")]
    pub(super) value: Option<OptionKind>,
}

impl OptionValue {
    pub(super) fn of_text(text: String) -> Self {
        Self { value: Some(OptionKind::Text(text)) }
    }

    /// The text; empty if the option is to be unset.
    fn text(&self) -> Option<&str> {
        match &self.value {
            None => Some(""),
            Some(OptionKind::Text(text)) => Some(text),
            Some(_) => None,
        }
    }
}

#[derive(Clone, PartialEq, prost::Oneof)]
pub(super) enum OptionKind {
    #[prost(string, tag = "1")]
    Text(String),
    #[prost(bool, tag = "2")]
    Bool(bool),
    #[prost(sfixed64, tag = "3")]
    Integer(i64),
    #[prost(double, tag = "4")]
    Double(f64),
    #[prost(message, tag = "5")]
    Texts(TextList),
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct TextList {
    #[prost(string, repeated, tag = "1")]
    values: Vec<String>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct SetSessionOptionsResult {
    #[prost(map = "string, message", tag = "1")]
    pub(super) errors: HashMap<String, OptionError>,
}

#[derive(Clone, Copy, PartialEq, Message)]
pub(super) struct OptionError {
    #[prost(enumeration = "OptionErrorValue", tag = "1")]
    pub(super) value: i32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, prost::Enumeration)]
#[repr(i32)]
pub(super) enum OptionErrorValue {
    Unspecified = 0,
    InvalidName = 1,
    InvalidValue = 2,
    Error = 3,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct GetSessionOptionsResult {
    #[prost(map = "string, message", tag = "1")]
    pub(super) session_options: HashMap<String, OptionValue>,
}

#[derive(Clone, Copy, PartialEq, Message)]
pub(super) struct CloseSessionResult {
    #[prost(enumeration = "SessionStatus", tag = "1")]
    pub(super) status: i32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, prost::Enumeration)]
#[repr(i32)]
pub(super) enum SessionStatus {
    Unspecified = 0,
    Closed = 1,
    Closing = 2,
    NotCloseable = 3,
}
