use super::*;

fn foot(rows: usize, shown: usize, hidden: usize) -> Foot {
    Foot { rows: Some(rows), shown, hidden }
}

#[test]
fn below_an_answer_stands_what_it_does_not_show() {
    let time = Some(Duration::from_millis(12));
    assert_eq!(foot(1, 1, 0).lines(time, None, true), ["1 row in 12 ms"]);
    assert_eq!(foot(3, 3, 0).lines(None, None, true), ["3 rows"]);
    assert_eq!(Foot::default().lines(time, None, true), ["12 ms"]);
    assert_eq!(Foot::default().lines(None, None, true), [""; 0]);
    assert_eq!(
        foot(12_345, 100, 7).lines(time, Some(90), true),
        [
            "… 12,245 more rows; .rows 0 shows all",
            "… 7 more columns; .mode line shows all",
            "as the tables were 1 min 30 s ago: the server cannot ask its catalog",
            "12,345 rows in 12 ms",
        ]
    );
    assert_eq!(
        foot(101, 100, 1).lines(None, None, false),
        ["… 1 more row; --rows 0 shows all", "… 1 more column; --format line shows all", "101 rows"]
    );
}
