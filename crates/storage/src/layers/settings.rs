//! What an operator says about a layer.
//!
//! Plain data, made by whoever reads the settings; nothing here opens anything.

use std::path::{Path, PathBuf};
use std::time::Duration;

use gigapi_model::LayerName;
use url::Url;

#[cfg(doc)]
use super::S3Location;
use super::S3Settings;
use crate::{Error, Result};

/// What kind of store a layer is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LayerKind {
    /// A folder of this machine.
    Fs,
    /// A bucket that speaks S3.
    S3(S3Settings),
}

/// What an operator says about a layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerSettings {
    /// Its name.
    pub name: LayerName,
    /// What it is.
    pub kind: LayerKind,
    /// Where it is: a folder, as a path or a `file://` URL, or an S3 URL as [`S3Location`] reads it.
    pub url: String,
    /// Whether every process of the installation reaches it.
    pub global: bool,
    /// Rows whose own time is older than this leave the layer; never, if absent.
    pub ttl: Option<Duration>,
}

impl LayerSettings {
    /// A folder of this machine, not shared and without a ttl.
    pub fn folder(name: LayerName, root: &Path) -> Self {
        Self { name, kind: LayerKind::Fs, url: root.to_string_lossy().into_owned(), global: false, ttl: None }
    }

    /// The folder that a layer of kind `fs` is.
    pub fn root(&self) -> Result<PathBuf> {
        let refused = |reason: String| Error::Settings { layer: self.name.to_string(), reason };
        if self.url.is_empty() {
            return Err(refused("the url is empty; give a folder, as a path or as file:///path".into()));
        }
        if !self.url.contains("://") {
            return Ok(PathBuf::from(&self.url));
        }
        let url = Url::parse(&self.url).map_err(|error| refused(format!("the url cannot be read: {error}")))?;
        if url.scheme() != "file" {
            return Err(refused(format!("type fs takes a path or file:///path, not {}://", url.scheme())));
        }
        url.to_file_path().map_err(|()| refused("a file url has three slashes and no host: file:///path".into()))
    }
}
