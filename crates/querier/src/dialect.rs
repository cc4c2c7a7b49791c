//! From the text of a request to one command that may be planned.
//!
//! The language is the engine's with DuckDB's syntax, and what users of the original write besides. Parsing decides
//! what kind of command it is; only queries and what describes them get through, everything else is refused
//! here by kind and a second time by the engine's own options.

mod arithmetic;
mod calls;
mod coercion;
mod command;
mod duckdb_keywords;
mod duckdb_names;
mod frequent;
mod functions;
mod limits;
mod names;
mod placeholders;
mod summarize;
mod syntax;
mod types;

use datafusion::sql::parser::Statement as EngineStatement;
use datafusion::sql::sqlparser::ast::{
    Ident, ObjectName, ObjectNamePart, Statement, Visit, VisitMut, Visitor, VisitorMut,
};

pub(crate) use arithmetic::Arithmetic;
use calls::call;
pub(crate) use calls::expand;
pub(crate) use coercion::TimeCoercion;
pub(crate) use command::{Command, Like, parse};
pub(crate) use duckdb_names::name_columns;
pub(crate) use functions::register;
pub(crate) use names::{Found, Names, Scope, ambiguous, unify};
pub(crate) use placeholders::number_placeholders;
pub(crate) use summarize::summarized;
pub(crate) use types::{TypeNames, duckdb_type};

use crate::{Error, Result};

/// A query, perhaps to be explained.
#[derive(Debug, Clone)]
pub(crate) struct Query {
    pub(crate) statement: EngineStatement,
    /// Whether not its rows are wanted but what they are like, column by column.
    pub(crate) summarized: bool,
}

impl Query {
    /// Walks the syntax tree of the query itself.
    pub(crate) fn visit<V: Visitor<Break = Error>>(&self, visitor: &mut V) -> Result<()> {
        match inner(&self.statement).map(|statement| statement.visit(visitor)) {
            Some(std::ops::ControlFlow::Break(error)) => Err(error),
            _ => Ok(()),
        }
    }

    /// Walks and changes the syntax tree of the query itself.
    pub(crate) fn visit_mut<V: VisitorMut<Break = Error>>(&mut self, visitor: &mut V) -> Result<()> {
        match inner_mut(&mut self.statement).map(|statement| statement.visit(visitor)) {
            Some(std::ops::ControlFlow::Break(error)) => Err(error),
            _ => Ok(()),
        }
    }
}

fn inner(statement: &EngineStatement) -> Option<&Statement> {
    match statement {
        EngineStatement::Statement(statement) => Some(statement),
        EngineStatement::Explain(explain) => inner(&explain.statement),
        _ => None,
    }
}

fn inner_mut(statement: &mut EngineStatement) -> Option<&mut Statement> {
    match statement {
        EngineStatement::Statement(statement) => Some(statement),
        EngineStatement::Explain(explain) => inner_mut(&mut explain.statement),
        _ => None,
    }
}

/// A table's name as it was written.
pub(crate) type Name = ObjectName;

/// The parts of a name.
pub(crate) fn name_parts(name: &ObjectName) -> Result<Vec<String>> {
    let part = |part: &ObjectNamePart| part.as_ident().map(|ident| ident.value.clone());
    let parts: Option<Vec<String>> = name.0.iter().map(part).collect();
    parts.ok_or_else(|| Error::invalid(format!("{name} is not a name")))
}

fn flow(result: Result<()>) -> std::ops::ControlFlow<Error> {
    match result {
        Ok(()) => std::ops::ControlFlow::Continue(()),
        Err(error) => std::ops::ControlFlow::Break(error),
    }
}

/// A name that the engine takes literally.
fn quoted_name(name: &str) -> Ident {
    Ident::with_quote('"', name)
}

#[cfg(test)]
mod tests;
