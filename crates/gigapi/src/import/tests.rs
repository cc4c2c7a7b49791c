use std::io::Write;

use super::plan::Plan;
use super::source::Source;
use super::*;

pub(super) fn args(table: &str, time: &str, tags: &[&str], skip: &[&str]) -> ImportArgs {
    let owned = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
    ImportArgs {
        connect: crate::client::tests::connect_args(),
        files: Vec::new(),
        table: table.to_owned(),
        time: time.to_owned(),
        tag: owned(tags),
        skip: owned(skip),
        key: false,
        records: None,
        parallel: 1,
    }
}

fn file(extension: &str, text: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::Builder::new().suffix(extension).tempfile().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

/// The lines that a file becomes, and why rows were left out.
fn import(extension: &str, text: &str, args: &ImportArgs) -> Result<(Vec<String>, LeftOut)> {
    let file = file(extension, text);
    let source = Source::open(file.path(), args.records.as_deref(), &args.skip)?;
    let plan = Plan::new(args, &source.schema)?;
    let (batches, mut inbox) = mpsc::channel(100);
    let left_out = read_all(vec![source], &["f".to_owned()], &plan, &batches);
    drop(batches);
    let mut lines = Vec::new();
    while let Some(batch) = inbox.blocking_recv() {
        lines.extend(String::from_utf8_lossy(&batch?.body).lines().map(str::to_owned));
    }
    Ok((lines, left_out))
}

#[test]
fn a_csv_file_is_imported_with_inferred_types() {
    let text =
        "date,city,temp,rain,note\n2012-01-01,Oslo,-1.5,0,\"a, \"\"b\"\"\"\n2012-01-02,New York,3,12,\n,Rome,1,1,x\n";
    let (lines, left_out) = import(".csv", text, &args("w", "date", &["city"], &[])).unwrap();
    assert_eq!(
        lines,
        [
            "w,city=Oslo temp=-1.5,rain=0i,note=\"a, \\\"b\\\"\" 1325376000000000000",
            "w,city=New\\ York temp=3.0,rain=12i 1325462400000000000",
        ]
    );
    assert!(left_out.reasons().unwrap().contains("1 have no readable time (the first is row 3)"));
}

#[test]
fn a_type_that_shows_up_late_is_seen_before_anything_is_sent() {
    let text = format!("t,v\n{}1,x\n", "1,1\n".repeat(200_000));
    let file = file(".csv", &text);
    let source = Source::open(file.path(), None, &[]).unwrap();
    assert_eq!(source.rows, 200_001);
    assert_eq!(source.schema.field(1).data_type(), &arrow::datatypes::DataType::Utf8);
}

#[test]
fn json_is_imported_as_lines_as_an_array_and_from_inside_a_document() {
    let rows = [
        "{\"p\":{\"time\":1517966773840,\"mag\":2},\"at\":[-118.5,34.25]}",
        "{\"p\":{\"time\":1517966773841,\"mag\":2.5},\"at\":[1]}",
    ];
    let expected =
        ["q p.mag=2.0,at.0=-118.5,at.1=34.25 1517966773840000000", "q p.mag=2.5,at.0=1.0 1517966773841000000"];
    let mut args = args("q", "p.time:ms", &[], &[]);
    for (extension, text) in
        [(".jsonl", rows.join("\n")), (".json", rows.join("\n")), (".json", format!("[{}]", rows.join(",")))]
    {
        let (mut lines, _) = import(extension, &text, &args).unwrap();
        lines.iter_mut().for_each(|line| *line = sorted_fields(&line));
        assert_eq!(lines, expected.map(sorted_fields), "{text}");
    }
    let document = format!("{{\"meta\":1,\"features\":[{}]}}", rows.join(","));
    let error = import(".json", &document, &args).unwrap_err().to_string();
    assert!(error.contains("--records, there is: features"), "{error}");
    args.records = Some("features".to_owned());
    assert_eq!(import(".json", &document, &args).unwrap().0.len(), 2);
}

/// The order of a JSON object's members means nothing.
fn sorted_fields(line: impl AsRef<str>) -> String {
    let parts: Vec<&str> = line.as_ref().split(' ').collect();
    let mut fields: Vec<&str> = parts[1].split(',').collect();
    fields.sort_unstable();
    format!("{} {} {}", parts[0], fields.join(","), parts[2])
}

#[test]
fn a_wrong_plan_is_refused_before_anything_is_sent() {
    let text = "date,time,a b,v\n2012-01-01,x,y,1\n";
    for (args, part) in [
        (args("w", "when", &[], &[]), "--time"),
        (args("w", "date", &["nope"], &[]), "--tag"),
        (args("w", "date", &[], &["nope"]), "--skip"),
        (args("w", "date", &[], &[]), "column time is not the time"),
        (args("w\\", "date", &[], &["time"]), "ends with a backslash"),
        (args("..", "date", &[], &["time"]), "--table"),
        (args("w", "date", &["a b", "v"], &["time"]), "no column is left to be a field"),
    ] {
        let error = format!("{:#}", import(".csv", text, &args).unwrap_err());
        assert!(error.contains(part), "{part}: {error}");
    }
    let (lines, _) = import(".csv", text, &args("w", "date:%Y-%m-%d", &["a b"], &["time"])).unwrap();
    assert_eq!(lines, ["w,a\\ b=y v=1i 1325376000000000000"]);
}
