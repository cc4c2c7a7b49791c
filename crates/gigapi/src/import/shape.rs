//! Nested columns as flat ones.
//!
//! A member of an object becomes `object.member`, an item of a list `list.0`, `list.1` and so on, as many
//! as the longest list of the file has. Nothing is cut off: a list that is too long for columns stops the
//! import and says how to leave it out.

use std::sync::Arc;

use anyhow::{Result, bail};
use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch, UInt32Array, new_null_array};
use arrow::compute::{cast, nullif, take};
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};

/// Items of a list that become columns, at most.
const LIST_ITEMS_MAX: usize = 64;

/// What becomes of one column.
#[derive(Debug, Clone)]
enum Node {
    /// Stays as it is.
    Leaf(Field),
    /// Is left out by its full name; a column of nulls stands for it.
    Skipped(Field),
    /// Each member by its place.
    Object(Vec<Node>),
    /// Each item of lists of up to so many.
    List { path: String, item: FieldRef, items: Vec<Node>, longest: usize },
}

/// What becomes of a file's columns.
#[derive(Debug, Clone)]
pub(super) struct Shape {
    nodes: Vec<Node>,
    skip: Vec<String>,
}

impl Shape {
    /// The shape of files with that schema, without what `skip` names. Lists have no items yet: see
    /// [`Self::widen`].
    pub(super) fn new(schema: &Schema, skip: &[String]) -> Self {
        let nodes = schema.fields().iter().map(|field| node(field, field.name().clone(), skip)).collect();
        Self { nodes, skip: skip.to_vec() }
    }

    /// The top-level columns that hold lists, by their place; without any, [`Self::widen`] is not needed.
    pub(super) fn lists(&self) -> Vec<usize> {
        let holds = |(index, node): (usize, &Node)| node.holds_list().then_some(index);
        self.nodes.iter().enumerate().filter_map(holds).collect()
    }

    /// Makes room for the lists of these columns, which are those of [`Self::lists`] in order.
    pub(super) fn widen(&mut self, batch: &RecordBatch) -> Result<()> {
        let lists = self.lists();
        for (index, array) in lists.into_iter().zip(batch.columns()) {
            if let Some(node) = self.nodes.get_mut(index) {
                node.widen(array, &self.skip)?;
            }
        }
        Ok(())
    }

    /// The flat columns.
    pub(super) fn schema(&self) -> SchemaRef {
        let mut fields = Vec::new();
        self.nodes.iter().for_each(|node| node.fields(&mut fields));
        Arc::new(Schema::new(fields))
    }

    /// The batch with the columns of `schema`, which is [`Self::schema`].
    pub(super) fn flatten(&self, batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch> {
        let mut columns = Vec::with_capacity(schema.fields().len());
        for (node, array) in self.nodes.iter().zip(batch.columns()) {
            node.flatten(array, &mut columns)?;
        }
        Ok(RecordBatch::try_new(Arc::clone(schema), columns)?)
    }
}

fn node(field: &Field, path: String, skip: &[String]) -> Node {
    if skip.contains(&path) {
        return Node::Skipped(Field::new(path, DataType::Null, true));
    }
    match field.data_type() {
        DataType::Struct(members) => {
            Node::Object(members.iter().map(|member| node(member, format!("{path}.{}", member.name()), skip)).collect())
        }
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
            Node::List { path, item: Arc::clone(item), items: Vec::new(), longest: 0 }
        }
        other => Node::Leaf(Field::new(path, other.clone(), true)),
    }
}

impl Node {
    fn holds_list(&self) -> bool {
        match self {
            Self::Leaf(_) | Self::Skipped(_) => false,
            Self::Object(members) => members.iter().any(Self::holds_list),
            Self::List { .. } => true,
        }
    }

    fn widen(&mut self, array: &ArrayRef, skip: &[String]) -> Result<()> {
        match self {
            Self::Leaf(_) | Self::Skipped(_) => {}
            Self::Object(members) => {
                for (member, array) in members.iter_mut().zip(array.as_struct().columns()) {
                    member.widen(array, skip)?;
                }
            }
            Self::List { path, item, items, longest } => {
                let lists = as_list(array, item)?;
                let lists = lists.as_list::<i32>();
                let lengths = (0..lists.len()).filter(|&row| lists.is_valid(row)).map(|row| lists.value_length(row));
                *longest = (*longest).max(lengths.max().map_or(0, |longest| usize::try_from(longest).unwrap_or(0)));
                if *longest > LIST_ITEMS_MAX {
                    bail!(
                        "a list in {path} has {longest} items, {LIST_ITEMS_MAX} can become columns; leave it out with --skip {path}"
                    );
                }
                for index in items.len()..*longest {
                    items.push(node(item, format!("{path}.{index}"), skip));
                }
                for (index, node) in items.iter_mut().enumerate().filter(|(_, node)| node.holds_list()) {
                    node.widen(&pick(lists, index)?, skip)?;
                }
            }
        }
        Ok(())
    }

    fn fields(&self, out: &mut Vec<Field>) {
        match self {
            Self::Leaf(field) | Self::Skipped(field) => out.push(field.clone()),
            Self::Object(nodes) | Self::List { items: nodes, .. } => nodes.iter().for_each(|node| node.fields(out)),
        }
    }

    fn flatten(&self, array: &ArrayRef, out: &mut Vec<ArrayRef>) -> Result<()> {
        match self {
            Self::Leaf(_) => out.push(Arc::clone(array)),
            Self::Skipped(_) => out.push(new_null_array(&DataType::Null, array.len())),
            Self::Object(members) => {
                let object = array.as_struct();
                // A null object has null members, whatever lies beneath it.
                let absent = object.nulls().map(|nulls| BooleanArray::new(!nulls.inner(), None));
                for (member, column) in members.iter().zip(object.columns()) {
                    match &absent {
                        Some(absent) => member.flatten(&nullif(column, absent)?, out)?,
                        None => member.flatten(column, out)?,
                    }
                }
            }
            Self::List { item, items, .. } => {
                let lists = as_list(array, item)?;
                for (index, node) in items.iter().enumerate() {
                    node.flatten(&pick(lists.as_list::<i32>(), index)?, out)?;
                }
            }
        }
        Ok(())
    }
}

/// Any kind of list as the common one.
fn as_list(array: &ArrayRef, item: &FieldRef) -> Result<ArrayRef> {
    Ok(match array.data_type() {
        DataType::List(_) => Arc::clone(array),
        _ => cast(array, &DataType::List(Arc::clone(item)))?,
    })
}

/// Item `index` of each list, or null.
fn pick(lists: &arrow::array::ListArray, index: usize) -> Result<ArrayRef> {
    if lists.values().is_empty() {
        return Ok(new_null_array(&lists.value_type(), lists.len()));
    }
    let places = (0..lists.len()).map(|row| {
        let has = lists.is_valid(row) && usize::try_from(lists.value_length(row)).is_ok_and(|length| length > index);
        let start = lists.value_offsets().get(row).filter(|_| has)?;
        u32::try_from(*start).ok()?.checked_add(u32::try_from(index).ok()?)
    });
    Ok(take(lists.values(), &places.collect::<UInt32Array>(), None)?)
}

#[cfg(test)]
mod tests;
