//! Three Redis servers that share the slots.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::Redis;
use crate::patience::until;
use crate::ports::free_port;

/// How long the nodes may take to agree.
const PATIENCE: Duration = Duration::from_secs(60);

/// A cluster of three masters; nobody stands in for one that is gone.
#[derive(Debug)]
pub struct RedisCluster {
    nodes: Vec<Redis>,
}

impl RedisCluster {
    /// Starts three nodes and gives each a third of the slots.
    pub async fn start() -> Result<Self> {
        let mut nodes = Vec::new();
        for _ in 0..3 {
            // A node that is away for a second is away; slots that are not served do not stop those that are.
            let timeout = ["--cluster-node-timeout", "1000", "--cluster-require-full-coverage", "no"];
            let bus = free_port().to_string();
            let own = ["--cluster-enabled", "yes", "--cluster-port", &bus];
            nodes.push(Redis::start_with(&[own.as_slice(), &timeout].concat()).await?);
        }
        let mut command = Command::new("redis-cli");
        command.args(["--cluster", "create"]).args(nodes.iter().map(Redis::address)).arg("--cluster-yes");
        let made = command.output().context("redis-cli cannot be started; it comes with redis-server")?;
        if !made.status.success() {
            bail!("the cluster cannot be made: {}", String::from_utf8_lossy(&made.stdout));
        }
        let cluster = Self { nodes };
        cluster.until_whole().await?;
        Ok(cluster)
    }

    /// Waits until every node sees every other and all slots are served.
    pub async fn until_whole(&self) -> Result<()> {
        let whole = async || {
            let infos = self.nodes.iter().map(|node| node.command(&["CLUSTER", "INFO"]));
            Ok(infos.into_iter().all(|info| {
                info.is_ok_and(|info| info.contains("cluster_state:ok") && info.contains("cluster_slots_ok:16384"))
            }))
        };
        until("a Redis cluster that is whole", PATIENCE, whole).await
    }

    /// The nodes' URLs, divided by commas.
    pub fn url(&self) -> String {
        self.nodes.iter().map(Redis::url).collect::<Vec<_>>().join(",")
    }

    /// One of the three nodes, to be killed and started again.
    pub fn node(&mut self, index: usize) -> &mut Redis {
        &mut self.nodes[index]
    }

    /// The node that serves a key.
    pub fn node_of(&mut self, key: &str) -> Result<&mut Redis> {
        let serving = self.nodes.iter().position(|node| node.command(&["EXISTS", key]).is_ok());
        Ok(&mut self.nodes[serving.context("no node serves the key")?])
    }
}
