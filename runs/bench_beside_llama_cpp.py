#!/usr/bin/env python3
"""Times `candor bench` beside llama-cpp-python on the same machine, and prints the table of docs/performance.md.

    python3 -m venv /tmp/llama && CMAKE_ARGS=-DGGML_NATIVE=ON /tmp/llama/bin/pip install --no-binary llama-cpp-python llama-cpp-python
    python3 runs/bench_beside_llama_cpp.py --llama-python /tmp/llama/bin/python MODEL.gguf [MODEL.gguf ...]

Both programs take turns (A-B-A-B), each in a process of its own, with the same file, threads, tokens and cache format
(f16). Ours is called below its queue and sampling, theirs through `llama_decode`, so neither pays for Python or HTTP. Theirs
runs with flash attention off and on, and the faster of the two counts in each row. Medians over the rounds; the spread is
(largest - smallest) / median. Run it on an idle machine.
"""
import argparse
import datetime
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def worker(options):
    """Runs inside the environment that has llama-cpp-python; prints {test: seconds}."""
    import ctypes
    import random

    import llama_cpp as c

    c.llama_backend_init()
    silent = c.llama_log_callback(lambda *_: None)
    c.llama_log_set(silent, ctypes.c_void_p(0))
    parameters = c.llama_model_default_params()
    load = getattr(c, "llama_model_load_from_file", None) or c.llama_load_model_from_file
    model = load(options.models[0].encode(), parameters)
    settings = c.llama_context_default_params()
    settings.n_ctx = max(options.depths) + max(*options.prompts, options.generate) + 64
    settings.n_batch = settings.n_ubatch = 512
    settings.n_threads = settings.n_threads_batch = options.threads
    if hasattr(settings, "flash_attn_type"):
        settings.flash_attn_type = 1 if options.flash else 0
    else:
        settings.flash_attn = bool(options.flash)
    make = getattr(c, "llama_init_from_model", None) or c.llama_new_context_with_model
    context = make(model, settings)
    vocab = c.llama_vocab_n_tokens(c.llama_model_get_vocab(model)) if hasattr(c, "llama_vocab_n_tokens") else c.llama_n_vocab(model)
    draw = random.Random(1)

    def forget(depth):
        if hasattr(c, "llama_get_memory"):
            c.llama_memory_seq_rm(c.llama_get_memory(context), 0, depth, -1)
        else:
            c.llama_kv_self_seq_rm(context, 0, depth, -1)

    def decode(count):
        tokens = (c.llama_token * count)(*[draw.randrange(vocab) for _ in range(count)])
        if c.llama_decode(context, c.llama_batch_get_one(tokens, count)) != 0:
            sys.exit("llama_decode failed")
        c.llama_synchronize(context)

    def prefill(count):
        while count > 0:
            decode(min(count, 512))
            count -= 512

    results = {}
    for depth in options.depths:
        forget(0)
        prefill(depth)
        tests = [(f"pp{n}", prefill, n) for n in options.prompts] + [(f"tg{options.generate}", None, options.generate)]
        for measured in (False, True):  # the first pass warms up
            for name, run, count in tests:
                forget(depth)
                start = time.perf_counter()
                if run:
                    run(count)
                else:
                    for _ in range(count):
                        decode(1)
                if measured:
                    results[f"{name} @ d{depth}"] = count / (time.perf_counter() - start)
    print(json.dumps({"version": c.__version__, "rates": results}))


def ours(options, model):
    command = [options.candor, "bench", "-m", model, "--json", "-r", "1", "--threads", str(options.threads)]
    command += ["-p", ",".join(map(str, options.prompts)), "-n", str(options.generate), "-d", ",".join(map(str, options.depths))]
    rows = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    name = lambda row: (f"pp{row['n_prompt']}" if row["n_prompt"] else f"tg{row['n_gen']}") + f" @ d{row['n_depth']}"
    return rows[0]["build"], rows[0]["cpu_info"], {name(row): row["avg_ts"] for row in rows}


def theirs(options, model, flash):
    command = [options.llama_python, __file__, "--worker", "--threads", str(options.threads), "--flash", str(flash)]
    command += ["--generate", str(options.generate), "--prompts", *map(str, options.prompts), "--depths", *map(str, options.depths), "--", model]
    report = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout.splitlines()[-1])
    return report["version"], report["rates"]


def cell(samples):
    median = statistics.median(samples)
    return median, f"{median:.1f} ± {100 * (max(samples) - min(samples)) / median:.0f} %"


def processor():
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="+")
    parser.add_argument("--llama-python", default=sys.executable, help="a Python that has llama-cpp-python")
    parser.add_argument("--candor", default=str(ROOT / "target" / "release" / "candor"))
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--prompts", type=int, nargs="+", default=[128, 512])
    parser.add_argument("--generate", type=int, default=64)
    parser.add_argument("--depths", type=int, nargs="+", default=[0, 1024])
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--flash", type=int, default=0, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        return worker(options)

    table = []
    for model in options.models:
        a, b, c = {}, {}, {}
        for _ in range(options.rounds):
            build, cpu, rates = ours(options, model)
            for samples, found in ((a, rates), (b, theirs(options, model, 0)[1])):
                for test, rate in found.items():
                    samples.setdefault(test, []).append(rate)
            version, rates = theirs(options, model, 1)
            for test, rate in rates.items():
                c.setdefault(test, []).append(rate)
        for test in a:
            best = max(b[test], c[test], key=statistics.median)
            (mine, mine_text), (other, other_text) = cell(a[test]), cell(best)
            flash = "on" if best is c[test] else "off"
            table.append((Path(model).name, test, mine_text, other_text, flash, mine / other))
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, stdout=subprocess.PIPE, text=True).stdout.strip()
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    print(f"{datetime.date.today()}; candor {build} ({commit}), {cpu}; llama-cpp-python {version}, built from source with GGML_NATIVE=ON;")
    print(f"{processor()}, {os.cpu_count()} cores, {options.threads} threads; {options.rounds} rounds; load average at the end {load:.1f}.\n")
    print("| model | test | candor t/s | llama.cpp t/s | its flash attention | ratio |")
    print("| --- | --- | ---: | ---: | --- | ---: |")
    for model, test, mine, other, flash, ratio in table:
        print(f"| {model} | {test} | {mine} | {other} | {flash} | {ratio:.2f} |")


if __name__ == "__main__":
    main()
