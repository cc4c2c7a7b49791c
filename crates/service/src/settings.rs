//! Settings: what the user typed becomes what the program needs.
//!
//! [`Sources`] holds what was typed as flags, environment and file; [`load`] turns it into [`Settings`] or
//! names everything that is wrong. One table ([`SETTINGS`]) drives loading, `check-config` and the README.
//! Nothing outside this module reads the environment, and nothing here opens, binds or creates anything.

mod build;
mod error;
mod file;
mod grace;
mod kinds;
mod layers;
mod show;
mod source;
mod suggest;
mod table;
mod types;
mod values;

pub use error::{SettingsError, WrongSetting};
pub use gigapi_storage::{CacheSettings, LayerSettings};
pub use kinds::{Consistency, DefaultKey, Durability, LogFormat, Mode, UnknownWord};
pub use show::{Effective, EffectiveSettings, markdown_table};
pub use source::{ConfigFile, Origin, Sources};
pub use table::{Absent, Descriptor, LAYER_PARTS, SETTINGS, Shown};
pub use types::{
    AuthSettings, CompactorSettings, FlightSettings, HttpSettings, Limits, LogSettings, MetadataSettings,
    QuerySettings, Settings, UserCredentials, WriterSettings,
};

/// What loading yields.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// What the program needs.
    pub settings: Settings,
    /// What is odd but not wrong, to be logged once; holds no values of secrets.
    pub warnings: Vec<String>,
    /// Every setting as it is in effect, redacted.
    pub effective: EffectiveSettings,
}

/// Turns what was typed into settings. Every wrong value is named in the error, not just the first.
pub fn load(sources: &Sources) -> Result<Loaded, SettingsError> {
    let gathered = source::gather(sources);
    let mut reader = build::Reader::new(&gathered, &sources.defaults);
    let settings = build::build(&mut reader);
    let wrong: Vec<WrongSetting> = gathered.wrong.iter().cloned().chain(reader.wrong).collect();
    if !wrong.is_empty() {
        return Err(SettingsError::new(wrong));
    }
    let warnings = gathered.warnings.iter().cloned().chain(reader.warnings).collect();
    Ok(Loaded { settings, warnings, effective: EffectiveSettings::new(&gathered, &sources.defaults) })
}

impl Settings {
    /// The settings of a process for which nobody set anything.
    pub fn defaults() -> Self {
        load(&Sources::default()).expect("every default in the table parses, which a test proves").settings
    }
}

#[cfg(test)]
mod tests;
