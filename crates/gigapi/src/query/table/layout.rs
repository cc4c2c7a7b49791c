//! How wide the columns of a table are drawn.
//!
//! Texts give way first: a number that is cut is another number. Columns that still find no room are left out, from
//! the right, and counted.

/// A column that gives way keeps so many characters.
const KEPT_MIN: usize = 8;
/// What a column takes beside its values: a space on either side, and the line before it.
const AROUND: usize = 3;

/// What a column would take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) name: usize,
    pub(super) values: usize,
    /// Whether its values are only understood whole.
    pub(super) rigid: bool,
}

impl Wanted {
    fn natural(self) -> usize {
        self.name.max(self.values)
    }

    fn least(self) -> usize {
        let values = if self.rigid { self.values } else { self.values.min(KEPT_MIN) };
        values.max(self.name.min(KEPT_MIN))
    }
}

/// The widths of the columns that are drawn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Layout {
    pub(super) widths: Vec<usize>,
    /// Columns that are not.
    pub(super) hidden: usize,
}

/// Fits columns into a terminal; without one each is as wide as it wants to be.
pub(super) fn layout(wanted: &[Wanted], terminal: Option<usize>) -> Layout {
    let natural: Vec<usize> = wanted.iter().map(|column| column.natural()).collect();
    let Some(terminal) = terminal else { return Layout { widths: natural, hidden: 0 } };
    // The first column has no line before it.
    let room = terminal + 1;
    let taken = |widths: &[usize]| widths.iter().map(|width| width + AROUND).sum::<usize>();
    if taken(&natural) <= room {
        return Layout { widths: natural, hidden: 0 };
    }
    let mut widths: Vec<usize> = wanted.iter().map(|column| column.least()).collect();
    while widths.len() > 1 && taken(&widths) > room {
        widths.pop();
    }
    if taken(&widths) > room {
        widths = vec![room.saturating_sub(AROUND).max(1)];
    }
    let spare = room.saturating_sub(taken(&widths));
    share(&mut widths, &natural, spare);
    let hidden = wanted.len() - widths.len();
    Layout { widths, hidden }
}

/// Gives the spare room to the narrowest of those that want more, so that they become alike.
fn share(widths: &mut [usize], natural: &[usize], mut spare: usize) {
    while spare > 0 {
        let wanting = widths.iter().enumerate().filter(|(index, width)| **width < natural[*index]);
        let Some((index, _)) = wanting.min_by_key(|(_, width)| **width) else { return };
        widths[index] += 1;
        spare -= 1;
    }
}
