"""Measures the truth encoder: reader and evidence on XQuAD (en), checker on FEVER-symmetric and WiCE.

Nothing is trained here. Few-number fits (weights of a logistic mix, thresholds) come from calibrate splits, or on XQuAD
from the other articles in five folds. `--share 0.25` takes every fourth question while developing; `--weights` takes the
exported int8 file, so figures are those of what is shipped. Encoder outputs are kept in OUT.json, as they cost minutes.

    python evaluate.py questions --weights ../../crates/truth/weights/truth.safetensors --minilm FOLDER --out /tmp/q.json
    python evaluate.py claims    --weights ... --minilm FOLDER --out /tmp/c.json [--split dev|test]
    python evaluate.py stories   --weights ... --minilm FOLDER --out /tmp/s.json      # FairytaleQA val, gold passages
"""

import argparse, collections, json, pathlib, re, string, time

import numpy as np
import torch

import export, model as M, texts
from bm25 import Bm25, stems


def normal(text):
    text = "".join(c for c in text.lower() if c not in set(string.punctuation))
    return re.sub(r"\b(a|an|the)\b", " ", text).split()


def f1(given, gold):
    a, b = normal(given), normal(gold)
    same = sum((collections.Counter(a) & collections.Counter(b)).values())
    return 2 * same / (len(a) + len(b)) if same else float(a == b)


def auroc(scores, labels):
    scores, labels = np.asarray(scores, float), np.asarray(labels, bool)
    order = np.argsort(scores, kind="stable")
    ranks = np.empty(len(scores))
    ranks[order] = np.arange(1, len(scores) + 1)
    for v in np.unique(scores):
        ranks[scores == v] = ranks[scores == v].mean()
    p, n = labels.sum(), (~labels).sum()
    return float((ranks[labels].sum() - p * (p + 1) / 2) / (p * n))


def logistic(x, y, penalty=1.0, rounds=60):
    """Weights, bias and scaling of an L2-penalised logistic fit by Newton's method."""
    mean, std = x.mean(0), x.std(0) + 1e-6
    z = np.c_[(x - mean) / std, np.ones(len(x))]
    w = np.zeros(z.shape[1])
    for _ in range(rounds):
        p = 1 / (1 + np.exp(-z @ w))
        g = z.T @ (p - y) + penalty * np.r_[w[:-1], 0]
        h = (z * (p * (1 - p))[:, None]).T @ z + penalty * np.diag(np.r_[np.ones(len(w) - 1), 1e-6])
        w -= np.linalg.solve(h, g)
    return lambda v: ((v - mean) / std) @ w[:-1] + w[-1]


@torch.no_grad()
def run(net, items):
    """Encoder outputs of many pairs, in batches sorted by length, back in order."""
    out, order = [None] * len(items), sorted(range(len(items)), key=lambda k: len(items[k]["ids"]))
    for a in range(0, len(order), 16):
        part = order[a:a + 16]
        got = net(*M.batch([items[k] for k in part]))
        for row, k in enumerate(part):
            out[k] = {key: value[row].numpy() for key, value in got.items()}
    return out


@torch.no_grad()
def embed(minilm, tokenizer, pieces):
    """all-MiniLM-L6-v2's own sentence vectors: the mean of the last states, normalised."""
    out = []
    for a in range(0, len(pieces), 32):
        ids = [[101] + tokenizer.encode(p, add_special_tokens=False).ids[:126] + [102] for p in pieces[a:a + 32]]
        n = max(map(len, ids))
        mask = torch.tensor([[1.0] * len(i) + [0.0] * (n - len(i)) for i in ids])
        h = minilm(input_ids=torch.tensor([i + [0] * (n - len(i)) for i in ids]), attention_mask=mask).last_hidden_state
        v = (h * mask[:, :, None]).sum(1) / mask.sum(1, keepdim=True)
        out.append(torch.nn.functional.normalize(v, dim=1).numpy())
    return np.concatenate(out)


def sentence_spans(net_out, item, passage):
    """For each sentence of the passage: its best span's score and text, and the answer-like score of its tokens."""
    base, n = item["first"] + 2, len(item["offsets"])
    start, end = net_out["span"][base:base + n, 0], net_out["span"][base:base + n, 1]
    total = np.log(np.exp(start - start.max()).sum()) + start.max() + np.log(np.exp(end - end.max()).sum()) + end.max()
    rows = []
    for s, e in texts.sentences(passage):
        best = (-1e9, "")
        inside = [k for k, (a, b) in enumerate(item["offsets"]) if a >= s and b <= e]
        for i in inside:
            for j in range(i, min(i + 20, inside[-1] + 1)):
                if start[i] + end[j] > best[0]:
                    best = (float(start[i] + end[j]), passage[item["offsets"][i][0]:item["offsets"][j][1]])
        rows.append({"s": s, "e": e, "span": best[0], "text": best[1], "log_p": best[0] - float(total)})
    return rows


def questions(args, net, tokenizer):
    rows = texts.records("xquad/xquad.en")
    passages = [r["context"] for r in rows]
    index = Bm25(passages)
    asked = [(k, r["title"], q["question"], [a["text"] for a in q["answers"]], q["answers"][0]["answer_start"]) for k, r in enumerate(rows) for q in r["qas"]]
    asked = asked[::max(1, round(1 / args.share))]
    if args.out.exists():
        kept = json.loads(args.out.read_text())
    else:
        pairs = []
        for gold, _, question, *_ in asked:
            found = index.top(question, 4)
            pairs.append(found if gold in found else found + [gold])
        flat = [(q, k) for q, ks in enumerate(pairs) for k in ks]
        items = [M.encode(tokenizer, asked[q][2], passages[k]) for q, k in flat]
        begun, kept = time.time(), collections.defaultdict(dict)
        for (q, k), item, out in zip(flat, items, run(net, items)):
            kept[str(q)][str(k)] = {"rank": float(out["rank"]), "answerable": float(out["answerable"]), "sentences": sentence_spans(out, item, passages[k])}
        print(f"{len(flat)} pairs in {time.time() - begun:.0f} s")
        args.out.write_text(json.dumps(kept))
    from transformers import BertModel
    minilm = BertModel.from_pretrained(args.minilm, add_pooling_layer=False).eval()
    pieces = [(k, s, e) for k, p in enumerate(passages) for s, e in texts.sentences(p)]
    vectors = dict(zip(pieces, embed(minilm, tokenizer, [passages[k][s:e] for k, s, e in pieces])))
    asked_vectors = embed(minilm, tokenizer, [a[2] for a in asked])
    by_sentence = Bm25([passages[k][s:e] for k, s, e in pieces])
    where = {x: n for n, x in enumerate(pieces)}

    gold_f1, gold_em, plain = [], [], 0
    table, none_table = [], []   # one row per candidate sentence: (question, fold, features, holds the answer, text)
    folds = {t: n % 5 for n, t in enumerate(dict.fromkeys(a[1] for a in asked))}
    for q, (gold, title, question, answers, start) in enumerate(asked):
        got = kept[str(q)]
        best = max(got[str(gold)]["sentences"], key=lambda s: s["span"])
        gold_f1.append(max(f1(best["text"], a) for a in answers))
        gold_em.append(max(float(normal(best["text"]) == normal(a)) for a in answers))
        passage_scores, sentence_scores = index.scores(question), by_sentence.scores(question)
        order = index.top(question, 4)
        for target, ks in ((table, order[:3]), (none_table, [k for k in order if k != gold][:3])):
            for k in ks:
                for s in got[str(k)]["sentences"]:
                    at = (k, s["s"], s["e"])
                    cos = float(vectors[at] @ asked_vectors[q])
                    holds = k == gold and s["s"] <= start < s["e"]
                    target.append((q, folds[title], [s["span"], got[str(k)]["rank"], got[str(k)]["answerable"], sentence_scores.get(where[at], 0.0),
                                                     passage_scores.get(k, 0.0), cos, s["log_p"]], holds, s["text"]))
    print(f"reader, gold passage: F1 {np.mean(gold_f1):.3f}  EM {np.mean(gold_em):.3f}  ({len(asked)} questions)")
    features = np.array([r[2] for r in table])
    fold, holds = np.array([r[1] for r in table]), np.array([r[3] for r in table])
    question_of = np.array([r[0] for r in table])
    none_features, none_fold, none_q = np.array([r[2] for r in none_table]), np.array([r[1] for r in none_table]), np.array([r[0] for r in none_table])

    def first(score, rows=question_of):
        best = {}
        for n, q in enumerate(rows):
            if q not in best or score[n] > score[best[q]]:
                best[q] = n
        return best

    for name, score in (("span score", features[:, 0]), ("rank + span", features[:, 0] + features[:, 1]), ("BM25 sentence", features[:, 3]), ("MiniLM cosine", features[:, 5])):
        picked = first(score)
        print(f"first sentence holds the answer, {name}: {np.mean([holds[n] for n in picked.values()]):.3f}")
    mixed, none_mixed = np.zeros(len(table)), np.zeros(len(none_table))
    plain_mix = np.zeros(len(table))
    for f in range(5):
        fit = logistic(features[fold != f], holds[fold != f])
        mixed[fold == f], none_mixed[none_fold == f] = fit(features[fold == f]), fit(none_features[none_fold == f])
        fit = logistic(features[fold != f][:, [3, 4, 5]], holds[fold != f])
        plain_mix[fold == f] = fit(features[fold == f][:, [3, 4, 5]])
    picked = first(mixed)
    print(f"first sentence holds the answer, BM25 + MiniLM mixed by folds, without the encoder: {np.mean([holds[n] for n in first(plain_mix).values()]):.3f}")
    print(f"first sentence holds the answer, all mixed by folds: {np.mean([holds[n] for n in picked.values()]):.3f}")
    short = [max(f1(table[n][4], a) for a in asked[q][3]) for q, n in picked.items()]
    exact = [max(float(normal(table[n][4]) == normal(a)) for a in asked[q][3]) for q, n in picked.items()]
    print(f"short answer in the pipeline: F1 {np.mean(short):.3f}  EM {np.mean(exact):.3f}")
    none_picked = first(none_mixed, none_q)
    labels = [1] * len(picked) + [0] * len(none_picked)
    print(f"answerability AUROC, right passage removed: mix {auroc([mixed[n] for n in picked.values()] + [none_mixed[n] for n in none_picked.values()], labels):.3f}", end="  ")
    top = lambda x, rows, c: [max(x[n, c] for n in np.where(rows == q)[0]) for q in dict.fromkeys(rows)]
    print(f"answerable head {auroc(top(features, question_of, 2) + top(none_features, none_q, 2), labels):.3f}  span score {auroc(top(features, question_of, 0) + top(none_features, none_q, 0), labels):.3f}")
    # the features of a question's best sentence, its lead over the second, and the best passage's answerable logit
    def of_question(score, x, rows, best):
        out = []
        for q, n in best.items():
            others = [score[m] for m in np.where(rows == q)[0] if m != n]
            out.append([score[n], score[n] - max(others, default=score[n] - 5), *x[n]])
        return np.array(out)
    a, b = of_question(mixed, features, question_of, picked), of_question(none_mixed, none_features, none_q, none_picked)
    x, y = np.r_[a, b], np.array(labels)
    group = np.array([fold[n] for n in picked.values()] + [none_fold[n] for n in none_picked.values()])
    score = np.zeros(len(x))
    for f in range(5):
        score[group == f] = logistic(x[group != f], y[group != f])(x[group == f])
    print(f"answerability AUROC, features of the best sentence fitted by folds: {auroc(score, y):.3f}")
    right = np.array([holds[n] for n in picked.values()] + [False] * len(none_picked))
    print(f"  at 90% of removed refused: answered {np.mean(score[:len(picked)] > np.quantile(score[len(picked):], 0.9)):.3f} of the answerable")
    print(f"AUROC of 'the quoted sentence holds the answer' among all: {auroc(score, right):.3f}")


def best_threshold(scores, labels):
    """The cut with the best balanced accuracy."""
    scores, labels = np.asarray(scores), np.asarray(labels, bool)
    cuts = np.unique(scores)
    balanced = [(scores[labels] >= c).mean() / 2 + (scores[~labels] < c).mean() / 2 for c in cuts]
    return cuts[int(np.argmax(balanced))]


def balanced(scores, labels, cut):
    scores, labels = np.asarray(scores), np.asarray(labels, bool)
    return float((scores[labels] >= cut).mean() / 2 + (scores[~labels] < cut).mean() / 2)


def overlap(claim, evidence):
    a, b = set(stems(claim)), set(stems(evidence))
    return len(a & b) / max(1, len(a))


def fever_rows(split):
    undo = lambda t: re.sub(r" ([.,;:'])", r"\1", t.replace("-LRB- ", "(").replace(" -RRB-", ")").replace("``", '"').replace("''", '"'))
    return [(undo(r["claim"] if "claim" in r else r["sentence2"]), undo(r["evidence"] or r["sentence1"]), (r["label"] or r["gold_label"]) == "SUPPORTS") for r in texts.records(f"fever_symmetric/v0.2_{split}")]


def wice_rows(split, words=110):
    """Claims with the evidence sentences that share most with them (BM25 within the document), in document order."""
    rows = []
    for r in texts.records(f"wice/claim_{split}"):
        found, chosen, size = Bm25(r["evidence"]).top(r["claim"], 8), [], 0
        for k in found:
            size += len(r["evidence"][k].split())
            if size > words and chosen:
                break
            chosen.append(k)
        rows.append((r["claim"], " ".join(r["evidence"][k] for k in sorted(chosen)), r["label"] == "supported"))
    return rows


def claims(args, net, tokenizer):
    for name, rows_of in (("FEVER-symmetric", fever_rows), ("WiCE (partially -> unsupported)", wice_rows)):
        scored = {}
        for split in ("dev", "test") if args.split == "test" else ("dev",):
            rows = rows_of(split)
            out = run(net, [M.encode(tokenizer, c, e) for c, e, _ in rows])
            sides = np.array([o["verdict"] for o in out], dtype=float)
            p = np.exp(sides - sides.max(1, keepdims=True))
            p /= p.sum(1, keepdims=True)
            bad = []
            for o, (c, e, _) in zip(out, rows):
                n = len(tokenizer.encode(c, add_special_tokens=False).ids[:96])
                bad.append(float(np.max(o["unsupported"][1:1 + n])))
            lap = np.array([overlap(c, e) for c, e, _ in rows])
            x = np.c_[sides[:, 0] - np.logaddexp(sides[:, 1], sides[:, 2]), sides[:, 0] - sides[:, 1], bad, lap]
            scored[split] = {"supported against the rest": x[:, 0], "supported against contradicted": x[:, 1], "worst token mark": -x[:, 2], "lexical overlap": lap, "x": x, "y": np.array([r[2] for r in rows])}
        dev = scored["dev"]
        mix = logistic(dev["x"], dev["y"])
        for s in scored.values():
            s["mixed (fit on dev)"] = mix(s["x"])
        for key in dev:
            if key in ("x", "y"):
                continue
            cut = best_threshold(dev[key], dev["y"])
            line = f"{name}: {key}: dev {balanced(dev[key], dev['y'], cut):.3f} AUROC {auroc(dev[key], dev['y']):.3f}"
            if "test" in scored:
                t = scored["test"]
                line += f"   test {balanced(t[key], t['y'], cut):.3f} AUROC {auroc(t[key], t['y']):.3f}"
            print(line)


def stories(args, net, tokenizer):
    rows = [(q["question"], r["context"], q["answers"][0]["text"], q["answers"][0]["answer_start"]) for r in texts.records("fairytaleqa/val") for q in r["qas"] if q["answers"][0]["answer_start"] is not None]
    rows = rows[::max(1, round(1 / args.share))]
    scores, sentence_right = [], []
    items, cut = [], []
    for q, context, answer, start in rows:
        first = max(0, context.rfind("\n\n", 0, start) + 2 if "\n\n" in context[:start] else 0)
        passage = context[first:].replace("\n\n", " ")
        items.append(M.encode(tokenizer, q, passage))
        cut.append((passage, start - first))
    for (q, _, answer, _), (passage, start), item, out in zip(rows, cut, items, run(net, items)):
        best = max(sentence_spans(out, item, passage), key=lambda s: s["span"])
        scores.append(f1(best["text"], answer))
        sentence_right.append(best["s"] <= start < best["e"])
    print(f"FairytaleQA val: F1 {np.mean(scores):.3f}, sentence of the span right {np.mean(sentence_right):.3f} ({len(rows)} questions)")


def main():
    p = argparse.ArgumentParser()
    p.add_argument("what", choices=["questions", "claims", "stories"])
    p.add_argument("--weights", required=True, help="truth.safetensors, or a training folder with state.pt")
    p.add_argument("--minilm", required=True, type=pathlib.Path)
    p.add_argument("--out", type=pathlib.Path, default=pathlib.Path("/nonexistent"))
    p.add_argument("--share", type=float, default=1.0)
    p.add_argument("--split", choices=["dev", "test"], default="dev")
    args = p.parse_args()
    if pathlib.Path(args.weights).is_dir():
        net, tokenizer = M.load(args.minilm)
        M.load_state(net, args.weights)
    else:
        net, tokenizer = export.load(args.weights), M.load_tokenizer(args.minilm)
    net.eval()
    {"questions": questions, "claims": claims, "stories": stories}[args.what](args, net, tokenizer)


if __name__ == "__main__":
    main()
