//! Requests as a client of the server sends them.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// What came back.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: String,
}

impl Answer {
    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The body as JSON.
    pub fn json(&self) -> Result<Value> {
        serde_json::from_str(&self.body).with_context(|| format!("not JSON: {}", self.body))
    }
}

/// A client of one server.
#[derive(Debug, Clone)]
pub struct Client {
    url: String,
    http: reqwest::Client,
}

impl Client {
    /// A client of the server at that address.
    pub fn new(url: String) -> Self {
        let http = reqwest::Client::builder().timeout(Duration::from_secs(120)).no_proxy().build();
        Self { url, http: http.unwrap_or_default() }
    }

    /// The same client, which waits for an answer no longer than this; two minutes, if nothing is said.
    #[must_use]
    pub fn with_timeout(self, timeout: Duration) -> Self {
        let http = reqwest::Client::builder().timeout(timeout).no_proxy().build();
        Self { http: http.unwrap_or_default(), ..self }
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Result<Answer> {
        let response = request.send().await?;
        let status = response.status().as_u16();
        let text = |value: &reqwest::header::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let headers = response.headers().iter().map(|(name, value)| (name.to_string(), text(value))).collect();
        Ok(Answer { status, headers, body: response.text().await? })
    }

    /// GET.
    pub async fn get(&self, path: &str) -> Result<Answer> {
        self.send(self.http.get(format!("{}{path}", self.url))).await
    }

    /// PUT.
    pub async fn put(&self, path: &str, body: impl Into<reqwest::Body>) -> Result<Answer> {
        self.send(self.http.put(format!("{}{path}", self.url)).body(body)).await
    }

    /// DELETE.
    pub async fn delete(&self, path: &str) -> Result<Answer> {
        self.send(self.http.delete(format!("{}{path}", self.url))).await
    }

    /// POST with headers.
    pub async fn post(&self, path: &str, headers: &[(&str, &str)], body: impl Into<reqwest::Body>) -> Result<Answer> {
        let mut request = self.http.post(format!("{}{path}", self.url)).body(body);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(request).await
    }

    /// Writes line protocol to a database.
    pub async fn write(&self, database: &str, lines: impl Into<reqwest::Body>) -> Result<Answer> {
        self.post(&format!("/write?db={database}"), &[], lines).await
    }

    /// Writes line protocol that has to be taken.
    pub async fn must_write(&self, database: &str, lines: impl Into<reqwest::Body>) -> Result<()> {
        let answer = self.write(database, lines).await?;
        if answer.status != 204 {
            bail!("the write was answered {}: {}", answer.status, answer.body);
        }
        Ok(())
    }

    /// Asks, in the shape of GigAPI.
    pub async fn query(&self, database: &str, sql: &str) -> Result<Answer> {
        let body = serde_json::json!({ "query": sql, "db": database }).to_string();
        self.post("/query", &[("content-type", "application/json")], body).await
    }

    /// The rows of a query that has to succeed.
    pub async fn rows(&self, database: &str, sql: &str) -> Result<Vec<Value>> {
        let answer = self.query(database, sql).await?;
        if answer.status != 200 {
            bail!("{sql}\nwas answered {}: {}", answer.status, answer.body);
        }
        match answer.json()?.get_mut("results") {
            Some(Value::Array(rows)) => Ok(std::mem::take(rows)),
            _ => bail!("no results in {}", answer.body),
        }
    }

    /// The single number that a query answers with.
    pub async fn number(&self, database: &str, sql: &str) -> Result<f64> {
        let rows = self.rows(database, sql).await?;
        let value = rows.first().and_then(Value::as_object).and_then(|row| row.values().next());
        match value {
            Some(Value::String(text)) => Ok(text.parse()?),
            Some(Value::Number(number)) => number.as_f64().context("not a number"),
            other => bail!("{sql} answered {other:?}"),
        }
    }

    /// One metric's value: the first sample that begins with `name`.
    pub async fn metric(&self, name: &str) -> Result<f64> {
        let text = self.get("/metrics").await?.body;
        let line = text.lines().find(|line| line.starts_with(name)).with_context(|| format!("no metric {name}"))?;
        Ok(line.rsplit(' ').next().context("no value")?.parse()?)
    }
}
