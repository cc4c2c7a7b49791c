//! Where an S3 layer lies: `s3://endpoint[:port]/bucket/prefix?secure=…&url-style=…&region=…`.
//!
//! Parsed apart from opening, so that settings can refuse a URL while they still know its variable. Every
//! reason continues "the value …". Nothing here connects, and nothing of a URL that may be secret is repeated.

use std::net::IpAddr;

use object_store::path::Path;
use url::{Host, Url};

const HOLDS_KEYS: &str = "holds keys: give them as AUTH_KEY and AUTH_SECRET";

/// Where requests of a layer go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct S3Location {
    /// Host and port of the service, as they were typed.
    pub endpoint: String,
    /// The bucket.
    pub bucket: String,
    /// What the keys of all objects start with; may be empty.
    pub prefix: Path,
    /// Whether connections are encrypted.
    pub secure: bool,
    /// Where the bucket's name goes.
    pub style: UrlStyle,
    /// The region that requests are signed for, if the URL or the host's name says.
    pub region: Option<String>,
}

/// Where the bucket's name goes in a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UrlStyle {
    /// In front of the host's name, as AWS wants it.
    VirtualHost,
    /// Into the path, as most other servers want it.
    Path,
}

impl S3Location {
    /// Reads the URL. The error says what is wrong and what to write instead.
    pub fn parse(text: &str) -> Result<Self, String> {
        // A secret with a raw `/` cannot be parsed, and is what an `@` in such a text is about.
        let url = Url::parse(text).map_err(|error| {
            if text.contains('@') { HOLDS_KEYS.to_owned() } else { format!("is not a URL: {error}") }
        })?;
        if url.scheme() != "s3" {
            return Err("is not an S3 URL: write s3://endpoint/bucket/prefix".to_owned());
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(HOLDS_KEYS.to_owned());
        }
        if url.fragment().is_some() {
            return Err("holds a `#`: write it as %23".to_owned());
        }
        let parameters = Parameters::read(&url)?;
        let endpoint = endpoint(&url)?;
        let (bucket, prefix) = bucket_and_prefix(&url)?;
        let style = parameters.style.unwrap_or(UrlStyle::VirtualHost);
        if style == UrlStyle::VirtualHost && is_address(&url) {
            return Err("puts the bucket in front of an IP address: add url-style=path".to_owned());
        }
        let region = parameters.region.or_else(|| url.host_str().and_then(region_of_host));
        Ok(Self { endpoint, bucket, prefix, secure: parameters.secure.unwrap_or(true), style, region })
    }

    /// Host and port that requests go to.
    pub fn authority(&self) -> String {
        match self.style {
            UrlStyle::VirtualHost => format!("{}.{}", self.bucket, self.endpoint),
            UrlStyle::Path => self.endpoint.clone(),
        }
    }

    /// The URL that requests go to; with [`UrlStyle::VirtualHost`] the bucket is part of it.
    pub(super) fn endpoint_url(&self) -> String {
        format!("{}://{}", if self.secure { "https" } else { "http" }, self.authority())
    }
}

#[derive(Default)]
struct Parameters {
    secure: Option<bool>,
    style: Option<UrlStyle>,
    region: Option<String>,
}

impl Parameters {
    fn read(url: &Url) -> Result<Self, String> {
        let mut found = Self::default();
        for (name, value) in url.query_pairs() {
            let again = match name.as_ref() {
                "secure" => found.secure.replace(secure(&value)?).is_some(),
                "url-style" => found.style.replace(style(&value)?).is_some(),
                "region" => found.region.replace(region(&value)?).is_some(),
                _ => return Err(unknown_parameter(&name, &value)),
            };
            if again {
                return Err(format!("has the parameter `{name}` twice: leave one"));
            }
        }
        Ok(found)
    }
}

/// A name is repeated only if it looks like one: it may be what follows a `?` in a secret.
fn unknown_parameter(name: &str, value: &str) -> String {
    let is_name = !value.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'));
    let named = if is_name { format!("the unknown parameter `{name}`") } else { "an unknown parameter".to_owned() };
    format!("has {named}: secure, url-style and region are known")
}

fn secure(value: &str) -> Result<bool, String> {
    match value {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err("has a parameter `secure` that is neither true nor false".to_owned()),
    }
}

fn style(value: &str) -> Result<UrlStyle, String> {
    match value {
        "vhost" => Ok(UrlStyle::VirtualHost),
        "path" => Ok(UrlStyle::Path),
        _ => Err("has a parameter `url-style` that is neither vhost nor path".to_owned()),
    }
}

fn region(value: &str) -> Result<String, String> {
    let plain = !value.is_empty() && value.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
    if plain {
        Ok(value.to_owned())
    } else {
        Err("has a parameter `region` that is no region: write it as eu-west-1".to_owned())
    }
}

fn endpoint(url: &Url) -> Result<String, String> {
    let host = url.host_str().filter(|host| !host.is_empty()).ok_or("names no endpoint: write s3://endpoint/bucket")?;
    let plain = host.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_' | '[' | ']' | ':'));
    if !plain {
        return Err("names an endpoint that is no host name".to_owned());
    }
    Ok(url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}")))
}

fn bucket_and_prefix(url: &Url) -> Result<(String, Path), String> {
    let path = url.path().strip_prefix('/').unwrap_or_default();
    let (bucket, prefix) = path.split_once('/').unwrap_or((path, ""));
    if bucket.is_empty() {
        return Err("names no bucket: write s3://endpoint/bucket/prefix".to_owned());
    }
    if !bucket.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_')) {
        return Err("names a bucket with other characters than letters, digits, `-`, `.` and `_`".to_owned());
    }
    let prefix = Path::from_url_path(prefix).map_err(|_| "has a prefix with an empty, `.` or `..` part".to_owned())?;
    Ok((bucket.to_owned(), prefix))
}

fn is_address(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name.parse::<IpAddr>().is_ok(),
        Some(Host::Ipv4(_) | Host::Ipv6(_)) => true,
        None => false,
    }
}

/// The region in a host name of AWS, as in `s3.eu-west-1.amazonaws.com` or `s3-eu-west-1.amazonaws.com`.
fn region_of_host(host: &str) -> Option<String> {
    let host = host.to_ascii_lowercase();
    let service = host.strip_suffix(".amazonaws.com").or_else(|| host.strip_suffix(".amazonaws.com.cn"))?;
    let mut labels = service.rsplit('.').map(|label| label.strip_prefix("s3-").unwrap_or(label));
    labels.find(|label| is_region(label)).map(ToOwned::to_owned)
}

/// Two letters, words, a number: `us-gov-west-1`.
fn is_region(label: &str) -> bool {
    let parts: Vec<&str> = label.split('-').collect();
    let [area, words @ .., number] = parts.as_slice() else { return false };
    let letters = |part: &&str| !part.is_empty() && part.chars().all(|c| c.is_ascii_lowercase());
    area.len() == 2
        && letters(area)
        && !words.is_empty()
        && words.iter().all(letters)
        && !number.is_empty()
        && number.chars().all(|c| c.is_ascii_digit())
}

#[cfg(test)]
mod tests;
