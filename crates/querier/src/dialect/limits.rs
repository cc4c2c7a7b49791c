//! How deep a statement may be, found in its tokens before anything is parsed.
//!
//! A parser, a planner and whatever drops what they made go down a syntax tree by calling themselves, and a stack that
//! overflows ends the process. Parentheses are not all that makes a tree deep: so does every operator of a row of them,
//! of any kind. What is counted here is never less than the tree's real depth, and lists, however long, count nothing.

use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};

use crate::{Error, Result};

/// How deep brackets, subqueries, `CASE` and the like may lie in each other.
pub(super) const NESTING_MAX: usize = 128;

/// How many conditions `AND` and `OR` may put together: the engine takes some of them apart and chains them anew.
pub(super) const CONDITIONS_MAX: usize = 2_000;

/// How many levels the operators of an expression may make, with those of what it stands in. `AND` and `OR` make none.
pub(super) const OPERATORS_MAX: usize = 400;

/// How many queries `UNION`, `INTERSECT` and `EXCEPT` may put together.
pub(super) const SETS_MAX: usize = 200;

/// Refuses a statement that is too deep.
pub(super) fn check(tokens: &[TokenWithSpan]) -> Result<()> {
    let mut walk = Walk { levels: vec![Level::default()], sets: 0, conditions: 0, before: Before::Nothing };
    for token in tokens {
        walk.token(&token.token)?;
    }
    while walk.levels.len() > 1 {
        walk.pop();
    }
    walk.within_limits()
}

/// What lies between two brackets, as far as the walk has come.
#[derive(Debug, Default)]
struct Level {
    /// Whether a `CASE` opened it.
    is_case: bool,
    /// Operators of the expression that the walk is in.
    operators: usize,
    /// The deepest bracket inside that expression.
    deepest: usize,
    /// The deepest of the expressions before it.
    before: usize,
    /// `BETWEEN`s whose `AND` has not come yet.
    betweens: usize,
}

impl Level {
    fn depth(&self) -> usize {
        self.before.max(self.operators + self.deepest)
    }

    /// The expression ends, and another may follow.
    fn next(&mut self) {
        self.before = self.depth();
        self.operators = 0;
        self.deepest = 0;
        self.betweens = 0;
    }
}

/// What the last token was, as far as it decides what a word means: after an operator every word is a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Before {
    Operator,
    Distinct,
    Nothing,
}

struct Walk {
    levels: Vec<Level>,
    sets: usize,
    conditions: usize,
    before: Before,
}

impl Walk {
    fn token(&mut self, token: &Token) -> Result<()> {
        let before = match token {
            Token::Whitespace(_) | Token::EOF => return Ok(()),
            Token::LParen | Token::LBracket | Token::LBrace => {
                self.push(false);
                Before::Nothing
            }
            Token::RParen | Token::RBracket | Token::RBrace => {
                self.close();
                Before::Nothing
            }
            Token::Comma | Token::SemiColon => {
                self.next();
                Before::Nothing
            }
            // What follows is the rest of a name.
            Token::Period => Before::Operator,
            Token::Word(word) if word.quote_style.is_none() => self.word(word.keyword),
            Token::Word(_) | Token::Number(..) | Token::SingleQuotedString(_) | Token::Placeholder(_) => {
                Before::Nothing
            }
            // Every sign may be an operator, whether or not this dialect knows it.
            _ => self.operator(),
        };
        self.before = before;
        self.within_limits()
    }

    fn word(&mut self, keyword: Keyword) -> Before {
        let is_name = self.before == Before::Operator;
        match keyword {
            Keyword::CASE => self.push(true),
            Keyword::BETWEEN => {
                self.operator();
                self.level().betweens += 1;
            }
            _ if is_infix_or_prefix(keyword) => return self.operator(),
            // Of `IS DISTINCT FROM`, too.
            Keyword::DISTINCT => return Before::Distinct,
            _ if is_name => {}
            Keyword::END if self.level().is_case => self.pop(),
            Keyword::AND if self.level().betweens > 0 => self.level().betweens -= 1,
            Keyword::UNION | Keyword::INTERSECT | Keyword::EXCEPT => {
                self.sets += 1;
                self.next();
            }
            Keyword::FROM if self.before == Before::Distinct => {}
            Keyword::AND | Keyword::OR => {
                self.conditions += 1;
                self.next();
            }
            _ if is_separator(keyword) => self.next(),
            _ => {}
        }
        Before::Nothing
    }

    fn level(&mut self) -> &mut Level {
        if self.levels.is_empty() {
            self.levels.push(Level::default());
        }
        let last = self.levels.len() - 1;
        &mut self.levels[last]
    }

    fn operator(&mut self) -> Before {
        self.level().operators += 1;
        Before::Operator
    }

    fn next(&mut self) {
        self.level().next();
    }

    /// A bracket after something may be a call, a subscript or a type: each is a level of the tree.
    fn push(&mut self, is_case: bool) {
        self.level().operators += 1;
        self.levels.push(Level { is_case, ..Level::default() });
    }

    fn pop(&mut self) {
        if self.levels.len() > 1 {
            let inner = self.levels.pop().map_or(0, |level| level.depth());
            let outer = self.level();
            outer.deepest = outer.deepest.max(inner);
        }
    }

    /// Ends the innermost bracket, and what was not ended inside it.
    fn close(&mut self) {
        while self.level().is_case {
            self.pop();
        }
        self.pop();
    }

    fn within_limits(&mut self) -> Result<()> {
        if self.levels.len() > NESTING_MAX {
            return Err(Error::TooDeep { what: "levels of brackets, CASE and subqueries", limit: NESTING_MAX });
        }
        if self.level().depth() > OPERATORS_MAX {
            return Err(Error::TooDeep { what: "operators on operators in one expression", limit: OPERATORS_MAX });
        }
        if self.conditions > CONDITIONS_MAX {
            return Err(Error::TooDeep { what: "conditions joined by AND and OR", limit: CONDITIONS_MAX });
        }
        if self.sets > SETS_MAX {
            return Err(Error::TooDeep { what: "queries joined by UNION, INTERSECT or EXCEPT", limit: SETS_MAX });
        }
        Ok(())
    }
}

/// Words that make the tree of an expression a level deeper.
fn is_infix_or_prefix(keyword: Keyword) -> bool {
    matches!(
        keyword,
        Keyword::NOT
            | Keyword::IS
            | Keyword::NOTNULL
            | Keyword::IN
            | Keyword::LIKE
            | Keyword::ILIKE
            | Keyword::RLIKE
            | Keyword::REGEXP
            | Keyword::SIMILAR
            | Keyword::COLLATE
            | Keyword::AT
            | Keyword::INTERVAL
            | Keyword::PRIOR
            | Keyword::XOR
            | Keyword::DIV
            | Keyword::OVERLAPS
            | Keyword::ARRAY
            | Keyword::PIVOT
            | Keyword::UNPIVOT
            | Keyword::EXPLAIN
            | Keyword::DESCRIBE
    )
}

/// Words after which another expression begins.
fn is_separator(keyword: Keyword) -> bool {
    matches!(
        keyword,
        Keyword::SELECT
            | Keyword::FROM
            | Keyword::WHERE
            | Keyword::BY
            | Keyword::HAVING
            | Keyword::QUALIFY
            | Keyword::LIMIT
            | Keyword::JOIN
            | Keyword::ON
            | Keyword::WHEN
            | Keyword::THEN
            | Keyword::ELSE
    )
}

#[cfg(test)]
mod tests;
