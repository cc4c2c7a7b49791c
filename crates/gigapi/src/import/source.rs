//! Files as record batches, nested columns flattened.

use std::fs::File;
use std::io::{BufReader, Cursor, Seek};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StructArray, new_null_array};
use arrow::csv;
use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef};
use arrow::json;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::Value;

/// Rows that types are inferred from in text files.
const INFERRED_ROWS: usize = 100_000;

/// Items of a list that become columns of their own: coordinates have two or three.
const LIST_ITEMS: usize = 3;

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
    /// How many rows it has, as far as that is known; at least one.
    pub(super) rows: u64,
}

impl Source {
    pub(super) fn open(path: &Path, records: Option<&str>) -> Result<Self> {
        let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
        let bytes = std::fs::metadata(path)?.len();
        match extension.to_ascii_lowercase().as_str() {
            "csv" => csv_file(path, bytes),
            "jsonl" | "ndjson" => json_lines(std::fs::read(path)?, bytes),
            "json" => json_document(path, records, bytes),
            "parquet" => parquet_file(path, bytes),
            other => bail!("the kind of a .{other} file is unknown; use .csv, .json, .jsonl, .ndjson or .parquet"),
        }
    }

    fn new(schema: &Schema, batches: Batches, bytes: u64, rows: u64) -> Self {
        let flat = flatten_fields(schema.fields(), "");
        let schema = Arc::new(Schema::new(flat));
        let target = Arc::clone(&schema);
        let batches = batches.map(move |batch| flatten(&batch?, &target));
        Self { schema, batches: Box::new(batches), bytes, rows: rows.max(1) }
    }
}

fn csv_file(path: &Path, bytes: u64) -> Result<Source> {
    let mut file = File::open(path)?;
    let format = csv::reader::Format::default().with_header(true);
    let (schema, inferred) = format.infer_schema(BufReader::new(&file), Some(INFERRED_ROWS))?;
    file.rewind()?;
    // Beyond what was looked at, rows are taken to be as long.
    let rows = if inferred < INFERRED_ROWS { inferred as u64 } else { bytes / 40 };
    let reader = csv::ReaderBuilder::new(Arc::new(schema.clone())).with_header(true).with_batch_size(BATCH_ROWS).build(file)?;
    Ok(Source::new(&schema, Box::new(reader.map(|batch| Ok(batch?))), bytes, rows))
}

fn json_lines(text: Vec<u8>, bytes: u64) -> Result<Source> {
    let (schema, rows) = json::reader::infer_json_schema(Cursor::new(&text), None)?;
    let reader = json::ReaderBuilder::new(Arc::new(schema.clone())).with_batch_size(BATCH_ROWS).build(Cursor::new(text))?;
    Ok(Source::new(&schema, Box::new(reader.map(|batch| Ok(batch?))), bytes, rows as u64))
}

/// An array of objects, somewhere in a document.
fn json_document(path: &Path, records: Option<&str>, bytes: u64) -> Result<Source> {
    let text = std::fs::read(path)?;
    let Ok(document) = serde_json::from_slice::<Value>(&text) else {
        // Several objects one after the other are JSON lines under another name.
        return json_lines(text, bytes);
    };
    let place = records.unwrap_or_default();
    let mut at = &document;
    for step in place.split('.').filter(|step| !step.is_empty()) {
        at = at.get(step).with_context(|| format!("the document has no {step:?} on the path {place:?}"))?;
    }
    let Value::Array(items) = at else {
        let names: Vec<&str> = at.as_object().map(|object| object.keys().map(String::as_str).collect()).unwrap_or_default();
        bail!("no array of records at {place:?}; name it with --records, there is: {}", names.join(", "));
    };
    let mut lines = Vec::with_capacity(text.len());
    for item in items {
        serde_json::to_writer(&mut lines, item)?;
        lines.push(b'\n');
    }
    json_lines(lines, bytes)
}

fn parquet_file(path: &Path, bytes: u64) -> Result<Source> {
    let builder = ParquetRecordBatchReaderBuilder::try_new(File::open(path)?)?;
    let rows = u64::try_from(builder.metadata().file_metadata().num_rows()).unwrap_or(1);
    let schema = builder.schema().as_ref().clone();
    let reader = builder.with_batch_size(BATCH_ROWS).build()?;
    Ok(Source::new(&schema, Box::new(reader.map(|batch| Ok(batch?))), bytes, rows))
}

fn joined(prefix: &str, name: &str) -> String {
    if prefix.is_empty() { name.to_owned() } else { format!("{prefix}.{name}") }
}

fn flatten_fields(fields: &Fields, prefix: &str) -> Vec<Field> {
    let mut flat = Vec::new();
    for field in fields {
        let name = joined(prefix, field.name());
        match field.data_type() {
            DataType::Struct(inner) => flat.extend(flatten_fields(inner, &name)),
            DataType::List(item) => {
                flat.extend((0..LIST_ITEMS).map(|index| Field::new(format!("{name}.{index}"), item.data_type().clone(), true)));
            }
            other => flat.push(Field::new(name, other.clone(), true)),
        }
    }
    flat
}

fn flatten(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch> {
    let mut columns = Vec::with_capacity(schema.fields().len());
    for column in batch.columns() {
        flatten_array(column, &mut columns)?;
    }
    Ok(RecordBatch::try_new(Arc::clone(schema), columns)?)
}

fn flatten_array(array: &ArrayRef, columns: &mut Vec<ArrayRef>) -> Result<()> {
    match array.data_type() {
        DataType::Struct(_) => {
            // A null object has null members.
            let object: &StructArray = array.as_struct();
            for column in object.columns() {
                let masked = match object.nulls() {
                    Some(nulls) => {
                        let absent = arrow::array::BooleanArray::new(!nulls.inner(), None);
                        arrow::compute::nullif(column, &absent)?
                    }
                    None => Arc::clone(column),
                };
                flatten_array(&masked, columns)?;
            }
        }
        DataType::List(item) => {
            let list = array.as_list::<i32>();
            for index in 0..LIST_ITEMS {
                let picks = (0..list.len()).map(|row| {
                    let start = list.value_offsets()[row];
                    let has = list.is_valid(row) && list.value_length(row) as usize > index;
                    has.then(|| u32::try_from(start).unwrap_or(0) + u32::try_from(index).unwrap_or(0))
                });
                let picks = arrow::array::UInt32Array::from_iter(picks);
                let values = list.values();
                let column = if values.is_empty() {
                    new_null_array(item.data_type(), list.len())
                } else {
                    arrow::compute::take(values, &picks, None)?
                };
                columns.push(column);
            }
        }
        _ => columns.push(Arc::clone(array)),
    }
    Ok(())
}
