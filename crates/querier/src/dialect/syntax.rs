//! DuckDB's syntax as the parser knows it, and where DuckDB reads a text otherwise than the parser would.
//!
//! Digits may be grouped by `_`, `**` and `^` raise to a power and bind tighter than `*`, a sign binds tighter still.
//! Chains of `AND` and `OR` become balanced trees, so that a thousand of them are not a thousand levels deep.
//!
//! The parser tries again what it could not read in one way, at every level of brackets anew, which takes for ever for
//! thirty levels. So it has a budget.

use std::any::TypeId;
use std::cell::Cell;

use datafusion::sql::sqlparser::ast::{BinaryOperator, Expr, UnaryOperator};
use datafusion::sql::sqlparser::dialect::{Dialect, DuckDbDialect, Precedence};
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use datafusion::sql::sqlparser::tokenizer::Token;

/// What raises to a power, beside `^`.
pub(super) const POWER_SIGN: &str = "**";

/// Tighter than products, looser than casts.
const POWER: u8 = 43;
/// Tighter than powers: in DuckDB `-2 ^ 2` is 4.
const SIGN: u8 = 45;

/// See the module.
#[derive(Debug)]
pub(crate) struct Syntax {
    /// How many expressions the parser may still begin to read.
    budget: Cell<usize>,
}

impl Syntax {
    /// For a text of so many tokens. One that can be read begins an expression at few of them.
    pub(super) fn for_tokens(tokens: usize) -> Self {
        Self { budget: Cell::new(tokens.saturating_mul(64).saturating_add(10_000)) }
    }

    /// Whether the budget was used up.
    pub(super) fn gave_up(&self) -> bool {
        self.budget.get() == 0
    }
}

impl Default for Syntax {
    /// For texts of ours.
    fn default() -> Self {
        Self { budget: Cell::new(usize::MAX) }
    }
}

macro_rules! as_in_duckdb {
    ($($name:ident)*) => {
        $(fn $name(&self) -> bool {
            DuckDbDialect.$name()
        })*
    };
}

impl Dialect for Syntax {
    fn dialect(&self) -> TypeId {
        TypeId::of::<DuckDbDialect>()
    }

    fn is_identifier_start(&self, ch: char) -> bool {
        DuckDbDialect.is_identifier_start(ch)
    }

    fn is_identifier_part(&self, ch: char) -> bool {
        DuckDbDialect.is_identifier_part(ch)
    }

    as_in_duckdb! {
        supports_trailing_commas supports_filter_during_aggregation supports_group_by_expr
        supports_bitwise_shift_operators supports_named_fn_args_with_assignment_operator supports_dictionary_syntax support_map_literal_syntax
        supports_lambda_functions allow_extract_single_quotes supports_explain_with_utility_options
        supports_load_extension supports_array_typedef_with_brackets supports_from_first_select
        supports_order_by_all supports_select_wildcard_exclude supports_notnull_operator supports_install
        supports_detach supports_select_wildcard_replace supports_comma_separated_trim
    }

    fn supports_numeric_literal_underscores(&self) -> bool {
        true
    }

    fn prec_value(&self, precedence: Precedence) -> u8 {
        match precedence {
            Precedence::Caret => POWER,
            other => DuckDbDialect.prec_value(other),
        }
    }

    fn get_next_precedence(&self, parser: &Parser) -> Option<Result<u8, ParserError>> {
        is_power(parser).then_some(Ok(POWER))
    }

    fn parse_prefix(&self, parser: &mut Parser) -> Option<Result<Expr, ParserError>> {
        match self.budget.get().checked_sub(1) {
            Some(rest) if rest > 0 => self.budget.set(rest),
            _ => {
                self.budget.set(0);
                return Some(Err(ParserError::ParserError("it takes too long to find out what is wrong".to_owned())));
            }
        }
        let op = match parser.peek_token_ref().token {
            Token::Minus => UnaryOperator::Minus,
            Token::Plus => UnaryOperator::Plus,
            _ => return None,
        };
        parser.advance_token();
        Some(parser.parse_subexpr(SIGN).map(|expr| Expr::UnaryOp { op, expr: Box::new(expr) }))
    }

    fn parse_infix(&self, parser: &mut Parser, left: &Expr, _: u8) -> Option<Result<Expr, ParserError>> {
        if is_power(parser) {
            parser.advance_token();
            parser.advance_token();
            let right = parser.parse_subexpr(POWER);
            let op = BinaryOperator::Custom(POWER_SIGN.to_owned());
            return Some(right.map(|right| binary(left.clone(), op, right)));
        }
        let (op, precedence) = match joined_by(parser)? {
            Keyword::AND => (BinaryOperator::And, self.prec_value(Precedence::And)),
            _ => (BinaryOperator::Or, self.prec_value(Precedence::Or)),
        };
        Some(chain(parser, left.clone(), &op, precedence))
    }
}

/// Whether `**` comes next, as one sign.
fn is_power(parser: &Parser) -> bool {
    let first = parser.peek_token_ref();
    if first.token != Token::Mul {
        return false;
    }
    let second = parser.peek_nth_token_ref(1);
    second.token == Token::Mul && second.span.start == first.span.end
}

/// `AND` or `OR`, if one of them comes next.
fn joined_by(parser: &Parser) -> Option<Keyword> {
    match &parser.peek_token_ref().token {
        Token::Word(word) if matches!(word.keyword, Keyword::AND | Keyword::OR) => Some(word.keyword),
        _ => None,
    }
}

/// All that the same word joins, from the first on.
fn chain(parser: &mut Parser, first: Expr, op: &BinaryOperator, precedence: u8) -> Result<Expr, ParserError> {
    let keyword = if *op == BinaryOperator::And { Keyword::AND } else { Keyword::OR };
    let mut all = vec![first];
    while joined_by(parser) == Some(keyword) {
        parser.advance_token();
        all.push(parser.parse_subexpr(precedence)?);
    }
    Ok(balanced(all, op))
}

/// One condition of many, as deep as it has to be and in their order.
pub(super) fn balanced(mut all: Vec<Expr>, op: &BinaryOperator) -> Expr {
    while all.len() > 1 {
        let mut next = Vec::with_capacity(all.len().div_ceil(2));
        let mut rest = all.into_iter();
        while let Some(left) = rest.next() {
            next.push(match rest.next() {
                Some(right) => binary(left, op.clone(), right),
                None => left,
            });
        }
        all = next;
    }
    all.pop().unwrap_or_else(|| Expr::value(datafusion::sql::sqlparser::ast::Value::Null))
}

pub(super) fn binary(left: Expr, op: BinaryOperator, right: Expr) -> Expr {
    Expr::BinaryOp { left: Box::new(left), op, right: Box::new(right) }
}

#[cfg(test)]
mod tests;
