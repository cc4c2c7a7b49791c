//! A text that must never be shown.
//!
//! Passwords, tokens and URLs that may hold them are kept in [`Secret`], whose `Debug` and `Display` print
//! a placeholder, so that no log line or error can leak one by accident. Reading the text takes a call of
//! [`Secret::expose`], which is easy to search for. Comparison takes the same time wherever texts differ.

use std::fmt;
use std::sync::Arc;

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// What is printed in place of a secret.
pub const REDACTED: &str = "[redacted]";

/// A text that is not printed.
#[derive(Clone)]
pub struct Secret(Arc<str>);

impl Secret {
    /// Hides `text`.
    pub fn new(text: impl Into<Arc<str>>) -> Self {
        Self(text.into())
    }

    /// The text itself, for the one call that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// What is kept to recognise the text without keeping it.
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(self.0.as_bytes())
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.fingerprint().matches(&other.fingerprint())
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(REDACTED)
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(REDACTED)
    }
}

/// The SHA-256 of a secret. Equal lengths make the comparison independent of the secret's own length.
#[derive(Clone, Copy)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// The fingerprint of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// Whether both stand for the same text, in constant time.
    pub fn matches(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(REDACTED)
    }
}

/// A URL without its user, password and query values; text that is no URL comes back without anything before `@`.
pub fn scrub_url(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else {
        return text.rsplit_once('@').map_or_else(|| text.to_owned(), |(_, host)| format!("{REDACTED}@{host}"));
    };
    let authority_end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, tail) = rest.split_at(authority_end);
    let authority = match authority.rsplit_once('@') {
        Some((_, host)) => format!("{REDACTED}@{host}"),
        None => authority.to_owned(),
    };
    format!("{scheme}://{authority}{}", scrub_query(tail))
}

/// Query values stay only where they are plain switches of ours.
fn scrub_query(tail: &str) -> String {
    let Some((path, query)) = tail.split_once('?') else { return tail.to_owned() };
    let pairs: Vec<String> = query
        .split('&')
        .map(|pair| match pair.split_once('=') {
            Some((key, _)) if !matches!(key, "secure" | "url-style" | "region") => format!("{key}={REDACTED}"),
            _ => pair.to_owned(),
        })
        .collect();
    format!("{path}?{}", pairs.join("&"))
}

#[cfg(test)]
mod tests;
