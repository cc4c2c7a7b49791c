use super::*;
use crate::tests::world::*;

async fn answered(querier: &Querier, text: &str) -> String {
    answer(querier, text, Some("mydb")).await.unwrap_or_else(|error| panic!("{text}: {error:?}")).to_string()
}

async fn world() -> World {
    let world = World::new().await;
    for table in ["cpu", "mem", "disk"] {
        world.flush("mydb", table, &[(DAY, vec![("v", Integer(1))])]).await;
    }
    world.flush("a \"b\"", "cpu", &[(DAY, vec![("v", Integer(1))])]).await;
    world
}

#[tokio::test]
async fn what_clients_ask_before_they_write_is_answered_as_influxdb_1_does() {
    let querier = world().await.querier();
    for made in
        ["CREATE DATABASE telegraf", "create database \"a b\" WITH DURATION 1d NAME \"x\";", "CREATE DATABASE \"\""]
    {
        assert_eq!(answered(&querier, made).await, r#"{"results":[{"statement_id":0}]}"#, "{made}");
    }
    let databases =
        r#"{"series":[{"columns":["name"],"name":"databases","values":[["a \"b\""],["mydb"]]}],"statement_id":0}"#;
    assert_eq!(answered(&querier, "SHOW DATABASES").await, format!(r#"{{"results":[{databases}]}}"#));
    for (asked, names) in [
        ("SHOW MEASUREMENTS", r#"["cpu"],["disk"],["mem"]"#),
        ("show measurements on \"a \\\"b\\\"\"", r#"["cpu"]"#),
        ("SHOW MEASUREMENTS ON mydb LIMIT 1 OFFSET 1", r#"["disk"]"#),
        ("SHOW MEASUREMENTS LIMIT 2", r#"["cpu"],["disk"]"#),
    ] {
        let series = format!(r#"[{{"columns":["name"],"name":"measurements","values":[{names}]}}]"#);
        assert_eq!(
            answered(&querier, asked).await,
            format!(r#"{{"results":[{{"series":{series},"statement_id":0}}]}}"#)
        );
    }
    let several =
        answered(&querier, "CREATE DATABASE x; SHOW MEASUREMENTS ON nowhere; SHOW MEASUREMENTS OFFSET 9").await;
    let second = r#"{"error":"database not found: nowhere","statement_id":1}"#;
    assert_eq!(several, format!(r#"{{"results":[{{"statement_id":0}},{second},{{"statement_id":2}}]}}"#));
    let nothing = World::new().await.querier();
    let empty = r#"{"results":[{"series":[{"columns":["name"],"name":"databases"}],"statement_id":0}]}"#;
    assert_eq!(answered(&nothing, "SHOW DATABASES").await, empty);
    let unnamed = answer(&querier, "SHOW MEASUREMENTS", None).await.unwrap().to_string();
    assert_eq!(unnamed, r#"{"results":[{"error":"database name required","statement_id":0}]}"#);
}

#[test]
fn whatever_else_influxql_says_is_refused_by_name() {
    for (text, told) in [
        ("SELECT mean(v) FROM cpu", "\"SELECT mean (\" is InfluxQL"),
        ("SHOW MEASUREMENTS WITH MEASUREMENT =~ /c/", "\"SHOW MEASUREMENTS WITH\""),
        ("SHOW DATABASES x", "\"SHOW DATABASES x\""),
        ("CREATE DATABASE a; DROP DATABASE b", "\"DROP DATABASE b\""),
        ("CREATE DATABASE", "CREATE DATABASE names no database"),
        ("SHOW MEASUREMENTS ON", "ON names no database"),
        ("SHOW MEASUREMENTS LIMIT x", "LIMIT is not followed by a number"),
        ("CREATE DATABASE \"x", "not closed"),
        (" ; ", "no statement"),
    ] {
        let refused = format!("{:?}", statements(text).unwrap_err());
        assert!(refused.replace('\\', "").contains(told), "{text}: {refused}");
    }
}
