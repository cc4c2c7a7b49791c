//! The walk that changes a statement's names; see the parent module.

use std::ops::ControlFlow;

use datafusion::arrow::compute::kernels::cast_utils::string_to_timestamp_nanos;
use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, Ident, ObjectName, ObjectNamePart, Select, SelectFlavor, SelectItem, TableFactor, Value,
    VisitorMut, WildcardAdditionalOptions,
};
use gigapi_model::TIME_COLUMN;

use super::{Names, quoted, spelling};
use crate::dialect::functions::AS_TIME;
use crate::dialect::{Query, call, flow};
use crate::{Error, Result};

/// Spells every name as it is registered.
pub(crate) fn unify(query: &mut Query, names: &Names) -> Result<()> {
    query.visit_mut(&mut Rewrite { names, lambdas: Vec::new() })
}

pub(super) struct Rewrite<'a> {
    pub(super) names: &'a Names,
    /// Parameters of the lambdas around the place where the walk is.
    lambdas: Vec<Vec<String>>,
}

impl Rewrite<'_> {
    pub(super) fn ident(&self, ident: &mut Ident) -> Result<()> {
        let of_lambda = self.lambdas.iter().rev().flatten().find(|name| name.eq_ignore_ascii_case(&ident.value));
        if let Some(name) = of_lambda {
            *ident = quoted(name);
            return Ok(());
        }
        if let Some(spelling) = self.names.spelling(&ident.value)?
            && spelling != ident.value
        {
            *ident = quoted(spelling);
        }
        Ok(())
    }

    fn expr(&mut self, expr: &mut Expr) -> Result<()> {
        match expr {
            Expr::Identifier(ident) => {
                if let Some(time) = self.quoted_time(ident) {
                    *expr = Expr::Value(Value::SingleQuotedString(time).into());
                    return Ok(());
                }
                self.ident(ident)
            }
            Expr::CompoundIdentifier(idents) => idents.iter_mut().try_for_each(|ident| self.ident(ident)),
            Expr::Function(function) => {
                spelling::window(function);
                Ok(())
            }
            Expr::Lambda(lambda) => {
                let mut names: Vec<String> = Vec::new();
                lambda.params.iter().for_each(|parameter| names.push(parameter.name.value.clone()));
                self.lambdas.push(names);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// A point in time that was written in double quotes, as the original's examples do.
    fn quoted_time(&self, ident: &Ident) -> Option<String> {
        let unknown =
            ident.quote_style == Some('"') && !self.names.known.contains_key(&ident.value.to_ascii_lowercase());
        let is_time = unknown && ident.value.len() >= 10 && string_to_timestamp_nanos(&ident.value).is_ok();
        is_time.then(|| ident.value.clone())
    }

    fn table(&self, name: &mut ObjectName) {
        let spelled = match (self.names.cte(name), self.names.table(name)) {
            (Some(cte), _) => vec![cte.to_owned()],
            (None, Some(found)) => found.parts.clone(),
            (None, None) => return,
        };
        *name = ObjectName::from(spelled.iter().map(|part| quoted(part)).collect::<Vec<_>>());
    }
}

impl VisitorMut for Rewrite<'_> {
    type Break = Error;

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<Error> {
        if select.flavor == SelectFlavor::FromFirstNoSelect {
            // `FROM t` alone means all columns; the engine would return none.
            select.flavor = SelectFlavor::Standard;
            select.projection = vec![SelectItem::Wildcard(WildcardAdditionalOptions::default())];
        }
        self.names.virtual_columns.hide(select, self.names);
        flow(self.select(select))
    }

    fn post_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<Error> {
        let TableFactor::Table { name, alias, args: None, .. } = factor else { return ControlFlow::Continue(()) };
        let missing = match (self.names.cte(name), self.names.table(name)) {
            (None, Some(found)) if found.is_stored => self.names.virtual_columns.missing(&found.columns),
            _ => Vec::new(),
        };
        let written = name.0.last().cloned();
        let renames = alias.is_none() && self.names.table(name).is_some_and(|found| is_dotted(name, &found.parts));
        self.table(name);
        if renames && let Some(ObjectNamePart::Identifier(ident)) = written {
            // `a.b` that turned out to be one name keeps its last part as a qualifier.
            let qualifier = quoted(&ident.value);
            *alias = Some(super::virtual_columns::alias(qualifier));
        }
        if missing.is_empty() {
            return ControlFlow::Continue(());
        }
        flow(super::virtual_columns::extend(factor, &missing))
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Error> {
        flow(self.expr(expr))
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Error> {
        if matches!(expr, Expr::Lambda(_)) {
            self.lambdas.pop();
        }
        if let Some(plain) = comparisons(expr) {
            *expr = plain;
        }
        ControlFlow::Continue(())
    }
}

fn is_dotted(written: &ObjectName, found: &[String]) -> bool {
    written.0.len() == 2 && found.len() == 1
}

/// `BETWEEN` as two comparisons and what stands in lists as times, because only comparisons are told apart by type when
/// a statement is planned: an integer beside a timestamp means nanoseconds.
fn comparisons(expr: &mut Expr) -> Option<Expr> {
    let binary = |left: &Expr, op: BinaryOperator, right: &Expr| Expr::BinaryOp {
        left: Box::new(left.clone()),
        op,
        right: Box::new(right.clone()),
    };
    match expr {
        Expr::Between { expr, negated, low, high } if is_name(expr) => {
            let (lower, upper, joined) = match negated {
                false => (BinaryOperator::GtEq, BinaryOperator::LtEq, BinaryOperator::And),
                true => (BinaryOperator::Lt, BinaryOperator::Gt, BinaryOperator::Or),
            };
            let both = binary(&binary(expr, lower, low), joined, &binary(expr, upper, high));
            Some(Expr::Nested(Box::new(both)))
        }
        // A list of texts alone is told apart by the engine.
        Expr::InList { expr, list, .. } if is_time(expr) && !list.iter().all(is_text) => {
            for item in list {
                let value = std::mem::replace(item, Expr::value(Value::Null));
                *item = Expr::Function(call(AS_TIME, vec![value]));
            }
            None
        }
        _ => None,
    }
}

fn is_name(expr: &Expr) -> bool {
    matches!(expr, Expr::Identifier(_) | Expr::CompoundIdentifier(_))
}

fn is_time(expr: &Expr) -> bool {
    match expr {
        Expr::Identifier(ident) => ident.value == TIME_COLUMN,
        Expr::CompoundIdentifier(idents) => idents.last().is_some_and(|ident| ident.value == TIME_COLUMN),
        _ => false,
    }
}

fn is_text(expr: &Expr) -> bool {
    matches!(expr, Expr::Value(value) if matches!(value.value, Value::SingleQuotedString(_)))
}
