//! What the program needs to know, in its own terms.
//!
//! These are plain data: checked, with units in their types, and nothing to look up. `Debug` shows no secret
//! because secrets are kept in [`Secret`].

use std::path::PathBuf;
use std::time::Duration;

use gigapi_storage::{CacheSettings, LayerSettings};

use super::kinds::{Consistency, DefaultKey, Durability, LogFormat, Mode};
use crate::Secret;

/// All settings of one process.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// The folder of data, catalog and write-ahead log, as it was typed.
    pub root: PathBuf,
    /// Which part this process plays.
    pub mode: Mode,
    /// The HTTP server.
    pub http: HttpSettings,
    /// FlightSQL's own port.
    pub flight: FlightSettings,
    /// Who may call.
    pub auth: AuthSettings,
    /// What is logged.
    pub log: LogSettings,
    /// The catalog.
    pub metadata: MetadataSettings,
    /// The writer.
    pub writer: WriterSettings,
    /// The compactor.
    pub compactor: CompactorSettings,
    /// The querier.
    pub query: QuerySettings,
    /// Limits on what clients send.
    pub limits: Limits,
    /// The layers that files lie on, from the newest data to the oldest; at least one.
    pub layers: Vec<LayerSettings>,
    /// The read cache for layers that are not on this machine.
    pub cache: CacheSettings,
}

/// The HTTP server.
#[derive(Debug, Clone, PartialEq)]
pub struct HttpSettings {
    /// An IP address without brackets, or a host name.
    pub host: String,
    /// The port; 0 lets the system choose.
    pub port: u16,
    /// Whether somebody chose the port; if not, a second default port may be opened.
    pub port_given: bool,
    /// Whether the web interface is served.
    pub ui: bool,
    /// Open connections; more get 503.
    pub connections_max: usize,
    /// For a request's head.
    pub header_timeout: Duration,
    /// Between two pieces of a request's body.
    pub body_idle_timeout: Duration,
    /// Between two requests on one connection.
    pub keep_alive_timeout: Duration,
    /// For requests in flight at shutdown.
    pub drain_timeout: Duration,
}

/// FlightSQL's own port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlightSettings {
    /// Whether it is opened. The HTTP port speaks FlightSQL all the same.
    pub enabled: bool,
    /// The port; 0 lets the system choose.
    pub port: u16,
    /// Whether somebody chose the port; if not, the process does without where it is taken.
    pub port_given: bool,
}

/// Who may call. With neither, everybody may.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthSettings {
    /// A user name and password.
    pub user: Option<UserCredentials>,
    /// A token with all rights.
    pub token: Option<Secret>,
}

/// A user name and password. The name is hidden too: clients that only have a token put it there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserCredentials {
    /// The name; holds no colon.
    pub name: Secret,
    /// The password.
    pub password: Secret,
}

/// What is logged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogSettings {
    /// A level, or a comma-separated list of `level` and `module=level`; valid by construction.
    pub filter: String,
    /// How lines look.
    pub format: LogFormat,
}

/// The catalog.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetadataSettings {
    /// The folder of the embedded catalog.
    pub folder: PathBuf,
    /// The address of the catalog in Redis, which then takes the embedded one's place.
    pub redis: Option<Secret>,
    /// How long one request to Redis may take.
    pub timeout: Duration,
    /// Whether a catalog that may lose acknowledged changes is accepted.
    pub accept_unsafe: bool,
    /// How long a removed file stays for queries that hold an older snapshot.
    pub delete_grace: Duration,
}

/// The writer.
#[derive(Debug, Clone, PartialEq)]
pub struct WriterSettings {
    /// What tells this writer's log from others' where several share a catalog; none: the host's name.
    pub name: Option<String>,
    /// Where queriers reach it, as a host with or without a port, or an IP address; none: where it listens.
    pub address: Option<String>,
    /// What a write has survived when it is acknowledged, where the request does not say.
    pub durability: Durability,
    /// How long rows wait in the buffer.
    pub save_timeout: Duration,
    /// The key of tables that line protocol makes.
    pub default_key: DefaultKey,
    /// Whether to start although the write-ahead log of an earlier run is gone.
    pub accept_wal_loss: bool,
    /// Bytes of rows waiting to be flushed.
    pub buffer_bytes_max: usize,
    /// Bytes of write-ahead log on disk.
    pub wal_bytes_max: u64,
}

/// The compactor.
#[derive(Debug, Clone, PartialEq)]
pub struct CompactorSettings {
    /// Whether files are merged.
    pub merges: bool,
    /// Between merges of level 1.
    pub merge_timeout: Duration,
    /// Jobs at once; `None` follows the machine.
    pub parallelism: Option<usize>,
    /// Bytes of memory that all merges share; `None` follows the machine.
    pub memory_bytes_max: Option<u64>,
    /// Bytes that all jobs read and write in a second; `None` is unlimited.
    pub bytes_per_second: Option<u64>,
    /// How long a claim on files holds without being renewed.
    pub lease: Duration,
}

/// The querier.
#[derive(Debug, Clone, PartialEq)]
pub struct QuerySettings {
    /// Bytes of memory; `None` follows the machine.
    pub memory_bytes_max: Option<usize>,
    /// The part of it that one query may take; `None` is half.
    pub memory_bytes_max_each: Option<usize>,
    /// Threads; `None` follows the machine.
    pub threads: Option<usize>,
    /// For one query; `None` is unlimited.
    pub timeout: Option<Duration>,
    /// Queries at once; `None` follows the machine.
    pub concurrency_max: Option<usize>,
    /// How long a query waits for its turn.
    pub queue_wait: Duration,
    /// Rows of one answer; `None` is unlimited.
    pub rows_max: Option<u64>,
    /// How old a query's view of a table may be.
    pub snapshot_age_max: Duration,
    /// Whether a query sees rows of other processes that are in no file yet, where it does not say.
    pub consistency: Consistency,
    /// Bytes of one query's text.
    pub sql_bytes_max: usize,
}

/// Limits on what clients send and make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a body as it is sent.
    pub body_bytes_max: usize,
    /// Bytes of a body after decompression.
    pub decompressed_bytes_max: usize,
    /// Bytes of one line.
    pub line_bytes_max: usize,
    /// Bytes of one tag value.
    pub tag_value_bytes_max: usize,
    /// New columns in one request.
    pub new_columns_max: usize,
    /// Columns of a table.
    pub columns_max: usize,
    /// Tables of a database.
    pub tables_max: usize,
    /// Databases.
    pub databases_max: usize,
}
