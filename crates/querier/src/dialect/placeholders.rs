//! Places for values in a statement.
//!
//! `?` has no number of its own, and the engine would take all of them for the same. Here each becomes `$1`, `$2` and so
//! on, in the order in which they stand in the text: a walk of the syntax tree meets them in another one.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{Value, ValueWithSpan, Visitor, VisitorMut};
use datafusion::sql::sqlparser::tokenizer::Location;

use super::Query;
use crate::{Error, Result};

const UNNUMBERED: &str = "?";

/// Gives every `?` its number.
pub(crate) fn number_placeholders(query: &mut Query) -> Result<()> {
    let mut found = Found::default();
    query.visit(&mut found)?;
    if found.unnumbered.is_empty() {
        return Ok(());
    }
    if found.numbered {
        return Err(Error::invalid("a statement has either ? or $1, $2, … for its values, not both"));
    }
    let places = found.unnumbered.into_keys().zip(1..).collect();
    query.visit_mut(&mut Number { places })
}

#[derive(Default)]
struct Found {
    /// Where they stand.
    unnumbered: BTreeMap<(u64, u64), ()>,
    numbered: bool,
}

impl Visitor for Found {
    type Break = Error;

    fn pre_visit_value(&mut self, value: &ValueWithSpan) -> ControlFlow<Error> {
        match &value.value {
            Value::Placeholder(name) if name == UNNUMBERED => {
                self.unnumbered.insert(place(value.span.start), ());
            }
            Value::Placeholder(name) => {
                self.numbered |= name.strip_prefix('$').is_some_and(|rest| rest.parse::<usize>().is_ok());
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

struct Number {
    places: BTreeMap<(u64, u64), usize>,
}

impl VisitorMut for Number {
    type Break = Error;

    fn pre_visit_value(&mut self, value: &mut ValueWithSpan) -> ControlFlow<Error> {
        if let Value::Placeholder(name) = &mut value.value
            && name == UNNUMBERED
            && let Some(number) = self.places.get(&place(value.span.start))
        {
            *name = format!("${number}");
        }
        ControlFlow::Continue(())
    }
}

fn place(location: Location) -> (u64, u64) {
    (location.line, location.column)
}

#[cfg(test)]
mod tests;
