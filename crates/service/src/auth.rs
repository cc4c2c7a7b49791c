//! Who is calling: the credentials of a request against those configured.
//!
//! Clients of many kinds are understood: `Basic`, `Token` and `Bearer` in the header, `u` and `p` in the query.
//! Configured credentials are kept as SHA-256 and compared in constant time. This module decides yes or no;
//! which paths need no credentials is the HTTP shell's list, and what a caller may do is not decided at all.

use base64::Engine as _;
use base64::engine::DecodePaddingMode;
use base64::engine::GeneralPurpose;
use base64::engine::general_purpose::{GeneralPurposeConfig, STANDARD};
use http::HeaderMap;
use http::header::AUTHORIZATION;

use crate::settings::AuthSettings;
use crate::{Fingerprint, Secret};

/// Some clients leave the padding of base64 away.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

const BEARER: &str = "bearer";

/// Bytes of credentials that are looked at; longer ones are wrong without being hashed.
const CREDENTIAL_BYTES_MAX: usize = 4096;

/// The configured credentials.
#[derive(Debug, Clone)]
pub struct Authenticator {
    /// Of `name:password`.
    user: Option<Fingerprint>,
    token: Option<Fingerprint>,
}

/// How a request's credentials compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// They match, or none are configured.
    Allowed,
    /// The request carries none.
    Missing,
    /// The request carries others.
    Wrong,
}

impl Authenticator {
    /// Guards with these credentials; with none, everybody is allowed and the log says so, once per call.
    pub fn new(settings: &AuthSettings) -> Self {
        let user = settings
            .user
            .as_ref()
            .map(|user| Fingerprint::of(format!("{}:{}", user.name.expose(), user.password.expose()).as_bytes()));
        let token = settings.token.as_ref().map(Secret::fingerprint);
        let this = Self { user, token };
        if !this.is_required() {
            tracing::warn!(
                "no credentials are configured: whoever reaches the port can read and write; set \
                 HTTP_BASIC_AUTH_USERNAME and HTTP_BASIC_AUTH_PASSWORD, or GIGAPI_SECRET"
            );
        }
        this
    }

    /// Whether any credentials are configured.
    pub fn is_required(&self) -> bool {
        self.user.is_some() || self.token.is_some()
    }

    /// Judges a request by its headers and its undecoded query string.
    pub fn check(&self, headers: &HeaderMap, query: Option<&str>) -> Verdict {
        if !self.is_required() {
            return Verdict::Allowed;
        }
        let mut verdict = Verdict::Missing;
        for value in headers.get_all(AUTHORIZATION) {
            if self.check_header(value.as_bytes()) {
                return Verdict::Allowed;
            }
            verdict = Verdict::Wrong;
        }
        match query.and_then(query_credentials) {
            Some((user, password)) if self.is_pair(&user, &password) => Verdict::Allowed,
            Some(_) => Verdict::Wrong,
            None => verdict,
        }
    }

    /// Judges the value of an `authorization` header or of gRPC metadata of that name.
    pub fn check_header(&self, value: &[u8]) -> bool {
        if !self.is_required() {
            return true;
        }
        let Some(space) = value.iter().position(|byte| *byte == b' ') else { return false };
        let (scheme, rest) = value.split_at(space);
        let credentials = rest.trim_ascii();
        if scheme.eq_ignore_ascii_case(b"basic") {
            return self.is_encoded(credentials);
        }
        let is_bearer = scheme.eq_ignore_ascii_case(BEARER.as_bytes());
        let is_token = is_bearer || scheme.eq_ignore_ascii_case(b"token");
        is_token && (self.is_token(credentials) || self.is_user(credentials))
            || is_bearer && self.is_encoded(credentials)
    }

    /// What follows `Basic`, in base64.
    fn is_encoded(&self, credentials: &[u8]) -> bool {
        credentials.len() <= CREDENTIAL_BYTES_MAX
            && LENIENT.decode(credentials).is_ok_and(|decoded| self.is_basic(&decoded))
    }

    /// `name:password`, or a token after the last colon with anything before it.
    fn is_basic(&self, decoded: &[u8]) -> bool {
        let Some(colon) = decoded.iter().rposition(|byte| *byte == b':') else { return false };
        self.is_user(decoded) || self.is_token(&decoded[colon + 1..])
    }

    fn is_pair(&self, user: &str, password: &str) -> bool {
        let joined = [user.as_bytes(), b":", password.as_bytes()].concat();
        // A name with a colon would move the border between name and password.
        (!user.contains(':') && self.is_user(&joined)) || self.is_token(password.as_bytes())
    }

    fn is_user(&self, credentials: &[u8]) -> bool {
        matches(self.user.as_ref(), credentials)
    }

    fn is_token(&self, credentials: &[u8]) -> bool {
        matches(self.token.as_ref(), credentials)
    }
}

fn matches(configured: Option<&Fingerprint>, given: &[u8]) -> bool {
    given.len() <= CREDENTIAL_BYTES_MAX
        && configured.is_some_and(|fingerprint| fingerprint.matches(&Fingerprint::of(given)))
}

/// What a client that presented these credentials may present from then on, as handshakes of Arrow Flight promise it:
/// a bearer, whatever scheme it came with.
///
/// It is the credentials themselves: every process accepts it and none has to remember it, and it tells nobody anything
/// new. `Basic` keeps its base64, because a name and a password may hold what a header may not.
pub fn bearer_for(authorization: &[u8]) -> Option<String> {
    let (scheme, credentials) = std::str::from_utf8(authorization).ok()?.split_once(' ')?;
    let is_known = ["basic", "token", BEARER].iter().any(|known| scheme.eq_ignore_ascii_case(known));
    is_known.then(|| format!("Bearer {}", credentials.trim()))
}

/// The values of `u` and `p`; `p` has to be there, `u` may be left away beside a token.
fn query_credentials(query: &str) -> Option<(String, String)> {
    let (mut user, mut password) = (None, None);
    for (key, value) in url::form_urlencoded::parse(query.as_bytes()) {
        match key.as_ref() {
            "u" => user = Some(value.into_owned()),
            "p" => password = Some(value.into_owned()),
            _ => {}
        }
    }
    password.map(|password| (user.unwrap_or_default(), password))
}

/// The header with which processes of one installation, whose credentials are the same, call each other; none if
/// everybody may.
pub fn own_header(settings: &AuthSettings) -> Option<Secret> {
    let user = || settings.user.as_ref().map(|user| basic_header(user.name.expose(), user.password.expose()));
    let is_plain = |token: &str| token.trim() == token && token.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    let token = |token: &str| match is_plain(token) {
        true => format!("Bearer {token}"),
        // What a header may not hold travels as a password.
        false => basic_header("", token),
    };
    settings.token.as_ref().map(|secret| token(secret.expose())).or_else(user).map(Secret::new)
}

/// The header that carries `name` and `password`, for clients of ours.
pub fn basic_header(name: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{name}:{password}")))
}

#[cfg(test)]
mod tests;
