//! The way to Redis: one server or a cluster, plain or TLS, with timeouts that are settings.
//!
//! Connections are shared and reconnect by themselves. A command whose answer was lost may have been run: this
//! module repeats none. It asks, once at the start, whether the server keeps what it acknowledged.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::cluster::ClusterClientBuilder;
use redis::cluster_async::ClusterConnection;
use redis::{Client, Cmd, ErrorKind, FromRedisValue, RedisError, Script, ServerErrorKind};

use crate::{Error, Result};

/// How Redis is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RedisOptions {
    /// What every key begins with, so that several installations may share a server.
    pub prefix: String,
    /// How long one command may take.
    pub response_timeout: Duration,
    /// How long connecting may take.
    pub connection_timeout: Duration,
    /// Whether a server that may lose acknowledged changes is accepted.
    pub accept_unsafe: bool,
}

impl Default for RedisOptions {
    fn default() -> Self {
        Self {
            prefix: "gigapi".to_owned(),
            response_timeout: Duration::from_secs(5),
            connection_timeout: Duration::from_secs(5),
            accept_unsafe: false,
        }
    }
}

/// A handle; cheap to clone.
#[derive(Clone)]
pub(super) struct Connection {
    link: Link,
    round_trips: Arc<AtomicU64>,
}

#[derive(Clone)]
enum Link {
    Single(ConnectionManager),
    Cluster(ClusterConnection),
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.link {
            Link::Single(_) => "Connection::Single",
            Link::Cluster(_) => "Connection::Cluster",
        })
    }
}

impl Connection {
    /// Connects to `redis://` or `rediss://`; several URLs, divided by commas, are nodes of a cluster.
    pub(super) async fn open(url: &str, options: &RedisOptions) -> Result<Self> {
        let nodes: Vec<&str> = url.split(',').map(str::trim).filter(|node| !node.is_empty()).collect();
        let link = match nodes.as_slice() {
            [] => return Err(Error::Unusable { reason: "its URL is empty; give redis://host:port".to_owned() }),
            [one] => Link::Single(single(one, options).await?.0),
            nodes => Link::Cluster(cluster(nodes, options).await?),
        };
        let connection = Self { link, round_trips: Arc::default() };
        if !options.accept_unsafe {
            connection.check_persistence().await?;
        }
        Ok(connection)
    }

    /// Commands and scripts sent so far.
    pub(super) fn round_trips(&self) -> u64 {
        self.round_trips.load(Ordering::Relaxed)
    }

    /// Runs one command.
    pub(super) async fn run<T: FromRedisValue>(&self, command: &Cmd) -> Result<T> {
        self.round_trips.fetch_add(1, Ordering::Relaxed);
        match &self.link {
            Link::Single(connection) => command.query_async(&mut connection.clone()).await,
            Link::Cluster(connection) => command.query_async(&mut connection.clone()).await,
        }
        .map_err(unavailable)
    }

    /// Runs a script by its hash, and by its text where the server does not know it (a restart, a failover).
    pub(super) async fn script<T: FromRedisValue>(
        &self,
        script: &Script,
        keys: &[&str],
        arguments: &[Vec<u8>],
    ) -> Result<T> {
        let mut invocation = script.prepare_invoke();
        keys.iter().for_each(|key| {
            invocation.key(*key);
        });
        arguments.iter().for_each(|argument| {
            invocation.arg(argument.as_slice());
        });
        self.round_trips.fetch_add(1, Ordering::Relaxed);
        match &self.link {
            Link::Single(connection) => invocation.invoke_async(&mut connection.clone()).await,
            Link::Cluster(connection) => invocation.invoke_async(&mut connection.clone()).await,
        }
        .map_err(unavailable)
    }

    /// Refuses a server whose settings say that it may lose what it acknowledged, and says what to set.
    async fn check_persistence(&self) -> Result<()> {
        for (setting, wanted) in [("appendonly", "yes"), ("appendfsync", "always"), ("maxmemory-policy", "noeviction")]
        {
            let found = self.setting(setting).await?;
            if found.iter().any(|value| value != wanted) {
                return Err(Error::Unusable {
                    reason: format!(
                        "Redis has {setting} {}, which may lose acknowledged changes; run CONFIG SET {setting} {wanted} and put it into redis.conf, or accept the loss with GIGAPI_METADATA_UNSAFE=true",
                        found.join(", ")
                    ),
                });
            }
        }
        Ok(())
    }

    /// The setting's value on every server.
    async fn setting(&self, name: &str) -> Result<Vec<String>> {
        let mut command = redis::cmd("CONFIG");
        command.arg("GET").arg(name);
        let answer: redis::Value = self.run(&command).await?;
        let mut values = Vec::new();
        collect_setting(&answer, name, &mut values);
        if values.is_empty() {
            return Err(Error::Unusable {
                reason: format!(
                    "Redis does not tell its {name}; allow the user CONFIG GET, or accept the risk with GIGAPI_METADATA_UNSAFE=true"
                ),
            });
        }
        Ok(values)
    }
}

/// Finds `name` and its value in an answer that a cluster may have wrapped node by node.
fn collect_setting(answer: &redis::Value, name: &str, values: &mut Vec<String>) {
    let text = |value: &redis::Value| String::from_redis_value_ref(value).ok();
    match answer {
        redis::Value::Array(items) => {
            if let [first, second] = items.as_slice()
                && text(first).as_deref() == Some(name)
            {
                values.extend(text(second));
            } else {
                items.iter().for_each(|item| collect_setting(item, name, values));
            }
        }
        redis::Value::Map(pairs) => {
            for (key, value) in pairs {
                if text(key).as_deref() == Some(name) {
                    values.extend(text(value));
                } else {
                    collect_setting(value, name, values);
                }
            }
        }
        _ => {}
    }
}

/// One server, and its address.
async fn single(url: &str, options: &RedisOptions) -> Result<(ConnectionManager, String)> {
    let client = Client::open(url).map_err(|error| unreachable(&error, "its URL"))?;
    // Without user and password, which the URL may hold.
    let address = client.get_connection_info().addr().to_string();
    let config = ConnectionManagerConfig::new()
        .set_response_timeout(Some(options.response_timeout))
        .set_connection_timeout(Some(options.connection_timeout))
        .set_number_of_retries(2);
    match ConnectionManager::new_with_config(client, config).await {
        Ok(connection) => Ok((connection, address)),
        Err(error) => Err(unreachable(&error, &address)),
    }
}

async fn cluster(nodes: &[&str], options: &RedisOptions) -> Result<ClusterConnection> {
    let client = ClusterClientBuilder::new(nodes.iter().copied())
        .response_timeout(options.response_timeout)
        .connection_timeout(options.connection_timeout)
        .retries(3)
        .build()
        .map_err(|error| unreachable(&error, "its URLs"))?;
    let error = match client.get_async_connection().await {
        Ok(connection) => return Ok(connection),
        Err(error) => error,
    };
    // That says no more than that no node could be used; a node that is asked by itself says why.
    for node in nodes {
        if let Err(refused @ Error::Unusable { .. }) = ping(node, options).await {
            return Err(refused);
        }
    }
    Err(unreachable(&error, "the cluster's nodes"))
}

async fn ping(node: &str, options: &RedisOptions) -> Result<()> {
    let (mut connection, address) = single(node, options).await?;
    let asked: redis::RedisResult<redis::Value> = redis::cmd("PING").query_async(&mut connection).await;
    asked.map(drop).map_err(|error| unreachable(&error, &address))
}

/// No connection could be made: because nobody is there yet, or because whoever is there refuses.
fn unreachable(error: &RedisError, address: &str) -> Error {
    let reason = format!("Redis at {address}: {error}; start it, or correct the address, user or password in its URL");
    let is_away = match error.kind() {
        ErrorKind::Io | ErrorKind::ClusterConnectionNotFound => true,
        ErrorKind::Server(kind) => matches!(
            kind,
            ServerErrorKind::BusyLoading
                | ServerErrorKind::ClusterDown
                | ServerErrorKind::MasterDown
                | ServerErrorKind::TryAgain
        ),
        _ => false,
    };
    if is_away { Error::Unavailable { reason } } else { Error::Unusable { reason } }
}

/// Everything that Redis says is "not now": the change may or may not have been made.
pub(super) fn unavailable(error: RedisError) -> Error {
    let advice = match error.kind() {
        ErrorKind::AuthenticationFailed => "; correct user and password in the URL",
        ErrorKind::Server(ServerErrorKind::ReadOnly) => "; it is a replica: point the URL to the primary",
        ErrorKind::Server(ServerErrorKind::BusyLoading) => "; it is loading its data, wait",
        ErrorKind::Server(ServerErrorKind::NoPerm) => "; give the user the rights to these commands and keys",
        _ => "",
    };
    Error::Unavailable { reason: format!("Redis: {error}{advice}") }
}

/// An answer that none of our scripts gives.
pub(super) fn unexpected(what: &str) -> Error {
    Error::Corrupt { reason: format!("Redis answered {what} in a form that this program does not know") }
}
