//! What databases, tables and columns there are, asked in SQL.
//!
//! Every server answers these questions, also one that only reads; they need no database that exists.

use anyhow::anyhow;
use arrow::array::RecordBatch;
use arrow::compute::concat_batches;

use super::answer::Batches;
use super::failure::Failure;
use super::table::texts;
use crate::client::Client;

/// More names than anybody looks through.
const NAMES_MAX: usize = 20_000;

/// The rows of a question about names; a null is an empty text.
async fn asked(client: &Client, sql: &str) -> Result<Vec<Vec<String>>, Failure> {
    let mut batches = Batches::new(client.look_up(sql).await?);
    let mut rows = Vec::new();
    while let Some(batch) = batches.next().await? {
        let texts = texts(&batch).map_err(|error| Failure::Broken(error.into()))?;
        rows.extend(texts.into_iter().map(|row| row.into_iter().map(Option::unwrap_or_default).collect::<Vec<_>>()));
    }
    Ok(rows)
}

/// The databases, sorted.
pub(super) async fn databases(client: &Client) -> Result<Vec<String>, Failure> {
    let mut names: Vec<String> = asked(client, "SHOW DATABASES").await?.into_iter().flatten().collect();
    names.sort();
    Ok(names)
}

/// The tables of all databases, each with its database's name before it.
pub(super) async fn tables(client: &Client) -> Result<Vec<(String, String)>, Failure> {
    let sql = format!(
        "SELECT table_schema, table_name FROM information_schema.tables WHERE table_schema <> 'information_schema' \
         AND table_schema <> 'iox' ORDER BY 1, 2 LIMIT {NAMES_MAX}"
    );
    Ok(asked(client, &sql).await?.into_iter().filter_map(pair).collect())
}

/// The tables of one database.
pub(super) async fn tables_of(client: &Client, database: &str) -> Result<Vec<String>, Failure> {
    let sql = format!(
        "SELECT table_name FROM information_schema.tables WHERE table_schema = {} ORDER BY 1",
        literal(database)
    );
    Ok(asked(client, &sql).await?.into_iter().flatten().collect())
}

/// The columns of a database's tables, each with its table's name before it.
pub(super) async fn columns_of(client: &Client, database: &str) -> Result<Vec<(String, String)>, Failure> {
    let sql = format!(
        "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = {} \
         ORDER BY 1, ordinal_position LIMIT {NAMES_MAX}",
        literal(database)
    );
    Ok(asked(client, &sql).await?.into_iter().filter_map(pair).collect())
}

/// The columns of a table, which may be named with its database: names and types.
pub(super) async fn schema(client: &Client, table: &str) -> Result<RecordBatch, Failure> {
    // A name may hold a dot itself.
    let own = tables_of(client, client.database()).await?.into_iter().find(|own| own.eq_ignore_ascii_case(table));
    let quoted = |part: &str| format!("\"{}\"", part.replace('"', "\"\""));
    let name = match (own, table.split_once('.')) {
        (Some(own), _) => quoted(&own),
        (None, Some((database, table))) => format!("{}.{}", quoted(database), quoted(table)),
        (None, None) => quoted(table),
    };
    let mut batches = Batches::new(client.look_up(&format!("DESCRIBE {name}")).await?);
    let mut described = Vec::new();
    while let Some(batch) = batches.next().await? {
        described.push(batch.project(&[0, 1]).map_err(|error| Failure::Broken(error.into()))?);
    }
    let missing = || Failure::Broken(anyhow!("the server does not describe {table}"));
    let first = described.first().ok_or_else(missing)?;
    concat_batches(&first.schema(), &described).map_err(|error| Failure::Broken(error.into()))
}

fn pair(row: Vec<String>) -> Option<(String, String)> {
    <[String; 2]>::try_from(row).ok().map(|[first, second]| (first, second))
}

/// A text as SQL writes it.
fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// A name as SQL writes it: in quotes where it would otherwise be something else.
pub(super) fn name(text: &str, is_keyword: impl Fn(&str) -> bool) -> String {
    let begins_well = text.starts_with(|first: char| first == '_' || first.is_ascii_alphabetic());
    let is_plain = text.chars().all(|each| each == '_' || each.is_ascii_alphanumeric());
    match begins_well && is_plain && !is_keyword(text) {
        true => text.to_owned(),
        false => format!("\"{}\"", text.replace('"', "\"\"")),
    }
}
