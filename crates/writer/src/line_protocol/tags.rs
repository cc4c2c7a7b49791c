//! The tags of a prefix that was not seen before.
//!
//! New series of a table mostly name the same tags in the same order, so the names of the series before
//! are tried first: where they fit, no name is looked up and none can be there twice.

use gigapi_model::{ColumnName, TIME_COLUMN};
use gigapi_rows::{Draft, TagPair};
use hashbrown::HashMap;

use super::fault::{Problem, Step};
use super::number::byte;
use super::text::{find_unescaped, special_in_key, tag_value_end, unescape, unescape_into};
use super::{Input, Span};

/// What one table of a request knows of its tags' names.
#[derive(Debug, Default)]
pub(super) struct TagNames<'a> {
    /// Raw names with their `=`, in the order of the series before.
    layout: Vec<(&'a [u8], u16)>,
    by_raw: HashMap<&'a [u8], u16>,
    /// Per name, one more than the series that had it last.
    seen: Vec<u32>,
}

/// How much of a draft existed before a series was begun.
#[derive(Debug, Clone, Copy)]
pub(super) struct TagMark {
    names: usize,
    pairs: usize,
    bytes: usize,
    series: usize,
}

impl TagMark {
    pub(super) fn of(draft: &Draft) -> Self {
        Self {
            names: draft.tag_names.len(),
            pairs: draft.series_pairs.len(),
            bytes: draft.tag_bytes.len(),
            series: draft.series_ends.len(),
        }
    }
}

impl<'a> TagNames<'a> {
    /// How many distinct names there are.
    pub(super) fn len(&self) -> usize {
        self.seen.len()
    }

    /// Reads the tags between `at`, where a comma stands, and `end` into a new series of `draft`.
    pub(super) fn read_series(
        &mut self,
        input: Input<'a>,
        draft: &mut Draft,
        span: (usize, usize),
        fields: usize,
    ) -> Step<u32> {
        let (mut at, end) = span;
        let stamp = u32::try_from(draft.series_count() + 1).unwrap_or(u32::MAX);
        let mut place = 0;
        while at < end {
            let name_at = at + 1;
            let expected = self.layout.get(place).copied();
            let rest = input.body.get(name_at..).unwrap_or_default();
            let (name, value_at) = match expected {
                Some((raw, name)) if rest.starts_with(raw) => (name, name_at + raw.len()),
                _ => self.name_at(input, draft, name_at, (place, fields))?,
            };
            let tag = Span::new(name_at, value_at - 1);
            match self.seen.get_mut(usize::from(name)) {
                Some(seen) if *seen == stamp => return Err(Problem::DuplicateTag(tag).in_tags(name_at)),
                Some(seen) => *seen = stamp,
                None => {}
            }
            let (value_end, escaped) = tag_value_end(input.body, value_at, end);
            check_value(input, tag, (value_at, value_end))?;
            let value = input.body.get(value_at..value_end).unwrap_or_default();
            push_pair(draft, name, value, escaped);
            at = value_end;
            place += 1;
        }
        Ok(draft.finish_series())
    }

    /// The name that begins at `at`, and where its value begins.
    fn name_at(
        &mut self,
        input: Input<'a>,
        draft: &mut Draft,
        at: usize,
        (place, fields): (usize, usize),
    ) -> Step<(u16, usize)> {
        let equals = find_unescaped(input.body, at, |byte| matches!(byte, b'=' | b',' | b' '));
        let tag = Span::new(at, equals);
        if tag.is_empty() {
            return Err(Problem::NoTagName.in_tags(at));
        }
        if byte(input.body, equals) != b'=' {
            return Err(Problem::NoEqualsAfterTag(tag).in_tags(equals));
        }
        let raw = tag.of(input.body);
        let name = match self.by_raw.get(raw) {
            Some(&name) => name,
            None => {
                let name = self.new_name(input, draft, at, raw, fields)?;
                self.by_raw.insert(raw, name);
                name
            }
        };
        self.layout.truncate(place);
        self.layout.push((Span::new(at, equals + 1).of(input.body), name));
        Ok((name, equals + 1))
    }

    fn new_name(&mut self, input: Input<'a>, draft: &mut Draft, at: usize, raw: &[u8], fields: usize) -> Step<u16> {
        let text = unescape(raw, special_in_key);
        let text = std::str::from_utf8(&text).map_err(|error| Problem::NotUtf8.in_tags(at + error.valid_up_to()))?;
        if text == TIME_COLUMN {
            return Err(Problem::TimeName("tag").in_tags(at));
        }
        let name = ColumnName::new(text).map_err(|error| Problem::Name(error).in_tags(at))?;
        let columns_max = input.options.columns_max.min(usize::from(u16::MAX));
        let too_many = || Problem::TooManyColumns(columns_max).in_tags(at);
        if self.seen.len() + fields >= columns_max {
            return Err(too_many());
        }
        let index = u16::try_from(self.seen.len()).map_err(|_| too_many())?;
        draft.tag_names.push(name.as_str().to_owned());
        self.seen.push(0);
        Ok(index)
    }

    /// Brings `draft` and the names back to `mark`, because the series' line was refused.
    pub(super) fn rewind(&mut self, draft: &mut Draft, mark: TagMark) {
        draft.series_pairs.truncate(mark.pairs);
        draft.tag_bytes.truncate(mark.bytes);
        draft.series_ends.truncate(mark.series);
        let stamp = u32::try_from(mark.series + 1).unwrap_or(u32::MAX);
        for seen in self.seen.iter_mut().filter(|seen| **seen == stamp) {
            *seen = 0;
        }
        if mark.names < draft.tag_names.len() {
            draft.tag_names.truncate(mark.names);
            self.seen.truncate(mark.names);
            self.by_raw.retain(|_, name| usize::from(*name) < mark.names);
            let kept = self.layout.iter().take_while(|(_, name)| usize::from(*name) < mark.names).count();
            self.layout.truncate(kept);
        }
    }
}

fn check_value(input: Input<'_>, tag: Span, (at, end): (usize, usize)) -> Step<()> {
    if end == at {
        return Err(Problem::NoTagValue(tag).in_tags(at));
    }
    match byte(input.body, end) {
        b'\t' => Err(Problem::TabInTag(tag).in_tags(end)),
        _ if end - at > input.options.tag_value_bytes_max => {
            let (bytes, bytes_max) = (end - at, input.options.tag_value_bytes_max);
            Err(Problem::TagTooLong { tag, bytes, bytes_max }.in_tags(at))
        }
        _ => Ok(()),
    }
}

fn push_pair(draft: &mut Draft, name: u16, value: &[u8], escaped: bool) {
    let start = draft.tag_bytes.len();
    if escaped {
        unescape_into(value, special_in_key, &mut draft.tag_bytes);
    } else {
        draft.tag_bytes.extend_from_slice(value);
    }
    // The body has fewer than 2^32 bytes, and so have its tags.
    let len = u32::try_from(draft.tag_bytes.len() - start).unwrap_or(u32::MAX);
    draft.series_pairs.push(TagPair { name, start: u32::try_from(start).unwrap_or(u32::MAX), len });
}
