use gigapi_model::{DatabaseName, TableId, TableKey, TableName};
use uuid::Uuid;

use super::*;
use crate::column::Strings;
use crate::draft::TagPair;

/// A value as a line names it.
#[derive(Clone, Copy)]
enum V {
    F(f64),
    I(i64),
    S(&'static str),
    T(&'static str),
}

/// Rows as lists of named values; `T` is a tag.
fn draft(rows: &[&[(&str, V)]]) -> Draft {
    let mut draft = Draft::default();
    for (row, values) in rows.iter().enumerate() {
        for &(name, value) in *values {
            let V::T(tag) = value else { continue };
            let known = draft.tag_names.iter().position(|known| known == name);
            let index = known.unwrap_or_else(|| {
                draft.tag_names.push(name.to_owned());
                draft.tag_names.len() - 1
            });
            let start = draft.tag_bytes.len().try_into().unwrap();
            draft.tag_bytes.extend_from_slice(tag.as_bytes());
            let len = tag.len().try_into().unwrap();
            draft.series_pairs.push(TagPair { name: index.try_into().unwrap(), start, len });
        }
        let series = draft.finish_series();
        for &(name, value) in *values {
            let empty = match value {
                V::F(_) => Values::Float(vec![]),
                V::I(_) => Values::Integer(vec![]),
                V::S(_) => Values::String(Strings::default()),
                V::T(_) => continue,
            };
            let same =
                |field: &crate::DraftField| field.name == name && field.column.column_type() == empty.column_type();
            let index = draft.fields.iter().position(same);
            let index = index.unwrap_or_else(|| draft.add_field(name.to_owned(), empty));
            let column = &mut draft.fields[index].column;
            assert!(match value {
                V::F(value) => column.set_float(row, value),
                V::I(value) => column.set_integer(row, value),
                V::S(value) => column.set_string(row, value.as_bytes()),
                V::T(_) => true,
            });
        }
        let row = i64::try_from(row).unwrap();
        draft.finish_row(series, row, 0);
    }
    draft
}

fn table(columns: &[NewColumn]) -> TableDef {
    let id = TableId::from_uuid(Uuid::from_u128(1));
    let empty = TableDef::new(id, DatabaseName::new("d").unwrap(), TableName::new("m").unwrap(), TableKey::Tags);
    empty.unwrap().with_columns(columns, 100).unwrap()
}

fn refused_rows(resolution: &Resolution) -> Vec<usize> {
    resolution.refused.iter().map(|refusal| refusal.row).collect()
}

fn new_names(resolution: &Resolution) -> Vec<String> {
    resolution.new_columns.iter().map(|c| format!("{} {} {}", c.name, c.column_type, c.role)).collect()
}

#[test]
fn unknown_names_become_new_columns() {
    let resolution = resolve(&draft(&[&[("host", V::T("a")), ("usage", V::F(1.0)), ("n", V::I(1))]]), None);
    assert_eq!(new_names(&resolution), ["host string tag", "usage float field", "n integer field"]);
    assert!(resolution.refused.is_empty());
}

#[test]
fn a_tag_and_a_field_of_one_name_refuse_the_line_and_define_nothing() {
    let resolution =
        resolve(&draft(&[&[("a", V::T("x")), ("a", V::F(1.0)), ("b", V::F(1.0))], &[("a", V::F(2.0))]]), None);
    assert_eq!(refused_rows(&resolution), [0]);
    assert_eq!(new_names(&resolution), ["a float field"]);
}

#[test]
fn the_first_fitting_line_decides_a_new_type() {
    let resolution = resolve(&draft(&[&[("f", V::I(1))], &[("f", V::F(1.5))], &[("f", V::S("x"))]]), None);
    assert_eq!(new_names(&resolution), ["f integer field"]);
    assert_eq!(refused_rows(&resolution), [1, 2]);
    assert!(
        resolution.refused[0].reason.contains("column f is a float field here but an integer field"),
        "{}",
        resolution.refused[0].reason
    );
}

#[test]
fn integers_are_widened_where_the_column_is_float() {
    let known = table(&resolve(&draft(&[&[("f", V::F(1.0))]]), None).new_columns);
    let rows = draft(&[&[("f", V::I(1))], &[("f", V::F(2.5))], &[("g", V::I(1))], &[("f", V::I(3))]]);
    let known = known.with_columns(&resolve(&rows, Some(&known)).new_columns, 100).unwrap();
    let conformed = conform(rows, &known).unwrap();
    assert!(conformed.refused.is_empty());
    let f = &conformed.part.fields()[0].column;
    assert_eq!(f.values(), &Values::Float(vec![1.0, 2.5, 0.0, 3.0]));
    assert!(!f.is_valid(2));
}

#[test]
fn a_refused_line_cannot_spoil_a_later_one() {
    let known = table(&resolve(&draft(&[&[("c", V::F(1.0))]]), None).new_columns);
    let rows = draft(&[&[("b", V::I(1)), ("c", V::S("x"))], &[("b", V::F(1.5))]]);
    let resolution = resolve(&rows, Some(&known));
    assert_eq!(refused_rows(&resolution), [0]);
    assert_eq!(new_names(&resolution), ["b float field"]);
}

#[test]
fn conforming_leaves_refused_rows_out() {
    let rows = || draft(&[&[("f", V::I(1))], &[("f", V::S("x"))], &[("f", V::I(3)), ("host", V::T("b"))]]);
    let known = table(&resolve(&rows(), None).new_columns);
    let conformed = conform(rows(), &known).unwrap();
    assert_eq!(conformed.refused.len(), 1);
    assert_eq!(conformed.part.time(), [0, 2]);
    assert_eq!(conformed.part.fields()[0].column.values(), &Values::Integer(vec![1, 3]));
}

#[test]
fn a_definition_that_lacks_columns_is_extended_first() {
    let rows = draft(&[&[("f", V::I(1))]]);
    let missing = conform(rows, &table(&[])).unwrap_err();
    assert_eq!(missing.len(), 1);
}

#[test]
fn equal_tag_sets_are_equal_bytes_in_any_order() {
    let rows = draft(&[
        &[("a", V::T("1")), ("b", V::T("2")), ("f", V::I(1))],
        &[("b", V::T("2")), ("a", V::T("1")), ("f", V::I(1))],
    ]);
    let known = table(&resolve(&rows, None).new_columns);
    let part = conform(rows, &known).unwrap().part;
    assert_eq!(part.series().key(0), part.series().key(1));
}
