//! The command line's way to a server: plain HTTP, one place that knows credentials and retries.
//!
//! A write is sent again after every failure that says nothing about its content (no connection, a lost
//! answer, 502 to 504), always under the idempotency key of its first attempt, so that no row is stored
//! twice. Anything else is the caller's to show. Secrets never enter an error's text.

mod backoff;
mod query;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use clap::Args;
use gigapi_model::{Ids, SystemIds};
use gigapi_service::Secret;
use gigapi_service::settings::Consistency;
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde::Deserialize;
use serde_json::Value;

use backoff::{Backoff, retry_after};
pub(crate) use query::QueryState;

const HOST_DEFAULT: &str = "http://127.0.0.1:7971";
const DATABASE_DEFAULT: &str = "default";
/// How long an answer of any request but a query is waited for, if nothing else is said.
const TIMEOUT_DEFAULT: Duration = Duration::from_secs(120);
const CONNECT_TIMEOUT_MAX: Duration = Duration::from_secs(10);
/// How much of an answer that is no JSON an error shows.
const SHOWN_CHARS_MAX: usize = 500;
/// How much of what the server says an error shows; a statement that names a column which is not there is answered
/// with all that are.
const TOLD_CHARS_MAX: usize = 4_000;

/// Which server, which database, as whom.
#[derive(Debug, Clone, Args)]
pub(crate) struct ConnectArgs {
    /// The server's URL [env: GIGAPI_HOST or INFLUXDB3_HOST_URL; default: http://127.0.0.1:7971]
    #[arg(long, short = 'H', value_name = "URL")]
    pub(crate) host: Option<String>,
    /// The database [env: GIGAPI_DATABASE or INFLUXDB3_DATABASE_NAME; default: default]
    #[arg(long, short = 'd', visible_alias = "db", value_name = "NAME")]
    pub(crate) database: Option<String>,
    /// A bearer token [env: INFLUXDB3_AUTH_TOKEN]
    #[arg(long, value_name = "TOKEN", value_parser = secret)]
    pub(crate) token: Option<Secret>,
    /// A user and a password
    #[arg(long, value_name = "USER:PASSWORD", value_parser = secret, conflicts_with = "token")]
    pub(crate) user: Option<Secret>,
    /// How often a request is sent again while the server is busy or away
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub(crate) retries: u32,
    /// Seconds after which an unanswered request counts as lost [default: 120; a query is waited for as long as the
    /// server lets it run]
    #[arg(long, value_name = "SECONDS")]
    pub(crate) timeout: Option<u64>,
}

#[expect(clippy::unnecessary_wraps, reason = "clap takes parsers that can fail")]
fn secret(text: &str) -> Result<Secret, std::convert::Infallible> {
    Ok(Secret::new(text))
}

/// A line that the server did not take.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct BadLine {
    /// From 1, in the request's body.
    #[serde(rename = "line_number")]
    pub(crate) number: u64,
    #[serde(rename = "error_message")]
    pub(crate) message: String,
}

/// One server, one database.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    base: String,
    database: String,
    token: Option<Secret>,
    user: Option<Secret>,
    retries: u32,
    /// Which rows queries see, if not what the server is set to.
    consistency: Option<Consistency>,
    ids: Arc<dyn Ids>,
}

impl Client {
    /// Makes a client from arguments, then the environment, then defaults. Connects to nothing yet.
    pub(crate) fn new(args: &ConnectArgs) -> Result<Self> {
        let timeout = args.timeout.map_or(TIMEOUT_DEFAULT, |seconds| Duration::from_secs(seconds.max(1)));
        Self::with_timeout(args, Some(timeout))
    }

    /// The same for queries, whose answers may begin late: the server ends what runs too long, and one that is gone
    /// is noticed by the connection.
    pub(crate) fn for_queries(args: &ConnectArgs) -> Result<Self> {
        Self::with_timeout(args, args.timeout.map(|seconds| Duration::from_secs(seconds.max(1))))
    }

    fn with_timeout(args: &ConnectArgs, timeout: Option<Duration>) -> Result<Self> {
        let variable = |name: &str| std::env::var(name).ok().filter(|text| !text.is_empty());
        let host = args.host.clone().or_else(|| variable("GIGAPI_HOST")).or_else(|| variable("INFLUXDB3_HOST_URL"));
        let database = args
            .database
            .clone()
            .or_else(|| variable("GIGAPI_DATABASE"))
            .or_else(|| variable("INFLUXDB3_DATABASE_NAME"));
        let token = args.token.clone().or_else(|| variable("INFLUXDB3_AUTH_TOKEN").map(Secret::new));
        let connect_timeout = timeout.map_or(CONNECT_TIMEOUT_MAX, |timeout| timeout.min(CONNECT_TIMEOUT_MAX));
        let mut http = reqwest::Client::builder()
            .connect_timeout(connect_timeout)
            .user_agent(concat!("gigapi/", env!("CARGO_PKG_VERSION")));
        if let Some(timeout) = timeout {
            http = http.read_timeout(timeout);
        }
        let http = http.build().context("no HTTP client can be made")?;
        Ok(Self {
            http,
            base: base_url(host.as_deref().unwrap_or(HOST_DEFAULT))?,
            database: database.unwrap_or_else(|| DATABASE_DEFAULT.to_owned()),
            token: token.filter(|_| args.user.is_none()),
            user: args.user.clone(),
            retries: args.retries,
            consistency: None,
            ids: Arc::new(SystemIds),
        })
    }

    /// A request to `path` with the credentials on it.
    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.base));
        match (&self.token, self.user.as_ref().map(|user| user.expose())) {
            (Some(token), _) => request.bearer_auth(token.expose()),
            (None, Some(user)) => {
                let (name, password) = user.split_once(':').unwrap_or((user, ""));
                request.basic_auth(name, Some(password))
            }
            (None, None) => request,
        }
    }

    /// Sends a request until it is answered with something other than "not now"; `build` makes each attempt.
    async fn send(&self, build: impl Fn() -> RequestBuilder) -> Result<Response> {
        self.send_while(|_| true, build).await
    }

    /// The same, but a failure for which `again` says no is the last.
    async fn send_while(
        &self,
        again: impl Fn(&reqwest::Error) -> bool,
        build: impl Fn() -> RequestBuilder,
    ) -> Result<Response> {
        let mut backoff = Backoff::new(self.ids.random().as_u128());
        let mut attempts = 0;
        loop {
            attempts += 1;
            let wait = match build().send().await {
                Ok(response) if !is_transient(response.status()) => return Ok(response),
                Ok(response) if attempts > self.retries => return Err(refusal(response).await),
                Ok(response) => retry_after(response.headers()),
                Err(error) if attempts > self.retries || error.is_builder() || !again(&error) => {
                    let tried = if attempts == 1 { String::new() } else { format!(" ({attempts} attempts)") };
                    if error.is_timeout() && !error.is_connect() {
                        bail!("{} did not answer in time{tried}; --timeout gives it longer", self.shown_url());
                    }
                    let reason = innermost(&error.without_url());
                    bail!(
                        "{} cannot be reached{tried}: {reason}; is the server running there? Name another with --host",
                        self.shown_url()
                    );
                }
                Err(_) => None,
            };
            tokio::time::sleep(backoff.next(wait)).await;
        }
    }

    /// The server's URL as it may be shown.
    pub(crate) fn shown_url(&self) -> String {
        gigapi_service::scrub_url(&self.base)
    }

    /// The database that is meant where none is named.
    pub(crate) fn database(&self) -> &str {
        &self.database
    }

    /// Asks an endpoint of an operator; the answer's JSON.
    pub(crate) async fn get(&self, path: &str, query: &[(&str, &str)]) -> Result<Value> {
        answer(self.send(|| self.request(Method::GET, path).query(query)).await?).await
    }

    /// Removes what an endpoint of an operator names.
    pub(crate) async fn delete(&self, path: &str, query: &[(&str, &str)]) -> Result<Value> {
        answer(self.send(|| self.request(Method::DELETE, path).query(query)).await?).await
    }

    /// Changes what an endpoint of an operator names.
    pub(crate) async fn put(&self, path: &str, body: &Value) -> Result<Value> {
        answer(self.send(|| self.request(Method::PUT, path).json(body)).await?).await
    }

    /// Changes what an endpoint of an operator names, or makes it where it is not there.
    pub(crate) async fn put_or_post(&self, path: &str, body: &Value) -> Result<Value> {
        let changed = self.send(|| self.request(Method::PUT, path).json(body)).await?;
        match changed.status() {
            StatusCode::NOT_FOUND => answer(self.send(|| self.request(Method::POST, path).json(body)).await?).await,
            _ => answer(changed).await,
        }
    }

    /// Writes lines, with these parameters beside `db` and `accept_partial`. The lines that were not taken come
    /// back, as far as the server names them.
    pub(crate) async fn write(&self, parameters: &[(&str, &str)], body: Bytes) -> Result<Vec<BadLine>> {
        let key = self.ids.random().simple().to_string();
        let build = || {
            self.request(Method::POST, "/api/v3/write_lp")
                .query(&[("db", self.database.as_str()), ("accept_partial", "true")])
                .query(parameters)
                .header("Idempotency-Key", &key)
                .header("Content-Type", "text/plain; charset=utf-8")
                .body(body.clone())
        };
        let response = self.send(build).await?;
        match response.status() {
            status if status.is_success() => Ok(Vec::new()),
            StatusCode::BAD_REQUEST => partial(response).await,
            _ => Err(refusal(response).await),
        }
    }
}

/// The URL without a slash at its end, if it is one that can be reached.
fn base_url(text: &str) -> Result<String> {
    let text = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
    let shown = gigapi_service::scrub_url(&text);
    let url = reqwest::Url::parse(&text).with_context(|| format!("--host {shown:?} is not a URL"))?;
    match url.scheme() {
        "http" if url.username().is_empty() && url.password().is_none() => {
            Ok(url.as_str().trim_end_matches('/').to_owned())
        }
        "http" => bail!("--host must not hold a password; use --user or --token"),
        scheme => bail!(
            "--host {shown:?} has the scheme {scheme}; this build speaks http only, put a TLS proxy in front of it"
        ),
    }
}

fn is_transient(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::BAD_GATEWAY
            | StatusCode::GATEWAY_TIMEOUT
            | StatusCode::TOO_MANY_REQUESTS
    )
}

/// The cause that says most: the last one in the chain.
fn innermost(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

/// What the servers of this protocol answer with.
#[derive(Debug, Default, Deserialize)]
struct ErrorBody {
    error: Option<String>,
    message: Option<String>,
    #[serde(default)]
    data: Vec<BadLine>,
}

/// The lines that a 400 names; an error if it names none, because then nothing was stored.
async fn partial(response: Response) -> Result<Vec<BadLine>> {
    let status = response.status();
    let text = response.text().await.unwrap_or_default();
    let body: ErrorBody = serde_json::from_str(&text).unwrap_or_default();
    let is_partial = body.error.as_deref().is_some_and(|error| error.contains("partial write"));
    match is_partial && !body.data.is_empty() {
        true => Ok(body.data),
        false => Err(refused(status, &text)),
    }
}

/// The JSON of an answer that is no refusal.
async fn answer(response: Response) -> Result<Value> {
    match response.status().is_success() {
        true => response.json().await.context("the server's answer is no JSON; is it a GigAPI that takes writes?"),
        false => Err(refusal(response).await),
    }
}

/// What the server says where it does not do what was asked.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    pub(crate) message: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the server refused the request with {}: {}", self.status, self.message)
    }
}

impl std::error::Error for Refusal {}

async fn refusal(response: Response) -> anyhow::Error {
    let status = response.status();
    let text = response.text().await.unwrap_or_default();
    refused(status, &text)
}

fn refused(status: StatusCode, text: &str) -> anyhow::Error {
    anyhow::Error::new(Refusal { status, message: message(text) })
}

/// What an answer says, whatever its form.
fn message(text: &str) -> String {
    let body: ErrorBody = serde_json::from_str(text).unwrap_or_default();
    let (told, chars_max) = match body.error.or(body.message) {
        Some(told) => (told, TOLD_CHARS_MAX),
        None => (text.trim().to_owned(), SHOWN_CHARS_MAX),
    };
    match told.is_empty() {
        true => "no reason given".to_owned(),
        false => told.chars().take(chars_max).collect(),
    }
}

#[cfg(test)]
pub(crate) mod tests;
