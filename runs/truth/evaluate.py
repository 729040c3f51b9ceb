"""Measures reader and checker, and fits the few numbers of mixes.json: reader and evidence on XQuAD (en), checker on
FEVER-symmetric and WiCE.

Nothing is trained here. On XQuAD all figures come from folds of articles (a mix is fitted on the other articles); what is
shipped is then fitted on all of them. The checker's mix and thresholds come from the dev splits. `--weights` takes the
exported int8 files, so figures are those of what is shipped. Encoder outputs are kept in OUT, as they cost minutes.

    python evaluate.py questions --weights ../../crates/truth/weights --minilm FOLDER --out /tmp/q.json [--share 0.25] [--ship]
    python evaluate.py claims    --weights ... --minilm FOLDER [--split dev|test] [--ship]
    python evaluate.py stories   --weights ... --minilm FOLDER [--share 0.25]      # FairytaleQA val, gold passages
"""

import argparse, collections, datetime, json, pathlib, pickle, re, string, time

import numpy as np
import torch

import export, features as F, fit, model as M, texts
from bm25 import Bm25


def normal(text):
    text = "".join(c for c in text.lower() if c not in set(string.punctuation))
    return re.sub(r"\b(a|an|the)\b", " ", text).split()


def f1(given, gold):
    a, b = normal(given), normal(gold)
    same = sum((collections.Counter(a) & collections.Counter(b)).values())
    return 2 * same / (len(a) + len(b)) if same else float(a == b)


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
def embed(folder, tokenizer, pieces):
    """all-MiniLM-L6-v2 on each text: its vector (mean of the last states, length 1), its tokens' states (length 1), its tokens."""
    from transformers import BertModel
    minilm = BertModel.from_pretrained(folder, add_pooling_layer=False).eval()
    ids = [[101] + tokenizer.encode(p, add_special_tokens=False).ids[:126] + [102] for p in pieces]
    out, order = [None] * len(ids), sorted(range(len(ids)), key=lambda k: len(ids[k]))
    unit = lambda t: torch.nn.functional.normalize(t, dim=-1).numpy()
    for a in range(0, len(order), 32):
        part = order[a:a + 32]
        n = max(len(ids[k]) for k in part)
        mask = torch.tensor([[1.0] * len(ids[k]) + [0.0] * (n - len(ids[k])) for k in part])
        h = minilm(input_ids=torch.tensor([ids[k] + [0] * (n - len(ids[k])) for k in part]), attention_mask=mask).last_hidden_state
        v = unit((h * mask[:, :, None]).sum(1) / mask.sum(1, keepdim=True))
        for row, k in enumerate(part):
            out[k] = v[row], unit(h[row, 1:len(ids[k]) - 1]), [tokenizer.id_to_token(t) for t in ids[k][1:-1]]
    return out


def sentence_outputs(out, item, passage, spans=8):
    """For each sentence of the passage: evidence, mass, and its best spans as (score, text)."""
    base, rows = item["first"] + 2, []
    start, end = out["span"][:, 0], out["span"][:, 1]
    log_sum = lambda v: float(np.log(np.exp(v - v.max()).sum()) + v.max())
    cuts = texts.sentences(passage)
    for (s, e), tokens in zip(cuts, M.sentence_tokens(item, cuts)):
        if tokens is None:  # cut off
            rows.append({"s": s, "e": e, "evidence": -5.0, "mass": -20.0, "spans": [[-20.0, ""]]})
            continue
        i, j = tokens
        scores = start[i:j, None] + end[None, i:j]
        allowed = np.triu(np.ones_like(scores, bool)) & ~np.triu(np.ones_like(scores, bool), 20)
        flat = np.where(allowed, scores, -1e9).ravel()
        top = [k for k in np.argsort(-flat)[:spans] if flat[k] > -1e8]
        text = lambda k: passage[item["offsets"][i - base + k // (j - i)][0]:item["offsets"][i - base + k % (j - i)][1]]
        rows.append({"s": s, "e": e, "evidence": float(out["evidence"][i:j].mean()), "mass": log_sum(start[i:j]) + log_sum(end[i:j]), "spans": [[float(flat[k]), text(k)] for k in top]})
    return rows


def xquad(args, net, tokenizer):
    """Questions, passages, and the reader's outputs for the first three passages of BM25 and of BM25 without the right one."""
    rows = texts.records("xquad/xquad.en")
    passages = [r["context"] for r in rows]
    asked = [{"gold": k, "title": r["title"], "q": q["question"], "answers": [a["text"] for a in q["answers"]], "start": q["answers"][0]["answer_start"]} for k, r in enumerate(rows) for q in r["qas"]]
    titles = list(dict.fromkeys(a["title"] for a in asked))
    asked, index = asked[::max(1, round(1 / args.share))], Bm25(passages)
    for a in asked:
        found = index.top(a["q"], 4)
        a["fold"], a["with"], a["without"] = titles.index(a["title"]) % 5, found[:3], [k for k in found if k != a["gold"]][:3]
    if args.out.exists():
        kept = json.loads(args.out.read_text())
    else:
        flat = [(n, k) for n, a in enumerate(asked) for k in dict.fromkeys(a["with"] + a["without"] + [a["gold"]])]
        items = [M.encode(tokenizer, asked[n]["q"], passages[k]) for n, k in flat]
        begun, kept = time.time(), collections.defaultdict(dict)
        for (n, k), item, out in zip(flat, items, run(net, items)):
            kept[str(n)][str(k)] = {"rank": float(out["rank"]), "answerable": float(out["answerable"]), "sentences": sentence_outputs(out, item, passages[k])}
        print(f"{len(flat)} pairs in {time.time() - begun:.0f} s")
        args.out.write_text(json.dumps(kept))
    pieces = [passages[k][s:e] for k in range(len(passages)) for s, e in texts.sentences(passages[k])]
    wanted, cache = pieces + [a["q"] for a in asked], args.out.with_suffix(".minilm.pickle")
    if not cache.exists():
        cache.write_bytes(pickle.dumps(dict(zip(wanted, embed(args.minilm, tokenizer, wanted)))))
    plain = pickle.loads(cache.read_bytes())
    for n, a in enumerate(asked):
        a["out"] = {int(k): v for k, v in kept[str(n)].items()}
    return asked, passages, plain


def candidates(asked, passages, plain, which):
    """One row a candidate sentence: question, fold, features (F.SENTENCE), whether it holds the answer, its spans."""
    rows = []
    for n, a in enumerate(asked):
        cut = [[passages[k][s:e] for s, e in texts.sentences(passages[k])] for k in a[which]]
        lexical, weight = F.lexical(a["q"], cut)
        vector, states, tokens = plain[a["q"]]
        weights = np.array([weight([s]) if s else 0.0 for s in M.token_stems(tokens)])
        for place, (k, sentences) in enumerate(zip(a[which], cut)):
            out = a["out"][k]
            similar = F.similarities(states, [plain[t][1] for t in sentences], weights)
            for text, (overlap, before, after, whole, mismatch), s, alike in zip(sentences, lexical[place], out["sentences"], similar):
                x = {"evidence": s["evidence"], "span": s["spans"][0][0], "mass": s["mass"], "rank": out["rank"], "answerable": out["answerable"], "overlap": overlap, "before": before, "after": after,
                     "cosine": float(plain[text][0] @ vector), "similarity": alike, "passage_overlap": whole, "mismatch": mismatch, "place": place}
                rows.append((n, a["fold"], [x[f] for f in F.SENTENCE], k == a["gold"] and s["s"] <= a["start"] < s["e"], s["spans"], (k, s["s"], s["e"])))
    group, fold, x, holds = (np.array(v) for v in list(zip(*rows))[:4])
    return {"group": group, "fold": fold, "x": x, "holds": holds, "spans": [r[4] for r in rows], "where": [r[5] for r in rows]}


def by_folds(fold, other, fitted):
    """Scores of two tables under what `fitted(rows of the other folds)` returns."""
    scores = [np.zeros(len(f)) for f in (fold, other)]
    for f in range(5):
        m = fitted(fold != f)
        for s, g, x in zip(scores, (fold, other), m[1:]):
            s[g == f] = m[0](x[g == f])
    return scores


def confidence_rows(score, table):
    """Features (F.CONFIDENCE) of each question's best sentence."""
    best, at = fit.best_rows(score, table["group"]), F.SENTENCE.index
    rows = []
    for q, n in best.items():
        others = np.delete(score[table["group"] == q], n - np.where(table["group"] == q)[0][0])
        named = {"score": score[n], "lead": score[n] - others.max() if len(others) else 5.0}
        rows.append([named[f] if f in named else table["x"][n, at(f)] for f in F.CONFIDENCE])
    return np.array(rows), np.array([table["holds"][n] for n in best.values()]), np.array([table["fold"][n] for n in best.values()]), best


def span_table(asked, spans_of):
    """Rows of span candidates: question, features (F.SPAN), F1, whether it is the best of its question, text."""
    rows = [(n, F.span_features(asked[n]["q"], score, text), max(f1(text, g) for g in asked[n]["answers"]), text) for n, spans in spans_of for score, text in spans]
    group, x, value, text = [np.array(v) if k < 3 else list(v) for k, v in enumerate(zip(*rows))]
    top = np.zeros(group.max() + 1)
    np.maximum.at(top, group, value)
    return group, x, value, ((value == top[group]) & (value > 0)).astype(float), text


def questions(args, net, tokenizer):
    asked, passages, plain = xquad(args, net, tokenizer)
    table, none = (candidates(asked, passages, plain, w) for w in ("with", "without"))
    fold_of = np.array([a["fold"] for a in asked])
    say = lambda name, value: print(f"{name}: {value:.3f}", flush=True)
    print(f"{len(asked)} questions")
    say("right sentence among the candidates", len(set(table["group"][table["holds"]])) / len(asked))
    hit = lambda score: sum(table["holds"][n] for n in fit.best_rows(score, table["group"]).values()) / len(asked)
    for name in ("overlap", "cosine", "similarity", "evidence", "span", "mass"):
        say(f"first sentence holds the answer, {name} alone", hit(table["x"][:, F.SENTENCE.index(name)]))
    mixes = {"without the encoder": ["overlap", "before", "after", "cosine", "similarity", "passage_overlap", "mismatch", "place"], "all": F.SENTENCE}
    for name, use in mixes.items():
        c = [F.SENTENCE.index(f) for f in use]
        fitted = lambda keep: (fit.choice(table["x"][keep][:, c], table["group"][keep], table["holds"][keep].astype(float)), table["x"][:, c], none["x"][:, c])
        score, none_score = by_folds(table["fold"], none["fold"], fitted)
        say(f"first sentence holds the answer, {name} mixed by folds", hit(score))
    a, right, fold, best = confidence_rows(score, table)
    b, _, none_fold, _ = confidence_rows(none_score, none)
    x, y, g = np.r_[a, b], np.r_[right, np.zeros(len(b))], np.r_[fold, none_fold]
    raw, _ = by_folds(g, g, lambda keep: (fit.logistic(x[keep], y[keep]), x, x))
    p, real = fit.sigmoid(raw), np.r_[np.ones(len(a)), np.zeros(len(b))]
    say("answerability AUROC, right passage removed", fit.auroc(p, real))
    say("AUROC of 'the quoted sentence holds the answer'", fit.auroc(p, y))
    say("calibration error, 15 bins", fit.calibration_error(p, y))
    say("Brier score", float(((p - y) ** 2).mean()))
    say("  of the base rate", float(y.mean() * (1 - y.mean())))
    cut = np.quantile(p[len(a):], 0.9)
    say("answered of the answerable where 90% of the removed are refused", float((p[:len(a)] > cut).mean()))
    say("  of these wrong sentence", float((~right[p[:len(a)] > cut]).mean()))
    # the short answer: the best of a sentence's spans
    reader = {n: max((s for s in asked[n]["out"][asked[n]["gold"]]["sentences"]), key=lambda s: s["spans"][0][0])["spans"] for n in range(len(asked))}
    quoted = {q: table["spans"][n] for q, n in best.items()}
    for name, spans_of in (("gold passage", reader), ("pipeline", quoted)):
        plain = [max(f1(spans_of[n][0][1], t) for t in asked[n]["answers"]) for n in spans_of]
        exact = [max(float(normal(spans_of[n][0][1]) == normal(t)) for t in asked[n]["answers"]) for n in spans_of]
        say(f"short answer, {name}, best span: F1", sum(plain) / len(asked))
        say("  exact", sum(exact) / len(asked))
    group, sx, value, wanted, text = span_table(asked, quoted.items())
    span_fold = fold_of[group]
    picked, _ = by_folds(span_fold, span_fold, lambda keep: (fit.choice(sx[keep], group[keep], wanted[keep]), sx, sx))
    chosen = fit.best_rows(picked, group)
    say("short answer, pipeline, spans mixed by folds: F1", sum(value[n] for n in chosen.values()) / len(asked))
    say("  exact", sum(max(float(normal(text[n]) == normal(t)) for t in asked[q]["answers"]) for q, n in chosen.items()) / len(asked))
    if args.ship:
        shipped = fit.choice(table["x"], table["group"], table["holds"].astype(float))
        ca, cr, _, _ = confidence_rows(shipped(table["x"]), table)
        cb, _, _, _ = confidence_rows(shipped(none["x"]), none)
        final = fit.logistic(np.r_[ca, cb], np.r_[cr, np.zeros(len(cb))])
        update(args, "sentence", shipped.named(F.SENTENCE) | {"use": "score = bias + sum of weight x feature; the candidate with the largest score is quoted first"})
        update(args, "confidence", final.named(F.CONFIDENCE) | {"use": "P(the first quoted sentence holds the answer) = 1 / (1 + exp(-(bias + sum of weight x feature))); fitted with the right passage present and removed in equal shares"})
        update(args, "span", fit.choice(sx, group, wanted).named(F.SPAN) | {"use": "among the 8 best spans (start + end logit, at most 20 tokens) of the quoted sentence, the one with the largest sum"})


def update(args, key, value):
    """Writes one part of mixes.json beside the weights."""
    path = pathlib.Path(args.weights) / "mixes.json"
    data = json.loads(path.read_text()) if path.exists() else {}
    data |= {key: value, "definitions": F.DEFINITIONS, "kinds": F.KINDS, "number_words": F.NUMBER_WORDS, "months": F.MONTHS, "negations": F.NEGATIONS, "fitted": str(datetime.date.today())}
    path.write_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n")


def fever_rows(split):
    undo = lambda t: re.sub(r" ([.,;:'])", r"\1", t.replace("-LRB- ", "(").replace(" -RRB-", ")").replace("``", '"').replace("''", '"'))
    for r in texts.records(f"fever_symmetric/v0.2_{split}"):
        evidence = undo(r["evidence"] or r["sentence1"])
        yield undo(r["claim"] if "claim" in r else r["sentence2"]), [evidence[s:e] for s, e in texts.sentences(evidence)], (r["label"] or r["gold_label"]) == "SUPPORTS"


def wice_rows(split, most=110):
    """Claims with the evidence sentences that share most with them (BM25 within the document), in document order."""
    for r in texts.records(f"wice/claim_{split}"):
        chosen, size = [], 0
        for k in Bm25(r["evidence"]).top(r["claim"], 8):
            size += len(r["evidence"][k].split())
            if size > most and chosen:
                break
            chosen.append(k)
        yield r["claim"], [r["evidence"][k] for k in sorted(chosen)], r["label"] == "supported"


def claim_features(net, tokenizer, rows):
    """F.CLAIM for each (claim, evidence sentences, label)."""
    items, x = [M.encode(tokenizer, c, " ".join(e)) for c, e, _ in rows], []
    for o, item, (c, e, _) in zip(run(net, items), items, rows):
        v = o["verdict"].astype(float)
        own = [k for k, s in enumerate(M.token_stems([tokenizer.id_to_token(t) for t in item["ids"][1:1 + item["first"]]])) if s] or [0]
        marks = o["unsupported"][1:1 + item["first"]][own]
        x.append([v[0] - np.logaddexp(v[1], v[2]), v[0] - v[1], float(marks.max()), float(marks.mean()), *F.claim_lexical(c, e)])
    return np.array(x), np.array([r[2] for r in rows])


def claims(args, net, tokenizer):
    sets = {}
    for name, rows_of in (("FEVER-symmetric", fever_rows), ("WiCE (partially -> unsupported)", wice_rows)):
        for split in ("dev", "test") if args.split == "test" else ("dev",):
            sets[name, split] = claim_features(net, tokenizer, list(rows_of(split)))
    names = list(dict.fromkeys(n for n, _ in sets))
    at = F.CLAIM.index
    weighed = lambda y: np.where(y, 0.5 / y.mean(), 0.5 / (1 - y.mean())) / len(y)
    x, y = (np.concatenate([sets[n, "dev"][k] for n in names]) for k in (0, 1))
    both = fit.logistic(x, y, sample=np.concatenate([weighed(sets[n, "dev"][1]) for n in names]) * len(y) / 2)
    for n in names:
        dx, dy = sets[n, "dev"]
        scores = {"lexical overlap": lambda x: x[:, at("overlap")], "supported against the rest": lambda x: x[:, at("supported")], "supported against contradicted": lambda x: x[:, at("uncontradicted")],
                  "worst token mark": lambda x: -x[:, at("worst_mark")], "rules alone": fit.logistic(dx[:, at("overlap"):], dy), "mixed, fitted on this dev split": fit.logistic(dx, dy), "mixed, fitted on both dev splits": both}
        scores["rules alone"] = (lambda m: lambda x: m(x[:, at("overlap"):]))(scores["rules alone"])
        for key, score in scores.items():
            cut = fit.best_threshold(score(dx), dy)
            line = f"{n}: {key}: dev {fit.balanced(score(dx), dy, cut):.3f} AUROC {fit.auroc(score(dx), dy):.3f}"
            if (n, "test") in sets:
                tx, ty = sets[n, "test"]
                line += f"   test {fit.balanced(score(tx), ty, cut):.3f} AUROC {fit.auroc(score(tx), ty):.3f}" + (f" at 0 {fit.balanced(score(tx), ty, 0):.3f}" if key.startswith("mixed") else "")
            print(line, flush=True)
    if args.ship:
        update(args, "verdict", both.named(F.CLAIM) | {"use": "P(supported) = 1 / (1 + exp(-(bias + sum of weight x feature))); supported from 0.5 on; below it contradicted if the checker's contradicted logit is larger than its not enough logit, else not enough"})


def stories(args, net, tokenizer):
    rows = [(q["question"], r["context"], q["answers"][0]["text"], q["answers"][0]["answer_start"]) for r in texts.records("fairytaleqa/val") for q in r["qas"] if q["answers"][0]["answer_start"] is not None]
    rows, cut = rows[::max(1, round(1 / args.share))], []
    for q, context, answer, start in rows:
        first = max(0, context.rfind("\n\n", 0, start) + 2 if "\n\n" in context[:start] else 0)
        cut.append((context[first:].replace("\n\n", " "), start - first))
    items = [M.encode(tokenizer, q, p) for (q, *_), (p, _) in zip(rows, cut)]
    scores, right = [], []
    for (q, _, answer, _), (passage, start), item, out in zip(rows, cut, items, run(net, items)):
        found = sentence_outputs(out, item, passage)
        scores.append(f1(max(found, key=lambda s: s["spans"][0][0])["spans"][0][1], answer))
        best = max(found, key=lambda s: s["evidence"])
        right.append(best["s"] <= start < best["e"])
    print(f"FairytaleQA val: F1 {np.mean(scores):.3f}, sentence by evidence right {np.mean(right):.3f} ({len(rows)} questions)")


def main():
    p = argparse.ArgumentParser()
    p.add_argument("what", choices=["questions", "claims", "stories"])
    p.add_argument("--weights", required=True, help="folder with the exported files, or a training folder with state.pt")
    p.add_argument("--minilm", required=True, type=pathlib.Path)
    p.add_argument("--out", type=pathlib.Path, default=pathlib.Path("/nonexistent"))
    p.add_argument("--share", type=float, default=1.0)
    p.add_argument("--split", choices=["dev", "test"], default="dev")
    p.add_argument("--ship", action="store_true", help="write the fits to mixes.json beside the weights")
    args = p.parse_args()
    kind = "checker" if args.what == "claims" else "reader"
    if (pathlib.Path(args.weights) / "state.pt").exists():
        net, tokenizer = M.load(args.minilm, kind)
        M.load_state(net, args.weights)
    else:
        net, tokenizer = export.load(args.weights, kind), M.load_tokenizer(args.minilm)
    net.eval()
    {"questions": questions, "claims": claims, "stories": stories}[args.what](args, net, tokenizer)


if __name__ == "__main__":
    main()
