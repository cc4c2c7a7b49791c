//! How long removed files stay: the one setting that has to fit others.
//!
//! A query reads files of the snapshot that it began with, so a file that was removed meanwhile has to be there until
//! the query ends. Whoever sets less than that gets queries that fail, which is why the start refuses it. Tests may
//! have it, with the setting that accepts an unsafe catalog.

use std::time::Duration;

use super::build::Reader;
use super::values;

/// For clocks that differ, and for the way from the catalog to the first file.
const MARGIN: Duration = Duration::from_secs(60);

/// Where it follows the other settings it is not below this, so that a short query limit saves no safety.
const AUTO_MIN: Duration = Duration::from_secs(7 * 60);

/// Where it follows the other settings and queries have no limit.
const AUTO_UNLIMITED: Duration = Duration::from_secs(24 * 60 * 60);

/// The shortest that keeps every query's files, if queries end.
fn needed(query_timeout: Option<Duration>, snapshot_age: Duration) -> Option<Duration> {
    Some(query_timeout?.saturating_add(snapshot_age).saturating_add(MARGIN))
}

pub(super) fn build(reader: &mut Reader<'_>) -> Duration {
    let given = reader.value("GIGAPI_DELETE_GRACE_S", |text| values::auto(text, values::seconds));
    // What is wrong with these is noted where they are read for queries.
    let text = |reader: &mut Reader<'_>, name| values::seconds_or_never(&reader.raw(name).text).unwrap_or_default();
    let query_timeout = text(reader, "GIGAPI_QUERY_TIMEOUT_S");
    let snapshot_age = text(reader, "GIGAPI_SNAPSHOT_AGE_S").unwrap_or_default();
    let needed = needed(query_timeout, snapshot_age);
    let grace = given.unwrap_or(needed.map_or(AUTO_UNLIMITED, |needed| needed.max(AUTO_MIN)));
    let accepts_unsafe = values::boolean(&reader.raw("GIGAPI_METADATA_UNSAFE").text) == Ok(true);
    match needed {
        Some(needed) if grace < needed && !accepts_unsafe => {
            let (setting, raw) = (reader.descriptor("GIGAPI_DELETE_GRACE_S"), reader.raw("GIGAPI_DELETE_GRACE_S"));
            let seconds = needed.as_secs_f64();
            reader.refuse(
                setting,
                &raw,
                format!(
                    "is shorter than GIGAPI_QUERY_TIMEOUT_S and GIGAPI_SNAPSHOT_AGE_S with a minute allow, which is {seconds} seconds: queries would lose files under their hands; raise it, lower GIGAPI_QUERY_TIMEOUT_S, or accept failing queries with GIGAPI_METADATA_UNSAFE=true"
                ),
            );
        }
        None if given.is_some() => reader.warnings.push(
            "GIGAPI_QUERY_TIMEOUT_S=0 sets queries no limit: one that runs longer than GIGAPI_DELETE_GRACE_S fails where its files are deleted".to_owned(),
        ),
        _ => {}
    }
    grace
}

#[cfg(test)]
mod tests;
