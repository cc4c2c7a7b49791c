//! Names of databases, tables, columns and layers.
//!
//! A name is checked once, on its way in, and is safe ever after: it can be a folder of every store
//! (through [`DatabaseName::path_segment`] and its siblings), a key, or a label. Nothing outside this
//! file decides what a name may hold, and no name is ever pasted into a path or a statement.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde::{Deserialize, Serialize};

/// The name of every table's time column.
pub const TIME_COLUMN: &str = "time";

/// What is written as it is in a path segment; everything else is percent-encoded.
const PATH_SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'_').remove(b'-').remove(b'.');

/// A path segment of a common file system holds 255 bytes; ours stay below it.
const PATH_SEGMENT_BYTES_MAX: usize = 240;

/// InfluxDB's limit for names of columns is 64 KiB in a point's key; ours keeps catalog records small.
const COLUMN_BYTES_MAX: usize = 255;

/// Why a text is not a name: says which kind of name, the text, and the rule that it breaks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} name {text:?} {rule}")]
pub struct NameError {
    what: &'static str,
    text: String,
    rule: &'static str,
}

impl NameError {
    fn new(what: &'static str, text: &str, rule: &'static str) -> Self {
        let mut shown: String = text.chars().take(64).collect();
        if shown.len() < text.len() {
            shown.push('…');
        }
        Self { what, text: shown, rule }
    }
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $check:path) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks `text` and makes it a name.
            pub fn new(text: &str) -> Result<Self, NameError> {
                $check(text)?;
                Ok(Self(Arc::from(text)))
            }

            /// The name as it was given.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// The name as one segment of an object path; [`Self::from_path_segment`] reverses it.
            pub fn path_segment(&self) -> String {
                encode_segment(&self.0)
            }

            /// Reads back what [`Self::path_segment`] wrote; other spellings are refused.
            pub fn from_path_segment(segment: &str) -> Option<Self> {
                let text = percent_decode_str(segment).decode_utf8().ok()?;
                let name = Self::new(&text).ok()?;
                (name.path_segment() == segment).then_some(name)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &*self.0)
            }
        }

        impl FromStr for $name {
            type Err = NameError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Self::new(text)
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                Self::new(&text)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0.to_string()
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    };
}

name!(
    /// A database: 1 to 240 bytes as a path segment; no `/`, `\`, control characters or leading `_`;
    /// not `.` or `..`.
    DatabaseName,
    check_database
);
name!(
    /// A table, which is a line-protocol measurement: 1 to 240 bytes as a path segment, no control
    /// characters, not `.` or `..`. Slashes, spaces and dots are part of the name.
    TableName,
    check_table
);
name!(
    /// A column: 1 to 255 bytes, no control characters. Case counts.
    ColumnName,
    check_column
);
name!(
    /// A storage layer: 1 to 64 of `a-z A-Z 0-9 _ -`.
    LayerName,
    check_layer
);

fn encode_segment(text: &str) -> String {
    let encoded = utf8_percent_encode(text, PATH_SEGMENT).to_string();
    match encoded.strip_prefix('.') {
        Some(rest) => format!("%2E{rest}"),
        None => encoded,
    }
}

fn check_segment(what: &'static str, text: &str) -> Result<(), NameError> {
    if text.is_empty() {
        return Err(NameError::new(what, text, "is empty; give it at least one character"));
    }
    if text.chars().any(char::is_control) {
        return Err(NameError::new(what, text, "holds a control character; remove it"));
    }
    if text == "." || text == ".." {
        return Err(NameError::new(what, text, "is a path; use another name"));
    }
    if encode_segment(text).len() > PATH_SEGMENT_BYTES_MAX {
        return Err(NameError::new(what, text, "is longer than 240 bytes when percent-encoded; shorten it"));
    }
    Ok(())
}

fn check_database(text: &str) -> Result<(), NameError> {
    check_segment("database", text)?;
    if text.contains(['/', '\\']) {
        return Err(NameError::new("database", text, "holds a slash; use another character"));
    }
    if text.starts_with('_') {
        return Err(NameError::new(
            "database",
            text,
            "starts with `_`, which is kept for our own files; use another character",
        ));
    }
    Ok(())
}

fn check_table(text: &str) -> Result<(), NameError> {
    check_segment("table", text)
}

fn check_column(text: &str) -> Result<(), NameError> {
    if text.is_empty() {
        return Err(NameError::new("column", text, "is empty; give it at least one character"));
    }
    if text.chars().any(char::is_control) {
        return Err(NameError::new("column", text, "holds a control character; remove it"));
    }
    if text.len() > COLUMN_BYTES_MAX {
        return Err(NameError::new("column", text, "is longer than 255 bytes; shorten it"));
    }
    Ok(())
}

fn check_layer(text: &str) -> Result<(), NameError> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if text.is_empty() || text.len() > 64 || !text.chars().all(plain) {
        return Err(NameError::new("layer", text, "is not 1 to 64 of the characters a-z A-Z 0-9 _ -"));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
