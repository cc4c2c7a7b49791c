//! `gigapi tables` and `gigapi databases`: what there is, what is set for it, and an end to it.
//!
//! Clients of a server that writes, over HTTP, so that one place decides what can be set and how a drop is made. A drop
//! asks before it is sent: nothing brings its rows back.

use std::io::{BufRead, IsTerminal, Write, stderr, stdin, stdout};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use comfy_table::{ContentArrangement, Table, presets::NOTHING};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::client::{Client, ConnectArgs};

const TABLE: &str = "/api/v3/configure/table";
const DATABASE: &str = "/api/v3/configure/database";

/// List, change and drop tables.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct TablesArgs {
    #[command(subcommand)]
    verb: Option<TablesVerb>,
    #[command(flatten)]
    connect: ConnectArgs,
}

#[derive(Debug, Subcommand)]
enum TablesVerb {
    /// List the tables of a database, or of all (the default).
    List {
        /// The database.
        #[arg(value_name = "DATABASE")]
        of: Option<String>,
        #[command(flatten)]
        connect: ConnectArgs,
    },
    /// Drop a table with all its rows.
    Drop {
        /// The table, as database.table; without a dot it is one of the database that --database names.
        table: String,
        /// Drop it without asking.
        #[arg(long)]
        yes: bool,
        #[command(flatten)]
        connect: ConnectArgs,
    },
    /// Change what is set for a table.
    Set {
        /// The table, as database.table; without a dot it is one of the database that --database names.
        table: String,
        /// How long rows are kept, as 30s, 10m, 12h, 7d or 4w; 0 is for ever.
        #[arg(long, value_name = "DURATION")]
        ttl: Option<String>,
        /// Set this, as merge.level1.interval=30s; can be repeated.
        #[arg(long = "set", value_name = "KEY=VALUE", value_parser = assignment)]
        settings: Vec<(String, String)>,
        /// Set this no more; can be repeated.
        #[arg(long = "unset", value_name = "KEY")]
        unset: Vec<String>,
        #[command(flatten)]
        connect: ConnectArgs,
    },
}

/// List, change and drop databases.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct DatabasesArgs {
    #[command(subcommand)]
    verb: Option<DatabasesVerb>,
    #[command(flatten)]
    connect: ConnectArgs,
}

#[derive(Debug, Subcommand)]
enum DatabasesVerb {
    /// List the databases (the default).
    List {
        #[command(flatten)]
        connect: ConnectArgs,
    },
    /// Drop a database with all its tables.
    Drop {
        /// The database.
        name: String,
        /// Drop it without asking.
        #[arg(long)]
        yes: bool,
        #[command(flatten)]
        connect: ConnectArgs,
    },
    /// Change what is set for a database, and make it if there is none of its name.
    Set {
        /// The database.
        name: String,
        /// How long rows are kept, as 30s, 10m, 12h, 7d or 4w; 0 is for ever.
        #[arg(long, value_name = "DURATION")]
        ttl: String,
        #[command(flatten)]
        connect: ConnectArgs,
    },
}

fn assignment(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("write KEY=VALUE, as merge.level1.interval=30s".to_owned()),
    }
}

#[derive(Deserialize)]
struct TableRow {
    db: String,
    table: String,
    columns: u64,
    key: String,
    retention_period: Option<String>,
    settings: Map<String, Value>,
    revision: u64,
}

#[derive(Deserialize)]
struct DatabaseRow {
    #[serde(rename = "iox::database")]
    name: String,
    retention_period: Option<String>,
    tables: u64,
}

pub(crate) async fn tables(args: TablesArgs) -> Result<ExitCode> {
    match args.verb.unwrap_or(TablesVerb::List { of: None, connect: args.connect }) {
        TablesVerb::List { of, connect } => {
            let client = Client::new(&connect)?;
            let database = of.or(connect.database);
            let query: Vec<_> = database.iter().map(|name| ("db", name.as_str())).collect();
            print(&serde_json::from_value::<Vec<TableRow>>(client.get(TABLE, &query).await?)?)?;
        }
        TablesVerb::Drop { table, yes, connect } => {
            let client = Client::new(&connect)?;
            let (database, name) = split(&table, client.database());
            confirm(yes, &format!("drop the table {database}.{name} with all its rows"))?;
            client.delete(TABLE, &[("db", database), ("table", name)]).await?;
            println!("{database}.{name} is dropped");
        }
        TablesVerb::Set { table, ttl, settings, unset, connect } => {
            let client = Client::new(&connect)?;
            let (database, name) = split(&table, client.database());
            if ttl.is_none() && settings.is_empty() && unset.is_empty() {
                bail!("nothing to set: give --ttl, --set or --unset");
            }
            let mut change = json!({ "db": database, "table": name });
            if let Some(ttl) = ttl {
                change["retention_period"] = json!(ttl);
            }
            let set = settings.into_iter().map(|(key, value)| (key, Value::String(value)));
            change["settings"] = set.chain(unset.into_iter().map(|key| (key, Value::Null))).collect();
            let changed = client.put(TABLE, &change).await?;
            print(&[serde_json::from_value::<TableRow>(changed)?])?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

pub(crate) async fn databases(args: DatabasesArgs) -> Result<ExitCode> {
    match args.verb.unwrap_or(DatabasesVerb::List { connect: args.connect }) {
        DatabasesVerb::List { connect } => {
            let listed = Client::new(&connect)?.get(DATABASE, &[("format", "json")]).await?;
            let rows: Vec<DatabaseRow> = serde_json::from_value(listed)?;
            let cells = rows
                .iter()
                .map(|row| vec![row.name.clone(), row.tables.to_string(), period(row.retention_period.as_deref())]);
            show(&["database", "tables", "ttl"], cells)?;
        }
        DatabasesVerb::Drop { name, yes, connect } => {
            let client = Client::new(&connect)?;
            confirm(yes, &format!("drop the database {name} with all its tables"))?;
            let dropped = client.delete(DATABASE, &[("db", &name)]).await?;
            let count = dropped["dropped"].as_array().map_or(0, Vec::len);
            println!("{name} is dropped, with {count} tables");
        }
        DatabasesVerb::Set { name, ttl, connect } => {
            let change = json!({ "db": name, "retention_period": ttl });
            let changed = Client::new(&connect)?.put_or_post(DATABASE, &change).await?;
            println!("{name}: ttl {}", period(changed["retention_period"].as_str()));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// A name with its database; the part before the first dot is the database.
fn split<'a>(text: &'a str, database: &'a str) -> (&'a str, &'a str) {
    text.split_once('.').unwrap_or((database, text))
}

/// Asks whoever sits at the terminal; where nobody does, the intention has to be in the command.
fn confirm(yes: bool, what: &str) -> Result<()> {
    if yes {
        return Ok(());
    }
    if !stdin().is_terminal() {
        bail!("this would {what}; say so with --yes");
    }
    write!(stderr(), "This will {what}. Type yes to go on: ")?;
    let mut answer = String::new();
    stdin().lock().read_line(&mut answer).context("cannot read the answer")?;
    if answer.trim() == "yes" { Ok(()) } else { bail!("nothing was dropped") }
}

fn period(period: Option<&str>) -> String {
    period.unwrap_or("for ever").to_owned()
}

fn print(rows: &[TableRow]) -> Result<()> {
    let cells = rows.iter().map(|row| {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let settings: Vec<_> = row.settings.iter().map(|(key, value)| format!("{key}={}", text(value))).collect();
        let (columns, revision) = (row.columns.to_string(), row.revision.to_string());
        let (name, ttl) = (format!("{}.{}", row.db, row.table), period(row.retention_period.as_deref()));
        vec![name, columns, row.key.clone(), ttl, revision, settings.join(" ")]
    });
    show(&["table", "columns", "key", "ttl", "revision", "settings"], cells)
}

fn show(header: &[&str], rows: impl Iterator<Item = Vec<String>>) -> Result<()> {
    let mut table = Table::new();
    table.load_style(NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(header.iter().copied());
    for row in rows {
        table.add_row(row);
    }
    Ok(writeln!(stdout().lock(), "{table}")?)
}

#[cfg(test)]
mod tests;
