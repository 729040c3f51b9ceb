#!/usr/bin/env python3
"""What `measure.py` compares with: sentence-transformers, bm25s and chromadb, put together as their documentation shows.

    stack.py quality MODEL PARAGRAPHS.jsonl
    stack.py encode MODEL PARAGRAPHS.jsonl       the fastest of several sizes of batches
    stack.py ingest MODEL|- FOLDER HOME          with embeddings (chromadb), or words alone (bm25s)
    stack.py latency MODEL FOLDER HOME QUESTIONS.txt

Passages are cut by words (160, at paragraph ends), which is faster than sentences and costs the stack nothing. Prints JSON.
Vectors for `latency` are made up, as in crates/truth/examples/measure.rs: chromadb's graph is built over them.
"""
import json
import math
import re
import statistics
import sys
import time
from pathlib import Path

BATCH = 256


def passages(text):
    out, now = [], []
    for paragraph in re.split(r"\n\s*\n", text):
        words = paragraph.split()
        while words:
            room = 160 - len(now)
            now += words[:room]
            words = words[room:]
            if len(now) >= 160:
                out.append(" ".join(now))
                now = []
        if len(now) >= 120:
            out.append(" ".join(now))
            now = []
    return out + ([" ".join(now)] if now else [])


def read(folder):
    texts = [path.read_text() for path in sorted(Path(folder).rglob("*.txt"))]
    return sum(len(text.encode()) for text in texts), [p for text in texts for p in passages(text)]


def model_of(path):
    from sentence_transformers import SentenceTransformer, models

    # Put together by hand: packages of the model leave out the file that names its pooling.
    words = models.Transformer(path, max_seq_length=256)
    return SentenceTransformer(modules=[words, models.Pooling(384, "mean"), models.Normalize()], device="cpu")


class Words:
    def __init__(self, texts):
        import bm25s
        import Stemmer

        self.bm25s, self.stemmer = bm25s, Stemmer.Stemmer("english")
        tokens = bm25s.tokenize(texts, stopwords="en", stemmer=self.stemmer, show_progress=False)
        self.index = bm25s.BM25()
        self.index.index(tokens, show_progress=False)
        self.count = len(texts)

    def best(self, question, limit):
        tokens = self.bm25s.tokenize([question], stopwords="en", stemmer=self.stemmer, show_progress=False)
        ids, _ = self.index.retrieve(tokens, k=min(limit, self.count), show_progress=False)
        return [int(i) for i in ids[0]]


class Meaning:
    def __init__(self, home):
        import chromadb
        from chromadb.config import Settings

        self.client = chromadb.PersistentClient(path=str(home), settings=Settings(anonymized_telemetry=False))
        self.collection = self.client.get_or_create_collection("passages", metadata={"hnsw:space": "cosine"})

    def add(self, first, texts, vectors):
        ids = [str(first + n) for n in range(len(texts))]
        self.collection.add(ids=ids, documents=texts, embeddings=vectors)

    def best(self, vector, limit):
        return [int(i) for i in self.collection.query(query_embeddings=[vector], n_results=limit)["ids"][0]]


def fuse(*lists):
    scores = {}
    for found in lists:
        for rank, passage in enumerate(found):
            scores[passage] = scores.get(passage, 0) + 1 / (61 + rank)
    return sorted(scores, key=lambda passage: -scores[passage])


def quality(model, file):
    import numpy

    records = [json.loads(line) for line in open(file)]
    texts = [record["context"] for record in records]
    model, words = model_of(model), Words(texts)
    matrix = model.encode(texts, normalize_embeddings=True, show_progress_bar=False)
    found = {"words": [], "meaning": [], "fused": []}
    for gold, record in enumerate(records):
        for qa in record["qas"]:
            by_words = words.best(qa["question"], 50)
            near = matrix @ model.encode([qa["question"]], normalize_embeddings=True, show_progress_bar=False)[0]
            by_meaning = [int(i) for i in numpy.argsort(-near)[:50]]
            for name, order in (("words", by_words), ("meaning", by_meaning), ("fused", fuse(by_words, by_meaning))):
                found[name].append(order.index(gold) if gold in order else 99)
    result = {"questions": len(found["words"]), "passages": len(texts)}
    for name, ranks in found.items():
        result[name] = {
            "recall@1": statistics.mean(rank == 0 for rank in ranks),
            "recall@5": statistics.mean(rank < 5 for rank in ranks),
            "ndcg@10": statistics.mean(1 / math.log2(rank + 2) if rank < 10 else 0 for rank in ranks),
        }
    return result


def encode(model, file):
    from sentence_transformers import CrossEncoder

    records = [json.loads(line) for line in open(file)]
    texts = [record["context"] for record in records]
    pairs = [(record["qas"][0]["question"], record["context"]) for record in records]
    # A reranker of the same size; what its head has learnt does not change how long it takes.
    bi, cross = model_of(model), CrossEncoder(model, num_labels=1, max_length=512, device="cpu")

    def rate(work):
        best = (0, 0)
        for size in (8, 16, 32, 64, 128):
            start = time.perf_counter()
            work(size)
            best = max(best, (len(texts) / (time.perf_counter() - start), size))
        return best

    embed, embed_batch = rate(lambda n: bi.encode(texts, batch_size=n, normalize_embeddings=True, show_progress_bar=False))
    read, read_batch = rate(lambda n: cross.predict(pairs, batch_size=n, show_progress_bar=False))
    return {
        "texts": len(texts),
        "texts_per_s": embed,
        "embed_batch": embed_batch,
        "pairs_per_s": read,
        "pair_batch": read_batch,
    }


def ingest(model, folder, home):
    model = None if model == "-" else model_of(model)
    start = time.perf_counter()
    size, texts = read(folder)
    if model is None:
        index = Words(texts).index
        index.save(home, show_progress=False)
    else:
        meaning = Meaning(home)
        for at in range(0, len(texts), BATCH):
            batch = texts[at : at + BATCH]
            meaning.add(at, batch, model.encode(batch, normalize_embeddings=True, show_progress_bar=False))
    seconds = time.perf_counter() - start
    bytes_used = sum(path.stat().st_size for path in Path(home).rglob("*") if path.is_file())
    return {
        "bytes": size,
        "passages": len(texts),
        "all_s": seconds,
        "mb_per_s": size / seconds / 1e6,
        "index_bytes_per_text_byte": bytes_used / size,
    }


def latency(model, folder, home, questions):
    import numpy

    model = model_of(model)
    _, texts = read(folder)
    words, meaning = Words(texts), Meaning(home)
    draw = numpy.random.default_rng(1)
    centres = draw.uniform(-1, 1, (1000, 384))
    start = time.perf_counter()
    for at in range(0, len(texts), BATCH):
        batch = texts[at : at + BATCH]
        vectors = centres[draw.integers(1000, size=len(batch))] + 0.7 * draw.uniform(-1, 1, (len(batch), 384))
        vectors /= numpy.linalg.norm(vectors, axis=1, keepdims=True)
        meaning.add(at, batch, vectors.astype(numpy.float32))
    result = {"passages": len(texts), "graph_built_s": time.perf_counter() - start}
    questions = Path(questions).read_text().splitlines()
    times = {"words": [], "meaning": [], "fused": []}
    for n, question in enumerate(questions[:20] + questions):
        start = time.perf_counter()
        by_words = words.best(question, 50)
        middle = time.perf_counter()
        vector = model.encode([question], normalize_embeddings=True, show_progress_bar=False)[0]
        by_meaning = meaning.best(vector, 50)
        end = time.perf_counter()
        best = fuse(by_words, by_meaning)[:10]
        _ = [texts[i] for i in best]
        last = time.perf_counter()
        if n >= 20:
            times["words"].append(middle - start)
            times["meaning"].append(end - middle)
            times["fused"].append(last - start)
    for name, seconds in times.items():
        seconds.sort()
        at = lambda share: seconds[int((len(seconds) - 1) * share)] * 1e3
        result[name] = {"p50_ms": at(0.5), "p95_ms": at(0.95)}
    return result


if __name__ == "__main__":
    print(json.dumps({"quality": quality, "encode": encode, "ingest": ingest, "latency": latency}[sys.argv[1]](*sys.argv[2:])))
