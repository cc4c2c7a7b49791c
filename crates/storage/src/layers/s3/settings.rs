//! What an operator says about S3 layers, beyond their URLs.
//!
//! Plain data. Keys are kept so that no `Debug` shows them; they come from the layer's own settings or, all
//! together, from the process's environment, never from both.

use std::fmt;
use std::time::Duration;

use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};

/// One S3 layer's client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct S3Settings {
    /// Who signs requests.
    pub credentials: S3Credentials,
    /// The region of layers whose URL and host name none.
    pub region: Option<String>,
    /// How long requests may take.
    pub timing: S3Timing,
}

/// How long requests may take and how often they are tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct S3Timing {
    /// For a connection.
    pub connect_timeout: Duration,
    /// For one attempt, from its start to its answer's last byte.
    pub request_timeout: Duration,
    /// No attempt starts later than this after the first.
    pub retry_timeout: Duration,
    /// Attempts after the first.
    pub retries_max: usize,
}

/// Who signs requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum S3Credentials {
    /// The layer's own keys.
    Keys {
        /// The access key.
        key: HiddenText,
        /// The secret key.
        secret: HiddenText,
    },
    /// What the environment offers: keys, a web identity, a container's or an instance's role, in this order.
    Environment(AwsEnvironment),
}

impl S3Credentials {
    pub(super) fn apply(&self, builder: AmazonS3Builder) -> AmazonS3Builder {
        match self {
            Self::Keys { key, secret } => builder.with_access_key_id(&key.0).with_secret_access_key(&secret.0),
            Self::Environment(AwsEnvironment(variables)) => {
                variables.iter().fold(builder, |builder, (key, value)| builder.with_config(*key, &value.0))
            }
        }
    }
}

/// A text that no `Debug` shows.
#[derive(Clone, PartialEq, Eq)]
pub struct HiddenText(String);

impl HiddenText {
    /// Hides `text`.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

impl fmt::Debug for HiddenText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// The environment's variables that lead to credentials.
///
/// Only those: others that the client knows would change where requests go behind the layer's URL.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AwsEnvironment(Vec<(AmazonS3ConfigKey, HiddenText)>);

const VARIABLES: &[(&str, AmazonS3ConfigKey)] = &[
    ("AWS_ACCESS_KEY_ID", AmazonS3ConfigKey::AccessKeyId),
    ("AWS_SECRET_ACCESS_KEY", AmazonS3ConfigKey::SecretAccessKey),
    ("AWS_SESSION_TOKEN", AmazonS3ConfigKey::Token),
    ("AWS_WEB_IDENTITY_TOKEN_FILE", AmazonS3ConfigKey::WebIdentityTokenFile),
    ("AWS_ROLE_ARN", AmazonS3ConfigKey::RoleArn),
    ("AWS_ROLE_SESSION_NAME", AmazonS3ConfigKey::RoleSessionName),
    ("AWS_ENDPOINT_URL_STS", AmazonS3ConfigKey::StsEndpoint),
    ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", AmazonS3ConfigKey::ContainerCredentialsRelativeUri),
    ("AWS_CONTAINER_CREDENTIALS_FULL_URI", AmazonS3ConfigKey::ContainerCredentialsFullUri),
    ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", AmazonS3ConfigKey::ContainerAuthorizationTokenFile),
    ("AWS_METADATA_ENDPOINT", AmazonS3ConfigKey::MetadataEndpoint),
    ("AWS_IMDSV1_FALLBACK", AmazonS3ConfigKey::ImdsV1Fallback),
];

impl AwsEnvironment {
    /// Picks the variables that are about credentials; empty ones count as absent.
    pub fn of<'a>(variables: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let known = |name: &str| VARIABLES.iter().find(|(known, _)| *known == name).map(|(_, key)| *key);
        let given = variables.into_iter().filter(|(_, value)| !value.is_empty());
        Self(given.filter_map(|(name, value)| Some((known(name)?, HiddenText::new(value)))).collect())
    }

    /// Which variable is given without its counterpart, and that one, if it is so.
    pub fn half_of_a_pair(&self) -> Option<(&'static str, &'static str)> {
        const KEY: &str = "AWS_ACCESS_KEY_ID";
        const SECRET: &str = "AWS_SECRET_ACCESS_KEY";
        let has = |key| self.0.iter().any(|(known, _)| *known == key);
        match (has(AmazonS3ConfigKey::AccessKeyId), has(AmazonS3ConfigKey::SecretAccessKey)) {
            (true, false) => Some((KEY, SECRET)),
            (false, true) => Some((SECRET, KEY)),
            _ => None,
        }
    }
}
