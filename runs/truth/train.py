"""Trains the reader on questions or the checker on claims, under a budget of minutes, and can be stopped at any time.

The budget counts processor time (all threads together; on a GPU wall time), so that a busy machine does not shorten it.
The learning rate falls linearly to zero over the budget, and a moving average of the weights is kept, which is what
`export.py` takes: a run that is stopped early still gives its best model.
Span logits are normalised over all passages of a question (Clark & Gardner 2018, arXiv:1710.10723), which makes them
comparable between passages. The evidence scores of the right passage's sentences are added to a fixed multiple of their
overlap with the question: the encoder learns what the shared words alone do not tell. Made questions whose loss is among the worst 15% of recent ones are left out of the
gradient: a reader that has learnt from the others cannot find their answer, so they are mostly ill-made (the round trip
filter, done on the way). Runs on a GPU where there is one.

    python train.py reader --minilm FOLDER --data FOLDER --out FOLDER --minutes 70      # run again to resume
"""

import argparse, gzip, json, pathlib, random, time

import torch
import torch.nn.functional as F

import features, model as M, texts

MADE = {"made", "summary", "glossary", "define", "cloze", "cross"}
BF16 = torch.cuda.is_available() or torch.cpu._is_amx_tile_supported()
PRIOR = 5.0  # of a sentence's overlap in its evidence score
# At most so many rows of a kind: a machine without a GPU sees some eighty thousand in its budget, so the mix matters.
MOST = {"reader": {"glossary": 1600, "define": 200, "medquad": 250, "answered": 400, "strategyqa": 600, "made": 5000, "cloze": 8000},
        "checker": {"glossary": 1500, "sentences": 7000}}


def read(path):
    with gzip.open(path, "rt", encoding="utf-8") as f:
        return [json.loads(line) for line in f]


def mixed(rows, most):
    seen, kept = {}, []
    random.Random(10).shuffle(rows)
    for r in rows:
        seen[r["src"]] = seen.get(r["src"], 0) + 1
        if seen[r["src"]] <= most.get(r["src"], 10**9):
            kept.append(r)
    return kept


def question_item(tokenizer, row):
    """One question with its passages, or None where the span does not survive tokenising or cutting."""
    pairs = []
    for passage in row["passages"]:
        x = M.encode(tokenizer, row["q"], passage["p"])
        x["span"] = None
        if isinstance(passage["a"], list):
            s, e = passage["a"]
            inside = [k for k, (a, b) in enumerate(x["offsets"]) if a < e and b > s]
            if not inside:
                return None
            x["span"] = (x["first"] + 2 + inside[0], x["first"] + 2 + inside[-1])
        cuts = texts.sentences(passage["p"])
        tokens, (prior,) = M.sentence_tokens(x, cuts), features.lexical(row["q"], [[passage["p"][s:e] for s, e in cuts]])[0]
        x["sentences"], x["prior"] = [r for r in tokens if r], [PRIOR * p[0] for r, p in zip(tokens, prior) if r]
        x["answers"] = [k for k, (a, b) in enumerate(x["sentences"]) if x["span"] and a <= x["span"][0] < b]
        pairs.append(x)
    return {"pairs": pairs, "w": row["w"], "made": row["src"] in MADE, "size": sum(len(x["ids"]) for x in pairs), "longest": max(len(x["ids"]) for x in pairs)}


def claim_item(tokenizer, row):
    x = M.encode(tokenizer, row["c"], row["e"])
    x["bad"] = [0.0] * len(x["ids"])
    for s, e in row["bad"]:
        for k, (a, b) in enumerate(x["first_offsets"]):
            if a < e and b > s:
                x["bad"][1 + k] = 1.0
    x["y"], x["marks"], x["w"] = row["y"], row.get("marks", True), row.get("w", 1.0)
    return {"pairs": [x], "size": len(x["ids"]), "longest": len(x["ids"])}


class Stream:
    """Endless batches of about `budget` padded tokens: shuffled, then sorted by length within pools."""

    def __init__(self, items, budget, rng):
        self.items, self.budget, self.rng, self.ready = items, budget, rng, []

    def next(self):
        if not self.ready:
            order = self.items[:]
            self.rng.shuffle(order)
            for k in range(0, len(order), 400):
                pool, group, longest, count = sorted(order[k:k + 400], key=lambda x: x["longest"]), [], 0, 0
                for x in pool:
                    if group and max(longest, x["longest"]) * (count + len(x["pairs"])) > self.budget:
                        self.ready.append(group)
                        group, longest, count = [], 0, 0
                    group.append(x)
                    longest, count = max(longest, x["longest"]), count + len(x["pairs"])
                self.ready.append(group)
            self.rng.shuffle(self.ready)
        return self.ready.pop()


def forward(net, ids, types, mask):
    """In bfloat16 where the machine multiplies it in hardware (a GPU, or a CPU with AMX: five times the speed of f32); losses are f32."""
    with torch.autocast(ids.device.type, dtype=torch.bfloat16, enabled=BF16):
        return {name: value.float() for name, value in net(ids, types, mask).items()}


def question_loss(net, group, device, worst):
    pairs = [p for x in group for p in x["pairs"]]
    ids, types, mask = M.batch(pairs, device)
    out = forward(net, ids, types, mask)
    allowed = (types % 2 == 1) & (mask == 1)
    allowed = allowed & (ids != 102)
    logits = out["span"].masked_fill(~allowed.unsqueeze(2), -1e4)
    loss, weights, at, parts = 0.0, 0.0, 0, {"span": 0.0, "evidence": 0.0, "rank": 0.0, "answerable": 0.0}
    for x in group:
        n = len(x["pairs"])
        rank = -F.log_softmax(out["rank"][at:at + n], 0)[0] if n > 1 else 0.0 * out["rank"][at]
        wanted = torch.zeros(n, device=device)
        wanted[0] = 1
        answerable = F.binary_cross_entropy_with_logits(out["answerable"][at:at + n], wanted)
        span = 0.0 * out["rank"][at]
        if x["pairs"][0]["span"]:
            s, e = x["pairs"][0]["span"]
            flat = logits[at:at + n].reshape(-1, 2)
            span = -(F.log_softmax(flat[:, 0], 0)[s] + F.log_softmax(flat[:, 1], 0)[e]) / 2
        evidence = 0.0 * out["rank"][at]
        right = x["pairs"][0]
        if right["answers"] and len(right["sentences"]) > 1:
            scores = torch.stack([out["evidence"][at, a:b].mean() for a, b in right["sentences"]]) + torch.tensor(right["prior"], device=device)
            evidence = -F.log_softmax(scores, 0)[right["answers"][0]]
        w = x["w"]
        if x["made"]:
            seen = sorted(worst[-400:])
            worst.append(float(span.detach()))
            if len(seen) >= 200 and worst[-1] > seen[int(0.85 * len(seen))]:
                w = 0.0
        loss, weights, at = loss + w * (span + 0.7 * evidence + 0.3 * rank + 0.3 * answerable), weights + 1, at + n
        for key, value in (("span", span), ("evidence", evidence), ("rank", rank), ("answerable", answerable)):
            parts[key] += float(value.detach() if torch.is_tensor(value) else value) / len(group)
    return loss / weights, parts


def claim_loss(net, group, device):
    pairs = [x["pairs"][0] for x in group]
    ids, types, mask = M.batch(pairs, device)
    out = forward(net, ids, types, mask)
    y = torch.tensor([p["y"] for p in pairs], device=device)
    w = torch.tensor([p["w"] for p in pairs], device=device)
    verdict = (F.cross_entropy(out["verdict"], y, reduction="none") * w).sum() / w.sum()
    bad = torch.tensor([p["bad"] + [0.0] * (ids.shape[1] - len(p["bad"])) for p in pairs], device=device)
    claim = (types % 2 == 0) & (mask == 1) & (ids != 101) & (ids != 102)
    claim = claim & torch.tensor([p["marks"] for p in pairs], device=device)[:, None]
    marks = F.binary_cross_entropy_with_logits(out["unsupported"], bad, pos_weight=torch.tensor(2.0, device=device), reduction="none")
    marks = (marks * claim).sum() / claim.sum().clamp(min=1)
    return verdict + marks, {"verdict": float(verdict), "marks": float(marks), "right": float((out["verdict"].argmax(1) == y).float().mean())}


@torch.no_grad()
def quick_dev(net, items, device):
    """The reader: shares of exact spans, right sentences and right ranks on held out questions; the checker: of right verdicts."""
    seen, right = {}, {}

    def count(key, hit):
        seen[key], right[key] = seen.get(key, 0) + 1, right.get(key, 0) + int(hit)

    for x in items:
        out = net(*M.batch(x["pairs"], device))
        if net.kind == "checker":
            count("verdict", out["verdict"].argmax() == x["pairs"][0]["y"])
            continue
        if len(x["pairs"]) > 1:
            count("rank", out["rank"].argmax() == 0)
        if x["pairs"][0]["span"]:
            _, s, e = M.best_span(out["span"][0, :, 0].cpu(), out["span"][0, :, 1].cpu(), x["pairs"][0])
            base = x["pairs"][0]["first"] + 2
            count("span", (s + base, e + base) == x["pairs"][0]["span"])
            scores = [float(out["evidence"][0, a:b].mean()) + prior for (a, b), prior in zip(x["pairs"][0]["sentences"], x["pairs"][0]["prior"])]
            count("evidence", scores.index(max(scores)) in x["pairs"][0]["answers"])
    return {k: round(right[k] / n, 3) for k, n in seen.items()}


def main():
    p = argparse.ArgumentParser()
    p.add_argument("kind", choices=list(M.HEADS))
    for flag in ("--minilm", "--data", "--out"):
        p.add_argument(flag, required=True, type=pathlib.Path)
    p.add_argument("--start", type=pathlib.Path, help="folder of an earlier run whose weights this one begins with")
    p.add_argument("--minutes", type=float, default=70)
    p.add_argument("--rate", type=float, default=2e-4)
    p.add_argument("--budget", type=int, default=2400, help="padded tokens of a step")
    p.add_argument("--frozen", type=int, default=0, help="lowest layers, and the embeddings, that stay as they are, which saves their backward pass")
    p.add_argument("--threads", type=int, default=0)
    args = p.parse_args()
    torch.manual_seed(10)
    if args.threads:
        torch.set_num_threads(args.threads)
    rng = random.Random(10)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    args.out.mkdir(parents=True, exist_ok=True)
    net, tokenizer = M.load(args.minilm, args.kind)
    if args.start:
        M.load_state(net, args.start)
    net.to(device).train()
    net.trunk.embeddings.word_embeddings.weight.requires_grad = False
    for part in ([net.trunk.embeddings] if args.frozen else []) + [*net.trunk.encoder.layer[:args.frozen]]:
        for q in part.parameters():
            q.requires_grad = False
    decay = [q for n, q in net.named_parameters() if q.requires_grad and q.ndim > 1]
    plain = [q for n, q in net.named_parameters() if q.requires_grad and q.ndim == 1]
    optimizer = torch.optim.AdamW([{"params": decay, "weight_decay": 0.01}, {"params": plain, "weight_decay": 0.0}], lr=args.rate, betas=(0.9, 0.98), fused=True)
    clock = time.time if device == "cuda" else time.process_time
    average = {n: q.detach().clone() for n, q in net.named_parameters() if q.requires_grad}
    spent, step, tokens, worst = 0.0, 0, 0, []
    saved = args.out / "state.pt"
    if saved.exists():
        state = torch.load(saved, weights_only=False)
        net.load_state_dict(state["net"])
        optimizer.load_state_dict(state["optimizer"])
        average = state["average"]
        spent, step, tokens, worst = state["spent"], state["step"], state["tokens"], state["worst"]
        rng.seed(10 + step)
    name, make = ("questions", question_item) if args.kind == "reader" else ("claims", claim_item)
    load = lambda name: [y for y in (make(tokenizer, r) for r in mixed(read(args.data / name), MOST[args.kind])) if y]
    items, dev = load(f"{name}.jsonl.gz"), load(f"{name}_dev.jsonl.gz")[:100]
    print(f"{len(items)} {name}, resumes at step {step}, {spent / 60:.1f} min spent", flush=True)
    stream = Stream(items, args.budget, rng)
    logs, last_save = {}, time.time()
    limit = args.minutes * 60

    def save():
        torch.save({"net": net.state_dict(), "average": average, "optimizer": optimizer.state_dict(), "spent": spent, "step": step, "tokens": tokens, "worst": worst[-400:]}, args.out / "new.pt")
        (args.out / "new.pt").rename(saved)

    while spent < limit:
        now = clock()
        rate = args.rate * min(1, (step + 1) / 25) * max(0.02, 1 - spent / limit)
        for g in optimizer.param_groups:
            g["lr"] = rate
        group = stream.next()
        loss, parts = question_loss(net, group, device, worst) if args.kind == "reader" else claim_loss(net, group, device)
        optimizer.zero_grad(set_to_none=True)
        if loss.requires_grad:
            loss.backward()
            torch.nn.utils.clip_grad_norm_(decay + plain, 1.0)
            optimizer.step()
            keep = min(0.99, step / (step + 10))
            with torch.no_grad():
                for n, q in net.named_parameters():
                    if n in average:
                        average[n].lerp_(q, 1 - keep)
        step, tokens = step + 1, tokens + sum(x["size"] for x in group)
        spent += clock() - now
        for k, v in parts.items():
            logs.setdefault(k, []).append(v)
        if step % 10 == 0:
            print(json.dumps({"step": step, "min": round(spent / 60, 2), "tokens": tokens, "rate": f"{rate:.1e}", **{k: round(sum(v[-40:]) / len(v[-40:]), 3) for k, v in logs.items()}}), flush=True)
        if time.time() - last_save > 60:
            save()
            last_save = time.time()
        if step % 200 == 0:
            net.eval()
            print("dev", json.dumps(quick_dev(net, dev, device)), flush=True)
            net.train()
    save()
    net.eval()
    print("dev", json.dumps(quick_dev(net, dev, device)), "done", flush=True)


if __name__ == "__main__":
    main()
