//! Where settings come from: flags, environment, file, defaults, and which of them wins.
//!
//! This file only gathers texts and remembers their origin; it does not know what a value means. Flags win
//! over the environment, the environment over the file, the file over the defaults.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use gigapi_storage::AwsEnvironment;

use super::error::{SettingsError, WrongSetting};
use super::file;
use super::suggest;
use super::table::{Descriptor, SETTINGS, Shown};

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// The built-in default.
    Default,
    /// A configuration file, with its path, line and key.
    File {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The key as written there, joined with dots.
        key: String,
    },
    /// An environment variable.
    Environment(String),
    /// A command-line flag, by the setting's name.
    Flag(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line, key } => write!(f, "{}:{line}, key {key}", path.display()),
            Self::Environment(name) => write!(f, "environment variable {name}"),
            Self::Flag(name) => write!(f, "flag for {name}"),
        }
    }
}

/// A value as it was typed.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Raw {
    pub(crate) text: String,
    pub(crate) origin: Origin,
}

impl fmt::Debug for Raw {
    /// Without the text: whether it is secret is known elsewhere.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Raw({})", self.origin)
    }
}

/// A configuration file's path and content.
#[derive(Clone)]
pub struct ConfigFile {
    /// Where it lies, for messages.
    pub path: PathBuf,
    /// Its text.
    pub text: String,
}

impl fmt::Debug for ConfigFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ConfigFile({})", self.path.display())
    }
}

/// Everything that was typed.
#[derive(Clone, Default)]
pub struct Sources {
    /// Settings given as flags: name or alias, and value.
    pub flags: Vec<(String, String)>,
    /// The environment.
    pub environment: Vec<(String, String)>,
    /// The configuration file.
    pub file: Option<ConfigFile>,
    /// Defaults of this program that differ from the table's, by the setting's exact name.
    pub defaults: Vec<(&'static str, &'static str)>,
}

impl fmt::Debug for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.flags.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("Sources").field("flags", &names).field("file", &self.file).finish_non_exhaustive()
    }
}

impl Sources {
    /// The flags given, this process's environment, and the file at `config` if there is one.
    ///
    /// Fails if the file cannot be read.
    pub fn of_process(flags: Vec<(String, String)>, config: Option<&Path>) -> Result<Self, SettingsError> {
        let file = match config {
            None => None,
            Some(path) => Some(ConfigFile { path: path.to_owned(), text: read_config(path)? }),
        };
        // A value that is not UTF-8 cannot be any setting's; what is lost in conversion makes it wrong, not right.
        let environment = std::env::vars_os()
            .map(|(name, value)| (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned()))
            .collect();
        Ok(Self { flags, environment, file, defaults: Vec::new() })
    }
}

fn read_config(path: &Path) -> Result<String, SettingsError> {
    std::fs::read_to_string(path).map_err(|error| {
        SettingsError::one(WrongSetting {
            setting: "--config".to_owned(),
            origin: Origin::Flag("--config".to_owned()),
            value: path.display().to_string(),
            problem: format!("cannot be read: {error}"),
            allowed: "the path of a readable TOML file".to_owned(),
        })
    })
}

/// What was gathered: per setting the winning text, the parts of layers, and what went wrong on the way.
#[derive(Debug, Default)]
pub(crate) struct Gathered {
    /// By the setting's name; a setting that is absent has its default.
    pub(crate) values: BTreeMap<&'static str, Raw>,
    /// By index and part name.
    pub(crate) layers: BTreeMap<(usize, &'static str), Raw>,
    pub(crate) warnings: Vec<String>,
    pub(crate) wrong: Vec<WrongSetting>,
    /// The environment's way to credentials of S3 layers that have no keys of their own.
    pub(crate) aws: AwsEnvironment,
    /// The environment's region of S3 layers that name none.
    pub(crate) aws_region: Option<String>,
}

/// What a name stands for.
pub(crate) enum Named {
    Setting(&'static Descriptor),
    LayerPart(usize, &'static Descriptor),
    Nothing,
}

/// Gathers all sources, the weakest first.
pub(crate) fn gather(sources: &Sources) -> Gathered {
    let aws = AwsEnvironment::of(sources.environment.iter().map(|(name, text)| (name.as_str(), text.as_str())));
    let aws_region = ["AWS_REGION", "AWS_DEFAULT_REGION"].iter().find_map(|region| {
        let given = sources.environment.iter().find(|(name, text)| name == region && !text.is_empty());
        given.map(|(_, text)| text.clone())
    });
    let mut gathered = Gathered { aws, aws_region, ..Gathered::default() };
    if let Some(config) = &sources.file {
        match file::flatten(config) {
            Ok(entries) => gathered.add_layer_of(entries, |gathered, raw, key| gathered.unknown_key(raw, key)),
            Err(wrong) => gathered.wrong.push(*wrong),
        }
    }
    let variables = sources
        .environment
        .iter()
        .map(|(name, text)| (name.clone(), Raw { text: text.clone(), origin: Origin::Environment(name.clone()) }));
    let is_exact = |name: &str| {
        SETTINGS.iter().any(|s| s.name == name || s.aliases.contains(&name)) || suggest::layer_part(name).is_some()
    };
    let (known, other): (Vec<_>, Vec<_>) = variables.partition(|(name, _)| is_exact(name));
    let (links, known): (Vec<_>, Vec<_>) = known.into_iter().partition(|(_, raw)| raw.text.starts_with("tcp://"));
    for (name, _) in links {
        let reason = "it describes a Kubernetes service of that name";
        gathered.warnings.push(format!("environment variable {name} is ignored: {reason}"));
    }
    gathered.add_layer_of(known, |_, _, _| {});
    for (name, raw) in other {
        gathered.unknown_variable(&name, &raw);
    }
    let flags = sources
        .flags
        .iter()
        .map(|(name, text)| (name.clone(), Raw { text: text.clone(), origin: Origin::Flag(name.clone()) }));
    gathered.add_layer_of(flags.collect(), |gathered, raw, name| gathered.unknown_key(raw, name));
    gathered
}

impl Gathered {
    /// Adds the entries of one source, whose values win over all that came before. Inside one source a
    /// setting's own name wins over its aliases.
    fn add_layer_of(&mut self, entries: Vec<(String, Raw)>, mut unknown: impl FnMut(&mut Self, &Raw, &str)) {
        let mut values: BTreeMap<&'static str, (usize, Raw)> = BTreeMap::new();
        for (name, raw) in entries {
            match resolve(&name) {
                Named::Nothing => unknown(self, &raw, &name),
                Named::LayerPart(index, part) => {
                    if !raw.text.is_empty() {
                        self.layers.insert((index, part.name), raw);
                    }
                }
                Named::Setting(setting) => {
                    let rank = alias_rank(setting, &name);
                    if raw.text.is_empty() && setting.shown != Shown::Redacted {
                        continue;
                    }
                    match values.get(setting.name) {
                        Some((known, winner)) if *known <= rank => self.overruled(setting, &raw, winner),
                        Some((_, loser)) => {
                            self.overruled(setting, loser, &raw);
                            values.insert(setting.name, (rank, raw));
                        }
                        None => {
                            values.insert(setting.name, (rank, raw));
                        }
                    }
                }
            }
        }
        self.values.extend(values.into_iter().map(|(name, (_, raw))| (name, raw)));
    }

    fn overruled(&mut self, setting: &Descriptor, loser: &Raw, winner: &Raw) {
        if loser.text != winner.text {
            self.warnings.push(format!(
                "{} is given twice: the {} is ignored in favour of the {}",
                setting.name, loser.origin, winner.origin
            ));
        }
    }

    /// A key in a file or a flag was written for this program alone, so an unknown one is a mistake.
    fn unknown_key(&mut self, raw: &Raw, name: &str) {
        let nearest = suggest::nearest(name).map_or_else(String::new, |near| format!("; did you mean {near}?"));
        self.wrong.push(WrongSetting {
            setting: name.to_owned(),
            origin: raw.origin.clone(),
            value: crate::REDACTED.to_owned(),
            problem: "is given to a setting that does not exist".to_owned(),
            allowed: format!("the names that `gigapi check-config` prints{nearest}"),
        });
    }

    /// The environment is shared with other programs, so an unknown variable is only worth a warning.
    fn unknown_variable(&mut self, name: &str, raw: &Raw) {
        if !name.starts_with("GIGAPI_") || suggest::is_service_link(name, &raw.text) {
            return;
        }
        let nearest = suggest::nearest(name).map_or_else(String::new, |near| format!("; did you mean {near}?"));
        self.warnings.push(format!("environment variable {name} is not a setting and is ignored{nearest}"));
    }
}

fn resolve(name: &str) -> Named {
    if let Some((index, part)) = suggest::layer_part(name) {
        return Named::LayerPart(index, part);
    }
    SETTINGS.iter().find(|setting| setting.is_called(name)).map_or(Named::Nothing, Named::Setting)
}

/// 0 for the setting's own name, 1 and up for its aliases in order.
fn alias_rank(setting: &Descriptor, name: &str) -> usize {
    let same =
        |known: &str| known.eq_ignore_ascii_case(name) || super::table::file_key(known).eq_ignore_ascii_case(name);
    if same(setting.name) { 0 } else { 1 + setting.aliases.iter().position(|alias| same(alias)).unwrap_or(0) }
}
