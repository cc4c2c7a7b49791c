use datafusion::sql::sqlparser::tokenizer::Tokenizer;

use super::*;
use crate::dialect::syntax::Syntax;

fn checked(sql: &str) -> Result<()> {
    check(&Tokenizer::new(&Syntax::default(), sql).tokenize_with_location().unwrap())
}

#[test]
fn lists_conditions_and_clauses_count_nothing() {
    for sql in [
        format!("SELECT {}", vec!["a + 1"; 1000].join(", ")),
        format!("SELECT * FROM t WHERE {}", vec!["a = 1"; 1000].join(" OR ")),
        format!("SELECT * FROM t WHERE {}", vec!["a BETWEEN 1 AND 2"; 1000].join(" AND ")),
        format!("SELECT * FROM t WHERE a IN ({})", vec!["-1"; 1000].join(", ")),
        format!("VALUES {}", vec!["(1, -2)"; 1000].join(", ")),
        format!("SELECT CASE {} END", vec!["WHEN a = 1 THEN -2"; 1000].join(" ")),
    ] {
        assert!(checked(&sql).is_ok(), "{}", &sql[..60]);
    }
}

#[test]
fn rows_of_operators_count_whatever_words_are_among_them() {
    for each in ["+ 1", "+ on", "+ end", "+ a.on", "+ f(end, 1)", "+ f(case, 1)", "IS DISTINCT FROM a", "+ \"on\""] {
        let sql = format!("SELECT (1 {})", vec![each; OPERATORS_MAX + 1].join(" "));
        assert!(checked(&sql).is_err(), "{each}");
    }
    // Half in a bracket, half around it.
    let half = vec!["+ 1"; OPERATORS_MAX / 2 + 1].join(" ");
    assert!(checked(&format!("SELECT (1 {half}) {half}")).is_err());
    assert!(checked(&format!("SELECT (1 {half}), (1 {half})")).is_ok());
}

proptest::proptest! {
    /// What is counted is never less than the depth of the tree that the parser makes.
    #[test]
    fn no_tree_is_deeper_than_what_is_counted(words in proptest::collection::vec("select|from|where|\\(|\\)|,|\\+|\\*|::|int|1|a|case|when|then|else|end|between|and|or|not|is|null|distinct|in|like|on|interval|'1'|\\[|\\]|\\.|f", 0..60)) {
        let sql = format!("SELECT {}", words.join(" "));
        let Ok(tokens) = Tokenizer::new(&Syntax::default(), &sql).tokenize_with_location() else { return Ok(()) };
        if let Ok(crate::dialect::Command::Query(query)) = crate::dialect::parse(&sql) {
            let depth = deepest(&query);
            let counted = counted(&tokens);
            // A condition of n parts is log n deep, and a query's own parts are no operators.
            proptest::prop_assert!(depth <= counted + 12, "{sql}: {depth} levels, {counted} counted");
        }
    }
}

fn counted(tokens: &[TokenWithSpan]) -> usize {
    let mut walk = Walk { levels: vec![Level::default()], sets: 0, conditions: 0, before: Before::Nothing };
    for token in tokens {
        walk.token(&token.token).unwrap();
    }
    while walk.levels.len() > 1 {
        walk.pop();
    }
    walk.level().depth()
}

/// How deep expressions lie in each other.
fn deepest(query: &crate::dialect::Query) -> usize {
    use datafusion::sql::sqlparser::ast::{Expr, Visitor};
    use std::ops::ControlFlow;
    #[derive(Default)]
    struct Depth {
        now: usize,
        most: usize,
    }
    impl Visitor for Depth {
        type Break = Error;

        fn pre_visit_expr(&mut self, _: &Expr) -> ControlFlow<Error> {
            self.now += 1;
            self.most = self.most.max(self.now);
            ControlFlow::Continue(())
        }

        fn post_visit_expr(&mut self, _: &Expr) -> ControlFlow<Error> {
            self.now -= 1;
            ControlFlow::Continue(())
        }
    }
    let mut depth = Depth::default();
    query.visit(&mut depth).unwrap();
    depth.most
}
