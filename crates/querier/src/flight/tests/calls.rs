use arrow_flight::{Action, Criteria, Empty, FlightData};
use futures::TryStreamExt;
use tonic::Code;

use super::harness::*;
use crate::flight::actions::ACTIONS;

#[tokio::test]
async fn actions_are_listed_and_the_listed_ones_exist() {
    let served = Served::of(weather().await.querier()).await;
    let mut raw = served.raw().await;
    let listed = raw.list_actions(Empty {}).await.unwrap().into_inner();
    let listed: Vec<String> = listed.map_ok(|action| action.r#type).try_collect().await.unwrap();
    assert_eq!(listed, ACTIONS.map(|(name, _)| name));
    for action in listed {
        let told = raw.do_action(Action::new(action.clone(), "")).await;
        assert!(!told.is_err_and(|status| status.code() == Code::Unimplemented), "{action}");
    }
}

#[tokio::test]
async fn actions_that_do_not_exist_are_refused_with_what_to_do() {
    let served = Served::of(weather().await.querier()).await;
    let mut raw = served.raw().await;
    for (action, told) in [
        ("BeginTransaction", "there are no transactions"),
        ("EndSavepoint", "there are no transactions"),
        ("CancelQuery", "cancelling the call"),
        ("CancelFlightInfo", "cancelling the call"),
        ("CreatePreparedSubstraitPlan", "send SQL"),
        ("Nope", "there is: CreatePreparedStatement"),
    ] {
        let status = raw.do_action(Action::new(action, "")).await.unwrap_err();
        assert_eq!(status.code(), Code::Unimplemented, "{action}");
        assert!(status.message().contains(told), "{action}: {status}");
    }
    for unreadable in ["CreatePreparedStatement", "ClosePreparedStatement", "SetSessionOptions"] {
        let status = raw.do_action(Action::new(unreadable, &b"\xff\xff"[..])).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{unreadable}");
    }
}

#[tokio::test]
async fn there_are_no_flights_but_those_that_are_asked_for() {
    let served = Served::of(weather().await.querier()).await;
    let flights = served.raw().await.list_flights(Criteria::default()).await.unwrap().into_inner();
    assert_eq!(flights.try_collect::<Vec<_>>().await.unwrap().len(), 0);
}

#[tokio::test]
async fn rows_are_neither_put_nor_exchanged() {
    let served = Served::of(weather().await.querier()).await;
    let mut raw = served.raw().await;
    let exchange = raw.do_exchange(futures::stream::iter([FlightData::default()])).await.unwrap_err();
    assert_eq!(exchange.code(), Code::Unimplemented);
    let nothing = raw.do_put(futures::stream::iter([] as [FlightData; 0])).await.unwrap_err();
    assert_eq!(nothing.code(), Code::InvalidArgument);
    let bare = raw.do_put(futures::stream::iter([FlightData::default()])).await.unwrap_err();
    assert!(bare.message().contains("has to carry a command"), "{bare}");
}
