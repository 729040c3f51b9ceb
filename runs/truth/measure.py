#!/usr/bin/env python3
"""Measures retrieval beside a plain Python stack on the same machine, and prints the tables of docs/truth.md.

    python3 -m venv /tmp/stack && /tmp/stack/bin/pip install sentence-transformers bm25s PyStemmer chromadb
    cargo build --release -p candor-truth --example measure
    python3 runs/truth/measure.py --stack /tmp/stack/bin/python --model FOLDER_OF_ALL_MINILM_L6_V2 [--only quality,ingest,...]

Data: `../shared/data` (XQuAD, test only: nothing is fitted on it; open texts as documents). Ours and theirs take turns, each
in a process of its own. Run it on an idle machine.
"""
import argparse
import datetime
import gzip
import json
import os
import platform
import shutil
import subprocess
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
DATA = ROOT.parent / "shared" / "data"
OURS = ROOT / "target" / "release" / "examples" / "measure"
STACK = Path(__file__).with_name("stack.py")
BOOKS = ["openstax", "books_en", "python_peps", "rust_rfcs", "rust_docs"]


def run(*command):
    out = subprocess.run([str(word) for word in command], check=True, stdout=subprocess.PIPE, text=True).stdout
    return json.loads(out.splitlines()[-1])


def texts():
    """The text of every record of the open books, in a fixed order, over and over: a later round begins with its number."""
    around = 0
    while True:
        for name in BOOKS:
            for file in sorted((DATA / name).glob("*.jsonl.gz")):
                for line in gzip.open(file, "rt"):
                    text = json.loads(line).get("text") or ""
                    if text.strip():
                        yield text if around == 0 else f"Copy {around}.\n\n" + text.replace(". ", f" {around}. ")
        around += 1


def corpus(folder, size):
    folder.mkdir(parents=True)
    written = 0
    for n, text in enumerate(texts()):
        if written >= size:
            return
        (folder / f"{n:06}.txt").write_text(text)
        written += len(text.encode())


def xquad(folder, language):
    file = folder / f"xquad.{language}.jsonl"
    file.write_bytes(gzip.decompress((DATA / "xquad" / f"xquad.{language}.jsonl.gz").read_bytes()))
    return file


def questions(folder):
    file = folder / "questions.txt"
    records = [json.loads(line) for line in xquad(folder, "en").read_text().splitlines()]
    asked = [qa["question"].strip().replace("\n", " ") for record in records for qa in record["qas"]]
    file.write_text("\n".join(asked[::4]))
    return file


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stack", help="python of an environment that has the stack; without it only ours is measured")
    parser.add_argument("--model", required=True, help="folder of all-MiniLM-L6-v2")
    parser.add_argument("--only", default="quality,ingest,plain,latency")
    parser.add_argument("--ingest-mb", type=float, default=2)
    parser.add_argument("--plain-mb", type=float, default=50)
    parser.add_argument("--latency-mb", type=float, default=108, help="text for about 100,000 passages")
    parser.add_argument("--million-mb", type=float, default=1080, help="text for about 1,000,000 passages")
    options = parser.parse_args()
    only = options.only.split(",")
    work = Path(tempfile.mkdtemp(prefix="candor-measure-"))
    print(f"{datetime.date.today()}, {os.cpu_count()} CPUs, {platform.machine()}, load {os.getloadavg()[0]:.1f}", flush=True)
    both = [("Candor", lambda *words: run(OURS, *words))]
    if options.stack:
        both.append(("stack", lambda *words: run(options.stack, STACK, *words)))

    def show(title, name, figures):
        print(json.dumps({"what": title, "who": name, **figures}), flush=True)

    if "quality" in only:
        for language in ("en", "zh"):
            for name, call in both:
                show(f"quality {language}", name, call("quality", options.model, xquad(work, language)))
    for title, size, model in (("ingest", options.ingest_mb, options.model), ("plain", options.plain_mb, "-")):
        if title in only:
            corpus(work / title, size * 1e6)
            for name, call in both:
                home = work / f"{title}-{name}"
                home.mkdir()
                show(title, name, call("ingest", model, work / title, home))
    if "latency" in only:
        corpus(work / "latency", options.latency_mb * 1e6)
        home = work / "latency-Candor"
        home.mkdir()
        show("fill", "Candor", run(OURS, "fill", work / "latency", home))
        show("latency", "Candor", run(OURS, "latency", options.model, home, questions(work)))
        if options.stack:
            home = work / "latency-stack"
            show("latency", "stack", run(options.stack, STACK, "latency", options.model, work / "latency", home, questions(work)))
    if "million" in only:
        corpus(work / "million", options.million_mb * 1e6)
        home = work / "million-Candor"
        home.mkdir()
        show("million", "Candor", run(OURS, "ingest", "-", work / "million", home))
        show("million", "Candor", run(OURS, "latency", "-", home, questions(work)))
    shutil.rmtree(work)


main()
