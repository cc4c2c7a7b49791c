//! What a call says beside its message: its id, and the database that it means.

use gigapi_service::http::RequestId;
use gigapi_service::settings::{Consistency, UnknownWord};
use percent_encoding::percent_decode_str;
use tonic::metadata::MetadataMap;

use super::refusal::{Refusal, Result};
use super::session::DATABASE_COOKIE;
use crate::{Habits, Querier, QueryRequest};

/// The names under which clients send the database, the first one that is there wins.
const DATABASE_KEYS: [&str; 5] = ["database", "bucket", "bucket-name", "namespace", "iox-namespace-name"];

/// The name under which a call says which rows it wants to see.
const CONSISTENCY_KEY: &str = "consistency";

/// Where a call comes from.
#[derive(Debug, Clone)]
pub(super) struct Caller {
    pub(super) id: RequestId,
    /// The database that it names.
    pub(super) database: Option<String>,
    /// Which rows it wants to see, as it is written.
    consistency: Option<String>,
}

impl Caller {
    pub(super) fn of<T>(request: &tonic::Request<T>) -> Self {
        let id = request.extensions().get::<RequestId>().cloned().unwrap_or_else(RequestId::unknown);
        let metadata = request.metadata();
        let named = DATABASE_KEYS.iter().find_map(|key| named(metadata, key));
        let consistency =
            metadata.get(CONSISTENCY_KEY).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
        Self { id, database: named.or_else(|| of_session(metadata)), consistency }
    }

    /// The database that is read: the one that the call names, or the ticket, or the server's default.
    pub(super) async fn database(&self, querier: &Querier, of_ticket: Option<&str>) -> Result<String> {
        Ok(querier.database(self.database.as_deref().or(of_ticket)).await?)
    }
}

impl Caller {
    /// Which rows are wanted, if the call says.
    pub(super) fn consistency(&self) -> Result<Option<Consistency>> {
        let wrong = |text: &str, wrong: UnknownWord| Refusal::invalid(format!("consistency {text:?} {wrong}"));
        let text = self.consistency.as_deref();
        text.map(|text| text.parse().map_err(|unknown| wrong(text, unknown))).transpose()
    }
}

/// A statement as the querier takes it.
pub(super) fn query(sql: String, database: String) -> QueryRequest {
    QueryRequest {
        sql,
        database,
        show_virtual: false,
        habits: Habits::Engine,
        parameters: None,
        id: None,
        consistency: None,
    }
}

fn named(metadata: &MetadataMap, key: &str) -> Option<String> {
    let text = metadata.get(key)?.to_str().ok()?.trim();
    // In `database/retention policy`, as InfluxDB 1 has it, the policy means nothing here.
    let database = text.split_once('/').map_or(text, |(database, _)| database);
    (!database.is_empty()).then(|| database.to_owned())
}

/// The database that was set for the session, which the client's cookie holds.
fn of_session(metadata: &MetadataMap) -> Option<String> {
    let cookies = metadata.get_all("cookie").iter().filter_map(|value| value.to_str().ok());
    let mut pairs = cookies.flat_map(|cookies| cookies.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let (_, value) = pairs.find(|(name, _)| *name == DATABASE_COOKIE)?;
    let database = percent_decode_str(value).decode_utf8().ok()?;
    (!database.is_empty()).then(|| database.into_owned())
}
