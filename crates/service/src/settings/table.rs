//! The list of all settings: the one source of their names, defaults and explanations.
//!
//! Loading, `check-config` and the settings table of the README are all driven by [`SETTINGS`]; a setting
//! that is not here does not exist. Layers repeat, so their parts are listed apart in [`LAYER_PARTS`].

/// How a setting's value is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// As it is.
    Plain,
    /// Never.
    Redacted,
    /// As a URL without user, password and query values.
    Scrubbed,
}

/// One setting.
#[derive(Debug, Clone, Copy)]
pub struct Descriptor {
    /// Its name as an environment variable.
    pub name: &'static str,
    /// Other names that are accepted for it; the name wins over them.
    pub aliases: &'static [&'static str],
    /// The value where none is given; empty is none.
    pub default: &'static str,
    /// What it takes, as a phrase.
    pub allowed: &'static str,
    /// What it does, as one sentence.
    pub help: &'static str,
    /// How its value is shown.
    pub shown: Shown,
    /// What it is about, if this version does not have that.
    pub absent: Option<Absent>,
}

/// What a setting is about and this version does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Absent {
    /// As a sentence.
    pub what: &'static str,
    /// A switch by its name, and the value with which nothing is missed.
    pub unless: Option<(&'static str, bool)>,
}

impl Descriptor {
    /// What it does, or that it does nothing.
    pub fn explanation(&self) -> String {
        match self.absent {
            Some(_) => format!("{}; no effect yet.", self.help.trim_end_matches('.')),
            None => self.help.to_owned(),
        }
    }

    /// The key in a configuration file: the name in lower case without the program's prefix.
    pub fn file_key(&self) -> String {
        file_key(self.name)
    }

    /// Whether `name` is this setting's name or one of its aliases, as a variable or as a file key.
    pub(crate) fn is_called(&self, name: &str) -> bool {
        std::iter::once(&self.name)
            .chain(self.aliases)
            .any(|known| known.eq_ignore_ascii_case(name) || file_key(known).eq_ignore_ascii_case(name))
    }
}

pub(crate) fn file_key(name: &str) -> String {
    name.strip_prefix("GIGAPI_").unwrap_or(name).to_ascii_lowercase()
}

const fn setting(name: &'static str, default: &'static str, allowed: &'static str, help: &'static str) -> Descriptor {
    Descriptor { name, aliases: &[], default, allowed, help, shown: Shown::Plain, absent: None }
}

impl Descriptor {
    const fn also(mut self, aliases: &'static [&'static str]) -> Self {
        self.aliases = aliases;
        self
    }

    const fn shown(mut self, shown: Shown) -> Self {
        self.shown = shown;
        self
    }

    const fn absent(mut self, absent: Absent) -> Self {
        self.absent = Some(absent);
        self
    }
}

const NO_UI: Absent = Absent { what: "there is no web interface", unless: Some(("GIGAPI_UI", false)) };

const SWITCH: &str = "true or false";
const SIZE: &str = "a size above zero, as 1048576, 64MiB or 1GB";
const AUTO_SIZE: &str = "auto, or a size above zero, as 4GiB";
const COUNT: &str = "a whole number of at least 1";
const AUTO_COUNT: &str = "auto, or a whole number of at least 1";
const COUNT_OR_UNLIMITED: &str = "a whole number; 0 is unlimited";
const SECONDS: &str = "seconds above zero, fractions count; or a duration, as 500ms or 2m";
const SECONDS_OR_NEVER: &str = "seconds, fractions count; or a duration, as 500ms or 2m; 0 is never";
const SECONDS_OR_NONE: &str = "seconds, fractions count; or a duration, as 500ms or 2m";
const AUTO_SECONDS: &str = "auto, or seconds above zero, fractions count; or a duration, as 500ms or 2m";
const PORT: &str = "a port, 0 to 65535; 0 lets the system choose";

/// All settings but the layers, in the order in which they are explained.
pub const SETTINGS: &[Descriptor] = &[
    setting("GIGAPI_ROOT", "./data", "a folder", "The folder of the data, the catalog and the write-ahead log.")
        .also(&["DATA_DIR"]),
    setting("GIGAPI_MODE", "aio", "aio, writeonly, readonly or compaction", "Which part this process plays."),
    setting("GIGAPI_ENABLED", "true", SWITCH, "Accepted for compatibility; has no effect."),
    setting("GIGAPI_UI", "true", SWITCH, "Whether the web interface is served.").absent(NO_UI),
    setting(
        "HTTP_HOST",
        "[::]",
        "an address or host name; [::] is every address, 0.0.0.0 every IPv4 address",
        "Where to listen.",
    )
    .also(&["HOST"]),
    setting("HTTP_PORT", "7971", PORT, "The port of HTTP.").also(&["PORT"]),
    setting(
        "FLIGHTSQL_ENABLE",
        "true",
        SWITCH,
        "Whether FlightSQL has a port of its own; the HTTP port of a process that answers queries speaks it in any case.",
    ),
    setting(
        "FLIGHTSQL_PORT",
        "8082",
        PORT,
        "The port of FlightSQL. If nobody sets it and it is taken, FlightSQL is on the HTTP port only.",
    ),
    setting(
        "HTTP_BASIC_AUTH_USERNAME",
        "",
        "a user name without a colon",
        "Clients must give this user name; needs the password too.",
    )
    .shown(Shown::Redacted),
    setting("HTTP_BASIC_AUTH_PASSWORD", "", "a password", "Clients must give this password; needs the user name too.")
        .shown(Shown::Redacted),
    setting("GIGAPI_SECRET", "", "a text", "A token with all rights.").shown(Shown::Redacted),
    setting(
        "LOGLEVEL",
        "info",
        "off, error, warn, info, debug, trace, or a list as info,gigapi_writer=debug",
        "What is logged.",
    ),
    setting("LOG_FORMAT", "text", "text or json", "How log lines look."),
    setting("GIGAPI_METADATA_TYPE", "embedded", "embedded (also called json) or redis", "Where the catalog lives."),
    setting(
        "GIGAPI_METADATA_URL",
        "",
        "redis://[user:password@]host:port[/database], rediss:// with TLS; nodes of a cluster divided by commas",
        "The catalog's address; the embedded catalog has none.",
    )
    .shown(Shown::Scrubbed),
    setting("GIGAPI_METADATA_TIMEOUT_S", "5", SECONDS, "How long one request to the catalog in Redis may take."),
    setting(
        "GIGAPI_METADATA_UNSAFE",
        "false",
        SWITCH,
        "Whether a catalog that may lose acknowledged changes is accepted.",
    ),
    setting(
        "GIGAPI_DELETE_GRACE_S",
        "auto",
        AUTO_SECONDS,
        "How long a file that was replaced or dropped stays for queries that still read it: at least GIGAPI_QUERY_TIMEOUT_S + GIGAPI_SNAPSHOT_AGE_S + a minute, which is auto, though not below 7 minutes; a day if queries have no limit.",
    ),
    setting(
        "GIGAPI_WRITER_NAME",
        "",
        "a text",
        "What tells this writer from others that share a catalog in Redis; the host's name if empty.",
    ),
    setting(
        "GIGAPI_WRITER_ADDRESS",
        "",
        "host:port, or a host or an IP address with the port of HTTP",
        "Where queriers reach this writer for rows that are in no file yet; HTTP_HOST if empty, or the host's name where that is every address.",
    ),
    setting("GIGAPI_DURABILITY", "wal", "memory, wal or commit", "What a write has survived when it is acknowledged."),
    setting("GIGAPI_SAVE_TIMEOUT_S", "1.0", SECONDS, "How long rows wait in the buffer before they are flushed."),
    setting(
        "GIGAPI_ALLOW_SAVE_TO_HD",
        "true",
        "true",
        "Accepted for compatibility; writing to disk cannot be switched off.",
    ),
    setting(
        "GIGAPI_DEFAULT_KEY",
        "tags",
        "tags or none",
        "The key of tables that line protocol makes: tags and time, or none.",
    ),
    setting(
        "GIGAPI_ACCEPT_WAL_LOSS",
        "false",
        SWITCH,
        "Whether to start although the write-ahead log of an earlier run is gone.",
    ),
    setting(
        "GIGAPI_BUFFER_BYTES_MAX",
        "512MiB",
        SIZE,
        "Bytes of rows waiting to be flushed, above which writes get 503.",
    ),
    setting("GIGAPI_WAL_BYTES_MAX", "4GiB", SIZE, "Bytes of write-ahead log, above which writes get 503."),
    setting(
        "GIGAPI_NO_MERGES",
        "false",
        SWITCH,
        "Whether merging is switched off; files still move, end and are deleted.",
    ),
    setting(
        "GIGAPI_MERGE_TIMEOUT_S",
        "10",
        SECONDS,
        "How often level 1 is merged; level 2 ten times, level 3 a hundred times as rarely.",
    ),
    setting(
        "GIGAPI_COMPACTOR_PARALLELISM",
        "auto",
        AUTO_COUNT,
        "How many merges run at once; auto is half of the cores, and one beside a writer.",
    ),
    setting(
        "GIGAPI_COMPACTOR_MEMORY",
        "auto",
        "auto, or a size of at least 64MiB, as 512MiB",
        "Memory that all merges share; auto is 384MiB.",
    ),
    setting(
        "GIGAPI_COMPACTOR_BANDWIDTH",
        "0",
        "a size above zero, as 50MiB; 0 is unlimited",
        "Bytes that merges read and write together in a second.",
    ),
    setting(
        "GIGAPI_COMPACTOR_LEASE_S",
        "60",
        SECONDS,
        "How long files stay claimed by a compactor that is not heard of.",
    ),
    setting("GIGAPI_QUERY_MEMORY", "auto", AUTO_SIZE, "Memory for queries, above which they spill or fail.")
        .also(&["DUCKDB_MEM_LIMIT"]),
    setting(
        "GIGAPI_QUERY_MEMORY_EACH",
        "auto",
        AUTO_SIZE,
        "The part of it that one query may take; auto is half of GIGAPI_QUERY_MEMORY.",
    ),
    setting("GIGAPI_QUERY_THREADS", "auto", AUTO_COUNT, "Threads for queries.").also(&["DUCKDB_THREAD_LIMIT"]),
    setting("GIGAPI_QUERY_TIMEOUT_S", "300", SECONDS_OR_NEVER, "How long one query may run."),
    setting("GIGAPI_QUERY_CONCURRENCY", "auto", AUTO_COUNT, "How many queries run at once; more wait for their turn."),
    setting("GIGAPI_QUERY_QUEUE_S", "5", SECONDS_OR_NONE, "How long a query waits for its turn before it gets 503."),
    setting("GIGAPI_QUERY_ROWS_MAX", "0", COUNT_OR_UNLIMITED, "Rows of one answer, above which the query fails."),
    setting(
        "GIGAPI_SNAPSHOT_AGE_S",
        "0",
        SECONDS_OR_NONE,
        "How old a query's view of a table may be before Redis is asked again; 0 sees every earlier commit.",
    ),
    setting(
        "GIGAPI_QUERY_CONSISTENCY",
        "committed",
        "committed, tail or tail_best_effort",
        "Which rows a query sees that does not say: those in files, or with tail also those that other processes' writers still hold; an unreachable writer is then an error, or named in a header.",
    ),
    setting("GIGAPI_SQL_BYTES_MAX", "1MiB", SIZE, "Bytes of one query's text."),
    setting(
        "GIGAPI_CACHE_BYTES_MAX",
        "auto",
        "auto, a size of at least 64MiB, or 0 for no cache",
        "Disk space for the read cache of layers in S3; auto is a tenth of what is free, 64MiB to 32GiB.",
    ),
    setting("GIGAPI_S3_CONNECT_TIMEOUT_S", "5", SECONDS, "How long a connection to S3 may take."),
    setting(
        "GIGAPI_S3_REQUEST_TIMEOUT_S",
        "30",
        SECONDS,
        "How long one attempt of a request to S3 may take, its body included.",
    ),
    setting(
        "GIGAPI_S3_RETRY_TIMEOUT_S",
        "60",
        SECONDS,
        "No attempt of a request to S3 starts later than this after the first.",
    ),
    setting(
        "GIGAPI_S3_RETRIES_MAX",
        "10",
        "a whole number; 0 is none",
        "Attempts of a request to S3 after the first, with growing random waits between them.",
    ),
    setting("GIGAPI_BODY_BYTES_MAX", "25MiB", SIZE, "Bytes of a request's body as it is sent."),
    setting("GIGAPI_DECOMPRESSED_BYTES_MAX", "64MiB", SIZE, "Bytes of a request's body after decompression."),
    setting("GIGAPI_LINE_BYTES_MAX", "1MiB", SIZE, "Bytes of one line of line protocol."),
    setting("GIGAPI_TAG_VALUE_BYTES_MAX", "64KiB", SIZE, "Bytes of one tag value."),
    setting("GIGAPI_NEW_COLUMNS_MAX", "100", COUNT, "New columns in one request."),
    setting("GIGAPI_COLUMNS_MAX", "1000", COUNT, "Columns of a table."),
    setting("GIGAPI_TABLES_MAX", "10000", COUNT, "Tables of a database."),
    setting("GIGAPI_DATABASES_MAX", "1000", COUNT, "Databases."),
    setting("GIGAPI_CONNECTIONS_MAX", "4096", COUNT, "Open connections; more get 503."),
    setting("GIGAPI_HEADER_TIMEOUT_S", "10", SECONDS, "How long a client may take to send a request's head."),
    setting("GIGAPI_BODY_IDLE_TIMEOUT_S", "15", SECONDS, "How long a client may pause while it sends a body."),
    setting("GIGAPI_KEEP_ALIVE_TIMEOUT_S", "90", SECONDS, "How long a connection may stay open between two requests."),
    setting("GIGAPI_DRAIN_TIMEOUT_S", "30", SECONDS, "How long requests in flight may take to finish at shutdown."),
];

/// The parts of layer `<i>`: `GIGAPI_LAYERS_<i>_<NAME>`, also `GIGAPI_LAYER_<i>_<NAME>`.
pub const LAYER_PARTS: &[Descriptor] = &[
    setting("NAME", "", "1 to 64 of the characters a-z A-Z 0-9 _ -", "The layer's name; needed."),
    setting("TYPE", "fs", "fs or s3", "What holds the layer's objects: a folder or a bucket."),
    setting(
        "URL",
        "",
        "a folder, as /data/hot or file:///data/hot; or s3://endpoint:port/bucket/prefix, with secure=false (true), url-style=path (vhost) and region=eu-west-1 as parameters",
        "Where the layer lies; needed. HTTPS trusts the system's roots, or those in the file that SSL_CERT_FILE names; proxies are not used.",
    )
    .shown(Shown::Scrubbed),
    setting(
        "GLOBAL",
        "false",
        SWITCH,
        "Whether all processes reach the layer under the same URL. With a catalog in Redis, files go to layers that are global, and a folder before them that is not is the read cache.",
    ),
    setting(
        "TTL",
        "0",
        "a duration, as 30s, 10m, 12h, 7d or 4w; 0 is never",
        "How old data gets before it moves to the next layer, or ends.",
    ),
    setting(
        "AUTH_KEY",
        "",
        "a text",
        "The access key of a layer in S3. Without, the environment's credentials are used: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a web identity, or the role of the container or the instance.",
    )
    .shown(Shown::Redacted),
    setting("AUTH_SECRET", "", "a text", "The secret key of a layer in S3.").shown(Shown::Redacted),
];

/// The setting of that exact name.
pub(crate) fn descriptor(name: &str) -> Option<&'static Descriptor> {
    SETTINGS.iter().find(|setting| setting.name == name)
}
