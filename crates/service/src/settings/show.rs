//! Settings for people: what is in effect and where it came from, and the table of the README.
//!
//! Nothing secret passes through here unredacted: values are shown as their descriptors say.

use std::fmt::{self, Write as _};

use super::build::{effective, shown};
use super::layers::part_name;
use super::source::{Gathered, Origin};
use super::table::{Descriptor, LAYER_PARTS, SETTINGS};

/// One setting in effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Effective {
    /// Its name.
    pub name: String,
    /// Its value, redacted if it is secret.
    pub value: String,
    /// Where it came from.
    pub origin: Origin,
}

/// All settings in effect. `Display` is what `check-config` prints: one `NAME=value  # origin` a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EffectiveSettings(Vec<Effective>);

impl EffectiveSettings {
    pub(crate) fn new(gathered: &Gathered, defaults: &[(&'static str, &'static str)]) -> Self {
        let mut all: Vec<Effective> = SETTINGS
            .iter()
            .map(|setting| {
                let raw = effective(gathered, defaults, setting);
                Effective { name: setting.name.to_owned(), value: shown(&raw.text, setting.shown), origin: raw.origin }
            })
            .collect();
        for ((index, part), raw) in &gathered.layers {
            let Some(setting) = LAYER_PARTS.iter().find(|known| known.name == *part) else { continue };
            all.push(Effective {
                name: part_name(*index, part),
                value: shown(&raw.text, setting.shown),
                origin: raw.origin.clone(),
            });
        }
        Self(all)
    }

    /// The settings in the order of the table, layers last.
    pub fn iter(&self) -> impl Iterator<Item = &Effective> {
        self.0.iter()
    }
}

impl fmt::Display for EffectiveSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Effective { name, value, origin } in &self.0 {
            writeln!(f, "{name}={value}  # {origin}")?;
        }
        Ok(())
    }
}

/// The settings table in Markdown, layers included.
pub fn markdown_table() -> String {
    let mut text = String::from("| setting | default | takes | what it does |\n|---|---|---|---|\n");
    for setting in SETTINGS {
        row(&mut text, setting, "");
    }
    for part in LAYER_PARTS {
        row(&mut text, part, "GIGAPI_LAYERS_<i>_");
    }
    text
}

fn row(text: &mut String, setting: &Descriptor, prefix: &str) {
    let aliases: String = setting.aliases.iter().map(|alias| format!(", `{alias}`")).collect();
    let default = if setting.default.is_empty() { String::new() } else { format!("`{}`", setting.default) };
    let Descriptor { name, allowed, .. } = setting;
    let help = setting.explanation();
    // Writing to a string cannot fail.
    let _ = writeln!(text, "| `{prefix}{name}`{aliases} | {default} | {allowed} | {help} |");
}
