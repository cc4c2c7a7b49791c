use gigapi_catalog::{Catalog, TableState};
use gigapi_model::{TableDef, TimeRange};
use gigapi_recovery::{definition_names, read_database_settings, tombstones};
use gigapi_storage::faulty::{Action, Fault, Operation};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tower::ServiceExt;

use super::*;
use crate::Writer;
use crate::world::{World, run_to_the_end, write};

async fn ask(writer: &Writer, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
    let body = body.map_or_else(String::new, |body| body.to_string());
    let request = http::Request::builder().method(method).uri(path).body(Body::from(body)).unwrap();
    let response = writer.routes().oneshot(request).await.unwrap();
    let status = response.status().as_u16();
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    (status, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
}

const DATABASE: &str = "/api/v3/configure/database";
const TABLE: &str = "/api/v3/configure/table";

#[tokio::test]
async fn a_database_is_made_changed_listed_and_dropped() {
    let world = World::new();
    let writer = world.writer().await;
    let made = ask(&writer, "POST", DATABASE, Some(json!({ "db": "a b", "retention_period": "7d" }))).await;
    assert_eq!(made, (200, json!({ "db": "a b", "retention_period": "7d" })));
    assert_eq!(ask(&writer, "POST", DATABASE, Some(json!({ "db": "a b" }))).await.0, 409);
    write(&writer, "m v=1i 1").await.unwrap();
    assert_eq!(ask(&writer, "POST", DATABASE, Some(json!({ "db": "db" }))).await.0, 409, "it has a table");
    let row = |name: &str, period: Value, tables: u32| json!({ "iox::database": name, "retention_period": period, "tables": tables });
    let listed = json!([row("a b", json!("7d"), 0), row("db", Value::Null, 1)]);
    assert_eq!(ask(&writer, "GET", &format!("{DATABASE}?format=json"), None).await, (200, listed));
    let changed = ask(&writer, "PUT", DATABASE, Some(json!({ "db": "db", "retention_period": "4w" }))).await;
    assert_eq!(changed, (200, json!({ "db": "db", "retention_period": "28d" })));
    assert_eq!(ask(&writer, "PUT", DATABASE, Some(json!({ "db": "db" }))).await.1["retention_period"], "28d");
    let cleared = ask(&writer, "PUT", DATABASE, Some(json!({ "db": "db", "retention_period": null }))).await;
    assert_eq!(cleared.1["retention_period"], Value::Null);
    assert_eq!(ask(&writer, "PUT", DATABASE, Some(json!({ "db": "none" }))).await.0, 404);
    let dropped = ask(&writer, "DELETE", &format!("{DATABASE}?db=db"), None).await;
    assert_eq!(dropped, (200, json!({ "db": "db", "dropped": ["m"] })));
    assert_eq!(ask(&writer, "DELETE", &format!("{DATABASE}?db=db"), None).await.0, 404);
    assert_eq!(ask(&writer, "DELETE", &format!("{DATABASE}?db=a%20b"), None).await.0, 200);
    assert_eq!(ask(&writer, "GET", DATABASE, None).await, (200, json!([])));
    assert_eq!(read_database_settings(&world.layers, &database_name("a b").unwrap()).await.unwrap(), None);
}

#[tokio::test]
async fn a_table_is_changed_listed_and_dropped() {
    let world = World::new();
    let writer = world.writer().await;
    write(&writer, "m,host=a v=1i 1").await.unwrap();
    let known = world.table("m").await;
    let wanted =
        json!({ "db": "db", "table": "m", "retention_period": "90m", "settings": { "merge.enabled": "false" } });
    let row = json!({ "db": "db", "table": "m", "columns": 3, "key": "tags", "retention_period": "90m",
        "settings": { "merge.enabled": "false" }, "revision": 2 });
    for _ in 0..2 {
        assert_eq!(ask(&writer, "PUT", TABLE, Some(wanted.clone())).await, (200, row.clone()));
    }
    assert_eq!(ask(&writer, "GET", &format!("{TABLE}?db=db"), None).await, (200, json!([row])));
    assert_eq!(ask(&writer, "GET", TABLE, None).await.1.as_array().unwrap().len(), 1);
    // What was set lies on the layer, so that a rebuild keeps it.
    let laid = definition_names(world.layers.first()).await.unwrap();
    assert_eq!(laid.iter().map(|name| name.revision).collect::<Vec<_>>(), [2]);
    write(&writer, "m,host=a v=1i,w=2i 2").await.unwrap();
    let TableDef { revision, ttl, .. } = world.table("m").await.as_ref().clone();
    assert_eq!((revision, ttl), (3, Some(Duration::from_secs(5_400))));
    let unset = json!({ "db": "db", "table": "m", "retention_period": null, "settings": { "merge.enabled": null } });
    assert_eq!(ask(&writer, "PUT", TABLE, Some(unset)).await.1["settings"], json!({}));
    assert_eq!(ask(&writer, "GET", &format!("{TABLE}?db=none"), None).await.0, 404);
    let path = format!("{TABLE}?db=db&table=m");
    assert_eq!(ask(&writer, "DELETE", &path, None).await, (200, json!({ "db": "db", "dropped": ["m"] })));
    assert_eq!(ask(&writer, "DELETE", &path, None).await.0, 404);
    assert_eq!(world.catalog.table_state(known.id).await.unwrap(), TableState::Dropped);
    assert!(tombstones(&world.layers).await.unwrap().contains(&known.id));
    // Its rows go; those of the next table of that name, which may be of other types, stay.
    write(&writer, "m,host=a v=\"text\" 3").await.unwrap();
    let next = world.table("m").await;
    assert_ne!(next.id, known.id);
    let dropped = writer.metrics.rows_dropped.clone();
    run_to_the_end(writer).await;
    assert_eq!((world.committed_rows("m").await, dropped.get()), (1, 2));
    let snapshot = world.catalog.snapshot(next.id, TimeRange::ALL).await.unwrap();
    assert_eq!((snapshot.table.ttl, snapshot.table.columns.len()), (None, 3));
}

#[tokio::test]
async fn what_is_wrong_is_named() {
    let world = World::new();
    let writer = world.writer().await;
    write(&writer, "m v=1i 1").await.unwrap();
    let set = |settings: Value| Some(json!({ "db": "db", "table": "m", "settings": settings }));
    let cases = [
        ("PUT", TABLE, set(json!({ "merge.enabled": "perhaps" })), "merge.enabled"),
        ("PUT", TABLE, set(json!({ "colour": "blue" })), "colour"),
        ("PUT", TABLE, Some(json!({ "db": "db", "table": "m", "retention_period": "soon" })), "retention_period"),
        ("PUT", TABLE, Some(json!({ "db": "db", "table": "m", "retention": "7d" })), "retention"),
        ("PUT", TABLE, Some(json!({ "db": "db" })), "table"),
        ("PUT", TABLE, None, "body"),
        ("POST", DATABASE, Some(json!({ "db": "x", "retention_period": "10ms" })), "10ms"),
        ("POST", DATABASE, Some(json!({ "db": "../x" })), "../x"),
        ("POST", DATABASE, Some(json!({ "db": "_gigapi" })), "_gigapi"),
        ("DELETE", DATABASE, None, "parameter db"),
        ("DELETE", TABLE, None, "parameter db"),
        ("DELETE", "/api/v3/configure/table?db=db", None, "parameter table"),
        ("GET", "/api/v3/configure/database?format=csv", None, "format"),
    ];
    for (method, path, body, named) in cases {
        let (status, answer) = ask(&writer, method, path, body.clone()).await;
        let told = answer["error"].as_str().unwrap_or_default();
        assert!(status == 400 && told.contains(named), "{method} {path} {body:?}: {status} {told}");
    }
    assert_eq!(world.table("m").await.revision, 1);
    for (method, path) in [("PUT", TABLE), ("DELETE", "/api/v3/configure/table?db=db&table=none")] {
        let body = (method == "PUT").then(|| json!({ "db": "db", "table": "none" }));
        let (status, answer) = ask(&writer, method, path, body).await;
        assert!(status == 404 && answer["error"].as_str().unwrap().contains("none"), "{answer}");
    }
}

#[tokio::test]
async fn a_drop_that_was_begun_is_carried_through_without_being_asked_again() {
    let world = World::new();
    let writer = world.writer().await;
    write(&writer, "m v=1i 1").await.unwrap();
    let table = world.table("m").await;
    world.faults.add(Fault::next(Operation::Put, Action::ErrorAfter).on("tombstones"));
    let (status, answer) = ask(&writer, "DELETE", &format!("{TABLE}?db=db&table=m"), None).await;
    let told = answer["error"].as_str().unwrap_or_default();
    assert!(status == 503 && told.contains("has begun"), "{status} {told}");
    while world.catalog.table_state(table.id).await.unwrap() != TableState::Dropped {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(ask(&writer, "DELETE", &format!("{TABLE}?db=db&table=m"), None).await.0, 404);
}
