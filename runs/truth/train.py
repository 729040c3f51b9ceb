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

import argparse, json, os, pathlib, time

import torch
import torch.nn.functional as F

import export, feed, model as M

BF16 = torch.cuda.is_available() or torch.cpu._is_amx_tile_supported()


def forward(net, batch):
    """In bfloat16 where the machine multiplies it in hardware (a GPU, or a CPU with AMX: five times the speed of f32); losses are f32."""
    with torch.autocast(batch["ids"].device.type, dtype=torch.bfloat16, enabled=BF16):
        return {name: value.float() for name, value in net(batch["ids"], batch["types"], batch["mask"]).items()}


class QuestionLoss:
    def __init__(self, device):
        self.recent = torch.full((400,), float("inf"), device=device)  # span losses of made questions, for the round trip filter

    def __call__(self, net, b):
        """Loss of a batch of questions, and its parts. Shapes: pairs [questions, passages], -1 where there is no passage."""
        out = forward(net, b)
        there, pairs = b["pairs"] >= 0, b["pairs"].clamp(min=0)
        first = pairs[:, 0]
        allowed = (b["types"] % 2 == 1) & (b["mask"] == 1) & (b["ids"] != 102)
        logits = out["span"].masked_fill(~allowed.unsqueeze(2), feed.NONE)
        whole = torch.logsumexp(torch.logsumexp(logits, 1)[pairs].masked_fill(~there.unsqueeze(2), feed.NONE), 1)
        span = (whole[:, 0] - logits[first, b["span"][:, 0], 0] + whole[:, 1] - logits[first, b["span"][:, 1], 1]) / 2 * b["spanned"]
        sums = F.pad(out["evidence"][first].cumsum(1), (1, 0))
        size = (b["end"] - b["begin"]).clamp(min=1)
        scores = (sums.gather(1, b["end"]) - sums.gather(1, b["begin"])) / size + b["prior"]
        evidence = (torch.logsumexp(scores, 1) - scores.gather(1, b["answer"][:, None])[:, 0]) * b["judged"]
        ranks = out["rank"][pairs].masked_fill(~there, feed.NONE)
        rank = torch.logsumexp(ranks, 1) - ranks[:, 0]
        wanted = torch.zeros_like(ranks)
        wanted[:, 0] = 1
        answerable = F.binary_cross_entropy_with_logits(out["answerable"][pairs], wanted, reduction="none")
        answerable = (answerable * there).sum(1) / there.sum(1)
        w = torch.where(b["made"] & (span.detach() > self.recent.quantile(0.85, interpolation="lower")), 0.0, b["w"])
        self.recent = torch.cat([self.recent, span.detach()[b["made"] & b["spanned"]]])[-400:]
        parts = {"span": span, "evidence": evidence, "rank": rank, "answerable": answerable}
        return (w * (span + 0.7 * evidence + 0.3 * rank + 0.3 * answerable)).mean(), {k: v.detach().mean() for k, v in parts.items()}


def claim_loss(net, b):
    out = forward(net, b)
    verdict = (F.cross_entropy(out["verdict"], b["y"], reduction="none") * b["w"]).mean()
    claim = (b["types"] % 2 == 0) & (b["mask"] == 1) & (b["ids"] != 101) & (b["ids"] != 102) & b["marks"][:, None]
    marks = F.binary_cross_entropy_with_logits(out["unsupported"], b["bad"], pos_weight=torch.tensor(2.0, device=b["bad"].device), reduction="none")
    marks = (marks * claim).sum() / claim.sum().clamp(min=1)
    return verdict + marks, {"verdict": verdict.detach(), "marks": marks.detach(), "right": (out["verdict"].argmax(1) == b["y"]).float().mean()}


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
    p.add_argument("--start", type=pathlib.Path, help="folder of exported weights that this run begins with")
    p.add_argument("--minutes", type=float, default=70)
    p.add_argument("--rate", type=float, default=2e-4)
    p.add_argument("--budget", type=int, default=2400, help="padded tokens of a step")
    p.add_argument("--more", type=float, default=1, help="times the most items of a kind in an epoch")
    p.add_argument("--dropout", type=float, default=0.0, help="costs a third of a CPU's time; wanted where every item is seen many times")
    p.add_argument("--threads", type=int, default=0)
    args = p.parse_args()
    torch.manual_seed(10)
    if args.threads:
        torch.set_num_threads(args.threads)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    processes = os.cpu_count() if device == "cuda" else 1
    args.out.mkdir(parents=True, exist_ok=True)
    net = export.load(args.start, args.kind, args.dropout) if args.start else M.load(args.minilm, args.kind, args.dropout)[0]
    net.to(device).train()
    net.trunk.embeddings.word_embeddings.weight.requires_grad = False
    decay = [q for n, q in net.named_parameters() if q.requires_grad and q.ndim > 1]
    plain = [q for n, q in net.named_parameters() if q.requires_grad and q.ndim == 1]
    optimizer = torch.optim.AdamW([{"params": decay, "weight_decay": 0.01}, {"params": plain, "weight_decay": 0.0}], lr=args.rate, betas=(0.9, 0.98), fused=True)
    clock = time.time if device == "cuda" else time.process_time
    trained = [q for q in net.parameters() if q.requires_grad]
    average = [q.detach().clone() for q in trained]
    names = [n for n, q in net.named_parameters() if q.requires_grad]
    spent, step, tokens = 0.0, 0, 0
    saved = args.out / "state.pt"
    if saved.exists():
        state = torch.load(saved, weights_only=False, map_location=device)
        net.load_state_dict(state["net"])
        optimizer.load_state_dict(state["optimizer"])
        average = [state["average"][n] for n in names]
        spent, step, tokens = state["spent"], state["step"], state["tokens"]
    name = "questions" if args.kind == "reader" else "claims"
    dev = feed.items(args.data / f"{name}_dev.jsonl.gz", args.kind, args.minilm)[:200]
    items = feed.items(args.data / f"{name}.jsonl.gz", args.kind, args.minilm, processes)
    print(f"{len(items)} {name}, resumes at step {step}, {spent / 60:.1f} min spent", flush=True)
    batches = iter(torch.utils.data.DataLoader(feed.Batches(items, args.kind, args.budget, args.more, 10 + step), batch_size=None,
                                               num_workers=processes // 3 if device == "cuda" else 0, pin_memory=device == "cuda"))
    loss_of = QuestionLoss(device) if args.kind == "reader" else claim_loss
    logs, last_save, limit = {}, time.time(), args.minutes * 60

    def save():
        torch.save({"net": net.state_dict(), "average": dict(zip(names, average)), "optimizer": optimizer.state_dict(), "spent": spent, "step": step, "tokens": tokens}, args.out / "new.pt")
        (args.out / "new.pt").rename(saved)

    def look():
        """Held out figures of the averaged weights, which are what is exported."""
        with torch.no_grad():
            now = [q.clone() for q in trained]
            torch._foreach_copy_(trained, average)
            net.eval()
            print("dev", json.dumps(quick_dev(net, dev, device)), flush=True)
            torch._foreach_copy_(trained, now)
            net.train()

    while spent < limit:
        now = clock()
        rate = args.rate * min(1, (step + 1) / 25) * max(0.02, 1 - spent / limit)
        for g in optimizer.param_groups:
            g["lr"] = rate
        batch = next(batches)
        tokens += batch.pop("size")
        loss, parts = loss_of(net, {k: v.to(device, non_blocking=True) for k, v in batch.items()})
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        with torch.no_grad():
            torch._foreach_lerp_(average, trained, 1 - min(0.995, step / (step + 10)))
        step += 1
        spent += clock() - now
        for k, v in parts.items():
            logs.setdefault(k, []).append(v)
        if step % 50 == 0:
            print(json.dumps({"step": step, "min": round(spent / 60, 2), "tokens": tokens, "rate": f"{rate:.1e}", **{k: round(float(torch.stack(v[-50:]).mean()), 3) for k, v in logs.items()}}), flush=True)
            logs.clear()
        if time.time() - last_save > 60:
            save()
            last_save = time.time()
        if step % 1000 == 0:
            look()
    save()
    look()


if __name__ == "__main__":
    main()
