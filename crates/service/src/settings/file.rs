//! The configuration file: TOML, flattened to keys and texts with the lines they stand on.
//!
//! Tables join with an underscore and array elements count from zero, so `[http] port = 1` is `http_port`
//! and the first `[[layers]] name = "hot"` is `layers_0_name`. What a key means is not decided here.

use toml::de::{DeTable, DeValue};

use super::error::WrongSetting;
use super::source::{ConfigFile, Origin, Raw};

/// All values of the file, by flattened key.
pub(crate) fn flatten(config: &ConfigFile) -> Result<Vec<(String, Raw)>, Box<WrongSetting>> {
    let document = DeTable::parse(&config.text).map_err(|error| {
        let line = error.span().map_or(1, |span| line_at(&config.text, span.start));
        Box::new(WrongSetting {
            setting: "--config".to_owned(),
            origin: Origin::File { path: config.path.clone(), line, key: "-".to_owned() },
            value: config.path.display().to_string(),
            problem: format!("is not TOML: {}", error.message()),
            allowed: "TOML 1.0".to_owned(),
        })
    })?;
    let mut entries = Vec::new();
    for (key, value) in document.into_inner() {
        let key = key.into_inner().into_owned();
        walk(config, &key, &key, value.span().start, value.into_inner(), &mut entries);
    }
    Ok(entries)
}

fn walk(config: &ConfigFile, flat: &str, shown: &str, at: usize, value: DeValue<'_>, entries: &mut Vec<(String, Raw)>) {
    match value {
        DeValue::Table(table) => {
            for (key, value) in table {
                let key = key.into_inner();
                let (flat, shown) = (format!("{flat}_{key}"), format!("{shown}.{key}"));
                walk(config, &flat, &shown, value.span().start, value.into_inner(), entries);
            }
        }
        DeValue::Array(items) => {
            for (index, item) in items.into_iter().enumerate() {
                let (flat, shown) = (format!("{flat}_{index}"), format!("{shown}[{index}]"));
                walk(config, &flat, &shown, item.span().start, item.into_inner(), entries);
            }
        }
        scalar => {
            let line = line_at(&config.text, at);
            let origin = Origin::File { path: config.path.clone(), line, key: shown.to_owned() };
            entries.push((flat.to_owned(), Raw { text: scalar_text(&scalar), origin }));
        }
    }
}

fn scalar_text(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => text.clone().into_owned(),
        DeValue::Integer(number) => number.as_str().to_owned(),
        DeValue::Float(number) => number.as_str().to_owned(),
        DeValue::Boolean(switch) => switch.to_string(),
        DeValue::Datetime(datetime) => datetime.to_string(),
        DeValue::Array(_) | DeValue::Table(_) => String::new(),
    }
}

/// The line of a byte offset, from 1.
fn line_at(text: &str, offset: usize) -> usize {
    1 + text.as_bytes().iter().take(offset).filter(|byte| **byte == b'\n').count()
}
