//! Names that are nearly right, and names that look like ours but are not.
//!
//! Kept apart because it deals with mistakes only: nothing here decides a value.

use super::table::{Descriptor, LAYER_PARTS, SETTINGS, file_key};

/// The layer index and part that a name stands for, as `GIGAPI_LAYERS_0_URL` or `layers_0_url`.
pub(crate) fn layer_part(name: &str) -> Option<(usize, &'static Descriptor)> {
    let key = file_key(&name.to_ascii_uppercase());
    let rest = key.strip_prefix("layers_").or_else(|| key.strip_prefix("layer_"))?;
    let (index, part) = rest.split_once('_')?;
    let part = LAYER_PARTS.iter().find(|known| known.name.eq_ignore_ascii_case(part))?;
    Some((index.parse().ok()?, part))
}

/// The setting whose name is nearest to `name`, if it is near enough to be a slip.
pub(crate) fn nearest(name: &str) -> Option<String> {
    let wanted = file_key(&name.to_ascii_uppercase());
    if wanted.starts_with("layer") {
        return Some("GIGAPI_LAYERS_<i>_NAME, _TYPE, _URL, _GLOBAL, _TTL, _AUTH_KEY or _AUTH_SECRET".to_owned());
    }
    let all = SETTINGS.iter().flat_map(|setting| {
        std::iter::once(&setting.name).chain(setting.aliases).map(|known| (*known, file_key(known)))
    });
    let (known, slips) = all.map(|(known, key)| (known, distance(&wanted, &key))).min_by_key(|(_, slips)| *slips)?;
    (slips <= 1 + wanted.len() / 4).then(|| known.to_owned())
}

/// Edits between two short texts: insertions, deletions and replacements of one byte.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.bytes().enumerate() {
            let replaced = diagonal + usize::from(from != to);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

/// Whether Kubernetes made the variable: it describes each service of a namespace to every pod, and a service
/// called `gigapi` or `gigapi-writer` gives names that start as ours do.
pub(crate) fn is_service_link(name: &str, value: &str) -> bool {
    name.ends_with("_SERVICE_HOST")
        || name.contains("_SERVICE_PORT")
        || (name.contains("_PORT") && (value.starts_with("tcp://") || value.starts_with("udp://")))
        || ["_TCP_PROTO", "_TCP_PORT", "_TCP_ADDR", "_UDP_PROTO", "_UDP_PORT", "_UDP_ADDR"]
            .iter()
            .any(|end| name.ends_with(end))
}
