//! Help, completions, manual pages.

use crate::program::{Place, assert_snapshot};

const COMMANDS: [&str; 20] = [
    "serve",
    "chat",
    "generate",
    "pull",
    "models",
    "rm",
    "sources",
    "search",
    "ask",
    "check",
    "verify",
    "mcp",
    "eval",
    "inspect",
    "quantize",
    "bench",
    "doctor",
    "config",
    "completions",
    "man",
];

#[test]
fn every_command_has_help_with_examples() {
    let place = Place::new();
    let main = place.run(&["--help"]);
    assert_eq!(main.status, 0);
    assert_snapshot("help", &main.out);
    for command in COMMANDS {
        assert!(main.out.contains(&format!("\n  {command} ")), "{command} is not listed");
        let help = place.run(&[command, "--help"]);
        assert_eq!(help.status, 0, "{command}");
        assert!(help.out.contains("Examples:\n  "), "{command} shows no example");
        assert!(
            help.out.lines().all(|line| line.chars().count() <= 120),
            "{command}: a line is too long"
        );
        assert_snapshot(&format!("help_{command}"), &help.out);
    }
}

#[test]
fn what_else_is_measured_has_help_of_its_own() {
    for what in ["serve", "speculate"] {
        let help = Place::new().run(&["bench", what, "--help"]);
        assert!(help.out.contains("Examples:\n  "), "{}", help.out);
        assert!(
            help.out.lines().all(|line| line.chars().count() <= 120),
            "a line is too long"
        );
        assert_snapshot(&format!("help_bench_{what}"), &help.out);
    }
}

#[test]
fn a_wrong_command_line_says_what_is_near_and_exits_with_2() {
    let ran = Place::new().run(&["generat"]);
    assert_eq!(ran.status, 2);
    assert!(ran.err.contains("'generate'"), "{}", ran.err);
    assert!(ran.out.is_empty());
}

#[test]
fn completions_know_every_command() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = Place::new().run(&["completions", shell]).out;
        for command in COMMANDS {
            assert!(script.contains(command), "{shell}: {command}");
        }
    }
}

#[test]
fn manual_pages_are_written_one_per_command() {
    let place = Place::new();
    let dir = place.path().join("man");
    let ran = place.run(&["man", dir.to_str().unwrap()]);
    assert_eq!(ran.status, 0, "{}", ran.err);
    for command in COMMANDS {
        let page = std::fs::read_to_string(dir.join(format!("candor-{command}.1"))).unwrap();
        assert!(page.contains(".SH SYNOPSIS"), "{command}");
    }
    assert!(dir.join("candor.1").is_file());
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let place = Place::new();
    let mut child = place.spawn(&["completions", "bash"]);
    drop(child.stdout.take());
    let status = child.wait().unwrap();
    assert!(status.success(), "{status}");
}
