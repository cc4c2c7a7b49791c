//! Disturbances of a cluster, one after the other, chosen by dice with a known seed.
//!
//! Each begins and ends: a killed process is started again, a cut link restored. Between two of them every client of
//! the ledger has to see a write acknowledged, so the cluster is known to have come back. Processes that end by
//! themselves are started again, as a supervisor would, and remembered: whether they may is the test's to say.

use std::time::Duration;

use anyhow::{Context, Result};
use fastrand::Rng;

use crate::{Cluster, Fault, Ledger, Member, Role, S3Fault, Writing, until};

/// The shortest time that a fault lasts.
const LASTS_MIN: Duration = Duration::from_millis(20);

/// How long a process may take from its start to its first answer.
const START_MAX: Duration = Duration::from_secs(60);

/// How many things go wrong in a test that says `usual`: `GIGAPI_KILL_CYCLES`, if that is set, as a soak does.
pub fn disturbances(usual: u32) -> u32 {
    let wanted = std::env::var("GIGAPI_KILL_CYCLES").ok();
    wanted.map_or(usual, |text| text.parse().unwrap_or_else(|_| panic!("GIGAPI_KILL_CYCLES={text} is no number")))
}

/// Something that may happen to a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disturbance {
    /// kill -9 of a process, which is started again after a while.
    Kill,
    /// SIGTERM of a process, which has to end with success and is started again.
    Terminate,
    /// A process that does nothing for a while and does not know.
    Pause,
    /// kill -9 of Redis, which is started again after a while.
    KillRedis,
    /// A Redis that answers nothing for a while.
    PauseRedis,
    /// A Redis that has forgotten everything.
    EmptyRedis,
    /// A Redis that is what it was a while ago.
    RollBackRedis,
    /// No connection between a process and Redis.
    CutRedis,
    /// Silence between a process and Redis.
    SilenceRedis,
    /// A Redis that answers a process late, by 200 ms to 1 s.
    SlowRedis,
    /// No connection between a process and S3.
    CutS3,
    /// Silence between a process and S3.
    SilenceS3,
    /// 1 kB/s between a process and S3.
    SlowS3,
    /// An S3 that answers 10 % of requests with 5xx, 2 % with 500 after having done them, and resets 2 %.
    BadS3,
}

/// The dice, and what they said so far.
#[derive(Debug)]
pub struct Chaos {
    seed: u64,
    random: Rng,
    kinds: Vec<Disturbance>,
    lasts_max: Duration,
    history: Vec<String>,
    ended: Vec<String>,
}

impl Chaos {
    /// Disturbances of these kinds, each as likely as the others; faults last for up to a second and a half. What
    /// `GIGAPI_CHAOS_SEED` says is added to the seed, so that a test can be run with other dice.
    pub fn new(seed: u64, kinds: &[Disturbance]) -> Self {
        let added = std::env::var("GIGAPI_CHAOS_SEED").ok();
        let parsed = |text: String| text.parse().unwrap_or_else(|_| panic!("GIGAPI_CHAOS_SEED={text} is no number"));
        let seed = seed.wrapping_add(added.map_or(0_u64, parsed));
        let (random, lasts_max) = (Rng::with_seed(seed), Duration::from_millis(1500));
        Self { seed, random, kinds: kinds.to_vec(), lasts_max, history: Vec::new(), ended: Vec::new() }
    }

    /// Faults last for up to that long.
    #[must_use]
    pub fn lasting(self, lasts_max: Duration) -> Self {
        Self { lasts_max, ..self }
    }

    /// What was done so far, in words.
    pub fn history(&self) -> &[String] {
        &self.history
    }

    /// Processes that ended by themselves, with how.
    pub fn ended_by_themselves(&self) -> &[String] {
        &self.ended
    }

    /// Disturbs the cluster that many times while the ledger is written, lets it come to rest, and has the ledger
    /// verified by every querier and over the rows of the live files. Answers the number of rows.
    pub async fn run(&mut self, cluster: &mut Cluster, ledger: &Ledger, times: u32, patience: Duration) -> Result<u64> {
        let outcome = self.attempt(cluster, ledger, times, patience).await;
        let story = || format!("seed {}: {}\n{}", self.seed, self.history.join(", "), cluster.logs());
        outcome.with_context(story)
    }

    async fn attempt(&mut self, cluster: &mut Cluster, ledger: &Ledger, times: u32, patience: Duration) -> Result<u64> {
        // A client that waits for longer than this for an answer asks again.
        let answer_max = Duration::from_secs(10);
        let writers = cluster.clients(Role::Writer).into_iter().map(|client| client.with_timeout(answer_max));
        let mut writing = ledger.start(&writers.collect::<Vec<_>>())?;
        writing.until_acknowledged(1, patience).await?;
        for _ in 0..times {
            self.disturb(cluster).await?;
            self.until_back(cluster, &mut writing, patience).await?;
        }
        writing.stop(patience).await?;
        self.rest(cluster, ledger, patience).await
    }

    /// Waits until every process is ready, every querier knows every row, and the files hold them.
    pub async fn rest(&mut self, cluster: &mut Cluster, ledger: &Ledger, patience: Duration) -> Result<u64> {
        until("processes that are all ready", patience, async || {
            self.supervise(cluster)?;
            for member in cluster.members() {
                if !cluster.process(member).is_ready().await? {
                    return Ok(false);
                }
            }
            Ok(true)
        })
        .await?;
        let mut rows = 0;
        for querier in cluster.clients(Role::Querier) {
            rows = ledger.until_sound(&querier, patience).await?;
        }
        self.verify_files(cluster, ledger).await?;
        Ok(rows)
    }

    /// Reads the live files while no compactor removes them; these are told to end, which they have to do well.
    async fn verify_files(&self, cluster: &mut Cluster, ledger: &Ledger) -> Result<()> {
        let compactors = cluster.members_of(Role::Compactor);
        for member in &compactors {
            let process = cluster.process(*member);
            let status = process.stop().await?;
            anyhow::ensure!(status.success(), "{} was told to stop and ended with {status}", process.name());
        }
        let files = cluster.live_files(ledger.name(), ledger.name()).await?;
        let files: Vec<_> = files.into_iter().map(|live| live.path).collect();
        ledger.verify_files(&files)?.sound().context("in the files")?;
        for member in compactors {
            cluster.process(member).spawn()?;
        }
        Ok(())
    }

    async fn until_back(&mut self, cluster: &mut Cluster, writing: &mut Writing, patience: Duration) -> Result<()> {
        let before = writing.acknowledged();
        until("acknowledged writes of every client", patience, async || {
            self.supervise(cluster)?;
            writing.check()?;
            Ok(writing.acknowledged().iter().zip(&before).all(|(now, before)| now > before))
        })
        .await
    }

    /// Starts again what has ended by itself.
    fn supervise(&mut self, cluster: &mut Cluster) -> Result<()> {
        for member in cluster.members() {
            let process = cluster.process(member);
            if let Some(status) = process.take_end()? {
                let what = format!("{} ended with {status}", process.name());
                self.history.push(what.clone());
                self.ended.push(what);
                process.spawn()?;
            }
        }
        Ok(())
    }

    fn lasts(&mut self) -> Duration {
        let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        Duration::from_millis(self.random.u64(millis(LASTS_MIN)..=millis(self.lasts_max.max(LASTS_MIN))))
    }

    /// Makes one thing go wrong from its beginning to its end.
    pub async fn disturb(&mut self, cluster: &mut Cluster) -> Result<()> {
        let kind = *self.random.choice(&self.kinds).context("nothing to choose from")?;
        let member = *self.random.choice(&cluster.members()).context("a cluster without processes")?;
        let lasts = self.lasts();
        self.history.push(match kind.is_of_a_process() {
            true => format!("{kind:?} {} for {lasts:?}", cluster.process(member).name()),
            false => format!("{kind:?} for {lasts:?}"),
        });
        let wait = tokio::time::sleep(lasts);
        match kind {
            Disturbance::Kill | Disturbance::Terminate | Disturbance::Pause => {
                self.supervise(cluster)?;
                disturb_process(kind, cluster, member, lasts).await
            }
            Disturbance::CutRedis | Disturbance::SilenceRedis | Disturbance::SlowRedis => {
                let late = Duration::from_millis(self.random.u64(200..=1000));
                let proxy = cluster.redis_proxy(member)?;
                proxy.set(kind.fault(late)).await?;
                wait.await;
                proxy.restore().await
            }
            Disturbance::CutS3 | Disturbance::SilenceS3 | Disturbance::SlowS3 => {
                let proxy = cluster.s3_proxy(member)?;
                proxy.set(kind.fault(Duration::ZERO)).await?;
                wait.await;
                proxy.restore().await
            }
            Disturbance::BadS3 => {
                let (slow_down, error_before, error_after) = (0.05, 0.05, 0.02);
                let seed = self.random.u64(..);
                cluster.s3().set(S3Fault {
                    slow_down,
                    error_before,
                    error_after,
                    reset: 0.02,
                    seed,
                    ..S3Fault::default()
                });
                wait.await;
                cluster.s3().restore();
                Ok(())
            }
            _ => disturb_redis(kind, cluster, lasts).await,
        }
    }
}

async fn disturb_process(kind: Disturbance, cluster: &mut Cluster, member: Member, lasts: Duration) -> Result<()> {
    let process = cluster.process(member);
    match kind {
        Disturbance::Pause => {
            process.server()?.pause()?;
            tokio::time::sleep(lasts).await;
            return process.server()?.resume();
        }
        Disturbance::Terminate => {
            // One that was started a moment ago cannot be told anything before it listens to signals.
            let client = process.client();
            until("a process that answers", START_MAX, async || Ok(client.get("/health").await.is_ok())).await?;
            let status = process.stop().await?;
            anyhow::ensure!(status.success(), "{} was told to stop and ended with {status}", process.name());
        }
        _ => process.kill()?,
    }
    tokio::time::sleep(lasts).await;
    process.spawn()
}

async fn disturb_redis(kind: Disturbance, cluster: &mut Cluster, lasts: Duration) -> Result<()> {
    let redis = &mut cluster.redis;
    match kind {
        Disturbance::PauseRedis => {
            redis.pause()?;
            tokio::time::sleep(lasts).await;
            redis.resume()
        }
        Disturbance::EmptyRedis => redis.flush_all(),
        Disturbance::RollBackRedis => {
            let copy = redis.copy()?;
            tokio::time::sleep(lasts).await;
            redis.kill()?;
            redis.start_from(&copy).await
        }
        _ => {
            redis.kill()?;
            tokio::time::sleep(lasts).await;
            redis.start_again().await
        }
    }
}

impl Disturbance {
    fn is_of_a_process(self) -> bool {
        let of_all = [Self::KillRedis, Self::PauseRedis, Self::EmptyRedis, Self::RollBackRedis, Self::BadS3];
        !of_all.contains(&self)
    }

    /// What a proxy does for it.
    fn fault(self, late: Duration) -> Fault {
        match self {
            Self::CutRedis | Self::CutS3 => Fault::cut(),
            Self::SlowRedis => Fault::none().delayed(Duration::ZERO, late),
            Self::SlowS3 => Fault::none().throttled(1000),
            _ => Fault::blackhole(),
        }
    }
}
