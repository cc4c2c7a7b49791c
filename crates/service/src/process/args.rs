//! One flag per setting, made from the table that also drives the environment and the file, so that no
//! setting can be had one way and not the other.

use std::fmt;
use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};

use crate::settings::{Loaded, SETTINGS, SettingsError, Sources, load};

/// The settings that were given as flags.
#[derive(Clone, Default)]
pub struct SettingsArgs {
    config: Option<PathBuf>,
    flags: Vec<(String, String)>,
}

impl fmt::Debug for SettingsArgs {
    /// Without the values: some are secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.flags.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("SettingsArgs").field("config", &self.config).field("flags", &names).finish()
    }
}

impl SettingsArgs {
    /// Flags over environment over file over defaults; `defaults` are those in which the program differs.
    pub fn load(&self, defaults: &[(&'static str, &'static str)]) -> Result<Loaded, SettingsError> {
        let sources = Sources::of_process(self.flags.clone(), self.config.as_deref())?;
        load(&Sources { defaults: defaults.to_vec(), ..sources })
    }
}

fn flag(file_key: &str) -> String {
    file_key.replace('_', "-")
}

impl Args for SettingsArgs {
    fn augment_args(command: Command) -> Command {
        let config = Arg::new("config")
            .long("config")
            .value_name("FILE")
            .value_parser(clap::value_parser!(PathBuf))
            .help("Read settings from this TOML file");
        SETTINGS.iter().fold(command.arg(config), |command, setting| {
            let help = format!("{} [{}; {}]", setting.explanation(), setting.name, setting.allowed);
            let arg = Arg::new(setting.name)
                .long(flag(&setting.file_key()))
                .value_name("VALUE")
                .action(ArgAction::Set)
                .help_heading("Settings (each also as an environment variable)")
                .help(help);
            command.arg(arg)
        })
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for SettingsArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let given = |name: &str| matches.get_one::<String>(name).cloned();
        let flags = SETTINGS.iter().filter_map(|setting| Some((setting.name.to_owned(), given(setting.name)?)));
        Ok(Self { config: matches.get_one::<PathBuf>("config").cloned(), flags: flags.collect() })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
