//! From the text of a request to one command that may be planned.
//!
//! The language is the engine's with DuckDB's syntax, and what users of the original write besides. Parsing decides
//! what kind of command it is; only queries and what describes them get through, everything else is refused
//! here by kind and a second time by the engine's own options.

mod coercion;
mod duckdb_keywords;
mod duckdb_names;
mod functions;
mod names;
mod placeholders;
mod types;

use datafusion::sql::parser::{DFParserBuilder, Statement as EngineStatement};
use datafusion::sql::sqlparser::ast::{
    DescribeAlias, Ident, ObjectName, ObjectNamePart, SetExpr, ShowStatementOptions, Statement, Visit, VisitMut,
    Visitor, VisitorMut,
};
use datafusion::sql::sqlparser::dialect::DuckDbDialect;

pub(crate) use coercion::TimeCoercion;
pub(crate) use duckdb_names::name_columns;
pub(crate) use functions::register;
pub(crate) use names::{Found, Names, Scope, ambiguous, unify};
pub(crate) use placeholders::number_placeholders;
pub(crate) use types::{TypeNames, duckdb_type};

use crate::{Error, Result};

/// How deep expressions may nest; deeper ones are refused by the parser.
const NESTING_MAX: usize = 128;

/// What a request asks for.
#[derive(Debug)]
pub(crate) enum Command {
    /// An empty statement, which some clients send to test the connection.
    Nothing,
    /// Plan and run it.
    Query(Box<Query>),
    /// The databases.
    ShowDatabases,
    /// The tables of that database, or of the request's.
    ShowTables(Option<String>),
    /// The columns of a table.
    DescribeTable(ObjectName),
    /// The columns of a query's answer.
    DescribeQuery(Box<Query>),
}

/// A query, perhaps to be explained.
#[derive(Debug, Clone)]
pub(crate) struct Query {
    pub(crate) statement: EngineStatement,
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

/// Reads one command.
pub(crate) fn parse(sql: &str) -> Result<Command> {
    let text = sql.trim().trim_end_matches([';', ' ', '\n', '\r', '\t']);
    if text.is_empty() {
        return Ok(Command::Nothing);
    }
    let mut parser =
        DFParserBuilder::new(text).with_dialect(&DuckDbDialect {}).with_recursion_limit(NESTING_MAX).build()?;
    let mut statements = parser.parse_statements()?;
    let Some(statement) = statements.pop_front() else { return Ok(Command::Nothing) };
    if !statements.is_empty() {
        return Err(Error::Refused {
            what: "more than one statement".to_owned(),
            instead: "send one statement in a request",
        });
    }
    command(statement)
}

fn command(statement: EngineStatement) -> Result<Command> {
    match statement {
        EngineStatement::Statement(statement) => plain(*statement),
        EngineStatement::Explain(explain) => match command(*explain.statement.clone())? {
            Command::Query(_) => Ok(Command::Query(Box::new(Query { statement: EngineStatement::Explain(explain) }))),
            _ => Err(Error::invalid("EXPLAIN takes a query")),
        },
        EngineStatement::CopyTo(_) => Err(refused("COPY")),
        EngineStatement::CreateExternalTable(_) => Err(refused("CREATE EXTERNAL TABLE")),
        EngineStatement::Reset(_) => Err(refused("RESET")),
    }
}

fn query(statement: Statement) -> Command {
    Command::Query(Box::new(Query { statement: EngineStatement::Statement(Box::new(statement)) }))
}

fn plain(statement: Statement) -> Result<Command> {
    match statement {
        Statement::Query(body) => match &*body.body {
            SetExpr::Insert(_) => Err(refused("INSERT")),
            SetExpr::Update(_) => Err(refused("UPDATE")),
            SetExpr::Delete(_) => Err(refused("DELETE")),
            SetExpr::Merge(_) => Err(refused("MERGE")),
            _ if !body.locks.is_empty() => Err(refused("FOR UPDATE")),
            _ => Ok(query(Statement::Query(body))),
        },
        Statement::ShowDatabases { show_options, .. } | Statement::ShowSchemas { show_options, .. } => {
            without_filter(&show_options)?;
            Ok(Command::ShowDatabases)
        }
        Statement::ShowTables { show_options, .. } => {
            without_filter(&show_options)?;
            let database = show_options.show_in.and_then(|place| place.parent_name);
            Ok(Command::ShowTables(database.map(|name| last_part(&name)).transpose()?))
        }
        Statement::ShowColumns { show_options, .. } => {
            without_filter(&show_options)?;
            match show_options.show_in.and_then(|place| place.parent_name) {
                Some(table) => Ok(Command::DescribeTable(table)),
                None => Err(Error::invalid("SHOW COLUMNS needs a table: SHOW COLUMNS FROM <table>")),
            }
        }
        Statement::ExplainTable { table_name, .. } => Ok(Command::DescribeTable(table_name)),
        Statement::Explain { describe_alias: DescribeAlias::Describe | DescribeAlias::Desc, statement, .. } => {
            match plain(*statement)? {
                Command::Query(query) => Ok(Command::DescribeQuery(query)),
                _ => Err(Error::invalid("DESCRIBE takes a table or a query")),
            }
        }
        Statement::Set(set) => set_command(&set.to_string()),
        other => Err(refused(&kind_of(&other))),
    }
}

/// Clients set their time zone and how floats are printed when they connect; both are as they wish already.
fn set_command(text: &str) -> Result<Command> {
    let text = text.to_ascii_lowercase();
    let harmless = ["set timezone = 'utc'", "set time zone 'utc'", "set time zone utc", "set timezone to 'utc'"];
    if harmless.contains(&text.as_str()) || text.starts_with("set extra_float_digits") {
        return Ok(Command::Nothing);
    }
    Err(Error::Refused { what: "SET".to_owned(), instead: "settings are made by the server's operator" })
}

fn kind_of(statement: &Statement) -> String {
    let text = statement.to_string();
    text.split_whitespace().next().unwrap_or("this statement").to_ascii_uppercase()
}

fn refused(what: &str) -> Error {
    Error::Refused { what: what.to_owned(), instead: "this endpoint reads, with SELECT, SHOW, DESCRIBE and EXPLAIN" }
}

fn without_filter(options: &ShowStatementOptions) -> Result<()> {
    let plain = options.starts_with.is_none() && options.limit.is_none() && options.filter_position.is_none();
    match plain {
        true => Ok(()),
        false => Err(Error::invalid("SHOW takes no filter; select from information_schema instead")),
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

fn last_part(name: &ObjectName) -> Result<String> {
    let part = name.0.last().and_then(|part| part.as_ident());
    part.map(|ident| ident.value.clone()).ok_or_else(|| Error::invalid(format!("{name} is not a name")))
}

/// A name that the engine takes literally.
fn quoted_name(name: &str) -> Ident {
    Ident::with_quote('"', name)
}

#[cfg(test)]
mod tests;
