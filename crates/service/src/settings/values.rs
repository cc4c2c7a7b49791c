//! Texts of settings turned into numbers, sizes, durations and switches.
//!
//! Sizes, durations and switches are read as they are for tables ([`gigapi_model::quantity`]). Every function
//! answers with a short phrase that continues "the value …" when the text is wrong. Nothing here knows a setting's
//! name, and nothing is guessed: what is not understood is refused.

pub(crate) use gigapi_model::quantity::{Parsed, boolean, bytes, duration, seconds, seconds_or_never};

/// A TCP port; 0 lets the system choose.
pub(crate) fn port(text: &str) -> Parsed<u16> {
    text.parse().map_err(|_| "is not a port".to_owned())
}

/// A count of at least one.
pub(crate) fn count(text: &str) -> Parsed<usize> {
    match text.parse::<usize>() {
        Ok(0) => Err("is zero".to_owned()),
        Ok(number) => Ok(number),
        Err(_) => Err("is not a whole number".to_owned()),
    }
}

/// A count that may be zero.
pub(crate) fn count_or_none(text: &str) -> Parsed<usize> {
    text.parse().map_err(|_| "is not a whole number".to_owned())
}

/// `auto`, or what `inner` takes.
pub(crate) fn auto<T>(text: &str, inner: impl FnOnce(&str) -> Parsed<T>) -> Parsed<Option<T>> {
    if text.eq_ignore_ascii_case("auto") { Ok(None) } else { inner(text).map(Some) }
}

/// A size that has to fit this machine's address space.
pub(crate) fn bytes_in_memory(text: &str) -> Parsed<usize> {
    usize::try_from(bytes(text)?).map_err(|_| "is more than this machine can address".to_owned())
}

/// A log level, or a comma-separated list of `level` and `module=level`.
pub(crate) fn log_filter(text: &str) -> Parsed<String> {
    let mut directives = Vec::new();
    for part in text.split(',') {
        let (target, level) = match part.trim().split_once('=') {
            Some((target, level)) => (Some(target.trim()), level.trim()),
            None => (None, part.trim()),
        };
        let level = match level.to_ascii_lowercase().as_str() {
            "warning" => "warn".to_owned(),
            word @ ("off" | "error" | "warn" | "info" | "debug" | "trace") => word.to_owned(),
            _ => return Err("is not a log level".to_owned()),
        };
        match target {
            None => directives.push(level),
            Some(target) if is_module_path(target) => directives.push(format!("{target}={level}")),
            Some(_) => return Err("names something that is not a module".to_owned()),
        }
    }
    Ok(directives.join(","))
}

fn is_module_path(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | ':'))
}

/// An address to listen on: an IP address, in brackets or not, or a host name.
pub(crate) fn host(text: &str) -> Parsed<String> {
    let bare = text.strip_prefix('[').and_then(|t| t.strip_suffix(']')).unwrap_or(text);
    let is_ip = bare.parse::<std::net::IpAddr>().is_ok();
    let is_name = !bare.is_empty()
        && bare.len() <= 253
        && bare.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_'));
    if is_ip || (is_name && bare == text) { Ok(bare.to_owned()) } else { Err("is not an address".to_owned()) }
}

#[cfg(test)]
mod tests;
