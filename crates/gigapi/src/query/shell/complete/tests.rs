use super::*;

fn known() -> Known {
    let pairs = |pairs: &[(&str, &str)]| pairs.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
    Known {
        database: "mydb".to_owned(),
        databases: vec!["metrics".to_owned(), "mydb".to_owned()],
        tables: pairs(&[("metrics", "cpu"), ("mydb", "weather"), ("mydb", "wind speed"), ("mydb", "order")]),
        columns: pairs(&[
            ("weather", "city"),
            ("weather", "temperature"),
            ("weather", "properties.net"),
            ("wind speed", "knots"),
        ]),
    }
}

/// What the text before `|` can become at its end, as whole texts.
fn completed(marked: &str) -> Vec<String> {
    let cursor = marked.find('|').unwrap();
    let line = marked.replacen('|', "", 1);
    let (begins, candidates) = complete(&line, cursor, known);
    candidates.into_iter().map(|each| format!("{}{each}", &line[..begins])).collect()
}

#[test]
fn keywords_follow_the_case_of_what_is_typed() {
    assert_eq!(completed("SEL|"), ["SELECT"]);
    assert_eq!(completed("select 1 fr|"), ["select 1 from"]);
    assert_eq!(completed("SELECT date_t|"), ["SELECT date_trunc("]);
}

#[test]
fn tables_follow_from_and_names_that_need_quotes_get_them() {
    assert_eq!(completed("SELECT * FROM we|"), ["SELECT * FROM weather"]);
    assert_eq!(completed("SELECT 1; SELECT * FROM wi|"), ["SELECT 1; SELECT * FROM \"wind speed\""]);
    assert_eq!(completed("SELECT * FROM \"wi|"), ["SELECT * FROM \"wind speed\""]);
    assert_eq!(completed("SELECT * FROM ord|"), ["SELECT * FROM \"order\""]);
    assert_eq!(completed("select * from m|"), ["select * from metrics", "select * from mydb"]);
    assert_eq!(completed("SELECT * FROM metrics.|"), ["SELECT * FROM metrics.cpu"]);
    assert_eq!(completed("DESCRIBE |").len(), 5);
}

#[test]
fn columns_are_those_of_the_tables_that_are_named() {
    assert_eq!(completed("SELECT cit| FROM weather"), ["SELECT city"]);
    assert_eq!(completed("SELECT k| FROM weather"), [""; 0]);
    assert_eq!(completed("SELECT kn|"), ["SELECT knots"]);
    assert_eq!(completed("SELECT prop| FROM weather"), ["SELECT \"properties.net\""]);
    assert_eq!(completed("SELECT w.te| FROM weather AS w"), ["SELECT w.temperature"]);
    assert_eq!(completed("SELECT w.| FROM weather w").len(), 3);
    assert_eq!(completed("SELECT weather.ci|"), ["SELECT weather.city"]);
}

#[test]
fn nothing_is_offered_inside_of_texts_and_comments() {
    for line in ["SELECT 'sel|", "-- sel|", "/* we|", "SELECT 1 |", "SELECT 12|", "|"] {
        assert_eq!(completed(line), [""; 0], "{line}");
    }
}

#[test]
fn commands_and_their_arguments_are_completed() {
    assert_eq!(completed(".t|"), [".tables", ".timer"]);
    assert_eq!(completed(" .mode c|"), [" .mode csv"]);
    assert_eq!(completed(".timer |"), [".timer off", ".timer on"]);
    assert_eq!(completed(".use m|"), [".use metrics", ".use mydb"]);
    assert_eq!(completed(".schema WE|"), [".schema weather"]);
    assert_eq!(completed(".help |"), [""; 0]);
}

#[test]
fn the_server_is_asked_only_where_names_are_wanted() {
    let unasked = || -> Known { panic!("the server was asked") };
    for line in [".mode c", ".t", "SELECT 'x", "SELECT "] {
        complete(line, line.len(), unasked);
    }
}

proptest::proptest! {
    #[test]
    fn every_place_of_every_line_has_an_answer(line in "[a-z\"'.;$ \n東-]{0,20}") {
        for cursor in (0..=line.len()).filter(|at| line.is_char_boundary(*at)) {
            let (begins, _) = complete(&line, cursor, known);
            proptest::prop_assert!(begins <= cursor && line.is_char_boundary(begins));
        }
    }
}
