//! The columns `date` and `hour`, which every table has though no file holds them.
//!
//! They are functions of `time`. A table of a statement that names one becomes a query that adds it, so the
//! engine's own scoping decides what a name means; `SELECT *` leaves it out again unless it was asked for.

use datafusion::sql::sqlparser::ast::{
    ExcludeSelectItem, Expr, Ident, ObjectName, Select, SelectItem, SelectItemQualifiedWildcardKind, SetExpr,
    TableAlias, TableFactor, WildcardAdditionalOptions,
};
use datafusion::sql::sqlparser::parser::Parser;
use gigapi_model::TIME_COLUMN;

use super::{Names, quoted};
use crate::dialect::functions::{DAY_OF, HOUR_OF};
use crate::dialect::syntax::Syntax;
use crate::{Error, Result};

/// Which of the columns a statement wants.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Virtual {
    pub(crate) date: bool,
    pub(crate) hour: bool,
    /// Whether `SELECT *` shows them.
    pub(crate) shown: bool,
}

impl Virtual {
    pub(crate) fn names(self) -> impl Iterator<Item = &'static str> {
        let date = self.date.then_some("date");
        let hour = self.hour.then_some("hour");
        date.into_iter().chain(hour)
    }

    /// Those that a table with these columns has to be given.
    pub(super) fn missing(self, columns: &[String]) -> Vec<&'static str> {
        self.names().filter(|name| !columns.iter().any(|column| column.eq_ignore_ascii_case(name))).collect()
    }

    /// Takes them out of what `*` means in this query.
    pub(super) fn hide(self, select: &mut Select, names: &Names) {
        if self.shown || (!self.date && !self.hour) {
            return;
        }
        let relations: Vec<Relation> = select
            .from
            .iter()
            .flat_map(|from| std::iter::once(&from.relation).chain(from.joins.iter().map(|join| &join.relation)))
            .map(|factor| self.relation(factor, names))
            .collect();
        if relations.iter().all(|relation| relation.hidden.is_empty()) {
            return;
        }
        let items = std::mem::take(&mut select.projection);
        select.projection = items.into_iter().flat_map(|item| without(item, &relations)).collect();
    }

    fn relation(self, factor: &TableFactor, names: &Names) -> Relation {
        let TableFactor::Table { name, alias, args: None, .. } = factor else {
            return Relation { name: None, hidden: Vec::new() };
        };
        let last = name.0.last().and_then(|part| part.as_ident()).cloned();
        let shown_as = alias.as_ref().map(|alias| alias.name.clone()).or(last);
        let hidden = match (names.cte(name), names.table(name)) {
            (None, Some(found)) if found.is_stored => self.missing(&found.columns),
            _ => Vec::new(),
        };
        Relation { name: shown_as, hidden }
    }
}

struct Relation {
    name: Option<Ident>,
    hidden: Vec<&'static str>,
}

fn without(item: SelectItem, relations: &[Relation]) -> Vec<SelectItem> {
    match (item, relations) {
        (SelectItem::Wildcard(mut options), [only]) => {
            exclude(&mut options, &only.hidden);
            vec![SelectItem::Wildcard(options)]
        }
        (SelectItem::Wildcard(options), several) if several.iter().all(|relation| relation.name.is_some()) => {
            let each = several.iter().filter_map(|relation| {
                let kind = SelectItemQualifiedWildcardKind::ObjectName(ObjectName::from(vec![relation.name.clone()?]));
                let mut options = options.clone();
                exclude(&mut options, &relation.hidden);
                Some(SelectItem::QualifiedWildcard(kind, options))
            });
            each.collect()
        }
        (SelectItem::QualifiedWildcard(kind, mut options), several) => {
            let name = match &kind {
                SelectItemQualifiedWildcardKind::ObjectName(name) => name.0.last().and_then(|part| part.as_ident()),
                SelectItemQualifiedWildcardKind::Expr(_) => None,
            };
            let same = |relation: &&Relation| match (&relation.name, name) {
                (Some(relation), Some(name)) => relation.value.eq_ignore_ascii_case(&name.value),
                _ => false,
            };
            if let Some(relation) = several.iter().find(same) {
                exclude(&mut options, &relation.hidden);
            }
            vec![SelectItem::QualifiedWildcard(kind, options)]
        }
        (item, _) => vec![item],
    }
}

fn exclude(options: &mut WildcardAdditionalOptions, hidden: &[&'static str]) {
    let mut names = match options.opt_exclude.take() {
        Some(ExcludeSelectItem::Single(name)) => vec![name],
        Some(ExcludeSelectItem::Multiple(names)) => names,
        None => Vec::new(),
    };
    for hidden in hidden {
        if !names.iter().any(|name| name.to_string().trim_matches('"').eq_ignore_ascii_case(hidden)) {
            names.push(ObjectName::from(vec![quoted(hidden)]));
        }
    }
    options.opt_exclude = (!names.is_empty()).then_some(ExcludeSelectItem::Multiple(names));
}

/// A table's alias.
pub(super) fn alias(name: Ident) -> TableAlias {
    TableAlias { explicit: true, name, columns: Vec::new(), at: None }
}

/// Turns a table into a query that adds these columns, under the name that the table had.
pub(super) fn extend(factor: &mut TableFactor, missing: &[&'static str]) -> Result<()> {
    let TableFactor::Table { name, alias: given, .. } = factor else { return Ok(()) };
    let last = name.0.last().and_then(|part| part.as_ident()).map(|ident| quoted(&ident.value));
    let Some(shown_as) = given.take().or(last.map(alias)) else { return Ok(()) };
    let template = format!("SELECT *, {DAY_OF}({TIME_COLUMN}), {HOUR_OF}({TIME_COLUMN}) FROM {TIME_COLUMN}");
    let parsed = Parser::new(&Syntax::default()).try_with_sql(&template).and_then(|mut parser| parser.parse_query());
    let mut query = parsed.map_err(|error| Error::internal(format!("the template of virtual columns: {error}")))?;
    let SetExpr::Select(select) = &mut *query.body else {
        return Err(Error::internal("the template of virtual columns is not a SELECT"));
    };
    let items = std::mem::take(&mut select.projection);
    select.projection = items.into_iter().filter_map(|item| named(item, missing)).collect();
    let Some(from) = select.from.first_mut() else {
        return Err(Error::internal("the template of virtual columns reads nothing"));
    };
    std::mem::swap(&mut from.relation, factor);
    *factor = TableFactor::Derived { lateral: false, subquery: query, alias: Some(shown_as), sample: None };
    Ok(())
}

fn named(item: SelectItem, missing: &[&'static str]) -> Option<SelectItem> {
    let SelectItem::UnnamedExpr(expr) = item else { return Some(item) };
    let name = match &expr {
        Expr::Function(function) if function.name.to_string() == DAY_OF => "date",
        _ => "hour",
    };
    missing.contains(&name).then(|| SelectItem::ExprWithAlias { expr, alias: quoted(name) })
}
