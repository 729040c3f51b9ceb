"""Reads questions and claims, tokenises them, and hands them out as batches of tensors without end.

An item is one question with its passages, or one claim with its evidence. Every epoch draws at most `MOST` items of a
kind anew, so that easy and plentiful kinds do not drown those that people wrote, and yet all of them are seen in time.
"""

import gzip, json, multiprocessing, random

import numpy as np, torch

import features, model as M, texts

MADE = {"made", "summary", "glossary", "define", "cloze", "cross"}
PRIOR = 5.0  # of a sentence's overlap in its evidence score
NONE = -1e4  # a logit that counts for nothing, also in bfloat16
MOST = {"reader": {"glossary": 1600, "define": 200, "medquad": 250, "answered": 400, "strategyqa": 600, "made": 5000, "cloze": 8000},
        "checker": {"glossary": 1500, "sentences": 7000}}


def read(path):
    with gzip.open(path, "rt", encoding="utf-8") as f:
        return [json.loads(line) for line in f]


def question_item(row):
    """One question with its passages, or None where the span does not survive tokenising or cutting."""
    pairs = []
    for passage in row["passages"]:
        x = M.encode(TOKENIZER, row["q"], passage["p"])
        x["span"] = None
        if isinstance(passage["a"], list):
            s, e = passage["a"]
            inside = [k for k, (a, b) in enumerate(x["offsets"]) if a < e and b > s]
            if not inside:
                return None
            x["span"] = (x["first"] + 2 + inside[0], x["first"] + 2 + inside[-1])
        if not pairs:  # sentences are judged in the passage that answers
            cuts = texts.sentences(passage["p"])
            tokens, (prior,) = M.sentence_tokens(x, cuts), features.lexical(row["q"], [[passage["p"][s:e] for s, e in cuts]])[0]
            x["sentences"], x["prior"] = [r for r in tokens if r], [PRIOR * p[0] for r, p in zip(tokens, prior) if r]
            x["answers"] = [k for k, (a, b) in enumerate(x["sentences"]) if x["span"] and a <= x["span"][0] < b]
        pairs.append(x)
    return finished(row, pairs)


def claim_item(row):
    x = M.encode(TOKENIZER, row["c"], row["e"])
    x["bad"] = [0.0] * len(x["ids"])
    for s, e in row["bad"]:
        for k, (a, b) in enumerate(x["first_offsets"]):
            if a < e and b > s:
                x["bad"][1 + k] = 1.0
    x["y"], x["marks"] = row["y"], row.get("marks", True)
    return finished(row, [x])


def finished(row, pairs):
    return {"pairs": pairs, "src": row["src"], "w": row.get("w", 1.0), "size": sum(len(x["ids"]) for x in pairs), "longest": max(len(x["ids"]) for x in pairs)}


def start(folder):
    global TOKENIZER
    TOKENIZER = M.load_tokenizer(folder)


def items(path, kind, folder, processes=1):
    """All items of a file, tokenised by so many processes."""
    make = question_item if kind == "reader" else claim_item
    if processes == 1:
        start(folder)
        made = map(make, read(path))
    else:
        with multiprocessing.Pool(processes, start, (folder,)) as pool:
            made = pool.map(make, read(path), chunksize=500)
    return [x for x in made if x]


def epoch(items, kind, budget, more, rng):
    """Groups of items of about `budget` padded tokens, of like length, in random order; `more` times MOST of a kind."""
    seen, order = {}, []
    for x in rng.sample(items, len(items)):
        seen[x["src"]] = seen.get(x["src"], 0) + 1
        if seen[x["src"]] <= more * MOST[kind].get(x["src"], 10**9):
            order.append(x)
    groups, pool = [], max(400, budget // 20)
    for k in range(0, len(order), pool):
        group, longest, count = [], 0, 0
        for x in sorted(order[k:k + pool], key=lambda x: x["longest"]):
            if group and max(longest, x["longest"]) * (count + len(x["pairs"])) > budget:
                groups.append(group)
                group, longest, count = [], 0, 0
            group.append(x)
            longest, count = max(longest, x["longest"]), count + len(x["pairs"])
        groups.append(group)
    rng.shuffle(groups)
    return groups


def padded(rows, fill, dtype):
    longest = max(map(len, rows), default=0) or 1
    out = np.full((len(rows), longest), fill, dtype)
    for k, row in enumerate(rows):
        out[k, :len(row)] = row
    return torch.from_numpy(out)


def tensors(group, kind):
    """The batch of a group: ids, types and mask [pairs, tokens], and what the losses of `train.py` want."""
    pairs = [p for x in group for p in x["pairs"]]
    ids, types, mask = M.batch(pairs)
    out = {"ids": ids, "types": types, "mask": mask, "w": torch.tensor([x["w"] for x in group]), "size": sum(x["size"] for x in group)}
    if kind == "checker":
        full = lambda p: p["bad"] + [0.0] * (ids.shape[1] - len(p["bad"]))
        return out | {"y": torch.tensor([p["y"] for p in pairs]), "marks": torch.tensor([p["marks"] for p in pairs]), "bad": torch.tensor([full(p) for p in pairs])}
    at, places, first = 0, [], [x["pairs"][0] for x in group]
    for x in group:
        places.append(list(range(at, at + len(x["pairs"]))))
        at += len(x["pairs"])
    judged = [p["answers"][:1] if len(p["sentences"]) > 1 else [] for p in first]
    return out | {"made": torch.tensor([x["src"] in MADE for x in group]), "pairs": padded(places, -1, np.int64),
                  "span": torch.tensor([p["span"] or (0, 0) for p in first]), "spanned": torch.tensor([p["span"] is not None for p in first]),
                  "begin": padded([[a for a, _ in p["sentences"]] for p in first], 0, np.int64), "end": padded([[b for _, b in p["sentences"]] for p in first], 0, np.int64),
                  "prior": padded([p["prior"] for p in first], NONE, np.float32), "answer": torch.tensor([a[0] if a else 0 for a in judged]), "judged": torch.tensor([bool(a) for a in judged])}


class Batches(torch.utils.data.IterableDataset):
    """Batches without end; several workers of a loader take turns over the same groups."""

    def __init__(self, items, kind, budget, more, seed):
        self.items, self.kind, self.budget, self.more, self.seed = items, kind, budget, more, seed

    def __iter__(self):
        worker = torch.utils.data.get_worker_info()
        mine, of, rng = (worker.id, worker.num_workers, random.Random(self.seed)) if worker else (0, 1, random.Random(self.seed))
        while True:
            for group in epoch(self.items, self.kind, self.budget, self.more, rng)[mine::of]:
                yield tensors(group, self.kind)
