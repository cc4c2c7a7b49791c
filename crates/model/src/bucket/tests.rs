use proptest::prelude::*;

use super::*;

fn at(text: &str) -> Timestamp {
    let nanos = DateTime::parse_from_rfc3339(text).unwrap().timestamp_nanos_opt().unwrap();
    Timestamp::from_nanos(nanos)
}

#[test]
fn every_span_has_its_path() {
    let time = at("2025-04-10T07:59:59Z");
    let paths = BucketSpan::ALL.map(|span| Bucket::containing(time, span).path());
    assert_eq!(
        paths,
        ["date=2025-04-10/hour=07", "date=2025-04-10/hour=all", "date=2025-04/hour=all", "date=2025/hour=all"]
    );
}

#[test]
fn a_december_ends_with_its_year() {
    let bucket = Bucket::containing(at("1999-12-31T23:00:00Z"), BucketSpan::Month);
    assert_eq!(bucket.range().max.nanos() + 1, at("2000-01-01T00:00:00Z").nanos());
}

#[test]
fn second_spellings_are_refused() {
    for text in [
        "date=2025-04-10/hour=7",
        "date=2025-04-10/hour=24",
        "date=2025-4/hour=all",
        "date=2025-02-30/hour=all",
        "date=2025-04/hour=01",
        "hour=01",
        "date=/hour=all",
        "date=2025-01-01-01/hour=all",
    ] {
        assert!(text.parse::<Bucket>().is_err(), "{text}");
    }
}

proptest! {
    #[test]
    fn a_time_lies_in_its_bucket_and_the_path_leads_back(nanos in any::<i64>(), which in 0_usize..4) {
        let time = Timestamp::from_nanos(nanos);
        let bucket = Bucket::containing(time, BucketSpan::ALL[which]);
        prop_assert!(bucket.range().contains(time), "{bucket:?}");
        prop_assert_eq!(bucket.path().parse::<Bucket>(), Ok(bucket));
        prop_assert_eq!(Bucket::containing(bucket.range().max, bucket.span()), bucket);
    }
}

#[test]
fn the_ends_of_time_have_buckets() {
    for time in [Timestamp::MIN, Timestamp::MAX] {
        for span in BucketSpan::ALL {
            let bucket = Bucket::containing(time, span);
            assert!(bucket.range().contains(time));
            assert_eq!(bucket.path().parse::<Bucket>(), Ok(bucket));
        }
    }
}
