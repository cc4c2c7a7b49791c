//! The endpoints under `/api/v3/configure`: tables and databases are listed, changed and dropped.
//!
//! Names and shapes are InfluxDB 3's where it has them; changing and listing tables are ours. A field or a parameter
//! with a wrong value is refused by its name, and so is a field that nobody knows: a retention period that was
//! misspelt would keep rows for ever, or for too short.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Extension, Request, State};
use axum::response::Response;
use axum::routing::get;
use gigapi_model::{DatabaseName, Edit, TableDef, TableName, TableSettings, parse_ttl, quantity};
use gigapi_service::http::{RequestId, collect_body};
use gigapi_service::{ApiError, Dialect};
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, StatusCode};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};
use url::form_urlencoded;

use crate::admin::{Admin, ListedDatabase};

/// Bytes of a body; what is set fits many times.
const BODY_BYTES_MAX: usize = 64 << 10;

const TAKES_TTL: &str = "it takes a duration of at least a second, as 30s, 10m, 12h, 7d or 4w, or null for ever";

pub(super) fn routes(admin: Arc<Admin>) -> Router {
    Router::new()
        .route("/api/v3/configure/database", get(database).post(database).put(database).delete(database))
        .route("/api/v3/configure/table", get(table).put(table).delete(table))
        .with_state(admin)
}

async fn database(State(admin): State<Arc<Admin>>, id: Option<Extension<RequestId>>, request: Request) -> Response {
    let asked = Asked::read(request).await;
    answered(async { admin_database(&admin, asked?).await }.await, id)
}

async fn table(State(admin): State<Arc<Admin>>, id: Option<Extension<RequestId>>, request: Request) -> Response {
    let asked = Asked::read(request).await;
    answered(async { admin_table(&admin, asked?).await }.await, id)
}

fn answered(outcome: Result<Vec<u8>, ApiError>, id: Option<Extension<RequestId>>) -> Response {
    let id = id.map_or_else(RequestId::unknown, |Extension(id)| id);
    match outcome {
        Ok(body) => {
            let mut response = Response::new(Body::from(body));
            *response.status_mut() = StatusCode::OK;
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            response
        }
        Err(error) => error.response(Dialect::V3, &id),
    }
}

/// A request, read.
struct Asked {
    method: Method,
    query: String,
    body: bytes::Bytes,
}

impl Asked {
    async fn read(request: Request) -> Result<Self, ApiError> {
        let (parts, body) = request.into_parts();
        let body = collect_body(body, BODY_BYTES_MAX).await?;
        Ok(Self { method: parts.method, query: parts.uri.query().unwrap_or_default().to_owned(), body })
    }

    fn parameter(&self, name: &str) -> Option<Cow<'_, str>> {
        form_urlencoded::parse(self.query.as_bytes()).find(|(key, _)| key == name).map(|(_, value)| value)
    }

    fn named<T>(&self, name: &str, parse: impl FnOnce(&str) -> Result<T, ApiError>) -> Result<T, ApiError> {
        let text = self.parameter(name);
        parse(&text.ok_or_else(|| ApiError::invalid(format!("the parameter {name} is missing")))?)
    }

    /// The one format there is.
    fn check_format(&self) -> Result<(), ApiError> {
        match self.parameter("format") {
            Some(format) if format != "json" => {
                Err(ApiError::invalid(format!("format={format:?} is not known here; use json")))
            }
            _ => Ok(()),
        }
    }

    fn json<T: DeserializeOwned>(&self) -> Result<T, ApiError> {
        serde_json::from_slice(&self.body).map_err(|error| ApiError::invalid(format!("the body is wrong: {error}")))
    }
}

fn database_name(text: &str) -> Result<DatabaseName, ApiError> {
    DatabaseName::new(text).map_err(|error| ApiError::invalid(error.to_string()))
}

fn table_name(text: &str) -> Result<TableName, ApiError> {
    TableName::new(text).map_err(|error| ApiError::invalid(error.to_string()))
}

/// A field that is there with `null` is told from one that is not there.
#[expect(clippy::option_option, reason = "absent, null and a value are three things")]
fn given<'de, D: Deserializer<'de>>(field: D) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(field).map(Some)
}

#[expect(clippy::option_option, reason = "absent, null and a value are three things")]
fn edit_of(period: Option<Option<String>>) -> Result<Edit<Duration>, ApiError> {
    let Some(period) = period else { return Ok(Edit::Keep) };
    let Some(text) = period else { return Ok(Edit::Clear) };
    match parse_ttl(&text) {
        Ok(None) => Ok(Edit::Clear),
        Ok(Some(ttl)) => Ok(Edit::Set(ttl)),
        Err(problem) => {
            let shown: String = text.chars().take(64).collect();
            Err(ApiError::invalid(format!("retention_period is {shown:?}, which {problem}; {TAKES_TTL}")))
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DatabaseBody {
    db: String,
    #[serde(default, deserialize_with = "given")]
    #[expect(clippy::option_option, reason = "absent, null and a value are three things")]
    retention_period: Option<Option<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TableBody {
    db: String,
    table: String,
    #[serde(default, deserialize_with = "given")]
    #[expect(clippy::option_option, reason = "absent, null and a value are three things")]
    retention_period: Option<Option<String>>,
    #[serde(default)]
    settings: BTreeMap<String, Option<String>>,
}

#[derive(Serialize)]
struct DatabaseSet<'a> {
    db: &'a DatabaseName,
    retention_period: Option<String>,
}

/// As InfluxDB 3 names the column.
#[derive(Serialize)]
struct DatabaseRow {
    #[serde(rename = "iox::database")]
    name: DatabaseName,
    retention_period: Option<String>,
    tables: usize,
}

impl From<ListedDatabase> for DatabaseRow {
    fn from(listed: ListedDatabase) -> Self {
        Self { name: listed.name, retention_period: listed.ttl.map(quantity::duration_text), tables: listed.tables }
    }
}

#[derive(Serialize)]
struct TableRow<'a> {
    db: &'a DatabaseName,
    table: &'a TableName,
    columns: usize,
    key: String,
    retention_period: Option<String>,
    settings: &'a BTreeMap<String, String>,
    revision: u64,
}

impl<'a> TableRow<'a> {
    fn of(table: &'a TableDef) -> Self {
        Self {
            db: &table.database,
            table: &table.name,
            columns: table.columns.len(),
            key: table.key.to_string(),
            retention_period: table.ttl.map(quantity::duration_text),
            settings: &table.settings,
            revision: table.revision,
        }
    }
}

#[derive(Serialize)]
struct Dropped<'a> {
    db: &'a DatabaseName,
    dropped: Vec<&'a TableName>,
}

fn rendered(value: &impl Serialize) -> Result<Vec<u8>, ApiError> {
    let failed = |error: serde_json::Error| ApiError::new(gigapi_model::ErrorKind::Internal, error.to_string());
    serde_json::to_vec(value).map_err(failed)
}

async fn admin_database(admin: &Arc<Admin>, asked: Asked) -> Result<Vec<u8>, ApiError> {
    match asked.method {
        Method::POST => {
            let body: DatabaseBody = asked.json()?;
            let (db, ttl) = (database_name(&body.db)?, edit_of(body.retention_period)?.applied(None));
            admin.create_database(&db, ttl).await?;
            rendered(&DatabaseSet { db: &db, retention_period: ttl.map(quantity::duration_text) })
        }
        Method::PUT => {
            let body: DatabaseBody = asked.json()?;
            let db = database_name(&body.db)?;
            let ttl = admin.configure_database(&db, edit_of(body.retention_period)?).await?;
            rendered(&DatabaseSet { db: &db, retention_period: ttl.map(quantity::duration_text) })
        }
        Method::DELETE => {
            let db = asked.named("db", database_name)?;
            let tables = admin.drop_database(&db).await?;
            rendered(&Dropped { db: &db, dropped: tables.iter().map(|table| &table.name).collect() })
        }
        _ => {
            asked.check_format()?;
            let listed = admin.databases().await?;
            rendered(&listed.into_iter().map(DatabaseRow::from).collect::<Vec<_>>())
        }
    }
}

async fn admin_table(admin: &Arc<Admin>, asked: Asked) -> Result<Vec<u8>, ApiError> {
    match asked.method {
        Method::PUT => {
            let body: TableBody = asked.json()?;
            let (db, name) = (database_name(&body.db)?, table_name(&body.table)?);
            let change = TableSettings { ttl: edit_of(body.retention_period)?, settings: body.settings };
            rendered(&TableRow::of(admin.configure_table(&db, &name, &change).await?.as_ref()))
        }
        Method::DELETE => {
            let (db, name) = (asked.named("db", database_name)?, asked.named("table", table_name)?);
            admin.drop_table(&db, &name).await?;
            rendered(&Dropped { db: &db, dropped: vec![&name] })
        }
        _ => {
            asked.check_format()?;
            let db = asked.parameter("db").map(|text| database_name(&text)).transpose()?;
            let tables = admin.tables(db.as_ref()).await?;
            rendered(&tables.iter().map(|table| TableRow::of(table)).collect::<Vec<_>>())
        }
    }
}

#[cfg(test)]
mod tests;
