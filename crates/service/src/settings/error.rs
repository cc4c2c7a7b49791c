//! What is wrong with settings, all of it at once.

use std::fmt;

use super::source::Origin;

/// One wrong setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrongSetting {
    /// Its name.
    pub setting: String,
    /// Where the value came from.
    pub origin: Origin,
    /// The value, redacted if it may be secret.
    pub value: String,
    /// What is wrong with it; continues "the value …".
    pub problem: String,
    /// What is allowed.
    pub allowed: String,
}

impl fmt::Display for WrongSetting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { setting, origin, value, problem, allowed } = self;
        write!(f, "{setting} ({origin}): the value `{value}` {problem}; allowed: {allowed}")
    }
}

/// All wrong settings of one start.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct SettingsError {
    wrong: Vec<WrongSetting>,
}

impl SettingsError {
    pub(crate) fn new(wrong: Vec<WrongSetting>) -> Self {
        Self { wrong }
    }

    pub(crate) fn one(wrong: WrongSetting) -> Self {
        Self { wrong: vec![wrong] }
    }

    /// Each wrong setting, in the order of the settings table.
    pub fn wrong(&self) -> &[WrongSetting] {
        &self.wrong
    }
}

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let noun = if self.wrong.len() == 1 { "setting is" } else { "settings are" };
        write!(f, "{} {noun} wrong:", self.wrong.len())?;
        for wrong in &self.wrong {
            write!(f, "\n  {wrong}")?;
        }
        Ok(())
    }
}
