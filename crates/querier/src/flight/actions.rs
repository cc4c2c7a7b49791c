//! Actions: what a client does besides asking for rows.

use arrow_flight::sql::{
    ActionClosePreparedStatementRequest, ActionCreatePreparedStatementRequest, Any, Command, DoPutUpdateResult,
    ProstMessageExt,
};
use arrow_flight::{Action, ActionType};
use prost::Message;
use tonic::metadata::AsciiMetadataValue;

use super::asked;
use super::caller::Caller;
use super::handle::Handle;
use super::prepared::Prepared;
use super::refusal::{Refusal, Result};
use super::session;
use crate::{Querier, dialect};

/// The actions that there are, and what each does.
pub(super) const ACTIONS: [(&str, &str); 5] = [
    (
        "CreatePreparedStatement",
        "Plans a statement. Takes an ActionCreatePreparedStatementRequest, gives an ActionCreatePreparedStatementResult.",
    ),
    ("ClosePreparedStatement", "Forgets a statement. Takes an ActionClosePreparedStatementRequest, gives nothing."),
    (
        "SetSessionOptions",
        "Sets catalog and schema. Takes a SetSessionOptionsRequest, gives a SetSessionOptionsResult.",
    ),
    ("GetSessionOptions", "Tells them. Takes a GetSessionOptionsRequest, gives a GetSessionOptionsResult."),
    ("CloseSession", "Forgets them. Takes a CloseSessionRequest, gives a CloseSessionResult."),
];

/// What an action answers.
pub(super) struct Done {
    /// The only result; some have none.
    pub(super) body: Option<Vec<u8>>,
    pub(super) cookie: Option<AsciiMetadataValue>,
}

/// Does it.
pub(super) async fn act(querier: &Querier, caller: &Caller, prepared: &Prepared, action: Action) -> Result<Done> {
    let result = |body| Done { body: Some(body), cookie: None };
    match action.r#type.as_str() {
        "CreatePreparedStatement" => {
            let request: ActionCreatePreparedStatementRequest = unpacked(&action)?;
            let created = prepared.create(querier, caller, request).await?;
            Ok(result(created.as_any().encode_to_vec()))
        }
        "ClosePreparedStatement" => {
            let request: ActionClosePreparedStatementRequest = unpacked(&action)?;
            prepared.close(&request);
            Ok(Done { body: None, cookie: None })
        }
        "SetSessionOptions" => {
            let (body, cookie) = session::set(querier, &action.body).await?;
            Ok(Done { body: Some(body), cookie })
        }
        "GetSessionOptions" => Ok(result(session::get(querier, caller).await?)),
        "CloseSession" => {
            let (body, cookie) = session::close();
            Ok(Done { body: Some(body), cookie: Some(cookie) })
        }
        "BeginTransaction" | "EndTransaction" | "BeginSavepoint" | "EndSavepoint" => {
            Err(Refusal::not_here("there are no transactions here: each statement reads each table at one moment"))
        }
        "CancelQuery" | "CancelFlightInfo" => {
            Err(Refusal::not_here("a query is cancelled by cancelling the call that reads its rows"))
        }
        "CreatePreparedSubstraitPlan" => Err(Refusal::not_here("Substrait plans are not run here; send SQL")),
        other => {
            let known: Vec<&str> = ACTIONS.iter().map(|(name, _)| *name).collect();
            Err(Refusal::not_here(format!("there is no action {other:?} here; there is: {}", known.join(", "))))
        }
    }
}

/// What a statement that changes something is answered. Clients send settings that they like to make this way too; those
/// that nothing has to be done for succeed, as they do in a query.
pub(super) fn update(command: &Command) -> Result<Vec<u8>> {
    let sql = match command {
        Command::CommandStatementUpdate(command) => Some(command.query.clone()),
        Command::CommandPreparedStatementUpdate(command) => {
            Some(Handle::from_bytes(&command.prepared_statement_handle)?.sql)
        }
        _ => None,
    };
    match sql.map(|sql| dialect::parse(&sql)) {
        Some(Ok(dialect::Command::Nothing)) => Ok(DoPutUpdateResult { record_count: 0 }.encode_to_vec()),
        _ => Err(asked::unknown(command)),
    }
}

/// The actions as a list.
pub(super) fn types() -> impl Iterator<Item = ActionType> {
    ACTIONS.into_iter().map(|(name, description)| ActionType { r#type: name.into(), description: description.into() })
}

fn unpacked<M: ProstMessageExt>(action: &Action) -> Result<M> {
    let unreadable = || Refusal::invalid(format!("the body of the action {} cannot be read", action.r#type));
    let any = Any::decode(&*action.body).map_err(|_| unreadable())?;
    any.unpack().ok().flatten().ok_or_else(unreadable)
}
