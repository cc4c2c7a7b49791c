//! A statement as clients carry it: in tickets, and as the handle of a prepared statement.
//!
//! It holds all that is needed to run the statement, so that any querier can do that, whichever made it. It grants
//! nothing: whoever could make one up could as well send the statement.

use bytes::Bytes;
use prost::Message;

use super::refusal::{Refusal, Result};
use super::values::Values;

/// Of handles that this version reads.
const VERSION: u32 = 1;

/// What a client carries.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Handle {
    #[prost(uint32, tag = "1")]
    version: u32,
    #[prost(string, tag = "2")]
    pub(super) sql: String,
    #[prost(string, tag = "3")]
    pub(super) database: String,
    /// Values of its parameters; empty if it has none, or they are not bound.
    #[prost(bytes = "bytes", tag = "4")]
    values: Bytes,
    /// Names the statement to the querier that prepared it; empty if it has no parameters.
    #[prost(bytes = "bytes", tag = "5")]
    pub(super) name: Bytes,
}

impl Handle {
    pub(super) fn new(sql: String, database: String) -> Self {
        Self { version: VERSION, sql, database, values: Bytes::new(), name: Bytes::new() }
    }

    /// With that name.
    pub(super) fn named(self, name: Bytes) -> Self {
        Self { name, ..self }
    }

    /// With these values.
    pub(super) fn bound(self, values: &Values) -> Result<Self> {
        Ok(Self { values: values.to_bytes()?, ..self })
    }

    /// The values, if any are bound.
    pub(super) fn values(&self) -> Result<Option<Values>> {
        match self.values.is_empty() {
            true => Ok(None),
            false => Values::from_bytes(&self.values).map(Some),
        }
    }

    pub(super) fn to_bytes(&self) -> Bytes {
        self.encode_to_vec().into()
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Result<Self> {
        match Self::decode(bytes) {
            Ok(handle) if handle.version == VERSION => Ok(handle),
            _ => Err(Refusal::invalid(
                "the statement's handle is not one that this server gave out; prepare or execute the statement again",
            )),
        }
    }
}
