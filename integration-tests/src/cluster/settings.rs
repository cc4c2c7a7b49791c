//! The settings that a deployment gives its processes, read from the very files that it gives.

use std::path::Path;

use anyhow::{Context, Result};

use super::Role;

/// What the harness decides for every process that it starts, wherever else it runs.
const DECIDED: [&str; 5] = ["GIGAPI_ROOT", "HTTP_HOST", "HTTP_PORT", "FLIGHTSQL_ENABLE", "FLIGHTSQL_PORT"];

/// The name of the layer that is added behind the deployment's own.
pub(super) const COLD_LAYER: &str = "cold";

/// Variables by name; the last value of a name counts.
#[derive(Debug, Default)]
pub(super) struct Settings(Vec<(String, String)>);

impl Settings {
    /// Those of a process of that role, secrets left out.
    pub(super) fn deployed(role: Role) -> Result<Self> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/kustomize/base/settings");
        let mut settings = Self::default();
        for name in ["shared", role.name()] {
            let path = folder.join(format!("{name}.env"));
            let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
            let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
            for line in lines {
                let (name, value) = line.split_once('=').with_context(|| format!("{}: {line}", path.display()))?;
                if !DECIDED.contains(&name) {
                    settings.set(name, value);
                }
            }
        }
        Ok(settings)
    }

    pub(super) fn set(&mut self, name: &str, value: &str) {
        self.0.retain(|(known, _)| known != name);
        self.0.push((name.to_owned(), value.to_owned()));
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub(super) fn into_pairs(self) -> Vec<(String, String)> {
        self.0
    }

    /// What each layer's variables begin with, for layers that are global or not.
    fn layers(&self, global: bool) -> Vec<String> {
        let wanted = if global { "true" } else { "false" };
        let names = self.0.iter().filter(|(name, _)| name.starts_with("GIGAPI_LAYERS_"));
        let of = |(name, value): &(String, String)| {
            Some(name.strip_suffix("GLOBAL").filter(|_| value == wanted)?.to_owned())
        };
        names.filter_map(of).collect()
    }

    /// Moves the layers that a process has to itself into a folder.
    pub(super) fn place_caches(&mut self, folder: &Path) {
        for layer in self.layers(false) {
            self.set(&format!("{layer}URL"), &folder.to_string_lossy());
        }
    }

    /// Says where the first layer is that all processes share, whatever its name and number.
    pub(super) fn place_shared_layer(&mut self, kind: &str, url: &str, keys: Option<(&str, &str)>) -> Result<()> {
        let layer = self.layers(true).into_iter().next().context("the deployment has no layer that is global")?;
        self.get(&format!("{layer}NAME")).context("the deployment's layer has no name")?;
        self.place(&layer, kind, url, keys);
        Ok(())
    }

    /// Gives the layer that all processes share a ttl, and another one behind it.
    pub(super) fn add_cold_layer(
        &mut self,
        ttl: &str,
        kind: &str,
        url: &str,
        keys: Option<(&str, &str)>,
    ) -> Result<()> {
        const COLD: &str = "GIGAPI_LAYERS_99_";
        let layer = self.layers(true).into_iter().next().context("the deployment has no layer that is global")?;
        self.set(&format!("{layer}TTL"), ttl);
        self.set(&format!("{COLD}NAME"), COLD_LAYER);
        self.set(&format!("{COLD}GLOBAL"), "true");
        self.place(COLD, kind, url, keys);
        Ok(())
    }

    fn place(&mut self, layer: &str, kind: &str, url: &str, keys: Option<(&str, &str)>) {
        self.set(&format!("{layer}TYPE"), kind);
        self.set(&format!("{layer}URL"), url);
        if let Some((key, secret)) = keys {
            self.set(&format!("{layer}AUTH_KEY"), key);
            self.set(&format!("{layer}AUTH_SECRET"), secret);
        }
    }
}
