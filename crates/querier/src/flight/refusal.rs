//! Why a call was not answered, as gRPC says it.
//!
//! Which code a kind of error has, what a message says and what it hides is decided where HTTP decides it.

use gigapi_service::http::RequestId;
use gigapi_service::{ApiError, grpc};
use tonic::{Code, Status};

use crate::Error;

/// Bytes of a message as it travels: in a header, of which clients take 8 KiB in all.
const MESSAGE_BYTES_MAX: usize = 4000;

/// Why a call was not answered.
#[derive(Debug)]
pub(super) enum Refusal {
    /// It failed, or was wrong.
    Failed(ApiError),
    /// It asks for something that this server does not do.
    NotHere(String),
}

pub(super) type Result<T> = std::result::Result<T, Refusal>;

impl Refusal {
    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self::Failed(ApiError::invalid(message))
    }

    pub(super) fn not_here(message: impl Into<String>) -> Self {
        Self::NotHere(message.into())
    }

    /// As the call's end. Logs what is not sent.
    pub(super) fn status(&self, id: &RequestId) -> Status {
        match self {
            Self::NotHere(message) => Status::unimplemented(message),
            Self::Failed(error) => {
                error.log(id);
                let code = Code::from_i32(grpc::code(error.kind()));
                Status::new(code, shortened(error.public_message(id)))
            }
        }
    }
}

/// The message, cut where it would become too long. What is not plain takes three bytes for each of its own.
fn shortened(message: String) -> String {
    let mut sent = 0;
    let end = message.char_indices().find(|(_, character)| {
        let plain = character.is_ascii_graphic() || *character == ' ';
        sent += if plain { 1 } else { 3 * character.len_utf8() };
        sent > MESSAGE_BYTES_MAX
    });
    match end {
        Some((end, _)) => format!("{}…", &message[..end]),
        None => message,
    }
}

impl From<ApiError> for Refusal {
    fn from(error: ApiError) -> Self {
        Self::Failed(error)
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::Failed(error.into())
    }
}
