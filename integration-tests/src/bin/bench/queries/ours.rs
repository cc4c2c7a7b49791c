//! Our server, asked over HTTP.

use anyhow::{Result, ensure};
use arrow::array::{AsArray, RecordBatch};
use arrow::compute::{cast, sum};
use arrow::datatypes::{DataType, Float64Type};
use arrow::ipc::reader::StreamReader;
use bytes::{Bytes, BytesMut};
use integration_tests::Server;
use tokio::time::Instant;

use super::engines::Answered;

/// Columns that are times to us and integers to others.
const TIMES: [&str; 3] = ["time", "minute", "hour"];

pub(super) struct Ours {
    url: String,
    http: reqwest::Client,
}

impl Ours {
    pub(super) fn of(server: &Server) -> Self {
        let url = format!("http://127.0.0.1:{}/api/v3/query_sql", server.port());
        let http = reqwest::Client::builder().no_proxy().build().unwrap_or_default();
        Self { url, http }
    }

    pub(super) async fn ask(&self, sql: &str) -> Result<Answered> {
        let (milliseconds, body) = self.fetch(sql, "arrow").await?;
        let (mut rows, mut total) = (0, 0.0);
        for batch in StreamReader::try_new(body.as_ref(), None)? {
            let batch = batch?;
            rows += batch.num_rows() as u64;
            total += numbers(&batch)?;
        }
        Ok(Answered { milliseconds, rows, sum: total })
    }

    /// Milliseconds until the last byte of the answer, and the answer.
    pub(super) async fn fetch(&self, sql: &str, format: &str) -> Result<(f64, Bytes)> {
        let form = [("db", "bench"), ("q", sql), ("format", format)];
        let begun = Instant::now();
        let mut response = self.http.post(&self.url).form(&form).send().await?;
        let status = response.status().as_u16();
        let mut body = BytesMut::new();
        while let Some(piece) = response.chunk().await? {
            body.extend_from_slice(&piece);
        }
        let took = begun.elapsed().as_secs_f64() * 1e3;
        ensure!(status == 200, "{sql} was answered {status}: {}", String::from_utf8_lossy(&body));
        Ok((took, body.freeze()))
    }
}

fn numbers(batch: &RecordBatch) -> Result<f64> {
    let mut total = 0.0;
    for (field, column) in batch.schema().fields().iter().zip(batch.columns()) {
        if field.data_type().is_numeric() && !TIMES.contains(&field.name().as_str()) {
            let floats = cast(column, &DataType::Float64)?;
            total += sum(floats.as_primitive::<Float64Type>()).unwrap_or(0.0);
        }
    }
    Ok(total)
}
