//! Groups of rows folded where they lie in data files, without making rows of them.
//!
//! A file is sorted by its tags and then by time, so a series is one run, and what is asked of it is a sum or a maximum of
//! a stretch of a column. A general engine decodes a text for every row, hashes it, and looks it up; here a tag's runs are
//! read off the file, conditions on tags are judged once for each combination of values, and each stretch of a number's
//! page is folded at once.
//!
//! [`FoldRule`] finds the aggregations that can be done so and puts a [`exec::SeriesFoldExec`] in the place of their first
//! half, whose result has the form of the engine's own: the second half, and whatever is not a data file, stay with the
//! engine. A file that holds anything that is not understood here goes through the engine too, by itself. Nothing here may
//! change an answer, beyond the order in which floats are added.

mod chunks;
mod conditions;
mod edges;
mod exec;
mod figures;
mod first_row;
mod groups;
mod keys;
mod rule;
mod segments;
mod shape;
mod unit;

pub(crate) use first_row::FirstRowRule;
pub(crate) use rule::FoldRule;

#[cfg(test)]
mod tests;
