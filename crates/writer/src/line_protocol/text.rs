//! The rules of escapes and of where things end: names, tag values, quoted texts, lines.
//!
//! Outside quotes a backslash escapes exactly the bytes that would end the name or value, and is itself
//! everywhere else; so a name has one spelling only, two spellings never meet in one name, and a delimiter
//! counts if no backslash stands before it. Inside quotes it escapes `"` and `\`. A newline ends a line
//! everywhere but inside quotes.

use std::borrow::Cow;

use memchr::{memchr, memchr2};

use super::number::{byte, word};

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = 0x8080_8080_8080_8080;

/// Where the first `end` byte lies that no backslash escapes, at or behind `at`.
pub(super) fn find_unescaped(body: &[u8], at: usize, is_end: impl Fn(u8) -> bool) -> usize {
    let rest = body.get(at..).unwrap_or_default();
    let mut before = 0;
    for (offset, &this) in rest.iter().enumerate() {
        if this == b'\n' || (is_end(this) && before != b'\\') {
            return at + offset;
        }
        before = this;
    }
    body.len()
}

/// Where the measurement and tags that begin at `at` end: at an unescaped space, a newline or the end.
#[inline]
pub(super) fn prefix_end(body: &[u8], at: usize) -> usize {
    let mut from = at;
    loop {
        let Some(offset) = body.get(from..).and_then(|rest| memchr2(b' ', b'\n', rest)) else { return body.len() };
        let found = from + offset;
        if byte(body, found) == b'\n' || found == at || byte(body, found - 1) != b'\\' {
            return found;
        }
        from = found + 1;
    }
}

/// Where the tag value ends that begins at `at`, and whether a backslash stands in it. It ends at an
/// unescaped comma or space, a tab, a newline, or `end`.
#[inline]
pub(super) fn tag_value_end(body: &[u8], at: usize, end: usize) -> (usize, bool) {
    let mut escaped = false;
    let mut from = at;
    while from < end {
        let stop = from + stop_in_word(word(body, from));
        if stop >= end {
            return (end, escaped);
        }
        if stop == from + 8 {
            from = stop;
            continue;
        }
        match byte(body, stop) {
            b'\n' | b'\t' => return (stop, escaped),
            b',' | b' ' if stop == at || byte(body, stop - 1) != b'\\' => return (stop, escaped),
            b'\\' => escaped = true,
            _ => {}
        }
        from = stop + 1;
    }
    (end, escaped)
}

/// The place (0 to 8) of the first byte that may end a tag value: a backslash, or anything up to a comma.
#[inline]
fn stop_in_word(word: u64) -> usize {
    let up_to_comma = !((word | HIGHS) - ONES * (u64::from(b',') + 1)) & !word & HIGHS;
    let other = word ^ (ONES * u64::from(b'\\'));
    let backslash = !(((other & !HIGHS) + (ONES * 0x7F)) | other) & HIGHS;
    ((up_to_comma | backslash).trailing_zeros() / 8) as usize
}

/// Removes the backslashes before bytes that are special in this place.
pub(super) fn unescape(raw: &[u8], is_special: impl Fn(u8) -> bool) -> Cow<'_, [u8]> {
    if memchr(b'\\', raw).is_none() {
        return Cow::Borrowed(raw);
    }
    let mut text = Vec::with_capacity(raw.len());
    unescape_into(raw, is_special, &mut text);
    Cow::Owned(text)
}

/// Appends `raw` without the backslashes before bytes that are special in this place.
pub(super) fn unescape_into(raw: &[u8], is_special: impl Fn(u8) -> bool, text: &mut Vec<u8>) {
    let mut bytes = raw.iter().copied().peekable();
    while let Some(this) = bytes.next() {
        let escapes = this == b'\\' && bytes.peek().is_some_and(|&next| is_special(next));
        if !escapes {
            text.push(this);
        }
    }
}

/// What must be escaped in a measurement.
pub(super) fn special_in_measurement(byte: u8) -> bool {
    matches!(byte, b',' | b' ')
}

/// What must be escaped in tag names, tag values and field names.
pub(super) fn special_in_key(byte: u8) -> bool {
    matches!(byte, b',' | b'=' | b' ')
}

/// Where the quote closes whose text begins at `at`, and whether a backslash stands in that text.
#[inline]
pub(super) fn closing_quote(body: &[u8], at: usize) -> Option<(usize, bool)> {
    let mut escaped = false;
    let mut from = at;
    loop {
        let found = from + memchr2(b'"', b'\\', body.get(from..)?)?;
        if byte(body, found) == b'"' {
            return Some((found, escaped));
        }
        escaped = true;
        from = found + 2;
    }
}

/// Appends a quoted text without the backslashes before `"` and `\`.
pub(super) fn unquote_into(raw: &[u8], text: &mut Vec<u8>) {
    let mut bytes = raw.iter().copied().peekable();
    while let Some(this) = bytes.next() {
        match (this, bytes.peek()) {
            (b'\\', Some(&next @ (b'"' | b'\\'))) => {
                text.push(next);
                bytes.next();
            }
            _ => text.push(this),
        }
    }
}

/// Whether this byte may stand behind a field's value.
pub(super) fn ends_value(byte: u8) -> bool {
    matches!(byte, b',' | b' ' | b'\n' | b'\r')
}

/// Where the line ends (its newline, or the body's end) that is at `from`, outside quotes; `in_fields`
/// tells whether its tags lie behind. A quote that is never closed does not count as one, so that it
/// cannot take the following lines with it.
pub(super) fn line_end(body: &[u8], from: usize, in_fields: bool) -> usize {
    closed_line_end(body, from, in_fields).unwrap_or_else(|first_newline| first_newline)
}

/// Like [`line_end`], but where a quote is not closed, the first newline behind it is the error.
pub(super) fn closed_line_end(body: &[u8], from: usize, in_fields: bool) -> Result<usize, usize> {
    let mut at = if in_fields { from } else { prefix_end(body, from) };
    loop {
        let Some(offset) = body.get(at..).and_then(|rest| memchr2(b'\n', b'"', rest)) else { return Ok(body.len()) };
        let found = at + offset;
        if byte(body, found) == b'\n' {
            return Ok(found);
        }
        at = found + 1;
        let opens = found > from && byte(body, found - 1) == b'=' && (found < 2 || byte(body, found - 2) != b'\\');
        if !opens {
            continue;
        }
        let text = closing_quote(body, at).map(|(close, _)| (close, body.get(at..close).unwrap_or_default()));
        match text.map(|(close, text)| (close, memchr(b'\n', text))) {
            // More than a delimiter behind a text over several lines: the quote met another line's quote.
            Some((close, Some(newline))) if !ends_value(byte(body, close + 1)) => return Ok(at + newline),
            Some((close, _)) => at = close + 1,
            None => {
                let newline = memchr(b'\n', body.get(at..).unwrap_or_default());
                return Err(newline.map_or(body.len(), |offset| at + offset));
            }
        }
    }
}

#[cfg(test)]
mod tests;
