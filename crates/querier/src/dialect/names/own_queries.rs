//! Which names mean one of the statement's own queries where they stand.
//!
//! A name that does is nobody else's: it is looked up nowhere. The rules are the engine's: a query of a `WITH` is seen
//! by those after it and by the query that the `WITH` belongs to, and those of a `WITH RECURSIVE` all see each other.

use datafusion::sql::sqlparser::ast::Query as SqlQuery;

/// Follows a walk through a statement, query by query.
#[derive(Debug, Default)]
pub(super) struct OwnQueries {
    /// The queries around the place where the walk is; the outermost first.
    around: Vec<Around>,
}

#[derive(Debug)]
struct Around {
    /// The names in its `WITH`.
    names: Vec<String>,
    is_recursive: bool,
    /// To how many of the named queries the walk has come. They are what a query holds first.
    entered: usize,
    /// How many of them are seen where the walk is.
    seen: usize,
    /// Whether this is itself a named query, of the one around it.
    is_named: bool,
}

impl OwnQueries {
    /// The walk enters a query.
    pub(super) fn enter(&mut self, query: &SqlQuery) {
        let outer = self.around.last_mut().filter(|outer| outer.entered < outer.names.len());
        let is_named = outer.is_some();
        if let Some(outer) = outer {
            outer.entered += 1;
        }
        let ctes = query.with.iter().flat_map(|with| &with.cte_tables);
        let names: Vec<String> = ctes.map(|cte| cte.alias.name.value.clone()).collect();
        let is_recursive = query.with.as_ref().is_some_and(|with| with.recursive);
        let seen = if is_recursive { names.len() } else { 0 };
        self.around.push(Around { names, is_recursive, entered: 0, seen, is_named });
    }

    /// The walk leaves the query that it entered last.
    pub(super) fn leave(&mut self) {
        let left = self.around.pop();
        let outer = self.around.last_mut().filter(|outer| !outer.is_recursive);
        if left.is_some_and(|left| left.is_named)
            && let Some(outer) = outer
        {
            outer.seen = outer.entered;
        }
    }

    /// Whether that name means one of them here.
    pub(super) fn mean(&self, name: &[String]) -> bool {
        let [name] = name else { return false };
        let mut seen = self.around.iter().flat_map(|around| &around.names[..around.seen]);
        seen.any(|seen| seen.eq_ignore_ascii_case(name))
    }
}

#[cfg(test)]
mod tests;
