//! What tests and benchmarks share: real server processes on free ports, and a client for them.
//!
//! Servers are stopped by their process id when their handle goes. A missing binary is an error, never a
//! reason to skip.

mod background;
mod certificates;
mod chaos;
mod client;
mod cluster;
mod ledger;
mod live;
mod patience;
mod ports;
mod proxy;
mod redis;
mod s3;
mod server;
mod terminal;

pub use certificates::Certificates;
pub use chaos::{Chaos, Disturbance, disturbances};
pub use client::{Answer, Client};
pub use cluster::{Binaries, CatalogKind, Cluster, ClusterBuilder, LayerKind, Member, Process, Role};
pub use ledger::{Fate, Flaw, Ledger, Request, Verdict, Writing};
pub use live::{Embedded, LiveFile};
pub use patience::until;
pub use ports::free_port;
pub use proxy::{Fault, Proxy};
pub use redis::{Redis, RedisCluster, RedisCopy};
pub use s3::{Account, Counts, Moto, S3, S3Fault};
pub use server::{Server, ServerOptions, binary, binary_named};
pub use terminal::Terminal;
