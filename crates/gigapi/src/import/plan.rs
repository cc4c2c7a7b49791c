//! What becomes of each column: the time, a tag, a field, or nothing.

use anyhow::{Context, Result, bail};
use arrow::datatypes::{DataType, Schema};
use comfy_table::Table;
use comfy_table::presets::ASCII_FULL_CONDENSED;
use gigapi_model::{ColumnName, TIME_COLUMN, TableName};

use super::ImportArgs;
use super::lines::{escape_key, escape_measurement};
use super::time::TimeFormat;

/// A column that is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sent {
    /// Its place in the batches.
    pub(super) index: usize,
    pub(super) name: String,
    /// Its name, escaped, with `=` behind it.
    pub(super) key: Vec<u8>,
}

/// What becomes of the columns.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) measurement: Vec<u8>,
    pub(super) time: usize,
    pub(super) format: TimeFormat,
    pub(super) tags: Vec<Sent>,
    pub(super) fields: Vec<Sent>,
    /// Name, type and role of every column, for people.
    shown: Vec<(String, String, &'static str)>,
}

impl Plan {
    pub(super) fn new(args: &ImportArgs, schema: &Schema) -> Result<Self> {
        let (time, format) = match args.time.split_once(':') {
            // A column whose name holds a colon is named as it is.
            Some((column, format)) if schema.index_of(&args.time).is_err() => (column, format),
            _ => (args.time.as_str(), ""),
        };
        let index = find(schema, time).context("--time")?;
        for (flag, names) in [("--tag", &args.tag), ("--skip", &args.skip)] {
            names.iter().try_for_each(|name| find(schema, name).map(|_| ()).context(flag))?;
        }
        TableName::new(&args.table).context("--table")?;
        check_name(&args.table)?;
        let mut plan = Self {
            measurement: escape_measurement(&args.table),
            time: index,
            format: TimeFormat::parse(format),
            tags: Vec::new(),
            fields: Vec::new(),
            shown: Vec::new(),
        };
        for (index, field) in schema.fields().iter().enumerate() {
            let name = field.name();
            if schema.fields().iter().take(index).any(|other| other.name() == name) {
                bail!("two columns are called {name}; rename one of them");
            }
            let role = if index == plan.time {
                "time"
            } else if args.skip.contains(name) || matches!(field.data_type(), DataType::Null) {
                "left out"
            } else if name == TIME_COLUMN {
                bail!("column {TIME_COLUMN} is not the time; leave it out with --skip {TIME_COLUMN}");
            } else {
                ColumnName::new(name).with_context(|| format!("leave the column out with --skip {name:?}"))?;
                check_name(name)?;
                let sent = Sent { index, name: name.clone(), key: escape_key(name) };
                if args.tag.contains(name) {
                    plan.tags.push(sent);
                    "tag"
                } else if is_field(field.data_type()) {
                    plan.fields.push(sent);
                    "field"
                } else {
                    bail!(
                        "column {name} is a {}, which cannot be a field; leave it out with --skip {name}",
                        field.data_type()
                    );
                }
            };
            plan.shown.push((name.clone(), field.data_type().to_string(), role));
        }
        if plan.fields.is_empty() {
            bail!("no column is left to be a field; a row needs at least one");
        }
        Ok(plan)
    }

    /// Name, type and role of every column.
    pub(super) fn columns(&self) -> &[(String, String, &'static str)] {
        &self.shown
    }

    /// The same for people.
    pub(super) fn table(&self) -> Table {
        let mut table = Table::new();
        table.load_style(ASCII_FULL_CONDENSED).set_header(["column", "type", "becomes"]);
        for (name, data_type, role) in &self.shown {
            table.add_row([name.as_str(), data_type.as_str(), role]);
        }
        table
    }
}

/// Line protocol has no way to write a name that ends with a backslash.
fn check_name(name: &str) -> Result<()> {
    if name.ends_with('\\') {
        bail!("the name {name:?} ends with a backslash, which line protocol cannot express; rename it");
    }
    Ok(())
}

fn find(schema: &Schema, name: &str) -> Result<usize> {
    schema.index_of(name).map_err(|_| {
        let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
        anyhow::anyhow!("there is no column {name:?}; there are: {}", names.join(", "))
    })
}

fn is_field(data_type: &DataType) -> bool {
    data_type.is_numeric()
        || matches!(
            data_type,
            DataType::Boolean
                | DataType::Utf8
                | DataType::LargeUtf8
                | DataType::Utf8View
                | DataType::Dictionary(_, _)
                | DataType::Timestamp(_, _)
                | DataType::Date32
                | DataType::Date64
        )
}
