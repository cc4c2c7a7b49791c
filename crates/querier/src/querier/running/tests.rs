use arrow::datatypes::Schema;
use datafusion::physical_plan::empty::EmptyExec;
use gigapi_model::Timestamp;

use super::*;

fn queries() -> (Arc<RunningQueries>, Arc<QueryMemory>) {
    let shared = Arc::new(datafusion::execution::memory_pool::UnboundedMemoryPool::default());
    (Arc::default(), Arc::new(QueryMemory::new(shared, 1 << 20)))
}

fn id(number: u128) -> QueryId {
    QueryId::new(Uuid::from_u128(number))
}

#[test]
fn a_query_is_listed_while_it_runs() {
    let (queries, memory) = queries();
    let second = Timestamp::from_nanos(2);
    let later = queries.begin(id(2), ("SELECT 2", "db"), second, Arc::clone(&memory)).unwrap();
    let earlier = queries.begin(id(1), ("SELECT 1", "db"), Timestamp::from_nanos(1), memory).unwrap();
    assert_eq!(queries.all().iter().map(|status| status.sql.as_str()).collect::<Vec<_>>(), ["SELECT 1", "SELECT 2"]);
    assert_eq!(queries.status(id(2)).unwrap().state, QueryState::Queued);
    later.query.admitted();
    assert_eq!(queries.status(id(2)).unwrap().state, QueryState::Planning);
    later.query.planned(&(Arc::new(EmptyExec::new(Arc::new(Schema::empty()))) as _));
    assert_eq!(later.query.returned(3), 3);
    let status = queries.status(id(2)).unwrap();
    assert_eq!((status.state, status.figures.rows_returned), (QueryState::Running, 3));
    drop(later);
    assert!(queries.status(id(2)).is_none() && !queries.cancel(id(2)));
    assert!(queries.cancel(id(1)) && earlier.query.cancelled.is_cancelled());
}

#[test]
fn an_id_that_runs_is_not_given_twice() {
    let (queries, memory) = queries();
    let first = queries.begin(id(1), ("SELECT 1", "db"), Timestamp::from_nanos(1), Arc::clone(&memory)).unwrap();
    let second = queries.begin(id(1), ("SELECT 2", "db"), Timestamp::from_nanos(1), Arc::clone(&memory));
    assert!(second.unwrap_err().to_string().contains("is running"));
    drop(first);
    queries.begin(id(1), ("SELECT 3", "db"), Timestamp::from_nanos(1), memory).unwrap();
}

#[test]
fn ids_are_uuids() {
    assert_eq!("00000000-0000-0000-0000-000000000007".parse::<QueryId>().unwrap(), id(7));
    for wrong in ["", "7", "../7", "00000000-0000-0000-0000-00000000000g"] {
        assert!(wrong.parse::<QueryId>().is_err(), "{wrong}");
    }
}
