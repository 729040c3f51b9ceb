#!/usr/bin/env python3
"""What answers with proof cost in time, beside plain answers of the same model: the table of docs/truth.md.

    python3 runs/truth/latency.py --data ../shared/data [--candor target/release/candor] [--model smollm2-135m-instruct]

Makes a library of the 240 passages of xquad.en in a folder of its own, serves it on the loopback, and puts the same questions to
it four ways: plain (the question alone), grounded (`candor`: quotes), phrased (the model says it in its own words), and memory
(no sources, so the answer is drawn five times more). The ways take turns, and the order turns with each question. An answer has
at most 160 tokens, and its temperature is 0. Run it on an idle machine. CANDOR_MODELS says where the models are. Only the
standard library is needed.
"""
import argparse
import datetime
import gzip
import http.client
import json
import os
import platform
import re
import socket
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
WAYS = {
    "plain": None,
    "grounded": {"dial": None},
    "phrased": {"dial": None, "phrase": True},
    "memory": {"dial": None, "sources": []},
}


def ask(port, model, question, candor):
    """Seconds until the first text, seconds in all, and the text."""
    body = {"model": model, "messages": [{"role": "user", "content": question}], "stream": True, "temperature": 0, "max_tokens": 160}
    if candor is not None:
        body["candor"] = candor
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    begin = time.perf_counter()
    connection.request("POST", "/v1/chat/completions", json.dumps(body), {"Content-Type": "application/json"})
    response = connection.getresponse()
    if response.status != 200:
        raise SystemExit(f"{response.status}: {response.read().decode()}")
    first, text = None, ""
    for line in response:
        if not line.startswith(b"data: ") or line.startswith(b"data: [DONE]"):
            continue
        for choice in json.loads(line[6:]).get("choices", []):
            more = choice["delta"].get("content") or ""
            if more and first is None:
                first = time.perf_counter() - begin
            text += more
    whole = time.perf_counter() - begin
    connection.close()
    return first or whole, whole, text


def p95(values):
    return sorted(values)[min(len(values) - 1, round(0.95 * (len(values) - 1)))]


def serve(options, environment, log):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen([options.candor, "serve", "--model", options.model, "--port", str(port)], env=environment, stdout=log, stderr=log)
    for _ in range(240):
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            connection.request("GET", "/ready")
            if connection.getresponse().status == 200:
                return server, port
        except OSError:
            pass
        if server.poll() is not None:
            raise SystemExit("the server ended; run `candor serve` by hand to see why")
        time.sleep(0.5)
    server.kill()
    raise SystemExit("the server is not ready after two minutes")


def measure(options, port, questions):
    for question in questions[:3]:  # the first answers load the reader and fill no cache that counts
        for candor in WAYS.values():
            ask(port, options.model, question["question"], candor)
    rows = []
    for number, question in enumerate(questions[3:]):
        ways = list(WAYS)
        ways = ways[number % len(ways) :] + ways[: number % len(ways)]
        row = {"question": question["question"]}
        for way in ways:
            first, whole, text = ask(port, options.model, question["question"], WAYS[way])
            row[way] = {"first": first, "whole": whole, "text": text}
        rows.append(row)
    return rows


def table(rows):
    line = "{:<44} {:>8} {:>8}"
    print(line.format("seconds", "median", "p95"))
    figures = {}

    def show(name, values):
        figures[name] = {"median": statistics.median(values), "p95": p95(values)}
        print(line.format(name, f"{figures[name]['median']:.3f}", f"{figures[name]['p95']:.3f}"))

    for way in WAYS:
        show(f"{way}: first text", [row[way]["first"] for row in rows])
        show(f"{way}: whole answer", [row[way]["whole"] for row in rows])
    for way in ("grounded", "phrased"):
        show(f"{way} - plain: first text", [row[way]["first"] - row["plain"]["first"] for row in rows])
        show(f"{way} / plain: whole answer", [row[way]["whole"] / row["plain"]["whole"] for row in rows])
    show("memory / plain: whole answer", [row["memory"]["whole"] / row["plain"]["whole"] for row in rows])
    return figures


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--candor", default=str(ROOT / "target" / "release" / "candor"))
    parser.add_argument("--model", default="smollm2-135m-instruct")
    parser.add_argument("--questions", type=int, default=30)
    parser.add_argument("--json", type=Path, help="write every time and text here")
    options = parser.parse_args()
    with gzip.open(options.data / "xquad" / "xquad.en.jsonl.gz", "rt", encoding="utf-8") as file:
        paragraphs = [json.loads(line) for line in file]
    every = [question for paragraph in paragraphs for question in paragraph["qas"]]
    wanted = options.questions + 3
    questions = every[:: len(every) // wanted][:wanted]
    with tempfile.TemporaryDirectory() as home:
        docs = Path(home) / "docs"
        docs.mkdir()
        for number, paragraph in enumerate(paragraphs):
            name = re.sub(r"[^A-Za-z0-9]+", "_", paragraph["title"])
            (docs / f"{number:03}_{name}.txt").write_text(paragraph["context"], encoding="utf-8")
        environment = {**os.environ, "CANDOR_DATA_DIR": str(Path(home) / "data")}
        subprocess.run([options.candor, "sources", "add", str(docs)], env=environment, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        with open(Path(home) / "log", "w") as log:
            server, port = serve(options, environment, log)
            try:
                rows = measure(options, port, questions)
            finally:
                server.terminate()
                server.wait(timeout=30)
    version = subprocess.run([options.candor, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    print(f"{datetime.date.today()}, {version}, {options.model}, {platform.machine()}, {os.cpu_count()} cores, {len(rows)} questions")
    figures = table(rows)
    if options.json:
        options.json.write_text(json.dumps({"figures": figures, "rows": rows}, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
