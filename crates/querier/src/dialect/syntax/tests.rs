use super::*;

fn parsed(text: &str) -> Expr {
    Parser::new(&Syntax::default()).try_with_sql(text).unwrap().parse_expr().unwrap()
}

/// The expression with every operator in brackets.
fn shown(expr: &Expr) -> String {
    match expr {
        Expr::BinaryOp { left, op, right } => format!("({} {op} {})", shown(left), shown(right)),
        Expr::UnaryOp { op, expr } => format!("({op}{})", shown(expr)),
        Expr::Nested(inner) => shown(inner),
        other => other.to_string(),
    }
}

#[test]
fn powers_and_signs_bind_as_in_duckdb() {
    let cases = [
        ("2 * 3 ** 2", "(2 * (3 ** 2))"),
        ("2 * 3 ^ 2", "(2 * (3 ^ 2))"),
        ("2 ** 3 ** 2", "((2 ** 3) ** 2)"),
        ("2 ^ 3 ^ 2", "((2 ^ 3) ^ 2)"),
        ("-2 ^ 2", "((-2) ^ 2)"),
        ("2 ^ -1", "(2 ^ (-1))"),
        ("-a * b", "((-a) * b)"),
        ("-a - -b", "((-a) - (-b))"),
        ("-a::int", "(-a::INT)"),
        ("a // b * c", "((a // b) * c)"),
        ("a + b // c", "(a + (b // c))"),
        ("a ** b + c", "((a ** b) + c)"),
        ("a = b ** 2 AND c", "((a = (b ** 2)) AND c)"),
    ];
    for (written, expected) in cases {
        assert_eq!(shown(&parsed(written)), expected, "{written}");
    }
}

#[test]
fn conditions_keep_their_order_and_their_precedence() {
    let cases = [
        ("a AND b", "(a AND b)"),
        ("a OR b AND c OR d", "((a OR (b AND c)) OR d)"),
        ("a AND b OR c AND d", "((a AND b) OR (c AND d))"),
        ("a AND b AND c AND d", "((a AND b) AND (c AND d))"),
        ("NOT a AND b", "((NOT a) AND b)"),
        ("a BETWEEN 1 AND 2 AND b", "(a BETWEEN 1 AND 2 AND b)"),
    ];
    for (written, expected) in cases {
        assert_eq!(shown(&parsed(written)).replace("NOTa", "NOT a"), expected, "{written}");
    }
}

#[test]
fn a_long_condition_is_a_shallow_tree() {
    fn depth(expr: &Expr) -> usize {
        match expr {
            Expr::BinaryOp { left, right, .. } => 1 + depth(left).max(depth(right)),
            _ => 0,
        }
    }
    for word in ["AND", "OR"] {
        let text = vec!["a"; 10_000].join(&format!(" {word} "));
        assert_eq!(depth(&parsed(&text)), 14);
    }
}

#[test]
fn two_stars_that_are_apart_are_no_power() {
    let apart = Parser::new(&Syntax::default()).try_with_sql("2 * * 3").unwrap().parse_expr();
    assert!(apart.is_err());
}

#[test]
fn what_cannot_be_read_is_given_up_soon() {
    for call in ["CAST(", "EXTRACT(", "SUBSTRING(", "TRIM(", "POSITION(", "CEIL(", "CONVERT(", "TRY_CAST(", "STRUCT("] {
        let text = format!("{}1 2", call.repeat(60));
        let syntax = Syntax::for_tokens(200);
        assert!(Parser::new(&syntax).try_with_sql(&text).unwrap().parse_expr().is_err(), "{call}");
    }
    let syntax = Syntax::for_tokens(200);
    let text = format!("{}1 2", "CAST(".repeat(60));
    assert!(Parser::new(&syntax).with_recursion_limit(128).try_with_sql(&text).unwrap().parse_expr().is_err());
    assert!(syntax.gave_up());
}
