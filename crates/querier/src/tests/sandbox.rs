//! What a statement must not reach.

use futures::TryStreamExt;
use gigapi_model::ErrorKind;
use object_store::ObjectStore;

use super::world::*;
use crate::{Habits, Querier, QueryRequest};

/// A folder with a secret, and a world whose data nobody may change.
struct Sandbox {
    world: World,
    folder: tempfile::TempDir,
    data: String,
}

const SECRET: &str = "canary-7f3a";

impl Sandbox {
    async fn new() -> Self {
        let world = World::new().await;
        let rows = [(DAY, vec![("x", Float(1.0))])];
        let table = world.flush("mydb", "t", &rows).await;
        world.flush("other", "t", &rows).await;
        let snapshot = world.catalog.snapshot(table.id, gigapi_model::TimeRange::ALL).await.unwrap();
        let data = object_path(&table, snapshot.files.iter().next().unwrap()).to_string();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("secret.csv"), format!("a\n{SECRET}\n")).unwrap();
        Self { world, folder, data }
    }

    fn filled(&self, attempt: &str) -> String {
        let folder = self.folder.path().display().to_string();
        let filled = attempt.replace("{file}", &format!("{folder}/secret.csv")).replace("{folder}", &folder);
        filled.replace("{data}", &self.data).replace("\\n", "\n")
    }

    /// All that could have been changed.
    async fn state(&self) -> Vec<String> {
        let mut state: Vec<String> = std::fs::read_dir(self.folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        let objects: Vec<_> = self.world.store.list(None).try_collect().await.unwrap();
        state.extend(objects.iter().map(|object| format!("{} {} {:?}", object.location, object.size, object.e_tag)));
        for database in self.world.catalog.databases().await.unwrap() {
            for table in self.world.catalog.tables(&database).await.unwrap() {
                let version = self.world.catalog.version(table.id).await.unwrap();
                state.push(format!("{database}.{} {version} {}", table.name, table.revision));
            }
        }
        state.sort();
        state
    }

    /// Whether a text tells where something lies on this machine, beyond what the statement itself says.
    fn tells(&self, text: &str, sql: &str) -> bool {
        let folder = self.folder.path().display().to_string();
        let here = [folder.as_str(), SECRET, "/home/", ".cargo", env!("CARGO_MANIFEST_DIR"), ".rs:"];
        here.iter().any(|here| text.contains(here) && !sql.contains(here))
    }
}

async fn answered(querier: &Querier, sql: &str, habits: Habits) -> crate::Result<Vec<String>> {
    lines(querier.query(QueryRequest { habits, ..request(sql) }).await?).await
}

#[tokio::test]
async fn no_attempt_gets_out_of_the_sandbox() {
    let sandbox = Sandbox::new().await;
    let querier = sandbox.world.querier();
    let before = sandbox.state().await;
    let attempts: Vec<&str> = include_str!("sandbox/attempts.sql")
        .lines()
        .filter(|line| !line.trim().is_empty() && !line.starts_with('#'))
        .collect();
    assert!(attempts.len() >= 200, "{}", attempts.len());
    let mut wrong = Vec::new();
    for attempt in attempts {
        let sql = sandbox.filled(attempt);
        for habits in [Habits::DuckDb, Habits::Engine] {
            match answered(&querier, &sql, habits).await {
                Ok(rows) => wrong.push(format!("{attempt}: answered {rows:?}")),
                Err(error) => {
                    let told = error.to_string();
                    if !matches!(error.kind(), ErrorKind::Invalid | ErrorKind::NotFound) {
                        wrong.push(format!("{attempt}: {error:?}"));
                    }
                    if told.contains(SECRET) || sandbox.tells(&told, &sql) {
                        wrong.push(format!("{attempt}: tells {told}"));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(sandbox.state().await, before);
    assert_eq!(ask(&querier, "SELECT count(*), sum(x) FROM t").await[1], "1|1.0");
}

/// Statements that are fine, whatever they look like.
#[tokio::test]
async fn what_only_looks_like_an_attempt_is_answered() {
    let sandbox = Sandbox::new().await;
    let querier = sandbox.world.querier();
    let before = sandbox.state().await;
    let harmless = [
        ("SELECT 'DROP TABLE t; COPY t TO ''x'''", "DROP TABLE t; COPY t TO 'x'"),
        ("SELECT 1 AS \"DROP TABLE t\"", "1"),
        ("SELECT count(*) FROM t -- ; DROP TABLE t", "1"),
        ("SELECT count(*) /* ; DROP TABLE t */ FROM t;", "1"),
        ("WITH passwd AS (SELECT 1 AS a) SELECT a FROM passwd", "1"),
        ("WITH \"/etc/passwd\" AS (SELECT 1 AS a) SELECT a FROM \"/etc/passwd\"", "1"),
        ("WITH t AS (SELECT 2 AS x) SELECT x FROM t", "2"),
        ("SELECT count(*) FROM \"T\"", "1"),
        ("SELECT '../../etc/passwd'", "../../etc/passwd"),
        ("SELECT count(*) FROM system.queries", "1"),
    ];
    for (sql, expected) in harmless {
        assert_eq!(ask(&querier, sql).await[1], expected, "{sql}");
    }
    assert_eq!(sandbox.state().await, before);
}

#[tokio::test]
async fn names_that_no_line_can_hold_are_refused() {
    let sandbox = Sandbox::new().await;
    let querier = sandbox.world.querier();
    let long = "x".repeat(64 * 1024);
    for sql in [
        "SELECT * FROM \"t\0\"".to_owned(),
        "SELECT * FROM mydb\0.t".to_owned(),
        "SELECT\0 1; DROP TABLE t".to_owned(),
        "SELECT * FROM \"a\nb\"".to_owned(),
        "SELECT * FROM \"\u{202e}t\"".to_owned(),
        format!("SELECT * FROM \"{long}\""),
        format!("SELECT * FROM {long}.{long}"),
        format!("SELECT {long} FROM t"),
        format!("SELECT {long}(1)"),
        format!("SELECT * FROM \"{}\"", "../".repeat(20_000)),
        format!("SHOW TABLES FROM \"{long}\""),
        format!("DESCRIBE \"{long}\""),
    ] {
        let start: String = sql.chars().take(40).collect();
        let error = try_ask(&querier, &sql).await.expect_err(&start);
        assert!(matches!(error.kind(), ErrorKind::Invalid | ErrorKind::NotFound), "{start}: {error:?}");
        assert!(!sandbox.tells(&error.to_string(), &sql), "{error}");
    }
}

#[tokio::test]
async fn settings_that_clients_make_when_they_connect_are_taken_as_made() {
    let world = World::new().await;
    for sql in ["SET TimeZone = 'UTC'", "SET TIME ZONE UTC", "SET extra_float_digits = 3"] {
        assert_eq!(ask(&world.querier(), sql).await, [""], "{sql}");
    }
}
