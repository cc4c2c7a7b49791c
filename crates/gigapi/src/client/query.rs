//! Asking in SQL: a statement under an id, how far it has come, and its end before its time.
//!
//! The id is the client's, so that it can ask for a query that has not answered yet. A server that knows nothing of
//! ids answers the statement all the same, and has nothing to say about it meanwhile.

use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use gigapi_service::settings::Consistency;
use reqwest::{Method, Response, StatusCode};
use serde::Deserialize;

use super::{Client, refusal};

/// The request header that carries a query's id.
const QUERY_ID: &str = "X-GigAPI-Query-Id";
/// How long the server is waited for when a query has to end; it ends without the answer, too.
const CANCEL_PATIENCE: Duration = Duration::from_secs(1);
/// How long the server may take to say how far a query has come.
const PROGRESS_PATIENCE: Duration = Duration::from_secs(2);

/// How far a query has come.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(crate) struct QueryState {
    /// `queued`, `planning` or `running`.
    pub(crate) state: String,
    pub(crate) files_planned: u64,
    pub(crate) files_opened: u64,
    pub(crate) rows_scanned: u64,
    pub(crate) bytes_scanned: u64,
}

impl Client {
    /// A fresh id for a query.
    pub(crate) fn query_id(&self) -> String {
        self.ids.random().to_string()
    }

    /// The same server, another database.
    #[must_use]
    pub(crate) fn of_database(&self, database: &str) -> Self {
        Self { database: database.to_owned(), ..self.clone() }
    }

    /// The same server, for queries that see these rows.
    #[must_use]
    pub(crate) fn seeing(self, consistency: Option<Consistency>) -> Self {
        Self { consistency, ..self }
    }

    /// The same server, each request sent once.
    #[must_use]
    pub(crate) fn without_retries(&self) -> Self {
        Self { retries: 0, ..self.clone() }
    }

    /// Asks in SQL; the answer is streamed in `format`. What took too long once is not asked again.
    pub(crate) async fn query(&self, sql: &str, format: &str, id: &str) -> Result<Response> {
        let mut asked = serde_json::json!({ "db": self.database, "q": sql, "format": format });
        if let Some(consistency) = self.consistency {
            asked["consistency"] = consistency.as_str().into();
        }
        let build = || self.request(Method::POST, "/api/v3/query_sql").header(QUERY_ID, id).json(&asked);
        let timed_out = |error: &reqwest::Error| error.is_timeout() && !error.is_connect();
        success(self.send_while(|error| !timed_out(error), build).await?).await
    }

    /// Asks what databases, tables and columns there are, as an Arrow stream. Other than [`Self::query`] this needs
    /// no database that exists.
    pub(crate) async fn look_up(&self, sql: &str) -> Result<Response> {
        let asked = serde_json::json!({ "db": self.database, "query": sql });
        let build = || self.request(Method::POST, "/query").query(&[("format", "arrow")]).json(&asked);
        success(self.send(build).await?).await
    }

    /// How far a query has come; nothing, where the server does not know it.
    pub(crate) async fn query_state(&self, id: &str) -> Result<Option<QueryState>> {
        let request = self.request(Method::GET, &format!("/api/v3/queries/{id}")).timeout(PROGRESS_PATIENCE);
        let response = request.send().await?;
        match response.status() {
            StatusCode::OK => Ok(Some(response.json().await.context("the state of the query is no JSON")?)),
            StatusCode::NOT_FOUND => Ok(None),
            status => Err(anyhow!("the state of the query was answered with {status}")),
        }
    }

    /// Ends a query. Nothing is said about the outcome: a query whose connection is closed ends anyway.
    pub(crate) async fn cancel_query(&self, id: &str) {
        let request = self.request(Method::DELETE, &format!("/api/v3/queries/{id}")).timeout(CANCEL_PATIENCE);
        let _ = request.send().await;
    }
}

async fn success(response: Response) -> Result<Response> {
    match response.status().is_success() {
        true => Ok(response),
        false => Err(refusal(response).await),
    }
}
