//! The chat page, embedded from web/dist. Where it was not built, a plain page says how to build it.

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use rust_embed::{EmbeddedFile, RustEmbed};

use crate::{ApiError, App};

#[derive(RustEmbed)]
#[folder = "../../web/dist"]
#[allow_missing = true]
struct Dist;

/// Everything from this server only; nothing inline, no remote image, no frame, form or plug-in. Formulas and coloured code
/// are placed by styles that the page's script sets, which needs no permission.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; connect-src 'self'; \
     manifest-src 'self'; base-uri 'self'; form-action 'none'; frame-ancestors 'none'",
);

const NOT_BUILT: &str = "<!doctype html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\"><title>Candor</title></head>\n\
    <body>\n<h1>Candor is running</h1>\n<p>The chat page was not built into this program. Build it with \
    <code>make web</code> (it needs Node), then build Candor again. The API works without it: \
    see <a href=\"openapi.json\">openapi.json</a>.</p>\n</body>\n</html>\n";

/// The routes of this folder. Paths below `/c/` are conversations, which the page itself resolves.
pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/", get(index))
        .route("/c/{*path}", get(index))
        .route("/assets/{*path}", get(file))
        .route("/favicon.svg", get(file))
        .route("/favicon.ico", get(file))
        .route("/manifest.webmanifest", get(file))
}

/// Whether the page was built into this program.
pub fn page_is_built() -> bool {
    Dist::get("index.html").is_some()
}

/// Whether a path belongs to the static page, which may be fetched without a key.
pub(crate) fn is_page(path: &str) -> bool {
    path == "/"
        || path.starts_with("/c/")
        || path.starts_with("/assets/")
        || matches!(path, "/favicon.svg" | "/favicon.ico" | "/manifest.webmanifest")
}

async fn index(State(app): State<App>) -> Response {
    let html = match Dist::get("index.html") {
        Some(page) => with_base(&String::from_utf8_lossy(&page.data), &app.config.base()),
        None => NOT_BUILT.to_owned(),
    };
    let headers = [
        (
            header::CONTENT_TYPE,
            HeaderValue::from_static("text/html; charset=utf-8"),
        ),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
        (header::CONTENT_SECURITY_POLICY, POLICY),
    ];
    (headers, html).into_response()
}

/// Tells the page where it lives, so that its relative addresses work below any path.
fn with_base(html: &str, base: &str) -> String {
    let escaped = base.replace('&', "&amp;").replace('"', "&quot;").replace('<', "&lt;");
    html.replacen("<head>", &format!("<head><base href=\"{escaped}/\">"), 1)
}

async fn file(uri: Uri, headers: HeaderMap) -> Result<Response, ApiError> {
    let path = uri.path().trim_start_matches('/');
    let file = Dist::get(path).ok_or_else(|| ApiError::NotFound("the page has no such file".into()))?;
    Ok(serve_file(path, file, &headers))
}

fn serve_file(path: &str, file: EmbeddedFile, request: &HeaderMap) -> Response {
    let hash: String = file
        .metadata
        .sha256_hash()
        .iter()
        .take(16)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let tag = format!("\"{hash}\"");
    // Names below assets/ carry a hash of their content, so they never change.
    let cache = if path.starts_with("assets/") {
        "public, max-age=31536000, immutable"
    } else {
        "no-cache"
    };
    let known = request
        .get(header::IF_NONE_MATCH)
        .is_some_and(|value| value.as_bytes() == tag.as_bytes());
    let status = if known {
        StatusCode::NOT_MODIFIED
    } else {
        StatusCode::OK
    };
    let body = if known { Vec::new() } else { file.data.into_owned() };
    let mut response = (status, body).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type(path)));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(cache));
    headers.insert(header::CONTENT_SECURITY_POLICY, POLICY);
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        headers.insert(header::ETAG, tag);
    }
    response
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit('.').next().unwrap_or_default() {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" | "map" => "application/json",
        "webmanifest" => "application/manifest+json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        "woff" => "font/woff",
        "ttf" => "font/ttf",
        "wasm" => "application/wasm",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_learns_its_base_path() {
        assert_eq!(with_base("<head></head>", "/a"), "<head><base href=\"/a/\"></head>");
        assert_eq!(with_base("<head></head>", ""), "<head><base href=\"/\"></head>");
        assert_eq!(
            with_base("<head></head>", "/\"<"),
            "<head><base href=\"/&quot;&lt;/\"></head>"
        );
    }
}
