//! URLs for people to read, without what may be secret in them.
//!
//! A URL is shown most of all when it is wrong: a password with a raw `/`, keys where they do not belong, a host that was
//! forgotten. So it is not parsed here as its reader parses it. Whatever may be part of a secret by any reading is left
//! out, at the price of a host or a path that could have been shown.

use crate::REDACTED;

/// Parameters whose values are shown: plain switches of ours.
const SWITCHES: [&str; 3] = ["secure", "url-style", "region"];

/// The only fragment that says anything, and nothing secret: rediss:// without a look at certificates.
const FRAGMENT: &str = "insecure";

/// A URL, or several divided by commas, without users, passwords, values of parameters, and what may be one of them.
/// A path stays as it is, unless it could be something else.
pub fn scrub_url(text: &str) -> String {
    let pieces: Vec<String> = pieces(text).into_iter().map(scrub_piece).collect();
    pieces.join(",")
}

/// Cuts at commas that begin a further URL like the first; any other may be part of a password or of a parameter.
fn pieces(text: &str) -> Vec<&str> {
    let Some((scheme, _)) = split_scheme(text) else { return vec![text] };
    let beginning = format!("{scheme}://");
    let mut pieces = Vec::new();
    let mut from = 0;
    for (comma, _) in text.match_indices(',') {
        let is_in_parameter = text[from..comma].contains(['?', '#']);
        if !is_in_parameter && text[comma + 1..].trim_start().starts_with(&beginning) {
            pieces.push(&text[from..comma]);
            from = comma + 1;
        }
    }
    pieces.push(&text[from..]);
    pieces
}

/// What stands before and after `://`.
fn split_scheme(text: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = text.trim().split_once("://")?;
    let is_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'));
    is_scheme.then_some((scheme, rest))
}

fn scrub_piece(piece: &str) -> String {
    let (scheme, rest) = match split_scheme(piece) {
        Some((scheme, rest)) => (format!("{scheme}://"), rest),
        None => (String::new(), piece.trim()),
    };
    // The last `@`, because a password may hold others, and every other character too.
    let (hidden, place) = match rest.rfind('@') {
        // Either the end of a password with a `?`, or the middle of a parameter: neither side of it is safe.
        Some(at) if rest[..at].contains(['?', '#']) => return format!("{scheme}{REDACTED}"),
        Some(at) => (format!("{REDACTED}@"), &rest[at + 1..]),
        None => (String::new(), rest),
    };
    let (hosts, tail) = place.split_at(place.find(['/', '?', '#']).unwrap_or(place.len()));
    let is_path = scheme.is_empty() && hidden.is_empty() && !hosts.contains(':');
    // What is no host may be a user and a password without one.
    if !is_path && !hosts.split(',').all(is_host) {
        return format!("{scheme}{REDACTED}");
    }
    format!("{scheme}{hidden}{hosts}{}", scrub_tail(tail))
}

/// A name or an address, with a port or without; also none, as in `file:///data`.
fn is_host(text: &str) -> bool {
    let text = text.trim();
    let (is_name, port) = match text.strip_prefix('[').and_then(|text| text.split_once(']')) {
        Some((address, port)) => (address.chars().all(|c| c.is_ascii_hexdigit() || matches!(c, ':' | '.')), port),
        None => {
            let (name, port) = text.split_at(text.find(':').unwrap_or(text.len()));
            (name.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '.' | '_')), port)
        }
    };
    is_name && (port.is_empty() || port.strip_prefix(':').is_some_and(|port| port.parse::<u16>().is_ok()))
}

/// A path with its parameters and its fragment.
fn scrub_tail(tail: &str) -> String {
    let (tail, fragment) = match tail.split_once('#') {
        Some((tail, FRAGMENT)) => (tail, format!("#{FRAGMENT}")),
        Some((tail, _)) => (tail, format!("#{REDACTED}")),
        None => (tail, String::new()),
    };
    match tail.split_once('?') {
        Some((path, query)) => {
            let pairs: Vec<String> = query.split('&').map(scrub_pair).collect();
            format!("{path}?{}{fragment}", pairs.join("&"))
        }
        None => format!("{tail}{fragment}"),
    }
}

fn scrub_pair(pair: &str) -> String {
    let is_plain = |text: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'));
    match pair.split_once('=') {
        Some((name, value)) if SWITCHES.contains(&name) && is_plain(value) => pair.to_owned(),
        Some((name, _)) if is_plain(name) => format!("{name}={REDACTED}"),
        None if pair.is_empty() => String::new(),
        _ => REDACTED.to_owned(),
    }
}

#[cfg(test)]
mod tests;
