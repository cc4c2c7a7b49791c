//! What can be set for a table beside its columns, and for a database: how long rows are kept, how files are merged.
//!
//! A setting is a text under a known key, checked here and nowhere else, before a catalog stores it; so stores and
//! protocols carry texts, and whoever acts on them reads the typed view. A definition that was stored by a newer
//! program may hold more: what is not understood counts as not set, and is kept.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use crate::{TableDef, quantity};

/// Levels that are merged into the next one.
pub const MERGED_LEVELS: usize = 3;

const INTERVALS: [&str; MERGED_LEVELS] = ["merge.level1.interval", "merge.level2.interval", "merge.level3.interval"];
const BYTES_MAX: [&str; MERGED_LEVELS] = ["merge.level1.bytes_max", "merge.level2.bytes_max", "merge.level3.bytes_max"];
const ENABLED: &str = "merge.enabled";

const TAKES_DURATION: &str = "a duration above zero, as 500ms, 30s, 10m, 12h, 7d or 4w";
const TAKES_BYTES: &str = "a size above zero, as 1048576, 100MiB or 4GB";
const TAKES_SWITCH: &str = "true or false";

/// The shortest time that rows can be kept for.
const TTL_MIN: Duration = Duration::from_secs(1);

/// Characters of a foreign text that an error repeats.
const SHOWN_CHARS_MAX: usize = 64;

/// What a change does to one item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Edit<T> {
    /// It stays as it is.
    #[default]
    Keep,
    /// It is not set any more.
    Clear,
    /// It is set to this.
    Set(T),
}

impl<T> Edit<T> {
    /// What the item is afterwards.
    pub fn applied(self, before: Option<T>) -> Option<T> {
        match self {
            Self::Keep => before,
            Self::Clear => None,
            Self::Set(value) => Some(value),
        }
    }
}

/// A change of what is set for a table; the empty one changes nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TableSettings {
    /// How long rows are kept.
    pub ttl: Edit<Duration>,
    /// Per key its new text, or none to set it no more. Other keys stay as they are.
    pub settings: BTreeMap<String, Option<String>>,
}

/// Why a table cannot have a setting.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingError {
    /// Nothing of that name can be set.
    #[error("the table setting {key:?} is unknown; there are {}", Known)]
    Unknown {
        /// The key, or its beginning.
        key: String,
    },
    /// The text does not say what it should.
    #[error("the table setting {key} is {value:?}, which {problem}; it takes {takes}")]
    Value {
        /// The key.
        key: &'static str,
        /// The text, or its beginning.
        value: String,
        /// What is wrong with it, after "which".
        problem: String,
        /// What is allowed.
        takes: &'static str,
    },
}

/// All keys, for people.
struct Known;

impl fmt::Display for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&setting_keys().collect::<Vec<_>>().join(", "))
    }
}

/// Every key that can be set for a table.
pub fn setting_keys() -> impl Iterator<Item = &'static str> {
    [ENABLED].into_iter().chain(INTERVALS).chain(BYTES_MAX)
}

/// How long rows are kept, as people write it: a duration of at least a second, or `0` or `none` for ever. An error
/// continues "the value …".
pub fn parse_ttl(text: &str) -> quantity::Parsed<Option<Duration>> {
    if text.eq_ignore_ascii_case("none") {
        return Ok(None);
    }
    match quantity::duration(text)? {
        Some(ttl) if ttl < TTL_MIN => Err("is shorter than a second".to_owned()),
        ttl => Ok(ttl),
    }
}

/// How long a table's rows are kept: the shorter of what is set for it and for its database.
pub fn effective_ttl(table: Option<Duration>, database: Option<Duration>) -> Option<Duration> {
    match (table, database) {
        (Some(table), Some(database)) => Some(table.min(database)),
        (one, other) => one.or(other),
    }
}

/// How a table's files are merged where that differs from what the process does with all others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MergeOverrides {
    /// How often files of level 1, 2 and 3 are merged.
    pub intervals: [Option<Duration>; MERGED_LEVELS],
    /// Bytes up to which files of level 1, 2 and 3 are merged into one.
    pub bytes_max: [Option<u64>; MERGED_LEVELS],
    /// Whether the table is merged at all.
    pub enabled: Option<bool>,
}

impl MergeOverrides {
    /// What is set for the table.
    pub fn of(table: &TableDef) -> Self {
        let text = |key: &str| table.settings.get(key).map(String::as_str);
        Self {
            intervals: INTERVALS.map(|key| text(key).and_then(|text| interval(text).ok())),
            bytes_max: BYTES_MAX.map(|key| text(key).and_then(|text| quantity::bytes(text).ok())),
            enabled: text(ENABLED).and_then(|text| quantity::boolean(text).ok()),
        }
    }
}

impl TableDef {
    /// The definition with that change: itself if it is so already, else the next revision.
    ///
    /// All or nothing: one setting that is wrong refuses the whole change.
    pub fn configured(&self, change: &TableSettings) -> Result<Self, SettingError> {
        let mut changed = self.clone();
        changed.ttl = change.ttl.applied(self.ttl).filter(|ttl| !ttl.is_zero());
        for (key, value) in &change.settings {
            match value {
                Some(value) => {
                    check(key, value)?;
                    changed.settings.insert(key.clone(), value.trim().to_owned());
                }
                None => {
                    // One that this program does not know can be taken away all the same.
                    let known = changed.settings.remove(key).is_some() || setting_keys().any(|known| known == key);
                    if !known {
                        return Err(SettingError::Unknown { key: shown(key) });
                    }
                }
            }
        }
        if changed != *self {
            changed.revision += 1;
        }
        Ok(changed)
    }
}

/// Whether the setting is known and its text says what it should.
fn check(key: &str, value: &str) -> Result<(), SettingError> {
    let Some(known) = setting_keys().find(|known| *known == key) else {
        return Err(SettingError::Unknown { key: shown(key) });
    };
    let text = value.trim();
    let (read, takes) = if known == ENABLED {
        (quantity::boolean(text).map(drop), TAKES_SWITCH)
    } else if INTERVALS.contains(&known) {
        (interval(text).map(drop), TAKES_DURATION)
    } else {
        (quantity::bytes(text).map(drop), TAKES_BYTES)
    };
    read.map_err(|problem| SettingError::Value { key: known, value: shown(value), problem, takes })
}

fn interval(text: &str) -> quantity::Parsed<Duration> {
    quantity::duration(text)?.ok_or_else(|| "is zero".to_owned())
}

fn shown(text: &str) -> String {
    text.chars().take(SHOWN_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests;
