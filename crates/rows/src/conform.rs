//! Where rows meet a definition: the one place that decides what a name and a type mean for a table.
//!
//! A new column becomes part of the definition before its row is stored; a value whose type differs from
//! the registered one refuses its row, as InfluxDB does. An integer sent to a float column is widened;
//! nothing else is. Rows are judged in their order, as if each had come alone: a refused row defines
//! nothing, so it cannot spoil a later one.

use std::collections::HashMap;

use gigapi_model::{ColumnName, ColumnRole, ColumnType, DefinitionError, NewColumn, TableDef};

use crate::column::{Column, Values};
use crate::draft::Draft;
use crate::part::{Part, PartField, SeriesSet};

/// A row that cannot be stored, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The row's index in the draft.
    pub row: usize,
    /// What is wrong with it and what to do.
    pub reason: String,
}

/// What a draft needs from a definition.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Resolution {
    /// Columns that the definition lacks, in order of first use.
    pub new_columns: Vec<NewColumn>,
    /// Rows that do not fit, ascending.
    pub refused: Vec<Refusal>,
}

/// A draft in the terms of its table.
#[derive(Debug)]
pub struct Conformed {
    /// The rows that fit.
    pub part: Part,
    /// The rows that do not, ascending.
    pub refused: Vec<Refusal>,
}

type Meaning = (ColumnRole, ColumnType);

/// Judges every row against the definition; `None` is a table that does not exist.
pub fn resolve(draft: &Draft, table: Option<&TableDef>) -> Resolution {
    match resolve_uniform(draft, table) {
        Some(new_columns) => Resolution { new_columns, refused: Vec::new() },
        None => resolve_by_row(draft, table),
    }
}

fn registered(table: Option<&TableDef>, name: &str) -> Option<Meaning> {
    table.and_then(|table| table.column(name)).map(|column| (column.role, column.column_type))
}

/// Whether a value of meaning `wanted` may be stored in a column of meaning `have`.
fn fits(wanted: Meaning, have: Meaning) -> bool {
    wanted == have
        || (wanted == (ColumnRole::Field, ColumnType::Integer) && have == (ColumnRole::Field, ColumnType::Float))
}

/// The usual case, where each name has one meaning in the whole draft and it fits: no row is looked at.
fn resolve_uniform(draft: &Draft, table: Option<&TableDef>) -> Option<Vec<NewColumn>> {
    let mut new: Vec<NewColumn> = Vec::new();
    let tags = draft.tag_names.iter().map(|name| (name, (ColumnRole::Tag, ColumnType::String)));
    let fields = draft.fields.iter().map(|field| (&field.name, (ColumnRole::Field, field.column.column_type())));
    for (name, wanted) in tags.chain(fields) {
        match registered(table, name) {
            Some(have) if fits(wanted, have) => {}
            Some(_) => return None,
            None => {
                if new.iter().any(|column| column.name.as_str() == name) {
                    return None;
                }
                let name = ColumnName::new(name).ok()?;
                new.push(NewColumn { name, role: wanted.0, column_type: wanted.1 });
            }
        }
    }
    Some(new)
}

/// Judges row by row.
fn resolve_by_row(draft: &Draft, table: Option<&TableDef>) -> Resolution {
    let mut decided: HashMap<&str, Meaning> = HashMap::new();
    let mut resolution = Resolution::default();
    let mut fresh: Vec<(&str, Meaning)> = Vec::new();
    for row in 0..draft.rows() {
        fresh.clear();
        let series = draft.series_of_row.get(row).map_or(0, |&series| series as usize);
        let tags = draft
            .series(series)
            .iter()
            .filter_map(|pair| draft.tag_names.get(usize::from(pair.name)))
            .map(|name| (name.as_str(), (ColumnRole::Tag, ColumnType::String)));
        let fields = draft
            .fields
            .iter()
            .filter(|field| field.column.is_valid(row))
            .map(|field| (field.name.as_str(), (ColumnRole::Field, field.column.column_type())));
        let mut verdict = Ok(());
        for (name, wanted) in tags.chain(fields) {
            let known = registered(table, name)
                .or_else(|| decided.get(name).copied())
                .or_else(|| fresh.iter().find(|(fresh_name, _)| *fresh_name == name).map(|(_, meaning)| *meaning));
            verdict = match known {
                Some(have) if fits(wanted, have) => Ok(()),
                Some(have) => Err(conflict(name, wanted, have)),
                None => ColumnName::new(name).map(|_| fresh.push((name, wanted))).map_err(|error| error.to_string()),
            };
            if verdict.is_err() {
                break;
            }
        }
        match verdict {
            Err(reason) => resolution.refused.push(Refusal { row, reason }),
            Ok(()) => {
                for &(name, (role, column_type)) in &fresh {
                    if let Ok(valid) = ColumnName::new(name) {
                        decided.insert(name, (role, column_type));
                        resolution.new_columns.push(NewColumn { name: valid, column_type, role });
                    }
                }
            }
        }
    }
    resolution
}

fn conflict(name: &str, wanted: Meaning, have: Meaning) -> String {
    match ColumnName::new(name) {
        Ok(name) => DefinitionError::Conflict {
            name,
            wanted_type: wanted.1,
            wanted_role: wanted.0,
            registered_type: have.1,
            registered_role: have.0,
        }
        .to_string(),
        Err(error) => error.to_string(),
    }
}

/// Puts a draft into the terms of its table. Where the definition lacks columns, they come back as the
/// error: extend the definition first.
pub fn conform(draft: Draft, table: &TableDef) -> Result<Conformed, Vec<NewColumn>> {
    let Resolution { new_columns, refused } = resolve(&draft, Some(table));
    if !new_columns.is_empty() {
        return Err(new_columns);
    }
    let series = canonical_series(&draft, table);
    let rows = draft.rows();
    let Draft { fields, series_of_row, time, .. } = draft;
    let mut columns: Vec<PartField> = Vec::with_capacity(fields.len());
    for field in fields {
        let Some(target) = table.column(&field.name) else { continue };
        let mut column = match (target.column_type, field.column.column_type()) {
            (have, wanted) if have == wanted => field.column,
            (ColumnType::Float, ColumnType::Integer) => widen(&field.column),
            // Every row of this column was refused.
            _ => continue,
        };
        column.pad(rows);
        match columns.iter_mut().find(|present| present.field_id == target.field_id) {
            Some(present) => present.column = merge(&present.column, &column),
            None => columns.push(PartField { field_id: target.field_id, column }),
        }
    }
    let mut part = Part::new(series, series_of_row, time, columns);
    if !refused.is_empty() {
        let mut refused_rows = refused.iter().map(|refusal| refusal.row).peekable();
        let keep: Vec<usize> = (0..rows).filter(|&row| refused_rows.next_if_eq(&row).is_none()).collect();
        part = part.filter(&keep);
    }
    Ok(Conformed { part, refused })
}

/// The draft's series by field id. A tag that is no tag of the table belongs to refused rows alone.
fn canonical_series(draft: &Draft, table: &TableDef) -> SeriesSet {
    let field_ids: Vec<Option<u32>> = draft
        .tag_names
        .iter()
        .map(|name| table.column(name).filter(|column| column.role == ColumnRole::Tag).map(|column| column.field_id))
        .collect();
    let mut set = SeriesSet::default();
    let mut tags: Vec<(u32, &[u8])> = Vec::new();
    for series in 0..draft.series_count() {
        tags.clear();
        for &pair in draft.series(series) {
            if let Some(field_id) = field_ids.get(usize::from(pair.name)).copied().flatten() {
                tags.push((field_id, draft.tag_value(pair)));
            }
        }
        tags.sort_unstable_by_key(|&(field_id, _)| field_id);
        set.push(&tags);
    }
    set
}

#[expect(clippy::cast_precision_loss, reason = "widening an integer to a float is what the column's type asks for")]
fn widen(column: &Column) -> Column {
    let values = match column.values() {
        Values::Integer(values) => values.iter().map(|&value| value as f64).collect(),
        _ => Vec::new(),
    };
    Column::from_parts(Values::Float(values), column.nulls().map(|nulls| nulls.inner().clone()))
}

/// Two columns of one name and type, at most one of which has a value in a row.
fn merge(first: &Column, second: &Column) -> Column {
    let mut merged = Column::new(Values::Float(Vec::new()));
    let (Values::Float(a), Values::Float(b)) = (first.values(), second.values()) else {
        return Column::from_parts(first.values().clone(), first.nulls().map(|nulls| nulls.inner().clone()));
    };
    for row in 0..first.len() {
        if first.is_valid(row) {
            merged.set_float(row, a[row]);
        } else if second.is_valid(row) {
            merged.set_float(row, b[row]);
        }
    }
    merged.pad(first.len());
    merged
}

#[cfg(test)]
mod tests;
