use std::io::Cursor;

use arrow::json::{ReaderBuilder, reader::infer_json_schema};

use super::*;

/// The flat columns of JSON lines, each with its values as text.
fn flat(text: &str, skip: &[&str]) -> Result<Vec<(String, Vec<String>)>> {
    let schema = Arc::new(infer_json_schema(Cursor::new(text), None)?.0);
    let skip: Vec<String> = skip.iter().map(|&name| name.to_owned()).collect();
    let mut shape = Shape::new(&schema, &skip);
    let all: Vec<RecordBatch> =
        ReaderBuilder::new(Arc::clone(&schema)).build(Cursor::new(text))?.collect::<Result<_, _>>()?;
    for batch in &all {
        shape.widen(&batch.project(&shape.lists())?)?;
    }
    let target = shape.schema();
    let batch = shape.flatten(&all[0], &target)?;
    let texts = |array: &ArrayRef| {
        let texts = super::super::lines::text(array).unwrap();
        (0..texts.len())
            .map(|row| if texts.is_null(row) { "-".to_owned() } else { texts.value(row).to_owned() })
            .collect()
    };
    Ok(target.fields().iter().zip(batch.columns()).map(|(field, array)| (field.name().clone(), texts(array))).collect())
}

#[test]
fn objects_and_lists_become_dotted_columns() {
    let text = "{\"a\":1,\"o\":{\"b\":{\"c\":2}},\"l\":[1,2]}\n{\"a\":3,\"o\":null,\"l\":[]}\n{\"a\":5,\"o\":{\"b\":null},\"l\":[7,8,9]}\n";
    let columns = flat(text, &[]).unwrap();
    let expected = [
        ("a", ["1", "3", "5"]),
        ("o.b.c", ["2", "-", "-"]),
        ("l.0", ["1", "-", "7"]),
        ("l.1", ["2", "-", "8"]),
        ("l.2", ["-", "-", "9"]),
    ];
    let mut columns = columns;
    columns.sort();
    let mut expected: Vec<(String, Vec<String>)> =
        expected.iter().map(|(name, values)| ((*name).to_owned(), values.map(str::to_owned).to_vec())).collect();
    expected.sort();
    assert_eq!(columns, expected);
}

#[test]
fn lists_of_objects_and_of_lists_are_followed_to_their_values() {
    let columns = flat("{\"l\":[{\"x\":1},{\"x\":2}],\"m\":[[1],[2,3]]}\n", &[]).unwrap();
    let mut names: Vec<&str> = columns.iter().map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["l.0.x", "l.1.x", "m.0.0", "m.1.0", "m.1.1"]);
}

#[test]
fn a_list_too_long_for_columns_is_refused_unless_it_is_left_out() {
    let text = format!("{{\"a\":1,\"o\":{{\"l\":[{}0]}}}}\n", "0,".repeat(LIST_ITEMS_MAX));
    let error = flat(&text, &[]).unwrap_err().to_string();
    assert!(error.contains("a list in o.l has 65 items") && error.contains("--skip o.l"), "{error}");
    for skip in ["o.l", "o"] {
        let columns = flat(&text, &[skip]).unwrap();
        let names: Vec<&str> = columns.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["a", skip]);
    }
}
