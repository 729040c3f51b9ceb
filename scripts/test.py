#!/usr/bin/env python3
"""Runs every test there is and counts: crates, 64-bit ARM, page, clients from outside, browser.

    python3 scripts/test.py            what `make test` runs
    python3 scripts/test.py --slow     what `make test-slow` runs
    python3 scripts/test.py --only page

Each suite says how many of its tests passed and failed; the last line adds them up. A suite that cannot even start
counts as one failure. Uses the standard library only. It changes nothing outside the repository, the data directory
(the three test models) and, where this may be done, what the system lacks: Debian's Chromium, its compiler and emulator
for ARM, rustup's target.
"""
import argparse
import os
import platform
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOGS = ROOT / "target" / "test-logs"
CANDOR = ROOT / "target" / "release" / ("candor.exe" if os.name == "nt" else "candor")
MODELS = ["smollm2-135m-instruct", "all-minilm-l6-v2", "gemma3-270m"]
ARM = "aarch64-unknown-linux-gnu"
# What runs ARM programs on another processor, and the Debian packages of it; the linker wants the C library besides.
ARM_TOOLS = {"aarch64-linux-gnu-gcc": ["gcc-aarch64-linux-gnu", "libc6-dev-arm64-cross"], "qemu-aarch64": ["qemu-user"]}
ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


def stream(name, command, cwd=ROOT, env=None):
    """Runs a command, shows and keeps what it prints; returns its exit status and output."""
    LOGS.mkdir(parents=True, exist_ok=True)
    print(f"\n== {name}: {' '.join(map(str, command))}", flush=True)
    start = time.monotonic()
    lines = []
    try:
        with (LOGS / f"{name.replace(' ', '-')}.log").open("w", encoding="utf-8") as log:
            process = subprocess.Popen(
                [str(part) for part in command],
                cwd=cwd,
                env={**os.environ, **(env or {})},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                encoding="utf-8",
                errors="replace",
            )
            for line in process.stdout:
                sys.stdout.write(line)
                log.write(line)
                lines.append(ANSI.sub("", line))
            status = process.wait()
    except OSError as error:
        print(error)
        status = 127
    print(f"== {name}: exit status {status} after {time.monotonic() - start:.0f} s", flush=True)
    return status, "".join(lines)


def cargo_counts(output):
    """Sums of `cargo test`'s or `cargo nextest`'s final lines."""
    passed = failed = 0
    for match in re.finditer(r"test result: \w+\. (\d+) passed; (\d+) failed", output):
        passed += int(match[1])
        failed += int(match[2])
    for match in re.finditer(r"^\s*Summary \[.*?\] .*?(\d+) passed(.*)$", output, re.M):
        passed += int(match[1])
        failed += sum(int(n) for n in re.findall(r"(\d+) (?:failed|timed out|exec failed)", match[2]))
    return passed, failed


def vitest_counts(output):
    match = re.search(r"^\s*Tests\s+(.*)$", output, re.M)
    text = match[1] if match else ""
    return tuple(int(n[1]) if (n := re.search(rf"(\d+) {word}", text)) else 0 for word in ("passed", "failed"))


def last_line_counts(output):
    """`N passed, N failed`, as our own scripts end."""
    found = re.findall(r"(\d+) passed, (\d+) failed", output)
    return (int(found[-1][0]), int(found[-1][1])) if found else (0, 0)


class Tally:
    def __init__(self):
        self.rows = []

    def suite(self, name, counts, command, cwd=ROOT, env=None):
        status, output = stream(name, command, cwd, env)
        passed, failed = counts(output)
        if status != 0 and failed == 0:
            failed = 1  # it did not come to its tests, or ended badly after them
        if status == 0 and passed + failed == 0:
            print(f"{name} ran no test")
            failed = 1
        self.rows.append((name, passed, failed))

    def broken(self, name, why):
        print(f"\n== {name}: {why}", flush=True)
        self.rows.append((name, 0, 1))

    def finish(self):
        print()
        for name, passed, failed in self.rows:
            print(f"{name:24} {passed:5} passed {failed:4} failed")
        passed, failed = (sum(row[i] for row in self.rows) for i in (1, 2))
        print(f"{passed} passed, {failed} failed")
        return 1 if failed else 0


def apt_install(name, packages):
    """Installs Debian packages where this may be done."""
    if shutil.which("apt-get") and hasattr(os, "geteuid") and os.geteuid() == 0:
        env = {"DEBIAN_FRONTEND": "noninteractive"}
        stream("apt update", ["apt-get", "update", "-qq"], env=env)
        stream(f"apt {name}", ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *packages], env=env)


def chromium():
    """Debian's Chromium; installed where this may be done."""
    find = lambda: next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if find() is None:
        apt_install("chromium", ["chromium", "fonts-noto-cjk"])
    return find()


def has_arm_target():
    """Whether the Rust compiler has the standard library for ARM."""
    try:
        found = subprocess.run(["rustc", "--print", "target-libdir", "--target", ARM], capture_output=True, text=True, check=False)
    except OSError:
        return False
    return found.returncode == 0 and Path(found.stdout.strip()).is_dir()


def missing_arm_tools():
    """What this machine lacks to build and run ARM programs, after installing what may be installed."""
    missing = lambda: [tool for tool in ARM_TOOLS if shutil.which(tool) is None]
    if tools := missing():
        apt_install("arm", [package for tool in tools for package in ARM_TOOLS[tool]])
    if not has_arm_target() and shutil.which("rustup"):
        stream("rustup arm", ["rustup", "target", "add", ARM])
    return missing() + ([] if has_arm_target() else [f"Rust's target {ARM}"])


def cargo_test():
    return ["cargo", "nextest", "run", "--no-fail-fast"] if shutil.which("cargo-nextest") else ["cargo", "test", "--no-fail-fast"]


def rust_suites(tally):
    tally.suite("crates", cargo_counts, [*cargo_test(), "--release", "--locked", "--workspace"])


def neon_suites(tally):
    """64-bit ARM, in emulation on any other processor: the kernels, and the committed hashes of whole models."""
    suite = lambda name, what, env: tally.suite(name, cargo_counts, [*cargo_test(), "--release", "--locked", *what], env=env)
    if platform.machine() in ("aarch64", "arm64"):
        suite("neon", ["-p", "candor-kernels"], {})
        return
    if missing := missing_arm_tools():
        packages = " ".join(sum(ARM_TOOLS.values(), []))
        how = f"on Debian: apt-get install {packages}; rustup target add {ARM}"
        tally.broken("neon", f"NEON is tested in emulation, which needs {' and '.join(missing)}: install that ({how}) and run this again")
        return
    env = {
        "CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER": "aarch64-linux-gnu-gcc",
        "CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER": "qemu-aarch64 -L /usr/aarch64-linux-gnu",
    }
    suite("neon", ["--target", ARM, "-p", "candor-kernels"], env)
    # The variable has the test compute in its own process: an emulated one cannot start itself again.
    suite("neon models", ["--target", ARM, "-p", "candor-model", "--test", "it", "paths::"], {**env, "CANDOR_TEST_PATH": "neon"})


def page_suites(tally):
    if (ROOT / "web" / "package.json").exists():
        tally.suite("page", vitest_counts, ["npm", "run", "--silent", "test"], cwd=ROOT / "web")


def browser_suites(tally):
    runner = ROOT / "web" / "e2e" / "run.mjs"
    if not runner.exists():
        return
    path = chromium()
    if path is None:
        tally.broken("browser", "Chromium is needed: install it (on Debian: apt-get install chromium) and run this again")
        return
    env = {"CHROMIUM": path, "CANDOR_BIN": str(CANDOR)}
    tally.suite("browser", last_line_counts, ["npm", "run", "--silent", "e2e"], cwd=ROOT / "web", env=env)


def client_suites(tally, slow):
    for runner in (ROOT / "tests" / "run_clients.sh", ROOT / "tests" / "run_clients.py"):
        if runner.exists():
            program = ["bash"] if runner.suffix == ".sh" else [sys.executable]
            arguments = ["--slow"] if slow else []
            tally.suite("clients", last_line_counts, [*program, runner, *arguments], env={"CANDOR_BIN": str(CANDOR)})
            return


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--slow", action="store_true", help="the slow suites instead of the usual ones")
    parser.add_argument("--only", choices=["crates", "neon", "page", "clients", "browser"], help="one suite")
    options = parser.parse_args()
    wanted = lambda name: options.only in (None, name)
    tally = Tally()

    if options.only == "neon":  # needs neither page nor program; hashes are of the models that are there already
        neon_suites(tally)
        return tally.finish()
    if (ROOT / "web" / "package.json").exists():
        status, _ = stream("page build", ["bash", "scripts/build_page.sh"])
        if status != 0:
            tally.broken("page build", "see above")
    status, _ = stream("build", ["cargo", "build", "--release", "--locked", "--workspace"])
    if status != 0:
        tally.broken("build", "see above")
        return tally.finish()
    if "CANDOR_MODELS" not in os.environ:
        status, _ = stream("models", [CANDOR, "pull", *MODELS])
        if status != 0:
            tally.broken("models", "a model could not be pulled, see above")

    if options.slow:
        client_suites(tally, slow=True)
        return tally.finish()
    if wanted("crates"):
        rust_suites(tally)
    if wanted("neon"):
        neon_suites(tally)
    if wanted("page"):
        page_suites(tally)
    if wanted("clients"):
        client_suites(tally, slow=False)
    if wanted("browser"):
        browser_suites(tally)
    return tally.finish()


if __name__ == "__main__":
    sys.exit(main())
