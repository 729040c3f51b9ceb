//! Who may come in. With an API key: whoever sends it. Without one: only this machine's own programs and our own page,
//! so the Host must name this machine (no rebound DNS name) and an Origin must be our own (no other web page).

use std::net::IpAddr;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, Method, Uri, header};

use crate::{ApiError, App, ServerConfig, page, serve};

/// The layer over every route.
pub(super) async fn check(State(app): State<App>, request: Request, next: Next) -> Response {
    match allowed(&app.config, &request) {
        Ok(()) => next.run(request).await,
        Err(error) => error.into_response(),
    }
}

fn allowed(config: &ServerConfig, request: &Request) -> Result<(), ApiError> {
    let path = request.uri().path();
    let Some(key) = &config.api_key else {
        return from_this_machine(config, request.uri(), request.headers());
    };
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    if reads && (matches!(path, "/health" | "/ready") || page::is_page(path)) {
        return Ok(());
    }
    match bearer(request.headers()) {
        Some(given) if key.matches(given) => Ok(()),
        _ => Err(ApiError::Unauthorized),
    }
}

fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let value = headers.get(header::AUTHORIZATION)?.as_bytes();
    let (scheme, rest) = value.split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then(|| rest.trim_ascii())
}

fn from_this_machine(config: &ServerConfig, uri: &Uri, headers: &HeaderMap) -> Result<(), ApiError> {
    let mut hosts = headers.get_all(header::HOST).iter();
    let host = hosts
        .next()
        .and_then(|host| host.to_str().ok())
        .or_else(|| uri.authority().map(|a| a.as_str()));
    let Some(host) = host.filter(|_| hosts.next().is_none()) else {
        return Err(ApiError::Forbidden(
            "send one Host header that names this machine, such as 127.0.0.1".into(),
        ));
    };
    // A whole address in the request line is a host as well.
    let named = [Some(host), uri.authority().map(|authority| authority.as_str())];
    if let Some(foreign) = named
        .into_iter()
        .flatten()
        .find(|name| !names_this_machine(config, name))
    {
        let host: String = foreign.chars().take(100).collect();
        return Err(ApiError::Forbidden(format!(
            "the name `{host}` is not known to be this machine; use 127.0.0.1 or localhost, add the name to `allowed_hosts` in the configuration, or set CANDOR_API_KEY"
        )));
    }
    if headers.contains_key(header::ORIGIN) {
        return same_origin(config, headers, host);
    }
    // Browsers say so when another site's page loads an address as an image, script or frame.
    let site = headers.get("sec-fetch-site").map_or(&b""[..], |site| site.as_bytes());
    let mode = headers.get("sec-fetch-mode").map_or(&b""[..], |mode| mode.as_bytes());
    if matches!(site, b"cross-site" | b"same-site") && mode != b"navigate" {
        return Err(foreign_page());
    }
    Ok(())
}

fn foreign_page() -> ApiError {
    ApiError::Forbidden(
        "a page of another origin may not use this server; add its origin to `cors_origins` in the configuration if it should".into(),
    )
}

fn same_origin(config: &ServerConfig, headers: &HeaderMap, host: &str) -> Result<(), ApiError> {
    let own = headers.get_all(header::ORIGIN).iter().all(|origin| {
        let Ok(origin) = origin.to_str() else { return false };
        let authority = |scheme: &str, port: &str| {
            let authority = origin.strip_prefix(scheme)?;
            let ours = host.strip_suffix(port).unwrap_or(host);
            Some(
                authority
                    .strip_suffix(port)
                    .unwrap_or(authority)
                    .eq_ignore_ascii_case(ours),
            )
        };
        authority("http://", ":80").or_else(|| authority("https://", ":443")) == Some(true)
            || config
                .cors_origins
                .iter()
                .any(|known| known.eq_ignore_ascii_case(origin))
    });
    if own { Ok(()) } else { Err(foreign_page()) }
}

fn names_this_machine(config: &ServerConfig, host: &str) -> bool {
    let name = without_port(host);
    if let Ok(ip) = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>() {
        return serve::is_loopback(ip) || config.allowed_hosts.iter().any(|known| known == name);
    }
    let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
    name == "localhost"
        || name.ends_with(".localhost")
        || config
            .allowed_hosts
            .iter()
            .any(|known| known.eq_ignore_ascii_case(&name))
}

fn without_port(host: &str) -> &str {
    if let Some(end) = host.find(']') {
        return &host[..=end];
    }
    host.rsplit_once(':').map_or(host, |(name, _)| name)
}
