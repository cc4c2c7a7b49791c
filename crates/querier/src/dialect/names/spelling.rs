//! Names of a `SELECT` that are no expressions: in `USING`, after `*`, before `.*`, and of windows.

use datafusion::sql::sqlparser::ast::{
    ExcludeSelectItem, Function, Ident, JoinConstraint, JoinOperator, NamedWindowExpr, ObjectName, ObjectNamePart,
    RenameSelectItem, Select, SelectItem, SelectItemQualifiedWildcardKind, WildcardAdditionalOptions, WindowType,
};

use super::rewrite::Rewrite;
use crate::Result;

impl Rewrite<'_> {
    /// Spells them as they are registered.
    pub(super) fn select(&self, select: &mut Select) -> Result<()> {
        self.using(select)?;
        for item in &mut select.projection {
            match item {
                SelectItem::Wildcard(options) => self.wildcard(options)?,
                SelectItem::QualifiedWildcard(kind, options) => {
                    if let SelectItemQualifiedWildcardKind::ObjectName(name) = kind {
                        self.parts(name)?;
                    }
                    self.wildcard(options)?;
                }
                _ => {}
            }
        }
        for window in &mut select.named_window {
            lower(&mut window.0);
            match &mut window.1 {
                NamedWindowExpr::NamedWindow(base) => lower(base),
                NamedWindowExpr::WindowSpec(spec) => spec.window_name.iter_mut().for_each(lower),
            }
        }
        Ok(())
    }

    fn using(&self, select: &mut Select) -> Result<()> {
        for join in select.from.iter_mut().flat_map(|from| &mut from.joins) {
            let constraint = match &mut join.join_operator {
                JoinOperator::Join(constraint)
                | JoinOperator::Inner(constraint)
                | JoinOperator::Left(constraint)
                | JoinOperator::LeftOuter(constraint)
                | JoinOperator::Right(constraint)
                | JoinOperator::RightOuter(constraint)
                | JoinOperator::FullOuter(constraint)
                | JoinOperator::Semi(constraint)
                | JoinOperator::LeftSemi(constraint)
                | JoinOperator::RightSemi(constraint)
                | JoinOperator::Anti(constraint)
                | JoinOperator::LeftAnti(constraint)
                | JoinOperator::RightAnti(constraint) => constraint,
                _ => continue,
            };
            let JoinConstraint::Using(columns) = constraint else { continue };
            columns.iter_mut().try_for_each(|column| self.parts(column))?;
        }
        Ok(())
    }

    fn wildcard(&self, options: &mut WildcardAdditionalOptions) -> Result<()> {
        match &mut options.opt_exclude {
            Some(ExcludeSelectItem::Single(name)) => self.parts(name)?,
            Some(ExcludeSelectItem::Multiple(names)) => names.iter_mut().try_for_each(|name| self.parts(name))?,
            None => {}
        }
        for element in options.opt_replace.iter_mut().flat_map(|replace| &mut replace.items) {
            self.ident(&mut element.column_name)?;
        }
        match &mut options.opt_rename {
            Some(RenameSelectItem::Single(rename)) => self.ident(&mut rename.ident),
            Some(RenameSelectItem::Multiple(renames)) => {
                renames.iter_mut().try_for_each(|rename| self.ident(&mut rename.ident))
            }
            None => Ok(()),
        }
    }

    fn parts(&self, name: &mut ObjectName) -> Result<()> {
        for part in &mut name.0 {
            if let ObjectNamePart::Identifier(ident) = part {
                self.ident(ident)?;
            }
        }
        Ok(())
    }
}

/// Names of windows are the statement's own, so that one spelling serves all.
pub(super) fn window(function: &mut Function) {
    match &mut function.over {
        Some(WindowType::NamedWindow(name)) => lower(name),
        Some(WindowType::WindowSpec(spec)) => spec.window_name.iter_mut().for_each(lower),
        None => {}
    }
}

fn lower(ident: &mut Ident) {
    ident.value.make_ascii_lowercase();
}
