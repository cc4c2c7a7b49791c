use std::sync::Arc;

use bytes::Bytes;
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use datafusion::parquet::basic::Encoding;
use datafusion::parquet::file::properties::WriterProperties;
use datafusion::parquet::schema::types::ColumnPath;
use gigapi_model::TableKey;
use proptest::prelude::*;

use crate::Querier;
use crate::tests::world::{DAY, Float, HOUR, Integer, Row, Tag, Text, Unsigned, World, ask};

const HOSTS: [&str; 4] = ["a", "a-host-with-a-long-name", "c", ""];
const REGIONS: [&str; 3] = ["north", "south", "a-region-with-a-long-name"];

/// Rows of some hosts; which tags and fields a row has differs.
fn rows() -> impl Strategy<Value = Vec<Row>> {
    let row = (
        0..4 * 60_i64,
        0..HOSTS.len(),
        0..REGIONS.len() + 1,
        proptest::option::of(-3..100_i64),
        proptest::option::of(any::<u64>()),
        proptest::option::of(-1e6..1e6_f64),
    );
    let made = row.prop_map(|(minute, host, region, count, bytes, load)| {
        let mut values = vec![("host", Tag(HOSTS[host])), ("note", Text("x"))];
        values.extend(REGIONS.get(region).map(|region| ("region", Tag(region))));
        values.extend(count.map(|count| ("count", Integer(count))));
        values.extend(bytes.map(|bytes| ("bytes", Unsigned(bytes))));
        values.extend(load.map(|load| ("load", Float(load))));
        (DAY + minute * HOUR / 60, values)
    });
    proptest::collection::vec(made, 1..80)
}

fn every_column() -> Row {
    let values = vec![
        ("host", Tag("")),
        ("region", Tag("")),
        ("note", Text("")),
        ("count", Integer(0)),
        ("bytes", Unsigned(0)),
        ("load", Float(0.0)),
    ];
    (DAY, values)
}

/// Every row has its own key, so that files overlap only in ways that need no merge.
fn apart(files: Vec<Vec<Row>>) -> Vec<Vec<Row>> {
    let shift = |(index, mut rows): (usize, Vec<Row>)| {
        for (number, row) in rows.iter_mut().enumerate() {
            row.0 += index as i64 * 5 * HOUR + number as i64;
        }
        rows
    };
    files.into_iter().enumerate().map(shift).collect()
}

const QUESTIONS: [&str; 25] = [
    "SELECT host, count(*), count(count), sum(count), min(count), max(count), avg(count) FROM {} GROUP BY host ORDER BY 1",
    "SELECT host, sum(bytes), min(bytes), max(bytes), count(bytes) FROM {} GROUP BY host ORDER BY 1",
    "SELECT host, min(load), max(load), count(load), round(avg(load), 3), round(sum(load), 3) FROM {} GROUP BY host ORDER BY 1",
    "SELECT region, host, count(*), max(time), min(time) FROM {} GROUP BY region, host ORDER BY 1, 2",
    "SELECT date_bin(INTERVAL '7 minutes', time) AS t, max(count), count(*) FROM {} GROUP BY t ORDER BY t",
    "SELECT date_trunc('hour', time) AS t, region, sum(count) FROM {} GROUP BY 1, 2 ORDER BY 1, 2",
    "SELECT date_bin(INTERVAL '1 hour', time, TIMESTAMP '2001-01-01T00:17:00') AS t, host, avg(count) FROM {} GROUP BY 1, 2 ORDER BY 1, 2",
    "SELECT count(count), sum(count), avg(count), max(load) FROM {}",
    "SELECT sum(count), count(*) FROM {} WHERE host = 'c'",
    "SELECT host, sum(count) FROM {} WHERE host <> 'a' AND (region = 'north' OR region IS NULL) GROUP BY host ORDER BY 1",
    "SELECT sum(count) FROM {} WHERE host IN ('a', '') AND time >= '2025-04-24T01:00:00Z' AND time < '2025-04-24T07:30:00Z'",
    "SELECT host, date_bin(INTERVAL '30 minutes', time) AS t, sum(count) FROM {} WHERE time > '2025-04-24T00:59:00Z' AND time <= '2025-04-24T06:00:00Z' GROUP BY 1, 2 ORDER BY 1, 2",
    "SELECT sum(count) FROM {} WHERE host = 'nobody'",
    "SELECT host, sum(count) FROM {} WHERE upper(host) LIKE 'A%' GROUP BY host HAVING sum(count) > 10 ORDER BY 1",
    "SELECT region, sum(count) + max(count) AS x FROM {} GROUP BY region ORDER BY x NULLS FIRST, region LIMIT 2",
    "SELECT host, sum(count) FROM {} WHERE count > 10 GROUP BY host ORDER BY 1",
    "SELECT DISTINCT ON (host) * FROM {} ORDER BY host, time DESC",
    "SELECT * FROM (SELECT *, row_number() OVER (PARTITION BY host ORDER BY time DESC) AS n FROM {}) WHERE n = 1 ORDER BY host",
    "SELECT host, region, count FROM {} WHERE host <> 'a' QUALIFY row_number() OVER (PARTITION BY host, region ORDER BY time) < 2 ORDER BY 1, 2",
    "SELECT n, load FROM (SELECT load, note, row_number() OVER (PARTITION BY region ORDER BY time) AS n FROM {}) WHERE 1 = n AND load > 0 ORDER BY 2",
    "SELECT host, n, count FROM (SELECT *, row_number() OVER (PARTITION BY host ORDER BY time) AS n FROM {} WHERE count > 10) WHERE n <= 1 ORDER BY 1",
    "SELECT host, last_value(count ORDER BY time), last_value(region ORDER BY time), max(count), count(*) FROM {} GROUP BY host ORDER BY 1",
    "SELECT host, first_value(load ORDER BY time), first_value(note ORDER BY time) FROM {} GROUP BY host ORDER BY 1",
    "SELECT host, date_bin(INTERVAL '1 hour', time) AS t, last_value(count ORDER BY time) FROM {} GROUP BY host, t ORDER BY 1, 2",
    "SELECT last_value(bytes ORDER BY time), last_value(host ORDER BY time) FROM {} WHERE region = 'north' AND time < '2025-04-24T08:00:00Z'",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
    #[test]
    fn folds_answer_as_the_engine_does(files in proptest::collection::vec(rows(), 1..4)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let world = World::new().await;
            world.define("mydb", "t", &[every_column()], TableKey::Tags).await;
            for rows in apart(files) {
                world.flush("mydb", "t", &rows).await;
            }
            let querier = world.querier();
            for question in QUESTIONS {
                // A condition that may differ from row to row keeps the rows with the engine.
                let expected = ask(&querier, &question.replace("{}", "(SELECT * FROM t WHERE random() >= 0)")).await;
                assert_eq!(ask(&querier, &question.replace("{}", "t")).await, expected, "{question}");
            }
        });
    }
}

async fn is_folded(querier: &Querier, sql: &str) -> bool {
    ask(querier, &format!("EXPLAIN {sql}")).await.join("\n").contains("SeriesFoldExec")
}

#[tokio::test]
async fn what_depends_on_tags_and_time_is_folded_and_nothing_else() {
    let world = World::new().await;
    let row = |minute: i64| {
        (DAY + minute * HOUR / 60, vec![("host", Tag("a")), ("count", Integer(minute)), ("note", Text("x"))])
    };
    world.flush("mydb", "t", &[row(1), row(2), row(61)]).await;
    let querier = world.querier();
    for question in [
        "SELECT host, avg(count) FROM t GROUP BY host",
        "SELECT sum(count) FROM t WHERE host = 'a'",
        "SELECT date_bin(INTERVAL '1 minute', time) AS t, max(count) FROM t WHERE time > '2025-04-24' GROUP BY t",
        "SELECT DISTINCT ON (host) * FROM t ORDER BY host, time DESC",
        "SELECT host, last_value(note ORDER BY time) FROM t GROUP BY host",
        "SELECT * FROM (SELECT *, row_number() OVER (PARTITION BY host ORDER BY time DESC) AS n FROM t) WHERE n = 1",
        "SELECT x.count FROM t AS x QUALIFY row_number() OVER (PARTITION BY host ORDER BY time) = 1",
    ] {
        assert!(is_folded(&querier, question).await, "{question}");
    }
    for question in [
        "SELECT host, avg(count) FROM t WHERE count > 1 GROUP BY host",
        "SELECT note, avg(count) FROM t GROUP BY note",
        "SELECT host, count(DISTINCT count) FROM t GROUP BY host",
        "SELECT host, max(note) FROM t GROUP BY host",
        "SELECT host, avg(count) FILTER (WHERE count > 1) FROM t GROUP BY host",
        "SELECT date_trunc('month', time) AS m, avg(count) FROM t GROUP BY m",
        "SELECT host, avg(count + 1) FROM t GROUP BY host",
        "SELECT * FROM (SELECT *, row_number() OVER (PARTITION BY host ORDER BY time DESC) AS n FROM t) WHERE n = 2",
        "SELECT * FROM (SELECT *, row_number() OVER (PARTITION BY note ORDER BY time DESC) AS n FROM t) WHERE n = 1",
        "SELECT * FROM (SELECT *, row_number() OVER (PARTITION BY host ORDER BY count DESC) AS n FROM t) WHERE n = 1",
        "SELECT host, last_value(count ORDER BY note) FROM t GROUP BY host",
        "SELECT host, last_value(count ORDER BY time), first_value(count ORDER BY time) FROM t GROUP BY host",
    ] {
        assert!(!is_folded(&querier, question).await, "{question}");
    }
}

/// The rows in encodings that the fold does not decode.
fn otherwise_encoded(bytes: Bytes) -> Bytes {
    let reader = ParquetRecordBatchReaderBuilder::try_new(bytes).unwrap();
    let schema = Arc::clone(reader.schema());
    let properties = WriterProperties::builder().set_dictionary_enabled(false).set_encoding(Encoding::DELTA_BYTE_ARRAY);
    let column = |name: &str| ColumnPath::from(name);
    let properties = ["time", "count", "load"]
        .into_iter()
        .fold(properties, |properties, name| properties.set_column_encoding(column(name), Encoding::PLAIN));
    let mut out = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut out, schema, Some(properties.build())).unwrap();
    reader.build().unwrap().for_each(|batch| writer.write(&batch.unwrap()).unwrap());
    writer.close().unwrap();
    out.into()
}

#[tokio::test]
async fn a_file_that_is_not_understood_goes_the_engines_way_beside_the_others() {
    let world = World::new().await;
    let row = |hour: i64, host: &'static str, load: f64| {
        (DAY + hour * HOUR, vec![("host", Tag(host)), ("count", Integer(hour)), ("load", Float(load))])
    };
    let table = world.define("mydb", "t", &[row(0, "a", 0.0)], TableKey::Tags).await;
    world.commit_next(&table, &[row(1, "a", 1.0), row(2, "b", 2.0)]).await;
    let rows = [row(3, "a", 3.0), row(4, "c", 4.0)];
    world.commit_as(&table, &rows, (2, 2), otherwise_encoded).await;
    let querier = world.querier();
    let question =
        "SELECT host, count(*), sum(count), max(load), last_value(load ORDER BY time) FROM t GROUP BY host ORDER BY 1";
    assert_eq!(ask(&querier, question).await[1..], ["a|2|4|3.0|3.0", "b|1|2|2.0|2.0", "c|1|4|4.0|4.0"]);
    let plan = ask(&querier, &format!("EXPLAIN ANALYZE {question}")).await.join("\n");
    assert!(plan.contains("SeriesFoldExec") && plan.contains("files_not_folded=1"), "{plan}");
}
