use super::*;

/// A source that hands out a few bytes at a time.
struct Slow<'a>(&'a [u8], usize);

impl Read for Slow<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.1.min(self.0.len()).min(buffer.len());
        let (now, later) = self.0.split_at(count);
        buffer[..count].copy_from_slice(now);
        self.0 = later;
        Ok(count)
    }
}

fn batches(text: &str, limits: (usize, usize)) -> Vec<Batch> {
    let (outlet, mut inbox) = mpsc::channel(1_000);
    read_lines(Slow(text.as_bytes(), 3), "f.lp", limits, &outlet).unwrap();
    drop(outlet);
    let mut batches = Vec::new();
    while let Some(batch) = inbox.blocking_recv() {
        batches.push(batch.unwrap());
    }
    batches
}

#[test]
fn batches_hold_all_text_in_order_and_know_their_first_line() {
    let text = "a f=1\n\nb f=\"x\ny\"\n# c\nd f=2\ne f=3";
    for limits in [(1, 1_000), (2, 1_000), (100, 1), (100, 1_000)] {
        let batches = batches(text, limits);
        let bodies: Vec<u8> = batches.iter().flat_map(|batch| batch.body.to_vec()).collect();
        assert_eq!(
            String::from_utf8(bodies).unwrap().replace("# c\n", "").replace("\n\n", "\n"),
            text.replace("# c\n", "").replace("\n\n", "\n")
        );
        assert_eq!(batches.iter().map(|batch| batch.lines).sum::<u64>(), 4, "{limits:?}");
        for batch in &batches {
            let body = std::str::from_utf8(&batch.body).unwrap();
            let Origin::Line(first) = batch.origin else { panic!("lines come from lines") };
            let from_line: String = text.split_inclusive('\n').skip(first as usize - 1).collect();
            assert!(from_line.starts_with(body), "{limits:?}: line {first} is not where {body:?} begins");
        }
    }
}

#[test]
fn a_quote_that_is_never_closed_is_sent_for_the_server_to_refuse() {
    let batches = batches("a f=\"x\nb f=1\nc f=2\n", (100, 1_000));
    assert_eq!(batches.len(), 1);
    assert_eq!(batches[0].lines, 3);
}

#[test]
fn a_source_without_points_sends_nothing() {
    assert!(batches("\n\n# x\n \n", (10, 10)).is_empty());
    assert!(batches("", (10, 10)).is_empty());
}

#[test]
fn a_precision_is_checked_before_anything_is_sent() {
    assert_eq!(precision("ms"), Ok("ms".to_owned()));
    assert!(precision("minutes").is_err());
}
