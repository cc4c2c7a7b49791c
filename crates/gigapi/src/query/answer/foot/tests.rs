use super::*;

fn foot(rows: usize, shown: usize, hidden: usize) -> Foot {
    Foot { rows: Some(rows), shown, hidden }
}

#[test]
fn below_an_answer_stands_what_it_does_not_show() {
    let time = Some(Duration::from_millis(12));
    assert_eq!(foot(1, 1, 0).lines(time, &Lacks::default(), true), ["1 row in 12 ms"]);
    assert_eq!(foot(3, 3, 0).lines(None, &Lacks::default(), true), ["3 rows"]);
    assert_eq!(Foot::default().lines(time, &Lacks::default(), true), ["12 ms"]);
    assert_eq!(Foot::default().lines(None, &Lacks::default(), true), [""; 0]);
    assert_eq!(
        foot(12_345, 100, 7).lines(time, &Lacks { stale: Some(90), away: None }, true),
        [
            "… 12,245 more rows; .rows 0 shows all",
            "… 7 more columns; .mode line shows all",
            "as the tables were 1 min 30 s ago: the server cannot ask its catalog",
            "12,345 rows in 12 ms",
        ]
    );
    assert_eq!(
        foot(101, 100, 1).lines(None, &Lacks::default(), false),
        ["… 1 more row; --rows 0 shows all", "… 1 more column; --format line shows all", "101 rows"]
    );
}

#[test]
fn writers_that_could_not_be_asked_are_named() {
    let lacks = Lacks { stale: None, away: Some("a@b:1, c@d:2".to_owned()) };
    let lines = foot(1, 1, 0).lines(None, &lacks, true);
    assert_eq!(lines, ["without rows that are in no file yet of a@b:1, c@d:2", "1 row"]);
}
