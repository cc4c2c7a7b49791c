//! Redis servers.

use std::time::Duration;

use integration_tests::{Redis, RedisCluster, until};
use tokio::time::Instant;

fn refusal(redis: &Redis, command: &[&str]) -> String {
    let answer = redis.command(command);
    let word = |error: anyhow::Error| error.to_string().split(' ').next().unwrap_or_default().to_owned();
    answer.map_or_else(word, |answer| format!("answered {answer}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_killed_comes_back_with_what_it_acknowledged() {
    let mut redis = Redis::start().await.unwrap();
    let url = redis.url();
    assert_eq!(redis.command(&["RPUSH", "list", "a b", "ä\r\n"]).unwrap(), "2");
    redis.kill().unwrap();
    assert!(redis.command(&["PING"]).is_err());
    redis.start_again().await.unwrap();
    assert_eq!(redis.url(), url);
    assert_eq!(redis.command(&["LRANGE", "list", "0", "-1"]).unwrap(), "a b\nä\r\n");
    redis.stop().await.unwrap();
    redis.start_again().await.unwrap();
    assert_eq!(redis.command(&["LLEN", "list"]).unwrap(), "2");
    redis.flush_all().unwrap();
    assert_eq!(redis.command(&["DBSIZE"]).unwrap(), "0");
    assert_eq!(redis.command(&["GET", "nothing"]).unwrap(), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_copy_brings_back_what_was_then() {
    let mut redis = Redis::start().await.unwrap();
    redis.command(&["SET", "key", "old"]).unwrap();
    let copy = redis.copy().unwrap();
    redis.command(&["SET", "key", "new"]).unwrap();
    redis.command(&["SET", "other", "new"]).unwrap();
    for _ in 0..2 {
        redis.kill().unwrap();
        redis.start_from(&copy).await.unwrap();
        assert_eq!(redis.command(&["GET", "key"]).unwrap(), "old");
        assert_eq!(redis.command(&["EXISTS", "other"]).unwrap(), "0");
        redis.command(&["SET", "key", "newer"]).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_server_answers_nothing_until_it_goes_on() {
    let redis = Redis::start().await.unwrap();
    redis.pause().unwrap();
    // The system still takes the connection.
    let address = redis.address();
    let asked = tokio::spawn(async move {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        stream.write_all(b"PING\r\n").await.unwrap();
        let mut answer = [0; 5];
        stream.read_exact(&mut answer).await.unwrap();
        answer
    });
    let mut asked = asked;
    assert!(tokio::time::timeout(Duration::from_millis(250), &mut asked).await.is_err());
    redis.resume().unwrap();
    assert_eq!(&asked.await.unwrap(), b"+PONG");
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_is_trusted_by_the_authority_alone() {
    let redis = Redis::start_tls(&[]).await.unwrap();
    assert!(redis.url().starts_with("rediss://127.0.0.1:"));
    assert_eq!(redis.command(&["SET", "key", "secret"]).unwrap(), "OK");
    assert_eq!(redis.command(&["GET", "key"]).unwrap(), "secret");
    // Another client, which takes the authority from us and speaks no plain text.
    let port = redis.address().split(':').nth(1).unwrap().to_owned();
    let authority = redis.certificates().unwrap().authority();
    let cli = |trusted: &std::path::Path| {
        let mut command = std::process::Command::new("redis-cli");
        command.args(["-h", "127.0.0.1", "-p", &port, "--tls", "--cacert"]).arg(trusted).args(["GET", "key"]);
        let output = command.output().unwrap();
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    assert_eq!(cli(&authority).0, "secret\n");
    let other = Redis::start_tls(&[]).await.unwrap();
    let (answer, complaint) = cli(&other.certificates().unwrap().authority());
    assert!(answer.is_empty() && complaint.contains("certificate verify failed"), "{answer}{complaint}");
}

#[tokio::test(flavor = "multi_thread")]
async fn users_see_what_they_may() {
    let redis = Redis::start().await.unwrap();
    redis.add_user("gigapi", "password", "~gigapi:* +@all -@dangerous").unwrap();
    let url = redis.url_of("gigapi", "password", 3);
    assert_eq!(url, format!("redis://gigapi:password@{}/3", redis.address()));
    let mut command = std::process::Command::new("redis-cli");
    let output = command.args(["-u", &url]).args(["SET", "gigapi:x", "1"]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "OK\n", "{output:?}");
    let mut command = std::process::Command::new("redis-cli");
    let output = command.args(["-u", &url]).args(["SET", "other", "1"]).output().unwrap();
    assert!(String::from_utf8_lossy(&output.stdout).starts_with("NOPERM"), "{output:?}");
    // In its own database.
    assert_eq!(redis.command(&["EXISTS", "gigapi:x"]).unwrap(), "0");
    assert!(redis.command(&["INFO", "keyspace"]).unwrap().contains("db3:keys=1"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_refuses_writes_as_a_replica_and_without_memory() {
    let redis = Redis::start().await.unwrap();
    redis.command(&["SET", "key", "kept"]).unwrap();
    redis.refuse_writes(true).unwrap();
    assert_eq!(refusal(&redis, &["SET", "key", "new"]), "READONLY");
    assert_eq!(redis.command(&["GET", "key"]).unwrap(), "kept");
    redis.refuse_writes(false).unwrap();
    redis.run_out_of_memory(true).unwrap();
    assert_eq!(refusal(&redis, &["SET", "key", "new"]), "OOM");
    assert_eq!(redis.command(&["GET", "key"]).unwrap(), "kept");
    redis.run_out_of_memory(false).unwrap();
    redis.command(&["SET", "key", "new"]).unwrap();
    let replica = Redis::start().await.unwrap();
    replica.follow(&redis).await.unwrap();
    assert_eq!(replica.command(&["GET", "key"]).unwrap(), "new");
    assert_eq!(refusal(&replica, &["SET", "key", "newer"]), "READONLY");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_loading_server_says_so_until_it_is_let_go() {
    let mut redis = Redis::start().await.unwrap();
    redis.command(&["SET", "key", "kept"]).unwrap();
    redis.stop().await.unwrap();
    redis.start_loading().await.unwrap();
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(2) {
        assert_eq!(refusal(&redis, &["GET", "key"]), "LOADING");
    }
    redis.finish_loading().await.unwrap();
    assert_eq!(redis.command(&["GET", "key"]).unwrap(), "kept");
    assert_eq!(redis.command(&["DBSIZE"]).unwrap(), "1");
    redis.kill().unwrap();
    redis.start_again().await.unwrap();
    assert_eq!(redis.command(&["GET", "key"]).unwrap(), "kept");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_goes_on_without_a_node_and_is_whole_when_it_comes_back() {
    let mut cluster = RedisCluster::start().await.unwrap();
    assert_eq!(cluster.url().split(',').count(), 3);
    let serving = cluster.node_of("key").unwrap();
    serving.command(&["SET", "key", "kept"]).unwrap();
    let address = serving.address();
    serving.kill().unwrap();
    let other = (0..3).find(|&index| cluster.node(index).address() != address).unwrap();
    let patience = Duration::from_secs(30);
    let noticed = async || Ok(cluster.node(other).command(&["CLUSTER", "NODES"])?.contains("fail"));
    until("the end of a node", patience, noticed).await.unwrap();
    let gone = (0..3).find(|&index| cluster.node(index).address() == address).unwrap();
    cluster.node(gone).start_again().await.unwrap();
    cluster.until_whole().await.unwrap();
    assert_eq!(cluster.node_of("key").unwrap().command(&["GET", "key"]).unwrap(), "kept");
}
