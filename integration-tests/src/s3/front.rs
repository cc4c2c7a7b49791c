//! What stands in front of the S3 service: counts requests, and fails those that the dice choose.
//!
//! A request draws once, when its head has come, in the order of arrival: the same seed and the same order of
//! requests make the same faults. A request that fails "after" has been carried out, and its answer is lost.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Result, anyhow};
use fastrand::Rng;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::{Method, Request, Response, StatusCode};
use s3s::Body;
use s3s::service::S3Service;
use serde_json::{Value, json};

use super::metered::{Metered, Rate};
use super::serve::Ending;

/// Where the counts are told; no bucket can have this name.
const COUNTS_PATH: &str = "/_counts";

/// What is wrong with the server. Shares are of all requests and add up to at most 1.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct S3Fault {
    /// Answered 503 `SlowDown` before anything is done.
    pub slow_down: f64,
    /// Answered 500 before anything is done.
    pub error_before: f64,
    /// Carried out, then answered 500.
    pub error_after: f64,
    /// The connection is reset: half of them before, half of them after the request was carried out.
    pub reset: f64,
    /// Every request waits for this long first.
    pub delay: Duration,
    /// At most this many bytes a second, of each body in each direction.
    pub bytes_per_second: Option<u32>,
    /// Where chance begins.
    pub seed: u64,
}

/// What was asked, answered and made to fail.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// Requests by method; a `GET` that lists is a `LIST`, a `POST` that deletes a `DELETE`.
    pub requests: BTreeMap<&'static str, u64>,
    /// Bytes of bodies that came in.
    pub bytes_in: u64,
    /// Bytes of bodies that went out.
    pub bytes_out: u64,
    /// Requests answered 503 `SlowDown`.
    pub slowed_down: u64,
    /// Requests answered 500 with nothing done.
    pub failed_before: u64,
    /// Requests carried out and answered 500.
    pub failed_after: u64,
    /// Requests whose connection was reset.
    pub reset: u64,
}

impl Counts {
    /// Requests of one method.
    pub fn of(&self, method: &str) -> u64 {
        self.requests.get(method).copied().unwrap_or(0)
    }

    /// All requests.
    pub fn all(&self) -> u64 {
        self.requests.values().sum()
    }

    /// As JSON.
    pub fn to_json(&self) -> Value {
        json!({
            "requests": self.requests, "bytes_in": self.bytes_in, "bytes_out": self.bytes_out,
            "slowed_down": self.slowed_down, "failed_before": self.failed_before,
            "failed_after": self.failed_after, "reset": self.reset,
        })
    }
}

/// What becomes of one request.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Fate {
    Served,
    SlowedDown,
    FailsBefore,
    FailsAfter,
    ResetBefore,
    ResetAfter,
}

struct State {
    fault: S3Fault,
    random: Rng,
    counts: Counts,
}

/// One front; its service may have others.
pub(super) struct Front {
    state: Mutex<State>,
    rate: Rate,
    bytes_in: Arc<AtomicU64>,
    bytes_out: Arc<AtomicU64>,
}

impl fmt::Debug for Front {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Front").finish_non_exhaustive()
    }
}

impl Default for Front {
    fn default() -> Self {
        let state = State { fault: S3Fault::default(), random: Rng::with_seed(0), counts: Counts::default() };
        Self { state: Mutex::new(state), rate: Rate::default(), bytes_in: Arc::default(), bytes_out: Arc::default() }
    }
}

impl Front {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set(&self, fault: S3Fault) {
        let mut state = self.lock();
        state.fault = fault;
        state.random = Rng::with_seed(fault.seed);
        self.rate.set(fault.bytes_per_second);
    }

    pub(super) fn counts(&self) -> Counts {
        let mut counts = self.lock().counts.clone();
        counts.bytes_in = self.bytes_in.load(Ordering::Relaxed);
        counts.bytes_out = self.bytes_out.load(Ordering::Relaxed);
        counts
    }

    /// Answers a request, or ends its connection.
    pub(super) async fn answer(
        &self,
        service: &S3Service,
        request: Request<Incoming>,
        ending: &Ending,
    ) -> Result<Response<Metered<Body>>> {
        if request.uri().path() == COUNTS_PATH {
            return Ok(self.metered(Response::new(Body::from(self.counts().to_json().to_string()))));
        }
        let (fate, delay) = self.draw(&request);
        tokio::time::sleep(delay).await;
        let request = request.map(|body| Metered::new(body, self.rate.clone(), Arc::clone(&self.bytes_in)));
        match fate {
            Fate::Served => {}
            Fate::SlowedDown | Fate::FailsBefore => {
                // Read to its end, or the client might see a broken connection in place of this answer.
                request.into_body().collect().await.map_err(|error| anyhow!("{error}"))?;
                return Ok(self.metered(refusal(fate)));
            }
            Fate::ResetBefore => return Err(ending.reset()),
            Fate::FailsAfter | Fate::ResetAfter => {}
        }
        let call = service.call(request.map(Body::http_body_unsync));
        let response = call.await.map_err(|error| anyhow!("{error:?}"))?;
        match fate {
            Fate::FailsAfter => Ok(self.metered(refusal(fate))),
            Fate::ResetAfter => Err(ending.reset()),
            _ => Ok(self.metered(response)),
        }
    }

    fn metered(&self, response: Response<Body>) -> Response<Metered<Body>> {
        response.map(|body| Metered::new(body, self.rate.clone(), Arc::clone(&self.bytes_out)))
    }

    fn draw(&self, request: &Request<Incoming>) -> (Fate, Duration) {
        let mut state = self.lock();
        *state.counts.requests.entry(kind(request)).or_default() += 1;
        let fault = state.fault;
        let fates = [
            (fault.slow_down, Fate::SlowedDown),
            (fault.error_before, Fate::FailsBefore),
            (fault.error_after, Fate::FailsAfter),
            (fault.reset / 2.0, Fate::ResetBefore),
            (fault.reset / 2.0, Fate::ResetAfter),
        ];
        let mut drawn = state.random.f64();
        let mut fate = Fate::Served;
        for (share, each) in fates {
            if drawn < share {
                fate = each;
                break;
            }
            drawn -= share;
        }
        let counts = &mut state.counts;
        match fate {
            Fate::Served => {}
            Fate::SlowedDown => counts.slowed_down += 1,
            Fate::FailsBefore => counts.failed_before += 1,
            Fate::FailsAfter => counts.failed_after += 1,
            Fate::ResetBefore | Fate::ResetAfter => counts.reset += 1,
        }
        (fate, fault.delay)
    }
}

fn kind(request: &Request<Incoming>) -> &'static str {
    let query = request.uri().query().unwrap_or("");
    match *request.method() {
        Method::GET if query.split('&').any(|part| part == "list-type=2") => "LIST",
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::PUT => "PUT",
        Method::POST if query.split('&').any(|part| part == "delete" || part == "delete=") => "DELETE",
        Method::POST => "POST",
        Method::DELETE => "DELETE",
        _ => "OTHER",
    }
}

fn refusal(fate: Fate) -> Response<Body> {
    let (status, code, message) = match fate {
        Fate::SlowedDown => (StatusCode::SERVICE_UNAVAILABLE, "SlowDown", "Please reduce your request rate."),
        _ => (StatusCode::INTERNAL_SERVER_ERROR, "InternalError", "We encountered an internal error."),
    };
    let text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Error><Code>{code}</Code><Message>{message}</Message></Error>"
    );
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    response
}
