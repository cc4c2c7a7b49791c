//! The layers among the settings: `GIGAPI_LAYERS_<i>_…`, in ascending `<i>`.
//!
//! Without any, one layer named `default` lies at the root. What cannot be served is refused here, where the
//! variable that asks for it can still be named.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use gigapi_model::LayerName;
use gigapi_storage::{LayerKind, LayerSettings};
use url::Url;

use super::build::Reader;
use super::source::{Origin, Raw};
use super::table::{Descriptor, LAYER_PARTS};
use super::values::{self, Parsed};

/// The name of a part of a layer, as people write it.
pub(crate) fn part_name(index: usize, part: &str) -> String {
    format!("GIGAPI_LAYERS_{index}_{part}")
}

struct Part {
    setting: &'static Descriptor,
    raw: Raw,
}

/// Reads all layers; at least one, valid only if the reader found nothing wrong.
///
/// Where processes `share` a catalog, the first layer has to be one that all of them reach.
pub(crate) fn build(reader: &mut Reader<'_>, root: &Path, share: bool) -> Vec<LayerSettings> {
    let mut by_index: BTreeMap<usize, BTreeMap<&'static str, Raw>> = BTreeMap::new();
    for ((index, part), raw) in reader.layers() {
        by_index.entry(*index).or_default().insert(part, raw.clone());
    }
    let mut layers: Vec<LayerSettings> = Vec::new();
    for (index, parts) in &by_index {
        let Some(layer) = one(reader, *index, parts) else { continue };
        if layers.iter().any(|other| other.name == layer.name) {
            refuse(reader, *index, parts, "NAME", "names a second layer that way; each needs a name of its own");
        }
        if layers.iter().any(|other| other.url == layer.url) {
            refuse(reader, *index, parts, "URL", "is another layer's; each needs a folder of its own");
        }
        if share && layers.is_empty() && !layer.global {
            let problem = "has to be true: all processes that share the catalog write to and read from this layer";
            refuse(reader, *index, parts, "GLOBAL", problem);
        }
        layers.push(layer);
    }
    if by_index.is_empty() {
        let name = LayerName::new("default").expect("`default` is a plain word, which every name rule allows");
        layers.push(LayerSettings { global: true, ..LayerSettings::folder(name, root) });
    }
    layers
}

fn one(reader: &mut Reader<'_>, index: usize, parts: &BTreeMap<&'static str, Raw>) -> Option<LayerSettings> {
    let name = value(reader, index, parts, "NAME", |text| {
        if text.is_empty() {
            return Err("is missing".to_owned());
        }
        LayerName::new(text).map_err(|error| format!("is not a name: {error}"))
    });
    value(reader, index, parts, "TYPE", |text| match text.to_ascii_lowercase().as_str() {
        "fs" => Ok(()),
        "s3" => Err("is not in this version: only layers in folders are".to_owned()),
        _ => Err("is not a kind of layer".to_owned()),
    });
    let folder = value(reader, index, parts, "URL", folder);
    let global = value(reader, index, parts, "GLOBAL", values::boolean);
    let ttl = value(reader, index, parts, "TTL", values::duration);
    for name in ["AUTH_KEY", "AUTH_SECRET"] {
        if parts.contains_key(name) {
            let name = part_name(index, name);
            reader.warnings.push(format!("{name} has no effect: a layer in a folder needs no keys"));
        }
    }
    let url = folder?.to_string_lossy().into_owned();
    Some(LayerSettings { name: name?, kind: LayerKind::Fs, url, global: global?, ttl: ttl? })
}

/// The folder that a path or a `file://` URL means.
fn folder(text: &str) -> Parsed<PathBuf> {
    if text.is_empty() {
        return Err("is missing".to_owned());
    }
    if !text.contains("://") {
        return Ok(PathBuf::from(text));
    }
    let url = Url::parse(text).map_err(|error| format!("is not a URL: {error}"))?;
    if url.scheme() != "file" {
        return Err("is not the URL of a folder".to_owned());
    }
    url.to_file_path().map_err(|()| "names a host; a folder's URL starts with file:///".to_owned())
}

fn part(index: usize, parts: &BTreeMap<&'static str, Raw>, name: &'static str) -> Part {
    let setting = LAYER_PARTS
        .iter()
        .find(|part| part.name == name)
        .expect("parts read here are in the table, which a test proves by reading them all");
    let missing = || Raw {
        text: setting.default.to_owned(),
        origin: parts.values().next().map_or(Origin::Default, |sibling| near(sibling, index)),
    };
    Part { setting, raw: parts.get(name).cloned().unwrap_or_else(missing) }
}

/// Where a missing part would have been: beside its siblings.
fn near(sibling: &Raw, index: usize) -> Origin {
    match &sibling.origin {
        Origin::Environment(_) => Origin::Environment(part_name(index, "*")),
        other => other.clone(),
    }
}

fn value<T>(
    reader: &mut Reader<'_>,
    index: usize,
    parts: &BTreeMap<&'static str, Raw>,
    name: &'static str,
    parse: impl Fn(&str) -> Parsed<T>,
) -> Option<T> {
    let part = part(index, parts, name);
    match parse(&part.raw.text) {
        Ok(value) => Some(value),
        Err(problem) => {
            reader.refuse_as(part_name(index, name), part.setting, &part.raw, problem);
            None
        }
    }
}

fn refuse(
    reader: &mut Reader<'_>,
    index: usize,
    parts: &BTreeMap<&'static str, Raw>,
    name: &'static str,
    problem: &str,
) {
    let part = part(index, parts, name);
    reader.refuse_as(part_name(index, name), part.setting, &part.raw, problem);
}
