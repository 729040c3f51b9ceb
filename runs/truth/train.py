"""Trains the truth encoder on questions and claims together, under a budget of minutes, and can be stopped at any time.

The budget counts processor time (all threads together; on a GPU wall time), so that a busy machine does not shorten it.
The learning rate falls linearly to zero over the budget, and a moving average of the weights is kept, which is what
`export.py` takes: a run that is stopped early still gives its best model.
Span logits are normalised over all passages of a question (Clark & Gardner 2018, arXiv:1710.10723), which makes them
comparable between passages. Made questions whose loss is among the worst 15% of recent ones are left out of the
gradient: a reader that has learnt from the others cannot find their answer, so they are mostly ill-made (the round trip
filter, done on the way). Runs on a GPU where there is one.

    python train.py --minilm FOLDER --data FOLDER --out FOLDER --minutes 70      # run again to resume
"""

import argparse, gzip, json, pathlib, random, time

import torch
import torch.nn.functional as F

import model as M

MADE = {"made", "summary", "glossary", "define"}
# At most so many questions of a kind: a machine without a GPU sees some ten thousand in its budget, so the mix matters.
MOST = {"glossary": 2200, "define": 400, "medquad": 500, "answered": 400, "strategyqa": 600, "fairytale": 3500}


def read(path):
    with gzip.open(path, "rt", encoding="utf-8") as f:
        return [json.loads(line) for line in f]


def mixed(rows):
    seen, kept = {}, []
    random.Random(10).shuffle(rows)
    for r in rows:
        seen[r["src"]] = seen.get(r["src"], 0) + 1
        if seen[r["src"]] <= MOST.get(r["src"], 10**9):
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


def question_loss(net, group, device, worst):
    pairs = [p for x in group for p in x["pairs"]]
    ids, types, mask = M.batch(pairs, device)
    out = net(ids, types, mask)
    allowed = (types == 1) & (mask == 1)
    allowed = allowed & (ids != 102)
    logits = out["span"].masked_fill(~allowed.unsqueeze(2), -1e4)
    loss, weights, at, parts = 0.0, 0.0, 0, {"span": 0.0, "rank": 0.0, "answerable": 0.0}
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
        w = x["w"]
        if x["made"]:
            seen = sorted(worst[-400:])
            worst.append(float(span.detach()))
            if len(seen) >= 200 and worst[-1] > seen[int(0.85 * len(seen))]:
                w = 0.0
        loss, weights, at = loss + w * (span + 0.5 * rank + 0.5 * answerable), weights + 1, at + n
        for key, value in (("span", span), ("rank", rank), ("answerable", answerable)):
            parts[key] += float(value.detach() if torch.is_tensor(value) else value) / len(group)
    return loss / weights, parts


def claim_loss(net, group, device):
    pairs = [x["pairs"][0] for x in group]
    ids, types, mask = M.batch(pairs, device)
    out = net(ids, types, mask)
    y = torch.tensor([p["y"] for p in pairs], device=device)
    w = torch.tensor([p["w"] for p in pairs], device=device)
    verdict = (F.cross_entropy(out["verdict"], y, reduction="none") * w).sum() / w.sum()
    bad = torch.tensor([p["bad"] + [0.0] * (ids.shape[1] - len(p["bad"])) for p in pairs], device=device)
    claim = (types == 0) & (mask == 1) & (ids != 101) & (ids != 102)
    claim = claim & torch.tensor([p["marks"] for p in pairs], device=device)[:, None]
    marks = F.binary_cross_entropy_with_logits(out["unsupported"], bad, pos_weight=torch.tensor(2.0, device=device), reduction="none")
    marks = (marks * claim).sum() / claim.sum().clamp(min=1)
    return verdict + marks, {"verdict": float(verdict), "marks": float(marks), "right": float((out["verdict"].argmax(1) == y).float().mean())}


@torch.no_grad()
def quick_dev(net, questions, claims, device):
    """Share of exact spans and of right ranks on held out questions, and of right verdicts on held out claims."""
    exact = ranked = spans = groups = right = 0
    for x in questions:
        out = net(*M.batch(x["pairs"], device))
        if len(x["pairs"]) > 1:
            groups, ranked = groups + 1, ranked + int(out["rank"].argmax() == 0)
        if x["pairs"][0]["span"]:
            _, s, e = M.best_span(out["span"][0, :, 0].cpu(), out["span"][0, :, 1].cpu(), x["pairs"][0])
            base = x["pairs"][0]["first"] + 2
            spans, exact = spans + 1, exact + int((s + base, e + base) == x["pairs"][0]["span"])
    for x in claims:
        right += int(net(*M.batch(x["pairs"], device))["verdict"].argmax() == x["pairs"][0]["y"])
    return {"span exact": round(exact / max(1, spans), 3), "rank": round(ranked / max(1, groups), 3), "verdict": round(right / max(1, len(claims)), 3)}


def main():
    p = argparse.ArgumentParser()
    for flag in ("--minilm", "--data", "--out"):
        p.add_argument(flag, required=True, type=pathlib.Path)
    p.add_argument("--start", type=pathlib.Path, help="folder of an earlier run whose weights this one begins with")
    p.add_argument("--minutes", type=float, default=70)
    p.add_argument("--rate", type=float, default=2e-4)
    p.add_argument("--budget", type=int, default=2400, help="padded tokens of a step")
    p.add_argument("--frozen", type=int, default=0, help="lowest layers, and the embeddings, that stay as they are, which saves their backward pass")
    p.add_argument("--claims", type=float, default=0.4, help="share of steps on claims")
    args = p.parse_args()
    torch.manual_seed(10)
    rng = random.Random(10)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    args.out.mkdir(parents=True, exist_ok=True)
    net, tokenizer = M.load(args.minilm)
    if args.start:
        M.load_state(net, args.start)
    net.to(device).train()
    net.trunk.embeddings.word_embeddings.weight.requires_grad = False
    for part in ([net.trunk.embeddings] if args.frozen else []) + [*net.trunk.encoder.layer[:args.frozen]]:
        for q in part.parameters():
            q.requires_grad = False
    decay = [q for n, q in net.named_parameters() if q.requires_grad and q.ndim > 1]
    plain = [q for n, q in net.named_parameters() if q.requires_grad and q.ndim == 1]
    optimizer = torch.optim.AdamW([{"params": decay, "weight_decay": 0.01}, {"params": plain, "weight_decay": 0.0}], lr=args.rate, betas=(0.9, 0.98))
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
    load = lambda name, make: [y for y in (make(tokenizer, r) for r in mixed(read(args.data / name) if (args.data / name).exists() else [])) if y]
    questions, claims = load("questions.jsonl.gz", question_item), load("claims.jsonl.gz", claim_item)
    dev_questions, dev_claims = load("questions_dev.jsonl.gz", question_item)[:120], load("claims_dev.jsonl.gz", claim_item)[:120]
    print(f"{len(questions)} questions, {len(claims)} claims, resumes at step {step}, {spent / 60:.1f} min spent", flush=True)
    q_stream, c_stream = Stream(questions, args.budget, rng), Stream(claims, args.budget, rng)
    logs, last, last_save, begun = {}, time.time(), time.time(), time.time()
    limit = args.minutes * 60

    def save():
        torch.save({"net": net.state_dict(), "average": average, "optimizer": optimizer.state_dict(), "spent": spent, "step": step, "tokens": tokens, "worst": worst[-400:]}, args.out / "new.pt")
        (args.out / "new.pt").rename(saved)

    while spent < limit:
        now = clock()
        rate = args.rate * min(1, (step + 1) / 25) * max(0.02, 1 - spent / limit)
        for g in optimizer.param_groups:
            g["lr"] = rate
        if claims and rng.random() < args.claims:
            group = c_stream.next()
            loss, parts = claim_loss(net, group, device)
        else:
            group = q_stream.next()
            loss, parts = question_loss(net, group, device, worst)
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
            print("dev", json.dumps(quick_dev(net, dev_questions, dev_claims, device)), flush=True)
            net.train()
    save()
    net.eval()
    print("dev", json.dumps(quick_dev(net, dev_questions, dev_claims, device)), "done", flush=True)


if __name__ == "__main__":
    main()
