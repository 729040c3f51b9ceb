//! Hub and plain addresses against a loopback server: ranges, redirects, refusals, cuts, lies, a full disk.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use candor_catalog::{Error, Event, download_size, hub_answers, installed, pull};

use crate::server::{Reply, Request, Server};
use crate::tools::{bytes, count, entry, entry_of, hub, options, sha256, stop_after, url};

#[tokio::test]
async fn a_hub_file_comes_through_redirects_with_its_hash_checked() {
    let file = bytes(300_000);
    let hash = sha256(&file);
    let (content, stated) = (file.clone(), hash.clone());
    let server = Server::start(move |request: &Request| match &*request.path {
        "/org/tiny/resolve/main/tiny.gguf" => Reply::status(302)
            .with("Location", "/cdn/tiny")
            .with("X-Linked-Etag", format!("\"{stated}\""))
            .with("X-Linked-Size", content.len())
            .with("X-Repo-Commit", "ab810cf68114990406fdf996510dd3d3c6adbdf5"),
        "/cdn/tiny" => Reply::file(request, &content),
        _ => Reply::status(404),
    })
    .await;
    let dir = tempfile::tempdir().unwrap();
    let (options, events) = options(dir.path(), &server.at(""));
    // The catalog has no hash for it: the one that the hub states is checked instead.
    let entry = entry(file.len(), None, &hub());
    assert_eq!(
        download_size(&entry, &options.environment).await.unwrap().0,
        file.len() as u64
    );
    let pulled = pull(&entry, &options).await.unwrap();
    assert_eq!(std::fs::read(&pulled.path).unwrap(), file);
    assert_eq!(
        count(&events, |e| *e
            == Event::Checked {
                file: "tiny.gguf".into(),
                sha256: hash.clone(),
                compared: true
            }),
        1
    );
    let listed = installed(dir.path()).unwrap();
    assert_eq!(
        (listed.len(), listed[0].complete, &*listed[0].source.clone().unwrap()),
        (1, true, "the hub's org/tiny")
    );
    assert!(!dir.path().join("tiny/tiny.gguf.partial").exists() && !dir.path().join("tiny/tiny.gguf.state").exists());
    // The second time nothing is asked.
    let asked = server.seen().len();
    assert!(pull(&entry, &options).await.unwrap().source.is_none());
    assert_eq!(server.seen().len(), asked);
}

#[tokio::test]
async fn the_token_is_dropped_at_any_change_of_host_and_does_not_come_back() {
    let file = bytes(5000);
    let (a, b) = (file.clone(), file.clone());
    let back = std::sync::Arc::new(std::sync::OnceLock::new());
    let home = back.clone();
    let other = Server::start(move |request: &Request| match &*request.path {
        "/cdn" => Reply::file(request, &a),
        _ => Reply::status(302).with("Location", home.get().unwrap()),
    })
    .await;
    // The same machine under another name is another host; so is another port.
    let (by_name, round) = (format!("http://localhost:{}/cdn", other.port), other.at("/round"));
    let server = Server::start(move |request: &Request| match &*request.path {
        "/org/tiny/resolve/main/tiny.gguf" => Reply::status(307).with("Location", "/again"),
        "/again" => Reply::status(302).with("Location", &by_name),
        "/org/tiny/resolve/round/tiny.gguf" => Reply::status(302).with("Location", &round),
        "/home" => Reply::file(request, &b),
        _ => Reply::status(404),
    })
    .await;
    back.set(server.at("/home")).unwrap();
    for revision in ["main", "round"] {
        let dir = tempfile::tempdir().unwrap();
        let (options, _) = options(dir.path(), &server.at(""));
        let source = format!("{}revision = \"{revision}\"\n", hub());
        pull(&entry(file.len(), Some(&sha256(&file)), &source), &options)
            .await
            .unwrap();
    }
    let secret = Some("Bearer hf_secret".to_owned());
    assert!(
        other.seen().len() >= 4 && other.seen().iter().all(|request| request.token.is_none()),
        "{:?}",
        other.seen()
    );
    for request in server.seen() {
        let expected = if request.path == "/home" { None } else { secret.clone() };
        assert_eq!(request.token, expected, "{}", request.path);
    }
}

#[tokio::test]
async fn a_large_file_comes_over_several_connections() {
    let file = bytes(1 << 20);
    let content = file.clone();
    let server = Server::start(move |request: &Request| Reply::file(request, &content).with("ETag", "\"v1\"")).await;
    let dir = tempfile::tempdir().unwrap();
    let (mut options, events) = options(dir.path(), "");
    options.parallel_from = 1 << 20;
    let pulled = pull(
        &entry(file.len(), Some(&sha256(&file)), &url(&server.at("/t"))),
        &options,
    )
    .await
    .unwrap();
    assert_eq!(std::fs::read(&pulled.path).unwrap(), file);
    let mut starts: Vec<u64> = server.seen().iter().filter_map(|r| Some(r.range?.0)).collect();
    starts.sort_unstable();
    assert_eq!(starts, [0, 0, 1 << 18, 2 << 18, 3 << 18]);
    let shown = events
        .lock()
        .unwrap()
        .iter()
        .filter_map(|e| {
            if let Event::Downloading { done, .. } = e {
                Some(done.0)
            } else {
                None
            }
        })
        .max();
    assert_eq!(shown, Some(1 << 20));
}

#[tokio::test]
async fn a_connection_cut_half_way_goes_on_from_there() {
    let file = bytes(900_000);
    let content = file.clone();
    let server = Server::start(move |request: &Request| {
        let first = request.range.map_or(0, |r| r.0);
        Reply {
            cut_after: (first < 500_000).then_some(200_000),
            ..Reply::file(request, &content)
        }
    })
    .await;
    let dir = tempfile::tempdir().unwrap();
    let (options, events) = options(dir.path(), "");
    let pulled = pull(
        &entry(file.len(), Some(&sha256(&file)), &url(&server.at("/t"))),
        &options,
    )
    .await
    .unwrap();
    assert_eq!(std::fs::read(&pulled.path).unwrap(), file);
    assert!(count(&events, |e| matches!(e, Event::Retrying { .. })) >= 3);
    let starts: Vec<u64> = server.seen().iter().skip(1).map(|r| r.range.unwrap().0).collect();
    assert!(
        starts.is_sorted() && starts.len() == 4 && starts[1] == 200_000,
        "{starts:?}"
    );
}

#[tokio::test]
async fn a_pull_that_is_stopped_goes_on_where_it_was() {
    let file = bytes(2_000_000);
    let content = file.clone();
    let server = Server::start(move |request: &Request| Reply {
        pause: Duration::from_millis(12),
        ..Reply::file(request, &content).with("ETag", "\"v1\"")
    })
    .await;
    let dir = tempfile::tempdir().unwrap();
    for parallel in [false, true] {
        let (mut options, events) = options(&dir.path().join(parallel.to_string()), "");
        options.parallel_from = if parallel { 1 } else { u64::MAX };
        let entry = entry(file.len(), None, &url(&server.at("/t")));
        // Dropping the future is what the end of the process amounts to: nothing is tidied up.
        stop_after(600_000, &entry, &options, &events).await;
        assert!(
            installed(&options.models_dir)
                .unwrap()
                .iter()
                .all(|model| !model.complete)
        );
        let before = server.seen().len();
        let pulled = pull(&entry, &options).await.unwrap();
        assert_eq!(std::fs::read(&pulled.path).unwrap(), file);
        assert_eq!(
            count(&events, |e| matches!(e, Event::Resumed { .. })),
            1,
            "parallel: {parallel}"
        );
        let asked: u64 = server.seen()[before + 1..]
            .iter()
            .map(|r| r.range.map_or(0, |(a, b)| b + 1 - a))
            .sum();
        assert!(
            asked < file.len() as u64,
            "parallel: {parallel}: {asked} bytes were asked for again"
        );
    }
}

#[tokio::test]
async fn what_was_left_of_another_version_of_the_file_is_not_continued() {
    let (old, new) = (vec![1; 2_000_000], bytes(2_000_000));
    let turn = std::sync::Arc::new(AtomicUsize::new(0));
    let (now, content) = (turn.clone(), new.clone());
    let server = Server::start(move |request: &Request| match now.load(Ordering::SeqCst) {
        0 => Reply {
            pause: Duration::from_millis(12),
            ..Reply::file(request, &old).with("ETag", "\"old\"")
        },
        _ => Reply::file(request, &content).with("ETag", "\"new\""),
    })
    .await;
    let dir = tempfile::tempdir().unwrap();
    let (options, events) = options(dir.path(), "");
    let entry = entry(new.len(), None, &url(&server.at("/t")));
    stop_after(600_000, &entry, &options, &events).await;
    turn.store(1, Ordering::SeqCst);
    assert_eq!(std::fs::read(pull(&entry, &options).await.unwrap().path).unwrap(), new);
    assert_eq!(count(&events, |e| matches!(e, Event::Resumed { .. })), 0);
}

#[tokio::test]
async fn refusals_are_sentences_and_the_next_source_is_tried() {
    let file = bytes(1000);
    let content = file.clone();
    let server = Server::start(move |request: &Request| match &*request.path {
        "/401" => Reply::status(401),
        "/403" => Reply::status(403),
        "/404" => Reply::status(404),
        "/429" => Reply::status(429).with("Retry-After", 7),
        "/500" => Reply::status(500),
        "/round" => Reply::status(302).with("Location", "/round"),
        "/nowhere" => Reply::status(302),
        "/file" => Reply::status(302).with("Location", "file:///etc/passwd"),
        "/good" => Reply::file(request, &content),
        path if path.contains("gated") => Reply::status(403).with("X-Error-Code", "GatedRepo"),
        path if path.contains("private") => Reply::status(401).with("X-Error-Code", "RepoNotFound"),
        _ => Reply::status(418),
    })
    .await;
    let mut sources = String::new();
    for path in ["/401", "/403", "/404", "/429", "/500", "/round", "/nowhere", "/file"] {
        sources.push_str(&url(&server.at(path)));
    }
    for repo in ["gated", "private"] {
        sources.push_str(&format!("[[model.source]]\nkind = \"hub\"\nrepo = \"org/{repo}\"\n"));
    }
    let dir = tempfile::tempdir().unwrap();
    let (mut options, events) = options(dir.path(), &server.at(""));
    options.environment.hub_token = None;
    let Err(Error::NoSource { reasons, .. }) = pull(&entry(1000, None, &sources), &options).await else {
        panic!()
    };
    let expected = [
        "asks who you are (401)",
        "does not allow it (403)",
        "no such file (404)",
        "too many requests (429) and asks to wait 7 s",
        "trouble of its own (500",
        "redirected more than 10 times",
        "redirected without saying where",
        "redirected to an address of another kind",
        "accounts that accepted its terms",
        "set HF_TOKEN to a token that may read it",
    ];
    assert_eq!(reasons.len(), expected.len());
    for ((_, reason), part) in reasons.iter().zip(expected) {
        assert!(reason.contains(part), "{reason}\n  lacks: {part}");
    }
    assert!(
        reasons[8].1.contains(&format!("127.0.0.1:{}/org/gated", server.port)) && reasons[8].1.contains("HF_TOKEN")
    );
    sources.push_str(&url(&server.at("/good")));
    let pulled = pull(&entry(1000, None, &sources), &options).await.unwrap();
    assert_eq!(std::fs::read(pulled.path).unwrap(), file);
    assert_eq!(count(&events, |e| matches!(e, Event::Failed { .. })), 20);
}

#[tokio::test]
async fn a_source_out_of_reach_fails_in_seconds_with_the_reason() {
    let file = bytes(1000);
    let content = file.clone();
    let good = Server::start(move |request: &Request| Reply::file(request, &content)).await;
    let silent = Server::start(|_: &Request| Reply {
        silence: Duration::from_secs(60),
        ..Reply::status(200)
    })
    .await;
    let closed = {
        std::net::TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port()
    };
    let sources = [
        url(&format!("http://127.0.0.1:{closed}/t")),
        url("http://no-such-host.invalid/t"),
        url(&format!("https://127.0.0.1:{}/t", good.port)),
        url(&silent.at("/t")),
        url(&good.at("/t")),
    ]
    .concat();
    let dir = tempfile::tempdir().unwrap();
    let (options, events) = options(dir.path(), "");
    let begun = Instant::now();
    let pulled = pull(&entry(1000, Some(&sha256(&file)), &sources), &options)
        .await
        .unwrap();
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    assert_eq!(std::fs::read(pulled.path).unwrap(), file);
    let reasons: Vec<String> = events
        .lock()
        .unwrap()
        .iter()
        .filter_map(|e| {
            if let Event::Failed { reason, .. } = e {
                Some(reason.clone())
            } else {
                None
            }
        })
        .collect();
    for (reason, part) in reasons.iter().zip([
        "refused",
        "cannot reach no-such-host.invalid",
        "127.0.0.1",
        "did not answer within 1.5 s",
    ]) {
        assert!(reason.contains(part), "{reason}\n  lacks: {part}");
    }
}

#[tokio::test]
async fn wrong_content_is_deleted_and_the_next_source_is_tried() {
    let (good, mut bad) = (bytes(100_000), bytes(100_000));
    bad[50_000] ^= 1;
    let content = good.clone();
    let server = Server::start(move |request: &Request| match &*request.path {
        "/bad" => Reply::file(request, &bad),
        _ => Reply::file(request, &content),
    })
    .await;
    let dir = tempfile::tempdir().unwrap();
    let hash = sha256(&good);
    let (options, events) = options(dir.path(), "");
    let Err(Error::NoSource { reasons, .. }) =
        pull(&entry(good.len(), Some(&hash), &url(&server.at("/bad"))), &options).await
    else {
        panic!()
    };
    assert!(
        reasons[0].1.contains("wrong content") && reasons[0].1.contains("it was deleted"),
        "{reasons:?}"
    );
    let left: Vec<_> = std::fs::read_dir(dir.path().join("tiny"))
        .unwrap()
        .map(|e| e.unwrap().file_name())
        .collect();
    assert_eq!(left, [".lock"]);
    let both = [url(&server.at("/bad")), url(&server.at("/good"))].concat();
    let pulled = pull(&entry(good.len(), Some(&hash), &both), &options).await.unwrap();
    assert_eq!(std::fs::read(pulled.path).unwrap(), good);
    assert_eq!(count(&events, |e| matches!(e, Event::Failed { .. })), 2);
}

#[tokio::test]
async fn a_partial_file_that_was_spoilt_is_fetched_again_from_the_beginning() {
    let file = bytes(2_000_000);
    let content = file.clone();
    let server = Server::start(move |request: &Request| Reply {
        pause: Duration::from_millis(12),
        ..Reply::file(request, &content)
    })
    .await;
    let dir = tempfile::tempdir().unwrap();
    let (options, events) = options(dir.path(), "");
    let entry = entry(file.len(), Some(&sha256(&file)), &url(&server.at("/t")));
    stop_after(600_000, &entry, &options, &events).await;
    let partial = dir.path().join("tiny/tiny.gguf.partial");
    let mut spoilt = std::fs::read(&partial).unwrap();
    spoilt[10] ^= 1;
    std::fs::write(&partial, spoilt).unwrap();
    assert_eq!(std::fs::read(pull(&entry, &options).await.unwrap().path).unwrap(), file);
}

#[tokio::test]
async fn another_file_than_the_catalog_means_is_not_downloaded_at_all() {
    let file = bytes(100_000);
    let content = file.clone();
    let server = Server::start(move |request: &Request| {
        Reply::file(request, &content).with("X-Linked-Etag", format!("\"{}\"", "0".repeat(64)))
    })
    .await;
    let dir = tempfile::tempdir().unwrap();
    let (options, _) = options(dir.path(), &server.at(""));
    let said = pull(&entry(file.len(), Some(&sha256(&file)), &hub()), &options)
        .await
        .unwrap_err()
        .to_string();
    assert!(said.contains("another `tiny.gguf` than the catalog means"), "{said}");
    let said = pull(&entry(99_999, None, &url(&server.at("/t"))), &options)
        .await
        .unwrap_err()
        .to_string();
    assert!(said.contains("the catalog expects 100.0 kB (99999 bytes)"), "{said}");
    assert!(server.seen().iter().all(|request| request.range == Some((0, 0))));
}

#[tokio::test]
async fn a_server_without_ranges_gives_the_whole_file_again_after_a_cut() {
    let file = bytes(400_000);
    let content = file.clone();
    let turn = AtomicUsize::new(0);
    let server = Server::start(move |_: &Request| {
        let cut = turn.fetch_add(1, Ordering::SeqCst) < 3;
        Reply {
            body: content.clone(),
            cut_after: cut.then_some(150_000),
            ..Reply::status(200)
        }
    })
    .await;
    let dir = tempfile::tempdir().unwrap();
    let (mut options, _) = options(dir.path(), "");
    options.parallel_from = 1;
    let pulled = pull(
        &entry(file.len(), Some(&sha256(&file)), &url(&server.at("/t"))),
        &options,
    )
    .await
    .unwrap();
    assert_eq!(std::fs::read(pulled.path).unwrap(), file);
}

#[tokio::test]
async fn a_server_that_forgets_its_ranges_or_says_no_length_is_lived_with() {
    let file = bytes(400_000);
    for (forgets, silent) in [(true, false), (false, true)] {
        let content = file.clone();
        let server = Server::start(move |request: &Request| match request.range {
            Some((0, 0)) if forgets => Reply::file(request, &content),
            _ => Reply {
                body: content.clone(),
                length: silent.then_some(None),
                ..Reply::status(200)
            },
        })
        .await;
        let dir = tempfile::tempdir().unwrap();
        let (mut options, _) = options(dir.path(), "");
        options.parallel_from = 1;
        let pulled = pull(
            &entry(file.len(), Some(&sha256(&file)), &url(&server.at("/t"))),
            &options,
        )
        .await
        .unwrap();
        assert_eq!(std::fs::read(pulled.path).unwrap(), file);
    }
}

#[tokio::test]
async fn a_lying_length_is_caught() {
    let file = bytes(50_000);
    let content = file.clone();
    let server = Server::start(move |request: &Request| match &*request.path {
        "/long" => Reply {
            length: Some(Some(u64::MAX)),
            body: content.clone(),
            ..Reply::status(200)
        },
        "/negative" => Reply {
            length: Some(None),
            body: content.clone(),
            ..Reply::status(200)
        }
        .with("Content-Length", -5),
        "/more" => Reply {
            length: Some(None),
            body: content.repeat(3),
            ..Reply::status(200)
        },
        "/less" => Reply {
            cut_after: Some(0),
            ..Reply::file(request, &content)
        },
        "/range" => Reply {
            body: content.clone(),
            ..Reply::status(206)
        }
        .with("Content-Range", "bytes 0-0/18446744073709551615"),
        "/other" => Reply {
            body: content.clone(),
            ..Reply::status(206)
        }
        .with("Content-Range", format!("bytes 7-7/{}", content.len())),
        _ => Reply::status(404),
    })
    .await;
    let dir = tempfile::tempdir().unwrap();
    let (options, _) = options(dir.path(), "");
    for path in ["/long", "/negative", "/more", "/less", "/range", "/other"] {
        let result = tokio::time::timeout(
            Duration::from_secs(20),
            pull(
                &entry(file.len(), Some(&sha256(&file)), &url(&server.at(path))),
                &options,
            ),
        )
        .await;
        let Err(Error::NoSource { reasons, .. }) = result.unwrap() else {
            panic!("{path}")
        };
        assert!(!reasons[0].1.is_empty());
        assert!(!dir.path().join("tiny/tiny.gguf").exists(), "{path}");
    }
}

#[tokio::test]
async fn a_page_in_place_of_a_model_is_not_kept() {
    let server = Server::start(|_: &Request| Reply {
        body: b"<!DOCTYPE html><title>Log in</title>".to_vec(),
        ..Reply::status(200)
    })
    .await;
    let dir = tempfile::tempdir().unwrap();
    let (options, _) = options(dir.path(), "");
    let entry = candor_catalog::Entry::from_url(&server.at("/page.gguf")).unwrap();
    let said = pull(&entry, &options).await.unwrap_err().to_string();
    assert!(said.contains("`page.gguf` is no GGUF file"), "{said}");
    assert!(!dir.path().join("page/page.gguf").exists());
}

#[tokio::test]
async fn the_files_of_one_model_come_from_one_commit() {
    let server = Server::start(|request: &Request| {
        Reply::file(request, request.path.rsplit('/').next().unwrap().as_bytes())
            .with("X-Repo-Commit", "ab810cf68114990406fdf996510dd3d3c6adbdf5")
    })
    .await;
    let dir = tempfile::tempdir().unwrap();
    let (options, _) = options(dir.path(), &server.at(""));
    let files =
        "[[model.file]]\nname = \"config.json\"\nsize = 11\n[[model.file]]\nname = \"model.safetensors\"\nsize = 17\n";
    let pulled = pull(&entry_of(files, &hub()), &options).await.unwrap();
    assert_eq!(pulled.path, dir.path().join("tiny"));
    let last = server.seen().pop().unwrap();
    assert_eq!(
        last.path,
        "/org/tiny/resolve/ab810cf68114990406fdf996510dd3d3c6adbdf5/model.safetensors"
    );
}

#[tokio::test]
async fn what_does_not_fit_the_disk_is_not_begun() {
    let server = Server::start(|_: &Request| {
        Reply {
            body: vec![0],
            ..Reply::status(206)
        }
        .with("Content-Range", format!("bytes 0-0/{}", 1_u64 << 60))
    })
    .await;
    let dir = tempfile::tempdir().unwrap();
    let (options, _) = options(dir.path(), "");
    let begun = pull(&entry(1 << 60, Some(&"0".repeat(64)), &url(&server.at("/t"))), &options).await;
    if cfg!(unix) {
        let said = begun.unwrap_err().to_string();
        assert!(
            said.contains("1.15 EB are needed") && said.contains("free some space"),
            "{said}"
        );
        assert_eq!(server.seen().len(), 1);
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_disk_that_fills_up_is_a_sentence_and_what_came_is_kept() {
    let file = bytes(2_000_000);
    let content = file.clone();
    let server = Server::start(move |request: &Request| Reply::file(request, &content)).await;
    let dir = tempfile::tempdir().unwrap();
    let (options, _) = options(dir.path(), "");
    let folder = dir.path().join("tiny");
    std::fs::create_dir(&folder).unwrap();
    // The system's own "no space left": every write to /dev/full fails with it.
    std::os::unix::fs::symlink("/dev/full", folder.join("tiny.gguf.partial")).unwrap();
    let entry = entry(
        file.len(),
        Some(&sha256(&file)),
        &[url(&server.at("/t")), url(&server.at("/next"))].concat(),
    );
    let error = pull(&entry, &options).await.unwrap_err();
    assert!(matches!(error, Error::DiskFull { .. }), "{error}");
    assert!(error.to_string().contains("goes on from there"), "{error}");
    assert!(
        server.seen().iter().all(|request| request.path == "/t"),
        "another source cannot help a full disk"
    );
    assert!(std::fs::symlink_metadata(folder.join("tiny.gguf.partial")).is_ok());
    std::fs::remove_file(folder.join("tiny.gguf.partial")).unwrap();
    assert_eq!(std::fs::read(pull(&entry, &options).await.unwrap().path).unwrap(), file);
}

#[tokio::test]
async fn two_pulls_of_the_same_model_do_not_mix() {
    let file = bytes(500_000);
    let content = file.clone();
    let server = Server::start(move |request: &Request| Reply {
        pause: Duration::from_millis(3),
        ..Reply::file(request, &content)
    })
    .await;
    let dir = tempfile::tempdir().unwrap();
    let (options, _) = options(dir.path(), "");
    let entry = entry(file.len(), Some(&sha256(&file)), &url(&server.at("/t")));
    let (one, two) = tokio::join!(pull(&entry, &options), pull(&entry, &options));
    let error = one.err().or(two.err()).unwrap();
    assert!(matches!(error, Error::Busy { .. }), "{error}");
    assert_eq!(std::fs::read(dir.path().join("tiny/tiny.gguf")).unwrap(), file);
}

#[tokio::test]
async fn the_hub_is_told_from_a_page_that_a_network_puts_in_front() {
    let server = Server::start(|request: &Request| match request.path.strip_prefix("/hub") {
        Some("/api/models?limit=1") => Reply {
            body: b"[]".to_vec(),
            ..Reply::status(200)
        },
        _ => Reply {
            body: b"<html>Sign in".to_vec(),
            ..Reply::status(200)
        },
    })
    .await;
    let dir = tempfile::tempdir().unwrap();
    hub_answers(&options(dir.path(), &server.at("/hub")).0.environment)
        .await
        .unwrap();
    let said = hub_answers(&options(dir.path(), &server.at("")).0.environment)
        .await
        .unwrap_err()
        .to_string();
    assert!(said.contains("not as a hub does"), "{said}");
    assert!(server.seen().iter().all(|request| request.token.is_none()));
}

/// Not a test of its own: the next one runs it in a process that it kills.
#[tokio::test]
async fn pulls_in_a_process_of_its_own() {
    let Ok(order) = std::env::var("CANDOR_TEST_PULL") else {
        return;
    };
    let (address, rest) = order.split_once(' ').unwrap();
    let (hash, dir) = rest.split_once(' ').unwrap();
    let (options, _) = options(dir.as_ref(), "");
    pull(&entry(3_000_000, Some(hash), &url(address)), &options)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_pull_that_is_killed_outright_goes_on_where_it_was() {
    let file = bytes(3_000_000);
    let content = file.clone();
    let server = Server::start(move |request: &Request| Reply {
        pause: Duration::from_millis(12),
        ..Reply::file(request, &content)
    })
    .await;
    let dir = tempfile::tempdir().unwrap();
    let order = format!("{} {} {}", server.at("/t"), sha256(&file), dir.path().display());
    let mut child = tokio::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "over_http::pulls_in_a_process_of_its_own"])
        .env("CANDOR_TEST_PULL", order)
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let partial = dir.path().join("tiny/tiny.gguf.partial");
    let begun = Instant::now();
    while std::fs::metadata(&partial).map_or(0, |m| m.len()) < 1_000_000 {
        assert!(begun.elapsed() < Duration::from_secs(30) && child.try_wait().unwrap().is_none());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    child.kill().await.unwrap();
    let (options, events) = options(dir.path(), "");
    let pulled = pull(
        &entry(file.len(), Some(&sha256(&file)), &url(&server.at("/t"))),
        &options,
    )
    .await
    .unwrap();
    assert_eq!(std::fs::read(pulled.path).unwrap(), file);
    assert_eq!(count(&events, |e| matches!(e, Event::Resumed { .. })), 1);
}
