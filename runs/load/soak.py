#!/usr/bin/env python3
"""A mixed load for a long time, and what must hold at its end.

    make soak                                 five minutes
    make soak ARGS="--minutes 30 --json soak.json"

Clients send requests of every kind in mix.py, drawn at random with a seed, one after the other. Warm-up lasts until every
page of keys and values has been in use once (memory for them is taken as they are first written), and some more. Then:

* every answer has the status that its kind must have, and ends within --wait seconds;
* a request that is repeated has the same answer, whatever runs beside it;
* memory is flat: the slope over the medians of each half minute, with its 95 % interval (Student's t), lies below --grows;
* when all is over, no page of keys and values is held by nobody, no file handle is left, the queue is empty;
* what /metrics counts is what the clients counted (a request whose client left may be counted or not);
* a server that nobody asks takes less than 1 % of a processor over 20 seconds.

The exit status says whether all of it held.
"""
import argparse
import asyncio
import collections
import json
import math
import random
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests" / "support"))
import process  # noqa: E402
from mix import Mix  # noqa: E402
from servers import CHAT, EMBED, Candor  # noqa: E402

# 97.5 % of Student's t for 1, 2, … degrees of freedom; above 30 the normal's, a little widened.
STUDENT = [12.71, 4.30, 3.18, 2.78, 2.57, 2.45, 2.36, 2.31, 2.26, 2.23, 2.20, 2.18, 2.16, 2.14, 2.13, 2.12, 2.11, 2.10, 2.09, 2.09,
           2.08, 2.07, 2.07, 2.06, 2.06, 2.06, 2.05, 2.05, 2.05, 2.04]


def slope(points):
    """Least squares through (x, y): slope, and half of its 95 % interval."""
    n = len(points)
    if n < 3:
        return math.nan, math.nan
    mx, my = (statistics.fmean(values) for values in zip(*points))
    sxx = sum((x - mx) ** 2 for x, _ in points)
    rise = sum((x - mx) * (y - my) for x, y in points) / sxx
    error = math.sqrt(sum((y - my - rise * (x - mx)) ** 2 for x, y in points) / (n - 2) / sxx)
    return rise, error * (STUDENT[n - 3] if n - 3 < len(STUDENT) else 2.03)


def of_engine(metrics, name, **labels):
    """The sum over a metric's samples that have these labels."""
    wanted = [f'{key}="{value}"' for key, value in labels.items()]
    return sum(value for key, value in metrics.items() if key.split("{")[0] == name and all(label in key for label in wanted))


class Soak:
    def __init__(self, server, options):
        self.server, self.options = server, options
        self.mix = Mix(server.url, options.model, options.embed, options.wait)
        self.samples, self.results, self.failures = [], [], []
        self.over = False
        self.begin = time.monotonic()

    def since(self):
        return time.monotonic() - self.begin

    def sample(self):
        pid, metrics = self.server.process.pid, self.server.metrics()
        pages = {name: of_engine(metrics, f"candor_kv_pages_{name}") for name in ("used", "total")}
        self.samples.append({"at": self.since(), **process.memory(pid), "cpu_s": process.cpu_s(pid), "handles": process.handles(pid),
                             "threads": process.threads(pid), "pages": pages["used"], "queue": of_engine(metrics, "candor_queue_requests"),
                             "batch": of_engine(metrics, "candor_batch_requests"), "ended": len(self.results)})
        return pages["total"] > 0 and pages["used"] >= pages["total"] - 32

    async def watch(self):
        """Samples, and returns when everything was in use once."""
        while not await asyncio.to_thread(self.sample):
            await asyncio.sleep(2)
        return self.since()

    async def keep_watching(self):
        while not self.over:
            await asyncio.to_thread(self.sample)
            await asyncio.sleep(2)

    async def client(self, number):
        draw = random.Random(self.options.seed * 1000 + number)
        while not self.over:
            result = await self.mix.one(draw)
            self.results.append(result)
            if result.wrong:
                self.failures.append(f"{result.kind} after {self.since():.0f} s: {result.wrong}")
                print(self.failures[-1], flush=True)

    async def run(self):
        clients = [asyncio.create_task(self.client(number)) for number in range(self.options.clients)]
        full = await asyncio.wait_for(self.watch(), 1800)
        warm = full + self.options.warm
        print(f"all pages were in use after {full:.0f} s; memory is measured from {warm:.0f} s on", flush=True)
        watching = asyncio.create_task(self.keep_watching())
        await asyncio.sleep(max(0, warm - self.since()) + self.options.minutes * 60)
        self.over = True
        await asyncio.gather(*clients, watching)
        await self.check(warm)

    def must(self, holds, what):
        print(f"{'holds' if holds else 'FAILS'}: {what}", flush=True)
        if not holds:
            self.failures.append(what)

    async def check(self, warm):
        mib = 1 << 20
        parts = collections.defaultdict(list)
        for sample in self.samples:
            if sample["at"] >= warm:
                parts[int((sample["at"] - warm) // 30)].append(sample)
        hours = lambda part: (part + 0.5) / 120
        for what in ("rss", "anonymous"):
            medians = [(hours(part), statistics.median(sample[what] for sample in own) / mib) for part, own in sorted(parts.items())]
            medians = medians[:-1] if len(medians) > 4 else medians
            rise, half = slope(medians)
            later, around = slope(medians[len(medians) // 2:])
            now = statistics.median(value for _, value in medians)
            self.must(rise + half < self.options.grows, f"{what} {now:.0f} MiB grows by {rise:.1f} ± {half:.1f} MiB an hour, less than {self.options.grows} "
                      f"(the second half alone: {later:.1f} ± {around:.1f})")
        self.must(not any(result.wrong for result in self.results), f"{len(self.results)} requests ended as they must, the slowest after {max(result.seconds for result in self.results):.1f} s")
        await self.settle()
        metrics = self.server.metrics()
        for name in ("candor_queue_requests", "candor_batch_requests", "candor_kv_pages_leaked"):
            # A gauge that is not there would read as none.
            self.must(any(key.split("{")[0] == name for key in metrics), f"/metrics shows {name}")
            self.must(of_engine(metrics, name) == 0, f"{name} is {of_engine(metrics, name):.0f} when nobody asks")
        self.add_up(metrics)
        open_ = process.handles(self.server.process.pid)
        self.must(open_ <= self.first_handles + 16, f"{open_} open files and sockets ({self.first_handles} at the start)")
        before = process.cpu_s(self.server.process.pid)
        await asyncio.sleep(20)
        idle = (process.cpu_s(self.server.process.pid) - before) / 20
        self.must(idle < 0.01, f"idle it takes {100 * idle:.2f} % of a processor")

    async def settle(self):
        """Waits until what clients left behind was dropped."""
        for _ in range(100):
            metrics = self.server.metrics()
            if of_engine(metrics, "candor_batch_requests") + of_engine(metrics, "candor_queue_requests") == 0:
                break
            await asyncio.sleep(0.1)
        await asyncio.sleep(1)

    def add_up(self, metrics):
        stayed = [result for result in self.results if not result.left]
        for status in sorted({result.status for result in self.results if result.status}):
            counted = sum(value for key, value in metrics.items()
                          if key.startswith("candor_http_requests_total") and f'status="{status}"' in key and '"/metrics"' not in key)
            known = sum(result.status == status for result in stayed)
            most = known + sum(result.left for result in self.results)
            self.must(known <= counted <= most, f"{counted:.0f} requests with status {status} were counted, {known} to {most} were seen")
        ended = sum(result.answers for result in stayed if result.status == 200 and result.tokens)
        counted = of_engine(metrics, "candor_requests_total", model=self.options.model)
        most = ended + sum(result.left for result in self.results)
        self.must(ended <= counted <= most, f"{counted:.0f} answers were counted, {ended} to {most} were seen")
        tokens = sum(result.tokens for result in stayed)
        counted = of_engine(metrics, "candor_generated_tokens_total", model=self.options.model)
        most = tokens + 400 * sum(result.left for result in self.results)
        self.must(tokens <= counted <= most, f"{counted:.0f} tokens were counted, {tokens} to {most} were seen")

    def table(self):
        kinds = collections.defaultdict(list)
        for result in self.results:
            kinds[result.kind].append(result)
        lines = ["| kind | requests | by status | median s | slowest s |", "| --- | ---: | --- | ---: | ---: |"]
        for kind, own in sorted(kinds.items()):
            by_status = collections.Counter(result.status or "left" for result in own)
            seconds = [result.seconds for result in own]
            lines.append(f"| {kind} | {len(own)} | {', '.join(f'{status}: {count}' for status, count in sorted(by_status.items(), key=str))} "
                         f"| {statistics.median(seconds):.2f} | {max(seconds):.2f} |")
        return "\n".join(lines)


async def soak(server, options):
    run = Soak(server, options)
    run.first_handles = process.handles(server.process.pid)
    begin = process.memory(server.process.pid)
    try:
        await run.run()
    finally:
        print(run.table())
        if options.json:
            Path(options.json).write_text(json.dumps({
                "options": vars(options), "start": begin, "failures": run.failures, "samples": run.samples,
                "requests": [vars(result) for result in run.results]}))
    return run.failures


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=5, help="after the warm-up")
    parser.add_argument("--warm", type=float, default=60, help="seconds of warm-up after all pages were in use")
    parser.add_argument("--clients", type=int, default=12)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--wait", type=float, default=120, help="seconds after which a request counts as stuck")
    parser.add_argument("--grows", type=float, default=64, help="MiB an hour that memory must be shown to grow less than")
    parser.add_argument("--model", default=CHAT)
    parser.add_argument("--embed", default=EMBED)
    parser.add_argument("--json", help="every sample and request, to this file")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as data, Candor(data, models=(options.model, options.embed)) as server:
        failures = asyncio.run(soak(server, options))
    print(f"{len(failures)} failed" if failures else "all held")
    sys.exit(bool(failures))


if __name__ == "__main__":
    main()
