//! One data file, folded.

use std::ops::Range;
use std::sync::atomic::Ordering;

use datafusion::datasource::listing::PartitionedFile;
use datafusion::error::{DataFusionError, Result};
use gigapi_model::TimeRange;
use gigapi_storage::{Chunk, NumberPage, NumberReader, Numbers, PageError, TextRun, TextRuns};

use super::chunks::OpenFile;
use super::conditions::Conditions;
use super::edges::{Edges, Place};
use super::figures::Figures;
use super::groups::Groups;
use super::keys::Span;
use super::segments::{Combinations, Segment, combine, cut, push};
use super::shape::Shape;
use crate::Error;
use crate::scan::StoredFile;

/// What has been folded so far.
pub(super) struct Folded {
    pub(super) groups: Groups,
    /// Rows of each group.
    pub(super) rows: Vec<u64>,
    /// By number of the shape.
    pub(super) figures: Vec<Figures>,
    pub(super) edges: Option<Edges>,
    rows_folded: u64,
    reader: NumberReader,
}

impl Folded {
    pub(super) fn new(shape: &Shape) -> Self {
        let figures = shape.numbers.iter().map(|number| Figures::new(number.kind, number.kept)).collect();
        let groups = Groups::new(shape.key_tags().count());
        let edges = shape.edge.map(Edges::new);
        Self { groups, rows: Vec::new(), figures, edges, rows_folded: 0, reader: NumberReader::default() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.groups.len() == 0
    }

    /// How many rows of all groups there were.
    pub(super) fn rows_folded(&self) -> usize {
        usize::try_from(self.rows_folded).unwrap_or(usize::MAX)
    }

    /// Bytes of memory, about.
    pub(super) fn bytes(&self) -> usize {
        let of_group: usize = self.figures.iter().map(Figures::group_bytes).sum();
        let of_edge = self.edges.as_ref().map_or(0, |_| size_of::<Option<(i64, Place)>>());
        self.groups.bytes() + self.groups.len() * (of_group + of_edge + 8)
    }

    fn grow(&mut self) {
        let groups = self.groups.len();
        self.rows.resize(groups, 0);
        self.figures.iter_mut().for_each(|figures| figures.grow(groups));
    }
}

/// How a file went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Done,
    /// It holds something that is not decoded here; nothing of it was folded.
    NotUnderstood,
}

/// Folds all row groups of a file, which has that number among those of the fold.
pub(super) async fn fold_file(
    shape: &Shape,
    stored: &StoredFile,
    (number, file): (usize, &PartitionedFile),
    folded: &mut Folded,
) -> Result<Outcome> {
    let Some(time) = file.extension::<StoredFile>().map(|stored| stored.file.time) else {
        return Ok(Outcome::NotUnderstood);
    };
    // Spans are counted from their origin, which the very first and last times cannot be.
    let span = shape.span();
    let is_countable =
        span.is_none_or(|span| span.start(time.min.nanos()).is_some() && span.start(time.max.nanos()).is_some());
    let columns = shape.numbers.iter().map(|number| number.column);
    let open = OpenFile::open(&stored.context, file, &stored.table).await?;
    let is_known = columns.chain(shape.key_tags()).all(|column| open.is_decodable(column));
    if !is_countable || !is_known {
        return Ok(Outcome::NotUnderstood);
    }
    stored.context.counters.files_opened.fetch_add(1, Ordering::Relaxed);
    for group in 0..open.metadata.num_row_groups() {
        let unit = Unit { shape, open: &open, file: number, group, time };
        unit.fold(folded).await?;
    }
    Ok(Outcome::Done)
}

/// A row group.
struct Unit<'a> {
    shape: &'a Shape,
    open: &'a OpenFile<'a>,
    file: usize,
    group: usize,
    /// Of all rows of the file.
    time: TimeRange,
}

/// Values of the tags that matter, by column.
type Tags = Vec<(usize, TextRuns)>;

impl Unit<'_> {
    async fn fold(&self, folded: &mut Folded) -> Result<()> {
        let rows = usize::try_from(self.open.metadata.row_group(self.group).num_rows()).unwrap_or(0);
        let tags = self.tags(rows).await?;
        let combinations = self.combinations(&tags, rows)?;
        let wanted: Vec<Range<usize>> = ranges(&combinations.segments);
        if wanted.is_empty() {
            return Ok(());
        }
        let mut numbered = self.numbered(&tags, &combinations, &mut folded.groups)?;
        let mut wanted = wanted;
        if self.shape.is_edge_only() && self.shape.span().is_none() {
            // Rows that are all older than what their group has are not looked at.
            let (edges, groups) = (folded.edges.as_ref(), &mut folded.groups);
            numbered.retain(|segment| {
                edges.is_none_or(|edges| edges.may_be_better(groups.group(segment.of, 0), self.time))
            });
            wanted = ranges(&numbered);
        }
        if wanted.is_empty() {
            return Ok(());
        }
        let numbers: Vec<Option<Chunk<'_>>> =
            self.shape.numbers.iter().map(|number| self.open.chunk(self.group, number.column)).collect();
        let time = self.needs_time().then(|| self.open.chunk(self.group, 0)).flatten();
        let chunks: Vec<Chunk<'_>> = time.iter().chain(numbers.iter().flatten()).copied().collect();
        let mut bytes = self.open.fetch(&chunks, &wanted).await?.into_iter();
        let segments = match (&time, bytes.by_ref().take(usize::from(time.is_some())).next()) {
            (Some(chunk), Some(bytes)) => {
                let place = Place { file: self.file, row_group: self.group, row: 0 };
                let mut cutting = Cutting::new(self.shape, &numbered, &mut folded.groups, &mut folded.edges, place);
                let each = &mut |page: NumberPage<'_>| cutting.page(&page);
                folded.reader.read(chunk, &bytes, &wanted, each).map_err(|error| self.told(error))?;
                cutting.segments
            }
            _ => self.whole(&numbered, &mut folded.groups),
        };
        folded.grow();
        for segment in &segments {
            folded.rows[segment.of as usize] += segment.rows.len() as u64;
            folded.rows_folded += segment.rows.len() as u64;
        }
        let wanted = ranges(&segments);
        for (figures, chunk) in folded.figures.iter_mut().zip(&numbers) {
            let Some(chunk) = chunk else { continue };
            let Some(bytes) = bytes.next() else { break };
            let mut from = 0;
            let each = &mut |page: NumberPage<'_>| from = fold_page(figures, &page, &segments, from);
            folded.reader.read(chunk, &bytes, &wanted, each).map_err(|error| self.told(error))?;
        }
        Ok(())
    }

    /// What is wrong with a page, with the file's name for the log.
    fn told(&self, error: PageError) -> DataFusionError {
        let detail = format!("data file {}: {error}", self.open.location());
        match error {
            PageError::Damaged(_) => Error::Corrupt { detail }.into(),
            // What is not decoded was sorted out before; bytes that are fine are no damage.
            PageError::Unsupported(_) => Error::internal(detail).into(),
        }
    }

    /// Whether times have to be looked at: they cut something, or are a column that is asked for.
    fn needs_time(&self) -> bool {
        let Conditions { range, .. } = self.shape.conditions;
        let is_inside = range.min <= self.time.min && self.time.max <= range.max;
        let is_one_span = self.shape.span().is_none_or(|span| span.only(self.time).is_some());
        !is_inside || !is_one_span || self.shape.edge.is_some()
    }

    /// Runs of the tags that conditions and keys name.
    async fn tags(&self, rows: usize) -> Result<Tags> {
        let on_tags = self.shape.conditions.on_tags.iter().flat_map(|condition| condition.columns.iter().copied());
        let mut columns: Vec<usize> = on_tags.chain(self.shape.key_tags()).collect();
        columns.sort_unstable();
        columns.dedup();
        let chunks: Vec<Option<Chunk<'_>>> =
            columns.iter().map(|&column| self.open.chunk(self.group, column)).collect();
        let all = 0..rows;
        let wanted = std::slice::from_ref(&all);
        let there: Vec<Chunk<'_>> = chunks.iter().flatten().copied().collect();
        let mut bytes = self.open.fetch(&there, wanted).await?.into_iter();
        let mut tags = Vec::with_capacity(columns.len());
        for (column, chunk) in columns.into_iter().zip(&chunks) {
            let runs = match chunk.as_ref().zip(chunk.as_ref().and_then(|_| bytes.next())) {
                Some((chunk, bytes)) => TextRuns::read(chunk, &bytes, wanted).map_err(|error| self.told(error))?,
                // A tag that did not exist when the file was written is missing in all of its rows.
                None => TextRuns { entries: Vec::new(), runs: vec![TextRun { code: None, rows: all.clone() }] },
            };
            tags.push((column, runs));
        }
        Ok(tags)
    }

    /// Rows by their tags, without those that the condition leaves out.
    fn combinations(&self, tags: &Tags, rows: usize) -> Result<Combinations> {
        let runs: Vec<&[TextRun]> = tags.iter().map(|(_, runs)| runs.runs.as_slice()).collect();
        let all = 0..rows;
        let mut combinations = combine(&runs, std::slice::from_ref(&all));
        let Some(condition) = &self.shape.conditions.on_tags else { return Ok(combinations) };
        let values = condition.columns.iter().map(|column| values_of(tags, *column, &combinations)).collect::<Vec<_>>();
        let judged = condition.judge(&values, combinations.codes.len())?;
        combinations.segments.retain(|segment| judged[segment.of as usize]);
        Ok(combinations)
    }

    /// The same stretches by the key's combinations, as they are numbered for all files.
    fn numbered(&self, tags: &Tags, combinations: &Combinations, groups: &mut Groups) -> Result<Vec<Segment>> {
        let values: Vec<_> = self.shape.key_tags().map(|column| values_of(tags, column, combinations)).collect();
        let mut numbers: Vec<Option<u32>> = vec![None; combinations.codes.len()];
        let mut segments = Vec::with_capacity(combinations.segments.len());
        for segment in &combinations.segments {
            let slot = &mut numbers[segment.of as usize];
            let number = match *slot {
                Some(number) => number,
                None => groups.combination(values.iter().map(|values| values[segment.of as usize]))?,
            };
            *slot = Some(number);
            push(&mut segments, segment.rows.clone(), number);
        }
        Ok(segments)
    }

    /// Groups where time cuts nothing.
    fn whole(&self, numbered: &[Segment], groups: &mut Groups) -> Vec<Segment> {
        let start = self.shape.span().and_then(|span| span.only(self.time)).unwrap_or(0);
        let group = |segment: &Segment| Segment { rows: segment.rows.clone(), of: groups.group(segment.of, start) };
        numbered.iter().map(group).collect()
    }
}

/// By combination, the value of that column.
fn values_of<'t>(tags: &'t Tags, column: usize, combinations: &Combinations) -> Vec<Option<&'t bytes::Bytes>> {
    let Some(place) = tags.iter().position(|(known, _)| *known == column) else { return Vec::new() };
    let entries = &tags[place].1.entries;
    combinations
        .codes
        .iter()
        .map(|codes| codes.get(place).copied().flatten().map(|code| &entries[code as usize]))
        .collect()
}

fn ranges(segments: &[Segment]) -> Vec<Range<usize>> {
    let mut ranges: Vec<Range<usize>> = Vec::new();
    for segment in segments {
        match ranges.last_mut() {
            Some(last) if last.end == segment.rows.start => last.end = segment.rows.end,
            _ => ranges.push(segment.rows.clone()),
        }
    }
    ranges
}

/// Stretches cut by time, page by page.
struct Cutting<'a> {
    range: TimeRange,
    span: Option<Span>,
    numbered: &'a [Segment],
    /// The first stretch that a later page may hold rows of.
    from: usize,
    groups: &'a mut Groups,
    edges: &'a mut Option<Edges>,
    /// Of the row group's first row.
    place: Place,
    /// The group of the last cut: the next is often the same.
    last: Option<(u32, i64, u32)>,
    segments: Vec<Segment>,
}

impl<'a> Cutting<'a> {
    fn new(
        shape: &Shape,
        numbered: &'a [Segment],
        groups: &'a mut Groups,
        edges: &'a mut Option<Edges>,
        place: Place,
    ) -> Self {
        let (range, span) = (shape.conditions.range, shape.span());
        Self { range, span, numbered, from: 0, groups, edges, place, last: None, segments: Vec::new() }
    }

    fn page(&mut self, page: &NumberPage<'_>) {
        let Numbers::Integers(times) = page.numbers else { return };
        while let Some(segment) = self.numbered.get(self.from) {
            let rows = segment.rows.start.max(page.rows.start)..segment.rows.end.min(page.rows.end);
            if segment.rows.start >= page.rows.end {
                return;
            }
            if !rows.is_empty() {
                let times = &times[rows.start - page.rows.start..rows.end - page.rows.start];
                let (groups, last, segments) = (&mut *self.groups, &mut self.last, &mut self.segments);
                let (edges, first, place) = (&mut *self.edges, rows.start, self.place);
                let mut each = |rows: Range<usize>, start: i64| {
                    let number = match *last {
                        Some((combination, at, number)) if combination == segment.of && at == start => number,
                        _ => groups.group(segment.of, start),
                    };
                    *last = Some((segment.of, start, number));
                    if let Some(edges) = edges {
                        edges.offer(
                            number,
                            &times[rows.start - first..rows.end - first],
                            Place { row: rows.start, ..place },
                        );
                    }
                    push(segments, rows, number);
                };
                cut(times, rows.start, self.range, self.span, &mut each);
            }
            if segment.rows.end > page.rows.end {
                return;
            }
            self.from += 1;
        }
    }
}

/// Folds a page's rows into their groups; answers the first stretch that a later page may hold rows of.
fn fold_page(figures: &mut Figures, page: &NumberPage<'_>, segments: &[Segment], mut from: usize) -> usize {
    while let Some(segment) = segments.get(from) {
        if segment.rows.start >= page.rows.end {
            break;
        }
        let start = segment.rows.start.max(page.rows.start) - page.rows.start;
        let end = segment.rows.end.min(page.rows.end).saturating_sub(page.rows.start);
        if start < end {
            let numbers = match page.numbers {
                Numbers::Integers(values) => Numbers::Integers(&values[start..end]),
                Numbers::Floats(values) => Numbers::Floats(&values[start..end]),
            };
            match &page.present {
                None => figures.fold(segment.of as usize, numbers),
                Some(present) => figures.fold_present(segment.of as usize, numbers, &present.slice(start, end - start)),
            }
        }
        if segment.rows.end > page.rows.end {
            break;
        }
        from += 1;
    }
    from
}
