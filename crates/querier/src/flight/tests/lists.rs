use arrow::array::AsArray;
use arrow::datatypes::{DataType, Field, Schema, UInt32Type, UnionFields, UnionMode};
use arrow_flight::FlightInfo;
use arrow_flight::sql::client::FlightSqlServiceClient;
use arrow_flight::sql::{
    CommandGetCrossReference, CommandGetDbSchemas, CommandGetExportedKeys, CommandGetImportedKeys,
    CommandGetPrimaryKeys, CommandGetTables, CommandGetXdbcTypeInfo, SqlInfo,
};
use tonic::transport::Channel;

use super::harness::*;
use crate::tests::world::*;

async fn listed(client: &mut FlightSqlServiceClient<Channel>, info: FlightInfo) -> Vec<String> {
    let (schema, batches) = read(client, &info).await;
    shown(&schema, &batches)
}

async fn served() -> Served {
    let world = weather().await;
    let other = [(DAY, vec![("temperature", Float(1.0))])];
    world.flush("other", "weather", &other).await;
    world.flush("other", "extra", &other).await;
    Served::of(world.querier()).await
}

#[tokio::test]
async fn there_is_one_catalog_and_three_kinds_of_tables() {
    let served = served().await;
    let mut client = served.client().await;
    let info = client.get_catalogs().await.unwrap();
    assert_eq!(listed(&mut client, info).await, ["catalog_name", "public"]);
    let info = client.get_table_types().await.unwrap();
    assert_eq!(listed(&mut client, info).await, ["table_type", "BASE TABLE", "SYSTEM VIEW", "VIEW"]);
}

fn schemas(filter: Option<&str>) -> CommandGetDbSchemas {
    CommandGetDbSchemas { catalog: None, db_schema_filter_pattern: filter.map(str::to_owned) }
}

fn tables(schema: Option<&str>, table: Option<&str>, types: &[&str], include_schema: bool) -> CommandGetTables {
    CommandGetTables {
        catalog: None,
        db_schema_filter_pattern: schema.map(str::to_owned),
        table_name_filter_pattern: table.map(str::to_owned),
        table_types: types.iter().map(|name| (*name).to_owned()).collect(),
        include_schema,
    }
}

#[tokio::test]
async fn whoever_names_a_database_sees_it_and_whoever_names_none_sees_all() {
    let served = served().await;
    let (mut of_mydb, mut of_none) = (served.client().await, FlightSqlServiceClient::new(served.channel().await));
    let names = async |client: &mut FlightSqlServiceClient<Channel>, filter: Option<&str>| {
        let info = client.get_db_schemas(schemas(filter)).await.unwrap();
        let lines = listed(client, info).await;
        assert_eq!(lines[0], "catalog_name|db_schema_name");
        lines[1..].iter().map(|line| line.strip_prefix("public|").unwrap().to_owned()).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(names(&mut of_mydb, None).await, "information_schema mydb system");
    assert_eq!(names(&mut of_mydb, Some("%")).await, "information_schema mydb system");
    assert_eq!(names(&mut of_mydb, Some("oth%")).await, "other");
    assert_eq!(names(&mut of_none, None).await, "information_schema mydb other system");
    assert_eq!(names(&mut of_none, Some("iox")).await, "iox");

    let names = async |client: &mut FlightSqlServiceClient<Channel>, command: CommandGetTables| {
        let info = client.get_tables(command).await.unwrap();
        let lines = listed(client, info).await;
        assert_eq!(lines[0], "catalog_name|db_schema_name|table_name|table_type");
        lines[1..].iter().map(|line| line.strip_prefix("public|").unwrap().to_owned()).collect::<Vec<_>>().join(" ")
    };
    let stored = ["BASE TABLE"];
    assert_eq!(names(&mut of_mydb, tables(None, None, &stored, false)).await, "mydb|weather|BASE TABLE");
    assert_eq!(names(&mut of_mydb, tables(None, None, &["TABLE"], false)).await, "mydb|weather|BASE TABLE");
    assert_eq!(names(&mut of_mydb, tables(Some("iox"), None, &[], false)).await, "iox|weather|BASE TABLE");
    assert_eq!(names(&mut of_mydb, tables(Some("other"), Some("e%"), &[], false)).await, "other|extra|BASE TABLE");
    assert_eq!(
        names(&mut of_none, tables(None, Some("weather"), &[], false)).await,
        "mydb|weather|BASE TABLE other|weather|BASE TABLE"
    );
    let views = names(&mut of_mydb, tables(None, None, &["VIEW"], false)).await;
    let schema = "information_schema";
    assert!(views.contains(&format!("{schema}|columns|VIEW {schema}|key_column_usage|VIEW")), "{views}");
    assert!(views.ends_with(&format!("{schema}|tables|VIEW {schema}|views|VIEW")), "{views}");
    let own = names(&mut of_mydb, tables(None, Some("files"), &["SYSTEM VIEW"], false)).await;
    assert_eq!(own, "system|files|SYSTEM VIEW");
    assert_eq!(names(&mut of_mydb, tables(None, None, &["SYSTEM TABLE"], false)).await, "");
    let mut elsewhere = tables(None, None, &[], false);
    elsewhere.catalog = Some("nope".to_owned());
    assert_eq!(names(&mut of_mydb, elsewhere).await, "");
}

#[tokio::test]
async fn a_listed_table_has_the_columns_that_its_rows_have() {
    let served = served().await;
    let mut client = served.client().await;
    let info = client.get_tables(tables(None, Some("weather"), &[], true)).await.unwrap();
    let (_, batches) = read(&mut client, &info).await;
    let bytes = batches[0].column_by_name("table_schema").unwrap().as_binary::<i32>().value(0).to_vec();
    let listed = Schema::try_from(arrow_flight::IpcMessage(bytes.into())).unwrap();
    let info = client.execute("SELECT * FROM weather".to_owned(), None).await.unwrap();
    let (schema, _) = read(&mut client, &info).await;
    assert_eq!(listed, *schema);
    assert_eq!(listed.field_with_name("city").unwrap().metadata()["iox::column::type"], "iox::column_type::tag");
    let info = client.get_tables(tables(Some("information_schema"), Some("tables"), &[], true)).await.unwrap();
    let (_, batches) = read(&mut client, &info).await;
    let bytes = batches[0].column_by_name("table_schema").unwrap().as_binary::<i32>().value(0).to_vec();
    let listed = Schema::try_from(arrow_flight::IpcMessage(bytes.into())).unwrap();
    assert_eq!(listed.field(2).name(), "table_name");
}

/// A client in Go ends its process where the columns differ from these.
#[tokio::test]
async fn facts_about_the_server_have_the_one_right_type() {
    let served = served().await;
    let mut client = served.client().await;
    let info = client.get_sql_info(vec![SqlInfo::FlightSqlServerTransaction]).await.unwrap();
    let (schema, batches) = read(&mut client, &info).await;
    let DataType::Union(fields, UnionMode::Dense) = schema.field(1).data_type() else { panic!("{schema}") };
    let names: Vec<&str> = fields.iter().map(|(_, field)| field.name().as_str()).collect();
    let expected =
        ["string_value", "bool_value", "bigint_value", "int32_bitmask", "string_list", "int32_to_int32_list_map"];
    assert_eq!(names, expected);
    let ids: Vec<i8> = UnionFields::iter(fields).map(|(id, _)| id).collect();
    assert_eq!(ids, [0, 1, 2, 3, 4, 5]);
    assert_eq!(schema.field(0), &Field::new("info_name", DataType::UInt32, false));
    assert!(!schema.field(1).is_nullable());
    let values = batches[0].column(1).as_union();
    assert_eq!((batches[0].num_rows(), values.type_id(0)), (1, 3));
    assert_eq!(values.value(0).as_primitive::<arrow::datatypes::Int32Type>().value(0), 0);

    let info = client.get_sql_info(Vec::new()).await.unwrap();
    let (_, batches) = read(&mut client, &info).await;
    let numbers: Vec<u32> = batches[0].column(0).as_primitive::<UInt32Type>().values().to_vec();
    for needed in [0, 1, 2, 3, 4, 5, 8, 503, 504, 505, 508, 517, 529] {
        assert!(numbers.contains(&needed), "{needed} is not in {numbers:?}");
    }
    let quote = numbers.iter().position(|number| *number == 504).unwrap();
    assert_eq!(batches[0].column(1).as_union().value(quote).as_string::<i32>().value(0), "\"");
}

#[tokio::test]
async fn types_are_described_all_or_one() {
    let served = served().await;
    let mut client = served.client().await;
    let info = client.get_xdbc_type_info(CommandGetXdbcTypeInfo { data_type: None }).await.unwrap();
    let (schema, batches) = read(&mut client, &info).await;
    assert_eq!(schema.fields().len(), 19);
    let names: Vec<Option<&str>> = batches[0].column(0).as_string::<i32>().iter().collect();
    for name in ["BIGINT", "DOUBLE", "VARCHAR", "TIMESTAMP", "BOOLEAN"] {
        assert!(names.contains(&Some(name)), "{name} is not in {names:?}");
    }
    let info = client.get_xdbc_type_info(CommandGetXdbcTypeInfo { data_type: Some(93) }).await.unwrap();
    let (_, batches) = read(&mut client, &info).await;
    assert_eq!(batches[0].column(0).as_string::<i32>().iter().collect::<Vec<_>>(), [Some("TIMESTAMP")]);
}

#[tokio::test]
async fn lists_of_keys_are_empty_and_have_their_columns() {
    let served = served().await;
    let mut client = served.client().await;
    let name = || "weather".to_owned();
    let primary = CommandGetPrimaryKeys { catalog: None, db_schema: None, table: name() };
    let info = client.get_primary_keys(primary).await.unwrap();
    let columns = "catalog_name|db_schema_name|table_name|column_name|key_name|key_sequence";
    assert_eq!(listed(&mut client, info).await, [columns]);
    let foreign = "pk_catalog_name|pk_db_schema_name|pk_table_name|pk_column_name|fk_catalog_name|fk_db_schema_name|\
        fk_table_name|fk_column_name|key_sequence|fk_key_name|pk_key_name|update_rule|delete_rule";
    let exported = CommandGetExportedKeys { catalog: None, db_schema: None, table: name() };
    let info = client.get_exported_keys(exported).await.unwrap();
    assert_eq!(listed(&mut client, info).await, [foreign]);
    let imported = CommandGetImportedKeys { catalog: None, db_schema: None, table: name() };
    let info = client.get_imported_keys(imported).await.unwrap();
    assert_eq!(listed(&mut client, info).await, [foreign]);
    let cross = CommandGetCrossReference { pk_table: name(), fk_table: name(), ..Default::default() };
    let info = client.get_cross_reference(cross).await.unwrap();
    assert_eq!(listed(&mut client, info).await, [foreign]);
}
