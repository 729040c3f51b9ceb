//! The child from its parent's side: killed at its deadline, out of memory, out of time, talking nonsense, or not there at all.

use std::time::{Duration, Instant};

use candor_extract::{ExtractError, Extractor, Hints, Limits, Source};

use crate::made::{docx, package};

const CHILD: &str = env!("CARGO_BIN_EXE_candor-extract-child");

fn with(limits: Limits) -> Extractor {
    Extractor::new(CHILD, limits)
}

/// A page that takes long: many formatting elements that are reopened again and again.
fn slow_page() -> Vec<u8> {
    ("<!doctype html>".to_owned() + &"<p><a><b><i>x</p>".repeat(1_500_000)).into_bytes()
}

#[test]
fn a_child_gives_what_this_process_gives() {
    let bytes = docx("<w:p><w:r><w:t>Some words.</w:t></w:r></w:p>");
    let here = candor_extract::extract_here(&bytes, None, &Limits::default());
    assert_eq!(with(Limits::default()).extract(&bytes, None), here);
    assert_eq!(with(Limits::default()).extract(b"", None), Err(ExtractError::Empty));
}

#[test]
fn a_child_is_killed_at_its_deadline() {
    let start = Instant::now();
    let limits = Limits {
        deadline: Duration::from_millis(300),
        ..Limits::default()
    };
    let error = with(limits).extract(&slow_page(), None).unwrap_err();
    assert!(matches!(error, ExtractError::TookTooLong { .. }), "{error}");
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
}

#[cfg(unix)]
#[test]
fn a_child_that_runs_out_of_memory_gives_a_sentence() {
    let limits = Limits {
        memory_bytes: 96 << 20,
        ..Limits::default()
    };
    let words = (0..600_000)
        .map(|n| format!("<w:p><w:r><w:t>words and more words {n}</w:t></w:r></w:p>"))
        .collect::<String>();
    let bytes = docx(&words);
    let error = with(Limits { ..limits.clone() }).extract(&bytes, None).unwrap_err();
    assert_eq!(error, ExtractError::OutOfMemory { megabytes: 96 }, "{error}");
    assert!(error.to_string().contains("96 MB"));
}

#[cfg(unix)]
#[test]
fn a_child_that_uses_up_its_processor_time_gives_a_sentence() {
    let limits = Limits {
        cpu_seconds: 1,
        // A busy machine may take long to give it that second.
        deadline: Duration::from_secs(900),
        ..Limits::default()
    };
    let error = with(limits).extract(&slow_page(), None).unwrap_err();
    assert_eq!(error, ExtractError::TookTooLong { seconds: 1 });
}

#[test]
fn a_program_that_is_not_there_or_is_another_gives_a_sentence() {
    let error = Extractor::new("/no/such/program", Limits::default())
        .extract(b"x", None)
        .unwrap_err();
    assert!(matches!(error, ExtractError::NoReader { .. }), "{error}");
    #[cfg(unix)]
    for program in ["/bin/true", "/bin/false", "/bin/echo", "/bin/cat"] {
        let error = Extractor::new(
            program,
            Limits {
                deadline: Duration::from_secs(5),
                ..Limits::default()
            },
        )
        .extract(b"x\n", None)
        .unwrap_err();
        assert!(error.to_string().len() > 20, "{program}: {error}");
    }
}

#[test]
fn a_child_without_a_request_says_what_it_is_for() {
    let ran = std::process::Command::new(CHILD)
        .stdin(std::process::Stdio::null())
        .output()
        .unwrap();
    assert_eq!(ran.status.code(), Some(2));
    assert!(String::from_utf8(ran.stderr).unwrap().contains("sources add"));
}

#[test]
fn a_dump_comes_article_by_article_and_ends_when_the_caller_has_enough() {
    let dump: String = (0..2000)
        .map(|n| format!("<page><title>T{n}</title><ns>0</ns><revision><text>Words of {n}.</text></revision></page>"))
        .collect();
    let dump = format!("<mediawiki>{dump}</mediawiki>").into_bytes();
    let hints = Hints::default();
    let all = with(Limits::default())
        .documents(Source::Bytes(dump.clone()), &hints)
        .unwrap();
    let titles: Vec<String> = all.map(|doc| doc.unwrap().title.unwrap()).collect();
    assert_eq!((titles.len(), titles[1999].as_str()), (2000, "T1999"));
    let few: Vec<_> = with(Limits::default())
        .documents(Source::Bytes(dump), &hints)
        .unwrap()
        .take(3)
        .collect();
    assert_eq!(few.len(), 3);
}

#[test]
fn a_caller_may_take_longer_than_the_deadline_between_documents() {
    let dump: String = (0..40)
        .map(|n| format!("<page><title>T{n}</title><text>{}</text></page>", "word ".repeat(4000)))
        .collect();
    let limits = Limits {
        deadline: Duration::from_secs(2),
        ..Limits::default()
    };
    let mut documents = with(limits)
        .documents(
            Source::Bytes(format!("<mediawiki>{dump}</mediawiki>").into_bytes()),
            &Hints::default(),
        )
        .unwrap();
    documents.next().unwrap().unwrap();
    std::thread::sleep(Duration::from_millis(2500));
    assert_eq!(documents.filter(|doc| doc.is_ok()).count(), 39);
}

#[test]
fn a_file_is_read_by_its_path_and_what_is_no_file_is_refused() {
    let dir = std::env::temp_dir().join(format!("candor-extract-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let file = dir.join("page.html");
    std::fs::write(&file, "<p>From a file.").unwrap();
    assert_eq!(
        with(Limits::default()).extract_path(&file).unwrap().text,
        "From a file."
    );
    assert_eq!(with(Limits::default()).documents_of_path(&file).unwrap().count(), 1);
    assert!(matches!(
        with(Limits::default()).extract_path(&dir),
        Err(ExtractError::Unreadable { .. })
    ));
    assert!(matches!(
        with(Limits::default()).extract_path(&dir.join("none")),
        Err(ExtractError::Unreadable { .. })
    ));
    std::fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn a_file_of_a_gigabyte_is_refused_without_being_read() {
    let dir = std::env::temp_dir().join(format!("candor-extract-large-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let path = dir.join("large.txt");
    std::fs::File::create(&path).unwrap().set_len(1 << 30).unwrap();
    let start = Instant::now();
    let error = with(Limits::default()).extract_path(&path).unwrap_err();
    assert!(error.to_string().contains("1024 MB"), "{error}");
    assert!(start.elapsed() < Duration::from_secs(5));
    std::fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn bombs_stop_in_the_child_too() {
    let zeros = vec![b' '; 64 << 20];
    let error = with(Limits::default())
        .extract(
            &package(&[("[Content_Types].xml", b"<Types/>"), ("word/document.xml", &zeros)]),
            None,
        )
        .unwrap_err();
    assert!(matches!(error, ExtractError::TooLarge { .. }), "{error}");
}

/// The child of a Linux machine tells what it may still do.
#[cfg(target_os = "linux")]
#[test]
fn a_child_can_open_no_file_and_no_socket_and_start_no_process() {
    use std::io::Write;
    let mut child = std::process::Command::new(CHILD)
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let request = serde_json::json!({"hints": {"name": null, "password": null}, "limits": {}, "many": false});
    stdin.write_all(format!("{request}\nsome words").as_bytes()).unwrap();
    stdin.flush().unwrap();
    let limits = format!("/proc/{}/limits", child.id());
    let confined = (0..200).find_map(|_| {
        std::thread::sleep(Duration::from_millis(20));
        let limits = std::fs::read_to_string(&limits).unwrap();
        let limit = |name: &str| {
            limits
                .lines()
                .find(|line| line.starts_with(name))
                .and_then(|line| line[26..].split_whitespace().next().map(str::to_owned))
        };
        (limit("Max open files").as_deref() == Some("0"))
            .then(|| ["Max open files", "Max file size", "Max processes", "Max address space"].map(limit))
    });
    drop(stdin);
    child.wait().unwrap();
    assert_eq!(
        confined.unwrap().map(Option::unwrap),
        ["0", "0", "0", &(2_u64 << 30).to_string()].map(str::to_owned)
    );
}
