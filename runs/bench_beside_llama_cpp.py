#!/usr/bin/env python3
"""Times `candor bench` beside llama-cpp-python on the same machine, and prints the table of docs/performance.md.

    make bench                                      the default model; builds llama-cpp-python the first time
    make bench ARGS="MODEL.gguf MODEL.gguf --rounds 5"
    python3 runs/bench_beside_llama_cpp.py --llama-python /tmp/llama/bin/python MODEL.gguf
    python3 runs/bench_beside_llama_cpp.py --ik-bin ../ik_llama.cpp/build/bin MODEL.gguf

The programs take turns (A-B-A-B), each in a process of its own, with the same file, threads, tokens and cache format (f16).
Ours is called below its queue and sampling, theirs through `llama_decode`, so neither pays for Python or HTTP. `pp` reads a
prompt, `tg` writes an answer, `x` many answers at once, each after a prompt of its own, `@ d` is the context there was before.
llama.cpp runs with flash attention off and on, ik_llama.cpp (its own llama-bench and llama-batched-bench, where `--ik-bin`
says they are) with its weights as they are and repacked, and the faster of the two counts in each row. Ours runs with
activations of 16 bits, and with 8 (`fast`) as theirs have. Medians over the rounds;
the spread is (largest - smallest) / median. The floor is what `candor bench` measures: weights read at the bandwidth of a
buffer of their size, products at the peak of the best int8 unit. Run it on an idle machine.
"""
import argparse
import datetime
import json
import os
import platform
import shlex
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DEFAULT_MODEL = "smollm2-135m-instruct"


def worker(options):
    """Runs inside the environment that has llama-cpp-python; prints {test: tokens per second}."""
    import ctypes
    import random

    import llama_cpp as c

    c.llama_backend_init()
    silent = c.llama_log_callback(lambda *_: None)
    c.llama_log_set(silent, ctypes.c_void_p(0))
    load = getattr(c, "llama_model_load_from_file", None) or c.llama_load_model_from_file
    model = load(options.models[0].encode(), c.llama_model_default_params())
    vocab = c.llama_vocab_n_tokens(c.llama_model_get_vocab(model)) if hasattr(c, "llama_vocab_n_tokens") else c.llama_n_vocab(model)
    draw = random.Random(1)

    def make(tokens, streams):
        """A context of `tokens` for each of `streams`, which share none of them."""
        settings = c.llama_context_default_params()
        settings.n_ctx = (tokens + 63) // 64 * 64 * streams
        settings.n_batch = settings.n_ubatch = 512
        settings.n_seq_max = streams
        settings.n_threads = settings.n_threads_batch = options.threads
        if hasattr(settings, "kv_unified"):
            settings.kv_unified = False
        if hasattr(settings, "flash_attn_type"):
            settings.flash_attn_type = 1 if options.flash else 0
        else:
            settings.flash_attn = bool(options.flash)
        return (getattr(c, "llama_init_from_model", None) or c.llama_new_context_with_model)(model, settings)

    def forget(context, stream, depth):
        if hasattr(c, "llama_get_memory"):
            c.llama_memory_seq_rm(c.llama_get_memory(context), stream, depth, -1)
        else:
            c.llama_kv_self_seq_rm(context, stream, depth, -1)

    def finish(context, batch):
        if c.llama_decode(context, batch) != 0:
            sys.exit("llama_decode failed")
        c.llama_synchronize(context)

    def decode(context, count):
        tokens = (c.llama_token * count)(*[draw.randrange(vocab) for _ in range(count)])
        finish(context, c.llama_batch_get_one(tokens, count))

    def prefill(context, count):
        while count > 0:
            decode(context, min(count, 512))
            count -= 512

    def put(batch, places):
        """Random tokens at (stream, position, whether its logits are wanted)."""
        batch.n_tokens = len(places)
        for i, (stream, position, wanted) in enumerate(places):
            batch.token[i] = draw.randrange(vocab)
            batch.pos[i] = position
            batch.n_seq_id[i] = 1
            batch.seq_id[i][0] = stream
            batch.logits[i] = wanted
        return batch

    results = {}
    context = make(max(options.depths) + max(*options.prompts, options.generate) + 64, 1)
    for depth in options.depths:
        forget(context, 0, 0)
        prefill(context, depth)
        tests = [(f"pp{n}", prefill, n) for n in options.prompts] + [(f"tg{options.generate}", None, options.generate)]
        for measured in (False, True):  # the first pass warms up
            for name, run, count in tests:
                forget(context, 0, depth)
                start = time.perf_counter()
                if run:
                    run(context, count)
                else:
                    for _ in range(count):
                        decode(context, 1)
                if measured:
                    results[f"{name} @ d{depth}"] = count / (time.perf_counter() - start)
    c.llama_free(context)
    for streams in options.parallel:
        context = make(options.parallel_prompt + options.generate + 1, streams)
        batch = c.llama_batch_init(max(512, streams), 0, 1)
        for stream in range(streams):
            for start in range(0, options.parallel_prompt, 512):
                end = min(start + 512, options.parallel_prompt)
                finish(context, put(batch, [(stream, p, p + 1 == options.parallel_prompt) for p in range(start, end)]))
        for measured in (False, True):
            for stream in range(streams):
                forget(context, stream, options.parallel_prompt)
            start = time.perf_counter()
            for step in range(options.generate):
                finish(context, put(batch, [(stream, options.parallel_prompt + step, True) for stream in range(streams)]))
            seconds = time.perf_counter() - start
        results[f"tg{options.generate} x{streams} @ d{options.parallel_prompt}"] = options.generate * streams / seconds
        c.llama_batch_free(batch)
        c.llama_free(context)
    print(json.dumps({"version": c.__version__, "rates": results}))


def ours(options, model, precision):
    """Rows of `candor bench`: rates and floors by test, and what it says of itself."""
    base = [options.candor, "bench", "-m", model, "--precision", precision, "--json", "-r", "1", "--threads", str(options.threads), "-n", str(options.generate)]
    commands = [base + ["-p", ",".join(map(str, options.prompts)), "-d", ",".join(map(str, options.depths))]]
    if options.parallel:
        commands.append(base + ["-p", "0", "-d", str(options.parallel_prompt), "--parallel", ",".join(map(str, options.parallel))])
    rows = [row for command in commands for row in json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)]

    def name(row):
        what = f"pp{row['n_prompt']}" if row["n_prompt"] else f"tg{row['n_gen']}"
        streams = f" x{row['n_parallel']}" if row["n_parallel"] > 1 or (row["n_gen"] and row["n_depth"] not in options.depths) else ""
        return f"{what}{streams} @ d{row['n_depth']}"

    return rows, {name(row): row["avg_ts"] for row in rows}, {name(row): row["floor_ts"] for row in rows}


def theirs(options, model, flash):
    """llama.cpp as llama-cpp-python ships it."""
    command = [options.llama_python, __file__, "--worker", "--threads", str(options.threads), "--flash", str(flash)]
    command += ["--generate", str(options.generate), "--prompts", *map(str, options.prompts), "--depths", *map(str, options.depths)]
    command += ["--parallel-prompt", str(options.parallel_prompt), "--parallel", *map(str, options.parallel), "--", model]
    ran = subprocess.run(command, stdout=subprocess.PIPE)
    if ran.returncode < 0:
        sys.exit(
            f"llama-cpp-python ended by {signal.Signals(-ran.returncode).name}. As gcc 12.2 builds its AMX kernels they do that (docs/performance.md); "
            "build it without AMX, or with another compiler: remove the environment, and give this again with, for example, CMAKE_ARGS='-DGGML_NATIVE=OFF -DGGML_AVX2=ON "
            "-DGGML_FMA=ON -DGGML_F16C=ON -DGGML_AVX512=ON -DGGML_AVX512_VNNI=ON'"
        )
    if ran.returncode:
        sys.exit("llama-cpp-python failed; what it said stands above")
    report = json.loads(ran.stdout.splitlines()[-1])
    return report["version"], report["rates"]


def ik(options, model, repacked):
    """ik_llama.cpp: its llama-bench has no prompts after a context, so those cells stay empty."""
    shared = ["-m", str(Path(model).absolute()), "-t", str(options.threads)]

    def run(name, arguments, errors=subprocess.DEVNULL):
        with tempfile.TemporaryDirectory() as folder:  # it writes its log where it is started
            command = [str(Path(options.ik_bin).absolute() / name), *shared, *arguments]
            return subprocess.run(command, check=True, cwd=folder, stdout=subprocess.PIPE, stderr=errors).stdout.decode(errors="replace")

    # Tests after a context are asked for as a prompt and an answer, of which the answer is timed.
    after = [part for depth in options.depths if depth for part in ("-gp", f"{depth},{options.generate}")]
    rows = run("llama-bench", ["-p", ",".join(map(str, options.prompts)), "-n", str(options.generate), *after, "-r", "1", "-rtr", str(repacked), "-o", "json"])
    rates = {}
    for row in json.loads(rows[rows.index("["):]):
        both = row["n_prompt"] and row["n_gen"]
        what = f"tg{row['n_gen']}" if row["n_gen"] else f"pp{row['n_prompt']}"
        rates[f"{what} @ d{row['n_prompt'] if both else 0}"] = row["avg_ts"]
    if options.parallel:
        room = max(options.parallel) * (options.parallel_prompt + options.generate)
        arguments = ["-c", str(room), "-b", "512", "-ub", "512", "-npp", str(options.parallel_prompt), "-ntg", str(options.generate)]
        arguments += ["-npl", ",".join(map(str, options.parallel))] + (["-rtr"] if repacked else [])
        for line in run("llama-batched-bench", arguments, subprocess.STDOUT).splitlines():
            cells = [cell.strip() for cell in line.strip("|").split("|")]
            if line.startswith("|") and len(cells) == 10 and cells[0].isdigit():
                rates[f"tg{cells[1]} x{cells[2]} @ d{cells[0]}"] = float(cells[7])
    return rates


def spread(samples):
    return 100 * (max(samples) - min(samples)) / statistics.median(samples)


def cell(samples):
    return f"{statistics.median(samples):.1f} ± {spread(samples):.0f} %"


def processor():
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def prepared(venv):
    """The Python of an environment that has llama-cpp-python; makes it where it is missing."""
    python = Path(venv).absolute() / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
    if subprocess.run([str(python), "-c", "import llama_cpp"], stderr=subprocess.DEVNULL).returncode:
        print(f"building llama-cpp-python from source in {venv}; this takes minutes, once", file=sys.stderr, flush=True)
        environment = {**os.environ, "CMAKE_ARGS": os.environ.get("CMAKE_ARGS", "-DGGML_NATIVE=ON")}
        subprocess.run([str(python), "-m", "pip", "install", "--no-binary", "llama-cpp-python", "llama-cpp-python"], check=True, env=environment)
    return str(python)


def path_of(options, model):
    """A file, or the file of a model that Candor knows by name; it is pulled where it is not here."""
    if Path(model).exists():
        return model
    subprocess.run([options.candor, "pull", model], check=True, stdout=subprocess.DEVNULL)
    known = json.loads(subprocess.run([options.candor, "models", "--json"], check=True, stdout=subprocess.PIPE).stdout)
    return next(entry["path"] for entry in known if entry["name"] == model)


def gather(samples, rates):
    for test, rate in rates.items():
        samples.setdefault(test, []).append(rate)


def best(choices, test):
    """The faster of several settings: its name and samples; None where no setting has the test."""
    having = [(name, samples[test]) for name, samples in choices.items() if test in samples]
    return max(having, key=lambda choice: statistics.median(choice[1]), default=None)


def compare(options, model, notes):
    """The rows of one model."""
    mine, floors = {precision: {} for precision in options.precisions}, {}
    llama, other = {"off": {}, "on": {}}, {"as they are": {}, "repacked": {}}
    for _ in range(options.rounds):
        for precision, samples in mine.items():
            rows, rates, at_most = ours(options, model, precision)
            gather(samples, rates)
            gather(floors, at_most)
        for flash, samples in enumerate(llama.values()):
            notes["llama"], rates = theirs(options, model, flash)
            gather(samples, rates)
        for repacked, samples in enumerate(other.values() if options.ik_bin else ()):
            gather(samples, ik(options, model, repacked))
    first = rows[0]
    notes["build"], notes["cpu"] = first["build"], first["cpu_info"]
    probe = first["floor_int8_probe"]
    products = f"{first['floor_int8_per_second'] / 1e9:.0f} G int8 multiply-adds/s ({probe})" if probe else "no int8 unit"
    notes.setdefault("floors", []).append(
        f"{Path(model).name}: {first['floor_weight_bytes'] / 2**20:.1f} MiB of weights a token at {first['floor_read_bytes_per_second'] / 1e9:.1f} GB/s; {products}"
    )
    for (precision, tests), test in ((choice, test) for choice in mine.items() for test in choice[1]):
        median = statistics.median(tests[test])
        row = [Path(model).name, precision, test, cell(tests[test])]
        for choices in (llama, other) if options.ik_bin else (llama,):
            found = best(choices, test)
            row += [cell(found[1]), found[0], f"{median / statistics.median(found[1]):.2f}"] if found else ["", "", ""]
        floor = statistics.median(floors[test])
        yield row + [f"{floor:.0f}", f"{100 * median / floor:.0f} %"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="*", help=f"files, or names of `candor models`; default: {DEFAULT_MODEL}")
    parser.add_argument("--llama-python", default=sys.executable, help="a Python that has llama-cpp-python")
    parser.add_argument("--venv", help="an environment with llama-cpp-python instead; made here if it is missing")
    parser.add_argument("--ik-bin", help="the folder with ik_llama.cpp's llama-bench and llama-batched-bench, for a further column")
    parser.add_argument("--candor", default=str(ROOT / "target" / "release" / "candor"))
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--prompts", type=int, nargs="+", default=[128, 512])
    parser.add_argument("--generate", type=int, default=64)
    parser.add_argument("--depths", type=int, nargs="+", default=[0, 1024])
    parser.add_argument("--parallel", type=int, nargs="*", default=[4, 8, 16], help="answers at once; none leaves these tests out")
    parser.add_argument("--parallel-prompt", type=int, default=128, help="tokens of prompt of each of them")
    parser.add_argument("--precisions", nargs="+", default=["quantized", "fast"], help="of ours: activations of 16 bits, or of 8 as theirs are")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--flash", type=int, default=0, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        return worker(options)
    if options.venv:
        options.llama_python = prepared(options.venv)

    notes, table = {}, []
    for model in options.models or [DEFAULT_MODEL]:
        table += compare(options, path_of(options, model), notes)
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, stdout=subprocess.PIPE, text=True).stdout.strip()
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    print(f"{datetime.date.today()}; candor {notes['build']} ({commit}), {notes['cpu']}; llama-cpp-python {notes['llama']}, built from source with GGML_NATIVE=ON{'; ik_llama.cpp' if options.ik_bin else ''};")
    print(f"{processor()}, {os.cpu_count()} cores, {options.threads} threads; {options.rounds} rounds; load average at the end {load:.1f}.")
    print("Floors: " + ";\n".join(notes["floors"]) + ".")
    print(f"Command: {shlex.join(['python3', *map(os.path.basename, sys.argv[:1]), *map(os.path.basename, sys.argv[1:])])}\n")
    columns = ["model", "precision", "test", "candor t/s", "llama.cpp t/s", "its flash attention", "ratio"]
    columns += ["ik_llama.cpp t/s", "its weights", "ratio"] if options.ik_bin else []
    columns += ["at most t/s", "candor % of floor"]
    left = {"model", "precision", "test", "its flash attention", "its weights"}
    print("| " + " | ".join(columns) + " |")
    print("| " + " | ".join("---" if column in left else "---:" for column in columns) + " |")
    for row in table:
        print("| " + " | ".join(row) + " |")


if __name__ == "__main__":
    main()
