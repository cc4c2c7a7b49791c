//! What docs/SQL.md says is so.

use super::world::*;

const PAGE: &str = include_str!("../../../../docs/SQL.md");

async fn world() -> World {
    let world = World::new().await;
    let row = |minute: i64, location, temperature| {
        (DAY + minute * 60_000_000_000, vec![("location", Tag(location)), ("temperature", Float(temperature))])
    };
    world.flush("mydb", "weather", &[row(0, "us", 80.0), row(1, "eu", 60.0), row(6, "us", 84.0)]).await;
    world
}

/// The lines of code blocks that are marked so.
fn statements(mark: &str) -> Vec<&'static str> {
    let fence = format!("```{mark}");
    let mut inside = false;
    let mut found = Vec::new();
    for line in PAGE.lines() {
        match line {
            line if line == fence => inside = true,
            "```" => inside = false,
            line if inside && !line.trim().is_empty() => found.push(line),
            _ => {}
        }
    }
    found
}

/// The calls in the first column of the table of functions.
fn calls() -> Vec<&'static str> {
    let table = PAGE.split("\n## ").find(|section| section.starts_with("Functions")).unwrap();
    let rows = table.lines().filter(|line| line.starts_with("| `"));
    rows.flat_map(|row| row.split(" | ").next().unwrap().split('`').skip(1).step_by(2)).collect()
}

#[tokio::test]
async fn every_statement_on_the_page_runs() {
    let world = world().await;
    let querier = world.querier();
    let statements = statements("sql");
    assert!(statements.len() > 40, "{}", statements.len());
    for sql in statements {
        if let Err(error) = try_ask(&querier, sql).await {
            panic!("{sql}: {error} ({:?})", error.detail());
        }
    }
}

#[tokio::test]
async fn every_call_on_the_page_works() {
    let world = world().await;
    let querier = world.querier();
    let calls = calls();
    assert!(calls.len() > 90, "{}", calls.len());
    for call in calls {
        // Aggregates stand alone, everything else beside others.
        if let Err(error) = try_ask(&querier, &format!("SELECT {call} FROM weather")).await {
            panic!("{call}: {error} ({:?})", error.detail());
        }
    }
}

#[tokio::test]
async fn everything_that_the_page_calls_refused_is_refused() {
    let world = world().await;
    let querier = world.querier();
    let refused = statements("sql refused");
    assert!(refused.len() > 10);
    for sql in refused {
        let error = try_ask(&querier, sql).await.expect_err(sql);
        assert!(
            matches!(error.kind(), gigapi_model::ErrorKind::Invalid | gigapi_model::ErrorKind::NotFound),
            "{sql}: {error:?}"
        );
    }
}

#[test]
fn the_limits_on_the_page_are_those_of_the_code() {
    let limits = PAGE.split("\n## ").find(|section| section.starts_with("Limits")).unwrap();
    for limit in ["| 1 MiB | `GIGAPI_SQL_BYTES_MAX` |", "| 128 |", "| 400 |", "| 200 |", "| 256 |"] {
        assert!(limits.contains(limit), "{limit}");
    }
}
