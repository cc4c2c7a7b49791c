//! Files as record batches with flat columns.
//!
//! Text files are read twice: types come from all rows, because one that shows up late would otherwise
//! stop an import in its middle.

use std::fs::File;
use std::io::{BufReader, Cursor, Seek};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use arrow::array::RecordBatch;
use arrow::csv;
use arrow::datatypes::SchemaRef;
use arrow::json;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::Value;

use super::shape::Shape;

/// Rows of a batch.
const BATCH_ROWS: usize = 50_000;

type Batches = Box<dyn Iterator<Item = Result<RecordBatch>> + Send>;

/// One file.
pub(super) struct Source {
    /// The columns, flattened.
    pub(super) schema: SchemaRef,
    /// The rows.
    pub(super) batches: Batches,
    /// The file's size.
    pub(super) bytes: u64,
    /// How many rows it has; at least one.
    pub(super) rows: u64,
}

impl Source {
    /// Opens a file; `records` tells where a JSON document has its rows, `skip` which columns are left out.
    pub(super) fn open(path: &Path, records: Option<&str>, skip: &[String]) -> Result<Self> {
        let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
        let bytes = std::fs::metadata(path)?.len();
        match extension.to_ascii_lowercase().as_str() {
            "csv" => csv_file(path, bytes, skip),
            "jsonl" | "ndjson" => json_lines(std::fs::read(path)?, bytes, skip),
            "json" => json_document(path, records, bytes, skip),
            "parquet" => parquet_file(path, bytes, skip),
            other => bail!("the kind of a .{other} file is unknown; use .csv, .json, .jsonl, .ndjson or .parquet"),
        }
    }

    fn new(shape: Shape, batches: Batches, bytes: u64, rows: usize) -> Self {
        let schema = shape.schema();
        let target = Arc::clone(&schema);
        let batches = batches.map(move |batch| shape.flatten(&batch?, &target));
        Self { schema, batches: Box::new(batches), bytes, rows: rows.max(1) as u64 }
    }
}

fn csv_file(path: &Path, bytes: u64, skip: &[String]) -> Result<Source> {
    let mut file = File::open(path)?;
    let format = csv::reader::Format::default().with_header(true);
    let (schema, rows) = format.infer_schema(BufReader::new(&file), None)?;
    file.rewind()?;
    let shape = Shape::new(&schema, skip);
    let builder = csv::ReaderBuilder::new(Arc::new(schema)).with_header(true).with_batch_size(BATCH_ROWS);
    let reader = builder.build(file)?;
    Ok(Source::new(shape, Box::new(reader.map(|batch| Ok(batch?))), bytes, rows))
}

fn json_lines(text: Vec<u8>, bytes: u64, skip: &[String]) -> Result<Source> {
    let (schema, rows) = json::reader::infer_json_schema(Cursor::new(&text), None)?;
    let schema = Arc::new(schema);
    let mut shape = Shape::new(&schema, skip);
    let lists = shape.lists();
    if !lists.is_empty() {
        let some = Arc::new(schema.project(&lists)?);
        for batch in json::ReaderBuilder::new(some).with_batch_size(BATCH_ROWS).build(Cursor::new(&text))? {
            shape.widen(&batch?)?;
        }
    }
    let reader = json::ReaderBuilder::new(schema).with_batch_size(BATCH_ROWS).build(Cursor::new(text))?;
    Ok(Source::new(shape, Box::new(reader.map(|batch| Ok(batch?))), bytes, rows))
}

/// An array of objects, somewhere in a document.
fn json_document(path: &Path, records: Option<&str>, bytes: u64, skip: &[String]) -> Result<Source> {
    let text = std::fs::read(path)?;
    let Ok(document) = serde_json::from_slice::<Value>(&text) else {
        // Several objects one after the other are JSON lines under another name.
        return json_lines(text, bytes, skip);
    };
    let place = records.unwrap_or_default();
    let mut at = &document;
    for step in place.split('.').filter(|step| !step.is_empty()) {
        at = at.get(step).with_context(|| format!("the document has no {step:?} on the path {place:?}"))?;
    }
    let Value::Array(items) = at else {
        let arrays = at.as_object().into_iter().flatten().filter(|(_, value)| value.is_array());
        let names: Vec<&str> = arrays.map(|(name, _)| name.as_str()).collect();
        bail!("no array of records at {place:?}; name it with --records, there is: {}", names.join(", "));
    };
    if let Some(index) = items.iter().position(|item| !item.is_object()) {
        bail!("record {} of the array at {place:?} is no object", index + 1);
    }
    let mut lines = Vec::with_capacity(text.len());
    for item in items {
        serde_json::to_writer(&mut lines, item)?;
        lines.push(b'\n');
    }
    json_lines(lines, bytes, skip)
}

fn parquet_file(path: &Path, bytes: u64, skip: &[String]) -> Result<Source> {
    let builder = || -> Result<_> {
        Ok(ParquetRecordBatchReaderBuilder::try_new(File::open(path)?)?.with_batch_size(BATCH_ROWS))
    };
    let all = builder()?;
    let rows = usize::try_from(all.metadata().file_metadata().num_rows()).unwrap_or(0);
    let mut shape = Shape::new(all.schema(), skip);
    let lists = shape.lists();
    if !lists.is_empty() {
        let some = builder()?;
        let mask = ProjectionMask::roots(some.parquet_schema(), lists);
        for batch in some.with_projection(mask).build()? {
            shape.widen(&batch?)?;
        }
    }
    let reader = all.build()?;
    Ok(Source::new(shape, Box::new(reader.map(|batch| Ok(batch?))), bytes, rows))
}
