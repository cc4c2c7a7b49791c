//! From gathered texts to [`Settings`], noting every wrong value on the way.
//!
//! A wrong value is replaced by its default so that the rest can be checked too; the caller never sees the
//! result if anything was wrong.

use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;

use gigapi_storage::{CacheSettings, S3Timing};

use super::error::WrongSetting;
use super::source::{Gathered, Origin, Raw};
use super::table::{self, Absent, Descriptor, SETTINGS, Shown};
use super::types::{
    AuthSettings, CompactorSettings, FlightSettings, HttpSettings, Limits, LogSettings, MetadataSettings,
    QuerySettings, Settings, UserCredentials, WriterSettings,
};
use super::values::{self, Parsed};
use super::{grace, kinds, layers};
use crate::{REDACTED, Secret, scrub_url};

/// Reads settings by name and collects what is wrong.
pub(crate) struct Reader<'a> {
    pub(crate) gathered: &'a Gathered,
    defaults: &'a [(&'static str, &'static str)],
    pub(crate) wrong: Vec<WrongSetting>,
    pub(crate) warnings: Vec<String>,
    #[cfg(test)]
    pub(crate) read: std::collections::BTreeSet<&'static str>,
}

/// A value as it is shown to people.
pub(crate) fn shown(text: &str, shown: Shown) -> String {
    match shown {
        Shown::Plain => text.to_owned(),
        Shown::Redacted if text.is_empty() => String::new(),
        Shown::Redacted => REDACTED.to_owned(),
        Shown::Scrubbed => scrub_url(text),
    }
}

impl<'a> Reader<'a> {
    pub(crate) fn new(gathered: &'a Gathered, defaults: &'a [(&'static str, &'static str)]) -> Self {
        Self {
            gathered,
            defaults,
            wrong: Vec::new(),
            warnings: Vec::new(),
            #[cfg(test)]
            read: std::collections::BTreeSet::new(),
        }
    }

    pub(crate) fn descriptor(&mut self, name: &'static str) -> &'static Descriptor {
        #[cfg(test)]
        self.read.insert(name);
        table::descriptor(name).expect("names read here are in the table, which a test proves by reading them all")
    }

    /// The given parts of layers, by index and part name.
    pub(crate) fn layers(&self) -> &'a std::collections::BTreeMap<(usize, &'static str), Raw> {
        &self.gathered.layers
    }

    /// The text and origin of a setting.
    pub(crate) fn raw(&mut self, name: &'static str) -> Raw {
        let setting = self.descriptor(name);
        effective(self.gathered, self.defaults, setting)
    }

    /// The value of a setting; its default if the value is wrong.
    pub(crate) fn value<T>(&mut self, name: &'static str, parse: impl Fn(&str) -> Parsed<T>) -> T {
        let setting = self.descriptor(name);
        let raw = effective(self.gathered, self.defaults, setting);
        match parse(&raw.text) {
            Ok(value) => value,
            Err(problem) => {
                self.refuse(setting, &raw, problem);
                parse(setting.default).expect("every default in the table parses, which a test proves")
            }
        }
    }

    /// One of a set of words.
    fn word<T: FromStr<Err = kinds::UnknownWord>>(&mut self, name: &'static str) -> T {
        self.value(name, |text| T::from_str(text).map_err(|error| error.to_string()))
    }

    /// Notes that a value is wrong.
    pub(crate) fn refuse(&mut self, setting: &Descriptor, raw: &Raw, problem: impl Into<String>) {
        self.refuse_as(setting.name.to_owned(), setting, raw, problem);
    }

    /// As [`Self::refuse`], under a name that is not in the table.
    pub(crate) fn refuse_as(&mut self, name: String, setting: &Descriptor, raw: &Raw, problem: impl Into<String>) {
        self.wrong.push(WrongSetting {
            setting: name,
            origin: raw.origin.clone(),
            value: shown(&raw.text, setting.shown),
            problem: problem.into(),
            allowed: setting.allowed.to_owned(),
        });
    }

    /// Notes that a given setting asks for what this version does not have, if it does.
    pub(crate) fn miss(&mut self, name: &str, setting: &Descriptor, raw: &Raw) {
        let Some(Absent { what, unless }) = setting.absent else { return };
        let is_off = unless.is_some_and(|(switch, off)| {
            self.gathered.values.get(switch).is_some_and(|raw| values::boolean(&raw.text) == Ok(off))
        });
        if !is_off {
            self.warnings.push(format!("{name} ({}) has no effect in this version: {what}", raw.origin));
        }
    }

    /// A setting that must hold one value, because the other is not in this version.
    fn fixed(&mut self, name: &'static str, wanted: bool, problem: &'static str) {
        let raw = self.raw(name);
        let setting = self.descriptor(name);
        match values::boolean(&raw.text) {
            Ok(value) if value == wanted => {}
            Ok(_) => self.refuse(setting, &raw, problem),
            Err(wrong) => self.refuse(setting, &raw, wrong),
        }
    }
}

/// The winning text of a setting and where it came from.
pub(crate) fn effective(gathered: &Gathered, defaults: &[(&'static str, &'static str)], setting: &Descriptor) -> Raw {
    gathered.values.get(setting.name).cloned().unwrap_or_else(|| {
        let own = defaults.iter().find(|(name, _)| *name == setting.name).map(|(_, text)| *text);
        Raw { text: own.unwrap_or(setting.default).to_owned(), origin: Origin::Default }
    })
}

/// Builds the settings; they are to be used only if the reader found nothing wrong.
pub(crate) fn build(reader: &mut Reader<'_>) -> Settings {
    let root = PathBuf::from(reader.value("GIGAPI_ROOT", |text| Ok(text.to_owned())));
    accepted_only(reader);
    let metadata = metadata(reader, &root);
    let timing = s3_timing(reader);
    let found = layers::build(reader, &root, timing, metadata.redis.is_some());
    Settings {
        mode: reader.word("GIGAPI_MODE"),
        http: http(reader),
        flight: FlightSettings {
            enabled: reader.value("FLIGHTSQL_ENABLE", values::boolean),
            port: reader.value("FLIGHTSQL_PORT", values::port),
            port_given: reader.raw("FLIGHTSQL_PORT").origin != Origin::Default,
        },
        auth: auth(reader),
        log: LogSettings { filter: reader.value("LOGLEVEL", values::log_filter), format: reader.word("LOG_FORMAT") },
        metadata,
        writer: WriterSettings {
            name: Some(reader.value("GIGAPI_WRITER_NAME", |text| Ok(text.to_owned()))).filter(|name| !name.is_empty()),
            address: reader.value("GIGAPI_WRITER_ADDRESS", address),
            durability: reader.word("GIGAPI_DURABILITY"),
            save_timeout: reader.value("GIGAPI_SAVE_TIMEOUT_S", values::seconds),
            default_key: reader.word("GIGAPI_DEFAULT_KEY"),
            accept_wal_loss: reader.value("GIGAPI_ACCEPT_WAL_LOSS", values::boolean),
            buffer_bytes_max: reader.value("GIGAPI_BUFFER_BYTES_MAX", values::bytes_in_memory),
            wal_bytes_max: reader.value("GIGAPI_WAL_BYTES_MAX", values::bytes),
        },
        compactor: CompactorSettings {
            merges: !reader.value("GIGAPI_NO_MERGES", values::boolean),
            merge_timeout: reader.value("GIGAPI_MERGE_TIMEOUT_S", values::seconds),
            parallelism: reader.value("GIGAPI_COMPACTOR_PARALLELISM", |t| values::auto(t, values::count)),
            memory_bytes_max: reader.value("GIGAPI_COMPACTOR_MEMORY", |t| values::auto(t, merge_memory)),
            bytes_per_second: reader.value("GIGAPI_COMPACTOR_BANDWIDTH", bytes_or_unlimited),
            lease: reader.value("GIGAPI_COMPACTOR_LEASE_S", values::seconds),
        },
        query: QuerySettings {
            memory_bytes_max: reader.value("GIGAPI_QUERY_MEMORY", |t| values::auto(t, values::bytes_in_memory)),
            memory_bytes_max_each: reader
                .value("GIGAPI_QUERY_MEMORY_EACH", |t| values::auto(t, values::bytes_in_memory)),
            threads: reader.value("GIGAPI_QUERY_THREADS", |t| values::auto(t, values::count)),
            timeout: reader.value("GIGAPI_QUERY_TIMEOUT_S", values::seconds_or_never),
            concurrency_max: reader.value("GIGAPI_QUERY_CONCURRENCY", |t| values::auto(t, values::count)),
            queue_wait: reader.value("GIGAPI_QUERY_QUEUE_S", values::seconds_or_never).unwrap_or_default(),
            rows_max: reader.value("GIGAPI_QUERY_ROWS_MAX", rows_or_unlimited),
            snapshot_age_max: reader.value("GIGAPI_SNAPSHOT_AGE_S", values::seconds_or_never).unwrap_or_default(),
            consistency: reader.word("GIGAPI_QUERY_CONSISTENCY"),
            sql_bytes_max: reader.value("GIGAPI_SQL_BYTES_MAX", values::bytes_in_memory),
        },
        limits: limits(reader),
        layers: found.layers,
        cache: CacheSettings {
            folder: found.cache,
            bytes_max: reader.value("GIGAPI_CACHE_BYTES_MAX", |text| values::auto(text, cache_bytes)),
        },
        root,
    }
}

fn address(text: &str) -> Parsed<Option<String>> {
    if text.is_empty() || text.parse::<IpAddr>().is_ok() {
        return Ok(Some(text.to_owned()).filter(|text| !text.is_empty()));
    }
    match url::Url::parse(&format!("http://{text}/")) {
        Ok(url) if url.has_host() && url.authority() == text => Ok(Some(text.to_owned())),
        _ => Err("is neither host:port nor a host".to_owned()),
    }
}

fn s3_timing(reader: &mut Reader<'_>) -> S3Timing {
    S3Timing {
        connect_timeout: reader.value("GIGAPI_S3_CONNECT_TIMEOUT_S", values::seconds),
        request_timeout: reader.value("GIGAPI_S3_REQUEST_TIMEOUT_S", values::seconds),
        retry_timeout: reader.value("GIGAPI_S3_RETRY_TIMEOUT_S", values::seconds),
        retries_max: reader.value("GIGAPI_S3_RETRIES_MAX", values::count_or_none),
    }
}

fn cache_bytes(text: &str) -> Parsed<u64> {
    if text == "0" {
        return Ok(0);
    }
    match values::bytes(text)? {
        bytes if bytes >= CacheSettings::BYTES_MIN => Ok(bytes),
        _ => Err("is less than 64MiB".to_owned()),
    }
}

/// Below this a merge of large files could not hold what it needs.
const MERGE_MEMORY_MIN: u64 = 64 << 20;

fn merge_memory(text: &str) -> Parsed<u64> {
    match values::bytes(text)? {
        bytes if bytes >= MERGE_MEMORY_MIN => Ok(bytes),
        _ => Err("is less than 64MiB".to_owned()),
    }
}

fn rows_or_unlimited(text: &str) -> values::Parsed<Option<u64>> {
    let rows = values::count_or_none(text)?;
    Ok(u64::try_from(rows).ok().filter(|rows| *rows > 0))
}

fn bytes_or_unlimited(text: &str) -> Parsed<Option<u64>> {
    if text == "0" { Ok(None) } else { values::bytes(text).map(Some) }
}

fn http(reader: &mut Reader<'_>) -> HttpSettings {
    HttpSettings {
        host: reader.value("HTTP_HOST", values::host),
        port: reader.value("HTTP_PORT", values::port),
        port_given: reader.raw("HTTP_PORT").origin != Origin::Default,
        ui: reader.value("GIGAPI_UI", values::boolean),
        connections_max: reader.value("GIGAPI_CONNECTIONS_MAX", values::count),
        header_timeout: reader.value("GIGAPI_HEADER_TIMEOUT_S", values::seconds),
        body_idle_timeout: reader.value("GIGAPI_BODY_IDLE_TIMEOUT_S", values::seconds),
        keep_alive_timeout: reader.value("GIGAPI_KEEP_ALIVE_TIMEOUT_S", values::seconds),
        drain_timeout: reader.value("GIGAPI_DRAIN_TIMEOUT_S", values::seconds),
    }
}

fn limits(reader: &mut Reader<'_>) -> Limits {
    Limits {
        body_bytes_max: reader.value("GIGAPI_BODY_BYTES_MAX", values::bytes_in_memory),
        decompressed_bytes_max: reader.value("GIGAPI_DECOMPRESSED_BYTES_MAX", values::bytes_in_memory),
        line_bytes_max: reader.value("GIGAPI_LINE_BYTES_MAX", values::bytes_in_memory),
        tag_value_bytes_max: reader.value("GIGAPI_TAG_VALUE_BYTES_MAX", values::bytes_in_memory),
        new_columns_max: reader.value("GIGAPI_NEW_COLUMNS_MAX", values::count),
        columns_max: reader.value("GIGAPI_COLUMNS_MAX", values::count),
        tables_max: reader.value("GIGAPI_TABLES_MAX", values::count),
        databases_max: reader.value("GIGAPI_DATABASES_MAX", values::count),
    }
}

/// Settings that are understood so that nobody's start breaks on them: of the original, and of what is not there.
fn accepted_only(reader: &mut Reader<'_>) {
    let gathered = reader.gathered;
    for setting in SETTINGS {
        if let Some(raw) = gathered.values.get(setting.name) {
            reader.miss(setting.name, setting, raw);
        }
    }
    if !reader.value("GIGAPI_ENABLED", values::boolean) {
        reader.warnings.push("GIGAPI_ENABLED=false has no effect: stop the process instead".to_owned());
    }
    reader.fixed("GIGAPI_ALLOW_SAVE_TO_HD", true, "is refused: rows are kept on disk, there is no mode without");
}

fn metadata(reader: &mut Reader<'_>, root: &std::path::Path) -> MetadataSettings {
    let in_redis = reader.value("GIGAPI_METADATA_TYPE", |text| match text.to_ascii_lowercase().as_str() {
        "json" | "embedded" => Ok(false),
        "redis" => Ok(true),
        _ => Err("is not a kind of catalog".to_owned()),
    });
    let url = reader.raw("GIGAPI_METADATA_URL");
    if !in_redis && !url.text.is_empty() {
        reader.warnings.push(format!("GIGAPI_METADATA_URL ({}) has no effect on the embedded catalog", url.origin));
    }
    if in_redis && !["redis://", "rediss://"].iter().any(|scheme| url.text.starts_with(scheme)) {
        let setting = reader.descriptor("GIGAPI_METADATA_URL");
        reader.refuse(setting, &url, "is not where a Redis server is: give redis://host:port or rediss://host:port");
    }
    MetadataSettings {
        redis: in_redis.then(|| Secret::new(url.text)),
        folder: root.join("_gigapi").join("catalog"),
        timeout: reader.value("GIGAPI_METADATA_TIMEOUT_S", values::seconds),
        accept_unsafe: reader.value("GIGAPI_METADATA_UNSAFE", values::boolean),
        delete_grace: grace::build(reader),
    }
}

/// A secret that is given but empty is refused rather than read as "none": whoever wrote it believes that
/// the server is guarded. An empty pair of name and password is what the original's examples carry, and only
/// warned about.
fn auth(reader: &mut Reader<'_>) -> AuthSettings {
    let given = |raw: &Raw| raw.origin != Origin::Default;
    let token = reader.raw("GIGAPI_SECRET");
    if given(&token) && token.text.is_empty() {
        let setting = reader.descriptor("GIGAPI_SECRET");
        reader.refuse(setting, &token, "is empty; give it a text or remove it");
    }
    let (name, password) = (reader.raw("HTTP_BASIC_AUTH_USERNAME"), reader.raw("HTTP_BASIC_AUTH_PASSWORD"));
    match (name.text.is_empty(), password.text.is_empty()) {
        (true, true) if given(&name) || given(&password) => reader
            .warnings
            .push("HTTP_BASIC_AUTH_USERNAME and HTTP_BASIC_AUTH_PASSWORD are empty, so they guard nothing".to_owned()),
        (false, true) => {
            let setting = reader.descriptor("HTTP_BASIC_AUTH_PASSWORD");
            reader.refuse(setting, &password, "is empty although HTTP_BASIC_AUTH_USERNAME is given");
        }
        (true, false) => {
            let setting = reader.descriptor("HTTP_BASIC_AUTH_USERNAME");
            reader.refuse(setting, &name, "is empty although HTTP_BASIC_AUTH_PASSWORD is given");
        }
        _ => {}
    }
    if name.text.contains(':') {
        let setting = reader.descriptor("HTTP_BASIC_AUTH_USERNAME");
        reader.refuse(setting, &name, "holds a colon, which ends the name in basic authentication");
    }
    let user = (!name.text.is_empty() && !password.text.is_empty())
        .then(|| UserCredentials { name: Secret::new(name.text), password: Secret::new(password.text) });
    AuthSettings { user, token: (!token.text.is_empty()).then(|| Secret::new(token.text)) }
}
