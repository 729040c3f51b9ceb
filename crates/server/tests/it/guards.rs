//! Who may come in: keys, hosts, origins, base path, headers.

use axum::body::Body;
use candor_server::{ApiKey, ServerConfig, bind};
use http::Request;
use serde_json::Value;

use super::{Reply, app, app_with, get, keyed, send};

async fn with_headers(config: ServerConfig, method: &str, path: &str, headers: &[(&str, &str)]) -> Reply {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    send(&app_with(config), request.body(Body::empty()).unwrap()).await
}

async fn open_to(headers: &[(&str, &str)]) -> u16 {
    let config = ServerConfig {
        allowed_hosts: vec!["candor.example".into()],
        cors_origins: vec!["https://friend.example".into()],
        ..ServerConfig::default()
    };
    with_headers(config, "GET", "/v1/models", headers).await.status.as_u16()
}

#[tokio::test]
async fn without_a_key_only_names_of_this_machine_are_served() {
    for host in [
        "127.0.0.1:8080",
        "localhost",
        "LOCALHOST:1",
        "[::1]:8080",
        "[::ffff:127.0.0.1]",
        "127.9.9.9",
        "a.localhost:5",
        "localhost.",
        "candor.example:80",
    ] {
        assert_eq!(open_to(&[("host", host)]).await, 200, "{host}");
    }
    for host in [
        "evil.example",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "192.168.1.5",
        "0.0.0.0",
        "",
        "evil.example:8080",
        "[::2]",
        "notlocalhost",
    ] {
        assert_eq!(open_to(&[("host", host)]).await, 403, "{host}");
    }
    assert_eq!(open_to(&[]).await, 403);
    assert_eq!(open_to(&[("host", "localhost"), ("host", "evil.example")]).await, 403);
}

#[tokio::test]
async fn without_a_key_only_our_own_pages_are_served() {
    for (host, origin) in [
        ("127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("localhost", "http://localhost:80"),
        ("candor.example", "https://candor.example"),
        ("localhost:8080", "https://friend.example"),
    ] {
        assert_eq!(open_to(&[("host", host), ("origin", origin)]).await, 200, "{origin}");
    }
    for origin in [
        "https://evil.example",
        "null",
        "http://127.0.0.1:9999",
        "http://localhost:8080.evil.example",
        "file://",
        "",
    ] {
        assert_eq!(
            open_to(&[("host", "localhost:8080"), ("origin", origin)]).await,
            403,
            "{origin}"
        );
    }
    assert_eq!(
        open_to(&[
            ("host", "localhost"),
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-mode", "no-cors")
        ])
        .await,
        403
    );
    assert_eq!(
        open_to(&[("host", "localhost"), ("sec-fetch-site", "same-origin")]).await,
        200
    );
    assert_eq!(
        open_to(&[
            ("host", "localhost"),
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-mode", "navigate")
        ])
        .await,
        200
    );
}

/// Every documented route, and some that are not.
fn routes(document: &Value) -> Vec<(String, String)> {
    let paths = document["paths"].as_object().unwrap();
    let documented = paths.iter().flat_map(|(path, item)| {
        let methods = item
            .as_object()
            .unwrap()
            .keys()
            .filter(|key| key.as_str() != "parameters");
        methods.map(|method| (method.to_uppercase(), path.replace(['{', '}'], "")))
    });
    let more = [
        ("POST", "/v1/responses"),
        ("GET", "/api/conversations"),
        ("GET", "/openapi.json"),
        ("GET", "/nothing"),
        ("POST", "/"),
        ("DELETE", "/health"),
    ];
    documented
        .chain(more.map(|(method, path)| (method.to_owned(), path.to_owned())))
        .collect()
}

#[tokio::test]
async fn a_key_covers_every_route_but_health_and_the_page() {
    let document = get(&app(), "/openapi.json").await.json();
    let routes = routes(&document);
    assert!(routes.len() > 14);
    for (method, path) in routes {
        let open = method == "GET" && matches!(path.as_str(), "/health" | "/ready");
        for wrong in [
            None,
            Some("Bearer wrong"),
            Some("Bearer secretsecret"),
            Some("Bearer "),
            Some("Basic secret"),
            Some("secret"),
        ] {
            let headers: Vec<_> = wrong.iter().map(|value| ("authorization", *value)).collect();
            let reply = with_headers(keyed(), &method, &path, &headers).await;
            if open {
                assert_eq!(reply.status, 200, "{path}");
            } else {
                reply.error(401);
                assert_eq!(reply.header("www-authenticate"), "Bearer");
            }
        }
        let right = with_headers(keyed(), &method, &path, &[("authorization", "bearer secret")]).await;
        assert_ne!(right.status, 401, "{method} {path}");
    }
    assert_eq!(with_headers(keyed(), "GET", "/", &[]).await.status, 200);
}

#[tokio::test]
async fn a_whole_address_in_the_request_line_counts_as_its_host() {
    for (address, status) in [
        ("http://evil.example/v1/models", 403),
        ("http://127.0.0.1:8080/v1/models", 200),
    ] {
        let headers = [("host", "127.0.0.1:8080")];
        let reply = with_headers(ServerConfig::default(), "GET", address, &headers).await;
        assert_eq!(reply.status, status, "{address}");
        assert_eq!(
            reply.text.contains("the name `evil.example`"),
            status == 403,
            "{address}"
        );
    }
}

#[tokio::test]
async fn with_a_key_any_host_is_served() {
    let headers = [("host", "candor.example"), ("authorization", "Bearer secret")];
    assert_eq!(with_headers(keyed(), "GET", "/v1/models", &headers).await.status, 200);
}

#[tokio::test]
async fn other_machines_are_not_listened_to_without_a_key() {
    for host in ["0.0.0.0", "::", "[::]"] {
        let config = ServerConfig {
            host: host.into(),
            port: 0,
            ..ServerConfig::default()
        };
        let error = bind(&config).await.unwrap_err().to_string();
        assert!(error.contains("CANDOR_API_KEY"), "{error}");
    }
    let config = ServerConfig {
        host: "0.0.0.0".into(),
        port: 0,
        ..keyed()
    };
    bind(&config).await.unwrap();
}

#[tokio::test]
async fn a_port_in_use_is_told_with_what_to_do() {
    let config = ServerConfig {
        port: 0,
        ..ServerConfig::default()
    };
    let taken = bind(&config).await.unwrap();
    let config = ServerConfig {
        port: taken.local_addr().unwrap().port(),
        ..config
    };
    let error = bind(&config).await.unwrap_err().to_string();
    assert!(error.contains("already in use") && error.contains("--port"), "{error}");
    let nowhere = ServerConfig {
        host: "no such host".into(),
        ..ServerConfig::default()
    };
    assert!(bind(&nowhere).await.unwrap_err().to_string().contains("--host"));
}

#[tokio::test]
async fn cross_origin_headers_are_sent_only_to_configured_origins() {
    let friend = [("host", "localhost"), ("origin", "https://friend.example")];
    let config = || ServerConfig {
        cors_origins: vec!["https://friend.example".into()],
        ..ServerConfig::default()
    };
    let reply = with_headers(config(), "GET", "/v1/models", &friend).await;
    assert_eq!(reply.header("access-control-allow-origin"), "https://friend.example");
    let preflight = [
        friend[0],
        friend[1],
        ("access-control-request-method", "POST"),
        ("access-control-request-headers", "authorization"),
    ];
    let reply = with_headers(
        ServerConfig {
            api_key: ApiKey::new("k"),
            ..config()
        },
        "OPTIONS",
        "/v1/models",
        &preflight,
    )
    .await;
    assert_eq!(reply.status, 200);
    assert_eq!(reply.header("access-control-allow-origin"), "https://friend.example");
    let own = [("host", "localhost"), ("origin", "http://localhost")];
    let reply = with_headers(ServerConfig::default(), "GET", "/v1/models", &own).await;
    assert_eq!(reply.header("access-control-allow-origin"), "");
}

#[tokio::test]
async fn everything_lives_below_the_base_path() {
    let app = app_with(ServerConfig {
        base_path: "/deep/candor/".into(),
        ..ServerConfig::default()
    });
    assert_eq!(get(&app, "/deep/candor/v1/models").await.status, 200);
    assert_eq!(get(&app, "/deep/candor/health?x=1").await.status, 200);
    assert_eq!(get(&app, "/deep/candor").await.status, 200);
    assert_eq!(get(&app, "/deep/candor/").await.status, 200);
    assert_eq!(
        get(&app, "/deep/candor/openapi.json").await.json()["servers"][0]["url"],
        "/deep/candor"
    );
    for outside in ["/v1/models", "/deep/candorx/v1/models", "/deep", "/deep/candor/v1/none"] {
        get(&app, outside).await.error(404);
    }
    let keyed = app_with(ServerConfig {
        base_path: "c".into(),
        ..keyed()
    });
    get(&keyed, "/c/v1/models").await.error(401);
    assert_eq!(get(&keyed, "/c/health").await.status, 200);
}

#[tokio::test]
async fn every_answer_has_security_headers() {
    for path in ["/", "/v1/models", "/nothing", "/health"] {
        let reply = get(&app(), path).await;
        assert_eq!(reply.header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(reply.header("x-frame-options"), "DENY");
        assert_eq!(reply.header("referrer-policy"), "no-referrer");
        let policy = reply.header("content-security-policy");
        assert!(
            policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"),
            "{policy}"
        );
        assert!(!policy.contains("unsafe-eval") && !policy.contains("http:") && !policy.contains('*'));
    }
    let page = get(&app(), "/").await;
    assert!(page.header("content-type").starts_with("text/html"));
    assert!(page.text.contains("<html"));
}

#[tokio::test]
async fn readiness_follows_the_models() {
    assert_eq!(get(&app(), "/ready").await.status, 200);
    let empty = candor_server::App::new(Default::default(), ServerConfig::default());
    let reply = get(&empty, "/ready").await;
    reply.error(503);
    assert_ne!(reply.header("retry-after"), "");
}
