//! What there is and what goes on: tables with their sizes, columns, files, running queries, files being merged.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{
    ArrayRef, Float64Array, Int64Array, StringArray, TimestampNanosecondArray, UInt8Array, UInt64Array,
};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use gigapi_catalog::Snapshot;
use gigapi_model::{DataFile, FileId, TableDef, Timestamp};
use gigapi_storage::FilePath;

use super::{Columns, Shown, Sources, Wanted};
use crate::Result;
use crate::dialect::duckdb_type;

/// Its name as a database.
pub(crate) const SYSTEM: &str = "system";

pub(super) const TABLES: [&str; 5] = ["tables", "columns", "files", "queries", "merges"];

/// The columns that hold a database and those that hold a table.
pub(super) const KEYS: (&[&str], &[&str]) = (&["database"], &["table"]);

/// A query that has not ended.
#[derive(Debug, Clone)]
pub(crate) struct RunningQuery {
    pub(crate) id: String,
    pub(crate) sql: String,
    /// The database of names that do not say theirs.
    pub(crate) database: String,
    /// What it does at the moment, as one word.
    pub(crate) state: &'static str,
    pub(crate) started: Timestamp,
    pub(crate) elapsed: Duration,
    /// Rows that it has sent.
    pub(crate) rows: u64,
    /// Bytes that it has read.
    pub(crate) bytes: u64,
}

const TEXT: DataType = DataType::Utf8;
const NUMBER: DataType = DataType::UInt64;
const TIME: DataType = DataType::Timestamp(TimeUnit::Nanosecond, None);

pub(super) fn schema(name: &str) -> SchemaRef {
    let columns: &[(&str, DataType)] = match name {
        "tables" => &[
            ("database", TEXT),
            ("table", TEXT),
            ("key", TEXT),
            ("columns", NUMBER),
            ("rows", NUMBER),
            ("bytes", NUMBER),
            ("files", NUMBER),
            ("min_time", TIME),
            ("max_time", TIME),
            ("ttl_s", DataType::Int64),
        ],
        "columns" => &[
            ("database", TEXT),
            ("table", TEXT),
            ("column", TEXT),
            ("position", NUMBER),
            ("role", TEXT),
            ("type", TEXT),
            ("field_id", NUMBER),
        ],
        "queries" => &[
            ("id", TEXT),
            ("sql", TEXT),
            ("database", TEXT),
            ("state", TEXT),
            ("started", TIME),
            ("elapsed_s", DataType::Float64),
            ("rows", NUMBER),
            ("bytes", NUMBER),
        ],
        // Files, all of them or those that are being merged.
        _ => &[
            ("database", TEXT),
            ("table", TEXT),
            ("layer", TEXT),
            ("path", TEXT),
            ("level", DataType::UInt8),
            ("bucket", TEXT),
            ("rows", NUMBER),
            ("bytes", NUMBER),
            ("min_time", TIME),
            ("max_time", TIME),
            ("min_sequence", NUMBER),
            ("max_sequence", NUMBER),
            ("created", TIME),
        ],
    };
    let field = |(name, data_type): &(&str, DataType)| Field::new(*name, data_type.clone(), true);
    Arc::new(Schema::new(columns.iter().map(field).collect::<Vec<_>>()))
}

pub(super) async fn rows(name: &str, sources: &Sources, wanted: &Wanted, shown: &Shown<'_>) -> Result<Columns> {
    match name {
        "tables" => tables(sources, wanted, shown).await,
        "columns" => columns(sources, wanted).await,
        "queries" => Ok(queries(&sources.running)),
        "merges" => merges(sources, wanted).await,
        _ => files(sources, wanted).await,
    }
}

fn texts<T: AsRef<str>>(values: impl Iterator<Item = T>) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(values.into_iter().collect::<Vec<_>>()))
}

fn numbers(values: impl Iterator<Item = u64>) -> ArrayRef {
    Arc::new(UInt64Array::from_iter_values(values))
}

fn times(values: impl Iterator<Item = Option<Timestamp>>) -> ArrayRef {
    Arc::new(TimestampNanosecondArray::from_iter(values.map(|time| time.map(Timestamp::nanos))))
}

/// The wanted tables of all wanted databases.
async fn definitions(sources: &Sources, wanted: &Wanted) -> Result<Vec<Arc<TableDef>>> {
    let mut all = Vec::new();
    for database in sources.databases(wanted).await? {
        all.extend(sources.tables(&database, wanted).await?);
    }
    Ok(all)
}

/// The table with its files; none if it was dropped since its name was read.
async fn snapshot(sources: &Sources, table: &TableDef) -> Result<Option<Arc<Snapshot>>> {
    match sources.reader().snapshot(table.id, &[]).await {
        Ok(snapshot) => Ok(Some(snapshot)),
        Err(gigapi_catalog::Error::Dropped { .. } | gigapi_catalog::Error::UnknownTable { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

async fn tables(sources: &Sources, wanted: &Wanted, shown: &Shown<'_>) -> Result<Columns> {
    let wants_files = shown.any_of(&["rows", "bytes", "files", "min_time", "max_time"]);
    let mut all = definitions(sources, wanted).await?;
    let mut totals = Vec::with_capacity(all.len());
    let mut kept = Vec::with_capacity(all.len());
    for table in all.drain(..) {
        let total = match wants_files {
            false => Totals::default(),
            true => match snapshot(sources, &table).await? {
                Some(snapshot) => Totals::of(snapshot.files.iter().map(|file| &**file)),
                None => continue,
            },
        };
        totals.push(total);
        kept.push(table);
    }
    let ttl = kept.iter().map(|table| table.ttl.map(|ttl| i64::try_from(ttl.as_secs()).unwrap_or(i64::MAX)));
    Ok(vec![
        ("database", texts(kept.iter().map(|table| table.database.as_str()))),
        ("table", texts(kept.iter().map(|table| table.name.as_str()))),
        ("key", texts(kept.iter().map(|table| table.key.to_string()))),
        ("columns", numbers(kept.iter().map(|table| table.columns.len() as u64))),
        ("rows", numbers(totals.iter().map(|total| total.rows))),
        ("bytes", numbers(totals.iter().map(|total| total.bytes))),
        ("files", numbers(totals.iter().map(|total| total.files))),
        ("min_time", times(totals.iter().map(|total| total.min))),
        ("max_time", times(totals.iter().map(|total| total.max))),
        ("ttl_s", Arc::new(Int64Array::from_iter(ttl))),
    ])
}

#[derive(Debug, Default)]
struct Totals {
    rows: u64,
    bytes: u64,
    files: u64,
    min: Option<Timestamp>,
    max: Option<Timestamp>,
}

impl Totals {
    fn of<'a>(files: impl Iterator<Item = &'a DataFile>) -> Self {
        files.fold(Self::default(), |total, file| Self {
            rows: total.rows + file.rows,
            bytes: total.bytes + file.bytes,
            files: total.files + 1,
            min: Some(total.min.map_or(file.time.min, |min| min.min(file.time.min))),
            max: total.max.max(Some(file.time.max)),
        })
    }
}

async fn columns(sources: &Sources, wanted: &Wanted) -> Result<Columns> {
    let all = definitions(sources, wanted).await?;
    let each = || all.iter().flat_map(|table| table.columns.iter().map(move |column| (table, column)));
    let positions = all.iter().flat_map(|table| 1..=table.columns.len() as u64);
    let types = all.iter().flat_map(|table| {
        let schema = gigapi_rows::table_schema(table);
        schema.fields().iter().map(|field| duckdb_type(field.data_type())).collect::<Vec<_>>()
    });
    Ok(vec![
        ("database", texts(each().map(|(table, _)| table.database.as_str()))),
        ("table", texts(each().map(|(table, _)| table.name.as_str()))),
        ("column", texts(each().map(|(_, column)| column.name.as_str()))),
        ("position", numbers(positions)),
        ("role", texts(each().map(|(_, column)| column.role.to_string()))),
        ("type", texts(types)),
        ("field_id", numbers(each().map(|(_, column)| u64::from(column.field_id)))),
    ])
}

async fn files(sources: &Sources, wanted: &Wanted) -> Result<Columns> {
    let mut all = Vec::new();
    for table in definitions(sources, wanted).await? {
        if let Some(snapshot) = snapshot(sources, &table).await? {
            all.extend(snapshot.files.iter().map(|file| (Arc::clone(&snapshot.table), Arc::clone(file))));
        }
    }
    Ok(listed(&all))
}

/// Live files that somebody has claimed to merge, move or end.
async fn merges(sources: &Sources, wanted: &Wanted) -> Result<Columns> {
    let mut all = Vec::new();
    for table in definitions(sources, wanted).await? {
        let claimed: HashSet<FileId> = sources.catalog.claimed(table.id).await?;
        if claimed.is_empty() {
            continue;
        }
        if let Some(snapshot) = snapshot(sources, &table).await? {
            let claimed = snapshot.files.iter().filter(|file| claimed.contains(&file.id));
            all.extend(claimed.map(|file| (Arc::clone(&snapshot.table), Arc::clone(file))));
        }
    }
    Ok(listed(&all))
}

fn listed(all: &[(Arc<TableDef>, Arc<DataFile>)]) -> Columns {
    let files = || all.iter().map(|(_, file)| file);
    vec![
        ("database", texts(all.iter().map(|(table, _)| table.database.as_str()))),
        ("table", texts(all.iter().map(|(table, _)| table.name.as_str()))),
        ("layer", texts(files().map(|file| file.layer.as_str()))),
        ("path", texts(all.iter().map(|(table, file)| FilePath::of(table, file).to_string()))),
        ("level", Arc::new(UInt8Array::from_iter_values(files().map(|file| file.level.number())))),
        ("bucket", texts(files().map(|file| file.bucket.to_string()))),
        ("rows", numbers(files().map(|file| file.rows))),
        ("bytes", numbers(files().map(|file| file.bytes))),
        ("min_time", times(files().map(|file| Some(file.time.min)))),
        ("max_time", times(files().map(|file| Some(file.time.max)))),
        ("min_sequence", numbers(files().map(|file| file.sequence.lo))),
        ("max_sequence", numbers(files().map(|file| file.sequence.hi))),
        ("created", times(files().map(|file| Some(file.id.minted_at())))),
    ]
}

fn queries(all: &[RunningQuery]) -> Columns {
    vec![
        ("id", texts(all.iter().map(|query| query.id.as_str()))),
        ("sql", texts(all.iter().map(|query| query.sql.as_str()))),
        ("database", texts(all.iter().map(|query| query.database.as_str()))),
        ("state", texts(all.iter().map(|query| query.state))),
        ("started", times(all.iter().map(|query| Some(query.started)))),
        ("elapsed_s", Arc::new(Float64Array::from_iter_values(all.iter().map(|query| query.elapsed.as_secs_f64())))),
        ("rows", numbers(all.iter().map(|query| query.rows))),
        ("bytes", numbers(all.iter().map(|query| query.bytes))),
    ]
}
