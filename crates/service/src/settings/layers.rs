//! The layers among the settings: `GIGAPI_LAYERS_<i>_…`, in ascending `<i>`.
//!
//! Without any, one layer named `default` lies at the root. Where processes share a catalog, files lie on global
//! layers alone, and one local layer before them is the place of the read cache. What cannot be served is refused
//! here, where the variable that asks for it can still be named.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use gigapi_model::LayerName;
use gigapi_storage::{
    HiddenText, LayerKind, LayerSettings, OWN_FOLDER, S3Credentials, S3Location, S3Settings, S3Timing,
};
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

/// What a process knows of its layers; valid only if the reader found nothing wrong.
pub(crate) struct LayersFound {
    /// Those that files lie on; at least one.
    pub(crate) layers: Vec<LayerSettings>,
    /// Where the read cache lies.
    pub(crate) cache: PathBuf,
}

/// The folder of the read cache below a folder of the operator's.
fn cache_below(folder: &Path) -> PathBuf {
    folder.join(OWN_FOLDER).join("cache")
}

type Parts = BTreeMap<&'static str, Raw>;

/// Reads all layers. Where processes `share` a catalog, all of them have to reach every layer.
pub(crate) fn build(reader: &mut Reader<'_>, root: &Path, timing: S3Timing, share: bool) -> LayersFound {
    let mut by_index: BTreeMap<usize, Parts> = BTreeMap::new();
    for ((index, part), raw) in reader.layers() {
        by_index.entry(*index).or_default().insert(part, raw.clone());
    }
    let mut all: Vec<(usize, &Parts, LayerSettings)> = Vec::new();
    for (index, parts) in &by_index {
        let Some(layer) = one(reader, *index, parts, timing) else { continue };
        if all.iter().any(|(_, _, other)| other.name == layer.name) {
            refuse(reader, *index, parts, "NAME", "names a second layer that way; each needs a name of its own");
        }
        if all.iter().any(|(_, _, other)| is_same_place(other, &layer)) {
            refuse(reader, *index, parts, "URL", "is another layer's; each needs a place of its own");
        }
        all.push((*index, parts, layer));
    }
    if by_index.is_empty() {
        let name = LayerName::new("default").expect("`default` is a plain word, which every name rule allows");
        let layers = vec![LayerSettings { global: true, ..LayerSettings::folder(name, root) }];
        return LayersFound { layers, cache: cache_below(root) };
    }
    if share {
        return shared(reader, root, all);
    }
    let layers = all.into_iter().map(|(_, _, layer)| layer);
    LayersFound { layers: layers.collect(), cache: cache_below(root) }
}

/// Tells layers from the place of the cache.
fn shared(reader: &mut Reader<'_>, root: &Path, all: Vec<(usize, &Parts, LayerSettings)>) -> LayersFound {
    let any_global = all.iter().any(|(_, _, layer)| layer.global);
    let mut layers: Vec<LayerSettings> = Vec::new();
    let mut cache: Option<LayerSettings> = None;
    for (index, parts, layer) in all {
        if layer.global {
            layers.push(layer);
            continue;
        }
        let problem = if !any_global {
            "leaves no layer that all processes reach: set it to true, or add a layer after it that is global"
        } else if layer.kind != LayerKind::Fs {
            "makes a bucket local: a local layer is the read cache and lies in a folder; set it to true"
        } else if !layers.is_empty() {
            "makes a layer local after one that is global: only the first can be local, as the read cache"
        } else if cache.is_some() {
            "makes a second layer local: one is the read cache, and there is no use for another"
        } else {
            reader.warnings.push(format!(
                "layer {} is not global, so it holds no files: it is the place of the read cache{}",
                layer.name,
                if layer.ttl.is_some() { ", which has no use for its ttl" } else { "" }
            ));
            cache = Some(layer);
            continue;
        };
        refuse(reader, index, parts, "GLOBAL", problem);
    }
    let folder = cache.map_or_else(|| root.to_owned(), |layer| PathBuf::from(layer.url));
    LayersFound { layers, cache: cache_below(&folder) }
}

fn is_same_place(one: &LayerSettings, other: &LayerSettings) -> bool {
    match (&one.kind, &other.kind) {
        (LayerKind::Fs, LayerKind::Fs) => one.url == other.url,
        (LayerKind::S3(_), LayerKind::S3(_)) => {
            let place = |layer: &LayerSettings| {
                let S3Location { endpoint, bucket, prefix, .. } = S3Location::parse(&layer.url).ok()?;
                Some((endpoint.to_ascii_lowercase(), bucket, prefix))
            };
            place(one) == place(other)
        }
        _ => false,
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Folder,
    Bucket,
}

fn one(reader: &mut Reader<'_>, index: usize, parts: &Parts, timing: S3Timing) -> Option<LayerSettings> {
    let name = value(reader, index, parts, "NAME", |text| {
        if text.is_empty() {
            return Err("is missing".to_owned());
        }
        LayerName::new(text).map_err(|error| format!("is not a name: {error}"))
    });
    let kind = value(reader, index, parts, "TYPE", |text| match text.to_ascii_lowercase().as_str() {
        "fs" => Ok(Kind::Folder),
        "s3" => Ok(Kind::Bucket),
        _ => Err("is not a kind of layer".to_owned()),
    });
    let global = value(reader, index, parts, "GLOBAL", values::boolean);
    let ttl = value(reader, index, parts, "TTL", values::duration);
    let (url, kind) = match kind? {
        Kind::Folder => {
            for name in ["AUTH_KEY", "AUTH_SECRET"] {
                if parts.contains_key(name) {
                    let name = part_name(index, name);
                    reader.warnings.push(format!("{name} has no effect: a layer in a folder needs no keys"));
                }
            }
            let folder = value(reader, index, parts, "URL", folder);
            (folder?.to_string_lossy().into_owned(), LayerKind::Fs)
        }
        Kind::Bucket => {
            let url = value(reader, index, parts, "URL", bucket);
            let credentials = credentials(reader, index, parts);
            let region = reader.gathered.aws_region.clone();
            (url?, LayerKind::S3(S3Settings { credentials: credentials?, region, timing }))
        }
    };
    Some(LayerSettings { name: name?, kind, url, global: global?, ttl: ttl? })
}

/// The layer's own keys, or whatever the environment offers.
fn credentials(reader: &mut Reader<'_>, index: usize, parts: &Parts) -> Option<S3Credentials> {
    let hidden = |raw: &Raw| HiddenText::new(raw.text.as_str());
    match (parts.get("AUTH_KEY"), parts.get("AUTH_SECRET")) {
        (Some(key), Some(secret)) => Some(S3Credentials::Keys { key: hidden(key), secret: hidden(secret) }),
        (Some(_), None) => {
            refuse(reader, index, parts, "AUTH_SECRET", "is missing although the layer's AUTH_KEY is given");
            None
        }
        (None, Some(_)) => {
            refuse(reader, index, parts, "AUTH_KEY", "is missing although the layer's AUTH_SECRET is given");
            None
        }
        (None, None) => {
            let environment = reader.gathered.aws.clone();
            if let Some((given, missing)) = environment.half_of_a_pair() {
                let part = part(index, parts, "AUTH_KEY");
                let raw = Raw { text: String::new(), origin: Origin::Environment(given.to_owned()) };
                let problem = format!("is missing although {given} is given, and the layer has no keys of its own");
                reader.refuse_as(missing.to_owned(), part.setting, &raw, problem);
                return None;
            }
            Some(S3Credentials::Environment(environment))
        }
    }
}

fn bucket(text: &str) -> Parsed<String> {
    if text.is_empty() {
        return Err("is missing".to_owned());
    }
    S3Location::parse(text).map(|_| text.to_owned())
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
    match url.scheme() {
        "file" => url.to_file_path().map_err(|()| "names a host; a folder's URL starts with file:///".to_owned()),
        "s3" => Err("is the URL of a bucket: the layer's TYPE has to be s3".to_owned()),
        _ => Err("is not the URL of a folder".to_owned()),
    }
}

fn part(index: usize, parts: &Parts, name: &'static str) -> Part {
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
    parts: &Parts,
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

fn refuse(reader: &mut Reader<'_>, index: usize, parts: &Parts, name: &'static str, problem: &str) {
    let part = part(index, parts, name);
    reader.refuse_as(part_name(index, name), part.setting, &part.raw, problem);
}
