use proptest::prelude::*;

use super::*;

fn texts(text: &str) -> Vec<(usize, &str)> {
    split(text).statements.iter().map(|statement| (statement.line, statement.text)).collect()
}

#[test]
fn statements_are_divided_outside_of_quotes_and_comments() {
    assert_eq!(texts("SELECT 1; SELECT ';'\n;\n\nSELECT 3"), [(1, "SELECT 1"), (1, "SELECT ';'"), (4, "SELECT 3")]);
    assert_eq!(texts("-- one;\nSELECT 1 -- two;\n; /* three; */;;"), [(2, "SELECT 1 -- two;")]);
    assert_eq!(texts("SELECT $a$;$a$, \";\""), [(1, "SELECT $a$;$a$, \";\"")]);
    assert_eq!(texts(" \n -- nothing\n"), []);
}

#[test]
fn a_text_waits_for_its_semicolon_and_for_the_end_of_a_quote() {
    for ended in ["", " \n", "-- x", "SELECT 1;", "SELECT 1; -- x", "SELECT ';';"] {
        assert!(split(ended).ended, "{ended}");
    }
    for open in ["SELECT 1", "SELECT 1; SELECT", "SELECT ';", "/* ;", "SELECT $$;", "SELECT 1; /* x", "SELECT 1; \"x;"]
    {
        assert!(!split(open).ended, "{open}");
    }
}

/// A statement as pieces that cannot hold its end: the model that the splitter has to agree with.
fn statement() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        "[a-z]{1,3}",
        "[ \n]",
        "[0-9]{1,2}",
        "[(),.*=<]",
        "[;\"`$a\n-]{0,4}".prop_map(|text| format!("'{text}'")),
        "[;'`$a\n-]{0,4}".prop_map(|text| format!(" \"{text}\"")),
        "[;'\"a\n]{0,4}".prop_map(|text| format!(" $t${text}$t$")),
        "[;'\"a$-]{0,4}".prop_map(|text| format!(" --{text}\n")),
        "[;'\"a\n$-]{0,4}".prop_map(|text| format!(" /*{text}*/")),
    ];
    prop::collection::vec(piece, 0..8).prop_map(|pieces| format!("s {} e", pieces.concat()))
}

proptest! {
    #[test]
    fn what_was_put_together_comes_apart_again(
        statements in prop::collection::vec(statement(), 1..6),
        between in "(;|[ \n]|-- ;'\n|/\\* ;' \\*/){0,3}",
    ) {
        let (mut text, mut expected) = (String::new(), Vec::new());
        for statement in &statements {
            text.push_str(&between);
            expected.push((1 + text.matches('\n').count(), statement.as_str()));
            text.push_str(statement);
            text.push(';');
        }
        let without_the_last = &text[..text.len() - 1];
        prop_assert_eq!(&texts(without_the_last), &expected);
        prop_assert!(!split(without_the_last).ended);
        text.push_str(&between);
        prop_assert_eq!(&texts(&text), &expected);
        prop_assert!(split(&text).ended);
    }
}
