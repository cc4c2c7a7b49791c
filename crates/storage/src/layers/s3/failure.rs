//! Errors of an S3 server in words.
//!
//! The client's errors carry the server's whole answer, which can hold the access key and the text that was
//! signed, and keep the cause of a failed connection for their chain. What leaves here says the server's code and message,
//! the causes, and what to do, in one line. The kind of error stays, because callers act on it.

use std::error::Error as StdError;

use object_store::Error;

use super::NAME;

/// A failed request in words.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct S3Failure(String);

/// The same error, told in words.
pub(super) fn explained(error: Error) -> Error {
    match error {
        Error::NotFound { path, source } => {
            let told = Told::of(source.as_ref());
            // Otherwise a bucket that is not there would look like one that holds nothing.
            if told.code.as_deref() == Some("NoSuchBucket") {
                return Error::Generic { store: NAME, source: told.into() };
            }
            Error::NotFound { path, source: told.into() }
        }
        Error::AlreadyExists { path, source } => {
            Error::AlreadyExists { path, source: Told::of(source.as_ref()).into() }
        }
        Error::Precondition { path, source } => Error::Precondition { path, source: Told::of(source.as_ref()).into() },
        Error::NotModified { path, source } => Error::NotModified { path, source: Told::of(source.as_ref()).into() },
        Error::PermissionDenied { path, source } => {
            Error::PermissionDenied { path, source: Told::of(source.as_ref()).into() }
        }
        Error::Unauthenticated { path, source } => {
            Error::Unauthenticated { path, source: Told::of(source.as_ref()).into() }
        }
        Error::Generic { source, .. } => Error::Generic { store: NAME, source: Told::of(source.as_ref()).into() },
        other => other,
    }
}

/// What is to be said about a failure.
struct Told {
    text: String,
    code: Option<String>,
}

impl Told {
    fn of(source: &(dyn StdError + 'static)) -> Self {
        let mut text = String::new();
        let mut code = None;
        let mut cause = Some(source);
        while let Some(current) = cause {
            let said = current.to_string();
            let (said, found) = without_answer(&said);
            code = code.or(found);
            // Most errors repeat what they wrap.
            if !text.contains(&said) {
                text = if text.is_empty() { said } else { format!("{text}: {said}") };
            }
            cause = current.source();
        }
        if let Some(advice) = code.as_deref().and_then(advice) {
            text = format!("{text}; {advice}");
        }
        Self { text, code }
    }
}

impl From<Told> for Box<dyn StdError + Send + Sync> {
    fn from(told: Told) -> Self {
        Box::new(S3Failure(told.text))
    }
}

/// The text with the XML of the server's answer replaced by its code and message, and the code.
fn without_answer(text: &str) -> (String, Option<String>) {
    let Some(start) = text.find("<?xml").or_else(|| text.find("<Error")) else {
        return (text.trim_end().to_owned(), None);
    };
    let (head, answer) = text.split_at(start);
    let code = element(answer, "Code");
    let told = match (&code, element(answer, "Message")) {
        (Some(code), Some(message)) => format!("{code}: {message}"),
        (Some(code), None) => code.clone(),
        (None, Some(message)) => message,
        (None, None) => "the answer names no reason".to_owned(),
    };
    (format!("{head}{told}"), code)
}

fn element(answer: &str, name: &str) -> Option<String> {
    let (_, rest) = answer.split_once(&format!("<{name}>"))?;
    let (text, _) = rest.split_once(&format!("</{name}>"))?;
    Some(text.trim().to_owned())
}

/// What to do about it.
fn advice(code: &str) -> Option<&'static str> {
    Some(match code {
        "InvalidAccessKeyId" | "SignatureDoesNotMatch" => "check the layer's AUTH_KEY and AUTH_SECRET",
        "AccessDenied" | "AllAccessDisabled" => {
            "give the layer's keys the right to read, write, list and delete below its prefix"
        }
        "ExpiredToken" | "InvalidToken" => "renew the environment's credentials",
        "NoSuchBucket" => "make the bucket, or correct the layer's URL",
        "AuthorizationHeaderMalformed"
        | "PermanentRedirect"
        | "TemporaryRedirect"
        | "IllegalLocationConstraintException" => "add the bucket's region to the layer's URL, as region=eu-west-1",
        "RequestTimeTooSkewed" => "set this machine's clock",
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
