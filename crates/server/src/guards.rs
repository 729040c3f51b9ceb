//! What stands before every route: counting, security headers, the error shape, panics, CORS, and the question who may
//! come in. One layer over the whole router, so no route can be forgotten.

use std::any::Any;
use std::time::Instant;

use axum::extract::{MatchedPath, Request};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::{Router, body::Body};
use http::{HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::cors::{AllowOrigin, CorsLayer};

use crate::{ApiError, App, error};

mod access;
mod unread;

/// Puts all guards around the routes, and everything below the base path.
pub(crate) fn around(routes: Router, app: &App) -> Router {
    let mut guarded = routes.layer(from_fn_with_state(app.clone(), access::check));
    if let Some(cors) = cors(app) {
        guarded = guarded.layer(cors);
    }
    let guarded = guarded
        .layer(CatchPanicLayer::custom(on_panic))
        .layer(from_fn(shape))
        .layer(from_fn(security_headers))
        .layer(from_fn(count))
        .layer(from_fn(unread::close));
    let base = app.config.base();
    if base.is_empty() {
        return guarded;
    }
    let strip = move |request: Request, next: Next| strip_base(base.clone(), request, next);
    Router::new().fallback_service(guarded).layer(from_fn(strip))
}

/// Takes the base path off, so that routes and guards never see it; anything outside it is no route.
async fn strip_base(base: String, mut request: Request, next: Next) -> Response {
    let rest = request.uri().path().strip_prefix(base.as_str()).map(str::to_owned);
    let inner = match rest {
        Some(rest) if rest.is_empty() => "/".to_owned(),
        Some(rest) if rest.starts_with('/') => rest,
        _ => {
            return error::unknown_route(request.method().clone(), request.uri().clone())
                .await
                .into_response();
        }
    };
    let query = request
        .uri()
        .query()
        .map(|query| format!("?{query}"))
        .unwrap_or_default();
    let mut parts = request.uri().clone().into_parts();
    parts.path_and_query = format!("{inner}{query}").parse().ok();
    match Uri::from_parts(parts) {
        Ok(uri) => *request.uri_mut() = uri,
        Err(_) => return ApiError::NotFound("this address does not parse".into()).into_response(),
    }
    next.run(request).await
}

/// Answers preflights; where nobody may ask from elsewhere there is none, and `OPTIONS` is a method like any other.
fn cors(app: &App) -> Option<CorsLayer> {
    let origins: Vec<HeaderValue> = app
        .config
        .cors_origins
        .iter()
        .filter_map(|origin| origin.parse().ok())
        .collect();
    if origins.is_empty() {
        return None;
    }
    let layer = CorsLayer::new()
        .allow_origin(AllowOrigin::list(origins))
        .allow_methods([Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE])
        .allow_headers([
            header::AUTHORIZATION,
            header::CONTENT_TYPE,
            HeaderName::from_static("last-event-id"),
        ])
        .max_age(std::time::Duration::from_secs(600));
    Some(layer)
}

#[expect(clippy::needless_pass_by_value, reason = "the layer hands the payload over")]
fn on_panic(payload: Box<dyn Any + Send>) -> Response {
    let message = payload
        .downcast_ref::<String>()
        .map(String::as_str)
        .or(payload.downcast_ref::<&str>().copied());
    tracing::error!(panic = message.unwrap_or("(no message)"), "a handler panicked");
    ApiError::Panic.into_response()
}

/// Gives errors that come from the framework the one error shape.
async fn shape(request: Request, next: Next) -> Response {
    let method = request.method().clone();
    let response = next.run(request).await;
    let status = response.status();
    if !status.is_client_error() && !status.is_server_error() {
        return response;
    }
    let json = response
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"application/json"));
    if json || method == Method::HEAD {
        return response;
    }
    match status {
        // The router itself adds `Allow`, outside of this layer.
        StatusCode::METHOD_NOT_ALLOWED => ApiError::Method(method.to_string()),
        StatusCode::NOT_FOUND => ApiError::NotFound("there is nothing here; /openapi.json lists the routes".into()),
        StatusCode::UNSUPPORTED_MEDIA_TYPE => ApiError::ContentType,
        status if status.is_client_error() => {
            // The framework says in a line what does not parse: a query, a path.
            let said = axum::body::to_bytes(response.into_body(), 1000)
                .await
                .unwrap_or_default();
            let said: String = String::from_utf8_lossy(&said).chars().take(200).collect();
            ApiError::invalid(format!("this request does not parse ({said}); see /openapi.json"))
        }
        _ => ApiError::Panic,
    }
    .into_response()
}

async fn security_headers(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    let fixed = [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (
            HeaderName::from_static("permissions-policy"),
            "camera=(), geolocation=(), payment=(), usb=()",
        ),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if !headers.contains_key(header::CONTENT_SECURITY_POLICY) {
        let nothing = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");
        headers.insert(header::CONTENT_SECURITY_POLICY, nothing);
    }
    if !headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    response
}

/// Counts requests by route and status; the path of an unknown route never becomes a label.
async fn count(request: Request<Body>, next: Next) -> Response {
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or("unknown", MatchedPath::as_str)
        .to_owned();
    let method = known_method(request.method());
    let start = Instant::now();
    let response = next.run(request).await;
    let status = response.status().as_u16().to_string();
    metrics::counter!("candor_http_requests_total", "route" => route.clone(), "method" => method, "status" => status)
        .increment(1);
    metrics::histogram!("candor_http_head_seconds", "route" => route).record(start.elapsed().as_secs_f64());
    response
}

fn known_method(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::HEAD => "HEAD",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}
