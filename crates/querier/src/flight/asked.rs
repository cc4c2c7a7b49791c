//! What a descriptor or a ticket asks for.
//!
//! Both hold a command of FlightSQL, and all that follows, the columns and the rows, follows from it. Tickets may also be
//! InfluxDB 3's JSON, which no message of protobuf can be taken for: it begins with a brace.

use arrow_flight::sql::{
    Any, Command, CommandGetDbSchemas, CommandGetSqlInfo, CommandGetTables, CommandGetXdbcTypeInfo,
};
use prost::Message;
use serde::Deserialize;

use super::caller::{Caller, query};
use super::handle::Handle;
use super::listing::Keys;
use super::prepared::Prepared;
use super::refusal::{Refusal, Result};
use crate::{Querier, QueryRequest, parameters};

/// What a call wants to read.
#[derive(Debug)]
pub(super) enum Asked {
    Statement(Statement),
    Catalogs,
    Schemas(CommandGetDbSchemas),
    Tables(CommandGetTables),
    TableTypes,
    SqlInfo(CommandGetSqlInfo),
    TypeInfo(CommandGetXdbcTypeInfo),
    Keys(Keys),
}

/// A statement, and how a ticket names it.
#[derive(Debug)]
pub(super) struct Statement {
    pub(super) request: QueryRequest,
    pub(super) handle: Handle,
}

impl Statement {
    fn of_handle(handle: Handle) -> Result<Self> {
        let parameters = handle.values()?.map(super::values::Values::into_parameters);
        let request = QueryRequest { parameters, ..query(handle.sql.clone(), handle.database.clone()) };
        Ok(Self { request, handle })
    }
}

/// What updates are answered, in all their forms.
const ONLY_READS: &str =
    "FlightSQL only reads here; send rows as line protocol to POST /api/v3/write_lp or POST /write";

/// Reads the command of a descriptor or of a ticket.
pub(super) async fn command(bytes: &[u8], caller: &Caller, querier: &Querier, prepared: &Prepared) -> Result<Asked> {
    let any = Any::decode(bytes).map_err(|_| {
        Refusal::invalid("this is neither a command of FlightSQL nor a ticket that this server gave out")
    })?;
    let name = any.type_url.rsplit(['.', '/']).next().unwrap_or_default().to_owned();
    let command = Command::try_from(any).map_err(|_| Refusal::invalid(format!("the {name} cannot be read")))?;
    Ok(match command {
        Command::CommandStatementQuery(command) => {
            if command.transaction_id.is_some() {
                return Err(Refusal::invalid("there are no transactions here; send the statement without one"));
            }
            let database = caller.database(querier, None).await?;
            Asked::Statement(Statement::of_handle(Handle::new(command.query, database))?)
        }
        Command::TicketStatementQuery(ticket) => {
            Asked::Statement(Statement::of_handle(Handle::from_bytes(&ticket.statement_handle)?)?)
        }
        Command::CommandPreparedStatementQuery(command) => {
            let handle = Handle::from_bytes(&command.prepared_statement_handle)?;
            Asked::Statement(Statement::of_handle(prepared.completed(handle)?)?)
        }
        Command::CommandGetCatalogs(_) => Asked::Catalogs,
        Command::CommandGetDbSchemas(command) => Asked::Schemas(command),
        Command::CommandGetTables(command) => Asked::Tables(command),
        Command::CommandGetTableTypes(_) => Asked::TableTypes,
        Command::CommandGetSqlInfo(command) => Asked::SqlInfo(command),
        Command::CommandGetXdbcTypeInfo(command) => Asked::TypeInfo(command),
        Command::CommandGetPrimaryKeys(_) => Asked::Keys(Keys::Primary),
        Command::CommandGetExportedKeys(_)
        | Command::CommandGetImportedKeys(_)
        | Command::CommandGetCrossReference(_) => Asked::Keys(Keys::Foreign),
        other => return Err(unknown(&other)),
    })
}

/// Reads a ticket.
pub(super) async fn ticket(bytes: &[u8], caller: &Caller, querier: &Querier, prepared: &Prepared) -> Result<Asked> {
    let first = bytes.iter().find(|byte| !byte.is_ascii_whitespace());
    match first {
        Some(b'{') => json(bytes, caller, querier).await,
        _ => command(bytes, caller, querier, prepared).await,
    }
}

/// Why a command is not answered.
pub(super) fn unknown(command: &Command) -> Refusal {
    match command {
        Command::CommandStatementUpdate(_)
        | Command::CommandPreparedStatementUpdate(_)
        | Command::CommandStatementIngest(_) => Refusal::not_here(ONLY_READS),
        Command::CommandStatementSubstraitPlan(_) => Refusal::not_here("Substrait plans are not run here; send SQL"),
        other => Refusal::not_here(format!("there is no command {:?} here", other.type_url())),
    }
}

/// InfluxDB 3's ticket.
#[derive(Deserialize)]
struct JsonTicket {
    #[serde(alias = "namespace_name", alias = "db")]
    database: Option<String>,
    sql_query: String,
    #[serde(default)]
    query_type: Option<String>,
    #[serde(default)]
    params: serde_json::Value,
}

async fn json(bytes: &[u8], caller: &Caller, querier: &Querier) -> Result<Asked> {
    let ticket: JsonTicket = serde_json::from_slice(bytes)
        .map_err(|error| Refusal::invalid(format!("the ticket is not one of InfluxDB 3: {error}")))?;
    match ticket.query_type.as_deref().map(str::to_ascii_lowercase).as_deref() {
        None | Some("" | "sql") => {}
        Some("influxql") => {
            return Err(Refusal::invalid("InfluxQL is not part of this version; send SQL, with query_type sql"));
        }
        Some(other) => return Err(Refusal::invalid(format!("query_type {other:?} is unknown; use sql"))),
    }
    let database = caller.database(querier, ticket.database.as_deref().filter(|name| !name.is_empty())).await?;
    let mut statement = Statement::of_handle(Handle::new(ticket.sql_query, database))?;
    statement.request.parameters = parameters::from_json(ticket.params)?;
    Ok(Asked::Statement(statement))
}
