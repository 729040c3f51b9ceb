#!/usr/bin/env python3
"""Other people's programs against the real server with the real model.

    python3 tests/run_clients.py                the official OpenAI clients, llm-comply, schemathesis
    python3 tests/run_clients.py --slow         lm-eval, LangChain, the Vercel AI SDK, llama-cpp-python behind Candor
    python3 tests/run_clients.py -- -k seed     what stands behind `--` goes to pytest

Installs what it needs below target/clients (pinned in the requirements files and in package-lock.json), starts servers on
free ports of this machine, and ends with `N passed, N failed`. Uses the standard library only. Environment: CANDOR_BIN
(default target/release/candor), CANDOR_MODELS (default: where `candor pull` puts models).
"""
import argparse
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

TESTS = Path(__file__).resolve().parent
ROOT = TESTS.parent
WORK = ROOT / "target" / "clients"
sys.path.insert(0, str(TESTS / "support"))
from servers import CHAT, EMBED, Candor, candor_path  # noqa: E402


def say(text):
    print(f"-- {text}", flush=True)


def python_of(folder):
    return folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def python(name, requirements):
    """A virtual environment with these requirements; made anew when they change."""
    folder = WORK / name
    wanted = hashlib.sha256(requirements.read_bytes() + sys.version.encode()).hexdigest()
    stamp = folder / "installed"
    if stamp.exists() and stamp.read_text() == wanted:
        return python_of(folder)
    say(f"installing {requirements.relative_to(ROOT)}")
    shutil.rmtree(folder, ignore_errors=True)
    venv.create(folder, with_pip=True)
    command = [python_of(folder), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", requirements]
    subprocess.run(list(map(str, command)), check=True)
    stamp.write_text(wanted)
    return python_of(folder)


def node_modules(folder):
    """Installs a folder's package-lock.json, where it is newer than what is there."""
    lock, installed = folder / "package-lock.json", folder / "node_modules" / ".package-lock.json"
    if not installed.exists() or lock.stat().st_mtime > installed.stat().st_mtime:
        say(f"installing {lock.relative_to(ROOT)}")
        npm = shutil.which("npm")
        if npm is None:
            raise SystemExit("Node with npm is needed for the JavaScript clients: install it, and run this again")
        subprocess.run([npm, "ci", "--no-audit", "--no-fund", "--loglevel=error"], cwd=folder, check=True)


class Tally:
    def __init__(self):
        self.passed = self.failed = 0

    def run(self, name, command, patterns, cwd, env):
        """Runs a suite, shows what it prints, adds its counts."""
        say(name)
        process = subprocess.Popen(
            list(map(str, command)), cwd=cwd, env={**os.environ, **env}, text=True, errors="replace", stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )
        output = []
        for line in process.stdout:
            print(line, end="", flush=True)
            output.append(line)
        status = process.wait()
        text = "".join(output[-40:])
        passed, failed = (sum(int(n) for n in re.findall(pattern, text, re.M)) for pattern in patterns)
        if (status != 0 and failed == 0) or passed + failed == 0:
            print(f"{name} ended with status {status} and {passed} passed")
            failed += 1
        self.passed += passed
        self.failed += failed

    def pytest(self, name, interpreter, folder, arguments, env):
        command = [interpreter, "-m", "pytest", "-q", "--no-header", "-p", "no:cacheprovider", "--durations=5", folder, *arguments]
        # What is skipped was not tested.
        self.run(name, command, (r"\b(\d+) passed", r"\b(\d+) (?:failed|errors?|skipped)\b"), TESTS, env)

    def node(self, name, folder, env):
        node_modules(folder)
        command = ["node", "--test", "--test-reporter=tap", *sorted(path.name for path in folder.glob("*.test.mjs"))]
        self.run(name, command, (r"^# pass (\d+)", r"^# (?:fail|cancelled|skipped) (\d+)"), folder, env)


def environment(server):
    return {"CANDOR_URL": server.url, "CANDOR_CHAT_MODEL": CHAT, "CANDOR_EMBED_MODEL": EMBED, "CANDOR_BIN": str(candor_path())}


def fast(tally, arguments):
    interpreter = python("fast", TESTS / "clients" / "requirements.txt")
    with tempfile.TemporaryDirectory() as data, Candor(data) as server:
        env = environment(server)
        tally.pytest("Python clients", interpreter, TESTS / "clients", arguments, env)
        if not arguments:
            tally.node("OpenAI's JavaScript client", TESTS / "clients" / "js", env)


def slow(tally, arguments):
    interpreter = python("slow", TESTS / "slow" / "requirements.txt")
    with tempfile.TemporaryDirectory() as data, Candor(data) as server:
        env = environment(server)
        tally.pytest("slow Python clients", interpreter, TESTS / "slow", arguments, env)
        if not arguments:
            tally.node("Vercel's AI SDK", TESTS / "slow" / "js", env)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--slow", action="store_true", help="the slow suites instead of the fast ones")
    parser.add_argument("pytest", nargs="*", help="arguments for pytest; the JavaScript clients are then left out")
    options = parser.parse_args()
    tally = Tally()
    try:
        (slow if options.slow else fast)(tally, options.pytest)
    except (subprocess.CalledProcessError, OSError, RuntimeError) as error:
        print(error)
        tally.failed += 1
    print(f"{tally.passed} passed, {tally.failed} failed")
    return 1 if tally.failed else 0


if __name__ == "__main__":
    sys.exit(main())
