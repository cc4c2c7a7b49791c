//! The way in: what a process answers from its first moment, and where requests wait for the services.
//!
//! `/health`, `/ready` and `/metrics` need nothing but the process itself. Every other request is told to come again
//! until the services' own routes are let in, once.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use axum::Router;
use axum::extract::Request;
use axum::response::Response;
use gigapi_model::ErrorKind;
use tokio::net::TcpListener;
use tower::Service;

use crate::components::Essentials;
use crate::http::{
    ConnectionLimit, HEALTH_ENDPOINTS, Health, HttpMetrics, RequestId, RequestIds, ServeOptions, Shell, serve, shell,
};
use crate::settings::Settings;
use crate::{ApiError, Authenticator, Dialect, Shutdown, grpc};

/// Where requests wait for the services: until they are up, every one of them is told to come again.
#[derive(Clone, Default)]
pub(super) struct Door(Arc<OnceLock<Router>>);

impl Door {
    /// Serves on these listeners until the shutdown; `endpoints` are what the services will answer.
    pub(super) fn open(
        listeners: Vec<(TcpListener, &'static str)>,
        endpoints: &[&'static str],
        settings: &Settings,
        own: &Essentials,
        shutdown: &Shutdown,
    ) -> Self {
        let door = Self::default();
        let health = Health::new(own.readiness.clone(), own.metrics.clone(), Arc::clone(&own.clock));
        let router = health.until(shutdown).router().fallback_service(door.clone());
        let metrics = HttpMetrics::register(&own.metrics);
        let wrapping = Shell {
            ids: RequestIds::new(own.ids.as_ref()),
            auth: Arc::new(Authenticator::new(&settings.auth)),
            metrics: metrics.clone(),
            endpoints: HEALTH_ENDPOINTS.iter().chain(endpoints).copied().collect(),
        };
        let app = shell(router, wrapping);
        let limit = ConnectionLimit::new(settings.http.connections_max);
        for (listener, name) in listeners {
            let options = ServeOptions::new(name, &settings.http, limit.clone(), metrics.clone());
            tokio::spawn(serve(listener, app.clone(), options, shutdown));
        }
        door
    }

    /// Lets requests in to these routes.
    pub(super) fn admit(&self, routes: Router) {
        // Opened once; a second time would be a defect that changes nothing.
        let _ = self.0.set(routes);
    }
}

impl Service<Request> for Door {
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        if let Some(routes) = self.0.get() {
            let answer = routes.clone().call(request);
            return Box::pin(answer);
        }
        let dialect = Dialect::of_path(request.uri().path());
        let call = grpc::content_type(request.headers());
        let id = request.extensions().get::<RequestId>().cloned().unwrap_or_else(RequestId::unknown);
        Box::pin(async move {
            let error = ApiError::new(ErrorKind::Unavailable, "the process is starting; GET /ready says why");
            Ok(match call {
                Some(content_type) => error.grpc_response(content_type, &id),
                None => error.response(dialect, &id),
            })
        })
    }
}

#[cfg(test)]
mod tests;
