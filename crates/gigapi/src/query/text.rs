//! Texts as a terminal shows them: how wide they are, what must not reach it, and where they can be cut.
//!
//! Values come from whoever writes rows. A terminal obeys control characters, so none of them is passed on: not the
//! ones that colour, not the ones that move the cursor, not the ones that turn the direction of writing.

use std::borrow::Cow;
use std::fmt::Write;
use std::time::Duration;

use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

/// Stands for what was cut away.
pub(super) const CUT: &str = "…";

/// The columns of a terminal that a text takes.
pub(super) fn width(text: &str) -> usize {
    // Printable ASCII takes what it has, and nearly every value is that.
    match text.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
        true => text.len(),
        false => text.width(),
    }
}

/// The text with its control characters written out, as `\n` or `\u{1b}`.
pub(super) fn plain(text: &str) -> Cow<'_, str> {
    if !text.contains(is_unsafe) {
        return Cow::Borrowed(text);
    }
    let mut plain = String::with_capacity(text.len() + 8);
    for each in text.chars() {
        match is_unsafe(each) {
            true => plain.extend(each.escape_default()),
            false => plain.push(each),
        }
    }
    Cow::Owned(plain)
}

fn is_unsafe(each: char) -> bool {
    each.is_control() || matches!(each, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{2028}' | '\u{2029}')
}

/// The beginning of a text that fits into so many columns; what was cut ends with [`CUT`].
pub(super) fn fitted(text: &str, columns: usize) -> Cow<'_, str> {
    if width(text) <= columns {
        return Cow::Borrowed(text);
    }
    let (mut kept, mut used) = (0, 0);
    for piece in text.graphemes(true) {
        let more = width(piece);
        if used + more > columns.saturating_sub(width(CUT)) {
            break;
        }
        used += more;
        kept += piece.len();
    }
    Cow::Owned(format!("{}{CUT}", &text[..kept]))
}

/// Appends a text and the spaces that bring it to so many columns.
pub(super) fn pad(out: &mut String, text: &str, columns: usize, right: bool) {
    let spaces = columns.saturating_sub(width(text));
    if right {
        out.extend(std::iter::repeat_n(' ', spaces));
    }
    out.push_str(text);
    if !right {
        out.extend(std::iter::repeat_n(' ', spaces));
    }
}

/// A time span for people: three digits are enough.
pub(super) fn span(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    match time.as_secs() {
        0 if time.as_millis() == 0 => "<1 ms".to_owned(),
        0 => format!("{} ms", time.as_millis()),
        whole @ 0..60 => format!("{seconds:.*} s", if whole < 10 { 2 } else { 1 }),
        whole => format!("{} min {} s", whole / 60, whole % 60),
    }
}

/// A count with its noun: `1 row`, `12,345 rows`.
pub(super) fn counted(count: u64, noun: &str) -> String {
    let mut text = indicatif::HumanCount(count).to_string();
    // Writing to a string cannot fail.
    let _ = write!(text, " {noun}{}", if count == 1 { "" } else { "s" });
    text
}

#[cfg(test)]
mod tests;
