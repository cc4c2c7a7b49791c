use super::*;

fn row(client: usize, seq: u64) -> Row {
    Row { client: format!("c{client}"), seq, hash: row_hash(client, seq) }
}

fn request(first: u64, count: u64, fate: Fate) -> Request {
    Request { first, count, fate }
}

/// Client 0: rows 0 to 2 acknowledged, 3 and 4 unknown; client 1: row 0 acknowledged.
fn requests() -> Vec<Vec<Request>> {
    let known = vec![request(0, 1, Fate::Acknowledged), request(1, 2, Fate::Acknowledged)];
    vec![[known, vec![request(3, 2, Fate::Unknown)]].concat(), vec![request(0, 1, Fate::Acknowledged)]]
}

fn acknowledged() -> Vec<Row> {
    vec![row(0, 0), row(0, 1), row(0, 2), row(1, 0)]
}

fn flaws(found: &[Row]) -> Vec<Flaw> {
    judge(&requests(), found).flaws
}

#[test]
fn unknown_rows_may_be_there_or_not() {
    assert_eq!(judge(&requests(), &acknowledged()), Verdict { rows: 4, flaws: vec![] });
    assert_eq!(flaws(&[acknowledged(), vec![row(0, 3), row(0, 4)]].concat()), []);
}

#[test]
fn a_lost_request_is_found() {
    let lost = Flaw::Lost { client: 0, first: 1, count: 2 };
    assert_eq!(flaws(&[row(0, 0), row(1, 0)]), [lost]);
    let verdict = judge(&requests(), &[]);
    assert_eq!(verdict.flaws.len(), 3);
    assert!(verdict.only_lost() && verdict.sound().is_err());
}

#[test]
fn a_torn_request_is_found_whatever_its_fate() {
    assert_eq!(flaws(&[row(0, 0), row(0, 1), row(1, 0)]), [Flaw::Torn { client: 0, seq: 2 }]);
    let partly_unknown = [acknowledged(), vec![row(0, 4)]].concat();
    assert_eq!(flaws(&partly_unknown), [Flaw::Torn { client: 0, seq: 3 }]);
    assert!(!judge(&requests(), &partly_unknown).only_lost());
}

#[test]
fn a_doubled_row_is_found_whatever_its_fate() {
    let doubled = |extra: Vec<Row>| flaws(&[acknowledged(), extra].concat());
    assert_eq!(doubled(vec![row(0, 2)]), [Flaw::Doubled { client: 0, seq: 2, times: 2 }]);
    let unknown = doubled(vec![row(0, 3), row(0, 3), row(0, 3), row(0, 4)]);
    assert_eq!(unknown, [Flaw::Doubled { client: 0, seq: 3, times: 3 }]);
}

#[test]
fn a_row_that_nobody_sent_is_found() {
    let unsent = |client: &str, seq: u64| {
        let row = Row { client: client.to_owned(), seq, hash: 0 };
        assert_eq!(flaws(&[acknowledged(), vec![row]].concat()), [Flaw::Unsent { client: client.to_owned(), seq }]);
    };
    unsent("c0", 5);
    unsent("c1", 1);
    unsent("c2", 0);
    unsent("d0", 0);
    unsent("c0", u64::MAX);
}

#[test]
fn a_changed_row_is_found() {
    let mut found = acknowledged();
    found[3].hash += 1;
    assert_eq!(flaws(&found), [Flaw::Changed { client: 1, seq: 0 }]);
    assert_ne!(row_hash(0, 1), row_hash(1, 0));
}
