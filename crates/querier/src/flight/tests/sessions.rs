use std::collections::HashMap;

use arrow_flight::sql::client::FlightSqlServiceClient;
use arrow_flight::{Action, HandshakeRequest};
use futures::TryStreamExt;
use gigapi_service::auth::basic_header;
use prost::Message;
use tonic::{Code, Response};

use super::harness::*;
use crate::flight::session::{
    CloseSessionResult, GetSessionOptionsResult, OptionErrorValue, OptionKind, OptionValue, SessionStatus,
    SetSessionOptionsRequest, SetSessionOptionsResult,
};
use crate::tests::world::*;

#[tokio::test]
async fn a_handshake_gives_a_bearer_that_is_let_in() {
    let auth = credentials(Some(("ann", "pass wörd:1")), Some("t0ken"));
    let served = Served::guarded(weather().await.querier(), auth).await;
    for (name, password) in [("ann", "pass wörd:1"), ("whoever", "t0ken")] {
        let mut client = served.client().await;
        assert!(client.execute("SELECT 1".to_owned(), None).await.is_err());
        client.handshake(name, password).await.unwrap();
        assert_eq!(answer_to(&mut client, "SELECT 1 AS x").await, ["x", "1"]);
    }
    let error = served.client().await.handshake("ann", "wrong").await.unwrap_err().to_string();
    assert!(error.contains("no or wrong credentials"), "{error}");
}

#[tokio::test]
async fn credentials_guard_every_call_in_every_scheme() {
    let auth = credentials(Some(("ann", "secret")), Some("t0ken"));
    let served = Served::guarded(weather().await.querier(), auth).await;
    let told = async |authorization: Option<&str>| {
        let metadata: Vec<_> = authorization.map(|value| ("authorization", value)).into_iter().collect();
        let called = served.raw().await.get_flight_info(call(statement("SELECT 1"), &metadata)).await;
        called.map_or_else(|status| status.code(), |_| Code::Ok)
    };
    let (right, wrong) = (basic_header("ann", "secret"), basic_header("ann", "wrong"));
    for admitted in ["Bearer t0ken", "Token t0ken", "bearer t0ken", "Bearer ann:secret", right.as_str()] {
        assert_eq!(told(Some(admitted)).await, Code::Ok, "{admitted}");
    }
    for rejected in ["Bearer nope", "Token", wrong.as_str()] {
        assert_eq!(told(Some(rejected)).await, Code::Unauthenticated, "{rejected}");
    }
    assert_eq!(told(None).await, Code::Unauthenticated);
    let listing = served.raw().await.list_actions(arrow_flight::Empty {}).await.unwrap_err();
    assert_eq!(listing.code(), Code::Unauthenticated);
}

/// A driver of JDBC always shakes hands, with a token, with a name, or with nothing.
#[tokio::test]
async fn a_handshake_succeeds_where_nobody_is_asked_for_credentials() {
    let served = Served::of(weather().await.querier()).await;
    let mut client = served.client().await;
    client.handshake("anybody", "anything").await.unwrap();
    assert_eq!(answer_to(&mut client, "SELECT 1 AS x").await, ["x", "1"]);
    for (sent, expected) in [(Some("Bearer x"), Some("Bearer x")), (None, None)] {
        let hello = futures::stream::iter([HandshakeRequest::default()]);
        let metadata: Vec<_> = sent.map(|value| ("authorization", value)).into_iter().collect();
        let response = served.raw().await.handshake(call(hello, &metadata)).await.unwrap();
        let answered = response.metadata().get("authorization").map(|value| value.to_str().unwrap().to_owned());
        assert_eq!(answered.as_deref(), expected);
        assert_eq!(response.into_inner().try_collect::<Vec<_>>().await.unwrap().len(), 1);
    }
}

async fn act(
    served: &Served,
    action: &str,
    body: Vec<u8>,
    cookie: Option<&str>,
) -> Response<Vec<arrow_flight::Result>> {
    let metadata: Vec<_> = cookie.map(|value| ("cookie", value)).into_iter().collect();
    let response = served.raw().await.do_action(call(Action::new(action, body), &metadata)).await.unwrap();
    let (metadata, stream, extensions) = response.into_parts();
    Response::from_parts(metadata, stream.try_collect().await.unwrap(), extensions)
}

fn options(pairs: &[(&str, OptionValue)]) -> Vec<u8> {
    let session_options = pairs.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    SetSessionOptionsRequest { session_options }.encode_to_vec()
}

fn text(value: &str) -> OptionValue {
    OptionValue::of_text(value.to_owned())
}

#[tokio::test]
async fn the_database_of_a_session_is_kept_by_the_client() {
    let world = weather().await;
    world.flush("a b;ü", "x", &[(DAY, vec![("v", Integer(4))])]).await;
    let served = Served::of(world.querier()).await;
    let set =
        act(&served, "SetSessionOptions", options(&[("catalog", text("public")), ("schema", text("a b;ü"))]), None);
    let set = set.await;
    let cookie = set.metadata().get("set-cookie").unwrap().to_str().unwrap().to_owned();
    assert!(SetSessionOptionsResult::decode(&*set.into_inner()[0].body).unwrap().errors.is_empty());
    let pair = cookie.split(';').next().unwrap();
    let cookies = format!("other=1; {pair}");

    let told = act(&served, "GetSessionOptions", Vec::new(), Some(&cookies)).await.into_inner();
    let told = GetSessionOptionsResult::decode(&*told[0].body).unwrap().session_options;
    assert_eq!(told, HashMap::from([("catalog".to_owned(), text("public")), ("schema".to_owned(), text("a b;ü"))]));
    let mut client = FlightSqlServiceClient::new(served.channel().await);
    client.set_header("cookie", cookies.clone());
    assert_eq!(answer_to(&mut client, "SELECT v FROM x").await, ["v", "4"]);
    // A database that a call names comes first.
    client.set_header("database", "mydb");
    assert_eq!(answer_to(&mut client, "SELECT count(*) FROM weather").await[1], "2");

    let closed = act(&served, "CloseSession", Vec::new(), Some(&cookies)).await;
    assert!(closed.metadata().get("set-cookie").unwrap().to_str().unwrap().contains("Max-Age=0"));
    let closed = CloseSessionResult::decode(&*closed.into_inner()[0].body).unwrap();
    assert_eq!(closed.status, i32::from(SessionStatus::Closed));
}

#[tokio::test]
async fn options_that_cannot_be_set_get_the_protocols_error_and_the_others_are_set() {
    let served = Served::of(weather().await.querier()).await;
    let errors = async |pairs: &[(&str, OptionValue)]| {
        let set = act(&served, "SetSessionOptions", options(pairs), None).await.into_inner();
        let errors = SetSessionOptionsResult::decode(&*set[0].body).unwrap().errors;
        let mut errors: Vec<_> = errors.into_iter().map(|(name, error)| (name, error.value)).collect();
        errors.sort();
        errors
    };
    let number = OptionValue { value: Some(OptionKind::Integer(1)) };
    let unset = OptionValue { value: None };
    assert!(errors(&[]).await.is_empty());
    assert!(errors(&[("catalog", text("PUBLIC")), ("schema", text("MyDb"))]).await.is_empty());
    assert!(errors(&[("catalog", unset.clone()), ("schema", unset)]).await.is_empty());
    assert!(errors(&[("schema", text("iox"))]).await.is_empty());
    let value = i32::from(OptionErrorValue::InvalidValue);
    let both = [("catalog".to_owned(), value), ("schema".to_owned(), value)];
    assert_eq!(errors(&[("catalog", text("nope")), ("schema", text("nope"))]).await, both);
    assert_eq!(errors(&[("catalog", number.clone()), ("schema", number)]).await, both);
    let name = i32::from(OptionErrorValue::InvalidName);
    assert_eq!(errors(&[("mood", text("good")), ("schema", text("mydb"))]).await, [("mood".to_owned(), name)]);
}
